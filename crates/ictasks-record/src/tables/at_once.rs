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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use arrow::compute::concat_batches;
    use ictasks_core::attempt::{Attempt, Outcome};
    use ictasks_core::event::EventBody;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use crate::recorded::Recorded;
    use crate::rows::RowBuilder;
    use crate::schema::Table;
    use crate::specimen::{attempt, event, joined, pending, sample, started};
    use crate::table_file::FileFacts;
    use crate::{event_row, tables};

    use super::*;

    fn ended(attempt: Attempt) -> EventBody {
        EventBody::TaskFinished(Box::new(attempt))
    }

    /// Events as rows of the journal, without its checksums.
    fn rows_of(bodies: &[EventBody]) -> RecordBatch {
        let columns = Table::Events.columns();
        let mut rows = RowBuilder::new(columns);
        for (seq, body) in (0..).zip(bodies) {
            rows.push(|take| event_row::cells(&event(seq, body.clone()), take));
        }
        rows.take().unwrap().project(&(0..columns.len()).collect::<Vec<_>>()).unwrap()
    }

    fn samples() -> Recorded {
        let columns = Table::Samples.columns();
        let mut rows = RowBuilder::new(columns);
        rows.push(|take| ictasks_core::column::Row::cells(&sample(), take));
        let rows = rows.take().unwrap().project(&(0..columns.len()).collect::<Vec<_>>()).unwrap();
        Recorded::of_rows(Table::Samples, rows, Some(0))
    }

    fn read(directory: &Path, table: Table) -> RecordBatch {
        let file = File::open(directory.join(format!(".{}.tmp", table.file_name()))).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let schema = batches.first().map(RecordBatch::schema);
        schema.map_or_else(
            || RecordBatch::new_empty(arrow::datatypes::Schema::empty().into()),
            |schema| concat_batches(&schema, &batches).unwrap(),
        )
    }

    /// The tables that these events become, at one time and batch by batch, are the same.
    fn assert_same(bodies: &[EventBody]) -> [RecordBatch; 4] {
        let rows = rows_of(bodies);
        let write = |events: &Recorded| {
            let directory = tempfile::tempdir().unwrap();
            let (version, run_id) = ("0.3.0".to_owned(), "0198".to_owned());
            let facts = FileFacts { version, run_id, last_seq: None, last_part: None };
            let found = tables::write(events, &samples(), directory.path(), facts, None, 0).unwrap();
            (found, Table::ALL.map(|table| read(directory.path(), table)))
        };
        let at_once = Recorded::of_rows(Table::Events, rows.clone(), Some(0));
        assert!(at_once.at_once().is_some());
        let half = rows.num_rows() / 2;
        let mut streamed = Recorded::of_rows(Table::Events, rows.slice(0, half), Some(0));
        streamed.add(vec![rows.slice(half, rows.num_rows() - half)]);
        assert!(streamed.at_once().is_none());

        let ((found, written), (expected, streamed)) = (write(&at_once), write(&streamed));

        assert_eq!(written, streamed);
        assert_eq!(found.outcomes, expected.outcomes);
        assert_eq!(found.own_events, expected.own_events);
        written
    }

    #[test]
    fn tasks_of_one_attempt_each_share_its_columns() {
        let of_task = |index: i64| {
            let attempt = Attempt {
                outcome: if index % 3 == 0 { Outcome::Failed } else { Outcome::Succeeded },
                error: (index % 3 == 0).then(|| format!("no file {index}")),
                gpus: Some(vec![7; usize::try_from(index % 4).unwrap()]),
                params_json: Some(format!(r#"{{"n":{index},"name":"a{index}"}}"#)),
                results_json: (index % 2 == 0).then(|| format!(r#"{{"energy":-{index}.5}}"#)),
                ..attempt(index)
            };
            [started(index), ended(attempt)]
        };
        let bodies: Vec<_> = [joined()].into_iter().chain((0..50).flat_map(of_task)).collect();
        let [attempts, tasks, events, samples] = assert_same(&bodies);
        assert_eq!((attempts.num_rows(), tasks.num_rows()), (50, 50));
        assert_eq!((events.num_rows(), samples.num_rows()), (101, 1));
        let shared = tasks.project(&(0..attempts.num_columns()).collect::<Vec<_>>()).unwrap();
        assert_eq!(shared, attempts);
    }

    #[test]
    fn tasks_of_several_attempts_or_none_have_columns_of_their_own() {
        let failed = Attempt { outcome: Outcome::Failed, exit_code: Some(1), ..attempt(0) };
        let again = Attempt { attempt: 2, wall_s: Some(1.5), ..attempt(0) };
        let never = EventBody::TaskPending(Box::new(pending(2)));
        let bodies = [ended(failed), ended(again), ended(attempt(1)), never];
        let [attempts, tasks, ..] = assert_same(&bodies);
        assert_eq!((attempts.num_rows(), tasks.num_rows()), (3, 3));
    }

    #[test]
    fn a_run_without_tasks_has_empty_tables() {
        let [attempts, tasks, ..] = assert_same(&[joined()]);
        assert_eq!((attempts.num_rows(), tasks.num_rows()), (0, 0));
    }
}
