//! The samples of one task.

use super::AttemptSamples;
use crate::error::ReportError;
use crate::moment::Moment;
use crate::rows::Rows;
use crate::source::{Source, Table};

/// Number, session and start of each attempt.
type Starts = [(Option<i64>, Option<i64>, Option<Moment>)];

/// Reads them, by attempt.
pub(super) fn read(source: &Source, id: &str, starts: &Starts) -> Result<Vec<AttemptSamples>, ReportError> {
    let mut found: Vec<AttemptSamples> = Vec::new();
    if !source.has(Table::Samples) {
        return Ok(found);
    }
    Rows::of_task(source, Table::Samples, id)?.each(|row| {
        let (Some(attempt), Some(at)) = (row.integer("attempt"), row.time("at")) else { return Ok(()) };
        let start = starts.iter().find(|(number, _, _)| *number == Some(attempt)).and_then(|start| start.2);
        let place = found.iter().position(|samples| samples.attempt == attempt);
        let place = place.unwrap_or_else(|| {
            found.push(AttemptSamples { attempt, ..AttemptSamples::default() });
            found.len() - 1
        });
        let samples = &mut found[place];
        samples.at_s.push(start.map_or(0.0, |start| at.seconds_since(start)));
        samples.busy_cores.push(row.float("busy_cores"));
        samples.rss_bytes.push(row.integer("rss_bytes"));
        Ok(())
    })?;
    found.sort_by_key(|samples| samples.attempt);
    Ok(found)
}
