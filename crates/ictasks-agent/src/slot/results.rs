//! `result.json`: what a task has to say about itself, one column for each scalar.

use serde_json::{Map, Value};

use super::directory::TaskDirectory;

/// Larger files are not read.
const LIMIT_BYTES: usize = 16 * 1024;

/// The scalars of the `result.json` that this attempt wrote, as JSON text; `None` if there are none.
pub fn read(directory: &TaskDirectory) -> Option<String> {
    let bytes = directory.results(LIMIT_BYTES)?;
    let Ok(Value::Object(members)) = serde_json::from_slice(&bytes) else { return None };
    let scalars: Map<String, Value> = members
        .into_iter()
        .filter(|(name, value)| {
            is_column_name(name) && (value.is_boolean() || value.is_number() || value.is_string())
        })
        .collect();
    (!scalars.is_empty()).then(|| Value::Object(scalars).to_string())
}

fn is_column_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}
