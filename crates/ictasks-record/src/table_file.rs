//! One Parquet file: created under a temporary name, compressed, with the facts of its run.
//!
//! Rows come in batches, or all at one time, as columns that were encoded one by one ([`encode`]): a
//! compressor takes some hundred kilobytes, and those of sixty columns at one time would have to be fetched
//! from the system, page by page, at the end of a run of a second.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;

use crate::FORMAT_VERSION;
use crate::error::{AtPath, RecordError};
use crate::files::{Reserve, ReservedWriter, temporary};

/// Rows a row group. A writer holds one row group and some hundred bytes for each column of
/// each one before it, so neither small nor large groups keep the memory low.
const ROW_GROUP_ROWS: usize = 65_536;

/// Bytes a page, before compression. Each column has a compressor that grows with its pages.
const PAGE_BYTES: usize = 32 * 1024;

/// What every file says of its run in its key-value metadata.
#[derive(Clone, Debug)]
pub(crate) struct FileFacts {
    /// Version of the program.
    pub(crate) version: String,
    pub(crate) run_id: String,
    /// The last event that the file covers, where that is known.
    pub(crate) last_seq: Option<i64>,
    /// The last part of the journal that the file covers, of samples.
    pub(crate) last_part: Option<u32>,
}

impl FileFacts {
    fn metadata(&self) -> Vec<KeyValue> {
        let pair = |key: &str, value: String| KeyValue::new(format!("ictasks.{key}"), value);
        let mut pairs = vec![
            pair("format_version", FORMAT_VERSION.to_string()),
            pair("version", self.version.clone()),
            pair("run_id", self.run_id.clone()),
        ];
        pairs.extend(self.last_seq.map(|seq| pair("last_seq", seq.to_string())));
        pairs.extend(self.last_part.map(|part| pair("last_part", part.to_string())));
        pairs
    }
}

/// What a file is written for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// The record: it is synced at its end, and the reserve makes room where the disk is full.
    Record(&'a Reserve),
    /// A copy, which can be made again.
    Copy,
}

/// A Parquet file that is being written.
pub(crate) struct TableFile {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<ReservedWriter<File>>,
    must_last: bool,
}

impl TableFile {
    /// Begins the file that is to become `path`, under its temporary name.
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        facts: &FileFacts,
        purpose: Purpose<'_>,
    ) -> Result<Self, RecordError> {
        let (reserve, must_last) = match purpose {
            Purpose::Record(reserve) => (Some(reserve), true),
            Purpose::Copy => (None, false),
        };
        let temporary = temporary(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary);
        let file = file.at("create", &temporary)?;
        let sink = ReservedWriter::new(file, &temporary, reserve);
        let properties = properties(&schema, facts);
        let writer =
            ArrowWriter::try_new(sink, SchemaRef::clone(&schema), Some(properties)).at("write", path)?;
        Ok(Self { path: path.to_path_buf(), schema, writer, must_last })
    }

    /// The schema that batches must have.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), RecordError> {
        self.writer.write(batch).at("write", &self.path)
    }

    /// Completes the file. It is not in its place yet.
    pub(crate) fn close(mut self) -> Result<(), RecordError> {
        self.writer.finish().at("write", &self.path)?;
        if self.must_last {
            self.writer.inner().inner().sync_all().at("sync", &self.path)?;
        }
        Ok(())
    }

    /// Completes the file with these columns, all rows of each, as one row group: they must be few. `behind`
    /// is a table of the same rows whose columns come first, as they are in its file. Nothing is synced yet.
    pub(crate) fn write_at_once(
        self,
        columns: Vec<EncodedColumn>,
        behind: Option<&WholeTable>,
    ) -> Result<WholeTable, RecordError> {
        let Self { path, writer, must_last, .. } = self;
        let (file, metadata) = write_group(writer, columns, behind).at("write", &path)?;
        Ok(WholeTable { path, file, metadata, must_last })
    }
}

/// A complete table, not in its place yet.
pub(crate) struct WholeTable {
    path: PathBuf,
    file: File,
    metadata: ParquetMetaData,
    must_last: bool,
}

impl WholeTable {
    /// Syncs it, if it is to last.
    pub(crate) fn close(self) -> Result<(), RecordError> {
        if self.must_last { self.file.sync_all().at("sync", &self.path) } else { Ok(()) }
    }

    /// Hands its columns to another table's only row group, without decoding them. What [`encoding`] turns
    /// off (indexes, bloom filters) would be lost on the way.
    fn copy_to(
        &self,
        group: &mut SerializedRowGroupWriter<'_, ReservedWriter<File>>,
    ) -> parquet::errors::Result<()> {
        for of_group in self.metadata.row_groups() {
            for column in of_group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: of_group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                group.append_column(&self.file, close)?;
            }
        }
        Ok(())
    }
}

/// See [`TableFile::write_at_once`].
fn write_group(
    writer: ArrowWriter<ReservedWriter<File>>,
    columns: Vec<EncodedColumn>,
    behind: Option<&WholeTable>,
) -> parquet::errors::Result<(File, ParquetMetaData)> {
    let (mut writer, _) = writer.into_serialized_writer()?;
    if columns.iter().any(|column| column.close().rows_written > 0) {
        let mut group = writer.next_row_group()?;
        if let Some(first) = behind {
            first.copy_to(&mut group)?;
        }
        for column in columns {
            column.append_to_row_group(&mut group)?;
        }
        group.close()?;
    }
    let metadata = writer.finish()?;
    Ok((writer.inner().inner().try_clone()?, metadata))
}

/// A column of [`TableFile::write_at_once`]; a list has its values in it.
pub(crate) type EncodedColumn = ArrowColumnChunk;

/// Encodes all values of a column. They must fit the field.
pub(crate) fn encode(field: Field, values: &ArrayRef) -> Result<Vec<EncodedColumn>, ArrowError> {
    let field = Arc::new(field);
    // The library makes the writers of all columns of a file at one time: this is the only one of its file.
    let schema = Arc::new(Schema::new(vec![Arc::clone(&field)]));
    RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(values)])?;
    let properties = Arc::new(encoding(&schema).build());
    let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
    let nowhere = SerializedFileWriter::new(io::sink(), root, properties)?;
    let writers = ArrowRowGroupWriterFactory::new(&nowhere, schema).create_column_writers(0)?;
    let mut encoded = Vec::with_capacity(writers.len());
    for (mut writer, leaf) in writers.into_iter().zip(compute_leaves(&field, values)?) {
        writer.write(&leaf)?;
        encoded.push(writer.close()?);
    }
    Ok(encoded)
}

fn properties(schema: &SchemaRef, facts: &FileFacts) -> WriterProperties {
    encoding(schema)
        .set_created_by(format!("ictasks {}", facts.version))
        .set_key_value_metadata(Some(facts.metadata()))
        .build()
}

/// Dictionaries only where values repeat: a dictionary of ids or times would fill memory. Indexes and bloom
/// filters are off: [`WholeTable::copy_to`] does not copy them.
fn encoding(schema: &Schema) -> WriterPropertiesBuilder {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(false);
    for field in schema.fields() {
        if matches!(field.data_type(), DataType::Dictionary(_, _)) {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder.set_column_dictionary_enabled(path, true);
        }
    }
    builder
}
