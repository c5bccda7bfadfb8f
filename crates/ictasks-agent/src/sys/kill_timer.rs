//! A timer of the kernel that kills this process.

use std::mem::MaybeUninit;
use std::time::Duration;
use std::{io, ptr};

use super::check;

/// Sends SIGKILL to this process at its time, which works on a stopped process, too. A forked process does not
/// inherit it.
pub struct KillTimer(libc::timer_t);

// SAFETY: a number of the kernel's; the calls with it may be made by any thread of the process.
unsafe impl Send for KillTimer {}
// SAFETY: as above; the kernel orders the calls.
unsafe impl Sync for KillTimer {}

impl KillTimer {
    /// Makes one that is not set.
    pub fn new() -> io::Result<Self> {
        let mut timer = MaybeUninit::uninit();
        // SAFETY: sigevent is plain data, valid when zeroed; both pointers are to live storage, and the
        // timer is initialised where the call succeeds.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = libc::SIGKILL;
            check(libc::timer_create(libc::CLOCK_BOOTTIME, &raw mut event, timer.as_mut_ptr()))?;
            Ok(Self(timer.assume_init()))
        }
    }

    /// Sets it to a time of the clock of [`super::boot_time`], or to never.
    pub fn set(&self, at: Option<Duration>) -> io::Result<()> {
        // A time of zero is never; one that has passed is at once.
        let at = at.unwrap_or(Duration::ZERO);
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(at.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: at.subsec_nanos().into(),
        };
        let setting = libc::itimerspec { it_interval: never, it_value: value };
        // SAFETY: the timer was made by `new` and is never deleted; the pointer is to live storage.
        check(unsafe {
            libc::timer_settime(self.0, libc::TIMER_ABSTIME, &raw const setting, ptr::null_mut())
        })
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Fork, boot_time, exit_now, fork_single_threaded, kill, term_signal};

    /// The wait status of a process that does this after it was forked.
    fn status_of(child: impl FnOnce()) -> i32 {
        match fork_single_threaded().unwrap() {
            Fork::Child => {
                child();
                exit_now(0);
            }
            Fork::Parent(pid) => {
                let mut status = 0;
                // SAFETY: the pointer is to live storage.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                status
            }
        }
    }

    #[test]
    fn a_stopped_process_is_killed_at_its_time() {
        let status = status_of(|| {
            let timer = KillTimer::new().unwrap();
            timer.set(Some(boot_time() + Duration::from_millis(20))).unwrap();
            kill(std::process::id().cast_signed(), libc::SIGSTOP);
        });
        assert_eq!(term_signal(status), Some(libc::SIGKILL));
    }

    #[test]
    fn one_that_was_set_to_never_kills_nobody() {
        let status = status_of(|| {
            let timer = KillTimer::new().unwrap();
            timer.set(Some(boot_time() + Duration::from_millis(20))).unwrap();
            timer.set(None).unwrap();
            std::thread::sleep(Duration::from_millis(40));
        });
        assert_eq!(status, 0);
    }
}
