//! Rows that are shown, read again with their text.

use std::collections::HashMap;

use ictasks_core::attempt::Outcome;

use crate::error::ReportError;
use crate::failures::last_line::last_informative;
use crate::findings::TaskLine;
use crate::harmless::shortened;
use crate::load::Loaded;
use crate::load::attempts::NO_BYTES;
use crate::moment::Moment;
use crate::rows::{Row, Rows};
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

impl Text {
    fn of(row: &Row<'_>) -> Self {
        let said = |column: &str| {
            row.text(column).map(|text| last_informative(text).into_owned()).filter(|line| !line.is_empty())
        };
        let number = |column: &str| row.integer(column).and_then(|number| i32::try_from(number).ok());
        Self {
            task_id: row.text("task_id").unwrap_or_default().to_owned(),
            command: shortened(row.text("command").unwrap_or_default(), LONGEST).into_owned(),
            message: MESSAGES.into_iter().find_map(said).map(|line| shortened(&line, LONGEST).into_owned()),
            exit_code: number("exit_code"),
            signal: number("signal"),
        }
    }
}

/// The lines of rows that are to be shown.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    texts: HashMap<usize, Text>,
}

/// Columns of a row that is shown; what it said only where it did not succeed: others have left no message.
const COLUMNS: [&str; 4] = ["task_id", "command", "exit_code", "signal"];
const MESSAGES: [&str; 3] = ["error", "stderr_tail", "stdout_tail"];

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
            let first_row = loaded.first_rows[run];
            let (failed, others): (Vec<u32>, Vec<u32>) = places.into_iter().partition(|place| {
                loaded.attempts.outcome[first_row + *place as usize] != Outcome::Succeeded
            });
            lines.read_run(&sources[run], first_row, &failed, &[&COLUMNS[..], &MESSAGES[..]].concat())?;
            lines.read_run(&sources[run], first_row, &others, &COLUMNS)?;
        }
        Ok(lines)
    }

    fn read_run(
        &mut self,
        source: &Source,
        first_row: usize,
        places: &[u32],
        columns: &[&str],
    ) -> Result<(), ReportError> {
        if places.is_empty() {
            return Ok(());
        }
        let mut numbers = places.iter();
        Rows::at(source, Table::Attempts, columns, places)?.each(|row| {
            if let Some(number) = numbers.next() {
                self.texts.insert(first_row + *number as usize, Text::of(row));
            }
            Ok(())
        })
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
