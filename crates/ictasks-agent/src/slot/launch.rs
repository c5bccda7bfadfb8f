//! From a command to a process.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;
use ictasks_core::command::{Launch, Shell};
use ictasks_core::protocol::{Setup, TaskOrder};
use rustix::fs::{Access, Mode, OFlags};

use super::directory::TaskDirectory;
use super::environment::Variables;
use crate::sys::{self, Spawner, Streams};

/// Starts the processes of one slot.
pub struct Launcher {
    spawner: Spawner,
    null: OwnedFd,
}

/// A process that was started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Its id.
    pub pid: i32,
    /// The wall clock just before.
    pub at: Timestamp,
    /// The monotonic clock just before.
    pub monotonic_ns: i64,
}

/// Why no process was started.
#[derive(Debug)]
pub enum LaunchError {
    /// The task's own fault: the reason, for the record.
    Task(String),
    /// The farm's trouble: no more processes, memory or files.
    Farm(io::Error),
}

impl Launcher {
    /// Prepares what all starts have in common.
    pub fn new() -> io::Result<Self> {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { spawner: Spawner::new(&super::default_signals()), null })
    }

    /// Starts the task's command in the current directory.
    pub fn start(
        &self,
        order: &TaskOrder,
        setup: &Setup,
        variables: &Variables<'_>,
        directory: &TaskDirectory,
    ) -> Result<Started, LaunchError> {
        let words = match Launch::of(&order.command, &setup.shell) {
            Ok(Launch::Direct(words)) if setup.shell != Shell::Auto || variables.path().is_some() => words,
            // Without PATH every shell has a default of its own.
            Ok(Launch::Direct(_)) => shell_words(&order.command),
            Ok(Launch::Shell(words)) => words,
            Err(error) => return Err(LaunchError::Task(error.to_string())),
        };
        let attempt = Attempt { launcher: self, order, setup, variables, directory };
        match attempt.spawn(&words) {
            Err(SpawnError::Exec(error))
                if error.raw_os_error() == Some(libc::ENOEXEC) && setup.shell == Shell::Auto =>
            {
                attempt.spawn(&shell_words(&order.command))
            }
            other => other,
        }
        .map_err(|error| attempt.explain(error, &words))
    }
}

fn shell_words(command: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()]
}

enum SpawnError {
    NotFound,
    NotExecutable(PathBuf),
    ZeroByte,
    Exec(io::Error),
}

struct Attempt<'a> {
    launcher: &'a Launcher,
    order: &'a TaskOrder,
    setup: &'a Setup,
    variables: &'a Variables<'a>,
    directory: &'a TaskDirectory,
}

impl Attempt<'_> {
    fn spawn(&self, words: &[String]) -> Result<Started, SpawnError> {
        let program = self.find(words.first().map_or("", String::as_str))?;
        let words: Result<Vec<CString>, _> = words.iter().map(|word| CString::new(word.as_str())).collect();
        let words = words.map_err(|_| SpawnError::ZeroByte)?;
        let arguments: Vec<_> = words.iter().map(CString::as_c_str).collect();
        let streams = Streams {
            stdin: self.launcher.null.as_fd(),
            stdout: self.directory.stdout(),
            stderr: self.directory.stderr(),
        };
        let environment = self.variables.pairs();
        let (at, monotonic_ns) = (Timestamp::now(), sys::monotonic_ns());
        self.launcher
            .spawner
            .spawn(&program, &arguments, &environment, &streams)
            .map(|pid| Started { pid, at, monotonic_ns })
            .map_err(SpawnError::Exec)
    }

    /// The file of a program, as `execvp` would find it with the task's `PATH`.
    fn find(&self, program: &str) -> Result<CString, SpawnError> {
        if program.contains('/') {
            return CString::new(program).map_err(|_| SpawnError::ZeroByte);
        }
        let mut not_executable = None;
        for directory in
            self.variables.path().unwrap_or(b"/usr/local/bin:/usr/bin:/bin").split(|byte| *byte == b':')
        {
            let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
            let path = [directory, b"/", program.as_bytes()].concat();
            match rustix::fs::access(path.as_slice(), Access::EXEC_OK) {
                Ok(()) if is_file(&path) => return CString::new(path).map_err(|_| SpawnError::ZeroByte),
                Err(rustix::io::Errno::ACCESS) if is_file(&path) => {
                    not_executable.get_or_insert(path);
                }
                _ => {}
            }
        }
        Err(not_executable.map_or(SpawnError::NotFound, |path| {
            SpawnError::NotExecutable(PathBuf::from(OsStr::from_bytes(&path)))
        }))
    }

    fn explain(&self, error: SpawnError, words: &[String]) -> LaunchError {
        let program = words.first().map_or("", String::as_str);
        let reason = match error {
            SpawnError::ZeroByte => "the command holds a zero byte, which no program can be given".to_owned(),
            SpawnError::NotExecutable(path) => format!("`{}` is not executable: chmod +x it", path.display()),
            SpawnError::NotFound => format!("`{program}` was not found in PATH{}", self.correction(program)),
            SpawnError::Exec(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
                    return LaunchError::Farm(error);
                }
                Some(libc::ENOENT | libc::ENOTDIR)
                    if program.contains('/') && Path::new(program).exists() =>
                {
                    format!("`{program}` cannot be started: the interpreter of its first line does not exist")
                }
                Some(libc::ENOENT | libc::ENOTDIR) => {
                    format!("`{program}` does not exist{}", self.correction(program))
                }
                Some(libc::EACCES) if Path::new(program).is_dir() => format!("`{program}` is a directory"),
                Some(libc::EACCES) => format!("`{program}` is not executable: chmod +x it"),
                Some(libc::E2BIG) => {
                    "the command and its environment are longer than the kernel takes".to_owned()
                }
                Some(libc::ENOEXEC) => {
                    format!("`{program}` is no program: its first line names no interpreter")
                }
                _ => format!("`{program}` cannot be started: {error}"),
            },
        };
        LaunchError::Task(reason)
    }

    /// Where the program lies in the submit directory: the line that would run it.
    fn correction(&self, program: &str) -> String {
        let relative = program.strip_prefix("./").unwrap_or(program);
        let is_there = !program.starts_with('/') && self.setup.submit_dir.join(relative).is_file();
        if !is_there {
            return String::new();
        }
        let corrected = self.order.command.replacen(program, &format!("%SUBMITDIR%/{relative}"), 1);
        format!(
            " (a task runs in its own directory); it is there in the directory that the farm was started in: \
             write `{corrected}`"
        )
    }
}

fn is_file(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).is_file()
}
