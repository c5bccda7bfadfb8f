//! Task lists, as streams: one command a line, or one JSON task a line.
//!
//! - `lines`: lines of bounded length from anything that can be read;
//! - `reader`: [`TaskReader`], from lines to tasks;
//! - `json`: one JSON task;
//! - `check`: [`validate`], the pass over a regular file before anything runs;
//! - `repeats`: equal ids in bounded memory;
//! - `source`: [`TaskSource`], what the dispatcher takes tasks from.

mod check;
mod json;
mod lines;
mod reader;
mod repeats;
mod shard;
mod source;

use std::path::Path;

pub use check::{ListSummary, validate};
pub use reader::TaskReader;
pub use shard::Shard;
pub use source::TaskSource;

pub(crate) use repeats::{Hashes, RUN_LENGTH};

/// How a task list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskListFormat {
    /// One command a line; blank lines and lines that begin with `#` are skipped.
    Lines,
    /// One JSON task a line, with the keys of a task in the configuration.
    JsonLines,
}

impl TaskListFormat {
    /// By the name: JSON lines for `.jsonl`, else lines.
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            Self::JsonLines
        } else {
            Self::Lines
        }
    }
}
