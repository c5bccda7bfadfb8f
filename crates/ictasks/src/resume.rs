//! `--resume`: what the record says, what will be run again, and why.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Parser;
use ictasks_core::attempt::Reason;
use ictasks_core::history::{Decision, History, Matcher, Refusal, Rules};
use ictasks_core::layout;
use ictasks_core::plan::Plan;
use ictasks_core::task::Task;
use ictasks_core::task_list::TaskSource;
use ictasks_record::{RecordError, RunFile};

use crate::cli::taskfarm::TaskfarmArguments;
use crate::cli::{Cli, Command};
use crate::command_line;
use crate::exit::{Failure, chain};
use crate::input::Input;

/// Changed tasks that are shown.
const SHOWN_CHANGED: usize = 3;
/// Unknown ids of `--only` that are shown.
const SHOWN_UNKNOWN: usize = 3;

/// Reasons in the order in which they are named.
const ORDER: [Reason; 9] = [
    Reason::SucceededBefore,
    Reason::NotListed,
    Reason::FailedBefore,
    Reason::InterruptedBefore,
    Reason::NeverRan,
    Reason::CommandChanged,
    Reason::NewInList,
    Reason::Listed,
    Reason::Retry,
];

/// What a resumed run will do.
pub struct Outlook {
    /// Decides about each task.
    pub matcher: Matcher,
    /// For people, and for the record.
    pub message: String,
    /// Number of tasks that will run, where the list can be read twice.
    pub run_count: Option<u64>,
    /// The first tasks that will run, and why.
    pub first: Vec<(Task, Option<Reason>)>,
}

/// The arguments with the input of the last start where none is given, and the directory that
/// they were given in.
///
/// # Errors
/// The last start read its tasks from a stream, or a newer version recorded it.
pub fn with_earlier_input(
    arguments: &TaskfarmArguments,
    submit_dir: PathBuf,
) -> Result<(TaskfarmArguments, PathBuf), Failure> {
    let has_input = arguments.config.is_some() || arguments.tasklist.is_some();
    let run_dir = arguments.run_dir.as_deref().unwrap_or(&submit_dir);
    if has_input || !arguments.resume {
        return Ok((arguments.clone(), submit_dir));
    }
    let of_shard = arguments.shard.map(|shard| run_dir.join(layout::shard_directory(shard)));
    let run = match RunFile::read(of_shard.as_deref().unwrap_or(run_dir)) {
        Err(error @ RecordError::Newer { .. }) => {
            return Err(Failure::input(format!("failed to {}", chain(&error))));
        }
        // What is damaged names no input; the way on from there is told later.
        run => run.unwrap_or_default(),
    };
    let sessions = run.iter().flat_map(|run| run.sessions.iter().rev());
    let earlier = sessions.filter_map(|session| {
        let Ok(Cli { command: Command::Taskfarm(earlier), .. }) = Cli::try_parse_from(&session.arguments)
        else {
            return None;
        };
        (earlier.config.is_some() || earlier.tasklist.is_some()).then_some((earlier, &session.submit_dir))
    });
    let Some((earlier, earlier_dir)) = earlier.into_iter().next() else {
        return Ok((arguments.clone(), submit_dir));
    };
    let inputs = [&earlier.config, &earlier.tasklist];
    if let Some(stream) = inputs.into_iter().flatten().find(|input| TaskSource::is_stream_at(input)) {
        let by_program = if earlier.events_fd.is_some() {
            ", or go on from the program that gave it (in Python: `resume=True`)"
        } else {
            ""
        };
        return Err(Failure::input(format!(
            "the last start read `{}`, which cannot be read again; give the input with --tasklist or \
             --config{by_program}",
            stream.display()
        )));
    }
    // Relative names mean what they meant then.
    let there = |path: &PathBuf| earlier_dir.join(path);
    let arguments = TaskfarmArguments {
        config: earlier.config.as_ref().map(there),
        tasklist: earlier.tasklist.as_ref().map(there),
        tasklist_format: arguments.tasklist_format.or(earlier.tasklist_format),
        run_dir: Some(submit_dir.join(run_dir)),
        ..arguments.clone()
    };
    Ok((arguments, earlier_dir.clone()))
}

/// Whether Slurm has started this job again, and the record is this job's own: then it goes on.
pub fn is_implied(run: Option<&RunFile>) -> bool {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let restarts = variable("SLURM_RESTART_COUNT").and_then(|count| count.parse::<i64>().ok());
    let job = variable("SLURM_JOB_ID");
    let last = run.and_then(|run| run.sessions.last());
    let recorded = last.and_then(|session| session.provenance.get("slurm")?.get("job_id")?.as_str());
    restarts.is_some_and(|count| count > 0) && job.is_some() && recorded == job.as_deref()
}

/// Checks that a run goes on with the part of the list that it began with.
///
/// # Errors
/// It is another part, or one of another division.
pub fn check_shard(run: &RunFile, plan: &Plan) -> Result<(), Failure> {
    let now = serde_json::to_value(plan.shard).unwrap_or_default();
    let last = run.sessions.last().and_then(|session| session.plan.get("shard"));
    match last.filter(|before| **before != now) {
        None => Ok(()),
        Some(before) => {
            let part = |shard: &serde_json::Value| match (shard["number"].as_i64(), shard["count"].as_i64()) {
                (Some(number), Some(count)) => format!("shard {number}/{count}"),
                _ => "the whole list".to_owned(),
            };
            Err(Failure::input(format!(
                "the run in `{}` is of {} and not of {}; go on with that, or run elsewhere",
                plan.run_dir.display(),
                part(before),
                part(&now)
            )))
        }
    }
}

/// What the user wants of a resumed run.
///
/// # Errors
/// The list of `--only` cannot be read, or is empty.
pub fn rules(arguments: &TaskfarmArguments) -> Result<Rules, Failure> {
    let only = arguments.only.as_deref().map(|path| read_ids(path, arguments)).transpose()?;
    Ok(Rules { rerun_changed: arguments.rerun_changed, skip_failed: arguments.skip_failed, only })
}

fn read_ids(path: &Path, arguments: &TaskfarmArguments) -> Result<HashSet<String>, Failure> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let shown = if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() };
    let others = [&arguments.config, &arguments.tasklist];
    if is_stdin(path) && others.into_iter().flatten().any(|other| is_stdin(other)) {
        return Err(Failure::input("--only and the input cannot both be read from standard input"));
    }
    let mut text = String::new();
    let read = if is_stdin(path) {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::input(format!("{shown}: cannot be read: {error}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let ids: HashSet<String> = lines.map(str::to_owned).collect();
    if ids.is_empty() {
        return Err(Failure::input(format!("{shown}: there are no ids; give one a line")));
    }
    Ok(ids)
}

impl Outlook {
    /// Goes through the list, where it can be read twice, and counts what will be done.
    ///
    /// # Errors
    /// Tasks succeeded with other commands and nobody said what that means; ids of `--only` that
    /// no task has.
    pub fn of(
        run: &RunFile,
        history: History,
        rules: Rules,
        input: &Input,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let submit_dir = plan.submit_dir.as_path();
        let known = history.len();
        let earlier_count = run.sessions.iter().filter_map(|session| session.task_count).next_back();
        // Positions are those of the whole list.
        let shards = plan.shard.map_or(1, |shard| u64::from(shard.count.unsigned_abs()));
        let earlier_count = earlier_count.map(|count| count.saturating_mul(shards));
        let matcher = Matcher::resumed(history, rules.clone(), &submit_dir.to_string_lossy())
            .with_earlier_count(earlier_count.and_then(|count| i64::try_from(count).ok()).unwrap_or(0));
        let Some(source) = input.tasks_again(submit_dir)? else {
            let message = format!("the record has {known} tasks; the list is a stream");
            return Ok(Self { matcher, message, run_count: None, first: Vec::new() });
        };
        let mut count = Count::default();
        let matcher = count.take_all(matcher, source, &rules)?;
        count.refuse(&rules)?;
        let run_count = count.run_count;
        Ok(Self { matcher, message: count.describe(), run_count: Some(run_count), first: count.first })
    }
}

/// What was found in a pass over the list.
#[derive(Default)]
struct Count {
    runs: BTreeMap<&'static str, u64>,
    left_out: BTreeMap<&'static str, u64>,
    run_count: u64,
    first: Vec<(Task, Option<Reason>)>,
    changed: Vec<Task>,
    changed_count: u64,
    found: HashSet<String>,
}

impl Count {
    fn take_all(
        &mut self,
        mut matcher: Matcher,
        mut source: TaskSource,
        rules: &Rules,
    ) -> Result<Matcher, Failure> {
        while let Some(batch) = source.next_batch() {
            for task in batch.map_err(|error| Failure::input(chain(&error)))? {
                if rules.only.is_some() {
                    // The id as it is in the record may differ from the position in the list.
                    self.take_listed(matcher.decide(task))?;
                } else {
                    self.take(matcher.decide(task))?;
                }
            }
        }
        Ok(matcher.at_the_beginning())
    }

    fn take_listed(&mut self, decision: Result<Decision, Refusal>) -> Result<(), Failure> {
        if let Ok(Decision::Run { task, .. }) = &decision {
            self.found.insert(task.id.clone());
        }
        self.take(decision)
    }

    fn take(&mut self, decision: Result<Decision, Refusal>) -> Result<(), Failure> {
        match decision {
            Ok(Decision::Run { task, reason, .. }) => {
                self.run_count += 1;
                *self.runs.entry(reason.map_or("", Reason::as_str)).or_default() += 1;
                if self.first.len() < crate::dry_run::SHOWN_TASKS {
                    self.first.push((task, reason));
                }
            }
            Ok(Decision::Skip { reason, .. }) => *self.left_out.entry(reason.as_str()).or_default() += 1,
            Err(Refusal::Changed(task)) => {
                self.changed_count += 1;
                if self.changed.len() < SHOWN_CHANGED {
                    self.changed.push(*task);
                }
            }
            Err(Refusal::IdTaken(task)) => {
                return Err(Failure::input(format!(
                    "the id `{}` is that of another task of the list, which was given no id; give the task \
                     another id",
                    task.id
                )));
            }
        }
        Ok(())
    }

    /// What will be done, counted by reason.
    fn describe(&self) -> String {
        let run = match by_reason(&self.runs) {
            named if named.is_empty() => "nothing is left to run".to_owned(),
            named => format!("to run: {named}"),
        };
        match by_reason(&self.left_out) {
            named if named.is_empty() => run,
            named => format!("{run}; left out: {named}"),
        }
    }

    fn refuse(&self, rules: &Rules) -> Result<(), Failure> {
        let unknown: Vec<&String> =
            rules.only.iter().flatten().filter(|id| !self.found.contains(*id)).take(SHOWN_UNKNOWN).collect();
        if let Some(first) = unknown.first() {
            let more = if unknown.len() > 1 { ", and others" } else { "" };
            return Err(Failure::input(format!(
                "--only: there is no task with the id `{first}`{more}; give ids of the task list"
            )));
        }
        if self.changed_count == 0 {
            return Ok(());
        }
        let shown = self.changed.iter().map(|task| format!("  task {}: now `{}`", task.id, task.command));
        let shown: Vec<String> = shown.collect();
        let more = match self.changed_count - shown.len() as u64 {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        let (are, commands) = match self.changed_count {
            1 => ("1 task that succeeded has", "another command"),
            _ => ("tasks that succeeded have", "other commands"),
        };
        Err(Failure::input(format!(
            "{are} {commands} now:\n{}{more}\n  to run them again:  {} --rerun-changed\n  to keep what they \
             did: give the commands of the record, or other ids",
            shown.join("\n"),
            command_line::typed()
        )))
    }
}

fn by_reason(counts: &BTreeMap<&'static str, u64>) -> String {
    let named = ORDER.iter().filter_map(|reason| {
        let count = counts.get(reason.as_str())?;
        Some(format!("{count} {}", words(*reason)))
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A reason in words.
pub const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::NewInList => "new in the list",
        Reason::NeverRan => "never ran",
        Reason::FailedBefore => "failed before",
        Reason::InterruptedBefore => "interrupted before",
        Reason::CommandChanged => "with another command",
        Reason::Listed => "listed by --only",
        Reason::Retry => "retried",
        Reason::SucceededBefore => "succeeded before",
        Reason::NotListed => "not listed by --only",
    }
}
