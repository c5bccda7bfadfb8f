//! Reading Parquet files that a power loss or a full disk may have damaged: the tables of earlier
//! sessions and the finished parts of the journal. Rows come as in the journal: plain text instead
//! of dictionaries, the columns of today; `param_*` and `result_*` stay as they are.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use ictasks_core::column::Column;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{ChunkReader, Length};

use crate::FORMAT_VERSION;
use crate::error::{AtPath, RecordError};
use crate::journal::{Damage, TakeBatch};
use crate::schema::{Categories, field};

/// Rows a batch.
const BATCH_ROWS: usize = 2048;

/// Bytes that are looked through at a time for the end of a file.
const BLOCK_BYTES: u64 = 64 * 1024;

/// What opening a file found.
pub(crate) enum Opened {
    Absent,
    /// Nothing can be read.
    Damaged(Damage),
    Whole(ParquetFile),
}

/// A Parquet file of the record whose metadata could be read.
pub(crate) struct ParquetFile {
    path: PathBuf,
    input: Input,
    columns: Vec<String>,
    /// The version of the program that wrote it.
    pub(crate) version: Option<String>,
    pub(crate) run_id: Option<String>,
    /// The last event that it covers.
    pub(crate) last_seq: Option<i64>,
    /// The last part of the journal that it covers.
    pub(crate) last_part: Option<u32>,
}

impl ParquetFile {
    /// Opens a file and reads what it says of itself.
    pub(crate) fn open(path: &Path) -> Result<Opened, RecordError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Absent),
            file => file.at("open", path)?,
        };
        let damaged = |what: String| Ok(Opened::Damaged(Damage::new(path, 0, what)));
        let input = match Input::new(file) {
            Err(error) => return damaged(error.to_string()),
            Ok(input) if input.length == 0 => return damaged("it is empty or holds only zeros".to_owned()),
            Ok(input) => input,
        };
        let builder = match without_panic(|| ParquetRecordBatchReaderBuilder::try_new(input.clone())) {
            Ok(builder) => builder,
            Err(what) => return damaged(what),
        };
        let facts = builder.metadata().file_metadata().key_value_metadata();
        let fact = |key: &str| {
            let pair = facts?.iter().find(|pair| pair.key.strip_prefix("ictasks.") == Some(key))?;
            pair.value.clone()
        };
        let found = fact("format_version").and_then(|version| version.parse().ok());
        if let Some(found) = found.filter(|found| *found > FORMAT_VERSION) {
            return Err(RecordError::Newer { path: path.to_path_buf(), found });
        }
        let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok(Opened::Whole(Self {
            path: path.to_path_buf(),
            input,
            columns,
            version: fact("version"),
            run_id: fact("run_id"),
            last_seq: fact("last_seq").and_then(|seq| seq.parse().ok()),
            last_part: fact("last_part").and_then(|part| part.parse().ok()),
        }))
    }

    /// Names of its columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    /// The columns of a name's kind (`param_`, `result_`), with their types in the file.
    pub(crate) fn named(&self, prefix: &str) -> Vec<Field> {
        let builder = without_panic(|| ParquetRecordBatchReaderBuilder::try_new(self.input.clone()));
        let Ok(builder) = builder else { return Vec::new() };
        let fields = builder.schema().fields().iter();
        fields.filter(|field| field.name().starts_with(prefix)).map(|field| Field::clone(field)).collect()
    }

    /// Hands out the rows, batch by batch, up to the first damage, which it returns. `columns`
    /// are those of the journal; `only` limits them.
    pub(crate) fn read(
        &self,
        columns: &[Column],
        only: Option<&[&str]>,
        take: TakeBatch<'_>,
    ) -> Result<Option<Damage>, RecordError> {
        let damaged = |what| Ok(Some(Damage::new(&self.path, 0, what)));
        let opened = without_panic(|| {
            let mut builder = ParquetRecordBatchReaderBuilder::try_new(self.input.clone())?;
            if let Some(names) = only {
                let fields = builder.schema().fields().iter().enumerate();
                let roots = fields.filter(|(_, field)| names.contains(&field.name().as_str()));
                let roots: Vec<usize> = roots.map(|(position, _)| position).collect();
                let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
                builder = builder.with_projection(mask);
            }
            builder.with_batch_size(BATCH_ROWS).build()
        });
        let mut batches = match opened {
            Ok(batches) => batches,
            Err(what) => return damaged(what),
        };
        loop {
            let next = without_panic(|| batches.next().transpose());
            let batch = next.and_then(|batch| {
                let arranged = batch.map(|batch| arrange(&batch, columns, only));
                arranged.transpose().map_err(|error| error.to_string())
            });
            match batch {
                Ok(Some(batch)) => take(&batch)?,
                Ok(None) => return Ok(None),
                Err(what) => return damaged(what),
            }
        }
    }
}

/// Brings a batch into the columns of the journal; `param_*` and `result_*` come behind them.
fn arrange(
    batch: &RecordBatch,
    columns: &[Column],
    only: Option<&[&str]>,
) -> Result<RecordBatch, ArrowError> {
    let is_asked = |name: &str| only.is_none_or(|only| only.contains(&name));
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns.iter().filter(|column| is_asked(column.name)) {
        let field = field(column, Categories::Plain);
        arrays.push(match batch.column_by_name(column.name) {
            Some(array) => cast(array, field.data_type())?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
        fields.push(field);
    }
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        if (field.name().starts_with("param_") || field.name().starts_with("result_"))
            && !columns.iter().any(|column| column.name == field.name())
        {
            fields.push(Field::clone(field));
            arrays.push(Arc::clone(array));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// The libraries that decode trust their input here and there, and panic.
fn without_panic<T, E: std::fmt::Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be decoded".to_owned()),
    }
}

/// A file up to its last byte that is not zero: a crash may leave zeros behind the true end, and a
/// Parquet file is read from its end.
#[derive(Clone)]
struct Input {
    file: Arc<File>,
    length: u64,
}

impl Input {
    fn new(file: File) -> io::Result<Self> {
        let mut length = file.metadata()?.len();
        let mut block = Vec::new();
        while length > 0 {
            let start = (length - 1) / BLOCK_BYTES * BLOCK_BYTES;
            block.resize(usize::try_from(length - start).map_err(io::Error::other)?, 0);
            file.read_exact_at(&mut block, start)?;
            let last = block.iter().rposition(|byte| *byte != 0);
            length = last.map_or(start, |last| start + last as u64 + 1);
            if last.is_some() {
                break;
            }
        }
        Ok(Self { file: Arc::new(file), length })
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Input {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(From { input: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let left = self.length.saturating_sub(start);
        if length as u64 > left {
            return Err(parquet::errors::ParquetError::EOF("it ends too early".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Reads on from a position; other readers of the file do not disturb it.
struct From {
    input: Input,
    position: u64,
}

impl Read for From {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.input.length.saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let read = self.input.file.read_at(&mut bytes[..count], self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
