//! The ids of the tasks that a filter leaves.

use polars::prelude::*;

use crate::error::ReportError;
use crate::load::{batches, filter_not_understood, filtered};
use crate::source::{Source, Table};

/// The ids of the tasks of all runs for which the expression holds, or of all, in the order of the list.
///
/// # Errors
/// If a table cannot be read, or the expression is not understood.
pub fn selected_ids(sources: &[Source], filter: Option<&str>) -> Result<Vec<String>, ReportError> {
    let mut ids = Vec::new();
    for source in sources.iter().filter(|source| source.has(Table::Tasks)) {
        let tasks = match filter {
            Some(expression) => filtered(source, expression)?,
            None => source.scan(Table::Tasks)?,
        };
        let left = tasks
            .select([col("task_id"), col("task_index")])
            .sort(["task_index"], SortMultipleOptions::default());
        let left = left.collect().map_err(|error| match filter {
            Some(expression) => filter_not_understood(expression, &error.into()),
            None => error.into(),
        })?;
        ids.extend(batches::texts(&left, "task_id")?.iter().flatten().map(ToOwned::to_owned));
    }
    Ok(ids)
}
