//! `ictasks stop`: asks a run to stop, by a file in its journal.

use std::fs;
use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_record::{Life, RunFile, RunState};

use crate::cli::StopArguments;
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};
use crate::run_dirs::with_record;

/// Runs the subcommand.
///
/// # Errors
/// No run is alive there, or it cannot be asked.
pub fn run(arguments: &StopArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let StopArguments { run_dir, drain } = arguments;
    let runs = with_record(run_dir);
    if runs == [run_dir.as_path()] {
        let ends_tasks = stop(run_dir, *drain)?;
        console.note(&format!("asked: {}", what_follows(ends_tasks, *drain)));
        return Ok(ExitCode::Success);
    }
    // Each is asked, whatever is wrong with the others; most may have ended.
    let (mut asked, mut failures) = (0, Vec::new());
    for shard in &runs {
        if RunFile::read(shard).is_ok_and(|run| Life::of(run.as_ref(), Timestamp::now()) != Life::Alive) {
            continue;
        }
        match stop(shard, *drain) {
            Ok(ends_tasks) => {
                asked += 1;
                console.note(&format!("asked `{}`: {}", shard.display(), what_follows(ends_tasks, *drain)));
            }
            Err(failure) => failures.push(failure.message),
        }
    }
    if !failures.is_empty() {
        return Err(Failure::input(failures.join("\n")));
    }
    if asked == 0 {
        let shown = run_dir.display();
        return Err(Failure::input(format!("no shard in `{shown}` is at work: there is nothing to stop")));
    }
    console.note("shards that have not begun were not asked; `scancel` ends jobs that wait");
    Ok(ExitCode::Success)
}

const fn what_follows(ends_tasks: bool, drain: bool) -> &'static str {
    match (ends_tasks, drain) {
        (false, _) => "tasks that run will finish, no other will start",
        (true, false) => "tasks that run will be ended, no other will start",
        (true, true) => "it was asked to stop before, so tasks that run will be ended",
    }
}

/// Asks the run in this directory. Returns whether tasks will be ended.
fn stop(run_dir: &Path, drain: bool) -> Result<bool, Failure> {
    let shown = run_dir.display();
    let run =
        RunFile::read(run_dir).map_err(|error| Failure::input(format!("failed to {}", chain(&error))))?;
    let Some(run) = run else {
        return Err(Failure::input(format!("`{shown}` holds no run; give the directory of one")));
    };
    if Life::of(Some(&run), Timestamp::now()) != Life::Alive {
        let how = match run.state {
            RunState::Running => "was killed".to_owned(),
            state => format!("is {state}"),
        };
        return Err(Failure::input(format!("the run in `{shown}` {how}: there is nothing to stop")));
    }
    ask(run_dir, drain).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::input(format!("the run in `{shown}` has no journal any more: there is nothing to stop"))
        }
        _ => Failure::input(format!(
            "`{shown}` cannot be written to: {error}; only who may write there can stop the run"
        )),
    })
}

/// Puts the file there as a whole. A wish from before stays if it asks for more. Returns whether tasks will be
/// ended.
fn ask(run_dir: &Path, drain: bool) -> std::io::Result<bool> {
    let journal = run_dir.join(layout::JOURNAL);
    let file = journal.join(layout::STOP_FILE);
    if drain && fs::read_to_string(&file).is_ok_and(|asked| asked.trim() == layout::STOP) {
        return Ok(true);
    }
    let temporary = journal.join(format!(".{}.{}", layout::STOP_FILE, std::process::id()));
    fs::write(&temporary, if drain { layout::DRAIN } else { layout::STOP })?;
    fs::rename(temporary, file)?;
    Ok(!drain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_to_stop_is_not_overruled_by_who_asks_to_drain() {
        let run_dir = tempfile::tempdir().unwrap();
        let file = run_dir.path().join(layout::JOURNAL).join(layout::STOP_FILE);
        fs::create_dir(file.parent().unwrap()).unwrap();
        let asked = |drain| (ask(run_dir.path(), drain).unwrap(), fs::read_to_string(&file).unwrap());
        let drain = (false, layout::DRAIN.to_owned());
        let stop = || (true, layout::STOP.to_owned());
        assert_eq!([true, false, true, false].map(asked), [drain, stop(), stop(), stop()]);
    }
}
