//! Tables read from front to back, some thousand rows at a time: a run of any size takes little memory.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use ictasks_core::layout::FORMAT_VERSION;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection,
};
use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;

use crate::error::ReportError;
use crate::moment::Moment;
use crate::source::{Source, Table};

/// Rows at a time.
const BATCH_ROWS: usize = 4096;

/// A table from its first row to its last.
pub(crate) struct Rows {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    names: Vec<String>,
}

/// One row, by the names of its columns.
pub(crate) struct Row<'a> {
    names: &'a [String],
    arrays: &'a [ArrayRef],
    index: usize,
}

/// One value, as the record has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
    Time(Moment),
    List(Vec<i64>),
}

/// Which rows of a table.
enum Which<'a> {
    All,
    OfTask(&'a str),
    Numbers(&'a [u32]),
}

impl Rows {
    /// Opens a table; of its columns those named in `only`, as far as there are such.
    ///
    /// # Errors
    /// It is missing, no Parquet file, or a newer program's.
    pub(crate) fn open(source: &Source, table: Table, only: Option<&[&str]>) -> Result<Self, ReportError> {
        Self::open_some(source, table, only, &Which::All)
    }

    /// The rows with these numbers, which ascend; pages without any of them are not decoded.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub(crate) fn at(
        source: &Source,
        table: Table,
        only: &[&str],
        numbers: &[u32],
    ) -> Result<Self, ReportError> {
        Self::open_some(source, table, Some(only), &Which::Numbers(numbers))
    }

    /// The rows of one task.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub(crate) fn of_task(source: &Source, table: Table, id: &str) -> Result<Self, ReportError> {
        Self::open_some(source, table, None, &Which::OfTask(id))
    }

    fn open_some(
        source: &Source,
        table: Table,
        only: Option<&[&str]>,
        which: &Which<'_>,
    ) -> Result<Self, ReportError> {
        let path = source.path(table);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) => return Err(ReportError::File { path, source }),
        };
        let unreadable = |source| ReportError::Rows { path: path.clone(), source };
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| unreadable(ArrowError::from(error)))?;
        if let Some(found) = format_version(builder.metadata().file_metadata())
            && found > u64::from(FORMAT_VERSION)
        {
            return Err(ReportError::Newer { path, found });
        }
        if let Some(only) = only {
            let fields = builder.schema().fields().iter().enumerate();
            let roots = fields.filter(|(_, field)| only.contains(&field.name().as_str()));
            let roots: Vec<usize> = roots.map(|(position, _)| position).collect();
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        builder = match which {
            Which::All => builder,
            Which::OfTask(id) => {
                let filter = has_task_id(builder.parquet_schema(), id);
                builder.with_row_filter(filter)
            }
            Which::Numbers(numbers) => {
                let (groups, selection) = selection(builder.metadata().row_groups(), numbers);
                builder.with_row_groups(groups).with_row_selection(selection)
            }
        };
        let batches = builder.with_batch_size(BATCH_ROWS).build();
        let batches = batches.map_err(|error| unreadable(ArrowError::from(error)))?;
        let names = batches.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok(Self { path, batches, names })
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Hands out each row, in the order of the file.
    ///
    /// # Errors
    /// The file cannot be read on, or `take` says so.
    pub(crate) fn each(
        mut self,
        mut take: impl FnMut(&Row<'_>) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        for batch in self.batches.by_ref() {
            let arrays = batch.and_then(|batch| batch.columns().iter().map(canonical).collect());
            let arrays: Vec<ArrayRef> = match arrays {
                Ok(arrays) => arrays,
                Err(source) => return Err(ReportError::Rows { path: self.path, source }),
            };
            let count = arrays.first().map_or(0, |array| array.len());
            for index in 0..count {
                take(&Row { names: &self.names, arrays: &arrays, index })?;
            }
        }
        Ok(())
    }
}

impl<'a> Row<'a> {
    /// The value of a column; null where there is no such column.
    pub(crate) fn cell(&self, name: &str) -> Cell<'a> {
        let place = self.names.iter().position(|other| other == name);
        place.map_or(Cell::Null, |place| cell(&self.arrays[place], self.index))
    }

    /// All values, in the order of the columns.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'a str, Cell<'a>)> {
        let index = self.index;
        let named = self.names.iter().zip(self.arrays);
        named.map(move |(name, array)| (name.as_str(), cell(array, index)))
    }

    /// Text; `None` where it is null.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        if let Cell::Text(text) = self.cell(name) { Some(text) } else { None }
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        if let Cell::Integer(number) = self.cell(name) { Some(number) } else { None }
    }

    /// A number.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        match self.cell(name) {
            Cell::Float(number) => Some(number),
            Cell::Integer(number) => Some(number as f64),
            _ => None,
        }
    }

    /// An instant.
    pub(crate) fn time(&self, name: &str) -> Option<Moment> {
        if let Cell::Time(at) = self.cell(name) { Some(at) } else { None }
    }
}

/// The row groups that hold rows with these numbers, which ascend, and the rows within those groups.
fn selection(groups: &[RowGroupMetaData], numbers: &[u32]) -> (Vec<usize>, RowSelection) {
    let mut chosen = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut numbers = numbers.iter().map(|number| *number as usize).peekable();
    // First row of the group in the file, and among the chosen groups.
    let (mut first, mut before) = (0, 0);
    for (group, metadata) in groups.iter().enumerate() {
        let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let end = first + rows;
        let is_chosen = numbers.peek().is_some_and(|number| *number < end);
        while let Some(number) = numbers.next_if(|number| *number < end) {
            let place = before + number - first;
            ranges.push(place..place + 1);
        }
        if is_chosen {
            chosen.push(group);
            before += rows;
        }
        first = end;
    }
    (chosen, RowSelection::from_consecutive_ranges(ranges.into_iter(), before))
}

/// Lets only the rows of a task through; the other columns are decoded for these alone.
fn has_task_id(schema: &SchemaDescriptor, id: &str) -> RowFilter {
    let id = id.to_owned();
    let is_of_task = move |batch: RecordBatch| {
        let Some(ids) = batch.columns().first() else {
            return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
        };
        let ids = cast(ids, &DataType::Utf8)?;
        Ok(ids.as_string::<i32>().iter().map(|other| Some(other == Some(id.as_str()))).collect())
    };
    let mask = ProjectionMask::columns(schema, ["task_id"]);
    RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, is_of_task))])
}

fn format_version(metadata: &FileMetaData) -> Option<u64> {
    let pairs = metadata.key_value_metadata()?;
    let pair = pairs.iter().find(|pair| pair.key == "ictasks.format_version")?;
    pair.value.as_deref()?.parse().ok()
}

/// The array as one of the types that [`cell`] knows.
fn canonical(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let kind = array.data_type();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let target = match kind {
        DataType::Boolean | DataType::Null => kind.clone(),
        kind if kind.is_integer() => DataType::Int64,
        kind if kind.is_floating() => DataType::Float64,
        DataType::Timestamp(_, _) => utc,
        DataType::List(_) | DataType::LargeList(_) => {
            DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
        }
        _ => DataType::Utf8,
    };
    if *kind == target { Ok(Arc::clone(array)) } else { cast(array, &target) }
}

fn cell(array: &ArrayRef, index: usize) -> Cell<'_> {
    if array.is_null(index) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(index)),
        DataType::Int64 => Cell::Integer(array.as_primitive::<Int64Type>().value(index)),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(index)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(index)),
        DataType::Timestamp(_, _) => {
            Cell::Time(Moment(array.as_primitive::<TimestampMicrosecondType>().value(index)))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(index);
            Cell::List(items.as_primitive::<Int64Type>().iter().flatten().collect())
        }
        _ => Cell::Null,
    }
}
