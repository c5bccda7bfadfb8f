//! How an attempt ended: by us, or by its exit code or signal, and what else is known of the reason.

use ictasks_core::attempt::{Cause, Evidence, Outcome};

use super::tree::{EndedBy, TreeEnd};
use crate::memory::cgroup::Killed;
use crate::sys;

/// What a shell makes of a SIGKILL.
const KILLED_EXIT_CODE: i32 = 128 + libc::SIGKILL;

/// An outcome with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What the code alone does not say, and how sure that is.
    pub cause: Option<(Cause, Evidence)>,
    /// The same for people.
    pub error: Option<String>,
}

/// What is known of memory at the end of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFacts {
    /// `memory_per_task`, where it is enforced, bytes.
    pub limit_bytes: Option<i64>,
    /// Whether the kernel ended processes of its cgroup.
    pub killed: Option<Killed>,
}

impl Verdict {
    /// Of a tree that has ended.
    /// `slot_was_signalled` says whether somebody has sent SIGTERM to the slot as well.
    pub fn of(
        end: &TreeEnd,
        memory: MemoryFacts,
        oom_kill_rose: impl FnOnce() -> bool,
        slot_was_signalled: impl FnOnce() -> bool,
    ) -> Self {
        let limit = memory.limit_bytes.unwrap_or_default();
        let out_of_memory = |cause, evidence, error: String| Self {
            outcome: Outcome::OutOfMemory,
            cause: Some((cause, evidence)),
            error: Some(error),
        };
        match end.ended_by {
            Some(EndedBy::Request(cause)) => {
                return Self { cause: Some((cause, Evidence::Certain)), ..Self::plain(Outcome::Cancelled) };
            }
            Some(EndedBy::TimeLimit) => return Self::plain(Outcome::TimedOut),
            Some(EndedBy::MemoryLimit(bytes)) => {
                let error = format!(
                    "it was ended for its memory: {bytes} bytes, `memory_per_task` is {limit} (sampled over its processes)"
                );
                return out_of_memory(Cause::MemoryLimit, Evidence::Certain, error);
            }
            None => {}
        }
        let exit_code = sys::exit_code(end.first_status);
        let was_killed =
            sys::term_signal(end.first_status) == Some(libc::SIGKILL) || exit_code == Some(KILLED_EXIT_CODE);
        match memory.killed.filter(|_| exit_code != Some(0)) {
            Some(Killed::AtLimit) => {
                let error = format!(
                    "the kernel ended it for its memory: `memory_per_task` is {limit} bytes (counted by its cgroup)"
                );
                out_of_memory(Cause::MemoryLimit, Evidence::Certain, error)
            }
            Some(Killed::ByWant) => {
                let error = "the kernel ended it, as the host ran out of memory (counted by its cgroup)";
                out_of_memory(Cause::OomKill, Evidence::Certain, error.to_owned())
            }
            None if was_killed && oom_kill_rose() => {
                let error = "it was killed while the kernel ended a process for want of memory";
                out_of_memory(Cause::OomKill, Evidence::Probable, error.to_owned())
            }
            // A scheduler signals every process of a job step.
            None if was_terminated(end.first_status) && slot_was_signalled() => Self {
                cause: Some((Cause::Interrupted, Evidence::Probable)),
                error: Some("it was signalled together with the farm, as by a scheduler".to_owned()),
                ..Self::plain(Outcome::Cancelled)
            },
            None => Self::plain(match exit_code {
                Some(0) => Outcome::Succeeded,
                Some(_) => Outcome::Failed,
                None => Outcome::Signaled,
            }),
        }
    }

    /// Of an outcome that speaks for itself.
    pub fn plain(outcome: Outcome) -> Self {
        Self { outcome, cause: None, error: None }
    }
}

/// Whether it died of SIGTERM or of the SIGKILL that may follow, or a shell says so of its last command.
fn was_terminated(status: i32) -> bool {
    let signals = [libc::SIGTERM, libc::SIGKILL];
    sys::term_signal(status).is_some_and(|signal| signals.contains(&signal))
        || sys::exit_code(status).is_some_and(|code| signals.contains(&(code - 128)))
}

#[cfg(test)]
mod tests {
    use ictasks_core::attempt::Usage;

    use super::*;

    const KILLED: i32 = libc::SIGKILL;
    const EXIT_137: i32 = 137 << 8;

    fn verdict(status: i32, ended_by: Option<EndedBy>, killed: Option<Killed>, rose: bool) -> Verdict {
        let end = TreeEnd {
            first_status: status,
            first_ended_ns: 0,
            stopped_ns: 0,
            ended_by,
            usage: Usage::default(),
        };
        Verdict::of(&end, MemoryFacts { limit_bytes: Some(5), killed }, || rose, || false)
    }

    #[test]
    fn what_was_signalled_together_with_its_slot_was_cancelled() {
        let of = |first_status, slot_was_signalled| {
            let (first_ended_ns, stopped_ns, ended_by, usage) = (0, 0, None, Usage::default());
            let end = TreeEnd { first_status, first_ended_ns, stopped_ns, ended_by, usage };
            Verdict::of(&end, MemoryFacts::default(), || false, || slot_was_signalled).outcome
        };
        assert_eq!(of(libc::SIGTERM, true), Outcome::Cancelled);
        assert_eq!(of(143 << 8, true), Outcome::Cancelled);
        assert_eq!(of(libc::SIGTERM, false), Outcome::Signaled);
        assert_eq!(of(libc::SIGSEGV, true), Outcome::Signaled);
        assert_eq!((of(0, true), of(1 << 8, true)), (Outcome::Succeeded, Outcome::Failed));
    }

    fn outcome(status: i32, rose: bool) -> (Outcome, Option<(Cause, Evidence)>) {
        let verdict = verdict(status, None, None, rose);
        (verdict.outcome, verdict.cause)
    }

    #[test]
    fn a_kill_alone_is_no_want_of_memory() {
        assert_eq!(outcome(KILLED, false), (Outcome::Signaled, None));
        assert_eq!(outcome(EXIT_137, false), (Outcome::Failed, None));
        let probable = (Outcome::OutOfMemory, Some((Cause::OomKill, Evidence::Probable)));
        assert_eq!(outcome(KILLED, true), probable);
        assert_eq!(outcome(EXIT_137, true), probable);
        assert_eq!(outcome(libc::SIGSEGV, true), (Outcome::Signaled, None));
        assert_eq!(outcome(3 << 8, true), (Outcome::Failed, None));
        assert_eq!(outcome(0, true), (Outcome::Succeeded, None));
    }

    #[test]
    fn what_we_ended_was_not_ended_by_the_kernel() {
        let by_us = |by| verdict(KILLED, Some(by), Some(Killed::AtLimit), true);
        assert_eq!(by_us(EndedBy::TimeLimit), Verdict::plain(Outcome::TimedOut));
        let cancelled = by_us(EndedBy::Request(Cause::Stopped));
        assert_eq!(cancelled.outcome, Outcome::Cancelled);
        assert_eq!(cancelled.cause, Some((Cause::Stopped, Evidence::Certain)));
        let too_large = by_us(EndedBy::MemoryLimit(9));
        assert_eq!(too_large.outcome, Outcome::OutOfMemory);
        assert_eq!(too_large.cause, Some((Cause::MemoryLimit, Evidence::Certain)));
        assert!(too_large.error.is_some_and(|error| error.contains("9 bytes") && error.contains("sampled")));
    }

    #[test]
    fn the_cgroup_tells_the_limit_from_the_host() {
        let killed = |killed| verdict(KILLED, None, Some(killed), false).cause;
        assert_eq!(killed(Killed::AtLimit), Some((Cause::MemoryLimit, Evidence::Certain)));
        assert_eq!(killed(Killed::ByWant), Some((Cause::OomKill, Evidence::Certain)));
        assert_eq!(verdict(0, None, Some(Killed::AtLimit), false), Verdict::plain(Outcome::Succeeded));
    }
}
