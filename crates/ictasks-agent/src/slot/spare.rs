//! The first and the last `task.json` of an attempt, which cost one file together.
//!
//! The first one is a file of the task's, which gets its name when it is whole. The last one is written into a
//! file of the slot, its spare, and then the two are exchanged: what was the task's file is the spare of the
//! next task. So each task makes one inode for `task.json` and deletes none, and deleting is dear: ext4 searches
//! around freshly deleted inodes for minutes. (A rename onto the first file would make ext4 write the new one to
//! the disk at once.)

use std::cell::{Cell, RefCell};
use std::os::fd::{BorrowedFd, OwnedFd};

use ictasks_core::layout::{self, TASK_FILE, TASK_FILE_NEW};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Stat, fstat, ftruncate, linkat, openat, renameat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;

use crate::process_table::OwnIo;

const FILE_MODE: Mode = Mode::from_bits_truncate(0o666);

/// A slot's file in the journal.
pub struct Spare {
    journal: OwnedFd,
    name: String,
    /// The open file and its length; none where the file system cannot exchange files, or one was lost on the way.
    file: RefCell<Option<(OwnedFd, u64)>>,
    /// Whether a file may be made without a name, as far as is known: not on NFS, and not every kernel lets
    /// everybody name it.
    may_be_nameless: Cell<bool>,
}

impl Spare {
    /// Makes the file of worker `worker_id` of host `host_id`.
    pub fn create(run_dir: &OwnedFd, host_id: i32, worker_id: i32) -> Result<Self, Errno> {
        let journal = openat(run_dir, layout::JOURNAL, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = layout::slot_spare(host_id, worker_id);
        let spare = Self { journal, name, file: RefCell::new(None), may_be_nameless: Cell::new(true) };
        // What a killed slot left may be open elsewhere.
        spare.remove()?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&spare.journal, spare.name.as_str(), flags, FILE_MODE)?;
        spare.file.replace(Some((file, 0)));
        Ok(spare)
    }

    /// Makes the first `task.json` in `directory`. Returns it, open for writing.
    pub fn begin(&self, json: &[u8], directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        if self.may_be_nameless.get() {
            match create_nameless(directory, TASK_FILE, json) {
                // There is one of an attempt that was given up before it began.
                Err(Errno::EXIST) => {}
                Err(_) => self.may_be_nameless.set(false),
                made => return made,
            }
        }
        let file = create_anew(directory, TASK_FILE_NEW, json, &mut OwnIo::default())?;
        renameat(directory, TASK_FILE_NEW, directory, TASK_FILE)?;
        Ok(file)
    }

    /// Puts a file with these contents in the place of `name` in `directory`, as a whole, if that is still
    /// `first` and nothing else than this name leads to it; `first` is the spare from then on. False if
    /// it cannot be done this way, and nothing has changed.
    pub fn exchange(
        &self,
        json: &[u8],
        directory: BorrowedFd<'_>,
        name: &str,
        first: OwnedFd,
    ) -> Result<bool, Errno> {
        let mut spare = self.file.borrow_mut();
        let Some((file, length)) = &mut *spare else { return Ok(false) };
        let Some(first_length) = length_if_only_name(directory, name, &first)? else { return Ok(false) };
        let new_length = json.len() as u64;
        // Should only a part of it find room.
        *length = new_length.max(*length);
        write(file, json, &mut OwnIo::default())?;
        if *length > new_length {
            ftruncate(&*file, new_length)?;
        }
        match renameat_with(&self.journal, self.name.as_str(), directory, name, RenameFlags::EXCHANGE) {
            Ok(()) => *spare = Some((first, first_length)),
            Err(_) => {
                *spare = None;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes it, when no more tasks come.
    pub fn remove(&self) -> Result<(), Errno> {
        match unlinkat(&self.journal, self.name.as_str(), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }
}

/// The length of the open file, if the name leads to it and no other name does.
fn length_if_only_name(directory: BorrowedFd<'_>, name: &str, file: &OwnedFd) -> Result<Option<u64>, Errno> {
    let identity = |stat: &Stat| (stat.st_dev, stat.st_ino);
    let named = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        named => named?,
    };
    let is_only_name = named.st_nlink == 1 && identity(&named) == identity(&fstat(file)?);
    Ok(is_only_name.then(|| u64::try_from(named.st_size).unwrap_or(0)))
}

/// Writes a whole document from the start of a file.
fn write(file: &OwnedFd, json: &[u8], own_io: &mut OwnIo) -> Result<(), Errno> {
    let mut written = 0;
    while written < json.len() {
        let count = rustix::io::pwrite(file, &json[written..], written as u64)?;
        own_io.write_calls += 1;
        own_io.written_bytes += i64::try_from(count).unwrap_or(0);
        written += count;
    }
    Ok(())
}

/// Makes a file with this document and then gives it a name that is not there yet. Returns it, open for writing.
/// This costs less than a first name and a rename.
fn create_nameless(directory: BorrowedFd<'_>, name: &str, json: &[u8]) -> Result<OwnedFd, Errno> {
    let file = openat(directory, ".", OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, FILE_MODE)?;
    write(&file, json, &mut OwnIo::default())?;
    linkat(&file, "", directory, name, AtFlags::EMPTY_PATH)?;
    Ok(file)
}

/// Makes a file with this document in the place of one that may be there. Returns it, open for writing.
pub fn create_anew(
    directory: BorrowedFd<'_>,
    name: &str,
    json: &[u8],
    own_io: &mut OwnIo,
) -> Result<OwnedFd, Errno> {
    match create(directory, name, json, own_io) {
        Err(Errno::EXIST) => {
            unlinkat(directory, name, AtFlags::empty())?;
            create(directory, name, json, own_io)
        }
        created => created,
    }
}

/// Makes a file that is not there yet, with this document. Returns it, open for writing.
fn create(directory: BorrowedFd<'_>, name: &str, json: &[u8], own_io: &mut OwnIo) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(directory, name, flags, FILE_MODE)?;
    match write(&file, json, own_io) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Half a document is of no use, and its room may be wanted.
            let _ = unlinkat(directory, name, AtFlags::empty());
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    /// A run directory with a spare file and a task's directory.
    struct Scene {
        dir: tempfile::TempDir,
        spare: Spare,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join(layout::JOURNAL)).unwrap();
            fs::create_dir(dir.path().join("task")).unwrap();
            let spare = Spare::create(&open(dir.path()), 0, 0).unwrap();
            Self { dir, spare }
        }

        fn path(&self) -> std::path::PathBuf {
            self.dir.path().join("task/task.json")
        }

        /// Begins a task, lets `task` do something, and ends it.
        fn perform(&self, first: &str, last: &str, task: impl FnOnce(&Path)) -> bool {
            let _ = fs::remove_file(self.path());
            let directory = open(&self.dir.path().join("task"));
            let file =
                create(directory.as_fd(), "task.json", first.as_bytes(), &mut OwnIo::default()).unwrap();
            assert_eq!(fs::read_to_string(self.path()).unwrap(), first);
            task(&self.path());
            self.spare.exchange(last.as_bytes(), directory.as_fd(), "task.json", file).unwrap()
        }
    }

    #[test]
    fn every_task_gets_its_own_document_whatever_the_length_of_the_ones_before() {
        let scene = Scene::new();
        for (first, last) in [("[1]", "[1, \"done\"]"), ("[2, \"a long one\"]", "[]"), ("[3]", "[3, 3]")] {
            assert!(scene.perform(first, last, |_| {}));
            assert_eq!(fs::read_to_string(scene.path()).unwrap(), last);
        }
        scene.spare.remove().unwrap();
        assert_eq!(fs::read_dir(scene.dir.path().join(layout::JOURNAL)).unwrap().count(), 0);
    }

    #[test]
    fn a_first_document_takes_the_place_of_one_that_was_given_up() {
        for may_be_nameless in [true, false] {
            let scene = Scene::new();
            scene.spare.may_be_nameless.set(may_be_nameless);
            let directory = open(&scene.dir.path().join("task"));
            for document in ["[1]", "[2, 3]"] {
                scene.spare.begin(document.as_bytes(), directory.as_fd()).unwrap();
                assert_eq!(fs::read_to_string(scene.path()).unwrap(), document);
            }
            assert_eq!(fs::read_dir(scene.dir.path().join("task")).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_a_task_wrote_into_its_file_is_in_no_other() {
        let scene = Scene::new();
        assert!(scene.perform("{}", "[1]", |path| fs::write(path, "its own words, and many").unwrap()));
        assert!(scene.perform("{}", "[2]", |_| {}));
        assert_eq!(fs::read_to_string(scene.path()).unwrap(), "[2]");
    }

    #[test]
    fn a_file_that_the_task_replaced_or_linked_or_removed_is_not_taken() {
        let scene = Scene::new();
        let aside = scene.dir.path().join("aside");
        assert!(!scene.perform("{}", "[1]", |path| fs::rename(path, &aside).unwrap()));
        assert!(!scene.perform("{}", "[1]", |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "mine").unwrap();
        }));
        assert_eq!(fs::read_to_string(scene.path()).unwrap(), "mine");
        assert!(!scene.perform("{}", "[1]", |path| fs::hard_link(path, path.with_extension("2")).unwrap()));
        assert_eq!(fs::read_to_string(scene.path()).unwrap(), "{}");
        assert!(scene.perform("{}", "[2]", |_| {}), "the spare is still there");
        assert_eq!(fs::read_to_string(aside).unwrap(), "{}");
    }
}
