//! The processes that start agents: `srun` and the like.
//!
//! Each gets the invitation on standard input. What they print is for the user. How they end decides
//! nothing: `srun` returns 0 although a node was lost, and may hang for ever.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::FromHub;
use crate::backend::StartCommand;

/// So much of what a launcher prints is passed on.
const MOST_LINES: usize = 40;
const LONGEST_LINE: usize = 500;
/// Once all agents have ended, a launcher has nothing more to do.
const ENDS_ITSELF_WITHIN: Duration = Duration::from_secs(5);
const ENDS_WHEN_ASKED_WITHIN: Duration = Duration::from_secs(3);

/// Starts all, and waits until they end or are to be ended: when the sender of `ending` is gone.
pub async fn run(
    commands: Vec<StartCommand>,
    invitation: Vec<u8>,
    news: mpsc::UnboundedSender<FromHub>,
    ending: watch::Receiver<()>,
) {
    let mut launchers = JoinSet::new();
    for command in commands {
        launchers.spawn(launch(command, invitation.clone(), news.clone(), ending.clone()));
    }
    let mut how = Vec::new();
    while let Some(ended) = launchers.join_next().await {
        how.extend(ended);
    }
    how.dedup();
    // Nobody listens once the run is over.
    let _ = news.send(FromHub::LaunchersEnded(how.join("; ")));
}

/// Starts one, and says how it ended.
async fn launch(
    command: StartCommand,
    invitation: Vec<u8>,
    news: mpsc::UnboundedSender<FromHub>,
    mut ending: watch::Receiver<()>,
) -> String {
    let StartCommand { program, place, .. } = &command;
    let mut child = match start(&command) {
        Ok(child) => child,
        Err(error) => {
            let message = format!("failed to start `{program}` for {place}: {error}");
            let _ = news.send(FromHub::Warning(message.clone()));
            return message;
        }
    };
    if let Some(mut input) = child.stdin.take() {
        let line = [invitation.as_slice(), b"\n"].concat();
        // One that ends at once says why by its output.
        let _ = input.write_all(&line).await;
    }
    let output =
        child.stdout.take().map(|output| tokio::spawn(pass_on(output, news.clone(), command.clone())));
    let errors =
        child.stderr.take().map(|errors| tokio::spawn(pass_on(errors, news.clone(), command.clone())));
    let status = tokio::select! {
        status = child.wait() => status,
        // The only message is the end of the sender.
        _ = ending.changed() => end(&mut child).await,
    };
    for reader in [output, errors].into_iter().flatten() {
        // What it started may hold its output open.
        let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
    }
    match status {
        Ok(status) => format!("`{program}` for {place}: {status}"),
        Err(error) => format!("`{program}` for {place}: {error}"),
    }
}

fn start(command: &StartCommand) -> std::io::Result<Child> {
    let mut process = Command::new(&command.program);
    process
        .args(&command.arguments)
        // The terminal's signals are for the coordinator.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for variable in command.without_variables {
        process.env_remove(variable);
    }
    process.spawn()
}

/// The agents have ended: what is left hangs.
async fn end(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    for (patience, signal) in [(ENDS_ITSELF_WITHIN, Signal::TERM), (ENDS_WHEN_ASKED_WITHIN, Signal::KILL)] {
        if let Ok(status) = tokio::time::timeout(patience, child.wait()).await {
            return status;
        }
        if let Some(group) = group {
            // It has not been reaped, so the number is still its own.
            let _ = kill_process_group(group, signal);
        }
    }
    child.wait().await
}

async fn pass_on(
    output: impl AsyncRead + Unpin,
    news: mpsc::UnboundedSender<FromHub>,
    command: StartCommand,
) {
    let mut lines = BufReader::new(output).split(b'\n');
    let mut count = 0;
    while let Ok(Some(line)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&line);
        if command.harmless.iter().any(|harmless| text.contains(harmless)) {
            continue;
        }
        count += 1;
        let text: String = text.trim().chars().take(LONGEST_LINE).collect();
        if count <= MOST_LINES && !text.is_empty() {
            let _ = news.send(FromHub::Warning(format!("{} ({}): {text}", command.program, command.place)));
        }
    }
}
