//! Why attempts failed: groups of attempts that ended in the same way and said the same.
//!
//! Grouped by outcome, exit code, signal and the template of the last informative line ([`last_line`],
//! [`mask`]); the idea of templates is that of Drain (He et al., ICWS 2017). Only above
//! [`MANY_GROUPS`] groups are near-duplicates merged ([`merge`]).

use std::ops::Range;

use ictasks_core::attempt::Outcome;
use polars::prelude::*;

use crate::error::ReportError;
use crate::load::{Attempts, batches, column_names, column_or_null};
use crate::source::{Source, Table};

pub(crate) mod findings;
pub(crate) mod keys;
pub(crate) mod last_line;
mod mask;
mod merge;
pub(crate) mod stand_out;
pub(crate) mod words;

use keys::Key;

/// Above this number of groups near-duplicates are merged.
const MANY_GROUPS: usize = 50;

/// In [`Gathered::group_of`]: not failed.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// The failed attempts of all runs, in groups.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The group of each row of the attempts, or [`NO_GROUP`].
    pub(crate) group_of: Vec<u32>,
    /// The groups.
    pub(crate) groups: Vec<Group>,
    /// Whether near-duplicates were merged.
    pub(crate) merged: bool,
    /// Attempts whose own words say that they could not allocate memory.
    pub(crate) allocation_failures: i64,
    /// Attempts that were killed by SIGKILL, not by us: those may have run out of memory.
    pub(crate) sigkilled: Vec<usize>,
    /// Attempts that ran out of memory, with the evidence of the record.
    pub(crate) out_of_memory: Vec<(usize, String)>,
}

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) key: Key,
    pub(crate) cause: Option<String>,
    pub(crate) evidence: Option<String>,
    /// The last row that fell into it: its example.
    pub(crate) example: usize,
    /// The example's output.
    pub(crate) output: String,
}

impl Gathered {
    /// Reads how the failed attempts of all runs ended. `hosts` are masked in what they said.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub(crate) fn read(
        sources: &[Source],
        attempts: &Attempts,
        first_rows: &[usize],
    ) -> Result<Self, ReportError> {
        let mut gathering = Gathering {
            gathered: Self { group_of: vec![NO_GROUP; attempts.len()], ..Self::default() },
            numbers: PlHashMap::default(),
            mask: mask::Mask::new(&attempts.hosts),
        };
        for (run, source) in sources.iter().enumerate().filter(|(_, source)| source.has(Table::Attempts)) {
            gathering.read(source, attempts, first_rows[run]..first_rows[run + 1])?;
        }
        let mut gathered = gathering.gathered;
        if gathered.groups.len() > MANY_GROUPS {
            merge::merge(&mut gathered);
        }
        Ok(gathered)
    }
}

struct Gathering {
    gathered: Gathered,
    numbers: PlHashMap<Key, u32>,
    mask: mask::Mask,
}

impl Gathering {
    fn read(&mut self, source: &Source, attempts: &Attempts, rows: Range<usize>) -> Result<(), ReportError> {
        let known = column_names(source, Table::Attempts)?;
        let column = |name: &str, kind| column_or_null(&known, name, kind);
        // Of an attempt that did not fail all of these but the code are null, and cost nothing.
        let query = source.scan(Table::Attempts)?.select([
            column("exit_code", DataType::Int32),
            column("signal", DataType::Int32),
            column("cause", DataType::String).cast(DataType::String),
            column("cause_evidence", DataType::String).cast(DataType::String),
            column("error", DataType::String),
            column("stderr_tail", DataType::String),
            column("stdout_tail", DataType::String),
        ]);
        let mut row = rows.start;
        batches::for_each_in_parts(query, rows.len(), &mut |batch| {
            let outcomes = attempts.outcome.get(row..row + batch.height()).unwrap_or_default();
            self.take(batch, outcomes, row)?;
            row += batch.height();
            Ok(())
        })
    }

    /// A batch of which the first attempt is that of `first_row`.
    fn take(&mut self, batch: &DataFrame, outcomes: &[Outcome], first_row: usize) -> Result<(), ReportError> {
        if !outcomes.iter().any(|outcome| outcome.is_failure()) {
            return Ok(());
        }
        let exit_codes = batches::integers(batch, "exit_code", i64::MIN)?;
        let signals = batches::integers(batch, "signal", i64::MIN)?;
        let causes = batches::texts(batch, "cause")?;
        let evidences = batches::texts(batch, "cause_evidence")?;
        let errors = batches::texts(batch, "error")?;
        let stderrs = batches::texts(batch, "stderr_tail")?;
        let stdouts = batches::texts(batch, "stdout_tail")?;
        for (place, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_failure()) {
            let text = |column: &StringChunked| {
                column.get(place).filter(|text| !text.trim().is_empty()).map(str::to_owned)
            };
            let number = |value: i64| i32::try_from(value).ok();
            self.add(Failed {
                row: first_row + place,
                outcome: *outcome,
                exit_code: number(exit_codes[place]),
                signal: number(signals[place]),
                cause: text(&causes),
                evidence: text(&evidences),
                error: text(&errors),
                output: text(&stderrs).or_else(|| text(&stdouts)).unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn add(&mut self, failed: Failed) {
        if words::is_allocation_failure(&failed.output) {
            self.gathered.allocation_failures += 1;
        } else if failed.outcome == Outcome::OutOfMemory {
            let evidence = failed.evidence.clone().unwrap_or_else(|| "probable".to_owned());
            self.gathered.out_of_memory.push((failed.row, evidence));
        } else if failed.signal == Some(9) || failed.exit_code == Some(137) {
            self.gathered.sigkilled.push(failed.row);
        }
        let (template, output) = match failed.error {
            Some(error) => (self.mask.template_of_error(&error), error),
            None => (self.mask.template(&last_line::last_informative(&failed.output)), failed.output),
        };
        let outcome = failed.outcome.as_str().to_owned();
        let key = Key { outcome, exit_code: failed.exit_code, signal: failed.signal, template };
        let groups = &mut self.gathered.groups;
        let number = *self.numbers.entry(key).or_insert_with_key(|key| {
            groups.push(Group {
                key: key.clone(),
                cause: failed.cause.clone(),
                evidence: failed.evidence.clone(),
                example: failed.row,
                output: String::new(),
            });
            u32::try_from(groups.len() - 1).unwrap_or(NO_GROUP)
        });
        if let Some(group) = groups.get_mut(number as usize) {
            group.example = failed.row;
            group.output = output;
        }
        if let Some(group_of) = self.gathered.group_of.get_mut(failed.row) {
            *group_of = number;
        }
    }
}

/// One failed attempt, as the file tells it.
struct Failed {
    row: usize,
    outcome: Outcome,
    exit_code: Option<i32>,
    signal: Option<i32>,
    cause: Option<String>,
    evidence: Option<String>,
    /// Why it could not be started.
    error: Option<String>,
    /// The end of what it printed.
    output: String,
}
