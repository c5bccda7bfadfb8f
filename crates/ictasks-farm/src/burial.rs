//! What came of the tasks of an agent that has ended: its slot log tells.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use ictasks_core::layout;
use ictasks_core::slot_log;

use crate::dispatcher::{AgentEnd, AttemptKey, Logged};

/// What is needed to account for the tasks of an agent that has ended.
pub struct Burial {
    /// The agent's slot log; `None` if it never said where it is.
    pub log: Option<PathBuf>,
    /// The session whose attempts count.
    pub session: i32,
    /// The attempts that the agent had.
    pub in_flight: HashSet<AttemptKey>,
    /// Whether it was told that nothing more comes.
    pub end_was_sent: bool,
}

/// What a log tells, and why it may not tell all.
pub type Found = (HashMap<AttemptKey, Logged>, Option<String>);

impl Burial {
    /// Whether the agent had tasks.
    pub fn has_tasks(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Of an agent of another node of which nothing is left.
    pub async fn of_node(self, how: String, is_orderly: bool) -> AgentEnd {
        let end = AgentEnd { how, is_orderly, logged: HashMap::new(), trouble: None };
        if !self.has_tasks() {
            return end;
        }
        let (logged, trouble) = look(move || self.read_log()).await;
        AgentEnd { logged, trouble, ..end }
    }

    /// What the log says of the attempts that the agent had.
    pub fn read_log(&self) -> Found {
        match self.log.as_ref().filter(|_| self.has_tasks()) {
            Some(log) => self.read(log),
            None => (HashMap::new(), None),
        }
    }

    fn read(&self, log: &Path) -> Found {
        let mut found: HashMap<AttemptKey, Logged> = HashMap::new();
        let read = slot_log::read(log, &mut |logged| {
            let key = (logged.order.task_index, logged.order.attempt);
            if logged.seat.session != self.session || !self.in_flight.contains(&key) {
                return;
            }
            let is_known = found.get(&key).is_some_and(|known| known.ended.is_some());
            if !is_known {
                found.insert(key, Logged { worker_id: logged.seat.worker_id, ended: logged.ended });
            }
        });
        let damage = read.err().map(|error| format!("its log `{}` cannot be read: {error}", log.display()));
        (found, damage)
    }
}

/// Looks in a thread of its own, since files may take their time.
pub async fn look(look: impl FnOnce() -> Found + Send + 'static) -> Found {
    let (sender, looked) = tokio::sync::oneshot::channel();
    let started = crate::threads::start("family", move || {
        // Without a listener the run has ended.
        let _ = sender.send(look());
    });
    match (started, looked.await) {
        (Ok(()), Ok(found)) => found,
        (Ok(()), Err(error)) => (HashMap::new(), Some(format!("the look at its log failed: {error}"))),
        (Err(error), _) => (HashMap::new(), Some(format!("failed to {error}"))),
    }
}

/// Where the agent of a host keeps its slot log.
pub fn log_of(run_dir: &Path, host: &str, host_id: i32) -> PathBuf {
    run_dir.join(layout::JOURNAL).join(layout::agent_log(host, host_id))
}
