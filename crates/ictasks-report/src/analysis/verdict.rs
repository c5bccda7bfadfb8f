//! How it went, in one sentence.

use crate::findings::{Findings, Mood, RunLife, Verdict};
use crate::units::{count, counted, duration};

/// How it is with the last run; with shards of one, which are one, as with that of which most is to be told.
fn life(findings: &Findings) -> RunLife {
    let told_first = [RunLife::Alive, RunLife::Killed, RunLife::Failed, RunLife::Interrupted];
    let is_so = |life: &RunLife| findings.runs.iter().any(|run| run.life == *life);
    let of_shards = told_first.into_iter().find(is_so).filter(|_| findings.are_shards());
    of_shards.or_else(|| Some(findings.runs.last()?.life)).unwrap_or(RunLife::Unknown)
}

/// The verdict on a run, or on several.
pub(super) fn verdict(findings: &Findings) -> Verdict {
    let of =
        |name: &str| findings.outcomes.iter().find(|of| of.outcome == name).map_or(0, |of| of.task_count);
    let succeeded = of("succeeded");
    let failed = findings.failures.task_count;
    let rest = findings.task_count - succeeded - failed;
    let life = life(findings);
    let mut parts = Vec::new();
    if findings.task_count == 0 {
        parts.push("no task has ended".to_owned());
    } else if succeeded == findings.task_count && life != RunLife::Alive {
        parts.push(match succeeded {
            1 => "the only task succeeded".to_owned(),
            2 => "both tasks succeeded".to_owned(),
            _ => format!("all {} succeeded", counted(succeeded, "task")),
        });
    } else {
        let ended = if life == RunLife::Alive { " that ended" } else { "" };
        let tasks = counted(findings.task_count, "task");
        parts.push(format!("{} of {tasks}{ended} succeeded", count(succeeded)));
        if failed > 0 {
            parts.push(format!("{} failed", count(failed)));
        }
        if rest > 0 {
            parts.push(format!("{} did not finish", count(rest)));
        }
    }
    let state = match life {
        RunLife::Alive => format!("; still at work, {} running", count(findings.running_count)),
        RunLife::Killed if findings.running_count == 0 => "; the run was killed".to_owned(),
        RunLife::Killed => {
            format!("; the run was killed while {} ran", counted(findings.running_count, "task"))
        }
        RunLife::Interrupted => "; the run was interrupted".to_owned(),
        RunLife::Failed => "; the run ended in trouble of its own".to_owned(),
        RunLife::Finished | RunLife::Unknown => String::new(),
    };
    let list = findings
        .runs
        .iter()
        .all(|run| run.list_complete || run.life == RunLife::Alive || run.run_id.is_empty());
    let list = if list { "" } else { "; tasks beyond these were not read from the list" };
    let mut sentence =
        format!("{}{state}{list}, in {}", parts.join(", "), duration(findings.time.makespan_s));
    if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
        sentence.replace_range(..1, &first);
    }
    let is_over = life == RunLife::Finished || life == RunLife::Unknown;
    let mood = if succeeded == findings.task_count && findings.task_count > 0 && is_over {
        Mood::Good
    } else if succeeded == 0 && failed > 0 {
        Mood::Bad
    } else {
        Mood::Mixed
    };
    Verdict { mood, sentence }
}
