//! Rows into columns: a builder that takes the cells of one row after the other and, for the
//! journal, the checksum of each row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, Float64Array, Float64Builder, Int32Array, Int32Builder, Int64Array,
    Int64Builder, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use ictasks_core::column::{Cell, Column, ColumnType};

use crate::error::RecordError;
use crate::schema::live_schema;

/// Rows of a batch of the journal, at most.
pub(crate) const BATCH_ROWS: usize = 2048;

/// Grows the columns of one live batch.
pub(crate) struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    checksums: Int64Builder,
    checksum: RowChecksum,
}

/// A column, and the nulls that follow its last value. Most cells are null: they are counted, and
/// appended together.
struct ColumnBuilder {
    kind: ColumnType,
    values: Values,
    nulls: usize,
    /// Nulls of its type. Batches share them where they have no value in a column, as most have in half of
    /// the columns: memory that nobody used before is what costs most here.
    nothing: ArrayRef,
}

enum Values {
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Int32List(ListBuilder<Int32Builder>),
}

impl RowBuilder {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let schema = live_schema(columns);
        let mut nulls: HashMap<&DataType, ArrayRef> = HashMap::new();
        let columns = columns.iter().zip(schema.fields()).map(|(column, field)| {
            let kind = field.data_type();
            let nothing = nulls.entry(kind).or_insert_with(|| new_null_array(kind, BATCH_ROWS));
            ColumnBuilder::new(column.kind, Arc::clone(nothing))
        });
        Self {
            columns: columns.collect(),
            checksum: RowChecksum::new(&schema),
            checksums: Int64Builder::new(),
            schema,
        }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn len(&self) -> usize {
        self.checksums.len()
    }

    /// Appends a row; `cells` hands out one cell for each column, in order.
    pub(crate) fn push(&mut self, cells: impl FnOnce(&mut dyn FnMut(Cell<'_>))) {
        let mut columns = self.columns.iter_mut();
        let checksum = &mut self.checksum;
        cells(&mut |cell| {
            if let Some(column) = columns.next() {
                checksum.add(cell);
                match cell {
                    Cell::Null => column.nulls += 1,
                    value => column.append(value),
                }
            }
        });
        self.checksums.append_value(self.checksum.take());
    }

    /// The rows so far; the builder is empty afterwards.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, RecordError> {
        let mut arrays: Vec<ArrayRef> = self.columns.iter_mut().map(ColumnBuilder::take).collect();
        arrays.push(Arc::new(self.checksums.finish()));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }
}

impl ColumnBuilder {
    fn new(kind: ColumnType, nothing: ArrayRef) -> Self {
        Self { kind, values: Values::with_room(kind, 0, 0), nulls: 0, nothing }
    }

    /// A cell that does not fit its column counts as not measured.
    fn append(&mut self, cell: Cell<'_>) {
        if self.nulls > 0 {
            self.append_nulls();
        }
        match (&mut self.values, cell) {
            (Values::Int32(builder), Cell::Int32(value)) => builder.append_value(value),
            (Values::Int64(builder), Cell::Int64(value)) => builder.append_value(value),
            (Values::Float64(builder), Cell::Float64(value)) => builder.append_value(value),
            (Values::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Values::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(value),
            (Values::Int32List(builder), Cell::Int32List(values)) => {
                builder.values().append_slice(values);
                builder.append(true);
            }
            _ => self.nulls += 1,
        }
    }

    fn append_nulls(&mut self) {
        let count = std::mem::take(&mut self.nulls);
        match &mut self.values {
            Values::Int32(builder) => builder.append_nulls(count),
            Values::Int64(builder) => builder.append_nulls(count),
            Values::Float64(builder) => builder.append_nulls(count),
            Values::Text(builder) => builder.append_nulls(count),
            Values::Timestamp(builder) => builder.append_nulls(count),
            Values::Int32List(builder) => builder.append_nulls(count),
        }
    }

    /// The cells so far. The builder is empty afterwards, and has room for as many again.
    fn take(&mut self) -> ArrayRef {
        if self.values.builder().is_empty() && self.nulls <= self.nothing.len() {
            return self.nothing.slice(0, std::mem::take(&mut self.nulls));
        }
        self.append_nulls();
        let room = Values::with_room(self.kind, self.values.builder().len(), self.values.text_bytes());
        std::mem::replace(&mut self.values, room).builder().finish()
    }
}

impl Values {
    fn with_room(kind: ColumnType, rows: usize, bytes: usize) -> Self {
        match kind {
            ColumnType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Text | ColumnType::Category => Self::Text(StringBuilder::with_capacity(rows, bytes)),
            ColumnType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
            ColumnType::Int32List => {
                Self::Int32List(ListBuilder::with_capacity(Int32Builder::with_capacity(rows), rows))
            }
        }
    }

    fn builder(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            Self::Int32(builder) => builder,
            Self::Int64(builder) => builder,
            Self::Float64(builder) => builder,
            Self::Text(builder) => builder,
            Self::Timestamp(builder) => builder,
            Self::Int32List(builder) => builder,
        }
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }
}

/// The checksum of a row: CRC-32 over the names of the columns and the cells, each as a tag and
/// its bytes (little endian, text and lists with their length first). Bit 32 is always set, so
/// that a row of zeros, which a file system may leave after a crash, never passes; the names
/// are in it so that no row passes under a damaged schema.
pub(crate) struct RowChecksum {
    names: crc32fast::Hasher,
    bytes: Vec<u8>,
}

impl RowChecksum {
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut names = crc32fast::Hasher::new();
        for field in schema.fields() {
            names.update(field.name().as_bytes());
            names.update(b"\n");
        }
        Self { names, bytes: Vec::new() }
    }

    pub(crate) fn add(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => self.bytes.push(0),
            Cell::Int32(value) => self.fixed(1, value.to_le_bytes()),
            Cell::Int64(value) => self.fixed(2, value.to_le_bytes()),
            Cell::Float64(value) => self.fixed(3, value.to_bits().to_le_bytes()),
            Cell::Text(value) => {
                self.fixed(4, (value.len() as u64).to_le_bytes());
                self.bytes.extend_from_slice(value.as_bytes());
            }
            Cell::Timestamp(value) => self.fixed(5, value.to_le_bytes()),
            Cell::Int32List(values) => {
                self.fixed(6, (values.len() as u64).to_le_bytes());
                for value in values {
                    self.bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    /// The checksum of the cells added since the last call.
    pub(crate) fn take(&mut self) -> i64 {
        let mut row = self.names.clone();
        row.update(&self.bytes);
        self.bytes.clear();
        i64::from(row.finalize()) | 1 << 32
    }

    fn fixed<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.bytes.reserve(1 + N);
        self.bytes.push(tag);
        self.bytes.extend(bytes);
    }
}

/// An array whose values can be had as cells.
pub(crate) enum CellArray<'a> {
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Text(&'a StringArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Int32List(&'a ListArray, &'a Int32Array),
    /// Of any type, without a value.
    Nulls,
}

impl<'a> CellArray<'a> {
    /// `None` if the array is of a type that the journal does not have.
    pub(crate) fn of(array: &'a ArrayRef) -> Option<Self> {
        let any = array.as_any();
        let is_null = array.null_count() == array.len();
        match array.data_type() {
            DataType::Int32 | DataType::Int64 | DataType::Float64 | DataType::Utf8 if is_null => {
                Some(Self::Nulls)
            }
            DataType::Int32 => any.downcast_ref().map(Self::Int32),
            DataType::Int64 => any.downcast_ref().map(Self::Int64),
            DataType::Float64 => any.downcast_ref().map(Self::Float64),
            DataType::Utf8 => any.downcast_ref().map(Self::Text),
            DataType::Timestamp(_, _) => any.downcast_ref().map(Self::Timestamp),
            DataType::List(_) => {
                let list: &ListArray = any.downcast_ref()?;
                let values: &Int32Array = list.values().as_any().downcast_ref()?;
                (values.null_count() == 0).then_some(Self::Int32List(list, values))
            }
            _ => None,
        }
    }

    pub(crate) fn cell(&self, row: usize) -> Cell<'a> {
        match self {
            Self::Int32(array) if array.is_valid(row) => Cell::Int32(array.value(row)),
            Self::Int64(array) if array.is_valid(row) => Cell::Int64(array.value(row)),
            Self::Float64(array) if array.is_valid(row) => Cell::Float64(array.value(row)),
            Self::Text(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            Self::Timestamp(array) if array.is_valid(row) => Cell::Timestamp(array.value(row)),
            Self::Int32List(list, values) if list.is_valid(row) => {
                let offsets = list.value_offsets();
                let range = usize::try_from(offsets[row]).unwrap_or(0)
                    ..usize::try_from(offsets[row + 1]).unwrap_or(0);
                Cell::Int32List(values.values().get(range).unwrap_or(&[]))
            }
            _ => Cell::Null,
        }
    }
}

/// The number of rows, from the first, whose checksums hold. The last column holds them.
pub(crate) fn true_rows(batch: &RecordBatch) -> usize {
    let Some((checksums, cells)) = batch.columns().split_last() else {
        return 0;
    };
    let Some(checksums) = checksums.as_any().downcast_ref::<Int64Array>() else {
        return 0;
    };
    let Some(cells) = cells.iter().map(CellArray::of).collect::<Option<Vec<_>>>() else {
        return 0;
    };
    let mut checksum = RowChecksum::new(&batch.schema());
    (0..batch.num_rows())
        .take_while(|row| {
            cells.iter().for_each(|array| checksum.add(array.cell(*row)));
            checksum.take() == checksums.value(*row) && checksums.is_valid(*row)
        })
        .count()
}
