//! The farm's own trouble: what a user can do about an error of the system.

use std::io;

/// What can be done about `error`, as the end of a message; empty where nothing is known.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => "; free space (`df -h`) or files (`df -i`) there, then go on with `--resume`",
        Some(libc::EDQUOT) => "; remove files or have the quota raised, then go on with `--resume`",
        Some(libc::EFBIG) => "; raise `ulimit -f`, then go on with `--resume`",
        Some(libc::EROFS) => "; make the file system writable, then go on with `--resume`",
        Some(libc::EACCES | libc::EPERM) => "; make it writable, then go on with `--resume`",
        Some(libc::EIO | libc::ESTALE) => "; see that the file system is well, then go on with `--resume`",
        Some(libc::EMFILE) => "; raise `ulimit -n`, then go on with `--resume`",
        Some(libc::ENFILE) => "; the whole machine has too many files open; later go on with `--resume`",
        Some(libc::EAGAIN) => {
            "; raise `ulimit -u` or use fewer `--workers` (the user has as many processes as allowed), then go \
             on with `--resume`"
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => "; use fewer `--workers`, and go on with `--resume`",
        _ => "",
    }
}

/// Whether other tasks will meet this error as well: no more room, files, memory, or a file system
/// that takes nothing. What a task did to its own directory is not of this kind.
pub fn is_general(error: &io::Error) -> bool {
    let general = [
        libc::ENOSPC,
        libc::EDQUOT,
        libc::EFBIG,
        libc::EROFS,
        libc::EIO,
        libc::ESTALE,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::EAGAIN,
    ];
    error.raw_os_error().is_some_and(|code| general.contains(&code))
}

/// An error with what can be done about it.
pub fn explained(error: &io::Error) -> String {
    format!("{error}{}", remedy(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let full = explained(&io::Error::from_raw_os_error(libc::ENOSPC));
        assert!(full.starts_with("No space left on device") && full.ends_with("`--resume`"), "{full}");
        assert_eq!(remedy(&io::Error::other("something")), "");
    }
}
