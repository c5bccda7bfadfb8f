//! The first `task.json` of an attempt, which costs no file of its own.
//!
//! It is a link to a file of the slot; a file of the task's own takes its place later. So each task
//! makes one inode for `task.json` and deletes none, and deleting is dear: ext4 searches around freshly
//! deleted inodes for seconds.

use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};

use ictasks_core::layout;
use rustix::fs::{AtFlags, Mode, OFlags, fstat, ftruncate, linkat, openat, unlinkat};
use rustix::io::Errno;

const FILE_MODE: Mode = Mode::from_bits_truncate(0o666);

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

    /// Links `name` in `directory` to it, with these contents.
    pub fn link(&self, json: &[u8], directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        self.write(json)?;
        linkat(&self.journal, self.name.as_str(), directory, name, AtFlags::empty())
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

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
