//! Reading a live part: an Arrow IPC stream that may end, or be damaged, anywhere.
//!
//! Arrow's own reader trusts its input. Here each message is framed and checked before Arrow
//! decodes it, and each row counts only if its checksum holds.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::{self, MessageHeader, root_as_message};
use ictasks_core::column::Column;

use super::{Damage, shape};
use crate::error::{AtPath, RecordError};
use crate::rows::true_rows;
use crate::schema::{CHECKSUM, live_schema, part_schema};

/// What begins every message of a stream.
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// A message as it lies in the file.
struct Message {
    metadata: Vec<u8>,
    body: Vec<u8>,
}

/// What comes next in a stream.
enum Next {
    Message(Message),
    /// The stream ends, with or without the mark for it.
    End,
    Damaged(&'static str),
}

/// What is wrong with a stream that was cut, or that is being written.
pub(crate) const ENDS_EARLY: &str = "it ends within a message";

/// How far a stream has been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    position: u64,
    /// What it began with, once that has been read.
    schema: Option<SchemaRef>,
}

/// Reads a live part up to its end or its first damaged row.
pub(crate) fn read(
    path: &Path,
    columns: &[Column],
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<Option<Damage>, RecordError> {
    read_on(path, Place::default(), columns, take).map(|(_, damage)| damage)
}

/// Reads on from a place in a live part, and says where it stopped. A file that is shorter than it
/// was is another one, and is read from its beginning.
pub(crate) fn read_on(
    path: &Path,
    mut place: Place,
    columns: &[Column],
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<(Place, Option<Damage>), RecordError> {
    let mut file = File::open(path).at("open", path)?;
    let length = file.metadata().at("read", path)?.len();
    if length < place.position {
        place = Place::default();
    }
    file.seek(SeekFrom::Start(place.position)).at("read", path)?;
    let mut reader = Reader { input: BufReader::new(file), position: place.position, length };
    let damage = read_from(&mut reader, &mut place.schema, path, columns, take)?;
    // The position of the reader is that of the last whole message.
    place.position = reader.position;
    Ok((place, damage))
}

/// Reads the bytes of a live part, as [`crate::read_journal`] reads a file.
pub(crate) fn read_bytes(
    bytes: &[u8],
    columns: &[Column],
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<Option<Damage>, RecordError> {
    let mut reader = Reader { input: bytes, position: 0, length: bytes.len() as u64 };
    read_from(&mut reader, &mut None, Path::new("memory"), columns, take)
}

fn read_from<R: Read>(
    reader: &mut Reader<R>,
    schema: &mut Option<SchemaRef>,
    path: &Path,
    columns: &[Column],
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<Option<Damage>, RecordError> {
    let damage = |good_bytes, what: &str| Ok(Some(Damage::new(path, good_bytes, what)));
    loop {
        let good_bytes = reader.position;
        let message = match reader.next().at("read", path)? {
            Next::Message(message) => message,
            Next::End => return Ok(None),
            Next::Damaged(what) => return damage(good_bytes, what),
        };
        let Some(known) = &*schema else {
            *schema = schema_of(&message, columns);
            if schema.is_none() {
                return damage(good_bytes, "it begins with another schema");
            }
            continue;
        };
        let Some(batch) = decode(message, known) else {
            return damage(good_bytes, "a batch cannot be decoded");
        };
        let rows = true_rows(&batch);
        let whole = rows == batch.num_rows();
        let Some(batch) = arrange(&batch.slice(0, rows), columns)? else {
            return damage(good_bytes, "a column is missing");
        };
        take(&batch)?;
        if !whole {
            return damage(good_bytes, "the checksum of a row does not hold");
        }
    }
}

struct Reader<R> {
    input: R,
    position: u64,
    length: u64,
}

impl<R: Read> Reader<R> {
    fn next(&mut self) -> io::Result<Next> {
        let left = self.length.saturating_sub(self.position);
        if left == 0 {
            return Ok(Next::End);
        }
        if left < 8 {
            return Ok(Next::Damaged(ENDS_EARLY));
        }
        let (mut mark, mut size) = ([0; 4], [0; 4]);
        self.input.read_exact(&mut mark)?;
        self.input.read_exact(&mut size)?;
        let size = u64::from(u32::from_le_bytes(size));
        if mark != CONTINUATION {
            return Ok(Next::Damaged("a message does not begin as one"));
        }
        if size == 0 {
            self.position += 8;
            return Ok(Next::End);
        }
        if size > left - 8 {
            return Ok(Next::Damaged(ENDS_EARLY));
        }
        let metadata = self.bytes(size)?;
        let Some(body_size) = body_size(&metadata) else {
            return Ok(Next::Damaged("the head of a message is damaged"));
        };
        if body_size > left - 8 - size {
            return Ok(Next::Damaged(ENDS_EARLY));
        }
        let body = self.bytes(body_size)?;
        self.position += 8 + size + body_size;
        Ok(Next::Message(Message { metadata, body }))
    }

    /// `count` has been checked against the length of the file.
    fn bytes(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn body_size(metadata: &[u8]) -> Option<u64> {
    let message = root_as_message(metadata).ok()?;
    u64::try_from(message.bodyLength()).ok()
}

/// The schema of the stream: known columns only, in any order, some perhaps missing because an
/// earlier version wrote it. The fields are our own; the stream only names them.
fn schema_of(message: &Message, columns: &[Column]) -> Option<SchemaRef> {
    let schema = root_as_message(&message.metadata).ok()?.header_as_schema()?;
    let known = live_schema(columns);
    let mut fields = Vec::new();
    for found in schema.fields()? {
        let field = known.field_with_name(found.name()?).ok()?;
        let fits = found.type_type() == type_in_stream(field)? && found.dictionary().is_none();
        if !fits {
            return None;
        }
        fields.push(field.clone());
    }
    let ends_with_checksum = fields.last().is_some_and(|field| field.name() == CHECKSUM);
    ends_with_checksum.then(|| Arc::new(Schema::new(fields)))
}

fn type_in_stream(field: &Field) -> Option<ipc::Type> {
    match field.data_type() {
        DataType::Int32 | DataType::Int64 => Some(ipc::Type::Int),
        DataType::Float64 => Some(ipc::Type::FloatingPoint),
        DataType::Utf8 => Some(ipc::Type::Utf8),
        DataType::Timestamp(_, _) => Some(ipc::Type::Timestamp),
        DataType::List(_) => Some(ipc::Type::List),
        _ => None,
    }
}

/// Decodes a batch after checking everything that Arrow would take for granted.
fn decode(message: Message, schema: &SchemaRef) -> Option<RecordBatch> {
    let head = root_as_message(&message.metadata).ok()?;
    if head.header_type() != MessageHeader::RecordBatch {
        return None;
    }
    let batch = head.header_as_record_batch()?;
    let body_size = i64::try_from(message.body.len()).ok()?;
    // A row takes 8 bytes at least: its checksum.
    let rows_fit = (0..=body_size / 8).contains(&batch.length());
    let buffers_fit = batch.buffers()?.iter().all(|buffer| {
        let end = buffer.offset().checked_add(buffer.length());
        buffer.offset() >= 0 && buffer.length() >= 0 && end.is_some_and(|end| end <= body_size)
    });
    let nodes_fit = batch.nodes()?.iter().all(|node| {
        (0..=body_size).contains(&node.length()) && (0..=node.length()).contains(&node.null_count())
    });
    let fits = rows_fit && buffers_fit && nodes_fit && shape::fits(&batch, schema);
    if !fits || batch.compression().is_some() {
        return None;
    }
    let body = Buffer::from(message.body);
    let none = std::collections::HashMap::new();
    // No input is known that gets past the checks above and still makes Arrow panic; a run's
    // record is worth the belt beside the braces.
    catch_unwind(AssertUnwindSafe(|| {
        read_record_batch(&body, batch, Arc::clone(schema), &none, None, &head.version()).ok()
    }))
    .ok()?
}

/// Brings a batch into the order of `columns`, without checksums; columns that an earlier
/// version did not have are null. `None` if a column is missing that cannot be null.
fn arrange(batch: &RecordBatch, columns: &[Column]) -> Result<Option<RecordBatch>, RecordError> {
    let schema = part_schema(columns);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for field in schema.fields() {
        match batch.column_by_name(field.name()) {
            Some(array) => arrays.push(Arc::clone(array)),
            None if field.is_nullable() => {
                arrays.push(new_null_array(field.data_type(), batch.num_rows()));
            }
            None => return Ok(None),
        }
    }
    Ok(RecordBatch::try_new(schema, arrays).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_row;
    use crate::rows::RowBuilder;
    use crate::schema::Table;
    use crate::specimen::{event, finished, joined, started};
    use arrow::compute::concat_batches;
    use arrow::ipc::writer::StreamWriter;

    /// A journal of five events in three batches, and the byte at which each batch ends.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let mut rows = RowBuilder::new(Table::Events.columns());
        let mut stream = StreamWriter::try_new(Vec::new(), rows.schema()).unwrap();
        let mut ends = vec![stream.get_ref().len()];
        let bodies = [vec![joined()], vec![started(0), started(1)], vec![finished(0), finished(1)]];
        let mut seq = 0;
        for batch in bodies {
            for body in batch {
                rows.push(|take| event_row::cells(&event(seq, body), take));
                seq += 1;
            }
            stream.write(&rows.take().unwrap()).unwrap();
            ends.push(stream.get_ref().len());
        }
        (stream.get_ref().clone(), ends)
    }

    /// The rows that a reader gets, and whether it met damage.
    fn read_back(bytes: &[u8]) -> (RecordBatch, bool) {
        let columns = Table::Events.columns();
        let mut batches = Vec::new();
        let damage = read_bytes(bytes, columns, &mut |batch| {
            batches.push(batch.clone());
            Ok(())
        });
        let rows = concat_batches(&part_schema(columns), &batches).unwrap();
        (rows, damage.unwrap().is_some())
    }

    fn assert_true_rows(rows: &RecordBatch, whole: &RecordBatch, what: &str) {
        assert!(*rows == whole.slice(0, rows.num_rows()), "{what}");
    }

    /// Found by the fuzz target `journal`: columns of text whose offsets are fewer than their rows, or end
    /// within a number, which made Arrow panic.
    #[test]
    fn buffers_that_are_too_short_are_noticed_before_arrow_sees_them() {
        assert_some_batch_is_refused(include_bytes!("../../tests/fixtures/short-offsets.arrows"));
        assert_some_batch_is_refused(include_bytes!("../../tests/fixtures/cut-offsets.arrows"));
    }

    fn assert_some_batch_is_refused(bytes: &[u8]) {
        let mut reader = Reader { input: bytes, position: 0, length: bytes.len() as u64 };
        let mut messages = std::iter::from_fn(|| match reader.next().unwrap() {
            Next::Message(message) => Some(message),
            Next::End | Next::Damaged(_) => None,
        });
        let head = messages.next().unwrap();
        let tables = [Table::Events, Table::Samples];
        let schema = tables.iter().find_map(|table| schema_of(&head, table.columns())).unwrap();
        let fits = |message: &Message| {
            let head = root_as_message(&message.metadata).unwrap();
            head.header_as_record_batch().is_some_and(|batch| shape::fits(&batch, &schema))
        };
        assert!(messages.any(|message| !fits(&message)));
    }

    #[test]
    fn a_whole_journal_is_read_whole() {
        let (bytes, _) = journal();
        let (rows, damaged) = read_back(&bytes);
        assert_eq!((rows.num_rows(), damaged), (5, false));
    }

    #[test]
    fn a_journal_cut_anywhere_gives_the_batches_before() {
        let (bytes, ends) = journal();
        let whole = read_back(&bytes).0;
        let rows_at = [0, 1, 3, 5];
        for cut in 0..bytes.len() {
            let (rows, damaged) = read_back(&bytes[..cut]);
            let batches = ends.iter().filter(|end| **end <= cut).count();
            let expected = rows_at[batches.saturating_sub(1)];
            assert_eq!(rows.num_rows(), expected, "cut at {cut}");
            assert_true_rows(&rows, &whole, &format!("cut at {cut}"));
            assert_eq!(damaged, cut != 0 && !ends.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn zeros_anywhere_give_only_true_rows() {
        let (bytes, _) = journal();
        let whole = read_back(&bytes).0;
        for length in [1, 8, 64, 512, bytes.len()] {
            for from in (0..bytes.len()).step_by(length.min(61)) {
                let mut damaged = bytes.clone();
                let to = (from + length).min(bytes.len());
                damaged[from..to].fill(0);
                let rows = read_back(&damaged).0;
                assert_true_rows(&rows, &whole, &format!("zeros at {from}..{to}"));
            }
        }
    }

    #[test]
    fn other_bytes_anywhere_give_only_true_rows() {
        let (bytes, _) = journal();
        let whole = read_back(&bytes).0;
        let mut random = 12345_u32;
        for from in 0..bytes.len() {
            let mut damaged = bytes.clone();
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            damaged[from] ^= random.to_le_bytes()[3] | 1;
            let rows = read_back(&damaged).0;
            assert_true_rows(&rows, &whole, &format!("changed at {from}"));
        }
    }
}
