//! Points in CSV or TSV: the first line names the parameters.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use ictasks_core::error::InputError;
use ictasks_core::sweep::{ParamValue, PointTable};

use super::{check_names, wrong};

/// The longest row that is read, bytes.
const MAX_ROW_BYTES: usize = 1 << 20;

/// A table in text.
pub struct TextTable {
    path: PathBuf,
    names: Vec<String>,
    input: BufReader<File>,
    parser: Reader,
    row: Row,
}

/// The cells of a row, one behind the other.
#[derive(Default)]
struct Row {
    /// Where it begins, from 1.
    line: u64,
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl TextTable {
    /// Opens it and reads the names.
    ///
    /// # Errors
    /// It cannot be read, or has columns that can be no parameters.
    pub fn open(path: &Path, delimiter: u8) -> Result<Self, InputError> {
        let unreadable = |source| InputError::Unreadable { path: path.to_owned(), source };
        let input = BufReader::with_capacity(1 << 16, File::open(path).map_err(unreadable)?);
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
        let mut table = Self { path: path.to_owned(), names: Vec::new(), input, parser, row: Row::default() };
        if table.read_row()? {
            let names = table.row.cells().map(|name| Ok(table.text(name)?.trim().to_owned()));
            table.names = names.collect::<Result<_, InputError>>()?;
        }
        check_names(path, 1, &table.names)?;
        Ok(table)
    }

    /// Reads the next row; false at the end. The parser itself drops a byte order mark and empty lines.
    fn read_row(&mut self) -> Result<bool, InputError> {
        let row = &mut self.row;
        row.line = self.parser.line();
        row.bytes.resize(row.bytes.capacity().max(1 << 10), 0);
        row.ends.resize(row.ends.capacity().max(16), 0);
        let (mut written, mut cell_count) = (0, 0);
        loop {
            let input = match self.input.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(InputError::Unreadable { path: self.path.clone(), source }),
            };
            let (result, read, bytes, cells) =
                self.parser.read_record(input, &mut row.bytes[written..], &mut row.ends[cell_count..]);
            self.input.consume(read);
            written += bytes;
            cell_count += cells;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if written >= MAX_ROW_BYTES => {
                    let message = "the row is longer than 1 MiB; is a quote not closed?".to_owned();
                    return Err(wrong(&self.path, row.line, message));
                }
                ReadRecordResult::OutputFull => row.bytes.resize(row.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => row.ends.resize(row.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    row.ends.truncate(cell_count);
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    fn values(&self) -> Result<Vec<ParamValue>, InputError> {
        let (count, expected) = (self.row.ends.len(), self.names.len());
        if count != expected {
            let values = if count == 1 { "value" } else { "values" };
            let message = format!(
                "{count} {values}, and there are {expected} columns; give a value for each, if need be an empty one"
            );
            return Err(wrong(&self.path, self.row.line, message));
        }
        let cell = |cell| {
            ParamValue::cell(self.text(cell)?).map_err(|message| wrong(&self.path, self.row.line, message))
        };
        self.row.cells().map(cell).collect()
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, InputError> {
        std::str::from_utf8(bytes).map_err(|_| {
            let message = "is not UTF-8; convert it, for instance with `iconv -t UTF-8`".to_owned();
            wrong(&self.path, self.row.line, message)
        })
    }
}

impl Row {
    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }
}

impl PointTable for TextTable {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn next_row(&mut self) -> Option<Result<Vec<ParamValue>, InputError>> {
        match self.read_row() {
            Ok(true) => Some(self.values()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
