//! The end of a run: the journal becomes the four tables.
//!
//! A survey ([`Survey`]) finds what only the whole run can tell ([`named`], [`last`]), over all its sessions.
//! Then each table is written under its temporary name, in a streaming pass of its own: memory holds no
//! more than a row group of one table. The rows of a short run are in memory still, and its tables are
//! written at one time ([`at_once`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use ictasks_core::attempt::Outcome;
use ictasks_core::column::{Column, ColumnType};

use crate::error::RecordError;
use crate::journal::Damage;
use crate::manifest::OutcomeCounts;
use crate::recorded::Recorded;
use crate::schema::{Categories, Table, data_type, field};
use crate::table_file::{FileFacts, Purpose, TableFile};

mod at_once;
mod last;
mod named;

use last::LastRows;
use named::{NameFinder, NamedColumns};

/// What was found on the way. The tables are complete under their temporary names.
pub(crate) struct Tables {
    /// How many events have at least the number that was asked for.
    pub(crate) own_events: usize,
    /// Tasks by their last outcome.
    pub(crate) outcomes: OutcomeCounts,
    pub(crate) warnings: Vec<String>,
    /// Tables of the sessions before that could not be read to their end.
    pub(crate) damaged: Vec<PathBuf>,
}

/// What only the whole journal can tell.
struct Survey {
    last_rows: LastRows,
    params: NamedColumns,
    results: NamedColumns,
    last_seq: Option<i64>,
    own_events: usize,
    warnings: Vec<String>,
}

/// Writes the four tables from these events and samples into a directory. Those events are counted whose
/// number is `first_own_seq` or more.
pub(crate) fn write(
    events: &Recorded,
    samples: &Recorded,
    into: &Path,
    mut facts: FileFacts,
    purpose: Purpose<'_>,
    first_own_seq: i64,
) -> Result<Tables, RecordError> {
    let survey = Survey::make(events, first_own_seq)?;
    facts.last_seq = survey.last_seq.max(events.last_seq());
    let create = |table: Table| {
        let last_part = if table == Table::Samples { samples.last_part() } else { None };
        let facts = FileFacts { last_part, ..facts.clone() };
        TableFile::create(&into.join(table.file_name()), survey.schema(table), &facts, purpose)
    };
    let stream = |table: Table| {
        let source = if table == Table::Samples { samples } else { events };
        survey.write(table, source, create(table)?)
    };
    let written = match (events.in_memory(), samples.in_memory()) {
        (Some(events), Some(samples)) => at_once::write(&survey, events, samples, &create)?,
        // One after the other: memory holds one row group of one table.
        _ => Table::ALL.into_iter().map(stream).collect::<Result<_, RecordError>>()?,
    };
    let mut tables = Tables {
        own_events: survey.own_events,
        outcomes: OutcomeCounts::default(),
        warnings: survey.warnings,
        damaged: Vec::new(),
    };
    for one in written {
        if let Some(outcomes) = one.outcomes {
            tables.outcomes = outcomes;
        }
        // The passes over the events meet the same damage, each in its own columns.
        for damage in &one.damages {
            tables.tell(into, damage);
        }
    }
    Ok(tables)
}

impl Tables {
    fn tell(&mut self, run_dir: &Path, damage: &Damage) {
        let warning = damage.to_string();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
        let is_table = damage.path.parent() == Some(run_dir);
        if is_table && !self.damaged.contains(&damage.path) {
            self.damaged.push(damage.path.clone());
        }
    }
}

/// What writing a table found.
#[derive(Default)]
struct Written {
    /// Of tasks.parquet.
    outcomes: Option<OutcomeCounts>,
    damages: Vec<Damage>,
}

fn count_outcomes(rows: &RecordBatch, counts: &mut OutcomeCounts) {
    let names = rows.column_by_name("outcome").and_then(|column| column.as_string_opt::<i32>());
    for name in names.into_iter().flatten().flatten() {
        let outcome = Outcome::ALL.iter().find(|outcome| outcome.as_str() == name);
        if let Some(outcome) = outcome {
            counts.add(*outcome);
        }
    }
}

impl Survey {
    fn make(events: &Recorded, first_own_seq: i64) -> Result<Self, RecordError> {
        let mut last_rows = LastRows::default();
        let mut params = NameFinder::new("params_json", "param_");
        let mut results = NameFinder::new("results_json", "result_");
        params.know(&events.named(params.prefix()));
        results.know(&events.named(results.prefix()));
        let (mut last_seq, mut own_events) = (None, 0);
        let columns = [&last::COLUMNS[..], &["params_json", "results_json"]].concat();
        let damages = events.read(Some(&columns), &mut |batch| {
            last_rows.look(batch);
            look(batch, "params_json", &mut params);
            look(batch, "results_json", &mut results);
            let seq = batch.column_by_name("seq");
            let seq = seq.and_then(|column| column.as_primitive_opt::<Int64Type>());
            if let Some(seq) = seq {
                last_seq = last_seq.max(arrow::compute::max(seq));
                own_events += seq.values().iter().filter(|seq| **seq >= first_own_seq).count();
            }
            Ok(())
        })?;
        if last_rows.any_several() {
            events.read(Some(&last::COLUMNS), &mut |batch| {
                last_rows.compare(batch);
                Ok(())
            })?;
        }
        let mut warnings: Vec<String> = damages.iter().map(Damage::to_string).collect();
        let (params, of_params) = params.finish();
        let (results, of_results) = results.finish();
        warnings.extend(of_params);
        warnings.extend(of_results);
        Ok(Self { last_rows, params, results, last_seq, own_events, warnings })
    }

    fn named(&self, column: &str) -> Option<&NamedColumns> {
        match column {
            "params_json" => Some(&self.params),
            "results_json" => Some(&self.results),
            _ => None,
        }
    }

    fn schema(&self, table: Table) -> SchemaRef {
        Arc::new(Schema::new(
            table.columns().iter().flat_map(|column| self.fields(column)).collect::<Vec<_>>(),
        ))
    }

    /// The fields of a table that a column of the journal becomes.
    fn fields(&self, column: &Column) -> Vec<Field> {
        match self.named(column.name) {
            Some(named) => named.fields(),
            None => vec![field(column, Categories::Dictionary)],
        }
    }

    /// Writes the rows of one table, batch by batch.
    fn write(&self, table: Table, source: &Recorded, mut file: TableFile) -> Result<Written, RecordError> {
        let mut outcomes = (table == Table::Tasks).then(OutcomeCounts::default);
        let damages = source.read(None, &mut |batch| {
            let rows = self.rows(table, batch)?;
            if rows.num_rows() == 0 {
                return Ok(());
            }
            if let Some(outcomes) = &mut outcomes {
                count_outcomes(&rows, outcomes);
            }
            file.write(&self.convert(table, &rows, file.schema())?)
        })?;
        file.close()?;
        Ok(Written { outcomes, damages })
    }

    /// The rows of a batch of the journal that belong into the table.
    fn rows(&self, table: Table, batch: &RecordBatch) -> Result<RecordBatch, RecordError> {
        let mask = match table {
            Table::Events | Table::Samples => return Ok(batch.clone()),
            Table::Tasks => self.last_rows.mask(batch),
            Table::Attempts => self.last_rows.mask_of_attempts(batch),
        };
        Ok(filter_record_batch(batch, &mask)?)
    }

    /// Brings rows of the journal into the columns of the table.
    fn convert(
        &self,
        table: Table,
        rows: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, RecordError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for column in table.columns() {
            // The journal lacks the sums of tasks.parquet, which come last.
            if let Some(values) = rows.column_by_name(column.name) {
                arrays.extend(self.arrays(column, values, rows)?);
            }
        }
        if table == Table::Tasks {
            arrays.extend(self.last_rows.sums(rows));
        }
        Ok(RecordBatch::try_new(SchemaRef::clone(schema), arrays)?)
    }

    /// Brings the values that these rows have in a column of the journal into [`Survey::fields`].
    fn arrays(
        &self,
        column: &Column,
        values: &ArrayRef,
        rows: &RecordBatch,
    ) -> Result<Vec<ArrayRef>, RecordError> {
        if let (Some(named), Some(json)) = (self.named(column.name), values.as_string_opt::<i32>()) {
            return Ok(named.arrays(json, rows)?);
        }
        Ok(vec![match column.kind {
            ColumnType::Category => cast(values, &data_type(column.kind, Categories::Dictionary))?,
            _ => Arc::clone(values),
        }])
    }
}

fn look(batch: &RecordBatch, column: &str, finder: &mut NameFinder) {
    let json = batch.column_by_name(column);
    let Some(json) = json.and_then(|column| column.as_string_opt::<i32>()) else {
        return;
    };
    if json.null_count() < json.len() {
        json.iter().flatten().for_each(|row| finder.look(row));
    }
}
