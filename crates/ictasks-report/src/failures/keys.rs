//! The key of a failure group, and the column `failure_group` of `--filter`.

use std::collections::HashMap;

use polars::prelude::*;

use super::{Gathered, NO_GROUP};
use crate::error::ReportError;
use crate::load::{Attempts, Loaded};
use crate::source::Source;

/// What attempts of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) outcome: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) template: String,
}

impl Key {
    /// Eight hexadecimal digits that stand for it: the same in every report.
    pub(crate) fn short(&self) -> String {
        let code = |number: Option<i32>| number.map_or_else(String::new, |number| number.to_string());
        let text =
            format!("{}|{}|{}|{}", self.outcome, code(self.exit_code), code(self.signal), self.template);
        format!("{:08x}", crc32fast::hash(text.as_bytes()))
    }
}

/// `tasks` with the column `failure_group`: the key of the group of the last attempt, null where that did
/// not fail.
///
/// # Errors
/// If a table cannot be read.
pub(crate) fn with_failure_groups(source: &Source, tasks: LazyFrame) -> Result<LazyFrame, ReportError> {
    let sources = std::slice::from_ref(source);
    let (attempts, first_rows) = Loaded::attempts_only(sources)?;
    let gathered = Gathered::read(sources, &attempts, &first_rows)?;
    let key_of = keys_of_tasks(&attempts, &gathered);
    let add = move |column: Column| {
        let indices = column.i64()?;
        let keys: StringChunked =
            indices.iter().map(|index| key_of.get(&index?).map(String::as_str)).collect();
        Ok(keys.with_name("failure_group".into()).into_column())
    };
    let column =
        col("task_index").map(add, |_, field| Ok(Field::new(field.name().clone(), DataType::String)));
    Ok(tasks.with_columns([column.alias("failure_group")]))
}

fn keys_of_tasks(attempts: &Attempts, gathered: &Gathered) -> HashMap<i64, String> {
    let keys: Vec<String> = gathered.groups.iter().map(|group| group.key.short()).collect();
    (0..attempts.len())
        .filter(|row| attempts.is_last[*row] && gathered.group_of[*row] != NO_GROUP)
        .filter_map(|row| {
            Some((attempts.task_index[row], keys.get(gathered.group_of[row] as usize)?.clone()))
        })
        .collect()
}
