//! From a command to a process.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;
use ictasks_core::command::{Launch, Shell, from_submit_dir};
use ictasks_core::protocol::{Setup, TaskOrder};
use rustix::fs::{Access, Mode, OFlags};

use super::dead_man;
use super::directory::TaskDirectory;
use super::environment::Variables;
use crate::memory::oom_score::OomScore;
use crate::sys::{self, Spawner, Streams};

/// Where programs are looked for without a `PATH`.
pub const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Starts the processes of one slot.
pub struct Launcher {
    spawner: Spawner,
    null: OwnedFd,
    found: Found,
    oom_score: OomScore,
}

/// Where programs were found, as a shell remembers it: by name, for one value of `PATH`.
#[derive(Default)]
struct Found {
    path: Vec<u8>,
    programs: HashMap<String, CString>,
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
    /// Memory that it had from its birth on, where that is not the slot's.
    pub rss_floor_bytes: Option<i64>,
}

/// Why no process was started.
#[derive(Debug)]
pub enum LaunchError {
    /// The task's own fault: the reason, for the record.
    Task(String),
    /// The farm's trouble: no more processes, memory or files.
    Farm(io::Error),
    /// The call server's end: the reason, for the record, and the end of what it printed.
    Server {
        /// The reason.
        reason: String,
        /// For the task's standard error.
        printed: Vec<u8>,
    },
    /// No more tasks are to begin.
    Unwanted,
}

impl Launcher {
    /// Prepares what all starts have in common.
    pub fn new() -> io::Result<Self> {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let oom_score = OomScore::open();
        Ok(Self { spawner: Spawner::new(), null, found: Found::default(), oom_score })
    }

    /// `/dev/null`, for standard input.
    pub fn null(&self) -> BorrowedFd<'_> {
        self.null.as_fd()
    }

    /// What tasks have as their `oom_score_adj`.
    pub fn oom_score_of_tasks(&self) -> Option<i32> {
        self.oom_score.raised()
    }

    /// Starts the task's command in the current directory.
    pub fn start(&mut self, task: &Starting<'_>) -> Result<Started, LaunchError> {
        let (command, shell) = (&task.order.command, &task.setup.shell);
        let words = match Launch::of(command, shell) {
            Ok(Launch::Direct(words)) if *shell != Shell::Auto || task.variables.path().is_some() => words,
            // Without PATH every shell has a default of its own.
            Ok(Launch::Direct(_)) => shell_words(command),
            Ok(Launch::Shell(words)) => words,
            Err(error) => return Err(LaunchError::Task(error.to_string())),
        };
        let mut started = self.spawn(task, &words);
        if matches!(&started, Err(SpawnError::Exec(error)) if error.raw_os_error() == Some(libc::ENOEXEC))
            && *shell == Shell::Auto
        {
            started = self.spawn(task, &shell_words(command));
        }
        started.map_err(|error| task.explain(error, &words))
    }

    fn spawn(&mut self, task: &Starting<'_>, words: &[String]) -> Result<Started, SpawnError> {
        let name = words.first().map_or("", String::as_str);
        let program = self.find(task, name)?;
        let words: Result<Vec<CString>, _> = words.iter().map(|word| CString::new(word.as_str())).collect();
        let words = words.map_err(|_| SpawnError::ZeroByte)?;
        let arguments: Vec<_> = words.iter().map(CString::as_c_str).collect();
        let streams = Streams {
            stdin: self.null.as_fd(),
            stdout: task.directory.stdout().as_fd(),
            stderr: task.directory.stderr().unwrap_or(task.directory.stdout()).as_fd(),
            cgroup: task.cgroup,
            dies_with_parent: dead_man::is_held(),
        };
        let environment = task.variables.pairs();
        let (at, monotonic_ns) = (Timestamp::now(), sys::monotonic_ns());
        self.oom_score.raise();
        let spawned = self.spawner.spawn(&program, &arguments, &environment, &streams);
        self.oom_score.lower();
        match spawned {
            Ok(pid) => Ok(Started { pid, at, monotonic_ns, rss_floor_bytes: None }),
            Err(sys::SpawnError::Process(error)) => Err(SpawnError::Process(error)),
            Err(sys::SpawnError::Exec(error)) => {
                // It may have moved since it was found.
                self.found.programs.remove(name);
                Err(SpawnError::Exec(error))
            }
        }
    }

    /// The file of a program, as `execvp` would find it with the task's `PATH`. What was found in
    /// an absolute directory is remembered, as shells do.
    fn find(&mut self, task: &Starting<'_>, program: &str) -> Result<CString, SpawnError> {
        if program.contains('/') {
            return CString::new(program).map_err(|_| SpawnError::ZeroByte);
        }
        let path = task.variables.path().unwrap_or(DEFAULT_PATH);
        if self.found.path != path {
            self.found = Found { path: path.to_vec(), programs: HashMap::new() };
        }
        if let Some(file) = self.found.programs.get(program) {
            return Ok(file.clone());
        }
        let file = search(path, program)?;
        if file.as_bytes().starts_with(b"/") {
            self.found.programs.insert(program.to_owned(), file.clone());
        }
        Ok(file)
    }
}

fn shell_words(command: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()]
}

/// The first executable file of this name in the directories of `path`.
pub fn search(path: &[u8], program: &str) -> Result<CString, SpawnError> {
    let mut not_executable = None;
    for directory in path.split(|byte| *byte == b':') {
        let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
        let file = [directory, b"/", program.as_bytes()].concat();
        match rustix::fs::access(file.as_slice(), Access::EXEC_OK) {
            Ok(()) if is_file(&file) => return CString::new(file).map_err(|_| SpawnError::ZeroByte),
            Err(rustix::io::Errno::ACCESS) if is_file(&file) => {
                not_executable.get_or_insert(file);
            }
            _ => {}
        }
    }
    Err(not_executable.map_or(SpawnError::NotFound, |file| {
        SpawnError::NotExecutable(PathBuf::from(OsStr::from_bytes(&file)))
    }))
}

/// Why a program was not started.
pub enum SpawnError {
    /// No directory has it.
    NotFound,
    /// It may not be executed.
    NotExecutable(PathBuf),
    /// A word holds a zero byte.
    ZeroByte,
    /// The kernel gave no process.
    Process(io::Error),
    /// The kernel did not execute it.
    Exec(io::Error),
}

/// A task that is to be started.
pub struct Starting<'a> {
    /// What it is.
    pub order: &'a TaskOrder,
    /// What holds for every task.
    pub setup: &'a Setup,
    /// Its environment.
    pub variables: &'a Variables<'a>,
    /// Where its output goes.
    pub directory: &'a TaskDirectory,
    /// `cgroup.procs` of the cgroup that it is to be in, if not in the slot's.
    pub cgroup: Option<BorrowedFd<'a>>,
}

impl Starting<'_> {
    fn explain(&self, error: SpawnError, words: &[String]) -> LaunchError {
        let program = words.first().map_or("", String::as_str);
        let reason = match error {
            SpawnError::ZeroByte => "the command holds a zero byte, which no program can be given".to_owned(),
            SpawnError::NotExecutable(path) => format!("`{}` is not executable: chmod +x it", path.display()),
            SpawnError::NotFound => format!("`{program}` was not found in PATH{}", self.correction(program)),
            SpawnError::Process(error) => return LaunchError::Farm(error),
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
        let is_there = !program.starts_with('/') && self.setup.submit_dir.join(program).is_file();
        if !is_there {
            return String::new();
        }
        let submit_dir = self.setup.submit_dir.to_string_lossy();
        let corrected = from_submit_dir(&self.order.command, program, &submit_dir);
        format!(
            "; write `{corrected}`: it is in the directory that the farm was started in, and a task runs in its own"
        )
    }
}

fn is_file(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).is_file()
}
