//! The end of the allocation: what still fits before it, and what does not.
//!
//! A task starts if it will probably end [`Walltime::ends_at`] at the latest, when whatever still runs is ended so
//! that the record is complete before the allocation is gone. How long it will take is, in this order,
//!
//! 1. the 95th percentile of the last tasks like it, once [`ENOUGH`] of them have ended: those with the same
//!    template (the command, numbers aside) and the same `expected_time` of their own;
//! 2. its own `expected_time`;
//! 3. the 95th percentile of those with the same program;
//! 4. the `expected_time` of the run.
//!
//! Where none of it is known it starts: `timeout` is a bound, not an estimate. Only tasks that succeeded or
//! reached their time limit are learned from; what failed at once says little of how long the others take.
//!
//! A task that does not fit is held back, since tasks like it may prove to be shorter. The session ends when nothing
//! else is left; but no session ends with nothing started for this reason: then the shortest of them starts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::command::kind::{program, template};
use ictasks_core::plan::Limits;
use ictasks_core::task::command_hash;

use super::queue::Job;

/// So many tasks that have ended tell how long others like them take.
const ENOUGH: usize = 20;
/// Durations that a percentile is taken over.
const REMEMBERED: usize = 200;
/// Kinds of tasks that are told apart; of further ones nothing is learned.
const MOST_KINDS: usize = 4096;
/// While so many tasks are held back, no others are read.
const MOST_HELD: usize = 1 << 16;
/// An end that has moved by less is the same: Slurm's own figures differ by seconds.
const SAME_END_S: f64 = 30.0;
/// Of the time that is left at the beginning, no more is kept for the end.
const LARGEST_MARGIN_SHARE: f64 = 0.5;
/// Of the time for the end, no more is given to tasks: the rest is for the record.
const LARGEST_GRACE_SHARE: f64 = 0.5;

/// What the end of the allocation means for tasks.
#[derive(Debug, Default)]
pub(super) struct Walltime {
    end: Option<End>,
    expected_time_s: Option<f64>,
    durations: HashMap<i64, Durations>,
    learned_count: usize,
    held: BTreeMap<i64, Held>,
    held_count: usize,
    /// Kinds of what is held back of which more is known than when they were.
    to_look_at: BTreeSet<i64>,
    any_started: bool,
}

/// Tasks of a kind that do not fit, in their order.
#[derive(Debug)]
struct Held {
    kind: Kind,
    jobs: VecDeque<Job>,
}

/// What tasks have in common that are of about the same length.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kind {
    /// Stands for the template and their own `expected_time`.
    like: i64,
    /// Stands for the program.
    program: i64,
    own_expected_time_s: Option<f64>,
}

/// The end of the session.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Timestamp,
    /// Seconds from then to the end of the allocation.
    margin_s: f64,
    grace_s: f64,
}

impl End {
    /// Of an allocation that ends at `deadline`, as is known since `now`.
    fn of(limits: &Limits, deadline: Timestamp, now: Timestamp) -> Self {
        let left_s = deadline.seconds_since(now);
        let margin_s = limits.walltime_margin_s.min(left_s * LARGEST_MARGIN_SHARE);
        let grace_s = limits.kill_grace_s.min(margin_s * LARGEST_GRACE_SHARE);
        Self { at: deadline.plus_seconds(-margin_s), margin_s, grace_s }
    }
}

impl Walltime {
    /// Of a session that begins now, in an allocation that ends at `deadline`. One that is over already is no
    /// allocation of this run's.
    pub(super) fn of(limits: &Limits, deadline: Option<Timestamp>, began_at: Timestamp) -> Self {
        let end = deadline.filter(|deadline| *deadline > began_at);
        let end = end.map(|deadline| End::of(limits, deadline, began_at));
        Self { end, expected_time_s: limits.expected_time_s, ..Self::default() }
    }

    /// The allocation ends at `deadline`. Whether that is news. What is held back is looked at again.
    pub(super) fn move_end(&mut self, limits: &Limits, deadline: Timestamp, now: Timestamp) -> bool {
        let known = self.end.map(|end| end.at.plus_seconds(end.margin_s));
        if known.is_some_and(|known| known.seconds_since(deadline).abs() < SAME_END_S) {
            return false;
        }
        self.end = Some(End::of(limits, deadline.max(now), now));
        self.to_look_at.extend(self.held.keys().copied());
        true
    }

    /// Whether there is an end.
    pub(super) const fn is_limited(&self) -> bool {
        self.end.is_some()
    }

    /// When tasks that still run are ended.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.end.map(|end| end.at)
    }

    /// Whether that time has come.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|at| at <= now)
    }

    /// Whether a signal that comes now is Slurm's word of the end. It may come earlier than was said: a margin more
    /// is allowed for.
    pub(super) fn is_near(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end.at.plus_seconds(-end.margin_s) <= now)
    }

    /// Whether no time is left for anything but the end of the record.
    pub(super) fn is_last_moment(&self, now: Timestamp) -> bool {
        let last = |end: End| end.at.plus_seconds(end.margin_s * (1.0 + LARGEST_GRACE_SHARE) / 2.0);
        self.end.is_some_and(|end| last(end) <= now)
    }

    /// Seconds between SIGTERM and SIGKILL at the end.
    pub(super) fn grace_s(&self) -> f64 {
        self.end.map_or(0.0, |end| end.grace_s)
    }

    /// The task, if it may start now; else it is held back.
    pub(super) fn admit(&mut self, job: Job, now: Timestamp) -> Option<Job> {
        if !self.is_limited() {
            return Some(job);
        }
        let kind = Kind::of(&job);
        if self.fits(&kind, now) {
            return Some(job);
        }
        let held = self.held.entry(kind.like).or_insert_with(|| Held { kind, jobs: VecDeque::new() });
        held.jobs.push_back(job);
        self.held_count += 1;
        None
    }

    fn fits(&self, kind: &Kind, now: Timestamp) -> bool {
        let Some(end) = self.end else { return true };
        self.estimate_s(kind).is_none_or(|estimate_s| now.plus_seconds(estimate_s) <= end.at)
    }

    /// Seconds that a task of this kind will probably take.
    fn estimate_s(&self, kind: &Kind) -> Option<f64> {
        let high_s = |key: i64| self.durations.get(&key).and_then(Durations::high_s);
        high_s(kind.like)
            .or(kind.own_expected_time_s)
            .or_else(|| high_s(kind.program))
            .or(self.expected_time_s)
    }

    /// The next of those that were held back, if by what is known now it may start.
    pub(super) fn next_held(&mut self, now: Timestamp) -> Option<Job> {
        while let Some(like) = self.to_look_at.first().copied() {
            if self.held.get(&like).is_some_and(|held| self.fits(&held.kind, now)) {
                return self.take_one(like);
            }
            self.to_look_at.remove(&like);
        }
        None
    }

    fn take_one(&mut self, like: i64) -> Option<Job> {
        let held = self.held.get_mut(&like)?;
        let job = held.jobs.pop_front();
        if held.jobs.is_empty() {
            self.held.remove(&like);
        }
        self.held_count -= usize::from(job.is_some());
        job
    }

    /// A task was handed out.
    pub(super) const fn started(&mut self) {
        self.any_started = true;
    }

    /// Whether any task was handed out.
    pub(super) const fn has_started(&self) -> bool {
        self.any_started
    }

    /// A task has ended: tasks that were held back may be shorter than they seemed.
    pub(super) fn learn(&mut self, job: &Job, outcome: Outcome, wall_s: Option<f64>) {
        let is_telling = matches!(outcome, Outcome::Succeeded | Outcome::TimedOut);
        let Some(wall_s) = wall_s.filter(|_| is_telling && self.is_limited()) else { return };
        let Kind { like, program, .. } = Kind::of(job);
        for key in [like, program] {
            if self.durations.len() < MOST_KINDS || self.durations.contains_key(&key) {
                self.durations.entry(key).or_default().push(wall_s);
            }
        }
        self.learned_count += 1;
        if self.learned_count.is_multiple_of(ENOUGH) {
            // Also for those of which only the program has become better known.
            self.to_look_at.extend(self.held.keys().copied());
        } else if self.held.contains_key(&like) {
            self.to_look_at.insert(like);
        }
    }

    /// Nothing is left to do but what does not fit. The shortest of it, if nothing has started in this session;
    /// `None` if the session is to end.
    pub(super) fn take_in_spite(&mut self) -> Option<Job> {
        if self.any_started {
            return None;
        }
        let length_s = |held: &Held| self.estimate_s(&held.kind).unwrap_or(0.0);
        let shortest = self.held.values().min_by(|one, other| length_s(one).total_cmp(&length_s(other)));
        self.take_one(shortest?.kind.like)
    }

    /// Whether so many are held back that no more should be read.
    pub(super) const fn is_full(&self) -> bool {
        self.held_count >= MOST_HELD
    }

    /// Whether no task is held back.
    pub(super) const fn is_empty(&self) -> bool {
        self.held_count == 0
    }

    /// Takes everything out, in the order of the list.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.held_count = 0;
        let mut jobs: Vec<Job> =
            std::mem::take(&mut self.held).into_values().flat_map(|held| held.jobs).collect();
        jobs.sort_by_key(|job| job.order.task_index);
        jobs
    }
}

impl Kind {
    fn of(job: &Job) -> Self {
        let own_expected_time_s = job.expected_time_s;
        let mut text = String::new();
        template(&job.order.command, &mut text);
        if let Some(expected_s) = own_expected_time_s {
            text.push_str(&format!("\0{expected_s}"));
        }
        let like = command_hash(&text);
        // No template begins so: programs and templates share a map.
        let program = command_hash(&format!("\0{}", program(&job.order.command)));
        Self { like, program, own_expected_time_s }
    }
}

/// How long the last tasks of a kind took.
#[derive(Debug, Default)]
struct Durations {
    /// In the order in which they came.
    last_s: VecDeque<f64>,
    /// From the shortest to the longest.
    sorted_s: Vec<f64>,
}

impl Durations {
    fn push(&mut self, wall_s: f64) {
        if self.last_s.len() == REMEMBERED
            && let Some(oldest_s) = self.last_s.pop_front()
        {
            self.sorted_s.remove(self.place_of(oldest_s));
        }
        self.last_s.push_back(wall_s);
        self.sorted_s.insert(self.place_of(wall_s), wall_s);
    }

    fn count(&self) -> usize {
        self.sorted_s.len()
    }

    /// The 95th percentile by the nearest rank, once enough are known.
    fn high_s(&self) -> Option<f64> {
        let count = self.count();
        (count >= ENOUGH).then(|| self.sorted_s[(count * 95).div_ceil(100) - 1])
    }

    fn place_of(&self, wall_s: f64) -> usize {
        self.sorted_s.partition_point(|other_s| other_s.total_cmp(&wall_s).is_lt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_of_the_last_durations() {
        let mut durations = Durations::default();
        for number in 1..=19 {
            durations.push(f64::from(number));
        }
        assert_eq!(durations.high_s(), None);
        durations.push(1000.0);
        assert_eq!(durations.high_s(), Some(19.0), "one in twenty may be longer");
        (0..200).for_each(|_| durations.push(2.0));
        assert_eq!((durations.high_s(), durations.count()), (Some(2.0), 200));
    }
}
