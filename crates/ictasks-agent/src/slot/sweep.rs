//! Signals to every process of a tree, however fast it grows.
//!
//! A tree is looked at, what is new is stopped, and so on until nothing new shows up: a stopped
//! process starts no other. Only then is it killed. This ends fork bombs also where the number of
//! processes is limited: what is stopped still takes its places.

use std::collections::HashSet;

use crate::process_table::{Member, OwnIo, members_below};
use crate::sys;

/// So often a tree is looked at in a row; a bomb that outruns this is looked at again later.
const ROUNDS: usize = 20;

/// The processes that descend from this one.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// A process group that is known to be the tree's own, to begin with: it gets signals as a whole.
    pub group: Option<i32>,
    /// Children of this process that are left alone, with all below them.
    pub spared: &'a [i32],
}

/// Processes that a sweep reached.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Their ids.
    pub pids: HashSet<i32>,
    /// Whether the last look showed nothing new.
    pub is_complete: bool,
}

impl Sweep<'_> {
    /// Sends `signal` once to every process that is there.
    pub fn send(self, signal: i32, own_io: &mut OwnIo) -> Swept {
        self.signal_group(signal);
        let Some(members) = self.members(own_io) else { return Swept::default() };
        let pids = members.iter().map(|member| member.pid).collect();
        for member in members.iter().filter(|member| Some(member.group) != self.group) {
            sys::kill(member.pid, signal);
        }
        Swept { pids, is_complete: true }
    }

    /// Stops every process, also those that are started meanwhile.
    pub fn stop(self, own_io: &mut OwnIo) -> Swept {
        self.signal_group(libc::SIGSTOP);
        let mut swept = Swept::default();
        for _ in 0..ROUNDS {
            let Some(members) = self.members(own_io) else { return swept };
            let mut is_complete = true;
            for member in members {
                if swept.pids.insert(member.pid) && !member.is_stopped {
                    is_complete = false;
                    sys::kill(member.pid, libc::SIGSTOP);
                }
            }
            if is_complete {
                return Swept { is_complete, ..swept };
            }
        }
        swept
    }

    /// Kills every process.
    pub fn kill(self, own_io: &mut OwnIo) -> Swept {
        let swept = self.stop(own_io);
        self.signal_group(libc::SIGKILL);
        for &pid in &swept.pids {
            sys::kill(pid, libc::SIGKILL);
        }
        swept
    }

    fn signal_group(self, signal: i32) {
        if let Some(group) = self.group {
            sys::kill(-group, signal);
        }
    }

    /// `None` where `/proc` cannot be read: then the group alone is reached.
    fn members(self, own_io: &mut OwnIo) -> Option<Vec<Member>> {
        let own_pid = i32::try_from(std::process::id()).unwrap_or(0);
        members_below(own_pid, self.spared, own_io).ok()
    }
}
