//! Streams the rows of a query, and reads columns of a batch as plain values.

use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;

use polars::prelude::*;

use super::interned::Interned;
use crate::error::ReportError;

/// Rows of a batch: enough to be fast, few enough to be small.
const BATCH_ROWS: usize = 65_536;

/// Batches that may wait while one is taken.
const WAITING: usize = 4;

/// Rows of a part, see [`for_each_in_parts`].
const PART_ROWS: u32 = 4 * 65_536;

/// What is done with a batch.
type Take<'a> = &'a mut dyn FnMut(&DataFrame) -> Result<(), ReportError>;

/// Gives the rows of a query to `take`, batch by batch, in order.
///
/// # Errors
/// Those of the query and of `take`.
pub(crate) fn for_each(query: LazyFrame, take: Take<'_>) -> Result<(), ReportError> {
    for_each_of(std::iter::once(query), take)
}

/// As [`for_each`], for a query that has `rows` rows in the order of its file. polars decodes all that it has read
/// ahead before it hands out the first rows, so that small files would first be decoded and then taken: part by
/// part, one is decoded while the one before is taken.
///
/// # Errors
/// As for [`for_each`].
pub(crate) fn for_each_in_parts(query: LazyFrame, rows: usize, take: Take<'_>) -> Result<(), ReportError> {
    let parts = (0..rows).step_by(PART_ROWS as usize);
    let part = |from: usize| query.clone().slice(i64::try_from(from).unwrap_or(i64::MAX), PART_ROWS);
    for_each_of(parts.map(part), take)
}

fn for_each_of(queries: impl Iterator<Item = LazyFrame> + Send, take: Take<'_>) -> Result<(), ReportError> {
    let (sender, receiver) = sync_channel(WAITING);
    let run = move || -> Result<(), PolarsError> {
        for query in queries {
            let sender = sender.clone();
            // True ends the query: nobody takes any more.
            let callback = PlanCallback::new(move |batch: DataFrame| Ok(sender.send(batch).is_err()));
            let query = query.sink_batches(callback, true, NonZeroUsize::new(BATCH_ROWS))?;
            query.collect_with_engine(Engine::Streaming)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(run);
        let taken = receiver.iter().try_for_each(|batch| take(&batch));
        drop(receiver);
        match running.join() {
            Ok(ended) => taken.and_then(|()| Ok(ended?)),
            Err(_) => Err(ReportError::Compute(polars_err!(ComputeError: "a query was given up"))),
        }
    })
}

/// The numbers of a column, with `missing` for null.
pub(crate) fn floats(batch: &DataFrame, name: &str, missing: f64) -> Result<Vec<f64>, ReportError> {
    let column = batch.column(name)?.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().map(|value| value.unwrap_or(missing)).collect())
}

/// The integers (or timestamps, in microseconds) of a column, with `missing` for null.
pub(crate) fn integers(batch: &DataFrame, name: &str, missing: i64) -> Result<Vec<i64>, ReportError> {
    let column = batch.column(name)?.cast(&DataType::Int64)?;
    Ok(column.i64()?.iter().map(|value| value.unwrap_or(missing)).collect())
}

/// The text of a column, also of one of categories or numbers.
pub(crate) fn texts(batch: &DataFrame, name: &str) -> Result<StringChunked, ReportError> {
    let column = batch.column(name)?.cast(&DataType::String)?;
    Ok(column.str()?.clone())
}

/// In the result of [`categories`]: null.
pub(crate) const NO_TEXT: u32 = u32::MAX;

/// The text of a column as numbers of `names`. Of a column of categories each is looked up once.
pub(crate) fn categories(
    batch: &DataFrame,
    name: &str,
    names: &mut Interned,
) -> Result<Vec<u32>, ReportError> {
    let column = batch.column(name)?;
    if let Ok(column) = column.cat32() {
        let mapping = column.get_mapping();
        let mut number_of: Vec<Option<u32>> = vec![None; mapping.num_cats_upper_bound()];
        let number = |category: Option<u32>| {
            let Some(category) = category else { return NO_TEXT };
            let Some(known) = number_of.get_mut(category as usize) else { return NO_TEXT };
            *known.get_or_insert_with(|| names.number(mapping.cat_to_str(category).unwrap_or_default()))
        };
        return Ok(column.physical().iter().map(number).collect());
    }
    let column = texts(batch, name)?;
    Ok(column.iter().map(|text| text.map_or(NO_TEXT, |text| names.number(text))).collect())
}
