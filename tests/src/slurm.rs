//! A Slurm cluster of several nodes on this machine, by `tests/slurm/mini-slurm`, and jobs on it.
//!
//! Tests that use it are ignored by default, as it wants Slurm and root rights.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::programs::{self, clone_root};
use crate::record::Record;
use crate::wait::wait_for;

/// Nothing that is asked of Slurm takes so long, seconds.
const PATIENCE: &str = "120";

/// A cluster of its own for a test. It goes down with this value, at the latest with the test's process.
pub struct Cluster {
    /// Slurm's own files; the path is short because of its sockets.
    state: TempDir,
    shared: TempDir,
}

impl Cluster {
    /// A cluster with so many nodes, `node1`, `node2`, …, of four CPUs each.
    ///
    /// # Panics
    /// If Slurm is missing or does not start.
    pub fn up(nodes: usize) -> Self {
        Self::with(nodes, &[])
    }

    /// A cluster with settings of `mini-slurm`.
    ///
    /// # Panics
    /// If Slurm is missing or does not start.
    pub fn with(nodes: usize, settings: &[(&str, &str)]) -> Self {
        let cluster = Self {
            state: TempDir::with_prefix_in("ictasks-slurm-", "/tmp").expect("make a directory"),
            shared: TempDir::with_prefix("ictasks-test-").expect("make a directory"),
        };
        let mut command = cluster.mini_slurm(["up", &nodes.to_string()]);
        command.env("MINI_SLURM_OWNER", std::process::id().to_string()).envs(settings.iter().copied());
        succeeded(command.output().expect("start mini-slurm"), "mini-slurm up");
        cluster
    }

    /// A directory that all nodes see; jobs are submitted there.
    pub fn directory(&self) -> &Path {
        self.shared.path()
    }

    /// Puts a file into the directory and returns its path.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory().join(name);
        fs::write(&path, content).expect("write a file");
        path
    }

    /// Runs a command as on the login node.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn output<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.mini_slurm(["exec"]);
        command.args(words).current_dir(self.directory()).output().expect("start mini-slurm")
    }

    /// Runs a command as on the login node and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn run<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> String {
        let words: Vec<_> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        succeeded(self.output(&words), &format!("{words:?}"))
    }

    /// Submits a batch script with this text, in which `ICTASKS` stands for the program.
    pub fn submit(&self, options: &[&str], script: &str) -> Job<'_> {
        let text = script.replace("ICTASKS", &programs::ictasks().display().to_string());
        self.file("job.sh", format!("#!/bin/bash\n{text}\n"));
        let standard = ["sbatch", "--parsable", "--open-mode=append", "--output=job.out"];
        let id = self.run(standard.iter().chain(options).chain(&["job.sh"]));
        self.job(id.trim())
    }

    /// A job that was submitted.
    pub fn job(&self, id: &str) -> Job<'_> {
        Job { cluster: self, id: id.to_owned() }
    }

    /// Does something to a node, by a verb of `mini-slurm` such as `kill-node 2`.
    ///
    /// # Panics
    /// If it fails.
    pub fn disaster(&self, words: &[&str]) {
        let mut command = self.mini_slurm([]);
        succeeded(command.args(words).output().expect("start mini-slurm"), &format!("{words:?}"));
    }

    /// What a run in this directory left.
    pub fn record(&self, run_dir: &str) -> Record {
        Record::new(self.directory().join(run_dir))
    }

    fn mini_slurm<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg(clone_root().join("tests/slurm/mini-slurm")).args(words);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["ICTASKS_", "MINI_SLURM_", "SLURM_", "SBATCH_", "OMP_", "CUDA_", "ROCR_", "HIP_"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                command.env_remove(&name);
            }
        }
        command.env("MINI_SLURM_DIR", self.state.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["job.out", "job.sh"] {
                let text = fs::read_to_string(self.directory().join(name)).unwrap_or_default();
                eprintln!("{name}:\n{text}");
            }
        }
        let down = self.mini_slurm(["down"]).output();
        if !down.is_ok_and(|output| output.status.success()) {
            eprintln!("the cluster in `{}` did not go down", self.state.path().display());
        }
    }
}

/// A batch job.
pub struct Job<'a> {
    cluster: &'a Cluster,
    /// Its id; of an array the array's.
    pub id: String,
}

impl Job<'_> {
    /// The state in Slurm's words, for instance `RUNNING`; of an array those of all its jobs.
    pub fn states(&self) -> Vec<String> {
        let states = self.cluster.run(["squeue", "-h", "-t", "all", "-r", "-j", &self.id, "-o", "%T"]);
        states.lines().map(str::to_owned).collect()
    }

    /// Waits until it, or every job of an array, is in this state.
    pub fn wait_until(&self, state: &str) {
        let what = format!("the job to be {state}");
        wait_for(&what, || self.states().iter().all(|own| own == state).then_some(()));
    }

    /// Waits for its end and returns the exit code of the batch script, 128 and more for signals as
    /// a shell has it.
    ///
    /// # Panics
    /// If Slurm does not tell it.
    pub fn end(&self) -> i32 {
        let over = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"];
        wait_for("the end of the job", || {
            self.states().iter().all(|state| over.contains(&state.as_str())).then_some(())
        });
        let shown = self.cluster.run(["scontrol", "-o", "show", "job", &self.id]);
        let code = shown.split_whitespace().find_map(|word| word.strip_prefix("ExitCode="));
        let (code, signal) = code.and_then(|code| code.split_once(':')).expect("an exit code");
        let number = |text: &str| text.parse::<i32>().expect("a number");
        if signal == "0" { number(code) } else { 128 + number(signal) }
    }

    /// Runs `scancel` with this option.
    pub fn cancel(&self, options: &[&str]) {
        self.cluster.run(["scancel"].iter().chain(options).chain(&[self.id.as_str()]));
    }
}

/// What the command printed.
fn succeeded(output: Output, what: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{what}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
