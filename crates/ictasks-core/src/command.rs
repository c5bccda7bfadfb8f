//! What `launch_cmd` means: with or without a shell.
//!
//! [`Launch::of`] runs in a slot for every task, so it is one pass over the bytes. Where there is
//! any doubt about what `sh -c` would do, it chooses the shell: a shell costs a millisecond, a
//! wrong guess costs a wrong result.

pub mod kind;
mod shell_names;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::CommandError;
use shell_names::is_shell_name;

/// How commands are started (`shell:` in the configuration).
///
/// It is written as `auto`, `true`, `false` or a list of words; a string with a program and
/// options is read, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shell {
    /// Without a shell where that makes no difference to what `sh -c` would do, else with `sh`.
    #[default]
    Auto,
    /// Always `sh -c`.
    Always,
    /// Never: the command is split into words.
    Never,
    /// A program with options, to which `-c COMMAND` is appended... see [`Launch::of`].
    Program(Vec<String>),
}

/// How one command is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A program and its arguments; the program is looked up in the task's PATH.
    Direct(Vec<String>),
    /// A shell and its arguments, the command being the last.
    Shell(Vec<String>),
}

impl Launch {
    /// How `command` is started under `shell`.
    ///
    /// # Errors
    /// An empty command; with [`Shell::Never`] also a quote that is not closed.
    pub fn of(command: &str, shell: &Shell) -> Result<Self, CommandError> {
        let command = command.trim_start_matches(SH_BLANKS);
        if command.is_empty() {
            return Err(CommandError::Empty);
        }
        match shell {
            Shell::Auto => {
                Ok(words_that_sh_would_make(command).map_or_else(|| Self::Shell(sh(command)), Self::Direct))
            }
            Shell::Always => Ok(Self::Shell(sh(command))),
            Shell::Never => split_words(command).map(Self::Direct),
            Shell::Program(program) => {
                let mut words = program.clone();
                words.extend(["-c".to_owned(), command.to_owned()]);
                Ok(Self::Shell(words))
            }
        }
    }
}

/// What sh drops around a command; a carriage return, for instance, is part of a word.
const SH_BLANKS: [char; 3] = [' ', '\t', '\n'];

fn sh(command: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()]
}

/// The bytes that stand for themselves in every shell, unquoted, wherever in a word they are.
/// Not among them: `#` (see below), `^` (a pipe in old shells), `!`, braces, non-ASCII blanks.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"_-./,:+@%=]#";
    let mut position = 0;
    while position < others.len() {
        plain[others[position] as usize] = true;
        position += 1;
    }
    plain
};

/// The words of a command that sh would only split and start; `None` where it would, or might,
/// do anything else.
fn words_that_sh_would_make(command: &str) -> Option<Vec<String>> {
    let bytes = command.trim_end_matches(SH_BLANKS).as_bytes();
    let mut words = Vec::with_capacity(8);
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b' ' | b'\t') {
            at += 1;
        } else if bytes[at] == b'#' {
            return None;
        } else {
            let (word, end) = word_that_sh_would_make(command, at, bytes.len())?;
            words.push(word);
            at = end;
        }
    }
    starts_a_program(&words).then_some(words)
}

/// A command whose program lies in the submit directory, changed so that it is found from any other.
pub fn from_submit_dir(command: &str, program: &str, submit_dir: &str) -> String {
    let relative = program.strip_prefix("./").unwrap_or(program);
    let is_quoted = command.split_once(program).is_some_and(|(before, _)| before.ends_with(['"', '\'']));
    let is_plain = submit_dir.bytes().all(|byte| PLAIN[usize::from(byte)]);
    let found = if is_plain || is_quoted {
        format!("%SUBMITDIR%/{relative}")
    } else if !submit_dir.contains('\'') {
        format!("'%SUBMITDIR%/{relative}'")
    } else {
        format!("'{}'", format!("{submit_dir}/{relative}").replace('\'', r"'\''"))
    };
    command.replacen(program, &found, 1)
}

/// The word that begins at `at`, and where it ends.
fn word_that_sh_would_make(command: &str, mut at: usize, end: usize) -> Option<(String, usize)> {
    let bytes = &command.as_bytes()[..end];
    let mut word = String::new();
    while at < end {
        let begin = at;
        match bytes[at] {
            b' ' | b'\t' => break,
            quote @ (b'\'' | b'"') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    let byte = bytes[at];
                    let expands = quote == b'"' && matches!(byte, b'$' | b'`' | b'\\');
                    if expands || (byte.is_ascii_control() && byte != b'\t') {
                        return None;
                    }
                    at += 1;
                }
                word.push_str(&command[begin + 1..at]);
                at += 1;
            }
            _ => {
                while at < end && PLAIN[bytes[at] as usize] {
                    at += 1;
                }
                if at == begin {
                    return None;
                }
                word.push_str(&command[begin..at]);
            }
        }
    }
    Some((word, at))
}

/// Whether the first word names a program and nothing else to every shell, or a builtin that
/// does the same as the program of its name.
fn starts_a_program(words: &[String]) -> bool {
    let Some((first, arguments)) = words.split_first() else {
        return false;
    };
    match first.as_str() {
        "true" | "false" => arguments.is_empty(),
        "echo" => {
            arguments.first().is_none_or(|word| !word.starts_with('-'))
                && !arguments.iter().any(|word| word.contains('\\'))
        }
        // `-x` would be an option of the shell, `%1` is a job.
        name => {
            !name.is_empty()
                && !name.starts_with(['-', '+', '%'])
                && !name.contains('=')
                && !is_shell_name(name)
        }
    }
}

/// Splits into words as Python's `shlex.split` does: quotes and backslashes, nothing else.
pub(crate) fn split_words(command: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or(CommandError::UnclosedQuote('\''))? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => split_double_quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => {
                let escaped = characters.next().ok_or(CommandError::TrailingBackslash)?;
                word.get_or_insert_default().push(escaped);
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) {
        return Err(CommandError::Empty);
    }
    Ok(words)
}

/// What stands behind a double quote, up to the closing one.
fn split_double_quoted(characters: &mut std::str::Chars, word: &mut String) -> Result<(), CommandError> {
    const UNCLOSED: CommandError = CommandError::UnclosedQuote('"');
    loop {
        match characters.next().ok_or(UNCLOSED)? {
            '"' => return Ok(()),
            '\\' => match characters.next().ok_or(UNCLOSED)? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            inner => word.push(inner),
        }
    }
}

impl Serialize for Shell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
            Self::Program(words) => words.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Shell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShellVisitor)
    }
}

/// What people and YAML 1.1 write for `true` and `false`.
const WORDS_FOR_TRUTH: [&str; 9] = ["auto", "true", "false", "yes", "no", "on", "off", "y", "n"];

struct ShellVisitor;

impl<'de> Visitor<'de> for ShellVisitor {
    type Value = Shell;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("`auto`, `true`, `false` or a program with options")
    }

    fn visit_bool<E: Error>(self, always: bool) -> Result<Shell, E> {
        Ok(if always { Shell::Always } else { Shell::Never })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Shell, E> {
        match text {
            "auto" => Ok(Shell::Auto),
            "true" => Ok(Shell::Always),
            "false" => Ok(Shell::Never),
            word if WORDS_FOR_TRUTH.contains(&&*word.trim().to_lowercase()) => {
                Err(E::custom(format!("`{word}` is no program; give `auto`, `true` or `false`")))
            }
            program => split_words(program).map(Shell::Program).map_err(E::custom),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shell, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = sequence.next_element::<String>()? {
            words.push(word);
        }
        if words.first().is_none_or(String::is_empty) {
            return Err(A::Error::custom("the list of words is empty; give a program"));
        }
        Ok(Shell::Program(words))
    }
}

impl schemars::JsonSchema for Shell {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Shell".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`auto` (the default): without a shell where that makes no difference, \
                else `sh -c`; `true`: always `sh -c`; `false`: the command is split into words; \
                a program with options, for instance `/bin/bash -o pipefail`, gets `-c COMMAND`.",
            "default": "auto",
            "type": ["string", "boolean", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": {"type": ["string", "number", "boolean"]},
        })
    }
}

#[cfg(test)]
mod tests;
