//! Whether a task failed because its file system was full.

use std::path::PathBuf;

use ictasks_core::attempt::Evidence;
use rustix::fs::{StatVfs, fstatvfs, statvfs};

use super::directory::TaskDirectory;

/// What programs print, in the words of the C library or by its names.
const FULL: [&str; 2] = ["No space left on device", "ENOSPC"];
const OVER_QUOTA: [&str; 2] = ["Disk quota exceeded", "EDQUOT"];
/// With less room than this a file system is full: who could not write a block of this size may have left less.
const LITTLE_BYTES: u64 = 1 << 20;

/// What a failed task said about the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// It said nothing at all.
    Nothing,
    /// It spoke of other things.
    Otherwise,
    Full,
    OverQuota,
}

/// How sure it is that the disk was full when a task failed that left these tails of its output. `None`
/// where nothing says so.
pub fn full_disk<'a>(
    tails: impl IntoIterator<Item = &'a str>,
    directory: &TaskDirectory,
) -> Option<(Evidence, String)> {
    let said = tails.into_iter().map(said).max().unwrap_or(Said::Nothing);
    let own = fstatvfs(directory.descriptor()).ok();
    let own_has_less_than = |bytes| own.as_ref().is_some_and(|own| has_less_than(own, bytes));
    let path = directory.path();
    match said {
        Said::OverQuota => {
            Some((Evidence::Probable, format!("it says that the quota of `{}` was used up", path.display())))
        }
        Said::Full => {
            let elsewhere = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
            let is_full =
                |place: &PathBuf| statvfs(place).is_ok_and(|found| has_less_than(&found, LITTLE_BYTES));
            let full = if own_has_less_than(LITTLE_BYTES) {
                Some(path.to_owned())
            } else {
                [PathBuf::from("."), elsewhere].into_iter().find(is_full)
            };
            Some((Evidence::Certain, format!("the file system of `{}` was full", full?.display())))
        }
        // On a full disk its last words may have found no room either; others may have freed some since.
        Said::Nothing | Said::Otherwise => {
            let little = if said == Said::Nothing { LITTLE_BYTES } else { 1 };
            own_has_less_than(little).then(|| {
                let reason = format!("the file system of `{}` was full when it ended", path.display());
                (Evidence::Probable, reason)
            })
        }
    }
}

fn said(text: &str) -> Said {
    let says = |words: [&str; 2]| words.iter().any(|word| text.contains(word));
    if says(FULL) {
        Said::Full
    } else if says(OVER_QUOTA) {
        Said::OverQuota
    } else if text.trim().is_empty() {
        Said::Nothing
    } else {
        Said::Otherwise
    }
}

/// Whether ordinary users have fewer bytes, or no file, left there. Some file systems count no files.
fn has_less_than(file_system: &StatVfs, bytes: u64) -> bool {
    let free = file_system.f_bavail.saturating_mul(file_system.f_frsize);
    let has_size = file_system.f_blocks > 0;
    (has_size && free < bytes) || (file_system.f_files > 0 && file_system.f_favail == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_system(available: u64, files: u64, files_available: u64) -> StatVfs {
        StatVfs {
            f_bsize: 4096,
            f_frsize: 4096,
            f_blocks: 1000,
            f_bfree: available,
            f_bavail: available,
            f_files: files,
            f_ffree: files_available,
            f_favail: files_available,
            f_fsid: 0,
            f_flag: rustix::fs::StatVfsMountFlags::empty(),
            f_namemax: 255,
        }
    }

    #[test]
    fn a_file_system_without_room_or_without_files_is_full() {
        assert!(has_less_than(&file_system(0, 10, 10), 1));
        assert!(has_less_than(&file_system(100, 10, 0), 1));
        assert!(!has_less_than(&file_system(100, 0, 0), 1));
        assert!(!has_less_than(&file_system(1, 10, 10), 1));
        assert!(has_less_than(&file_system(1, 10, 10), LITTLE_BYTES));
        let without_size = StatVfs { f_blocks: 0, ..file_system(0, 0, 0) };
        assert!(!has_less_than(&without_size, LITTLE_BYTES));
    }

    #[test]
    fn the_words_of_programs() {
        assert_eq!(said("cp: error writing 'x': No space left on device\n"), Said::Full);
        assert_eq!(said("OSError: [Errno 122] Disk quota exceeded"), Said::OverQuota);
        assert_eq!(said("Error: ENOSPC: no space, write"), Said::Full);
        assert_eq!(said("space invaders"), Said::Otherwise);
        assert_eq!(said("\n"), Said::Nothing);
        assert!(Said::Full > Said::Otherwise && Said::Otherwise > Said::Nothing);
    }
}
