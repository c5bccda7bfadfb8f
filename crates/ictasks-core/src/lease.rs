//! How long an agent of another node may work without a word of its coordinator, and from when on its
//! tasks may run elsewhere.
//!
//! The agent sends numbered beats, and the coordinator echoes each. An echo extends the agent's lease,
//! counted from the moment when it *sent* that beat. The coordinator counts from the moment when it last
//! *heard* a beat, which is later, and waits longer. So whatever the network loses, delays or cuts in one
//! direction, the agent has ended its tasks before they run elsewhere; only that both clocks run at the
//! same speed is taken for granted. Both count time in which the machine sleeps where they can.

use std::collections::VecDeque;
use std::time::Duration;

/// An agent that has waited so long for an echo ends its tasks and itself.
pub const LEASE: Duration = Duration::from_secs(30);
/// So long after its lease may have ended its tasks have ended, too.
pub const ENDING_TAKES: Duration = Duration::from_secs(5);
/// Between two beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);

/// The agent's side. Times are durations since any fixed moment.
#[derive(Clone, Debug)]
pub struct AgentLease {
    next_number: u64,
    next_at: Duration,
    ends_at: Duration,
    /// Beats without an echo, and when they were sent.
    sent: VecDeque<(u64, Duration)>,
}

impl AgentLease {
    /// Of an agent that the coordinator accepts; it asked for that at `asked_at`.
    pub const fn new(asked_at: Duration) -> Self {
        let ends_at = Duration::from_nanos(asked_at.as_nanos() as u64 + LEASE.as_nanos() as u64);
        Self { next_number: 0, next_at: asked_at, ends_at, sent: VecDeque::new() }
    }

    /// The number of the beat that is to be sent now, if one is due.
    pub fn beat(&mut self, now: Duration) -> Option<u64> {
        if now < self.next_at {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.next_at = now + BEAT_EVERY;
        self.sent.push_back((number, now));
        Some(number)
    }

    /// The coordinator has heard a beat.
    pub fn echo(&mut self, number: u64) {
        while let Some((first, sent_at)) = self.sent.front().copied()
            && first <= number
        {
            self.sent.pop_front();
            if first == number {
                self.ends_at = self.ends_at.max(sent_at + LEASE);
            }
        }
    }

    /// When it is over.
    pub const fn ends_at(&self) -> Duration {
        self.ends_at
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.ends_at
    }

    /// When to look again at the latest.
    pub fn look_at(&self) -> Duration {
        self.next_at.min(self.ends_at)
    }
}

/// The coordinator's side.
#[derive(Clone, Copy, Debug)]
pub struct NodeLease {
    heard_at: Duration,
}

impl NodeLease {
    /// Of an agent that is accepted now.
    pub const fn new(now: Duration) -> Self {
        Self { heard_at: now }
    }

    /// A beat was heard, and is about to be echoed.
    pub fn heard(&mut self, now: Duration) {
        self.heard_at = now;
    }

    /// From then on nothing of the agent runs any more, if nothing else is heard until then.
    pub fn over_at(&self) -> Duration {
        self.heard_at + LEASE + ENDING_TAKES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn echoes_extend_the_lease_from_when_the_beat_was_sent() {
        let mut lease = AgentLease::new(ms(0));
        assert_eq!(lease.beat(ms(0)), Some(0));
        assert_eq!(lease.beat(ms(1999)), None);
        assert_eq!(lease.beat(ms(2500)), Some(1));
        lease.echo(1);
        assert!(!lease.is_over(ms(32_499)) && lease.is_over(ms(32_500)));
        lease.echo(0);
        assert!(lease.is_over(ms(32_500)), "an old echo shortens nothing");
    }

    proptest! {
        /// Every message takes its own time or is lost, in order of sending or not.
        #[test]
        fn the_agent_always_ends_before_its_tasks_run_elsewhere(
            there in prop::collection::vec(prop::option::weighted(0.6, 0_u64..60_000), 1..60),
            back in prop::collection::vec(prop::option::weighted(0.6, 0_u64..60_000), 60),
            looks_late_ms in 0_u64..1000,
        ) {
            let mut agent = AgentLease::new(ms(0));
            let mut node = NodeLease::new(ms(5));
            // Beats and echoes under way: when they arrive, and their numbers.
            let mut beats: Vec<(Duration, u64)> = Vec::new();
            let mut echoes: Vec<(Duration, u64)> = Vec::new();
            let (mut agent_ended, mut node_over) = (None, None);
            for now in (0..400_000).step_by(50).map(ms) {
                if agent_ended.is_none() {
                    echoes.retain(|(at, number)| *at > now || { agent.echo(*number); false });
                    if agent.is_over(now) {
                        agent_ended = Some(now + ms(looks_late_ms) + ms(2000));
                    } else if let Some(number) = agent.beat(now)
                        && let Some(Some(delay)) = there.get(usize::try_from(number).unwrap())
                    {
                        beats.push((now + ms(*delay), number));
                    }
                }
                if node_over.is_none() {
                    if now >= node.over_at() {
                        node_over = Some(now);
                    }
                    beats.retain(|(at, number)| {
                        if *at > now { return true }
                        if node_over.is_none() {
                            node.heard(now);
                            if let Some(delay) = back[usize::try_from(*number).unwrap() % back.len()] {
                                echoes.push((now + ms(delay), *number));
                            }
                        }
                        false
                    });
                }
            }
            prop_assert!(agent_ended.unwrap() <= node_over.unwrap());
        }
    }
}
