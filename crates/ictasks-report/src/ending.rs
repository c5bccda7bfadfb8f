//! How an attempt ended, in words.

use crate::codes::{exit_code_in_words, signal_in_words};
use crate::harmless::one_line;
use crate::rows::Row;
use crate::units;

/// What an attempt's row says of its end: `exit code 3`, `killed by SIGSEGV (segmentation fault)`. Its own words
/// are made harmless.
pub(crate) fn words(row: &Row<'_>) -> String {
    let outcome = row.text("outcome").unwrap_or("unknown");
    let code = row.integer("exit_code");
    let signal = row.integer("signal");
    let mut words = match outcome {
        "succeeded" => "succeeded".to_owned(),
        "failed" => code.map_or_else(|| "failed".to_owned(), exit_code_in_words),
        "signaled" => match signal {
            Some(signal) => format!("killed by {}", signal_in_words(signal)),
            None => "killed by a signal".to_owned(),
        },
        "timed_out" => match row.float("timeout_s") {
            Some(limit) => format!("ended at its time limit of {}", units::duration(limit)),
            None => "ended at its time limit".to_owned(),
        },
        "out_of_memory" => "ran out of memory".to_owned(),
        "spawn_failed" => "could not be started".to_owned(),
        "cancelled" => "cancelled".to_owned(),
        "node_lost" => "its node or agent was lost".to_owned(),
        "pending" => "never ran".to_owned(),
        other => one_line(other).into_owned(),
    };
    if let Some(cause) = row.text("cause") {
        let sure = if row.text("cause_evidence") == Some("probable") { "probably " } else { "" };
        words.push_str(&format!(" ({sure}{})", one_line(cause).replace('_', " ")));
    }
    if let Some(error) = row.text("error") {
        words.push_str(": ");
        words.push_str(&one_line(error));
    }
    words
}
