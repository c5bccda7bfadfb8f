//! Rows that are shown, read again with their text.

use std::collections::HashMap;

use polars::prelude::*;

use crate::error::ReportError;
use crate::failures::last_line::last_informative;
use crate::findings::TaskLine;
use crate::harmless::shortened;
use crate::load::attempts::NO_BYTES;
use crate::load::{Loaded, batches, column_names, column_or_null};
use crate::moment::Moment;
use crate::source::{Source, Table};

/// Longest command or message that is kept, characters.
const LONGEST: usize = 500;

/// What the file tells of a row.
#[derive(Clone, Debug, Default)]
struct Text {
    task_id: String,
    command: String,
    message: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

/// The lines of rows that are to be shown.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    texts: HashMap<usize, Text>,
}

const ROW: &str = "row_of_file";
/// Up to so many rows are read one by one: dearer than all at once, but not all are decoded.
const SINGLY: usize = 64;

impl Lines {
    /// Reads the text of these rows.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub(crate) fn read(sources: &[Source], loaded: &Loaded, rows: &[usize]) -> Result<Self, ReportError> {
        let mut lines = Self::default();
        let mut of_run: Vec<Vec<u32>> = vec![Vec::new(); sources.len()];
        for row in rows {
            let (run, place) = loaded.place_of(*row);
            of_run[run].extend(u32::try_from(place));
        }
        for (run, mut places) in of_run.into_iter().enumerate().filter(|(_, places)| !places.is_empty()) {
            places.sort_unstable();
            places.dedup();
            lines.read_run(&sources[run], loaded.first_rows[run], &places)?;
        }
        Ok(lines)
    }

    fn read_run(&mut self, source: &Source, first_row: usize, places: &[u32]) -> Result<(), ReportError> {
        let known = column_names(source, Table::Attempts)?;
        let column = |name: &str, kind| column_or_null(&known, name, kind);
        let columns = [
            column("task_id", DataType::String),
            column("command", DataType::String),
            column("exit_code", DataType::Int32),
            column("signal", DataType::Int32),
            column("error", DataType::String),
            column("stderr_tail", DataType::String),
            column("stdout_tail", DataType::String),
        ];
        let query = if places.len() <= SINGLY {
            let one = |place: &u32| -> Result<LazyFrame, ReportError> {
                let row = source.scan(Table::Attempts)?.slice(i64::from(*place), 1).select(columns.clone());
                Ok(row.with_columns([lit(*place).alias(ROW)]))
            };
            concat(places.iter().map(one).collect::<Result<Vec<_>, _>>()?, UnionArgs::default())?
        } else {
            let wanted = Series::new("wanted".into(), places);
            let all = source.scan(Table::Attempts)?.with_row_index(ROW, None);
            let columns = [&[col(ROW)], &columns[..]].concat();
            all.select(columns).filter(col(ROW).is_in(lit(wanted).implode(true), false))
        };
        batches::for_each(query, &mut |batch| self.take(batch, first_row))
    }

    fn take(&mut self, batch: &DataFrame, first_row: usize) -> Result<(), ReportError> {
        let rows = batches::integers(batch, ROW, 0)?;
        let ids = batches::texts(batch, "task_id")?;
        let commands = batches::texts(batch, "command")?;
        let exit_codes = batches::integers(batch, "exit_code", i64::MIN)?;
        let signals = batches::integers(batch, "signal", i64::MIN)?;
        let messages = ["error", "stderr_tail", "stdout_tail"].map(|name| batches::texts(batch, name));
        let [errors, stderrs, stdouts] = messages;
        let (errors, stderrs, stdouts) = (errors?, stderrs?, stdouts?);
        for (place, row) in rows.into_iter().enumerate() {
            let said = |column: &StringChunked| {
                column
                    .get(place)
                    .map(|text| last_informative(text).into_owned())
                    .filter(|line| !line.is_empty())
            };
            let message = said(&errors).or_else(|| said(&stderrs)).or_else(|| said(&stdouts));
            let text = Text {
                task_id: ids.get(place).unwrap_or_default().to_owned(),
                command: shortened(commands.get(place).unwrap_or_default(), LONGEST).into_owned(),
                message: message.map(|line| shortened(&line, LONGEST).into_owned()),
                exit_code: i32::try_from(exit_codes[place]).ok(),
                signal: i32::try_from(signals[place]).ok(),
            };
            self.texts.insert(first_row + usize::try_from(row).unwrap_or(0), text);
        }
        Ok(())
    }

    /// The id of the task of a row.
    pub(crate) fn task_id(&self, row: usize) -> Option<&str> {
        self.texts.get(&row).map(|text| text.task_id.as_str())
    }

    /// A row as a line.
    pub(crate) fn line(&self, loaded: &Loaded, row: usize) -> TaskLine {
        let attempts = &loaded.attempts;
        let text = self.texts.get(&row).cloned().unwrap_or_default();
        let ran = attempts.ran(row);
        let efficiency = attempts.cpu_s[row] / attempts.core_s(row);
        let several = loaded.runs.len() > 1;
        TaskLine {
            run: several.then(|| loaded.runs[loaded.place_of(row).0].run_dir.clone()),
            task_id: text.task_id,
            task_index: attempts.task_index[row],
            attempt: attempts.attempt[row],
            outcome: attempts.outcome[row].as_str().to_owned(),
            exit_code: text.exit_code,
            signal: text.signal,
            host: attempts.host_name(row).map(ToOwned::to_owned),
            started_at: ran.then(|| Moment(attempts.started_at[row])),
            wall_s: ran.then(|| attempts.wall_s[row]),
            cpu_efficiency_fraction: (ran && efficiency.is_finite()).then_some(efficiency),
            memory_bytes: Some(attempts.memory_bytes[row]).filter(|bytes| *bytes != NO_BYTES),
            group: attempts.groups.get(attempts.group[row] as usize).cloned().unwrap_or_default(),
            command: text.command,
            message: text.message,
        }
    }
}
