//! Which task of one run is which of the other.
//!
//! Asked for nothing else, tasks are paired by id where ids were given: those whose id is not their
//! position, and all of a run in which a number that is an id is not the position. All others are
//! paired by the command before placeholders, the nth occurrence in A with the nth in B, in the order
//! of the task lists; so a line that was put in changes no other pair.

use std::cmp::Ordering;

use polars::prelude::*;

use super::comparison::{MatchFacts, Matching, PairedBy};
use super::side::Side;
use crate::error::ReportError;
use crate::source::{Source, Table};
use crate::units;

/// Columns of pairs.
const FIGURES: [&str; 9] = [
    "task_index",
    "task_id",
    "command_hash",
    "attempt",
    "outcome",
    "succeeded_count",
    "run_s",
    "process_bytes",
    "tree_bytes",
];

/// Pairs, and tasks without a partner.
#[derive(Debug)]
pub(super) struct Matches {
    /// Rows of A and B that belong together: `row`, `b_row`, in the order of A.
    rows: DataFrame,
    paired_by: Vec<PairedBy>,
}

/// A column of parameters, and the type to which both runs bring it.
#[derive(Clone, Debug)]
pub(super) struct Param {
    name: PlSmallStr,
    kind: DataType,
}

impl Param {
    /// The values.
    pub(super) fn values(&self) -> Expr {
        col(self.name.clone()).cast(self.kind.clone())
    }
}

/// The columns of parameters that both runs have, if tasks are to be paired by them.
///
/// # Errors
/// If they share none.
pub(super) fn shared_params(
    a: &Source,
    b: &Source,
    matching: Option<Matching>,
    lacks: &mut Vec<String>,
) -> Result<Vec<Param>, ReportError> {
    if matching != Some(Matching::Param) {
        return Ok(Vec::new());
    }
    let (params_a, params_b) = (params(a)?, params(b)?);
    let mut shared = Vec::new();
    for Param { name, kind } in &params_a {
        let Some(other) = params_b.iter().find(|other| other.name == *name) else { continue };
        let kind = match (kind, &other.kind) {
            (a, b) if a == b => a.clone(),
            (a, b) if a.is_primitive_numeric() && b.is_primitive_numeric() => DataType::Float64,
            _ => DataType::String,
        };
        shared.push(Param { name: name.clone(), kind });
    }
    if shared.is_empty() {
        return Err(ReportError::NoSharedParams { a: in_words(&params_a), b: in_words(&params_b) });
    }
    for (source, params) in [(a, &params_a), (b, &params_b)] {
        let is_lone = |param: &&Param| shared.iter().all(|shared| shared.name != param.name);
        let names: Vec<&str> = params.iter().filter(is_lone).map(|param| param.name.as_str()).collect();
        if !names.is_empty() {
            let names = names.join("`, `");
            lacks.push(format!("only `{}` has `{names}`: not looked at where tasks are paired", source.name));
        }
    }
    Ok(shared)
}

fn in_words(params: &[Param]) -> String {
    let names: Vec<String> = params.iter().map(|param| format!("`{}`", param.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn params(source: &Source) -> Result<Vec<Param>, ReportError> {
    let schema = source.scan(Table::Tasks)?.collect_schema()?;
    let params = schema.iter().filter(|(name, _)| name.starts_with("param_"));
    Ok(params.map(|(name, kind)| Param { name: name.clone(), kind: kind.clone() }).collect())
}

/// Finds the pairs.
pub(super) fn pair(
    a: &Side,
    b: &Side,
    matching: Option<Matching>,
    params: &[Param],
) -> Result<Matches, ReportError> {
    let found = match matching {
        None => by_what_was_given(&a.frame, &b.frame)?,
        Some(Matching::Command) => vec![(Matching::Command, by_command(&a.frame, &b.frame)?)],
        Some(by) => {
            let keys = match by {
                Matching::Param => params.iter().map(|param| col(param.name.clone())).collect(),
                _ => vec![col("task_id")],
            };
            vec![(by, by_keys(a.frame.clone().lazy(), b.frame.clone().lazy(), keys)?)]
        }
    };
    let count = |frame: &DataFrame| i64::try_from(frame.height()).unwrap_or(i64::MAX);
    let paired_by = found.iter().map(|(by, pairs)| PairedBy { by: *by, pair_count: count(pairs) });
    let paired_by = paired_by.filter(|paired| paired.pair_count > 0).collect();
    let frames: Vec<LazyFrame> = found.into_iter().map(|(_, pairs)| pairs.lazy()).collect();
    let rows =
        concat(frames, UnionArgs::default())?.sort(["row"], SortMultipleOptions::default()).collect()?;
    Ok(Matches { rows, paired_by })
}

/// By id where that was given on a side, the rest by command.
fn by_what_was_given(a: &DataFrame, b: &DataFrame) -> Result<Vec<(Matching, DataFrame)>, ReportError> {
    let (given_a, given_b) = (given(a)?, given(b)?);
    if !given_a.any && !given_b.any {
        return Ok(vec![(Matching::Command, by_command(a, b)?)]);
    }
    let [of_a, of_b] = [(a, &given_a), (b, &given_b)].map(|(side, given)| {
        let is_given = given.expression.clone().alias("is_given");
        side.clone().lazy().select([col("task_id"), col("row"), is_given])
    });
    let on = [col("task_id")];
    let of_b = of_b.rename(["row", "is_given"], ["b_row", "b_is_given"], true);
    let pairs = of_a.join(of_b, on.clone(), on, JoinArgs::new(JoinType::Inner));
    let pairs = pairs.filter(col("is_given").or(col("b_is_given"))).select([col("row"), col("b_row")]);
    let by_id = pairs.collect()?;
    let rest = |side: &DataFrame, row: &str| {
        side.clone().lazy().anti_join(by_id.clone().lazy(), col("row"), col(row)).collect()
    };
    let by_command = by_command(&rest(a, "row")?, &rest(b, "b_row")?)?;
    Ok(vec![(Matching::Id, by_id), (Matching::Command, by_command)])
}

/// Of which tasks of a run the id was given.
struct Given {
    any: bool,
    expression: Expr,
}

fn given(side: &DataFrame) -> Result<Given, ReportError> {
    let is_own = col("task_id").neq(col("task_index").cast(DataType::String));
    let own = side.clone().lazy().filter(is_own.clone()).select([col("task_id")]).collect()?;
    let is_number = |id: &str| id.parse::<u64>().is_ok_and(|number| number.to_string() == id);
    // A number that is not the position was given: then so was every other number.
    let numbers_are_given = own.column("task_id")?.str()?.iter().flatten().any(is_number);
    Ok(Given { any: own.height() > 0, expression: if numbers_are_given { lit(true) } else { is_own } })
}

/// Rows with equal commands, the nth of A with the nth of B: both sides are sorted by command and by
/// row, and gone through together.
fn by_command(a: &DataFrame, b: &DataFrame) -> Result<DataFrame, ReportError> {
    let (a, b) = (commands(a)?, commands(b)?);
    let (mut rows, mut b_rows) = (Vec::new(), Vec::new());
    let (mut at, mut b_at) = (0, 0);
    while let (Some((command, row)), Some((b_command, b_row))) = (a.get(at), b.get(b_at)) {
        match command.cmp(b_command) {
            Ordering::Less => at += 1,
            Ordering::Greater => b_at += 1,
            Ordering::Equal => {
                rows.push(*row);
                b_rows.push(*b_row);
                at += 1;
                b_at += 1;
            }
        }
    }
    Ok(df!("row" => rows, "b_row" => b_rows)?)
}

fn commands(side: &DataFrame) -> Result<Vec<(i64, IdxSize)>, ReportError> {
    let (hashes, rows) = (side.column("command_hash")?.i64()?, side.column("row")?.idx()?);
    let mut commands: Vec<(i64, IdxSize)> =
        hashes.iter().zip(rows.iter()).filter_map(|(hash, row)| Some((hash?, row?))).collect();
    commands.sort_unstable();
    Ok(commands)
}

/// Rows with equal keys, the nth of A with the nth of B. A task without any key is like no other.
fn by_keys(a: LazyFrame, b: LazyFrame, mut keys: Vec<Expr>) -> Result<DataFrame, ReportError> {
    let has_any = keys.iter().cloned().map(Expr::is_not_null).reduce(Expr::or);
    let has_any = has_any.unwrap_or_else(|| lit(false));
    let nth = col("row").cum_count(false).over(keys.clone())?.alias("nth");
    let keyed = |side: LazyFrame, row: &str| {
        let mut wanted = keys.clone();
        wanted.extend([col("row").alias(row), nth.clone()]);
        side.filter(has_any.clone()).sort(["row"], SortMultipleOptions::default()).select(wanted)
    };
    let (a, b) = (keyed(a, "row"), keyed(b, "b_row"));
    keys.push(col("nth"));
    let arguments = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Inner) };
    Ok(a.join(b, keys.clone(), keys, arguments).select([col("row"), col("b_row")]).collect()?)
}

impl Matches {
    /// The pairs, with the figures of A by their names and those of B with `b_` before it.
    pub(super) fn pairs(&self, a: &Side, b: &Side) -> Result<DataFrame, ReportError> {
        let (a, b) = (a.frame.select(FIGURES)?, b.frame.select(FIGURES)?);
        let mut pairs = a.take(self.rows.column("row")?.idx()?)?;
        let of_b = b.take(self.rows.column("b_row")?.idx()?)?;
        let renamed = of_b
            .columns()
            .iter()
            .map(|column| column.clone().with_name(format!("b_{}", column.name()).into()));
        pairs.hstack_mut(&renamed.collect::<Vec<_>>())?;
        Ok(pairs)
    }

    /// The tasks of A without a partner.
    pub(super) fn missing(&self, a: &Side) -> Result<DataFrame, ReportError> {
        let rows = self.rows.clone().lazy();
        Ok(a.frame.clone().lazy().anti_join(rows, col("row"), col("row")).collect()?)
    }

    /// The tasks of B without a partner.
    pub(super) fn new_tasks(&self, b: &Side) -> Result<DataFrame, ReportError> {
        let rows = self.rows.clone().lazy();
        Ok(b.frame.clone().lazy().anti_join(rows, col("row"), col("b_row")).collect()?)
    }

    /// What is told of the pairing.
    pub(super) fn facts(
        &self,
        asked: Option<Matching>,
        pairs: &DataFrame,
        [a, b]: [&Side; 2],
    ) -> Result<MatchFacts, ReportError> {
        let count = self.rows.height();
        let smaller = a.task_count().min(b.task_count());
        let is_same = pairs.column("command_hash")?.i64()?.equal(pairs.column("b_command_hash")?.i64()?);
        let same = usize::try_from(is_same.sum().unwrap_or(0)).unwrap_or(0);
        let integer = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(MatchFacts {
            asked,
            pair_count: integer(count),
            paired_by: self.paired_by.clone(),
            changed_command_count: integer(count - same),
            hint: (2 * count < smaller).then(|| hint(asked, smaller - count)),
        })
    }
}

/// What may pair more tasks.
fn hint(asked: Option<Matching>, count: usize) -> String {
    let without = units::counted(i64::try_from(count).unwrap_or(i64::MAX), "task");
    match asked {
        None => format!(
            "{without} of the smaller run found no partner: `--match id` pairs equal ids, also those that come from \
             the position; `--match param` equal parameters"
        ),
        Some(_) => format!("{without} of the smaller run found no partner: another `--match` may find more"),
    }
}
