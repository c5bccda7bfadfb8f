//! What an agent wants of its slots: words in memory that they share, and a signal that says "look".
//!
//! A wish is a state, not a message. So none can be lost or be mixed up with another, whatever comes
//! in whichever order, and a slot that was busy elsewhere finds what holds now.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ictasks_core::attempt::Cause;

use crate::agent::LOST_GRACE;
use crate::sys;

/// The signal that says "look".
pub const DOORBELL: i32 = libc::SIGUSR1;

/// So long after the end of a lease the coordinator may take the tasks for ended, some of their end left out.
pub(crate) const LATE_AFTER: Duration = Duration::from_secs(3);

/// What holds for all slots of an agent. Zero bytes mean: nothing is wanted.
pub struct Requests {
    /// Odd while tasks are to be stopped; each change adds 1.
    stop_count: AtomicU32,
    /// An [`EndRequest`], or 0.
    end: AtomicU64,
    /// When the agent's lease ends, by the clock of [`sys::boot_time`] in nanoseconds; 0 without one.
    lease_ends_ns: AtomicI64,
    /// How often the kernel has ended a process for want of memory, as far as agent or slots have seen.
    oom_kill_count: AtomicI64,
}

/// Why and how gently tasks are to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndRequest {
    /// What the record is to say.
    pub cause: Cause,
    /// Between SIGTERM and SIGKILL, milliseconds.
    pub grace_ms: u32,
}

impl EndRequest {
    /// With a pause between SIGTERM and SIGKILL.
    pub fn new(cause: Cause, grace: Duration) -> Self {
        Self { cause, grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX) }
    }

    fn to_word(self) -> u64 {
        let cause = Cause::ALL.iter().position(|cause| *cause == self.cause).unwrap_or(0);
        (cause as u64 + 1) << 32 | u64::from(self.grace_ms)
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    fn from_word(word: u64) -> Option<Self> {
        let cause = usize::try_from(word >> 32).ok()?.checked_sub(1)?;
        Some(Self { cause: *Cause::ALL.get(cause)?, grace_ms: word as u32 })
    }
}

impl Requests {
    /// From now on no task is started, and those that run are ended.
    pub fn end_tasks(&self, request: EndRequest) {
        self.end.store(request.to_word(), Ordering::SeqCst);
    }

    /// Whether and how tasks are to be ended. The end of the lease is a reason, also if the agent itself cannot
    /// say so any more.
    pub fn end(&self) -> Option<EndRequest> {
        let wish = EndRequest::from_word(self.end.load(Ordering::SeqCst));
        let is_over = || self.lease_left().is_some_and(|left| left.is_zero());
        wish.or_else(|| is_over().then(|| EndRequest::new(Cause::CoordinatorLost, self.lost_grace())))
    }

    /// The coordinator of another node has been heard: tasks may run until then.
    pub fn extend_lease(&self, ends_at: Duration) {
        self.lease_ends_ns.store(i64::try_from(ends_at.as_nanos()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// How gently tasks end whose coordinator is gone: not at all where they may run elsewhere by now, since
    /// this node was frozen until long after the end of its lease.
    pub fn lost_grace(&self) -> Duration {
        let is_late = self.lease_ends().is_some_and(|ends| sys::boot_time() > ends + LATE_AFTER);
        if is_late { Duration::ZERO } else { LOST_GRACE }
    }

    /// How long tasks may run without another word of the coordinator; `None` where it is on this node.
    pub fn lease_left(&self) -> Option<Duration> {
        self.lease_ends().map(|ends| ends.saturating_sub(sys::boot_time()))
    }

    /// Until when, by the clock of [`sys::boot_time`].
    pub fn lease_ends(&self) -> Option<Duration> {
        let ends_ns = u64::try_from(self.lease_ends_ns.load(Ordering::SeqCst)).unwrap_or(0);
        (ends_ns > 0).then(|| Duration::from_nanos(ends_ns))
    }

    /// Tasks are to be stopped, or to go on. Says whether that is new.
    pub fn set_stopped(&self, stopped: bool) -> bool {
        let count = self.stop_count.load(Ordering::SeqCst);
        let is_new = (count % 2 == 1) != stopped;
        if is_new {
            self.stop_count.store(count.wrapping_add(1), Ordering::SeqCst);
        }
        is_new
    }

    /// Names the wish that tasks be stopped, if there is one.
    pub fn stop(&self) -> Option<u32> {
        let count = self.stop_count.load(Ordering::SeqCst);
        (count % 2 == 1).then_some(count)
    }

    /// What was last read of the kernel's counter.
    pub fn oom_kill_count(&self) -> i64 {
        self.oom_kill_count.load(Ordering::Relaxed)
    }

    /// The kernel's counter has been read. Who reads it tells all: a task that begins now has nothing to
    /// do with what was counted before.
    pub fn note_oom_kill_count(&self, count: i64) {
        self.oom_kill_count.fetch_max(count, Ordering::Relaxed);
    }
}

/// Has a slot look at its requests.
pub fn ring(slot_pid: i32) {
    sys::kill(slot_pid, DOORBELL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_request_fits_into_a_word() {
        for &cause in Cause::ALL {
            for grace_ms in [0, 1, 10_000, u32::MAX] {
                let request = EndRequest { cause, grace_ms };
                assert_eq!(EndRequest::from_word(request.to_word()), Some(request));
            }
        }
        assert_eq!(EndRequest::from_word(0), None);
        assert_eq!(EndRequest::from_word(u64::MAX), None);
    }

    #[test]
    fn the_end_of_the_lease_ends_tasks() {
        let requests = &sys::shared_memory::<Requests>(1).unwrap()[0];
        assert_eq!((requests.lease_left(), requests.end()), (None, None));
        requests.extend_lease(sys::boot_time() + Duration::from_secs(60));
        assert!(requests.lease_left() > Some(Duration::from_secs(30)));
        assert_eq!(requests.end(), None);
        requests.extend_lease(sys::boot_time());
        assert_eq!(requests.end(), Some(EndRequest::new(Cause::CoordinatorLost, LOST_GRACE)));
        requests.extend_lease(sys::boot_time().saturating_sub(LATE_AFTER * 2));
        assert_eq!(requests.end(), Some(EndRequest::new(Cause::CoordinatorLost, Duration::ZERO)));
        requests.end_tasks(EndRequest::new(Cause::Stopped, Duration::ZERO));
        assert_eq!(requests.end().map(|request| request.cause), Some(Cause::Stopped));
    }

    #[test]
    fn every_stop_has_a_name_of_its_own() {
        let requests = &sys::shared_memory::<Requests>(1).unwrap()[0];
        assert_eq!(requests.stop(), None);
        assert!(requests.set_stopped(true));
        assert!(!requests.set_stopped(true));
        let first = requests.stop();
        assert!(requests.set_stopped(false));
        assert_eq!(requests.stop(), None);
        assert!(requests.set_stopped(true));
        assert!(first.is_some() && first != requests.stop());
    }
}
