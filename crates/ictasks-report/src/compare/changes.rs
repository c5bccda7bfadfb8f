//! What became of the pairs: which outcomes changed, which tasks take more time or memory.

use std::collections::HashMap;

use ictasks_core::attempt::Outcome;
use polars::prelude::*;

use super::CompareOptions;
use super::comparison::{Absences, Changes, Pair, TaskSide, Transition};
use super::matching::Matches;
use super::side::Side;
use crate::error::ReportError;
use crate::failures::last_line::last_informative;
use crate::harmless;
use crate::source::{Source, Table};

/// Longest command and message, characters.
const LONGEST_TEXT: usize = 500;

/// The lists of a comparison.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) transitions: Vec<Transition>,
    pub(super) newly_failing: Changes,
    pub(super) unfinished: Changes,
    pub(super) newly_passing: Changes,
    pub(super) slower: Changes,
    pub(super) faster: Changes,
    pub(super) more_memory: Changes,
    pub(super) less_memory: Changes,
    pub(super) missing: Absences,
    pub(super) new: Absences,
}

/// Finds them.
pub(super) fn find(
    pairs: &DataFrame,
    matches: &Matches,
    sides: [(&Source, &Side); 2],
    options: &CompareOptions,
) -> Result<Found, ReportError> {
    let pairs = with_states(with_memory(pairs.clone().lazy())).collect()?;
    let [(source_a, a), (source_b, b)] = sides;
    let list = |condition: Expr, order: Order| changes(&pairs, condition, order, options.top);
    let (passed_both, in_list) = (is("state", PASSED).and(is("b_state", PASSED)), Order::OfList);
    let time =
        Growth { a: "run_s", b: "b_run_s", floor: options.time_floor_s, ratio: options.threshold_ratio };
    #[allow(clippy::cast_precision_loss)]
    let memory_floor = options.memory_floor_bytes as f64;
    let memory = Growth { a: "memory_bytes", b: "b_memory_bytes", floor: memory_floor, ..time };
    let mut found = Found {
        transitions: transitions(&pairs)?,
        newly_failing: list(is("state", PASSED).and(is("b_state", FAILED)), in_list)?,
        unfinished: list(is("state", PASSED).and(is("b_state", UNFINISHED)), in_list)?,
        newly_passing: list(is("state", FAILED).and(is("b_state", PASSED)), in_list)?,
        slower: list(passed_both.clone().and(time.grown()), time.by_difference())?,
        faster: list(passed_both.clone().and(time.reversed().grown()), time.reversed().by_difference())?,
        more_memory: list(passed_both.clone().and(memory.grown()), memory.by_difference())?,
        less_memory: list(passed_both.and(memory.reversed().grown()), memory.reversed().by_difference())?,
        missing: absences(&matches.missing(a)?, options.top)?,
        new: absences(&matches.new_tasks(b)?, options.top)?,
    };
    found.describe(source_a, source_b)?;
    Ok(found)
}

const PASSED: i32 = 0;
const FAILED: i32 = 1;
const UNFINISHED: i32 = 2;

fn is(column: &str, state: i32) -> Expr {
    col(column).eq(lit(state))
}

/// Adds `state` and `b_state`: outcomes as one of three numbers.
fn with_states(pairs: LazyFrame) -> LazyFrame {
    let state = |column: &str, name: &str| {
        let failures = Outcome::ALL.iter().filter(|outcome| outcome.is_failure());
        let has_failed = failures.map(|outcome| col(column).eq(lit(outcome.as_str()))).reduce(Expr::or);
        let otherwise =
            when(has_failed.unwrap_or_else(|| lit(false))).then(lit(FAILED)).otherwise(lit(UNFINISHED));
        let has_passed = col(column).eq(lit(Outcome::Succeeded.as_str()));
        when(has_passed).then(lit(PASSED)).otherwise(otherwise).alias(name)
    };
    pairs.with_columns([state("outcome", "state"), state("b_outcome", "b_state")])
}

/// Adds `memory_bytes` and `b_memory_bytes`: what was measured in the same way on both sides. A tree
/// that was sampled on one side only would be compared with a single process.
fn with_memory(pairs: LazyFrame) -> LazyFrame {
    let has_trees = col("tree_bytes").is_not_null().and(col("b_tree_bytes").is_not_null());
    let larger =
        |a: &str, b: &str| when(col(a).gt(col(b)).or(col(b).is_null())).then(col(a)).otherwise(col(b));
    let memory = |process: &str, tree: &str, name: &str| {
        when(has_trees.clone()).then(larger(process, tree)).otherwise(col(process)).alias(name)
    };
    pairs.with_columns([
        memory("process_bytes", "tree_bytes", "memory_bytes"),
        memory("b_process_bytes", "b_tree_bytes", "b_memory_bytes"),
    ])
}

/// A figure that is larger in B.
#[derive(Clone, Copy)]
struct Growth {
    a: &'static str,
    b: &'static str,
    floor: f64,
    ratio: f64,
}

impl Growth {
    /// Larger in A.
    const fn reversed(self) -> Self {
        Self { a: self.b, b: self.a, ..self }
    }

    fn difference(self) -> Expr {
        col(self.b).cast(DataType::Float64) - col(self.a).cast(DataType::Float64)
    }

    fn grown(self) -> Expr {
        let is_large = self.difference().gt_eq(lit(self.floor));
        is_large.and(
            col(self.b).cast(DataType::Float64).gt(col(self.a).cast(DataType::Float64) * lit(self.ratio)),
        )
    }

    const fn by_difference(self) -> Order {
        Order::OfGrowth(self)
    }
}

/// Which pairs are listed first.
#[derive(Clone, Copy)]
enum Order {
    /// That of the task list of A.
    OfList,
    /// The largest difference first.
    OfGrowth(Growth),
}

fn changes(pairs: &DataFrame, condition: Expr, order: Order, top: usize) -> Result<Changes, ReportError> {
    let (by, descending) = match order {
        Order::OfList => (col("task_index"), false),
        Order::OfGrowth(growth) => (growth.difference(), true),
    };
    let ranked = pairs.clone().lazy().with_row_index("row", None).filter(condition);
    let ranked = ranked.select([col("row"), by.alias("rank")]).collect()?;
    let task_count = count(&ranked);
    let options = SortMultipleOptions::default().with_order_descending_multi([descending, false]);
    let first = ranked.sort(["rank", "row"], options)?.head(Some(top));
    let first = pairs.take(first.column("row")?.idx()?)?;
    let a = task_sides(&first, "")?;
    let b = task_sides(&first, "b_")?;
    Ok(Changes { task_count, pairs: a.into_iter().zip(b).map(|(a, b)| pair(a, b)).collect() })
}

fn limit(top: usize) -> IdxSize {
    IdxSize::try_from(top).unwrap_or(IdxSize::MAX)
}

fn count(frame: &DataFrame) -> i64 {
    i64::try_from(frame.height()).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_precision_loss)]
fn pair(a: TaskSide, b: TaskSide) -> Pair {
    let ratio = |a: Option<f64>, b: Option<f64>| Some(b? / a.filter(|a| *a > 0.0)?);
    let bytes = |side: &TaskSide| side.memory_bytes.map(|bytes| bytes as f64);
    Pair { run_ratio: ratio(a.run_s, b.run_s), memory_ratio: ratio(bytes(&a), bytes(&b)), a, b }
}

fn absences(tasks: &DataFrame, top: usize) -> Result<Absences, ReportError> {
    let options = SortMultipleOptions::default();
    let first = tasks.clone().lazy().sort(["task_index"], options).limit(limit(top));
    let first = first.with_column(col("process_bytes").alias("memory_bytes")).collect()?;
    Ok(Absences { task_count: count(tasks), tasks: task_sides(&first, "")? })
}

/// Rows as tasks; their texts are read later, once it is known of which.
fn task_sides(rows: &DataFrame, prefix: &str) -> Result<Vec<TaskSide>, ReportError> {
    let column = |name: &str, kind| rows.column(&format!("{prefix}{name}"))?.cast(&kind);
    let ids = column("task_id", DataType::String)?;
    let indices = column("task_index", DataType::Int64)?;
    let outcomes = column("outcome", DataType::String)?;
    let attempts = column("attempt", DataType::Int32)?;
    let counts = column("succeeded_count", DataType::Int64)?;
    let times = column("run_s", DataType::Float64)?;
    let memory = column("memory_bytes", DataType::Int64)?;
    let (ids, indices, outcomes) = (ids.str()?, indices.i64()?, outcomes.str()?);
    let (attempts, counts, times, memory) = (attempts.i32()?, counts.i64()?, times.f64()?, memory.i64()?);
    let side = |row| TaskSide {
        task_id: ids.get(row).unwrap_or_default().to_owned(),
        task_index: indices.get(row).unwrap_or_default(),
        outcome: outcomes.get(row).unwrap_or_default().to_owned(),
        attempt: attempts.get(row).unwrap_or_default(),
        succeeded_count: counts.get(row).unwrap_or_default(),
        run_s: times.get(row),
        memory_bytes: memory.get(row),
        ..TaskSide::default()
    };
    Ok((0..rows.height()).map(side).collect())
}

fn transitions(pairs: &DataFrame) -> Result<Vec<Transition>, ReportError> {
    let outcomes = [col("outcome"), col("b_outcome")];
    let counted = pairs.clone().lazy().group_by(outcomes).agg([len().cast(DataType::Int64).alias("count")]);
    let options = SortMultipleOptions::default().with_order_descending_multi([true, false, false]);
    let sorted = counted.sort(["count", "outcome", "b_outcome"], options).collect()?;
    let (a, b) = (sorted.column("outcome")?.str()?, sorted.column("b_outcome")?.str()?);
    let counts = sorted.column("count")?.i64()?;
    let transition = |row| Transition {
        a: a.get(row).unwrap_or_default().to_owned(),
        b: b.get(row).unwrap_or_default().to_owned(),
        pair_count: counts.get(row).unwrap_or_default(),
    };
    Ok((0..sorted.height()).map(transition).collect())
}

impl Found {
    /// Adds what the tables say in words of the tasks that are listed.
    fn describe(&mut self, a: &Source, b: &Source) -> Result<(), ReportError> {
        let lists = [
            &mut self.newly_failing,
            &mut self.unfinished,
            &mut self.newly_passing,
            &mut self.slower,
            &mut self.faster,
            &mut self.more_memory,
            &mut self.less_memory,
        ];
        let (mut of_a, mut of_b): (Vec<_>, Vec<_>) =
            lists.into_iter().flat_map(|list| &mut list.pairs).map(|pair| (&mut pair.a, &mut pair.b)).unzip();
        of_a.extend(&mut self.missing.tasks);
        of_b.extend(&mut self.new.tasks);
        describe_side(a, &mut of_a)?;
        describe_side(b, &mut of_b)
    }
}

fn describe_side(source: &Source, tasks: &mut [&mut TaskSide]) -> Result<(), ReportError> {
    let mut indices: Vec<i64> = tasks.iter().map(|task| task.task_index).collect();
    indices.sort_unstable();
    indices.dedup();
    let wanted = df!("task_index" => indices)?.lazy();
    let texts = ["command", "host", "stderr_tail", "stdout_tail", "error"];
    let mut columns: Vec<Expr> = texts.map(|name| col(name).cast(DataType::String)).to_vec();
    columns.extend(["task_index", "exit_code", "signal"].map(col));
    let rows =
        source.scan(Table::Tasks)?.select(columns).semi_join(wanted, col("task_index"), col("task_index"));
    let rows = rows.collect()?;
    let text = |name: &str| rows.column(name)?.str().cloned();
    let (commands, hosts, errors) = (text("command")?, text("host")?, text("error")?);
    let (stderrs, stdouts) = (text("stderr_tail")?, text("stdout_tail")?);
    let (codes, signals) = (rows.column("exit_code")?.i32()?, rows.column("signal")?.i32()?);
    let indices = rows.column("task_index")?.i64()?.iter().enumerate();
    let row_of: HashMap<i64, usize> = indices.filter_map(|(row, index)| Some((index?, row))).collect();
    for task in tasks {
        let Some(&row) = row_of.get(&task.task_index) else { continue };
        let printed = [errors.get(row), stderrs.get(row), stdouts.get(row)];
        task.command = harmless::shortened(commands.get(row).unwrap_or_default(), LONGEST_TEXT).into_owned();
        task.host = hosts.get(row).map(str::to_owned);
        task.message = printed.into_iter().flatten().find_map(last_line);
        task.exit_code = codes.get(row);
        task.signal = signals.get(row);
    }
    Ok(())
}

/// The line that says why it failed, if something was printed.
fn last_line(text: &str) -> Option<String> {
    let line = last_informative(text);
    (!line.is_empty()).then(|| harmless::shortened(&line, LONGEST_TEXT).into_owned())
}
