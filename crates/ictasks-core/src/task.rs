//! One task, read and checked.

use std::collections::BTreeMap;

/// A task as the dispatcher takes it from the task source.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Position in the task list, from 0.
    pub index: i64,
    /// The id, as given or the position.
    pub id: String,
    /// The command after placeholders.
    pub command: String,
    /// Hash of the command before placeholders (FNV-1a, 64 bits).
    pub command_hash: i64,
    /// Environment of this task alone.
    pub environment: BTreeMap<String, String>,
    /// Its parameters as a JSON object of scalars, if it has any.
    pub params_json: Option<String>,
}
