//! A run of the program while it goes on, and after its end.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};

use insta::Settings;
use tempfile::TempDir;

use crate::processes::send_signal;
use crate::programs::clone_root;
use crate::record::Record;
use crate::wait::wait_for;

/// The program, running. Dropped before its end (a test failed), it is killed.
pub struct Running {
    child: Child,
    directory: Option<TempDir>,
    /// What the run has recorded until now.
    pub record: Record,
}

impl Running {
    pub(crate) fn new(child: Child, directory: TempDir) -> Self {
        let record = Record::new(directory.path().join("run"));
        Self { child, directory: Some(directory), record }
    }

    /// The directory that the program was started in.
    ///
    /// # Panics
    /// Never while it runs.
    pub fn directory(&self) -> &Path {
        self.directory.as_ref().expect("it runs").path()
    }

    /// What the program has written to standard error until now.
    ///
    /// # Panics
    /// If that cannot be read.
    pub fn stderr(&self) -> String {
        text(&self.directory().join("stderr"))
    }

    /// Writes a line to the program's standard input.
    ///
    /// # Panics
    /// If the farm was not described with an open standard input, or the pipe is broken.
    pub fn write_line(&mut self, line: &str) {
        let pipe: &mut ChildStdin = self.child.stdin.as_mut().expect("standard input is open");
        writeln!(pipe, "{line}").expect("write to the program");
    }

    /// Closes the program's standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Sends a signal to the program alone, not to its group.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn signal(&self, signal: i32) {
        send_signal(self.pid().into(), signal);
    }

    /// The program's process id.
    ///
    /// # Panics
    /// If it does not fit (it does).
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id fits")
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// If it does not end within ten minutes.
    pub fn wait(mut self) -> Finished {
        drop(self.child.stdin.take());
        let status = wait_for("the end of ictasks", || self.child.try_wait().expect("wait for ictasks"));
        let directory = self.directory.take().expect("it ran");
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: text(&directory.path().join("stdout")),
            stderr: text(&directory.path().join("stderr")),
            record: Record::new(directory.path().join("run")),
            directory,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.directory.is_some() {
            send_signal((-self.pid()).into(), libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// The program after its end.
pub struct Finished {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that it died of, if any.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// The record it left.
    pub record: Record,
    directory: TempDir,
}

impl Finished {
    /// Asserts the exit code.
    ///
    /// # Panics
    /// If it is another, with what the program said.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; signal {:?}\nstdout:\n{}\nstderr:\n{}",
            self.signal,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The directory that the program was started in.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Another run in the same directory, with the record of this one.
    pub fn again(self) -> crate::Farm {
        crate::farm::in_directory(self.directory)
    }

    /// What it wrote to standard error, with `[TMP]` for the test's own directory.
    pub fn said(&self) -> String {
        let directory = self.directory.path().to_string_lossy();
        self.stderr.replace(directory.as_ref(), "[TMP]")
    }

    /// Snapshot settings under which what differs from run to run reads the same: directories,
    /// times, durations, rates.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::clone_current();
        let directory = self.directory.path().to_string_lossy().into_owned();
        settings.add_filter(&literal(&directory), "[TMP]");
        settings.add_filter(&literal(&clone_root().to_string_lossy()), "[CLONE]");
        settings.add_filter(r"\b\d+(\.\d+)? ?(ms|s|min|h)\b", "[TIME]");
        settings.add_filter(r"\b\d[\d,]*(\.\d+)? ?(tasks/s|/s)", "[RATE]");
        settings.add_filter(r"\b\d+(\.\d+)? ?%", "[SHARE]");
        settings.add_filter(r"\(\d+(\.\d+)? [kKM]?i?(B|bytes)\)", "([SIZE])");
        settings
    }
}

/// The text as a regular expression that matches it alone.
fn literal(text: &str) -> String {
    let escape = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '_' => letter.to_string(),
        other => format!("\\{other}"),
    };
    text.chars().map(escape).collect()
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).expect("read what the program wrote");
    String::from_utf8_lossy(&bytes).into_owned()
}
