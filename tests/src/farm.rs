//! A farm as a test describes it: a fresh directory, tasks, arguments, environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::programs;
use crate::running::{Finished, Running};

/// Begins the description of a run of the program: two workers, in a fresh directory.
///
/// # Panics
/// If no directory can be made.
pub fn farm() -> Farm {
    in_directory(TempDir::with_prefix("ictasks-test-").expect("make a directory"))
}

/// As [`farm`], with its fresh directory below `parent`.
///
/// # Panics
/// If no directory can be made.
pub fn farm_in(parent: &Path) -> Farm {
    in_directory(TempDir::with_prefix_in("farm-", parent).expect("make a directory"))
}

pub(crate) fn in_directory(directory: TempDir) -> Farm {
    Farm {
        directory,
        input: Vec::new(),
        arguments: Vec::new(),
        whole_command: None,
        workers: Some(2),
        environment: Vec::new(),
        stdin: None,
        root_rights: true,
        limits: Vec::new(),
        ignores_hang_up: false,
        user: None,
    }
}

/// A run of the program that has not begun. Files lie in one directory, which is also the one
/// that the program is started in; the run directory is `run` below it.
pub struct Farm {
    directory: TempDir,
    input: Vec<OsString>,
    arguments: Vec<OsString>,
    whole_command: Option<Vec<OsString>>,
    workers: Option<u32>,
    environment: Vec<(OsString, OsString)>,
    stdin: Option<StandardInput>,
    root_rights: bool,
    limits: Vec<String>,
    ignores_hang_up: bool,
    user: Option<u32>,
}

enum StandardInput {
    Text(String),
    Pipe,
}

impl Farm {
    /// The directory that the program will be started in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs these commands, from a task list `tasks.txt`.
    #[must_use]
    pub fn tasks<C: AsRef<str>>(self, commands: impl IntoIterator<Item = C>) -> Self {
        let lines = commands.into_iter().map(|line| format!("{}\n", line.as_ref()));
        let text: String = lines.collect();
        self.list(text)
    }

    /// Runs the task list `tasks.txt` with this content.
    #[must_use]
    pub fn list(self, content: impl AsRef<[u8]>) -> Self {
        self.file("tasks.txt", content).input("--tasklist", "tasks.txt")
    }

    /// Runs the task list `tasks.jsonl` with this content.
    #[must_use]
    pub fn jsonl(self, content: impl AsRef<[u8]>) -> Self {
        self.file("tasks.jsonl", content).input("--tasklist", "tasks.jsonl")
    }

    /// Uses the configuration `farm.yaml` with this content.
    #[must_use]
    pub fn yaml(self, content: impl AsRef<[u8]>) -> Self {
        self.file("farm.yaml", content).input("--config", "farm.yaml")
    }

    /// Takes the task list from standard input, which is this text.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(StandardInput::Text(text.into()));
        self.input("--tasklist", "-")
    }

    /// Takes the task list from standard input, which the test writes to while the run goes on.
    #[must_use]
    pub fn open_stdin(mut self) -> Self {
        self.stdin = Some(StandardInput::Pipe);
        self.input("--tasklist", "-")
    }

    /// Puts a file into the directory.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.directory().join(name);
        let folder = path.parent().expect("a file has a folder");
        fs::create_dir_all(folder).expect("make a folder");
        fs::write(&path, content).expect("write a file");
        self
    }

    /// Makes a program that is found before one of the same name elsewhere.
    #[must_use]
    pub fn program_in_path(self, name: &str, text: &str) -> Self {
        let farm = self.file(&format!("bin/{name}"), text);
        let directory = farm.directory().join("bin");
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).expect("make a program");
        let path = std::env::var("PATH").unwrap_or_default();
        farm.env("PATH", format!("{}:{path}", directory.display()))
    }

    /// Names an input: `--config FILE` or `--tasklist FILE`.
    #[must_use]
    pub fn input(mut self, option: &str, file: &str) -> Self {
        self.input.extend([option.into(), file.into()]);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Gives exactly these arguments to the program, and no others.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.whole_command = Some(arguments.collect());
        self
    }

    /// Sets the number of workers; `None` leaves it to the program.
    #[must_use]
    pub fn workers(mut self, count: impl Into<Option<u32>>) -> Self {
        self.workers = count.into();
        self
    }

    /// Sets a variable in the program's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Starts the program without the powers of root, also where the tests run as root.
    #[must_use]
    pub fn without_root_rights(mut self) -> Self {
        self.root_rights = false;
        self
    }

    /// Starts the program under a limit, as the shell's `ulimit` takes it: `-n 64`.
    #[must_use]
    pub fn ulimit(mut self, limit: &str) -> Self {
        self.limits.push(limit.to_owned());
        self
    }

    /// Starts the program with SIGHUP ignored.
    #[must_use]
    pub fn nohup(mut self) -> Self {
        self.ignores_hang_up = true;
        self
    }

    /// Where the tests run as root, starts the program as this user, who needs not exist and may
    /// read everything but write only here; root itself is bound by few limits.
    ///
    /// # Panics
    /// If the directory cannot be given to the user.
    #[must_use]
    pub fn as_user(mut self, id: u32) -> Self {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(self.directory(), Some(id), Some(id)).expect("give the directory away");
            self.user = Some(id);
        }
        self
    }

    /// Runs the program to its end.
    pub fn run(self) -> Finished {
        self.start().wait()
    }

    /// Starts the program.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(self) -> Running {
        let mut command = self.program();
        command
            .args(self.words())
            .current_dir(self.directory())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(self.open_standard_input())
            .stdout(self.create("stdout"))
            .stderr(self.create("stderr"))
            .process_group(0);
        let child = command.spawn().expect("start ictasks");
        Running::new(child, self.directory)
    }

    fn words(&self) -> Vec<OsString> {
        if let Some(words) = &self.whole_command {
            return words.clone();
        }
        let mut words: Vec<OsString> = vec!["taskfarm".into()];
        words.extend_from_slice(&self.input);
        words.extend(["--run-dir".into(), "run".into()]);
        if let Some(count) = self.workers {
            words.extend(["--workers".into(), count.to_string().into()]);
        }
        words.extend_from_slice(&self.arguments);
        words
    }

    /// The program, with an environment that does not depend on where the tests run.
    fn program(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if !self.root_rights {
            words.extend(["setpriv", "--bounding-set=-all", "--inh-caps=-all"].map(OsString::from));
        }
        if let Some(id) = self.user {
            words.extend(
                ["setpriv", "--clear-groups", "--inh-caps=-all,+dac_read_search"].map(OsString::from),
            );
            words.extend([format!("--reuid={id}").into(), format!("--regid={id}").into()]);
            words.push("--ambient-caps=-all,+dac_read_search".into());
        }
        if !self.limits.is_empty() {
            let limits: String = self.limits.iter().map(|limit| format!("ulimit {limit} && ")).collect();
            words.extend(["bash".into(), "-c".into(), format!("{limits} exec \"$0\" \"$@\"").into()]);
        }
        if self.ignores_hang_up {
            words.push("nohup".into());
        }
        words.push(programs::ictasks().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["ICTASKS_", "SLURM_", "OMP_", "CUDA_", "ROCR_", "HIP_"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                command.env_remove(&name);
            }
        }
        command
    }

    fn open_standard_input(&self) -> Stdio {
        match &self.stdin {
            None => Stdio::null(),
            Some(StandardInput::Pipe) => Stdio::piped(),
            Some(StandardInput::Text(text)) => {
                let path = self.directory().join("stdin");
                fs::write(&path, text).expect("write standard input");
                let (reader, mut writer) = std::io::pipe().expect("make a pipe");
                let copy = move || {
                    let mut file = File::open(path).expect("read standard input");
                    // The program may end before it has read all, which breaks the pipe.
                    let _ = std::io::copy(&mut file, &mut writer);
                };
                std::thread::spawn(copy);
                reader.into()
            }
        }
    }

    fn create(&self, name: &str) -> File {
        File::create(self.directory().join(name)).expect("make an output file")
    }
}
