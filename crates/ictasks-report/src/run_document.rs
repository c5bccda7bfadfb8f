//! run.json as a document of which any part may be missing or of another shape.

use std::fs;

use ictasks_core::layout::{FORMAT_VERSION, RUN_FILE};
use serde_json::Value;

use crate::error::ReportError;
use crate::moment::Moment;
use crate::source::Source;

/// The document; `None` where it is missing or damaged, and `lacks` says so.
///
/// # Errors
/// If it cannot be read, or is of a newer format.
pub(crate) fn read(source: &Source, lacks: &mut Vec<String>) -> Result<Option<Value>, ReportError> {
    let path = source.run_dir.join(RUN_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            lacks.push(format!(
                "`{}` is missing: plan, hosts and times of the starts are not known",
                path.display()
            ));
            return Ok(None);
        }
        Err(source) => return Err(ReportError::File { path, source }),
        Ok(bytes) => bytes,
    };
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let document: Value = match serde_json::from_slice(&bytes[..length]) {
        Ok(document) => document,
        Err(error) => {
            lacks.push(format!(
                "`{}` is damaged ({error}): plan, hosts and times of the starts are not known",
                path.display()
            ));
            return Ok(None);
        }
    };
    let found = document.get("format_version").and_then(Value::as_u64).unwrap_or(0);
    if found > u64::from(FORMAT_VERSION) {
        return Err(ReportError::Newer { path, found });
    }
    Ok(Some(document))
}

/// A text; empty if there is none of this name.
pub(crate) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An integer.
pub(crate) fn integer(value: &Value, key: &str) -> Option<i64> {
    value.get(key).and_then(Value::as_i64)
}

/// An instant.
pub(crate) fn moment(value: &Value, key: &str) -> Option<Moment> {
    value.get(key).and_then(Value::as_str).and_then(Moment::parse)
}
