//! A task's directory and the files that the farm keeps in it.
//!
//! With [`super::spare`] and [`super::output_file`] the only module that knows where a task's files lie.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ictasks_core::layout::{
    self, EXCEPTION_FILE, GPU_IDS_FILE, RESULTS_FILE, RETURN_FILE, TASK_FILE, TASK_FILE_NEW,
};
use ictasks_core::protocol::{Setup, TaskOrder};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::output_file::OutputFile;
use super::spare::{self, Spare};
use crate::process_table::OwnIo;
use crate::trouble::{is_general, remedy};

const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o777);

/// Trouble with a task's directory.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} for `{}`: {source}{}", path.display(), remedy(source))]
pub struct DirectoryError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
    is_of_task: bool,
}

impl DirectoryError {
    /// Whether an earlier attempt at the task left its directory so; else it is the farm's own trouble.
    pub fn is_of_task(&self) -> bool {
        self.is_of_task
    }

    /// What the system said.
    pub fn reason(&self) -> &io::Error {
        &self.source
    }
}

/// The directory of one attempt, and its open output files.
pub struct TaskDirectory {
    name: String,
    path: PathBuf,
    descriptor: OwnedFd,
    stdout: OutputFile,
    /// `None` where both streams go to one file.
    stderr: Option<OutputFile>,
    /// The first `task.json`, if this attempt made the file, until the last one takes its place.
    first_task_file: Cell<Option<OwnedFd>>,
    /// Whether an earlier attempt has used it.
    is_used: bool,
    /// What lay there as `result.json` before this attempt, if anything.
    old_results: Option<FileIdentity>,
}

/// Tells whether a file is still the one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity {
    inode: u64,
    size: i64,
    changed_s: i64,
    changed_ns: u64,
}

impl TaskDirectory {
    /// Makes the directory and its output files. A directory that is there already is used; what an
    /// earlier attempt left in it is set aside.
    pub fn create(run_dir: &OwnedFd, setup: &Setup, order: &TaskOrder) -> Result<Self, DirectoryError> {
        let name = layout::task_directory(&order.task_id);
        let path = setup.run_dir.join(&name);
        let is_new = match mkdirat(run_dir, &name, DIRECTORY_MODE) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(source) => {
                let (action, source) = ("make the directory", source.into());
                return Err(DirectoryError { action, path, source, is_of_task: false });
            }
        };
        let is_used = !is_new && order.attempt > 1;
        let error = |action, source: Errno| {
            let source = source.into();
            DirectoryError { action, path: path.clone(), is_of_task: is_used && !is_general(&source), source }
        };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(run_dir, &name, flags, Mode::empty())
            .map_err(|source| error("open the directory", source))?;
        if is_used {
            set_aside(descriptor.as_fd(), setup, order.attempt - 1)
                .map_err(|source| error("set the files of the earlier attempt aside", source))?;
        }
        let one_file = setup.stdout_filename == setup.stderr_filename;
        let limits = setup.max_output;
        let stdout_limit = if one_file {
            limits.stdout_bytes.into_iter().chain(limits.stderr_bytes).min()
        } else {
            limits.stdout_bytes
        };
        let open = |name: &str, limit| {
            OutputFile::create(descriptor.as_fd(), name, limit)
                .map_err(|source| error("make the output files", source))
        };
        let stdout = open(&setup.stdout_filename, stdout_limit)?;
        let stderr = if one_file { None } else { Some(open(&setup.stderr_filename, limits.stderr_bytes)?) };
        let old_results = if is_new { None } else { identity(descriptor.as_fd(), RESULTS_FILE) };
        let first_task_file = Cell::new(None);
        Ok(Self { name, path, descriptor, stdout, stderr, first_task_file, is_used, old_results })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open directory.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Where standard output goes.
    pub fn stdout(&self) -> &OutputFile {
        &self.stdout
    }

    /// Where standard error goes; `None` where it is the same file as standard output.
    pub fn stderr(&self) -> Option<&OutputFile> {
        self.stderr.as_ref()
    }

    /// Adds to standard error what explains why there is nothing else.
    pub fn print(&self, text: &[u8]) {
        let file = self.stderr().unwrap_or(self.stdout());
        // The reason itself is in the record.
        let _ = rustix::io::write(file, text);
    }

    /// Makes it the current directory.
    pub fn enter(&self) -> Result<(), DirectoryError> {
        rustix::process::fchdir(&self.descriptor).map_err(|source| self.error("enter the directory", source))
    }

    /// An error of this directory.
    fn error(&self, action: &'static str, source: Errno) -> DirectoryError {
        let error = self.trouble(action, source.into());
        DirectoryError { is_of_task: self.is_used && !is_general(&error.source), ..error }
    }

    /// The farm's trouble with something else, on the way to the task of this directory.
    pub fn trouble(&self, action: &'static str, source: io::Error) -> DirectoryError {
        DirectoryError { action, path: self.path.clone(), source, is_of_task: false }
    }

    /// Writes the first `task.json` of an attempt, before its process starts: a reader sees none or all of it.
    pub fn begin_task_file(&self, json: &[u8], spare: &Spare) -> Result<(), DirectoryError> {
        let made = spare.begin(json, self.descriptor.as_fd());
        let file = made.map_err(|source| self.error("write task.json", source))?;
        self.first_task_file.set(Some(file));
        Ok(())
    }

    /// Writes the last `task.json` of an attempt: a reader sees the old document or the new one.
    pub fn end_task_file(&self, json: &[u8], spare: &Spare) -> Result<(), DirectoryError> {
        if let Some(first) = self.first_task_file.take() {
            let exchanged = spare.exchange(json, self.descriptor.as_fd(), TASK_FILE, first);
            if exchanged.map_err(|source| self.error("write task.json", source))? {
                return Ok(());
            }
        }
        self.replace_task_file(json, &mut OwnIo::default())
    }

    /// Replaces `task.json` as a whole: a reader sees the old document or the new one.
    ///
    /// Renaming over a file makes ext4 flush the new one at once, so they are exchanged and then
    /// the old one is removed.
    pub fn replace_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), DirectoryError> {
        self.exchange_task_file(json, own_io).map_err(|source| self.error("write task.json", source))
    }

    fn exchange_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), Errno> {
        let directory = self.descriptor.as_fd();
        spare::create_anew(directory, TASK_FILE_NEW, json, own_io)?;
        match renameat_with(directory, TASK_FILE_NEW, directory, TASK_FILE, RenameFlags::EXCHANGE) {
            Ok(()) => unlinkat(directory, TASK_FILE_NEW, AtFlags::empty()),
            // No file of that name yet, or a file system that cannot exchange.
            Err(_) => renameat(directory, TASK_FILE_NEW, directory, TASK_FILE),
        }
    }

    /// Writes `gpu_ids.txt`; one that is there is of an attempt that was given up before it began.
    pub fn write_gpu_ids(&self, text: &str) -> Result<(), DirectoryError> {
        let (directory, own_io) = (self.descriptor.as_fd(), &mut OwnIo::default());
        let written = spare::create_anew(directory, GPU_IDS_FILE, text.as_bytes(), own_io);
        written.map(drop).map_err(|source| self.error("write gpu_ids.txt", source))
    }

    /// The first `limit` bytes of the `result.json` that this attempt wrote, if it is a regular file.
    pub fn results(&self, limit: usize) -> Option<Vec<u8>> {
        let now = identity(self.descriptor.as_fd(), RESULTS_FILE)?;
        let length = usize::try_from(now.size).ok()?.min(limit);
        if self.old_results == Some(now) {
            return None;
        }
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = openat(&self.descriptor, RESULTS_FILE, flags, Mode::empty()).ok()?;
        let mut bytes = vec![0; length];
        let read = OwnIo::default().read(&file, &mut bytes).ok()?;
        bytes.truncate(read);
        Some(bytes)
    }

    /// Removes what the farm wrote for this attempt and those before it, and the directory if nothing
    /// else is in it.
    pub fn remove_files(self, run_dir: &OwnedFd, setup: &Setup, attempt: i32) {
        let Self { name, descriptor, stdout, stderr, first_task_file, .. } = self;
        // Removed while it is open, a file on NFS leaves another behind.
        drop((stdout, stderr, first_task_file));
        let suffixes = (1..attempt).map(layout::attempt_suffix).chain([String::new()]);
        for suffix in suffixes {
            for file in own_files(setup) {
                // What is not there need not be removed; a directory of that name is the task's.
                let _ = unlinkat(&descriptor, format!("{file}{suffix}"), AtFlags::empty());
            }
        }
        let _ = unlinkat(run_dir, name, AtFlags::REMOVEDIR);
    }
}

/// The files that the farm writes in a task's directory.
fn own_files(setup: &Setup) -> [&str; 4] {
    [TASK_FILE, &setup.stdout_filename, &setup.stderr_filename, GPU_IDS_FILE]
}

/// Renames the files of an earlier attempt.
fn set_aside(directory: BorrowedFd<'_>, setup: &Setup, earlier: i32) -> Result<(), Errno> {
    let suffix = layout::attempt_suffix(earlier);
    for file in own_files(setup).into_iter().chain([RESULTS_FILE, RETURN_FILE, EXCEPTION_FILE]) {
        let aside = format!("{file}{suffix}");
        match renameat_with(directory, file, directory, &aside, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::NOENT) => {}
            // They are set aside already, by an attempt that was given up before it began.
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS) => rename_to_free_name(directory, file, &aside)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// For file systems that cannot rename to a free name only.
fn rename_to_free_name(directory: BorrowedFd<'_>, from: &str, to: &str) -> Result<(), Errno> {
    match rustix::fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(()),
        Err(Errno::NOENT) => match renameat(directory, from, directory, to) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        },
        Err(error) => Err(error),
    }
}

fn identity(directory: BorrowedFd<'_>, name: &str) -> Option<FileIdentity> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
    is_file.then_some(FileIdentity {
        inode: stat.st_ino,
        size: stat.st_size,
        changed_s: stat.st_mtime,
        changed_ns: stat.st_mtime_nsec,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::specimen;

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn create(run_dir: &Path, attempt: i32) -> TaskDirectory {
        let setup = specimen::setup(run_dir);
        let open = rustix::fs::open(run_dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        TaskDirectory::create(&open, &setup, &TaskOrder { attempt, ..specimen::order("true") }).unwrap()
    }

    #[test]
    fn the_files_of_an_earlier_attempt_are_set_aside_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let task = dir.path().join("task_0");
        let first = create(dir.path(), 1);
        first.replace_task_file(b"{}", &mut OwnIo::default()).unwrap();
        fs::write(task.join("result.json"), "{\"a\":1}").unwrap();
        fs::write(task.join("checkpoint"), "mine").unwrap();
        assert!(first.results(100).is_some());
        let second = create(dir.path(), 2);
        assert_eq!(second.results(100), None);
        let set_aside = ["result.json", "stderr.txt", "stdout.txt", "task.json"];
        let mut expected: BTreeSet<String> = set_aside.map(|name| format!("{name}.attempt-1")).into();
        expected.extend(["checkpoint", "stderr.txt", "stdout.txt"].map(str::to_owned));
        assert_eq!(names(&task), expected);
        // Given up before it began, and tried again: the files of the first attempt stay.
        fs::write(task.join("stdout.txt.attempt-1"), "first").unwrap();
        create(dir.path(), 2);
        assert_eq!(names(&task), expected);
        assert_eq!(fs::read(task.join("stdout.txt.attempt-1")).unwrap(), b"first");
    }

    #[test]
    fn whoever_reads_a_task_file_reads_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(layout::JOURNAL)).unwrap();
        let run_dir = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let spare = Spare::create(&run_dir, 0, 0).unwrap();
        let path = dir.path().join("task_0/task.json");
        let document = format!("{{{}}}", " ".repeat(500));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if let Ok(found) = fs::read(&path) {
                        assert_eq!(found.len(), document.len());
                    }
                }
            });
            for attempt in 1..500 {
                create(dir.path(), attempt).begin_task_file(document.as_bytes(), &spare).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert!(!names(&dir.path().join("task_0")).contains(TASK_FILE_NEW));
    }

    #[test]
    fn results_that_lay_there_before_a_first_attempt_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let task = dir.path().join("task_0");
        fs::create_dir(&task).unwrap();
        fs::write(task.join("result.json"), "{\"a\":1}").unwrap();
        let directory = create(dir.path(), 1);
        assert_eq!(directory.results(100), None);
        fs::write(task.join("result.json"), "{\"a\":22}").unwrap();
        assert!(directory.results(100).is_some());
    }

    #[test]
    fn what_the_farm_wrote_can_be_removed_with_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let setup = specimen::setup(dir.path());
        let run_dir = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        create(dir.path(), 1).replace_task_file(b"{}", &mut OwnIo::default()).unwrap();
        create(dir.path(), 2).remove_files(&run_dir, &setup, 2);
        assert!(names(dir.path()).is_empty());
        fs::create_dir(dir.path().join("task_0")).unwrap();
        fs::write(dir.path().join("task_0/result.h5"), "mine").unwrap();
        create(dir.path(), 1).remove_files(&run_dir, &setup, 1);
        assert_eq!(names(&dir.path().join("task_0")), BTreeSet::from(["result.h5".to_owned()]));
    }
}
