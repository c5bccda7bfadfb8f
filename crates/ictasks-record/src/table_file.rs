//! One Parquet file: created under a temporary name, compressed, with the facts of its run.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
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

/// A Parquet file that is being written.
pub(crate) struct TableFile {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<ReservedWriter<File>>,
}

impl TableFile {
    /// Begins the file that is to become `path`, under its temporary name.
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        facts: &FileFacts,
        reserve: Option<&Reserve>,
    ) -> Result<Self, RecordError> {
        let temporary = temporary(path);
        let file = File::create(&temporary).at("create", &temporary)?;
        let sink = ReservedWriter::new(file, &temporary, reserve);
        let properties = properties(&schema, facts);
        let writer =
            ArrowWriter::try_new(sink, SchemaRef::clone(&schema), Some(properties)).at("write", path)?;
        Ok(Self { path: path.to_path_buf(), schema, writer })
    }

    /// The schema that batches must have.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), RecordError> {
        self.writer.write(batch).at("write", &self.path)
    }

    /// Completes the file; it is neither synced nor in its place.
    pub(crate) fn close(mut self) -> Result<File, RecordError> {
        self.writer.finish().at("write", &self.path)?;
        let file = self.writer.inner().inner().try_clone();
        file.at("write", &self.path)
    }
}

/// Dictionaries only where values repeat: a dictionary of ids or times would fill memory.
fn properties(schema: &SchemaRef, facts: &FileFacts) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("ictasks {}", facts.version))
        .set_key_value_metadata(Some(facts.metadata()))
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
    builder.build()
}
