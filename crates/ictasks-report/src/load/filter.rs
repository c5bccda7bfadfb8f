//! `--filter`: an expression in SQL over the columns of `tasks`.

use std::collections::HashSet;

use polars::prelude::*;
use polars::sql::sql_expr;

use super::batches;
use super::column_names;
use crate::error::ReportError;
use crate::failures::keys;
use crate::moment::Moment;
use crate::source::{Source, Table};

/// A column that the filter has beyond those of the table: the key of the task's failure group.
pub(crate) const FAILURE_GROUP: &str = "failure_group";
/// Another one, where there are several runs: the directory as it was given.
pub(crate) const RUN: &str = "run";

/// The tasks that a filter leaves.
#[derive(Debug)]
pub(crate) struct Selection {
    of_run: Vec<HashSet<i64>>,
}

impl Selection {
    /// Whether the filter leaves a task of a run.
    pub(crate) fn contains(&self, run: usize, task_index: i64) -> bool {
        self.of_run.get(run).is_some_and(|tasks| tasks.contains(&task_index))
    }

    /// How many tasks it leaves.
    pub(crate) fn len(&self) -> i64 {
        i64::try_from(self.of_run.iter().map(HashSet::len).sum::<usize>()).unwrap_or(i64::MAX)
    }

    /// # Errors
    /// [`ReportError::Filter`] if the expression is not understood.
    pub(super) fn read(sources: &[Source], expression: &str) -> Result<Self, ReportError> {
        let mut of_run = Vec::new();
        for source in sources {
            let left = filtered(source, expression)?.select([col("task_index")]);
            let mut tasks = HashSet::new();
            batches::for_each(left, &mut |batch| {
                tasks.extend(batches::integers(batch, "task_index", -1)?);
                Ok(())
            })
            .map_err(|error| filter_not_understood(expression, &error))?;
            of_run.push(tasks);
        }
        Ok(Self { of_run })
    }
}

/// The tasks of a run for which the expression holds, with all their columns.
///
/// # Errors
/// [`ReportError::Filter`] if the expression is not understood.
pub(crate) fn filtered(source: &Source, expression: &str) -> Result<LazyFrame, ReportError> {
    let refused = |message: String| ReportError::Filter { expression: expression.to_owned(), message };
    let predicate = sql_expr(expression).map_err(|error| refused(plain(&error)))?;
    let mut known = column_names(source, Table::Tasks)?;
    known.extend([FAILURE_GROUP.to_owned(), RUN.to_owned()]);
    let used: Vec<String> =
        predicate.clone().meta().root_names().into_iter().map(|name| name.to_string()).collect();
    if let Some(unknown) = used.iter().find(|name| !known.contains(name)) {
        let nearest = known
            .iter()
            .map(|column| (strsim::jaro_winkler(unknown, column), column))
            .filter(|(likeness, _)| *likeness > 0.75)
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let hint = nearest.map(|(_, column)| format!("the column `{column}`, or ")).unwrap_or_default();
        return Err(refused(format!(
            "there is no column `{unknown}`: did you mean {hint}the text '{unknown}'?"
        )));
    }
    let mut tasks = source.scan(Table::Tasks)?.with_columns([lit(source.name.clone()).alias(RUN)]);
    // Text comparisons work on text, whatever the column is stored as.
    tasks = tasks.with_columns([dtype_col(&DataType::from_categories(Categories::global()))
        .as_selector()
        .as_expr()
        .cast(DataType::String)]);
    let schema = tasks.collect_schema()?;
    let predicate = with_times(predicate, &schema).map_err(|error| refused(plain(&error)))?;
    if used.iter().any(|name| name == FAILURE_GROUP) {
        tasks = keys::with_failure_groups(source, tasks)?;
    }
    Ok(tasks.filter(predicate))
}

/// In a comparison with a column of times, text is a time.
fn with_times(predicate: Expr, schema: &Schema) -> PolarsResult<Expr> {
    let type_of_times = |expr: &Expr| match expr {
        Expr::Column(name) => {
            schema.get(name).filter(|kind| matches!(kind, DataType::Datetime(_, _))).cloned()
        }
        _ => None,
    };
    predicate.try_map_expr(|expr| match expr {
        Expr::BinaryExpr { left, op, right } if op.is_comparison() => {
            let (of_left, of_right) = (type_of_times(&left), type_of_times(&right));
            Ok(Expr::BinaryExpr { left: as_time(left, of_right)?, op, right: as_time(right, of_left)? })
        }
        other => Ok(other),
    })
}

/// What is compared with times of this type; others are left alone.
fn as_time(expr: Arc<Expr>, kind: Option<DataType>) -> PolarsResult<Arc<Expr>> {
    let (Expr::Literal(literal), Some(kind)) = (&*expr, kind) else { return Ok(expr) };
    let Some(text) = literal.extract_str() else { return Ok(expr) };
    let Some(moment) = Moment::of_people(text) else {
        polars_bail!(ComputeError: "`{text}` is no time: write one as '2026-03-01 12:00:00', which is UTC, or as \
            '2026-03-01T12:00:00+01:00'");
    };
    Ok(Arc::new(lit(moment.0).cast(kind)))
}

/// What polars says of a filter that it cannot apply.
pub(crate) fn filter_not_understood(expression: &str, error: &ReportError) -> ReportError {
    let message = match error {
        ReportError::Compute(error) => plain(error),
        other => other.to_string(),
    };
    ReportError::Filter { expression: expression.to_owned(), message }
}

/// The first line of what polars says, and what would be right.
fn plain(error: &PolarsError) -> String {
    let said = error.to_string();
    let first = said.lines().next().unwrap_or_default();
    format!("{first}; an example of a filter: outcome != 'succeeded' and host = 'c17'")
}
