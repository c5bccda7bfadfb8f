//! By what attempts are grouped.

use ictasks_core::command::kind::{program, template};
use polars::prelude::*;

use super::attempts::Attempts;
use super::batches;
use super::interned::Interned;
use crate::error::ReportError;

/// Templates up to this number say more than programs.
const TEMPLATES: usize = 12;
/// Groups of a column; what comes after them is one group.
const VALUES: usize = 100_000;

/// What `--group-by` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// The command's template where there are at most 12 (commands differ only in numbers), else its program.
    #[default]
    Automatic,
    /// A column of attempts.
    Column(String),
}

/// Gathers the groups.
pub(super) enum Grouping {
    Column { name: String, numbers: Vec<u32>, names: Interned },
    Command(Commands),
}

/// Groups by command: by template as long as there are few, else by program.
#[derive(Default)]
pub(super) struct Commands {
    names: Interned,
    number_of: Vec<u32>,
    /// The program of the first command of each template.
    program_of: Vec<String>,
    too_many: bool,
    buffer: String,
}

impl Grouping {
    pub(super) fn new(by: &GroupBy) -> Self {
        match by {
            GroupBy::Automatic => Self::Command(Commands::default()),
            GroupBy::Column(name) => {
                Self::Column { name: name.clone(), numbers: Vec::new(), names: Interned::default() }
            }
        }
    }

    /// The column to read.
    pub(super) fn column(&self, known: &[String]) -> Result<Option<Expr>, ReportError> {
        let name = match self {
            Self::Column { name, .. } => name.as_str(),
            Self::Command(_) => "command",
        };
        if !known.iter().any(|column| column == name) {
            return Err(ReportError::NoColumn { name: name.to_owned(), known: known.to_vec() });
        }
        Ok(Some(col(name).alias(GROUP)))
    }

    pub(super) fn take(&mut self, batch: &DataFrame) -> Result<(), ReportError> {
        match self {
            Self::Column { numbers, names, .. } => {
                let column = batch.column(GROUP)?;
                if matches!(column.dtype(), DataType::List(_)) {
                    for row in 0..column.len() {
                        numbers.push(names.number(&format!("{}", column.get(row)?)));
                    }
                } else {
                    let of_batch = batches::texts(batch, GROUP)?;
                    numbers.extend(of_batch.iter().map(|text| match text {
                        Some(text) if names.len() < VALUES => names.number(text),
                        Some(_) => names.number("(other values)"),
                        None => names.number("(none)"),
                    }));
                }
            }
            Self::Command(commands) => {
                let texts = batches::texts(batch, GROUP)?;
                texts.iter().for_each(|command| commands.take(command.unwrap_or_default()));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, attempts: &mut Attempts) {
        let (name, numbers, names) = match self {
            Self::Column { name, numbers, names } => (name, numbers, names),
            Self::Command(commands) => {
                let by = if commands.too_many { "program" } else { "template" };
                (by.to_owned(), commands.number_of, commands.names)
            }
        };
        attempts.grouped_by = name;
        attempts.group = numbers;
        attempts.groups = (0..names.len())
            .map(|number| names.text(u32::try_from(number).unwrap_or(0)).to_owned())
            .collect();
    }
}

/// Name of the column that is read.
const GROUP: &str = "group_value";

impl Commands {
    fn take(&mut self, command: &str) {
        if self.too_many {
            self.number_of.push(self.names.number(program(command)));
            return;
        }
        template(command, &mut self.buffer);
        let number = self.names.number(&self.buffer);
        self.number_of.push(number);
        if number as usize == self.program_of.len() {
            self.program_of.push(program(command).to_owned());
        }
        if self.names.len() > TEMPLATES {
            self.go_on_with_programs();
        }
    }

    /// What was seen so far is named by the program of the first command of its template.
    fn go_on_with_programs(&mut self) {
        self.too_many = true;
        self.names = Interned::default();
        let number_of: Vec<u32> = self.program_of.iter().map(|program| self.names.number(program)).collect();
        for number in &mut self.number_of {
            *number = number_of[*number as usize];
        }
    }
}
