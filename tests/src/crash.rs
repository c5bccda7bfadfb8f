//! The crash test: runs that are killed at random moments and gone on with until they are done.
//!
//! A round runs 300 short tasks that leave marks which can be counted, kills the coordinator, its agent or both
//! once or several times, and goes on with `--resume`. In the end every task has succeeded, none ran again
//! whose success `task.json` told before the kill, nobody was left running, and the tables say what the marks
//! say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::processes::{children_named, process_exists, processes_with, send_signal, tree};
use crate::programs::subject;
use crate::table::Row;
use crate::wait::wait_for;
use crate::{Finished, Running, farm};

const TASKS: usize = 300;
const AGENT: &str = "ictasks-agent";
/// How often a round is killed at most.
const MOST_KILLS: u64 = 3;

/// Numbers that look random and come again with the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    /// Begins a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// Rounds and first seed, as the words of a command line give them: `[ROUNDS [SEED]]`, else these. `None` if they
/// are anything else.
pub fn rounds_and_seed(words: impl Iterator<Item = String>, otherwise: (u64, u64)) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [] => Some(otherwise),
        [rounds] => Some((rounds, otherwise.1)),
        [rounds, seed] => Some((rounds, seed)),
        _ => None,
    }
}

/// What a round saw, for a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// Processes were killed so often.
    pub kills: u64,
    /// The farm was started so often.
    pub sessions: u64,
    /// The longest time from a kill of the coordinator until none of its processes was left, seconds.
    pub longest_end_s: f64,
}

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Coordinator,
    Agent,
    Both,
}

/// Runs one round.
///
/// # Panics
/// If anything is not as it should be; the message names the seed.
pub fn round(seed: u64) -> Round {
    let mut random = Random::new(seed);
    let mut seen = Round::default();
    let commands: Vec<String> = (0..TASKS).map(|task| command(task, &mut random)).collect();
    let description = farm().tasks(&commands);
    let mut running = description.start();
    fs::create_dir_all(running.directory().join("marks")).expect("make a directory");
    let kills = 1 + random.below(MOST_KILLS);
    let mut succeeded = BTreeSet::new();
    loop {
        seen.sessions += 1;
        let finished = if seen.kills < kills {
            let (finished, told) = kill(running, &mut random, &mut seen);
            succeeded.extend(told);
            finished
        } else {
            running.wait()
        };
        if finished.code == Some(crate::SUCCEEDED) {
            check(&finished, &succeeded, seed);
            return seen;
        }
        assert!(
            finished.signal.is_some() || seen.kills < kills,
            "seed {seed}: the run ended with {:?}\n{}",
            finished.code,
            finished.stderr
        );
        running = finished.again().input("--tasklist", "tasks.txt").args(["--resume"]).start();
    }
}

/// The task that appends to its file of marks; now and then one that is hard to end.
fn command(task: usize, random: &mut Random) -> String {
    let kind = if task == 150 { "effect-hard" } else { "effect" };
    format!("{} {kind} %SUBMITDIR%/marks/{task} {}", subject().display(), random.below(8))
}

/// Kills at a random moment; the tasks whose success `task.json` told before.
fn kill(running: Running, random: &mut Random, seen: &mut Round) -> (Finished, Vec<usize>) {
    let coordinator = i64::from(running.pid());
    let marks = running.directory().join("marks");
    let already = count(&marks);
    let until = already + usize::try_from(random.below(150)).expect("it is small");
    let is_due = || (count(&marks) >= until.min(TASKS) || !process_exists(coordinator)).then_some(());
    wait_for("the moment of the kill", is_due);
    std::thread::sleep(Duration::from_micros(random.below(3000)));
    let victim =
        [Victim::Coordinator, Victim::Agent, Victim::Both][usize::try_from(random.below(3)).unwrap_or(0)];
    let told = successes(running.record.directory());
    let all = tree(coordinator);
    let agents = children_named(coordinator, AGENT);
    if matches!(victim, Victim::Agent | Victim::Both) {
        agents.iter().for_each(|agent| send_signal(*agent, libc::SIGKILL));
    }
    if matches!(victim, Victim::Coordinator | Victim::Both) {
        running.signal(libc::SIGKILL);
    }
    seen.kills += 1;
    let killed_at = Instant::now();
    let run_dir = format!("ICTASKS_RUN_DIR={}", running.record.directory().display());
    let finished = running.wait();
    if finished.signal.is_some() {
        let nobody_is_left = || {
            let left = all.iter().any(|pid| process_exists(*pid)) || !processes_with(&run_dir).is_empty();
            (!left).then_some(())
        };
        wait_for("the end of all processes of a run that was killed", nobody_is_left);
        seen.longest_end_s = seen.longest_end_s.max(killed_at.elapsed().as_secs_f64());
    }
    (finished, told)
}

/// Number of tasks that have begun.
fn count(marks: &Path) -> usize {
    fs::read_dir(marks).map_or(0, Iterator::count)
}

/// The tasks that have succeeded, as their `task.json` tells.
fn successes(run_dir: &Path) -> Vec<usize> {
    let tells_success = |task: &usize| {
        let text = fs::read_to_string(run_dir.join(format!("task_{task}/task.json")));
        let document = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        document.is_some_and(|document| document["outcome"] == "succeeded")
    };
    (0..TASKS).filter(tells_success).collect()
}

/// The attempts that left a mark of this kind, by task.
fn marks(directory: &Path, kind: &str) -> BTreeMap<usize, Vec<i64>> {
    let of_task = |task: usize| {
        let text = fs::read_to_string(directory.join(format!("marks/{task}"))).unwrap_or_default();
        let attempts = text.lines().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok());
        (task, attempts.collect())
    };
    (0..TASKS).map(of_task).collect()
}

fn check(finished: &Finished, succeeded: &BTreeSet<usize>, seed: u64) {
    let directory = finished.directory();
    let (begun, ended) = (marks(&directory, "begin "), marks(&directory, "end "));
    let mut attempts: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
    for row in finished.record.table("attempts").rows {
        let task = usize::try_from(row["task_index"].as_i64().expect("a number")).expect("not negative");
        attempts.entry(task).or_default().push(row);
    }
    let tasks = finished.record.table("tasks").rows;
    assert_eq!(tasks.len(), TASKS, "seed {seed}: rows of tasks.parquet");
    for row in &tasks {
        assert_eq!(row["outcome"], "succeeded", "seed {seed}: {row:?}");
        assert_eq!(row["attempt_count"], attempts[&task_index(row)].len(), "seed {seed}: {row:?}");
    }
    for task in 0..TASKS {
        let rows = &attempts[&task];
        let number = |row: &Row| row["attempt"].as_i64().expect("a number");
        let recorded: BTreeSet<i64> = rows.iter().map(number).collect();
        assert_eq!(recorded.len(), rows.len(), "seed {seed}: task {task} has an attempt twice: {rows:?}");
        let marked: BTreeSet<i64> = begun[&task].iter().copied().collect();
        assert_eq!(marked.len(), begun[&task].len(), "seed {seed}: an attempt at task {task} ran twice");
        assert!(
            marked.is_subset(&recorded),
            "seed {seed}: task {task} ran {marked:?}, recorded {recorded:?}"
        );
        for row in rows.iter().filter(|row| row["outcome"] == "succeeded") {
            let has_ended = ended[&task].contains(&number(row));
            assert!(has_ended, "seed {seed}: task {task} succeeded without its mark: {row:?}");
        }
        let successes = rows.iter().filter(|row| row["outcome"] == "succeeded").count();
        assert_eq!(successes, 1, "seed {seed}: task {task} succeeded so often: {rows:?}");
        if succeeded.contains(&task) {
            let first = rows.iter().filter(|row| row["outcome"] == "succeeded").map(number).next();
            assert_eq!(
                recorded.last().copied(),
                first,
                "seed {seed}: task {task} ran again after its success"
            );
        }
    }
    let events = finished.record.table("events").rows;
    let finished_events = events.iter().filter(|event| event["kind"] == "task_finished").count();
    let rows: usize = attempts.values().map(Vec::len).sum();
    assert_eq!(finished_events, rows, "seed {seed}: task_finished events and attempts");
    let numbers: BTreeSet<i64> = events.iter().filter_map(|event| event["seq"].as_i64()).collect();
    assert_eq!(numbers.len(), events.len(), "seed {seed}: event numbers are unique");
}

fn task_index(row: &Row) -> usize {
    usize::try_from(row["task_index"].as_i64().expect("a number")).expect("not negative")
}
