//! Parameter values and hosts that failed attempts have more often than others.
//!
//! A value stands out in a group if at least half of the group has it, its share there is at least twice
//! that among all attempts, and chance is no explanation: a sample of the group's size, drawn from all
//! attempts, would have so many of any value with a probability of at most [`CHANCE`]. The probability is
//! bounded as in Hoeffding, Probability inequalities for sums of bounded random variables, J. Am. Stat. Assoc.
//! 58 (1963), theorem 1, times the number of values that were looked at (Bonferroni).

use polars::prelude::*;

use super::NO_GROUP;
use crate::error::ReportError;
use crate::findings::OverRepresented;
use crate::load::batches;
use crate::load::{Attempts, column_names};
use crate::source::{Source, Table};

/// Columns of parameters that are looked at.
const COLUMNS: usize = 50;
/// Values of a column; one with more of them names tasks rather than kinds of tasks.
const VALUES: usize = 2000;
/// Probability below which a deviation is not taken for chance.
const CHANCE: f64 = 0.01;
/// Attempts of a group below which nothing is said.
const SMALLEST: i64 = 5;

/// How often the values of a column occur, among all attempts and in each group.
#[derive(Debug)]
pub(crate) struct ColumnCounts {
    /// Its name.
    pub(crate) column: String,
    /// The values.
    pub(crate) values: Vec<String>,
    /// Attempts that have the value.
    pub(crate) of_all: Vec<i64>,
    /// Attempts that have the value and failed.
    pub(crate) failed: Vec<i64>,
    /// By group, then by value.
    pub(crate) of_group: Vec<Vec<i64>>,
}

impl ColumnCounts {
    fn new(column: &str, groups: usize) -> Self {
        Self {
            column: column.to_owned(),
            values: Vec::new(),
            of_all: Vec::new(),
            failed: Vec::new(),
            of_group: vec![Vec::new(); groups],
        }
    }

    fn count(&mut self, value: usize, group: u32) {
        for counts in [&mut self.of_all, &mut self.failed] {
            if counts.len() <= value {
                counts.resize(value + 1, 0);
            }
        }
        self.of_all[value] += 1;
        if group == NO_GROUP {
            return;
        }
        self.failed[value] += 1;
        if let Some(counts) = self.of_group.get_mut(group as usize) {
            if counts.len() <= value {
                counts.resize(value + 1, 0);
            }
            counts[value] += 1;
        }
    }

    /// Values that stand out in a group, `looked_at` values being looked at in all columns.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn of(&self, group: usize, all: i64, looked_at: usize) -> Vec<OverRepresented> {
        let Some(counts) = self.of_group.get(group) else { return Vec::new() };
        let in_group: i64 = counts.iter().sum();
        if in_group < SMALLEST || all == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (value, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let of_count = self.of_all[value];
            let fraction_of_group = *count as f64 / in_group as f64;
            let fraction_of_all = of_count as f64 / all as f64;
            let chance = looked_at as f64 * tail(fraction_of_group, fraction_of_all, in_group as f64);
            let is_beyond_chance = chance < CHANCE;
            if fraction_of_group >= 0.5 && fraction_of_group >= 2.0 * fraction_of_all && is_beyond_chance {
                found.push(OverRepresented {
                    column: self.column.clone(),
                    value: self.values[value].clone(),
                    count: *count,
                    of_count,
                    fraction_of_group,
                    fraction_of_all,
                });
            }
        }
        found
    }
}

/// Bound of the probability that among `count` draws at least the part `seen` has what the part `expected` of
/// all has; 1 where no more is seen than expected.
fn tail(seen: f64, expected: f64, count: f64) -> f64 {
    if seen <= expected {
        return 1.0;
    }
    let term = |one: f64, other: f64| if one > 0.0 { one * (one / other).ln() } else { 0.0 };
    (-count * (term(seen, expected) + term(1.0 - seen, 1.0 - expected))).exp()
}

/// Counts hosts and the values of all parameters.
///
/// # Errors
/// If a table cannot be read.
pub(crate) fn count(
    sources: &[Source],
    attempts: &Attempts,
    first_rows: &[usize],
    group_of: &[u32],
    groups: usize,
) -> Result<Vec<ColumnCounts>, ReportError> {
    let mut counts = vec![hosts(attempts, group_of, groups)];
    let mut params: Vec<Param> = Vec::new();
    for (run, source) in sources.iter().enumerate().filter(|(_, source)| source.has(Table::Attempts)) {
        let mut names = column_names(source, Table::Attempts)?;
        names.retain(|name| name.starts_with("param_"));
        names.truncate(COLUMNS);
        for name in &names {
            if !params.iter().any(|param| param.counts.column == *name) {
                params.push(Param::new(name, groups));
            }
        }
        let mut row = first_rows[run];
        let columns: Vec<Expr> = names.iter().map(|name| col(name.as_str())).collect();
        if columns.is_empty() {
            continue;
        }
        batches::for_each(source.scan(Table::Attempts)?.select(columns), &mut |batch| {
            for param in params.iter_mut().filter(|param| names.contains(&param.counts.column)) {
                param.take(batch, &group_of[row..row + batch.height()])?;
            }
            row += batch.height();
            Ok(())
        })?;
    }
    counts.extend(params.into_iter().filter(|param| !param.has_many).map(|param| param.counts));
    Ok(counts)
}

fn hosts(attempts: &Attempts, group_of: &[u32], groups: usize) -> ColumnCounts {
    let mut counts = ColumnCounts::new("host", groups);
    counts.values.clone_from(&attempts.hosts);
    for (row, group) in group_of.iter().enumerate() {
        if let Some(host) = attempts.host(row) {
            counts.count(host as usize, *group);
        }
    }
    counts
}

/// A parameter while it is counted.
struct Param {
    counts: ColumnCounts,
    of_text: PlHashMap<String, usize>,
    of_number: PlHashMap<i64, usize>,
    has_many: bool,
}

impl Param {
    fn new(name: &str, groups: usize) -> Self {
        Self {
            counts: ColumnCounts::new(name, groups),
            of_text: PlHashMap::default(),
            of_number: PlHashMap::default(),
            has_many: false,
        }
    }

    fn take(&mut self, batch: &DataFrame, group_of: &[u32]) -> Result<(), ReportError> {
        if self.has_many {
            return Ok(());
        }
        let column = batch.column(&self.counts.column)?;
        // Most parameters are integers: those become text once each.
        if column.dtype().is_integer() {
            let values = column.cast(&DataType::Int64)?;
            for (value, group) in values.i64()?.iter().zip(group_of) {
                let Some(value) = value else { continue };
                let number = self.of_number.get(&value).copied();
                let Some(number) = number.or_else(|| {
                    let number = self.add(value.to_string())?;
                    self.of_number.insert(value, number);
                    Some(number)
                }) else {
                    return Ok(());
                };
                self.counts.count(number, *group);
            }
            return Ok(());
        }
        let values = batches::texts(batch, &self.counts.column)?;
        for (value, group) in values.iter().zip(group_of) {
            let Some(value) = value else { continue };
            let number = self.of_text.get(value).copied();
            let Some(number) = number.or_else(|| {
                let number = self.add(value.to_owned())?;
                self.of_text.insert(value.to_owned(), number);
                Some(number)
            }) else {
                return Ok(());
            };
            self.counts.count(number, *group);
        }
        Ok(())
    }

    /// A new value; `None` if there are too many.
    fn add(&mut self, value: String) -> Option<usize> {
        self.has_many = self.counts.values.len() >= VALUES;
        if self.has_many {
            return None;
        }
        self.counts.values.push(value);
        Some(self.counts.values.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_is_exact_where_all_draws_agree() {
        assert!((tail(1.0, 1.0 / 3.0, 10.0) - 3.0_f64.powi(-10)).abs() < 1e-12);
        // At least 8 heads in 10 throws: 56 of 1024.
        let bound = tail(0.8, 0.5, 10.0);
        assert!((56.0 / 1024.0..0.15).contains(&bound), "{bound}");
        assert!((tail(0.5, 0.5, 10.0) - 1.0).abs() < 1e-12);
    }
}
