//! The farm with real processes: agents that die, and signals.
//!
//! This program plays every part itself, by the name that it is called by: the coordinator, a
//! stand-in for its agent, and a stand-in for a slot. Being a subreaper and taking signals concern a
//! whole process, so each scenario has one.

mod coordinator;
mod stand_in;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Scenarios that a coordinator goes through on its own.
const SCENARIOS: [&str; 3] = ["lost-agent", "drain", "stop-file"];

fn main() {
    let name = std::env::args().next().unwrap_or_default();
    let first = std::env::args().nth(1).unwrap_or_default();
    let part = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match part {
        "ictasks-agent" => stand_in::agent(),
        "slot" => stand_in::slot(),
        "coordinator" => coordinator::play(&first, Path::new(&std::env::args().nth(2).unwrap())),
        // The harness of other tests may ask for a list.
        _ if first == "--list" => {}
        _ => {
            for scenario in SCENARIOS {
                println!("{scenario}");
                let dir = run_dir();
                let status = coordinator(scenario, dir.path()).status().unwrap();
                assert!(status.success(), "{scenario}: {status}");
            }
            println!("suspend");
            suspension();
        }
    }
}

fn run_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("journal")).unwrap();
    let own = std::env::current_exe().unwrap();
    std::os::unix::fs::symlink(own, dir.path().join("ictasks-agent")).unwrap();
    dir
}

fn coordinator(scenario: &str, run_dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg0("coordinator").arg(scenario).arg(run_dir);
    command
}

/// The shell's view: the coordinator stops after its agent has stopped the tasks, and goes on.
fn suspension() {
    let dir = run_dir();
    let mut child = coordinator("suspend", dir.path()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    stand_in::wait_for(&dir.path().join("busy"));
    // Nothing stands still, so nothing has to go on.
    kill_process(pid, Signal::CONT).unwrap();
    kill_process(pid, Signal::TSTP).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    let said = std::fs::read_to_string(dir.path().join("asked")).unwrap();
    assert_eq!(said, "suspend\n", "the tasks stand still first");
    kill_process(pid, Signal::CONT).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(dir.path().join("asked")).unwrap(), "suspend\ncontinue\n");
}
