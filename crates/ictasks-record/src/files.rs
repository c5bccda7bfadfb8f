//! Writing files so that they survive: reserve, temporary names, syncs and renames.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{AtPath, RecordError, is_full};

/// Name of the reserve in the journal's directory.
pub(crate) const RESERVE_FILE: &str = "reserve";

/// Size of the reserve: a last batch, run.json and small tables.
const RESERVE_BYTES: usize = 256 * 1024;

/// A small file that holds room on the disk. When a write finds the disk or the quota full,
/// the file is removed and the write tried again, so that the end of the run can be written.
#[derive(Clone)]
pub(crate) struct Reserve {
    path: Arc<Path>,
    /// The first write that found no room.
    trouble: Arc<Mutex<Option<(PathBuf, io::Error)>>>,
}

impl Reserve {
    /// Writes the reserve file. Where there is no room for it, there is none for a run either.
    pub(crate) fn create(path: &Path) -> Result<Self, RecordError> {
        if let Err(error) = fs::write(path, vec![0xA5; RESERVE_BYTES]) {
            // Half a reserve would only make the disk fuller.
            let _ = fs::remove_file(path);
            return Err(error).at("write", path);
        }
        Ok(Self { path: path.into(), trouble: Arc::default() })
    }

    /// The first write that found no room, once.
    pub(crate) fn take_trouble(&self) -> Option<RecordError> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.take().map(|(path, source)| RecordError::Full { path, source })
    }

    /// Gives the room up, if another writer has not done so already.
    fn free(&self, needed_by: &Path, error: &io::Error) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            let kept = error
                .raw_os_error()
                .map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
            *trouble = Some((needed_by.to_path_buf(), kept));
        }
        let _ = fs::remove_file(&*self.path);
    }
}

/// A writer that gives the reserve up when there is no room, and tries once more: another writer may just
/// have given it up.
pub(crate) struct ReservedWriter<W> {
    inner: W,
    path: PathBuf,
    reserve: Option<Reserve>,
}

impl<W: Write> ReservedWriter<W> {
    pub(crate) fn new(inner: W, path: &Path, reserve: Option<&Reserve>) -> Self {
        Self { inner, path: path.to_path_buf(), reserve: reserve.cloned() }
    }

    pub(crate) fn inner(&self) -> &W {
        &self.inner
    }
}

impl<W: Write> Write for ReservedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.inner.write(bytes), &self.reserve) {
            (Err(error), Some(reserve)) if is_full(&error) => {
                reserve.free(&self.path, &error);
                self.inner.write(bytes)
            }
            (result, _) => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The name that a file has until it is complete: `.NAME.tmp` beside it.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Gives a complete and synced file its name.
pub(crate) fn put_in_place(path: &Path) -> Result<(), RecordError> {
    fs::rename(temporary(path), path).at("put in place", path)
}

/// Makes what was renamed in a directory, or removed from it, last.
pub(crate) fn sync_directory(path: &Path) -> Result<(), RecordError> {
    let directory = File::open(path).at("open", path)?;
    match directory.sync_all() {
        // Some file systems cannot sync directories; there is nothing more to do then.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.at("sync", path),
    }
}

/// Removes a file; that there is none is fine.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

/// Replaces a small file as a whole: a reader sees the old content or the new.
///
/// A plain rename suffices: it makes ext4 flush the file, which it has been already, and
/// run.json is written every ten seconds, not for every task.
pub(crate) fn replace(path: &Path, content: &[u8], reserve: Option<&Reserve>) -> Result<(), RecordError> {
    let written = write_synced(&temporary(path), content, reserve);
    if written.is_err() {
        // What is there stays as it is.
        let _ = fs::remove_file(temporary(path));
    }
    written?;
    put_in_place(path)?;
    sync_directory(path.parent().unwrap_or(path))
}

fn write_synced(temporary: &Path, content: &[u8], reserve: Option<&Reserve>) -> Result<(), RecordError> {
    let file = File::create(temporary).at("create", temporary)?;
    let mut writer = ReservedWriter::new(file, temporary, reserve);
    writer.write_all(content).at("write", temporary)?;
    writer.inner().sync_all().at("sync", temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full until the reserve is gone.
    struct SmallDisk {
        reserve: PathBuf,
        room: usize,
        written: Vec<u8>,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = if self.reserve.exists() { self.room } else { usize::MAX };
            let fits = bytes.len().min(room.saturating_sub(self.written.len()));
            if fits == 0 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            self.written.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_the_reserve_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let reserve = Reserve::create(&path).unwrap();
        assert!(fs::metadata(&path).unwrap().len() > 200_000);
        let disk = SmallDisk { reserve: path.clone(), room: 10, written: Vec::new() };
        let mut writer = ReservedWriter::new(disk, Path::new("live"), Some(&reserve));

        writer.write_all(&[7; 25]).unwrap();

        assert_eq!(writer.inner().written, [7; 25]);
        assert!(!path.exists());
        assert!(matches!(reserve.take_trouble(), Some(RecordError::Full { .. })));
        assert!(reserve.take_trouble().is_none());
    }

    /// A disk that has no room when it is asked first.
    struct MadeRoom(Option<Vec<u8>>);

    impl Write for MadeRoom {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let no_room = io::Error::from_raw_os_error(libc::ENOSPC);
            self.0.replace(bytes.to_vec()).map(|_| bytes.len()).ok_or(no_room)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn room_that_another_writer_made_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let reserve = Reserve::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let mut writer = ReservedWriter::new(MadeRoom(None), Path::new("table"), Some(&reserve));
        writer.write_all(&[7; 25]).unwrap();
        assert_eq!(writer.inner().0.as_deref(), Some(&[7; 25][..]));
        assert!(matches!(reserve.take_trouble(), Some(RecordError::Full { .. })));
    }

    #[test]
    fn without_room_and_reserve_the_write_fails() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let reserve = Reserve::create(&path).unwrap();
        fs::write(directory.path().join("other"), "").unwrap();
        let disk = SmallDisk { reserve: directory.path().join("other"), room: 10, written: Vec::new() };
        let mut writer = ReservedWriter::new(disk, Path::new("live"), Some(&reserve));
        assert!(writer.write_all(&[7; 25]).is_err());
    }

    #[test]
    fn replacing_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.json");
        replace(&path, b"one", None).unwrap();
        replace(&path, b"two", None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
