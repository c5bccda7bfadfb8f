//! The agent of one node. `ictasks taskfarm` starts it; by hand it is of no use.

use std::process::ExitCode;

fn main() -> ExitCode {
    match ictasks_agent::agent::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ictasks-agent: failed to {error}");
            ExitCode::FAILURE
        }
    }
}
