//! How an agent is started on this machine, and the pipes to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::FarmError;

const AGENT: &str = "ictasks-agent";

/// An agent that was started, and the pipes to it.
pub struct LocalNode {
    /// The process.
    pub child: Child,
    /// Its requests.
    pub requests: ChildStdin,
    /// Its replies.
    pub replies: ChildStdout,
}

impl LocalNode {
    /// Starts `program` as the agent of this machine.
    ///
    /// # Errors
    /// [`FarmError::StartAgent`].
    pub fn start(program: &Path) -> Result<Self, FarmError> {
        let start_error = |source| FarmError::StartAgent { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(start_error)?;
        let missing = || start_error(std::io::Error::other("it has no pipes"));
        let requests = child.stdin.take().ok_or_else(missing)?;
        let replies = child.stdout.take().ok_or_else(missing)?;
        Ok(Self { child, requests, replies })
    }
}

/// The agent's program: beside this one, else in `PATH`.
///
/// # Errors
/// [`FarmError::NoAgent`].
pub fn find_agent() -> Result<PathBuf, FarmError> {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().map(|directory| directory.join(AGENT));
    let in_path = std::env::var_os("PATH");
    let in_path = in_path.iter().flat_map(std::env::split_paths).map(|directory| directory.join(AGENT));
    beside.into_iter().chain(in_path).find(|path| path.is_file()).ok_or(FarmError::NoAgent { beside: own })
}
