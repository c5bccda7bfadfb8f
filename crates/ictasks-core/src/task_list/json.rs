//! One JSON task: a line of a list in JSON lines.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize as DeriveDeserialize;

use crate::config::keys::deserialize_with_keys;
use crate::config::scalar;
use crate::config::yaml::in_our_words;
use crate::error::Fault;

/// A task as typed, with the keys of [`crate::config::TaskItem`].
#[derive(Debug, DeriveDeserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(super) struct JsonTask {
    #[serde(default, deserialize_with = "scalar::id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "scalar::command")]
    pub(super) launch_cmd: String,
    #[serde(default, deserialize_with = "scalar::json_environment")]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "scalar::params")]
    pub(super) params: serde_json::Map<String, serde_json::Value>,
    #[serde(default, deserialize_with = "scalar::count")]
    pub(super) retries: Option<i32>,
    #[serde(default, rename = "timeout", deserialize_with = "scalar::seconds")]
    pub(super) timeout_s: Option<f64>,
    #[serde(default, rename = "expected_time", deserialize_with = "scalar::seconds")]
    pub(super) expected_time_s: Option<f64>,
    #[serde(default, deserialize_with = "scalar::optional_paths")]
    pub(super) expected_outputs: Option<Vec<String>>,
    #[serde(default, deserialize_with = "scalar::call")]
    pub(super) call: Option<PathBuf>,
}

deserialize_with_keys!(JsonTask);

impl JsonTask {
    /// Reads one line; an error comes with its column.
    pub(super) fn of(line: &str) -> Result<Self, (u64, Fault)> {
        serde_json::from_str(line).map_err(|error| {
            let column = error.column();
            let full = error.to_string();
            let message = full.replacen(&format!(" at line 1 column {column}"), "", 1);
            let message = if error.is_data() {
                in_our_words(&message)
            } else {
                format!("no JSON ({message}); give one `{{\"launch_cmd\": \"…\"}}` a line")
            };
            (column as u64, Fault::Syntax(message))
        })
    }
}
