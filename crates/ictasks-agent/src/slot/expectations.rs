//! What is looked for after a task has ended: the files it had to make, and the files that mean that no
//! further task is to start.

use std::os::fd::BorrowedFd;

use ictasks_core::config::StoppingCondition;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

const CHUNK_BYTES: usize = 64 * 1024;
/// Of the text in a message.
const SHOWN_CHARACTERS: usize = 100;

/// Why one of `names`, which count from the current directory, is missing; `None` where all are there.
pub fn missing_output(names: &[String]) -> Option<String> {
    names.iter().find_map(|name| match statat(CWD, name.as_str(), AtFlags::empty()) {
        Ok(_) => None,
        Err(Errno::NOENT | Errno::NOTDIR) => Some(format!("`{name}` of its `expected_outputs` was not made")),
        Err(error) => Some(format!("`{name}` of its `expected_outputs` cannot be looked at: {error}")),
    })
}

/// The first of the conditions that holds in a task's directory, for people.
pub fn stop_condition(conditions: &[StoppingCondition], directory: BorrowedFd<'_>) -> Option<String> {
    conditions.iter().find_map(|condition| {
        let StoppingCondition { stopfile, stopmagic } = condition;
        match stopmagic.as_deref().filter(|magic| !magic.is_empty()) {
            None => {
                statat(directory, stopfile.as_str(), AtFlags::empty()).ok()?;
                Some(format!("`{stopfile}` is there"))
            }
            Some(magic) => {
                holds(directory, stopfile, magic.as_bytes())?;
                let shown: String = magic.chars().take(SHOWN_CHARACTERS).collect();
                Some(format!("`{stopfile}` holds `{shown}`"))
            }
        }
    })
}

/// `Some` if the regular file `name` holds `text`. Files of any size are read in pieces.
fn holds(directory: BorrowedFd<'_>, name: &str, text: &[u8]) -> Option<()> {
    let flags = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(directory, name, flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    let size = u64::try_from(stat.st_size).ok()?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() || size < text.len() as u64 {
        return None;
    }
    // What the end of one piece and the beginning of the next hold together must not be missed.
    let mut window = Vec::new();
    let mut piece = vec![0; CHUNK_BYTES.max(text.len())];
    loop {
        let read = rustix::io::read(&file, &mut piece).ok().filter(|read| *read > 0)?;
        window.extend_from_slice(&piece[..read]);
        if contains(&window, text) {
            return Some(());
        }
        window.drain(..window.len().saturating_sub(text.len() - 1));
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return true };
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| byte == first) {
        from += found + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    fn condition(stopfile: &str, stopmagic: Option<&str>) -> StoppingCondition {
        StoppingCondition { stopfile: stopfile.to_owned(), stopmagic: stopmagic.map(str::to_owned) }
    }

    fn check(dir: &tempfile::TempDir, conditions: &[StoppingCondition]) -> Option<String> {
        let directory = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        stop_condition(conditions, directory.as_fd())
    }

    #[test]
    fn a_file_that_is_there_is_enough_without_a_text() {
        let dir = tempfile::tempdir().unwrap();
        let conditions =
            [condition("STOP", None), condition("log", Some("")), condition("log", Some("done"))];
        assert_eq!(check(&dir, &conditions), None);
        fs::write(dir.path().join("log"), "not yet").unwrap();
        assert_eq!(check(&dir, &conditions[2..]), None);
        assert_eq!(check(&dir, &conditions).as_deref(), Some("`log` is there"));
        fs::write(dir.path().join("log"), "it is done.").unwrap();
        assert_eq!(check(&dir, &conditions[2..]).as_deref(), Some("`log` holds `done`"));
    }

    #[test]
    fn a_text_is_found_wherever_the_file_is_read_in_two() {
        let dir = tempfile::tempdir().unwrap();
        for position in CHUNK_BYTES - 7..CHUNK_BYTES + 2 {
            let mut text = vec![b'c'; position];
            text.extend_from_slice(b"converged");
            text.resize(2 * CHUNK_BYTES + 5, b'.');
            fs::write(dir.path().join("log"), text).unwrap();
            assert!(check(&dir, &[condition("log", Some("converged"))]).is_some(), "{position}");
            assert!(check(&dir, &[condition("log", Some("conversed"))]).is_none(), "{position}");
        }
    }

    #[test]
    fn a_directory_holds_no_text() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(&dir, &[condition(".", Some("a"))]), None);
    }

    #[test]
    fn the_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("a"), "").unwrap();
        assert_eq!(missing_output(&[path("a")]), None);
        let missing = missing_output(&[path("a"), path("b"), path("a/c")]).unwrap();
        assert_eq!(missing, format!("`{}` of its `expected_outputs` was not made", path("b")));
    }
}
