//! What a task has beside its command with places for parameters: its variables, and the files that it must
//! make. No shell reads these, so nothing is quoted.

use std::collections::BTreeMap;

use super::template::{Piece, Suspect, pieces};
use super::value::ParamValue;
use crate::config::Config;
use crate::config::scalar::check_path;
use crate::error::Fault;
use crate::task::Task;

/// The keys, for messages.
const ENVIRONMENT: &str = "environment";
const EXPECTED_OUTPUTS: &str = "expected_outputs";

/// Variables and expected outputs, of a task or of all tasks.
#[derive(Debug, Default)]
pub(super) struct Texts {
    environment: BTreeMap<String, TextTemplate>,
    expected_outputs: Option<Vec<TextTemplate>>,
}

/// A text with places for parameters.
#[derive(Clone, Debug)]
struct TextTemplate(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value(usize),
}

impl TextTemplate {
    fn new(typed: &str, names: &[String], tell: impl FnMut(Suspect)) -> Self {
        let parts = pieces(typed, names, tell).into_iter().map(|piece| match piece {
            Piece::Text(text) => Part::Text(text.to_owned()),
            Piece::Braced(word) => Part::Text(format!("{{{word}}}")),
            Piece::Value(place) => Part::Value(place),
        });
        Self(parts.collect())
    }

    /// Whether it always is the text that was typed.
    fn is_plain(&self, typed: &str) -> bool {
        match self.0.as_slice() {
            [] => true,
            [Part::Text(text)] => text == typed,
            _ => false,
        }
    }

    fn at(&self, values: &[ParamValue]) -> String {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Value(place) => values[*place].as_text(),
        });
        texts.collect()
    }
}

impl Texts {
    /// What a configuration says for all tasks, as far as it has places; the rest is no task's own business.
    /// `tell` hears of words that are no parameters, and of the key that they stand in.
    pub(super) fn of_all(
        config: &Config,
        names: &[String],
        mut tell: impl FnMut(&'static str, Suspect),
    ) -> Self {
        let mut of_all = Self::default();
        for (variable, typed) in &config.environment {
            let template = TextTemplate::new(typed, names, |suspect| tell(ENVIRONMENT, suspect));
            if !template.is_plain(typed) {
                of_all.environment.insert(variable.clone(), template);
            }
        }
        let files = outputs(&config.expected_outputs, names, tell);
        let is_plain = files.iter().zip(&config.expected_outputs).all(|(file, typed)| file.is_plain(typed));
        of_all.expected_outputs = (!is_plain).then_some(files);
        of_all
    }

    /// What a task says itself, and what it leaves to `of_all`.
    pub(super) fn of_task(
        task: &Task,
        of_all: &Self,
        names: &[String],
        mut tell: impl FnMut(&'static str, Suspect),
    ) -> Self {
        let mut environment = of_all.environment.clone();
        for (variable, typed) in &task.environment {
            let template = TextTemplate::new(typed, names, |suspect| tell(ENVIRONMENT, suspect));
            environment.insert(variable.clone(), template);
        }
        let own = task.expected_outputs.as_deref().map(|files| outputs(files, names, tell));
        Self { environment, expected_outputs: own.or_else(|| of_all.expected_outputs.clone()) }
    }

    /// The variables at a point.
    pub(super) fn environment(&self, values: &[ParamValue]) -> BTreeMap<String, String> {
        self.environment.iter().map(|(variable, template)| (variable.clone(), template.at(values))).collect()
    }

    /// The files at a point; `None` where nothing is said of them for the task alone.
    pub(super) fn expected_outputs(&self, values: &[ParamValue]) -> Result<Option<Vec<String>>, Fault> {
        let Some(files) = &self.expected_outputs else { return Ok(None) };
        let files = files.iter().map(|file| check_path(&file.at(values)));
        let files: Result<Vec<String>, String> = files.collect();
        files.map(Some).map_err(|message| Fault::Syntax(format!("`{EXPECTED_OUTPUTS}`: {message}")))
    }
}

fn outputs(
    typed: &[String],
    names: &[String],
    mut tell: impl FnMut(&'static str, Suspect),
) -> Vec<TextTemplate> {
    let template = |file: &String| TextTemplate::new(file, names, |suspect| tell(EXPECTED_OUTPUTS, suspect));
    typed.iter().map(template).collect()
}
