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
        let tasks = source.scan(Table::Tasks)?.select(wanted);
        let on = [col("task_index")];
        let tasks = tasks.join(successes(source)?, on.clone(), on, JoinArgs::new(JoinType::Left));
        let in_order = tasks.sort(["task_index"], SortMultipleOptions::default().with_maintain_order(true));
        let frame = in_order.collect()?.with_row_index("row".into(), None)?;
        Ok(Self { frame })
    }

    /// Number of tasks.
    pub(super) fn task_count(&self) -> usize {
        self.frame.height()
    }
}

/// Of each task the attempts that succeeded: how many, the median of their times, their largest memory.
fn successes(source: &Source) -> Result<LazyFrame, ReportError> {
    let succeeded = col("outcome").cast(DataType::String).eq(lit("succeeded"));
    let run_s = col("wall_s") - col("stopped_s").fill_null(lit(0.0));
    let figures = [
        len().cast(DataType::Int64).alias("succeeded_count"),
        run_s.median().alias("run_s"),
        col("max_process_rss_bytes").max().alias("process_bytes"),
        col("max_tree_rss_bytes").max().alias("tree_bytes"),
    ];
    Ok(source.scan(Table::Attempts)?.filter(succeeded).group_by([col("task_index")]).agg(figures))
}
