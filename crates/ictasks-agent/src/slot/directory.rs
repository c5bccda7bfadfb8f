//! A task's directory and the files that the farm keeps in it.
//!
//! The only module that knows where a task's files lie.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ictasks_core::protocol::Setup;
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fstat, mkdirat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::process_table::OwnIo;

const TASK_FILE: &str = "task.json";
const TASK_FILE_NEW: &str = ".task.json.new";
const RESULTS_FILE: &str = "result.json";
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
        let name = format!("task_{task_id}");
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

    /// Replaces `task.json` as a whole: a reader sees the old document or the new one.
    ///
    /// Renaming over a file makes ext4 flush it at once, so an existing one is exchanged with the
    /// new one and then removed.
    pub fn write_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), DirectoryError> {
        self.replace_task_file(json, own_io).map_err(|source| self.error("write task.json", source.into()))
    }

    fn replace_task_file(&self, json: &[u8], own_io: &mut OwnIo) -> Result<(), Errno> {
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
