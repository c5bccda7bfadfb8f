//! Points in Parquet: a parameter a column.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt64Type};
use ictasks_core::error::InputError;
use ictasks_core::sweep::{ParamValue, PointTable};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{check_names, wrong};

/// Rows that are read at once.
const BATCH_ROWS: usize = 1024;

/// A table in Parquet.
pub struct ParquetTable {
    path: PathBuf,
    names: Vec<String>,
    reader: ParquetRecordBatchReader,
    columns: Vec<ArrayRef>,
    row: usize,
    /// Rows in `columns`.
    row_count: usize,
    /// Rows of the batches before.
    rows_before: u64,
}

impl ParquetTable {
    /// Opens it and looks at its columns.
    ///
    /// # Errors
    /// It cannot be read, or has columns that can be no parameters.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let unreadable = |source| InputError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let damaged =
            |error: parquet::errors::ParquetError| wrong(path, 0, format!("no Parquet file ({error})"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
        let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        check_names(path, 0, &names)?;
        for field in builder.schema().fields() {
            if kind_of(field.data_type()).is_none() {
                let message = format!(
                    "the column `{}` ({}) holds neither numbers nor texts nor truth values; leave it out",
                    field.name(),
                    field.data_type()
                );
                return Err(wrong(path, 0, message));
            }
        }
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(damaged)?;
        let path = path.to_owned();
        Ok(Self { path, names, reader, columns: Vec::new(), row: 0, row_count: 0, rows_before: 0 })
    }

    /// Reads the next batch; false at the end.
    fn fill(&mut self) -> Result<bool, InputError> {
        while self.row == self.row_count {
            let Some(batch) = self.reader.next() else { return Ok(false) };
            let batch: RecordBatch =
                batch.map_err(|error| wrong(&self.path, 0, unreadable_because(&error.to_string())))?;
            self.rows_before += self.row_count as u64;
            (self.row, self.row_count) = (0, batch.num_rows());
            let plain = |column: &ArrayRef| match kind_of(column.data_type()) {
                Some(kind) if kind != *column.data_type() => cast(column, &kind),
                _ => Ok(Arc::clone(column)),
            };
            let columns: Result<_, _> = batch.columns().iter().map(plain).collect();
            self.columns = columns.map_err(|error| wrong(&self.path, 0, error.to_string()))?;
        }
        Ok(true)
    }
}

impl PointTable for ParquetTable {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn next_row(&mut self) -> Option<Result<Vec<ParamValue>, InputError>> {
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
        let row = self.row;
        self.row += 1;
        let values = self.columns.iter().zip(&self.names).map(|(column, name)| {
            value(column.as_ref(), row).map_err(|message| {
                let number = self.rows_before + row as u64 + 1;
                wrong(&self.path, 0, format!("row {number}, column `{name}`: {message}"))
            })
        });
        Some(values.collect())
    }
}

/// The type that a column is read as: whole numbers, numbers, truth values, texts.
fn kind_of(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Null => Some(DataType::Utf8),
        DataType::Boolean => Some(DataType::Boolean),
        DataType::UInt64 => Some(DataType::UInt64),
        integer if integer.is_integer() => Some(DataType::Int64),
        DataType::Float16 | DataType::Float32 => Some(DataType::Float32),
        DataType::Float64 => Some(DataType::Float64),
        DataType::Dictionary(_, values) => kind_of(values),
        nested if nested.is_nested() => None,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            None
        }
        other => can_cast_types(other, &DataType::Utf8).then_some(DataType::Utf8),
    }
}

fn value(column: &dyn Array, row: usize) -> Result<ParamValue, String> {
    if column.is_null(row) {
        return Ok(ParamValue::null());
    }
    match column.data_type() {
        DataType::Boolean => Ok(ParamValue::boolean(column.as_boolean().value(row))),
        DataType::Int64 => Ok(ParamValue::integer(column.as_primitive::<Int64Type>().value(row))),
        DataType::UInt64 => {
            let number = column.as_primitive::<UInt64Type>().value(row);
            i64::try_from(number).map_or_else(
                |_| ParamValue::text(number.to_string()),
                |number| Ok(ParamValue::integer(number)),
            )
        }
        DataType::Float32 => {
            let number = column.as_primitive::<Float32Type>().value(row);
            // The shortest form of the narrow number: 0.1, not 0.10000000149011612.
            float(number.to_string().parse().unwrap_or(f64::NAN))
        }
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        _ => ParamValue::text(column.as_string::<i32>().value(row)),
    }
}

/// A number; NaN is how some programs write that there is none.
fn float(number: f64) -> Result<ParamValue, String> {
    if number.is_nan() {
        return Ok(ParamValue::null());
    }
    ParamValue::float(number).ok_or_else(|| "the value is infinite; give a number".to_owned())
}

/// Why pages cannot be read: above all a compression that was left out of this program.
fn unreadable_because(message: &str) -> String {
    if message.contains("Disabled feature") {
        let name = message.rsplit(": ").next().unwrap_or_default();
        return format!(
            "it is compressed with `{name}`, which is not supported; write it with zstd or without \
             (`compression=\"zstd\"` in pandas, polars and pyarrow)"
        );
    }
    format!("it cannot be read: {message}")
}
