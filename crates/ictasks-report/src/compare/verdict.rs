//! What changed, in one sentence.

use super::comparison::{Comparison, Shift};
use crate::findings::{Mood, Verdict};
use crate::units;

/// The sentence, worst news first.
pub(super) fn of(comparison: &Comparison) -> Verdict {
    let pairs = units::counted(comparison.matching.pair_count, "pair");
    let mut parts = Vec::new();
    let bad = [
        (comparison.newly_failing.task_count, "newly failing"),
        (comparison.unfinished.task_count, "no longer finished"),
        (comparison.missing.task_count, "missing"),
        (comparison.slower.task_count, "slower"),
        (comparison.more_memory.task_count, "with more memory"),
    ];
    let good = [
        (comparison.newly_passing.task_count, "newly passing"),
        (comparison.faster.task_count, "faster"),
        (comparison.less_memory.task_count, "with less memory"),
        (comparison.new.task_count, "new"),
    ];
    let counts = bad.iter().chain(&good).filter(|(count, _)| *count > 0);
    parts.extend(counts.map(|(count, what)| format!("{} {what}", units::count(*count))));
    let sentence = match parts.is_empty() {
        true => format!("no task changed ({pairs})"),
        false => format!("{} ({pairs})", parts.join(", ")),
    };
    let mood = match () {
        () if comparison.failure_count() > 0 => Mood::Bad,
        () if comparison.regression_count() > 0 || comparison.times.shift == Shift::Slower => Mood::Mixed,
        () => Mood::Good,
    };
    Verdict { mood, sentence }
}
