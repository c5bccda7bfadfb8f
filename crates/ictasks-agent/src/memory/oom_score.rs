//! The score by which the kernel chooses what to end when memory runs out (proc(5), `oom_score_adj`).
//!
//! A process has the score of the one that started it. So a slot raises its own while it starts a
//! task, and lowers it again, which everybody may do down to where it began.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What tasks have more than their slot: as if they used half of all memory beside their own.
const MORE: i32 = 500;
const HIGHEST: i32 = 1000;

/// The score of this process. Where it cannot be changed, nothing is done.
#[derive(Debug)]
pub struct OomScore {
    file: Option<File>,
    own: String,
    raised: String,
}

impl OomScore {
    /// Of this process.
    pub fn open() -> Self {
        let file = File::options().read(true).write(true).open("/proc/self/oom_score_adj").ok();
        let own = file.as_ref().and_then(|file| {
            let mut text = [0; 16];
            let length = file.read_at(&mut text, 0).ok()?;
            parse(std::str::from_utf8(&text[..length]).ok()?)
        });
        let base = own.unwrap_or(0);
        Self {
            file: file.filter(|_| own.is_some()),
            own: base.to_string(),
            raised: (base + MORE).min(HIGHEST).to_string(),
        }
    }

    /// What tasks have; `None` where nothing can be done.
    pub fn raised(&self) -> Option<i32> {
        self.file.as_ref().and_then(|_| self.raised.parse().ok())
    }

    /// For what is started from now on.
    pub fn raise(&mut self) {
        if self.file.as_ref().is_some_and(|file| file.write_at(self.raised.as_bytes(), 0).is_err()) {
            self.file = None;
        }
    }

    /// As it was.
    pub fn lower(&mut self) {
        if let Some(file) = &self.file {
            // What could be raised can be lowered.
            let _ = file.write_at(self.own.as_bytes(), 0);
        }
    }
}

fn parse(text: &str) -> Option<i32> {
    text.trim().parse().ok().filter(|score| (-HIGHEST..=HIGHEST).contains(score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_a_number_within_bounds() {
        assert_eq!(parse("-999\n"), Some(-999));
        assert_eq!(parse("1001\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn what_was_raised_is_lowered_again() {
        let read =
            || std::fs::read_to_string("/proc/thread-self/oom_score_adj").ok().as_deref().and_then(parse);
        let mut score = OomScore::open();
        let before = read();
        score.raise();
        assert_eq!(read(), before.map(|before| (before + MORE).min(HIGHEST)));
        score.lower();
        assert_eq!(read(), before);
    }
}
