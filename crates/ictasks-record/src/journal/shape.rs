//! Whether the buffers of a batch hold whole values, as many as its schema and its number of rows ask
//! for. Arrow takes that for granted, and panics or reads what does not belong there.

use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::{Buffer, FieldNode, RecordBatch};

/// The descriptions of columns in the head of a message, as Arrow lays them out: depth first.
struct Layout<N, B> {
    nodes: N,
    buffers: B,
}

/// Whether a batch has what `schema` needs, each buffer at least as long as its column.
pub(super) fn fits(batch: &RecordBatch<'_>, schema: &Schema) -> bool {
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else { return false };
    let mut layout = Layout { nodes: nodes.iter(), buffers: buffers.iter() };
    schema.fields().iter().all(|field| layout.takes(field, Some(batch.length())).is_some())
}

impl<'a, N, B> Layout<N, B>
where
    N: Iterator<Item = &'a FieldNode>,
    B: Iterator<Item = &'a Buffer>,
{
    /// Takes what belongs to one field, which has `rows` rows if that is given.
    fn takes(&mut self, field: &Field, rows: Option<i64>) -> Option<()> {
        let node = self.nodes.next()?;
        let length = node.length();
        (length >= 0 && rows.is_none_or(|rows| rows == length)).then_some(())?;
        let validity = self.buffers.next()?;
        (node.null_count() == 0 || validity.length() >= length.checked_add(7)? / 8).then_some(())?;
        match field.data_type() {
            DataType::Int32 => self.buffer(4, length),
            DataType::Int64 | DataType::Float64 | DataType::Timestamp(_, _) => self.buffer(8, length),
            DataType::Utf8 => {
                self.buffer(4, length.checked_add(1)?)?;
                self.buffers.next().map(drop)
            }
            DataType::List(item) => {
                self.buffer(4, length.checked_add(1)?)?;
                self.takes(item, None)
            }
            _ => None,
        }
    }

    /// Takes a buffer of whole values of `width` bytes, `count` of them at least.
    fn buffer(&mut self, width: i64, count: i64) -> Option<()> {
        let length = self.buffers.next()?.length();
        (length % width == 0 && length >= count.checked_mul(width)?).then_some(())
    }
}
