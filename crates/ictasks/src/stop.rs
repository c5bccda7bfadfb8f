//! `ictasks stop`: asks a run to stop, by a file in its journal.

use std::fs;
use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_record::{Life, RunFile, RunState};

use crate::cli::StopArguments;
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};

/// Runs the subcommand.
///
/// # Errors
/// No run is alive there, or it cannot be asked.
pub fn run(arguments: &StopArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let run_dir = &arguments.run_dir;
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
    let ends_tasks = ask(run_dir, arguments.drain).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::input(format!("the run in `{shown}` has no journal any more: there is nothing to stop"))
        }
        _ => Failure::input(format!(
            "`{shown}` cannot be written to: {error}; only who may write there can stop the run"
        )),
    })?;
    console.note(match (ends_tasks, arguments.drain) {
        (false, _) => "asked: tasks that run will finish, no other will start",
        (true, false) => "asked: tasks that run will be ended, no other will start",
        (true, true) => "the run was asked to stop just now: tasks that run will be ended",
    });
    Ok(ExitCode::Success)
}

/// Puts the file there as a whole. A wish that the run has not seen yet stays if it asks for more. Returns
/// whether tasks will be ended.
fn ask(run_dir: &Path, drain: bool) -> std::io::Result<bool> {
    let journal = run_dir.join(layout::JOURNAL);
    let file = journal.join(layout::STOP_FILE);
    if drain && fs::read_to_string(&file).is_ok_and(|asked| asked.trim() == layout::STOP) {
        return Ok(true);
    }
    let temporary = journal.join(format!(".{}.new", layout::STOP_FILE));
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
