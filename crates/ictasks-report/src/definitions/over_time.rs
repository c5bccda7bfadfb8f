//! What happened when: on the axis of time in which sessions were alive, in steps of equal length.

use crate::findings::Concurrency;
use crate::load::attempts::NO_TIME;
use crate::load::{Attempts, Session};

/// Sums over time, by step: each interval adds its height to the steps that it covers, in part at its ends.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    step_s: f64,
    /// What intervals that cover a step in part add to it, height × seconds.
    parts: Vec<f64>,
    /// Changes of the height of what covers steps as a whole.
    changes: Vec<f64>,
}

impl Steps {
    pub(crate) fn new(step_s: f64, count: usize) -> Self {
        Self { step_s, parts: vec![0.0; count], changes: vec![0.0; count + 1] }
    }

    /// Adds an interval; what lies outside the axis is left out.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn add(&mut self, from_s: f64, to_s: f64, height: f64) {
        let count = self.parts.len();
        let end = self.step_s * count as f64;
        let (from, to) = (from_s.clamp(0.0, end), to_s.clamp(0.0, end));
        if to <= from || count == 0 {
            return;
        }
        let first = ((from / self.step_s) as usize).min(count - 1);
        let last = ((to / self.step_s) as usize).min(count - 1);
        if first == last {
            self.parts[first] += (to - from) * height;
            return;
        }
        self.parts[first] += (self.step_s * (first + 1) as f64 - from) * height;
        self.parts[last] += (to - self.step_s * last as f64) * height;
        self.changes[first + 1] += height;
        self.changes[last] -= height;
    }

    /// The mean height of each step.
    pub(crate) fn means(&self) -> Vec<f64> {
        let mut height = 0.0;
        self.parts
            .iter()
            .zip(&self.changes)
            .map(|(part, change)| {
                height += change;
                // What sums leave of nothing is nothing.
                let mean: f64 = height + part / self.step_s;
                if mean.abs() < 1e-9 { 0.0 } else { mean }
            })
            .collect()
    }
}

/// Cores that there were, that were busy, and tasks that waited, in `count` steps.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn concurrency(
    attempts: &Attempts,
    sessions: &[Session],
    span_s: f64,
    count: usize,
) -> Concurrency {
    let step_s = (span_s / count as f64).max(1e-9);
    let mut available = Steps::new(step_s, count);
    let mut busy = Steps::new(step_s, count);
    let mut queued = Steps::new(step_s, count);
    for session in sessions {
        for node in &session.nodes {
            let (from, to) = (session.on_axis_s(node.joined_at), session.on_axis_s(node.left_at));
            available.add(from, to, node.core_count as f64);
        }
    }
    for row in attempts.that_ran() {
        let session = &sessions[attempts.session[row] as usize];
        let start = session.on_axis_s(attempts.started_at[row]);
        busy.add(start, start + attempts.wall_s[row], f64::from(attempts.core_count[row]));
        if attempts.ready_at[row] != NO_TIME {
            queued.add(session.on_axis_s(attempts.ready_at[row]), start, 1.0);
        }
    }
    Concurrency {
        step_s,
        available: available.means(),
        busy: busy.means(),
        queued: queued.means(),
        session_starts_s: sessions.iter().map(|session| session.axis_start_s).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_spread_over_the_steps() {
        let mut steps = Steps::new(1.0, 4);
        steps.add(0.5, 3.25, 2.0);
        steps.add(1.25, 1.75, 4.0);
        steps.add(-1.0, 0.5, 1.0);
        steps.add(3.5, 9.0, 1.0);
        let means = steps.means();
        let expected = [1.5, 4.0, 2.0, 1.0];
        for (mean, expected) in means.iter().zip(expected) {
            assert!((mean - expected).abs() < 1e-9, "{means:?}");
        }
    }
}
