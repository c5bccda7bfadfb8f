//! Tables of the record as rows of JSON values.
//!
//! Integers and times (microseconds since the epoch) become JSON integers, lists become arrays,
//! nulls stay null. Only the types that the record format promises are known: any other panics,
//! which is what a test of the format wants.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

/// One row: a value for each column.
pub type Row = Map<String, Value>;

/// A table, read whole.
pub struct Table {
    /// Its columns as Arrow readers see them.
    pub schema: SchemaRef,
    /// Its rows, in order.
    pub rows: Vec<Row>,
    /// The key-value metadata of the file.
    pub metadata: Map<String, Value>,
}

impl Table {
    /// A line a column: name, type as the record format writes it, and `?` where it may be null.
    pub fn columns(&self) -> Vec<String> {
        let line = |field: &arrow::datatypes::FieldRef| {
            let optional = if field.is_nullable() { "?" } else { "" };
            format!("{} {}{optional}", field.name(), type_name(field.data_type()))
        };
        self.schema.fields().iter().map(line).collect()
    }
}

/// Reads a Parquet file.
///
/// # Panics
/// If it cannot be read, with its name.
pub fn read_parquet(path: &Path) -> Table {
    let file = File::open(path).unwrap_or_else(|error| panic!("open `{}`: {error}", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap_or_else(|error| panic!("read `{}`: {error}", path.display()));
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let metadata = metadata.into_iter().flatten().map(|pair| {
        let value = pair.value.clone().map_or(Value::Null, Value::from);
        (pair.key.clone(), value)
    });
    let metadata = metadata.collect();
    let schema = builder.schema().clone();
    let batches = builder.build().expect("a Parquet file has readable pages");
    let rows = batches
        .map(|batch| batch.expect("a Parquet file has readable rows"))
        .flat_map(|batch| rows(&batch))
        .collect();
    Table { schema, rows, metadata }
}

/// Reads what is whole of an Arrow IPC stream that may still be written to.
pub fn read_stream(path: &Path) -> Vec<Row> {
    let Ok(reader) = File::open(path).map(|file| StreamReader::try_new(file, None)) else {
        return Vec::new();
    };
    let Ok(reader) = reader else {
        return Vec::new();
    };
    reader.map_while(Result::ok).flat_map(|batch| rows(&batch)).collect()
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let row = |index: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells.map(|(field, column)| (field.name().clone(), value(column.as_ref(), index))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let key = dictionary.keys().value(row);
            let key = usize::try_from(key).expect("dictionary keys are not negative");
            value(dictionary.values().as_ref(), key)
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).into()
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let items = (0..list.len()).map(|index| value(list.as_ref(), index));
            Value::Array(items.collect())
        }
        other => panic!("the record format has no {other}"),
    }
}

fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 => "utf8".to_owned(),
        DataType::Dictionary(keys, values) => {
            format!("dictionary<{}, {}>", type_name(keys), type_name(values))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => format!("timestamp(us, {zone})"),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        other => format!("({other})"),
    }
}
