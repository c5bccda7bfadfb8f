//! `result.json`: what a task has to say about itself, one column for each scalar.

use serde_json::{Map, Value};

use super::directory::TaskDirectory;

/// Larger files are not read.
const LIMIT_BYTES: usize = 16 * 1024;

/// The scalars of the `result.json` that this attempt wrote, as JSON text; `None` if there are none.
///
/// # Errors
/// Why the file does not count, as the end of a sentence about such files.
pub fn read(directory: &TaskDirectory) -> Result<Option<String>, &'static str> {
    match directory.results(LIMIT_BYTES + 1) {
        None => Ok(None),
        Some(document) if document.len() > LIMIT_BYTES => Err("are larger than 16 KiB"),
        Some(document) => scalars_of(&document),
    }
}

fn scalars_of(document: &[u8]) -> Result<Option<String>, &'static str> {
    let parsed = serde_json::from_slice(document).or_else(|_| serde_json::from_slice(&finite(document)));
    let Ok(Value::Object(members)) = parsed else { return Err("hold no JSON object") };
    let scalars: Map<String, Value> = members
        .into_iter()
        .filter(|(name, value)| {
            is_column_name(name) && (value.is_boolean() || value.is_number() || value.is_string())
        })
        .collect();
    Ok((!scalars.is_empty()).then(|| Value::Object(scalars).to_string()))
}

/// The document with null for the numbers that JSON has no words for. Python writes them nevertheless, as
/// `NaN`, `Infinity` and `-Infinity`, and one of them is not to cost the others.
fn finite(document: &[u8]) -> Vec<u8> {
    let mut finite = Vec::with_capacity(document.len());
    let mut rest = document;
    let mut is_in_text = false;
    while let Some(&byte) = rest.first() {
        let word =
            ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word.as_bytes()));
        let length = match word {
            Some(word) if !is_in_text => word.len(),
            // What is escaped belongs to the text.
            _ if is_in_text && byte == b'\\' => rest.len().min(2),
            _ => 1,
        };
        let (piece, behind) = rest.split_at(length);
        finite.extend_from_slice(if word.is_some() && !is_in_text { b"null" } else { piece });
        is_in_text ^= byte == b'"';
        rest = behind;
    }
    finite
}

fn is_column_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_kept_and_what_is_not_finite_costs_no_other() {
        let scalars = |document: &str| scalars_of(document.as_bytes());
        let kept = |document: &str| scalars(document).unwrap();
        assert_eq!(kept(r#"{"a":1,"b":[1],"c d":2,"e":"NaN \"NaN"}"#).unwrap(), r#"{"a":1,"e":"NaN \"NaN"}"#);
        let odd = r#"{"loss": NaN, "low": -Infinity, "high":Infinity, "text": "a \\\" NaN, Infinity", "steps": 10}"#;
        assert_eq!(kept(odd).unwrap(), r#"{"text":"a \\\" NaN, Infinity","steps":10}"#);
        assert_eq!(kept("{\"a\": NaN}"), None);
        for no_object in ["", "NaN", "[NaN]", "{\"a\": NaN", "\"\\", "{\"a\": Nan}"] {
            assert!(scalars(no_object).is_err(), "{no_object}");
        }
    }
}
