//! One writer a run directory: a lock on `journal/lock`.
//!
//! `flock` is let go by the kernel when its holder dies, whatever way, so a lock file that is
//! left behind stops nobody. The file says who holds it. Where there is no `flock`, or not
//! across hosts, run.json is a lease ([`crate::lease`]).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;

use crate::error::{AtPath, RecordError};
use crate::files::remove_if_there;
use crate::journal::journal_dir;
use crate::lease;

/// Name of the lock file in the journal's directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// The right to write into a run directory. Dropping it gives it back and removes the file.
#[derive(Debug)]
pub struct RunLock {
    run_dir: PathBuf,
    file: File,
    taken_over: Option<String>,
}

impl RunLock {
    /// Takes the lock of `run_dir`, which exists, for this process on `host`.
    ///
    /// # Errors
    /// [`RecordError::Locked`] with host and process of the holder if another process has it;
    /// [`RecordError::Leased`] if a coordinator elsewhere may be alive; [`RecordError::File`] if the
    /// file cannot be made.
    pub fn take(run_dir: &Path, host: &str) -> Result<Self, RecordError> {
        let directory = journal_dir(run_dir);
        let path = directory.join(LOCK_FILE);
        loop {
            fs::create_dir_all(&directory).at("create", &directory)?;
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match opened {
                // The holder before removed the directory between our two steps.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.at("open", &path)?,
            };
            let is_locked = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => return Err(refusal(run_dir, &mut file)),
                Err(TryLockError::Error(error)) if is_unsupported(&error) => false,
                Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
            };
            if !is_at(&file, &path) {
                continue; // The holder before removed the file before we had the lock.
            }
            let taken_over = lease::check(run_dir, host, is_locked, Timestamp::now())?;
            file.set_len(0).at("write", &path)?;
            file.rewind().at("write", &path)?;
            writeln!(file, "process {} on {host}", std::process::id()).at("write", &path)?;
            return Ok(Self { run_dir: run_dir.to_path_buf(), file, taken_over });
        }
    }

    /// For people: whose run, not ended and seen last long ago, this goes on with, if it is
    /// another host's or if there is no lock to tell that it is dead.
    pub fn taken_over(&self) -> Option<&str> {
        self.taken_over.as_deref()
    }

    /// The run directory that the lock is for.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let directory = journal_dir(&self.run_dir);
        let path = directory.join(LOCK_FILE);
        // Only our own file, and while the lock is still held. What cannot be removed harms
        // nobody, and a directory that is not empty holds what a later session needs.
        if is_at(&self.file, &path) && remove_if_there(&path).is_ok() {
            let _ = fs::remove_dir(&directory);
        }
    }
}

/// Whether the file system has no locks (`ENOLCK`, `EOPNOTSUPP`, `ENOSYS`).
pub(crate) fn is_unsupported(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::Unsupported || matches!(error.raw_os_error(), Some(37 | 38 | 95))
}

/// Whether the open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn refusal(run_dir: &Path, file: &mut File) -> RecordError {
    let mut holder = String::new();
    let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
    RecordError::Locked {
        path: run_dir.to_path_buf(),
        holder: if known { holder.trim().to_owned() } else { "another process".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_refused_and_told_by_whom() {
        let run = tempfile::tempdir().unwrap();
        let first = RunLock::take(run.path(), "c17").unwrap();
        let message = RunLock::take(run.path(), "c18").unwrap_err().to_string();
        let expected = format!("process {} on c17 is at work in it", std::process::id());
        assert!(message.ends_with(&expected), "{message}");
        drop(first);
        RunLock::take(run.path(), "c18").unwrap();
    }

    #[test]
    fn a_lock_that_is_given_back_leaves_nothing() {
        let run = tempfile::tempdir().unwrap();
        drop(RunLock::take(run.path(), "c17").unwrap());
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_left_by_a_dead_holder_stops_nobody() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("journal")).unwrap();
        fs::write(run.path().join("journal/lock"), "process 1 on c1, long ago and longer").unwrap();
        let _lock = RunLock::take(run.path(), "c17").unwrap();
        let text = fs::read_to_string(run.path().join("journal/lock")).unwrap();
        assert_eq!(text, format!("process {} on c17\n", std::process::id()));
    }
}
