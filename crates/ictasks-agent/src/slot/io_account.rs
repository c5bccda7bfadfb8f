//! Bytes and calls that a task read and wrote, exact and without privileges.
//!
//! The kernel adds the I/O account of a reaped child to that of its parent. So the difference of the
//! slot's own `/proc/self/io` (proc(5)) around a task, less what the slot itself read and wrote
//! meanwhile, is that of the task's tree. `send` and `recv` on sockets are not in this account.

use std::os::fd::OwnedFd;

use ictasks_core::attempt::Usage;
use rustix::fs::{Mode, OFlags};

use crate::process_table::OwnIo;

/// The open account of this process; without one the figures are null.
pub struct IoAccount(Option<OwnedFd>);

/// The account at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    read_bytes: i64,
    written_bytes: i64,
    read_calls: i64,
    write_calls: i64,
    /// What this very reading adds to the next one.
    own_bytes: i64,
}

impl IoAccount {
    /// Opens it.
    pub fn open() -> Self {
        Self(rustix::fs::open("/proc/self/io", OFlags::CLOEXEC, Mode::empty()).ok())
    }

    /// Reads it; `None` where the kernel keeps none or refuses it.
    pub fn read(&self) -> Option<Reading> {
        let mut buffer = [0; 512];
        let length = rustix::io::pread(self.0.as_ref()?, &mut buffer, 0).ok()?;
        parse(&buffer[..length])
    }
}

fn parse(text: &[u8]) -> Option<Reading> {
    let mut lines = text.split(|byte| *byte == b'\n');
    // The kernel gives them in this order, and may add others.
    let mut value = |name: &[u8]| lines.find_map(|line| number(line.strip_prefix(name)?));
    Some(Reading {
        read_bytes: value(b"rchar: ")?,
        written_bytes: value(b"wchar: ")?,
        read_calls: value(b"syscr: ")?,
        write_calls: value(b"syscw: ")?,
        own_bytes: i64::try_from(text.len()).ok()?,
    })
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number: i64, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Puts the difference of two readings into `usage`.
pub fn fill(usage: &mut Usage, before: Option<Reading>, after: Option<Reading>, own: OwnIo) {
    let (Some(before), Some(after)) = (before, after) else { return };
    usage.syscall_read_bytes = Some(after.read_bytes - before.read_bytes - before.own_bytes - own.read_bytes);
    usage.read_call_count = Some(after.read_calls - before.read_calls - 1 - own.read_calls);
    usage.syscall_write_bytes = Some(after.written_bytes - before.written_bytes - own.written_bytes);
    usage.write_call_count = Some(after.write_calls - before.write_calls - own.write_calls);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_own_reads_and_writes_are_taken_off() {
        let text = "rchar: 1000\nwchar: 20\nsyscr: 10\nsyscw: 2\nread_bytes: 0\nwrite_bytes: 0\n";
        let before = parse(text.as_bytes()).unwrap();
        let length = i64::try_from(text.len()).unwrap();
        let after = Reading {
            read_bytes: 1000 + length + 7 + 500,
            read_calls: 10 + 1 + 2 + 3,
            written_bytes: 20 + 5 + 60,
            write_calls: 2 + 1 + 4,
            own_bytes: length,
        };
        let own = OwnIo { read_bytes: 7, read_calls: 2, written_bytes: 5, write_calls: 1 };
        let mut usage = Usage::default();
        fill(&mut usage, Some(before), Some(after), own);
        assert_eq!(usage.syscall_read_bytes, Some(500));
        assert_eq!(usage.read_call_count, Some(3));
        assert_eq!(usage.syscall_write_bytes, Some(60));
        assert_eq!(usage.write_call_count, Some(4));
    }

    #[test]
    fn without_an_account_the_figures_are_null() {
        let mut usage = Usage::default();
        fill(&mut usage, None, None, OwnIo::default());
        assert_eq!(usage, Usage::default());
    }
}
