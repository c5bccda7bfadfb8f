//! An output file of a task. The task writes it by itself; the slot looks at its size.
//!
//! Of more than `max_output` only the beginning and the end are kept. While the task runs, the blocks
//! between them are given back to the file system (the file's offsets stay); at the end, the file is made
//! beginning, a line that says how much was cut, and end.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FallocateFlags, Mode, OFlags, fallocate, fcntl_setfl, fstat, ftruncate, openat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite};

const FILE_MODE: Mode = Mode::from_bits_truncate(0o666);
const COPY_BYTES: usize = 256 * 1024;

/// An open output file.
pub struct OutputFile {
    file: OwnedFd,
    /// Bytes to keep.
    limit_bytes: Option<u64>,
    /// Its size when the slot last looked.
    seen_bytes: Cell<u64>,
}

impl OutputFile {
    /// Opens a fresh file; one that is there belongs to an earlier attempt and makes room.
    pub fn create(directory: BorrowedFd<'_>, name: &str, limit_bytes: Option<i64>) -> Result<Self, Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
        let file = match openat(directory, name, flags, FILE_MODE) {
            Err(Errno::EXIST) => {
                unlinkat(directory, name, AtFlags::empty())?;
                openat(directory, name, flags, FILE_MODE)
            }
            other => other,
        }?;
        let limit_bytes = limit_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(Self { file, limit_bytes, seen_bytes: Cell::new(0) })
    }

    /// Whether it has a limit.
    pub fn has_limit(&self) -> bool {
        self.limit_bytes.is_some()
    }

    /// Its size.
    pub fn size(&self) -> Option<u64> {
        u64::try_from(fstat(&self.file).ok()?.st_size).ok()
    }

    /// The last bytes, as text.
    pub fn tail(&self, bytes: usize) -> Option<String> {
        let start = self.size()?.saturating_sub(bytes as u64);
        let mut buffer = vec![0; bytes];
        let filled = read_at(&self.file, &mut buffer, start);
        let mut text = &buffer[..filled];
        if start > 0 {
            // The first character may be cut in half.
            let cut = text.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
            text = &text[cut..];
        }
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Gives back what lies between the beginning and the end that are kept. For a task that runs.
    /// Says whether the file has grown since the last time.
    pub fn free_middle(&self) -> bool {
        let (Some(limit), Some(size)) = (self.limit_bytes, self.size()) else { return false };
        let seen = self.seen_bytes.replace(size);
        if size > limit && size != seen {
            let kept = Kept::of(limit);
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where the file system cannot do this, the file stays as it is until the end.
            let _ = fallocate(&self.file, flags, kept.head, size - limit);
        }
        size > seen
    }

    /// Cuts a file that is `size` bytes long to its limit, when nobody writes it any more. Returns its
    /// new size and how many bytes were cut, if any were.
    pub fn cut(&self, size: u64) -> Option<(u64, u64)> {
        let limit = self.limit_bytes.filter(|limit| size > *limit)?;
        let kept = Kept::of(limit);
        let line_for =
            |cut: u64| format!("\n[ictasks: {cut} bytes were cut here, see max_output]\n").into_bytes();
        // The line takes its room from the end that is kept. Its length hardly depends on the figure.
        let room = line_for(size).len() as u64;
        let tail = kept.tail.saturating_sub(room);
        let cut = size - kept.head - tail;
        let line = line_for(cut);
        // With O_APPEND, pwrite appends wherever it is told to write (BUGS in pwrite(2)).
        fcntl_setfl(&self.file, OFlags::empty()).ok()?;
        let begin = kept.head + line.len() as u64;
        if begin > size - tail {
            return None;
        }
        write_at(&self.file, &line, kept.head).ok()?;
        move_down(&self.file, size - tail, begin, tail).ok()?;
        ftruncate(&self.file, begin + tail).ok()?;
        Some((begin + tail, cut))
    }
}

impl AsFd for OutputFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What is kept of a file that is too long.
struct Kept {
    head: u64,
    tail: u64,
}

impl Kept {
    fn of(limit: u64) -> Self {
        let head = limit / 2;
        Self { head, tail: limit - head }
    }
}

/// Copies `length` bytes at `from` to `to`, which lies before.
fn move_down(file: &OwnedFd, from: u64, to: u64, length: u64) -> Result<(), Errno> {
    let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(length).unwrap_or(COPY_BYTES))];
    let mut done = 0;
    while done < length {
        let wanted = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
        let read = read_at(file, &mut buffer[..wanted], from + done);
        if read == 0 {
            return Err(Errno::IO);
        }
        write_at(file, &buffer[..read], to + done)?;
        done += read as u64;
    }
    Ok(())
}

fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = pwrite(file, bytes, offset)?;
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; the number of bytes.
fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;

    fn output(directory: &Path, limit: Option<i64>) -> OutputFile {
        let directory = rustix::fs::open(directory, OFlags::DIRECTORY, Mode::empty()).unwrap();
        OutputFile::create(directory.as_fd(), "out", limit).unwrap()
    }

    fn append(file: &OutputFile, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(file, rest).unwrap()..];
        }
    }

    fn cut(file: &OutputFile) -> Option<(u64, u64)> {
        file.cut(file.size().unwrap())
    }

    fn numbers(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("{number:07}\n").into_bytes()).collect()
    }

    #[test]
    fn of_too_much_beginning_and_end_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = output(dir.path(), Some(1000));
        let written = numbers(1000);
        append(&file, &written);
        let (size, cut_bytes) = cut(&file).unwrap();
        let text = std::fs::read(dir.path().join("out")).unwrap();
        assert_eq!(size, text.len() as u64);
        assert!(size <= 1000, "{size}");
        assert_eq!(text[..500], written[..500]);
        let line = format!("\n[ictasks: {cut_bytes} bytes were cut here, see max_output]\n");
        assert_eq!(&text[500..500 + line.len()], line.as_bytes());
        let tail = &text[500 + line.len()..];
        assert!(written.ends_with(tail));
        assert_eq!(500 + tail.len() as u64 + cut_bytes, 8000);
    }

    #[test]
    fn what_is_within_the_limit_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = output(dir.path(), Some(1000));
        append(&file, &[b'x'; 1000]);
        assert!(file.free_middle());
        assert!(!file.free_middle());
        assert_eq!(cut(&file), None);
        assert_eq!(output(dir.path(), None).cut(1 << 40), None);
    }

    #[test]
    fn any_size_above_any_limit_is_cut_to_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        for limit in [0, 1, 10, 60, 100, 101, 200] {
            for size in [limit + 1, limit + 2, limit + 60, limit + 1000] {
                let file = output(dir.path(), Some(i64::try_from(limit).unwrap()));
                let written = numbers(200);
                append(&file, &written[..size]);
                let Some((_, cut_bytes)) = cut(&file) else { continue };
                let text = std::fs::read(dir.path().join("out")).unwrap();
                let line = format!("\n[ictasks: {cut_bytes} bytes were cut here, see max_output]\n");
                assert_eq!((text.len() - line.len()) as u64 + cut_bytes, size as u64);
                assert_eq!(text[..limit / 2], written[..limit / 2]);
            }
        }
    }

    #[test]
    fn the_middle_is_given_back_while_the_task_runs() {
        let dir = tempfile::tempdir().unwrap();
        let limit = 1 << 20;
        let file = output(dir.path(), Some(limit));
        let written = numbers(1 << 20);
        append(&file, &written);
        rustix::fs::fsync(&file).unwrap();
        let blocks = || std::fs::metadata(dir.path().join("out")).unwrap().blocks();
        let before = blocks();
        assert!(file.free_middle());
        // Not every file system can.
        assert!(blocks() <= before);
        append(&file, b"the end\n");
        let (size, cut_bytes) = cut(&file).unwrap();
        assert!(size <= limit.unsigned_abs());
        let text = std::fs::read(dir.path().join("out")).unwrap();
        assert_eq!(text[..1 << 19], written[..1 << 19]);
        assert!(text.ends_with(b"1048575\nthe end\n"));
        assert!(!text.contains(&0));
        assert!(cut_bytes > 7 << 20);
    }

    #[test]
    fn a_task_that_empties_its_output_has_it_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = output(dir.path(), Some(1000));
        append(&file, &numbers(1000));
        file.free_middle();
        ftruncate(&file, 0).unwrap();
        append(&file, b"anew\n");
        file.free_middle();
        assert_eq!(cut(&file), None);
        assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), b"anew\n");
    }
}
