//! The slots of an agent, as the agent sees them: what it wants of them, and what is left of those that
//! died.

use std::time::Duration;

use ictasks_core::attempt::Cause;

use crate::process_table::OwnIo;
use crate::requests::{EndRequest, Requests, ring};
use crate::shared::SlotCell;
use crate::slot::sweep::Sweep;
use crate::sys::{self, Wait};

/// A slot that lives.
#[derive(Clone, Copy)]
pub struct SlotHandle {
    /// Its process.
    pub pid: i32,
    /// What it shares with the agent.
    pub cell: &'static SlotCell,
}

/// All slots that live.
pub struct Slots {
    live: Vec<SlotHandle>,
    requests: &'static Requests,
    /// A slot died, and what it left behind is not all gone.
    has_orphans: bool,
}

impl Slots {
    /// None yet; all of them will look at `requests`.
    pub fn new(requests: &'static Requests) -> Self {
        Self { live: Vec::new(), requests, has_orphans: false }
    }

    /// Another slot has been forked.
    pub fn add(&mut self, slot: SlotHandle) {
        self.live.push(slot);
    }

    /// How many live.
    pub fn count(&self) -> u32 {
        u32::try_from(self.live.len()).unwrap_or(u32::MAX)
    }

    /// Those that live.
    pub fn iter(&self) -> impl Iterator<Item = &SlotHandle> {
        self.live.iter()
    }

    /// What they look at.
    pub fn requests(&self) -> &'static Requests {
        self.requests
    }

    /// Whether no slot is left, and nothing of one that died.
    pub fn are_gone(&self) -> bool {
        self.live.is_empty() && !self.has_orphans
    }

    /// Whether something of a slot that died is to be ended still.
    pub fn have_orphans(&self) -> bool {
        self.has_orphans
    }

    /// Ends what runs; nothing more begins. A slot that somebody has stopped could not: it goes on.
    pub fn end_tasks(&self, cause: Cause, grace: Duration) {
        self.requests.end_tasks(EndRequest::new(cause, grace));
        self.ring_all();
        self.live.iter().for_each(|slot| sys::kill(slot.pid, libc::SIGCONT));
    }

    /// Stops what runs, or lets it go on.
    pub fn set_stopped(&self, stopped: bool) {
        if self.requests.set_stopped(stopped) {
            self.ring_all();
        }
    }

    /// Whether nothing runs any more, as this stop wants it.
    pub fn are_stopped_for(&self, stop: u32) -> bool {
        self.live.iter().all(|slot| slot.cell.is_stopped_for(stop))
    }

    fn ring_all(&self) {
        self.live.iter().for_each(|slot| ring(slot.pid));
    }

    /// Reaps slots, and ends what those left behind that died at work: the agent is the next subreaper.
    /// Returns how slots ended.
    pub fn look_after(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        let mut has_children = true;
        while has_children {
            match sys::wait_any() {
                Ok(Wait::Reaped(reaped)) => ended.extend(self.reaped(reaped.pid, reaped.status)),
                Ok(Wait::Running) => break,
                Ok(Wait::NoChildren) | Err(_) => has_children = false,
            }
        }
        if self.has_orphans {
            let slots: Vec<i32> = self.live.iter().map(|slot| slot.pid).collect();
            let swept = Sweep { group: None, spared: &slots }.kill(&mut OwnIo::default());
            self.has_orphans = has_children && !(swept.is_complete && swept.pids.is_empty());
        }
        ended
    }

    /// `None` for what was no slot.
    fn reaped(&mut self, pid: i32, status: i32) -> Option<String> {
        let position = self.live.iter().position(|slot| slot.pid == pid)?;
        let slot = self.live.swap_remove(position);
        self.has_orphans |= slot.cell.is_busy();
        let how = sys::term_signal(status)
            .map_or_else(|| "ended by itself".to_owned(), |signal| format!("was killed by signal {signal}"));
        Some(format!("slot {pid} of the agent {how}"))
    }
}
