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
    let wish = if arguments.drain { "drain" } else { "stop" };
    ask(run_dir, wish).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::input(format!("the run in `{shown}` has no journal any more: there is nothing to stop"))
        }
        _ => Failure::input(format!(
            "`{shown}` cannot be written to: {error}; only who may write there can stop the run"
        )),
    })?;
    console.note(match arguments.drain {
        true => "asked: tasks that run will finish, no other will start",
        false => "asked: tasks that run will be ended, no other will start",
    });
    Ok(ExitCode::Success)
}

/// Puts the file there as a whole.
fn ask(run_dir: &Path, wish: &str) -> std::io::Result<()> {
    let journal = run_dir.join(layout::JOURNAL);
    let temporary = journal.join(format!(".{}.new", layout::STOP_FILE));
    fs::write(&temporary, wish)?;
    fs::rename(temporary, journal.join(layout::STOP_FILE))
}
