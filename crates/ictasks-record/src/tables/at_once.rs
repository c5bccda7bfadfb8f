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
        file.write_at_once(columns.columns(), None)?.close()?;
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
    let attempts_table = file.write_at_once(columns.columns(), None)?;

    let mut outcomes = OutcomeCounts::default();
    let are_tasks = survey.last_rows.mask(events);
    let file = create(Table::Tasks)?;
    let tasks_table = if are_tasks == are_attempts {
        count_outcomes(&attempts, &mut outcomes);
        file.write_at_once(&survey.last_rows.sums(&attempts), Some(&attempts_table))?
    } else {
        let tasks = filter_record_batch(events, &are_tasks)?;
        count_outcomes(&tasks, &mut outcomes);
        let columns = survey.convert(Table::Tasks, &tasks, file.schema())?;
        file.write_at_once(columns.columns(), None)?
    };
    attempts_table.close()?;
    tasks_table.close()?;
    Ok(Written { outcomes: Some(outcomes), ..Written::default() })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use ictasks_core::attempt::{Attempt, Outcome};
    use ictasks_core::event::EventBody;
    use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
    use tempfile::TempDir;

    use super::*;
    use crate::event_row;
    use crate::files::{Reserve, temporary};
    use crate::recorded::Recorded;
    use crate::rows::RowBuilder;
    use crate::specimen::{attempt, ended, event, joined, pending, read_table, started};
    use crate::table_file::{FileFacts, Purpose};
    use crate::tables::{self, Tables};

    const OF_EVENTS: [Table; 3] = [Table::Attempts, Table::Tasks, Table::Events];

    /// Events as rows of the journal, without its checksums.
    fn rows_of(bodies: &[EventBody]) -> RecordBatch {
        let columns = Table::Events.columns();
        let mut rows = RowBuilder::new(columns);
        for (seq, body) in (0..).zip(bodies) {
            rows.push(|take| event_row::cells(&event(seq, body.clone()), take));
        }
        rows.take().unwrap().project(&(0..columns.len()).collect::<Vec<_>>()).unwrap()
    }

    fn write_into(directory: &Path, events: &Recorded, purpose: Purpose<'_>) -> Result<Tables, RecordError> {
        let (version, run_id) = ("0.3.0".to_owned(), "0198".to_owned());
        let facts = FileFacts { version, run_id, last_seq: None, last_part: None };
        let samples = Recorded::open(directory, Table::Samples).unwrap();
        tables::write(events, &samples, directory, facts, purpose, 0)
    }

    fn write_tables(events: &Recorded) -> (Tables, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::create(&directory.path().join("reserve")).unwrap();
        let found = write_into(directory.path(), events, Purpose::Record(&reserve)).unwrap();
        (found, directory)
    }

    fn read(directory: &Path, table: Table) -> RecordBatch {
        read_table(&temporary(&directory.join(table.file_name())))
    }

    fn metadata(directory: &Path, table: Table) -> ParquetMetaData {
        let file = File::open(temporary(&directory.join(table.file_name()))).unwrap();
        ParquetMetaDataReader::new().parse_and_finish(&file).unwrap()
    }

    /// Writes the tables of these events at one time, and sees to it that they are those that are
    /// written batch by batch.
    fn written(bodies: &[EventBody]) -> TempDir {
        let rows = rows_of(bodies);
        let at_once = Recorded::of_rows(Table::Events, rows.clone(), Some(0));
        assert!(at_once.only_batch().is_some());
        let half = rows.num_rows() / 2;
        let mut streamed = Recorded::of_rows(Table::Events, rows.slice(0, half), Some(0));
        streamed.add(vec![rows.slice(half, rows.num_rows() - half)]);
        assert!(streamed.only_batch().is_none());

        let ((found, directory), (expected, other)) = (write_tables(&at_once), write_tables(&streamed));

        for table in OF_EVENTS {
            assert_eq!(read(directory.path(), table), read(other.path(), table));
        }
        assert_eq!(found.outcomes, expected.outcomes);
        assert_eq!(found.own_events, expected.own_events);
        directory
    }

    fn row_counts(directory: &TempDir) -> [usize; 3] {
        OF_EVENTS.map(|table| read(directory.path(), table).num_rows())
    }

    #[test]
    fn tasks_of_one_attempt_each_have_the_columns_of_the_attempts() {
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

        let directory = written(&bodies);

        assert_eq!(row_counts(&directory), [50, 50, 101]);
        let [attempts, tasks] =
            [Table::Attempts, Table::Tasks].map(|table| metadata(directory.path(), table));
        let (attempts, tasks) = (attempts.row_group(0), tasks.row_group(0));
        assert_eq!(tasks.num_columns(), attempts.num_columns() + 2);
        for (of_attempt, of_task) in attempts.columns().iter().zip(tasks.columns()) {
            assert_eq!(of_attempt.column_path(), of_task.column_path());
            assert_eq!(of_attempt.compressed_size(), of_task.compressed_size());
            assert_eq!(of_attempt.statistics(), of_task.statistics());
            assert_eq!(of_attempt.compression(), of_task.compression());
        }
    }

    #[test]
    fn tasks_of_several_attempts_or_none_have_columns_of_their_own() {
        let failed = Attempt { outcome: Outcome::Failed, exit_code: Some(1), ..attempt(0) };
        let again = Attempt { attempt: 2, wall_s: Some(1.5), ..attempt(0) };
        let never = EventBody::TaskPending(Box::new(pending(2)));
        let directory = written(&[ended(failed), ended(again), ended(attempt(1)), never]);
        assert_eq!(row_counts(&directory), [3, 3, 4]);
    }

    #[test]
    fn a_run_without_tasks_has_empty_tables() {
        let directory = written(&[joined()]);
        assert_eq!(row_counts(&directory), [0, 0, 1]);
        let columns = read(directory.path(), Table::Tasks).num_columns();
        assert!(columns > 50, "{columns}");
    }

    #[test]
    fn a_table_that_cannot_be_written_is_an_error() {
        for table in OF_EVENTS {
            let events = Recorded::of_rows(Table::Events, rows_of(&[ended(attempt(0))]), Some(0));
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir(temporary(&directory.path().join(table.file_name()))).unwrap();
            let result = write_into(directory.path(), &events, Purpose::Copy);
            assert!(matches!(result, Err(RecordError::File { .. })), "{}", table.name());
        }
    }
}
