//! Names of files, lists of names, and words.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::{WrittenText, no_nul, some_text, text};
use crate::command::split_words;

/// File names in a task's directory that are ours.
const RESERVED_NAMES: &[&str] =
    &["task.json", "result.json", "gpu_ids.txt", "result.pickle", "exception.pickle"];

/// The name of a file in the task's directory.
pub(in crate::config) fn file_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    some_text(deserializer, "a file name", |name| {
        let plain = !name.is_empty()
            && name.len() <= 200
            && name != "."
            && name != ".."
            && !name.contains(['/', '\0']);
        if !plain {
            let shown = name.escape_default();
            return Err(format!(
                "`{shown}` is no plain file name; it stands in the task's directory, without `/`"
            ));
        }
        // Earlier attempts keep their files as `*.attempt-N`.
        if RESERVED_NAMES.contains(&name) || name.contains(".attempt-") {
            return Err(format!("the file name `{name}` is in use by ictasks itself; choose another"));
        }
        Ok(name.to_owned())
    })
}

/// The name of a file relative to the task's current directory, or absolute.
pub(in crate::config) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "the name of a file", check_path)
}

/// Checks the name of a file.
pub(crate) fn check_path(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Err("the name of a file is empty; give one".to_owned());
    }
    no_nul("the name of a file", path).map_err(|fault| fault.to_string())?;
    Ok(path.to_owned())
}

/// A list of names of files, or a single one.
pub(in crate::config) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(optional_paths(deserializer)?.unwrap_or_default())
}

/// As [`paths`], for a key that may be left out.
pub(crate) fn optional_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let check = |path: &String| check_path(path).map(|_| ());
    deserializer.deserialize_any(NamesVisitor { check })
}

/// The file of a function call.
pub(crate) fn call<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    some_text(deserializer, "the file of a call", |path| {
        no_nul("the name of the file", path).map_err(|fault| fault.to_string())?;
        if !path.starts_with('/') {
            let shown = path.escape_default();
            return Err(format!("`{shown}` is no absolute path; give the file of the call from `/` on"));
        }
        Ok(PathBuf::from(path))
    })
}

/// A program with its arguments: a text that is split as Python's `shlex.split` does, or a list of words.
pub(in crate::config) fn words<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    deserializer.deserialize_any(WordsVisitor)
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Option<Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a program with its arguments")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Vec<String>>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Vec<String>>, E> {
        no_nul("the text", text).map_err(E::custom)?;
        split_words(text).map(Some).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Option<Vec<String>>, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = next_text(&mut sequence, words.len())? {
            words.push(word);
        }
        if words.first().is_none_or(String::is_empty) {
            return Err(A::Error::custom("the list of words is empty; give a program"));
        }
        Ok(Some(words))
    }
}

/// A list of names, or a single one.
pub(in crate::config) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = deserializer.deserialize_any(NamesVisitor { check: |_| Ok(()) })?;
    Ok(names.unwrap_or_default())
}

/// A list, a single one, or nothing; each is checked where it stands.
struct NamesVisitor {
    check: fn(&String) -> Result<(), String>,
}

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Option<Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Vec<String>>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<Vec<String>>, E> {
        let name = name.to_owned();
        (self.check)(&name).map_err(E::custom)?;
        Ok(Some(vec![name]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Option<Vec<String>>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = next_text(&mut sequence, names.len())? {
            (self.check)(&name).map_err(A::Error::custom)?;
            names.push(name);
        }
        Ok(Some(names))
    }
}

/// The next text of a list, of which `count` are known.
fn next_text<'de, A: SeqAccess<'de>>(sequence: &mut A, count: usize) -> Result<Option<String>, A::Error> {
    match sequence.next_element::<Option<WrittenText>>()? {
        Some(Some(WrittenText(text))) => Ok(Some(text)),
        Some(None) => {
            Err(A::Error::custom(format!("number {} of the list is missing; give a text", count + 1)))
        }
        None => Ok(None),
    }
}
