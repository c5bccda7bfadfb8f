//! Tasks of a sweep, one after the other: of each task as typed, those of all points.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::expansion::{Expansion, unknown_in_id};
use super::ids::IdRule;
use super::points::Cursor;
use super::template::{CommandTemplate, Suspect};
use super::texts::Texts;
use super::value::ParamValue;
use crate::config::scalar::check_command;
use crate::error::{Fault, InputError, Place};
use crate::task::{Task, command_hash, parameter_variable};
use crate::task_list::TaskSource;

/// Tasks that are handed out at once.
const BATCH_TASKS: usize = 128;
const BATCH_BYTES: usize = 256 << 10;

/// Words that a warning is given of, at most.
const MAX_WARNINGS: usize = 20;

/// The tasks of a sweep.
pub(crate) struct Expanded {
    expansion: Expansion,
    /// Tasks as typed.
    typed: Box<TaskSource>,
    waiting: VecDeque<Task>,
    current: Option<Current>,
    /// Met after good tasks, which went first.
    error: Option<InputError>,
    next_index: i64,
    told: HashSet<String>,
    warnings: Vec<String>,
}

/// A task as typed, on its way through the points.
struct Current {
    typed: Task,
    place: Place,
    command: CommandTemplate,
    texts: Texts,
    id: IdRule,
    params: Map<String, Value>,
    cursor: Cursor,
}

impl Expanded {
    pub(crate) fn new(expansion: Expansion, typed: TaskSource) -> Self {
        let mut expanded = Self {
            expansion,
            typed: Box::new(typed),
            waiting: VecDeque::new(),
            current: None,
            error: None,
            next_index: 0,
            told: HashSet::new(),
            warnings: Vec::new(),
        };
        let inner = Arc::clone(&expanded.expansion.0);
        let place = Place { file: inner.place.file.clone(), ..Place::default() };
        for (key, suspect) in &inner.suspects {
            expanded.warn(suspect, Some(key), &place, inner.points.names());
        }
        expanded
    }

    /// Where tasks come from before they are multiplied.
    pub(crate) const fn typed(&self) -> &TaskSource {
        &self.typed
    }

    /// Warnings that came up since they were last taken.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// As `TaskReader::next_batch`.
    pub(crate) fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        let mut tasks = Vec::new();
        let mut bytes = 0;
        while tasks.len() < BATCH_TASKS && bytes < BATCH_BYTES {
            // What was typed is waited for only where there is nothing else to hand out.
            match self.next_task(tasks.is_empty()) {
                Some(Ok(task)) => {
                    bytes += task.command.len();
                    tasks.push(task);
                }
                Some(Err(error)) if tasks.is_empty() => return Some(Err(error)),
                Some(Err(error)) => {
                    self.error = Some(error);
                    break;
                }
                None => break,
            }
        }
        (!tasks.is_empty()).then_some(Ok(tasks))
    }

    /// The next task; `None` at the end, and where `waits` is false also where nothing more has
    /// been read.
    pub(super) fn next_task(&mut self, waits: bool) -> Option<Result<Task, InputError>> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(current) = &mut self.current {
                match current.cursor.next_point() {
                    Some(Ok(())) => {
                        let task = current.task(&self.expansion, self.next_index);
                        self.next_index += 1;
                        return Some(task);
                    }
                    Some(Err(error)) => {
                        self.current = None;
                        return Some(Err(error));
                    }
                    None => self.current = None,
                }
            }
            if let Some(typed) = self.waiting.pop_front() {
                match self.begin(typed) {
                    Ok(current) => self.current = Some(current),
                    Err(error) => return Some(Err(error)),
                }
            } else if waits {
                match self.typed.next_batch()? {
                    Ok(tasks) => self.waiting = tasks.into(),
                    Err(error) => return Some(Err(error)),
                }
            } else {
                return None;
            }
        }
    }

    /// The values of the parameters of the task that was handed out last.
    pub(super) fn values(&self) -> &[ParamValue] {
        self.current.as_ref().map_or(&[], |current| current.cursor.values())
    }

    fn begin(&mut self, typed: Task) -> Result<Current, InputError> {
        let inner = Arc::clone(&self.expansion.0);
        let names = inner.points.names();
        let place = self.place_of(&typed);
        let mut suspects = Vec::new();
        let tell = |suspect| suspects.push((None, suspect));
        let command = CommandTemplate::new(&typed.command, names, inner.dialect, &inner.submit_dir, tell);
        let tell = |key, suspect| suspects.push((Some(key), suspect));
        let texts = Texts::of_task(&typed, &inner.texts, names, tell);
        let at = |fault| InputError::At { place: place.clone(), fault };
        let id = match (typed.id_is_given, &inner.id) {
            (true, _) => IdRule::of_task(&typed.id, names).map_err(|word| at(unknown_in_id(&word, names)))?,
            (false, Some(rule)) => rule.clone(),
            (false, None) if self.typed.is_single_command() => IdRule::of_values(),
            (false, None) => IdRule::of_line(&typed.command),
        };
        let params: Map<String, Value> = match typed.params_json.as_deref().map(serde_json::from_str) {
            Some(Ok(params)) => params,
            _ => Map::new(),
        };
        if let Some((name, _)) =
            params.iter().find(|(name, _)| names.iter().any(|other| other.eq_ignore_ascii_case(name)))
        {
            return Err(at(Fault::Syntax(format!(
                "the parameter `{name}` is among `params` of the task and in the sweep; give it once"
            ))));
        }
        for (key, suspect) in suspects {
            let mut place = place.clone();
            if key.is_none() && typed.column > 0 {
                place.column = u64::from(typed.column) + suspect.offset as u64;
            }
            self.warn(&suspect, key, &place, names);
        }
        let cursor = Cursor::new(Arc::clone(&inner.points));
        Ok(Current { typed, place, command, texts, id, params, cursor })
    }

    fn place_of(&self, typed: &Task) -> Place {
        let id = if typed.id_is_given { typed.id.clone() } else { typed.index.to_string() };
        self.typed.place_of(&id, typed.line)
    }

    /// Tells once of a word in the command, or in the text of this key.
    fn warn(&mut self, suspect: &Suspect, key: Option<&str>, place: &Place, names: &[String]) {
        if self.told.len() >= MAX_WARNINGS || !self.told.insert(suspect.word.clone()) {
            return;
        }
        let word = &suspect.word;
        if suspect.is_of_the_shell {
            let what = match key {
                None => "is left to the shell".to_owned(),
                Some(key) => format!("in `{key}` stays as it is"),
            };
            let warning = format!("{place}: `${{{word}}}` {what}; the parameter is written `{{{word}}}`");
            self.warnings.push(warning);
            return;
        }
        let of_key = key.map(|key| format!(" in `{key}`")).unwrap_or_default();
        let similarity = |name: &&String| strsim::normalized_damerau_levenshtein(name, word);
        let nearest = names.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
        let hint = match nearest.filter(|name| similarity(name) >= 0.5) {
            Some(name) => format!("did you mean `{{{name}}}`? (`{{{{{word}}}}}` is the text itself)"),
            None => format!("write `{{{{{word}}}}}` if that is meant"),
        };
        self.warnings.push(format!(
            "{place}: `{{{word}}}`{of_key} is no parameter of the sweep and stays as it is; {hint}"
        ));
    }
}

impl Current {
    fn task(&self, expansion: &Expansion, index: i64) -> Result<Task, InputError> {
        let (inner, values) = (&expansion.0, self.cursor.values());
        let names = inner.points.names();
        let id = self.id.id(names, inner.points.is_telling(), values);
        let made = self.command.at(names, values, &id, &inner.submit_dir);
        let made = made.and_then(|made| check_command(&made.0).map(|()| made));
        let made = made.and_then(|made| Ok((made, self.texts.expected_outputs(values)?)));
        let ((command, known_by), expected_outputs) = made.map_err(|fault| {
            let fault = Fault::AtPoint { point: inner.points.describe(values), fault: Box::new(fault) };
            InputError::At { place: self.place.clone(), fault }
        })?;
        let mut params = self.params.clone();
        let mut environment = self.texts.environment(values);
        for (name, value) in names.iter().zip(values) {
            params.insert(name.clone(), value.json().clone());
            if value.is_written_otherwise() {
                environment.entry(parameter_variable(name)).or_insert_with(|| value.as_text().to_owned());
            }
        }
        Ok(Task {
            index,
            id,
            command_hash: command_hash(known_by.as_deref().unwrap_or(&command)),
            command,
            environment,
            params_json: Some(Value::Object(params).to_string()),
            retries: self.typed.retries,
            timeout_s: self.typed.timeout_s,
            expected_time_s: self.typed.expected_time_s,
            expected_outputs,
            call: self.typed.call.clone(),
            line: self.typed.line,
            column: self.typed.column,
            typed_command: None,
            id_is_given: true,
        })
    }
}
