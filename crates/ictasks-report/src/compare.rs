//! Two runs side by side: [`compare`] computes a [`Comparison`], which holds every number, and
//! [`text`], [`markdown`] and [`html`] render it and compute nothing.
//!
//! - `manifest`, `differences`: what run.json tells of the runs, and where that differs;
//! - `side`, `matching`: the tasks of each run, and which of them belong together;
//! - `changes`: what became of the pairs; `shift`: of their times as a whole;
//! - `outline`, made of `parts`: what is shown, in words, for the renderers.

use crate::error::ReportError;
use crate::findings::Verdict;
use crate::moment::Moment;
use crate::source::Source;

mod changes;
mod comparison;
mod differences;
mod html;
mod manifest;
mod markdown;
mod matching;
mod outline;
mod parts;
mod shift;
mod side;
#[cfg(test)]
mod tests;
mod text;
mod totals;
mod verdict;

pub use comparison::*;
pub use html::html;
pub use markdown::markdown;
pub use text::{TextOptions, text};

use side::Side;

/// What the user wants to know.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareOptions {
    /// How tasks are paired; by default by id where ids were given, by command where they come from the
    /// position.
    pub matching: Option<Matching>,
    /// Times and memory count as changed if the larger is more than so many times the smaller.
    pub threshold_ratio: f64,
    /// And the difference at least so many seconds.
    pub time_floor_s: f64,
    /// Or so many bytes.
    pub memory_floor_bytes: i64,
    /// Tasks that are listed for each kind of change.
    pub top: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            matching: None,
            threshold_ratio: 1.25,
            time_floor_s: 0.1,
            memory_floor_bytes: 16 << 20,
            top: 10,
        }
    }
}

/// Compares two runs: `a` is the one before, `b` the one after.
///
/// # Errors
/// If a table cannot be read, a record is of a newer format, or tasks are to be paired by parameters
/// that the runs do not share.
pub fn compare(a: &Source, b: &Source, options: &CompareOptions) -> Result<Comparison, ReportError> {
    let mut lacks: Vec<String> = a.damages.iter().chain(&b.damages).cloned().collect();
    let manifest_a = manifest::read(a, &mut lacks)?;
    let manifest_b = manifest::read(b, &mut lacks)?;
    let params = matching::shared_params(a, b, options.matching, &mut lacks)?;
    let side_a = Side::read(a, &params)?;
    let side_b = Side::read(b, &params)?;
    let matches = matching::pair(&side_a, &side_b, options.matching, &params)?;
    let pairs = matches.pairs(&side_a, &side_b)?;
    let found = changes::find(&pairs, &matches, [(a, &side_a), (b, &side_b)], options)?;
    let differences = differences::between(&manifest_a, &manifest_b);
    let mut comparison = Comparison {
        comparison_version: COMPARISON_VERSION,
        ictasks_version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: Moment::now(),
        a: totals::of_run(a, &manifest_a, &side_a)?,
        b: totals::of_run(b, &manifest_b, &side_b)?,
        verdict: Verdict::default(),
        times: shift::compute(&pairs, &differences)?,
        differences,
        matching: matches.facts(options.matching, &pairs, [&side_a, &side_b])?,
        threshold_ratio: options.threshold_ratio,
        time_floor_s: options.time_floor_s,
        memory_floor_bytes: options.memory_floor_bytes,
        transitions: found.transitions,
        newly_failing: found.newly_failing,
        unfinished: found.unfinished,
        newly_passing: found.newly_passing,
        slower: found.slower,
        faster: found.faster,
        more_memory: found.more_memory,
        less_memory: found.less_memory,
        missing: found.missing,
        new: found.new,
        lacks,
    };
    comparison.verdict = verdict::of(&comparison);
    Ok(comparison)
}
