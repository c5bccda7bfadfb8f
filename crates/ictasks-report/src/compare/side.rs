//! The tasks of one run as a comparison needs them: a row each, plain figures.

use polars::prelude::*;

use super::matching::Param;
use crate::error::ReportError;
use crate::source::{Source, Table};

/// The tasks of a run, in the order of its list.
#[derive(Debug)]
pub(super) struct Side {
    /// `row` (0, 1, …), `task_index`, `task_id`, `command_hash`, `attempt`, `outcome`, the columns of
    /// parameters, and of the attempts that succeeded `succeeded_count`, `run_s`, `process_bytes`,
    /// `tree_bytes`.
    pub(super) frame: DataFrame,
}

impl Side {
    /// Reads a run, with these columns of parameters.
    pub(super) fn read(source: &Source, params: &[Param]) -> Result<Self, ReportError> {
        let mut wanted = vec![
            col("task_index"),
            col("task_id").cast(DataType::String),
            col("command_hash"),
            col("attempt"),
            col("outcome").cast(DataType::String),
        ];
        wanted.extend(params.iter().map(Param::values));
        let tasks = source.scan(Table::Tasks)?.select(wanted).collect()?;
        let tasks = match is_in_order(&tasks)? {
            true => tasks,
            false => tasks.sort(["task_index"], SortMultipleOptions::default().with_maintain_order(true))?,
        };
        let mut frame = with_figures(tasks.clone(), successes(source)?)?;
        if frame.height() != tasks.height() {
            // Some task succeeded several times.
            frame = with_figures(tasks, medians(successes(source)?))?;
        }
        Ok(Self { frame: frame.with_row_index("row".into(), None)? })
    }

    /// Number of tasks.
    pub(super) fn task_count(&self) -> usize {
        self.frame.height()
    }
}

fn is_in_order(tasks: &DataFrame) -> Result<bool, ReportError> {
    let indices = tasks.column("task_index")?.i64()?;
    Ok(indices.iter().is_sorted())
}

fn with_figures(tasks: DataFrame, figures: LazyFrame) -> Result<DataFrame, ReportError> {
    let on = [col("task_index")];
    let mut arguments = JoinArgs::new(JoinType::Left);
    arguments.maintain_order = MaintainOrderJoin::Left;
    Ok(tasks.lazy().join(figures, on.clone(), on, arguments).collect()?)
}

/// The attempts that succeeded: their times, and their largest memory.
fn successes(source: &Source) -> Result<LazyFrame, ReportError> {
    let succeeded = col("outcome").cast(DataType::String).eq(lit("succeeded"));
    let figures = [
        col("task_index"),
        lit(1_i64).alias("succeeded_count"),
        (col("wall_s") - col("stopped_s").fill_null(lit(0.0))).alias("run_s"),
        col("max_process_rss_bytes").alias("process_bytes"),
        col("max_tree_rss_bytes").alias("tree_bytes"),
    ];
    Ok(source.scan(Table::Attempts)?.filter(succeeded).select(figures))
}

/// Of each task: how many there are, the median of their times, their largest memory.
fn medians(successes: LazyFrame) -> LazyFrame {
    successes.group_by([col("task_index")]).agg([
        col("succeeded_count").sum(),
        col("run_s").median(),
        col("process_bytes").max(),
        col("tree_bytes").max(),
    ])
}
