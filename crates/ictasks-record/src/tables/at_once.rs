//! The tables of a run whose events are in memory.
//!
//! Such a run was short, and its user waits for the end. The two halves of the work go beside each other; and
//! in most runs each task had one attempt, so that the columns of the attempts are those of the tasks.

use std::thread;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;

use super::{Survey, Written, count_outcomes};
use crate::error::RecordError;
use crate::manifest::OutcomeCounts;
use crate::schema::Table;
use crate::table_file::TableFile;

/// Writes all tables; that of the samples by `stream`.
pub(super) fn write(
    survey: &Survey,
    events: &RecordBatch,
    create: &(impl Fn(Table) -> Result<TableFile, RecordError> + Sync),
    stream: &(impl Fn(Table) -> Result<Written, RecordError> + Sync),
) -> Result<Vec<Written>, RecordError> {
    let write_events = || {
        let file = create(Table::Events)?;
        let columns = survey.convert(Table::Events, events, file.schema())?;
        file.write_at_once(columns.columns(), None)?;
        stream(Table::Samples)
    };
    thread::scope(|scope| {
        // The system may have no more threads.
        let thread = thread::Builder::new().spawn_scoped(scope, write_events).ok();
        let of_tasks = write_attempts_and_tasks(survey, events, create);
        let of_samples = match thread {
            Some(thread) => thread.join().unwrap_or(Err(RecordError::Stopped)),
            None => write_events(),
        };
        Ok(vec![of_tasks?, of_samples?])
    })
}

fn write_attempts_and_tasks(
    survey: &Survey,
    events: &RecordBatch,
    create: &impl Fn(Table) -> Result<TableFile, RecordError>,
) -> Result<Written, RecordError> {
    let are_attempts = survey.last_rows.mask_of_attempts(events);
    let attempts = filter_record_batch(events, &are_attempts)?;
    let file = create(Table::Attempts)?;
    let columns = survey.convert(Table::Attempts, &attempts, file.schema())?;
    let written = file.write_at_once(columns.columns(), None)?;

    let mut outcomes = OutcomeCounts::default();
    let are_tasks = survey.last_rows.mask(events);
    let file = create(Table::Tasks)?;
    if are_tasks == are_attempts {
        count_outcomes(&attempts, &mut outcomes);
        file.write_at_once(&survey.last_rows.sums(&attempts), Some(&written))?;
    } else {
        let tasks = filter_record_batch(events, &are_tasks)?;
        count_outcomes(&tasks, &mut outcomes);
        let columns = survey.convert(Table::Tasks, &tasks, file.schema())?;
        file.write_at_once(columns.columns(), None)?;
    }
    Ok(Written { outcomes: Some(outcomes), ..Written::default() })
}
