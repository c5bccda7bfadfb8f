//! A command or an id with places for parameters: `sim --x {x}`.
//!
//! - `{name}` of a declared parameter is replaced;
//! - `{{name}}` is the text `{name}`, and `{{{name}}}` is the value in braces;
//! - `${name}` is the shell's;
//! - all else stays as it is.

use super::quoting::{Dialect, Scanner, Slot};
use super::value::ParamValue;
use crate::config::scalar::check_parameter_name;
use crate::error::Fault;
use crate::task::parameter_variable;

/// A command with places for parameters.
#[derive(Debug)]
pub(super) struct CommandTemplate {
    parts: Vec<Part>,
    /// Whether the id or the submit directory is written into the command.
    has_placeholders: bool,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Value(usize, Slot),
    /// `%TASKID%` or `%TASKNUM%`, as typed.
    TaskId(&'static str),
    SubmitDir,
}

/// A piece of a text with places.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// What stays.
    Text(&'a str),
    /// `{{name}}`, to be written as `{name}`.
    Braced(&'a str),
    /// `{name}` of the parameter at this position.
    Value(usize),
}

/// A `{word}` that is no parameter, though it might have been meant as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    /// The word.
    pub(super) word: String,
    /// Whether a dollar sign before a declared name makes it the shell's.
    pub(super) is_of_the_shell: bool,
    /// Characters of the text before its brace or dollar sign.
    pub(super) offset: usize,
}

/// Splits a text at its places; `tell` hears of the words that are none.
pub(super) fn pieces<'a>(text: &'a str, names: &[String], mut tell: impl FnMut(Suspect)) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find('{') {
        at += found;
        let depth = text[at..].bytes().take_while(|byte| *byte == b'{').take(3).count();
        let Some(word) = word_in_braces(&text[at..], depth) else {
            at += 1;
            continue;
        };
        let end = at + word.len() + 2 * depth;
        let place = names.iter().position(|name| name == word);
        let is_of_the_shell = depth == 1 && text[..at].ends_with('$');
        let piece = match (depth, place) {
            _ if is_of_the_shell => None,
            (2, _) => Some(Piece::Braced(word)),
            (1 | 3, Some(place)) => Some(Piece::Value(place)),
            _ => None,
        };
        if let Some(piece) = piece {
            let braces = usize::from(depth == 3);
            pieces.push(Piece::Text(&text[from..at + braces]));
            pieces.push(piece);
            from = end - braces;
        } else if is_of_the_shell == place.is_some() {
            let offset = text[..at].chars().count() - usize::from(is_of_the_shell);
            tell(Suspect { word: word.to_owned(), is_of_the_shell, offset });
        }
        at = end;
    }
    pieces.push(Piece::Text(&text[from..]));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// The name that stands in so many braces at the beginning of a text.
fn word_in_braces(text: &str, depth: usize) -> Option<&str> {
    let inside = &text[depth..];
    let word = &inside[..inside.find('}')?];
    let closes = inside[word.len()..].bytes().take_while(|byte| *byte == b'}').count() >= depth;
    (closes && check_parameter_name(word).is_ok()).then_some(word)
}

impl CommandTemplate {
    /// Reads a command as typed.
    pub(super) fn new(
        typed: &str,
        names: &[String],
        dialect: Dialect,
        submit_dir: &str,
        tell: impl FnMut(Suspect),
    ) -> Self {
        let pieces = pieces(typed, names, tell);
        let mut scanner = Scanner::new(dialect);
        let mut parts = Vec::new();
        for (position, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Value(place) => {
                    let next = match pieces.get(position + 1) {
                        Some(Piece::Text(text)) => text,
                        _ => "",
                    };
                    parts.push(Part::Value(*place, scanner.slot(next)));
                }
                Piece::Braced(word) => {
                    let text = format!("{{{word}}}");
                    scanner.pass(&text);
                    parts.push(Part::Text(text));
                }
                Piece::Text(text) => {
                    for part in text_parts(text) {
                        match &part {
                            Part::Text(text) => scanner.pass(text),
                            Part::SubmitDir => scanner.pass(submit_dir),
                            // Its letters mean nothing to a shell.
                            Part::TaskId(_) | Part::Value(..) => scanner.pass("id"),
                        }
                        parts.push(part);
                    }
                }
            }
        }
        let has_placeholders = parts.iter().any(|part| matches!(part, Part::TaskId(_) | Part::SubmitDir));
        Self { parts, has_placeholders }
    }

    /// The command at a point, and what it is known by: the same without what depends on where
    /// the run takes place.
    pub(super) fn at(
        &self,
        names: &[String],
        values: &[ParamValue],
        id: &str,
        submit_dir: &str,
    ) -> Result<(String, Option<String>), Fault> {
        let command = self.written(names, values, |value| value.as_text(), Some((id, submit_dir)))?;
        let is_portable = values.iter().all(|value| value.as_text() == value.as_portable_text());
        if is_portable && !self.has_placeholders {
            return Ok((command, None));
        }
        let known_by = self.written(names, values, |value| value.as_portable_text(), None)?;
        Ok((command, Some(known_by)))
    }

    fn written<'v>(
        &self,
        names: &[String],
        values: &'v [ParamValue],
        text_of: impl Fn(&'v ParamValue) -> &'v str,
        filled: Option<(&str, &str)>,
    ) -> Result<String, Fault> {
        let mut command = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => command.push_str(text),
                Part::TaskId(typed) => command.push_str(filled.map_or(*typed, |(id, _)| id)),
                Part::SubmitDir => command.push_str(filled.map_or(SUBMIT_DIR, |(_, directory)| directory)),
                Part::Value(place, slot) => {
                    let value = text_of(&values[*place]);
                    if !slot.put(value, &mut command) {
                        return Err(Fault::UnsafeValue {
                            name: names[*place].clone(),
                            value: value.chars().take(80).collect(),
                            variable: parameter_variable(&names[*place]),
                        });
                    }
                }
            }
        }
        Ok(command)
    }
}

const SUBMIT_DIR: &str = "%SUBMITDIR%";
const TASK_ID: [&str; 2] = ["%TASKID%", "%TASKNUM%"];

/// Splits a text at what stands for the id and for the submit directory.
fn text_parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find('%') {
        at += found;
        let rest = &text[at..];
        let (part, length) = if rest.starts_with(SUBMIT_DIR) {
            (Part::SubmitDir, SUBMIT_DIR.len())
        } else if let Some(name) = TASK_ID.into_iter().find(|name| rest.starts_with(name)) {
            (Part::TaskId(name), name.len())
        } else {
            at += 1;
            continue;
        };
        if from < at {
            parts.push(Part::Text(text[from..at].to_owned()));
        }
        parts.push(part);
        at += length;
        from = at;
    }
    if from < text.len() {
        parts.push(Part::Text(text[from..].to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests;
