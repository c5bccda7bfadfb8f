//! A task's directory and the files that the farm keeps in it.
//!
//! The only module that knows where a task's files lie.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ictasks_core::layout::{self, RESULTS_FILE, TASK_FILE};
use ictasks_core::protocol::Setup;
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fstat, ftruncate, linkat, mkdirat, openat, renameat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;

use crate::process_table::OwnIo;

const TASK_FILE_NEW: &str = ".task.json.new";
const FILE_MODE: Mode = Mode::from_bits_truncate(0o666);
const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o777);

/// The farm's own trouble with a task's directory.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} for `{}`: {source}", path.display())]
pub struct DirectoryError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The directory of one attempt, and its open output files.
pub struct TaskDirectory {
    path: PathBuf,
    descriptor: OwnedFd,
    stdout: OwnedFd,
    /// `None` where both streams go to one file.
    stderr: Option<OwnedFd>,
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
    /// Makes the directory (one that is there already is used) and its output files.
    pub fn create(run_dir: &OwnedFd, setup: &Setup, task_id: &str) -> Result<Self, DirectoryError> {
        let name = layout::task_directory(task_id);
        let path = setup.run_dir.join(&name);
        let error =
            |action, source: Errno| DirectoryError { action, path: path.clone(), source: source.into() };
        let is_new = match mkdirat(run_dir, &name, DIRECTORY_MODE) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(source) => return Err(error("make the directory", source)),
        };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(run_dir, &name, flags, Mode::empty())
            .map_err(|source| error("open the directory", source))?;
        let open = |name: &str| {
            open_output(descriptor.as_fd(), name).map_err(|source| error("make the output files", source))
        };
        let stdout = open(&setup.stdout_filename)?;
        let one_file = setup.stdout_filename == setup.stderr_filename;
        let stderr = if one_file { None } else { Some(open(&setup.stderr_filename)?) };
        let old_results = if is_new { None } else { identity(descriptor.as_fd(), RESULTS_FILE) };
        Ok(Self { path, descriptor, stdout, stderr, old_results })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where standard output goes.
    pub fn stdout(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// Where standard error goes.
    pub fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_ref().unwrap_or(&self.stdout).as_fd()
    }

    /// Makes it the current directory.
    pub fn enter(&self) -> Result<(), DirectoryError> {
        rustix::process::fchdir(&self.descriptor)
            .map_err(|source| self.error("enter the directory", source.into()))
    }

    /// An error about this directory.
    pub fn error(&self, action: &'static str, source: io::Error) -> DirectoryError {
        DirectoryError { action, path: self.path.clone(), source }
    }

    /// Writes the first `task.json` of an attempt, before its process starts.
    ///
    /// It is a link to the slot's [`Draft`]; [`TaskDirectory::replace_task_file`] puts a file of
    /// its own in its place. So each task makes one inode for `task.json` and deletes none, and
    /// deleting is dear: ext4 searches around freshly deleted inodes for seconds.
    pub fn draft_task_file(&self, draft: &Draft, json: &[u8]) -> Result<(), DirectoryError> {
        let linked = draft.write(json).and_then(|()| {
            linkat(&draft.journal, draft.name.as_str(), &self.descriptor, TASK_FILE, AtFlags::empty())
        });
        match linked {
            Ok(()) => Ok(()),
            // A file of an earlier attempt is there, or the file system has no links.
            Err(_) => self.replace_task_file(json, &mut OwnIo::default()),
        }
    }

    /// Replaces `task.json` as a whole: a reader sees the old document or the new one.
    ///
    /// Renaming over a file makes ext4 flush the new one at once, so they are exchanged and then
    /// the old one is removed.
    pub fn replace_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), DirectoryError> {
        self.exchange_task_file(json, own_io).map_err(|source| self.error("write task.json", source.into()))
    }

    fn exchange_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), Errno> {
        let directory = self.descriptor.as_fd();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match openat(directory, TASK_FILE_NEW, flags, FILE_MODE) {
            Err(Errno::EXIST) => {
                unlinkat(directory, TASK_FILE_NEW, AtFlags::empty())?;
                openat(directory, TASK_FILE_NEW, flags, FILE_MODE)?
            }
            other => other?,
        };
        let mut rest = json;
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest)?;
            own_io.write_calls += 1;
            own_io.written_bytes += i64::try_from(written).unwrap_or(0);
            rest = &rest[written..];
        }
        match renameat_with(directory, TASK_FILE_NEW, directory, TASK_FILE, RenameFlags::EXCHANGE) {
            Ok(()) => unlinkat(directory, TASK_FILE_NEW, AtFlags::empty()),
            // No file of that name yet, or a file system that cannot exchange.
            Err(_) => renameat(directory, TASK_FILE_NEW, directory, TASK_FILE),
        }
    }

    /// Writes a small file of the farm's; one that is there belongs to an earlier attempt and makes room.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), DirectoryError> {
        let written = open_output(self.descriptor.as_fd(), name).and_then(|file| {
            let mut rest = content;
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(&file, rest)?..];
            }
            Ok(())
        });
        written.map_err(|source| self.error("write a file", source.into()))
    }

    /// Size of the standard output file.
    pub fn stdout_bytes(&self) -> Option<i64> {
        size(&self.stdout)
    }

    /// Size of the standard error file; `None` where it is the same file as standard output.
    pub fn stderr_bytes(&self) -> Option<i64> {
        size(self.stderr.as_ref()?)
    }

    /// The last bytes of standard output, as text.
    pub fn stdout_tail(&self, bytes: usize) -> Option<String> {
        tail(&self.stdout, bytes)
    }

    /// The last bytes of standard error, as text.
    pub fn stderr_tail(&self, bytes: usize) -> Option<String> {
        tail(self.stderr.as_ref()?, bytes)
    }

    /// The `result.json` that this attempt wrote, if it is a regular file of at most `limit` bytes.
    pub fn results(&self, limit: usize) -> Option<Vec<u8>> {
        let now = identity(self.descriptor.as_fd(), RESULTS_FILE)?;
        let length = usize::try_from(now.size).ok().filter(|length| *length <= limit)?;
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
}

/// A slot's file in the journal, to which the first `task.json` of each task is a link.
///
/// It is overwritten only while no task links to it. Its length never shrinks: a shorter document
/// is filled up with line feeds, which JSON ignores.
pub struct Draft {
    journal: OwnedFd,
    name: String,
    file: OwnedFd,
    length: Cell<usize>,
}

impl Draft {
    /// Makes the file of worker `worker_id` of host `host_id`.
    pub fn create(run_dir: &OwnedFd, host_id: i32, worker_id: i32) -> Result<Self, Errno> {
        let journal = openat(run_dir, layout::JOURNAL, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = layout::slot_draft(host_id, worker_id);
        // What a killed slot left may still be the `task.json` of its last task: never written again.
        match unlinkat(&journal, name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&journal, name.as_str(), flags, FILE_MODE)?;
        Ok(Self { journal, name, file, length: Cell::new(0) })
    }

    fn write(&self, json: &[u8]) -> Result<(), Errno> {
        let stat = fstat(&self.file)?;
        if stat.st_nlink != 1 {
            // It is still some task's `task.json`, for instance since the disk was full at its end.
            return Err(Errno::MLINK);
        }
        if usize::try_from(stat.st_size).is_ok_and(|size| size > self.length.get()) {
            // A task wrote into it.
            ftruncate(&self.file, self.length.get() as u64)?;
        }
        let mut bytes = json.to_vec();
        bytes.resize(json.len().max(self.length.get()), b'\n');
        let mut written = 0;
        while written < bytes.len() {
            written += rustix::io::pwrite(&self.file, &bytes[written..], written as u64)?;
        }
        self.length.set(bytes.len());
        Ok(())
    }

    /// Removes it, when no more tasks come.
    pub fn remove(&self) {
        // The recorder removes what is left in the journal.
        let _ = unlinkat(&self.journal, self.name.as_str(), AtFlags::empty());
    }
}

/// Opens a fresh output file; one that is there belongs to an earlier attempt and makes room.
fn open_output(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    match openat(directory, name, flags, FILE_MODE) {
        Err(Errno::EXIST) => {
            unlinkat(directory, name, AtFlags::empty())?;
            openat(directory, name, flags, FILE_MODE)
        }
        other => other,
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

fn size(file: &OwnedFd) -> Option<i64> {
    fstat(file).ok().map(|stat| stat.st_size)
}

fn tail(file: &OwnedFd, bytes: usize) -> Option<String> {
    let length = u64::try_from(size(file)?).ok()?;
    let start = length.saturating_sub(bytes as u64);
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match rustix::io::pread(file, &mut buffer[filled..], start + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    let mut text = &buffer[..filled];
    if start > 0 {
        // The first character may be cut in half.
        let cut = text.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
        text = &text[cut..];
    }
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn draft(run_dir: &Path) -> Draft {
        std::fs::create_dir(run_dir.join(layout::JOURNAL)).unwrap();
        let run_dir = rustix::fs::open(run_dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        Draft::create(&run_dir, 0, 0).unwrap()
    }

    #[test]
    fn a_draft_is_one_document_whatever_was_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let draft = draft(dir.path());
        let path = dir.path().join(layout::JOURNAL).join(&draft.name);
        draft.write(b"{\"id\": \"long\"}").unwrap();
        let mut by_a_task = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        by_a_task.write_all(b"its own words").unwrap();
        draft.write(b"{}").unwrap();
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(document, serde_json::json!({}));
    }

    #[test]
    fn a_draft_that_is_still_a_tasks_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let draft = draft(dir.path());
        let task_file = dir.path().join("task.json");
        draft.write(b"{}").unwrap();
        std::fs::hard_link(dir.path().join(layout::JOURNAL).join(&draft.name), &task_file).unwrap();
        assert_eq!(draft.write(b"[]"), Err(Errno::MLINK));
        assert_eq!(std::fs::read(&task_file).unwrap(), b"{}");
    }
}
