//! The dead man's handle of a slot whose coordinator is on another node.
//!
//! A node that is frozen for longer than its lease cannot end its tasks, which run elsewhere by then, and
//! when it thaws they would go on until the agent has noticed. So while a slot has a task, a timer of the kernel
//! stands at a little after the end of the lease: it kills the slot, also a stopped one, and with the slot
//! the kernel kills the task's first process ([`crate::sys::Streams::dies_with_parent`]). What that process
//! has started itself, and a call of the call server, lives on until the agent thaws, and ends then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::requests::{LATE_AFTER, Requests};
use crate::sys::KillTimer;

/// The timer is set anew when the lease ends so much later than it is set for.
const COARSENESS: Duration = Duration::from_secs(5);

/// The timer of this process; none where the kernel gives none.
static TIMER: OnceLock<Option<KillTimer>> = OnceLock::new();
/// The end of the lease that it is set for, by the clock of [`sys::boot_time`] in nanoseconds; 0 if it is not set.
static SET_FOR_NS: AtomicI64 = AtomicI64::new(0);

/// Sets the handle for the end of the lease, if there is a lease, or moves it if that has moved.
pub fn hold(requests: &Requests) {
    let Some(lease_ends) = requests.lease_ends() else { return };
    let set_for = Duration::from_nanos(u64::try_from(SET_FOR_NS.load(Ordering::Relaxed)).unwrap_or(0));
    if lease_ends < set_for + COARSENESS {
        return;
    }
    if let Some(timer) = TIMER.get_or_init(|| KillTimer::new().ok())
        && timer.set(Some(lease_ends + LATE_AFTER)).is_ok()
    {
        SET_FOR_NS.store(i64::try_from(lease_ends.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

/// Whether it is set: tasks that are started now are to die with their slot.
pub fn is_held() -> bool {
    SET_FOR_NS.load(Ordering::Relaxed) != 0
}

/// No task runs.
pub fn let_go() {
    if is_held()
        && let Some(Some(timer)) = TIMER.get()
        && timer.set(None).is_ok()
    {
        SET_FOR_NS.store(0, Ordering::Relaxed);
    }
}
