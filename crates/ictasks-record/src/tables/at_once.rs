//! The tables of a run whose rows are in memory.
//!
//! Such a run was short, and its user waits for the end: two threads share the work. One column of the journal
//! after the other is brought together from its batches and encoded for each table that has it, so that the
//! memory of one serves the next. In most runs each task had one attempt: then the columns of the attempts
//! are those of the tasks, too.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{FilterBuilder, FilterPredicate, concat, concat_batches, filter_record_batch};
use ictasks_core::column::Column;

use super::{Survey, Written, count_outcomes, last};
use crate::error::RecordError;
use crate::journal::project;
use crate::manifest::OutcomeCounts;
use crate::schema::{Categories, Table, field};
use crate::table_file::{EncodedColumn, TableFile, encode};
use crate::two_threads::{Job, in_two_threads};

/// What a column of [`Table::columns`] became in the table's file.
type Encoded = ((Table, &'static str), Vec<EncodedColumn>);

/// Rows of the journal, and which of them belong into which table; all where there is no filter.
struct Source<'a> {
    columns: &'static [Column],
    batches: &'a [RecordBatch],
    targets: Vec<(Table, Option<FilterPredicate>)>,
}

/// Writes all tables.
pub(super) fn write(
    survey: &Survey,
    events: &[RecordBatch],
    samples: &[RecordBatch],
    create: &(impl Fn(Table) -> Result<TableFile, RecordError> + Sync),
) -> Result<Vec<Written>, RecordError> {
    let keys = keys(events)?;
    let are_attempts = survey.last_rows.mask_of_attempts(&keys);
    let are_tasks = survey.last_rows.mask(&keys);
    let tasks = filter_record_batch(&keys, &are_tasks)?;
    let are_the_same = are_tasks == are_attempts;
    let mut of_events = vec![(Table::Events, None), (Table::Attempts, Some(filter(&are_attempts)))];
    if !are_the_same {
        of_events.push((Table::Tasks, Some(filter(&are_tasks))));
    }
    let of_samples = vec![(Table::Samples, None)];
    let sources = [
        Source { columns: Table::Events.columns(), batches: events, targets: of_events },
        Source { columns: Table::Samples.columns(), batches: samples, targets: of_samples },
    ];

    let mut jobs: Vec<Job<'_, Vec<Encoded>>> = vec![Box::new(|| encode_sums(survey, &tasks))];
    for source in &sources {
        for place in 0..source.columns.len() {
            jobs.push(Box::new(move || source.encode(survey, place)));
        }
    }
    let mut encoded: HashMap<_, _> = in_two_threads(jobs)?.into_iter().flatten().collect();
    let mut columns_of = |table: Table| {
        let columns = table.columns().iter();
        columns.filter_map(|column| encoded.remove(&(table, column.name))).flatten().collect::<Vec<_>>()
    };
    let (of_attempts, of_tasks) = (columns_of(Table::Attempts), columns_of(Table::Tasks));
    let (of_events, of_samples) = (columns_of(Table::Events), columns_of(Table::Samples));

    in_two_threads(vec![
        Box::new(|| {
            let attempts = create(Table::Attempts)?.write_at_once(of_attempts, None)?;
            let behind = are_the_same.then_some(&attempts);
            create(Table::Tasks)?.write_at_once(of_tasks, behind)?.close()?;
            attempts.close()?;
            let mut outcomes = OutcomeCounts::default();
            count_outcomes(&tasks, &mut outcomes);
            Ok(Written { outcomes: Some(outcomes), ..Written::default() })
        }),
        Box::new(|| {
            create(Table::Events)?.write_at_once(of_events, None)?.close()?;
            create(Table::Samples)?.write_at_once(of_samples, None)?.close()?;
            Ok(Written::default())
        }),
    ])
}

/// Of all events the columns that tell to which tables they belong.
fn keys(events: &[RecordBatch]) -> Result<RecordBatch, RecordError> {
    let names = [&last::COLUMNS[..], &["outcome"]].concat();
    let pieces: Vec<_> = events.iter().map(|batch| project(batch, Some(&names))).collect::<Result<_, _>>()?;
    Ok(concat_batches(pieces[0].schema_ref(), &pieces)?)
}

fn filter(mask: &BooleanArray) -> FilterPredicate {
    FilterBuilder::new(mask).optimize().build()
}

/// The columns of tasks.parquet that the journal does not have.
fn encode_sums(survey: &Survey, tasks: &RecordBatch) -> Result<Vec<Encoded>, RecordError> {
    let sums = survey.last_rows.sums(tasks);
    let columns = Table::Tasks.columns();
    let columns = &columns[columns.len() - sums.len()..];
    let encoded = columns.iter().zip(sums).map(|(column, values)| {
        let encoded = encode(field(column, Categories::Dictionary), &values)?;
        Ok(((Table::Tasks, column.name), encoded))
    });
    encoded.collect()
}

impl Source<'_> {
    /// Encodes the column at this place for the tables that have it.
    fn encode(&self, survey: &Survey, place: usize) -> Result<Vec<Encoded>, RecordError> {
        let name = self.columns[place].name;
        let pieces: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(place).as_ref()).collect();
        let is_empty = pieces.iter().all(|piece| piece.null_count() == piece.len());
        let all = if is_empty {
            let rows = pieces.iter().map(|piece| piece.len()).sum();
            new_null_array(pieces[0].data_type(), rows)
        } else {
            concat(&pieces)?
        };
        let mut encoded = Vec::new();
        for (table, filter) in &self.targets {
            let Some(column) = table.columns().iter().find(|column| column.name == name) else { continue };
            let values = match filter {
                Some(filter) if is_empty => all.slice(0, filter.count()),
                Some(filter) => filter.filter(&all)?,
                None => Arc::clone(&all),
            };
            let rows = RecordBatch::try_from_iter([(name, Arc::clone(&values))])?;
            let arrays = survey.arrays(column, &values, &rows)?;
            let mut of_table = Vec::new();
            for (field, values) in survey.fields(column).into_iter().zip(arrays) {
                of_table.extend(encode(field, &values)?);
            }
            encoded.push(((*table, name), of_table));
        }
        Ok(encoded)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use ictasks_core::attempt::{Attempt, Outcome};
    use ictasks_core::column::Row;
    use ictasks_core::event::EventBody;
    use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
    use tempfile::TempDir;

    use super::*;
    use crate::event_row;
    use crate::files::{Reserve, temporary};
    use crate::recorded::Recorded;
    use crate::rows::RowBuilder;
    use crate::specimen::{attempt, ended, event, joined, pending, read_table, sample, started};
    use crate::table_file::{FileFacts, Purpose};
    use crate::tables::{self, Tables};

    const OF_EVENTS: [Table; 3] = [Table::Attempts, Table::Tasks, Table::Events];

    fn rows(table: Table, push_all: impl FnOnce(&mut RowBuilder)) -> RecordBatch {
        let columns = table.columns();
        let mut rows = RowBuilder::new(columns);
        push_all(&mut rows);
        rows.take().unwrap().project(&(0..columns.len()).collect::<Vec<_>>()).unwrap()
    }

    /// Events as rows of the journal, without its checksums.
    fn rows_of(bodies: &[EventBody]) -> RecordBatch {
        rows(Table::Events, |rows| {
            for (seq, body) in (0..).zip(bodies) {
                rows.push(|take| event_row::cells(&event(seq, body.clone()), take));
            }
        })
    }

    fn samples() -> Recorded {
        let of_samples = |count| {
            rows(Table::Samples, |rows| (0..count).for_each(|_| rows.push(|take| sample().cells(take))))
        };
        Recorded::of_rows(Table::Samples, vec![of_samples(3), of_samples(2)], Some(0))
    }

    fn write_into(directory: &Path, events: &Recorded, purpose: Purpose<'_>) -> Result<Tables, RecordError> {
        let (version, run_id) = ("0.3.0".to_owned(), "0198".to_owned());
        let facts = FileFacts { version, run_id, last_seq: None, last_part: None };
        let samples = samples();
        assert!(samples.in_memory().is_some());
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
        let half = rows.num_rows() / 2;
        let halves = vec![rows.slice(0, half), rows.slice(half, rows.num_rows() - half)];
        let at_once = Recorded::of_rows(Table::Events, halves, Some(0));
        assert!(at_once.in_memory().is_some());
        let mut streamed = Recorded::of_rows(Table::Events, vec![rows.slice(0, half)], Some(0));
        streamed.add(vec![rows.slice(half, rows.num_rows() - half)]);
        assert!(streamed.in_memory().is_none());

        let ((found, directory), (expected, other)) = (write_tables(&at_once), write_tables(&streamed));

        for table in Table::ALL {
            assert_eq!(read(directory.path(), table), read(other.path(), table));
        }
        assert_eq!(read(directory.path(), Table::Samples).num_rows(), 5);
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
        for table in Table::ALL {
            let events = Recorded::of_rows(Table::Events, vec![rows_of(&[ended(attempt(0))])], Some(0));
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir(temporary(&directory.path().join(table.file_name()))).unwrap();
            let result = write_into(directory.path(), &events, Purpose::Copy);
            assert!(matches!(result, Err(RecordError::File { .. })), "{}", table.name());
        }
    }
}
