//! Names of files, lists of names, and words.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::{WrittenText, no_nul, text};
use crate::command::split_words;

/// File names in a task's directory that are ours.
const RESERVED_NAMES: &[&str] =
    &["task.json", "result.json", "gpu_ids.txt", "result.pickle", "exception.pickle"];

/// The name of a file in the task's directory.
pub(in crate::config) fn file_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    text(deserializer, "a file name", |name| {
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
        Ok(Some(name.to_owned()))
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
    let paths = names(deserializer)?;
    paths.into_iter().map(|path| check_path(&path).map_err(D::Error::custom)).collect()
}

/// As [`paths`], for a key that may be left out.
pub(crate) fn optional_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    paths(deserializer).map(Some)
}

/// The file of a function call.
pub(crate) fn call<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    text(deserializer, "the file of a call", |path| {
        no_nul("the name of the file", path).map_err(|fault| fault.to_string())?;
        if !path.starts_with('/') {
            let shown = path.escape_default();
            return Err(format!("`{shown}` is no absolute path; give the file of the call from `/` on"));
        }
        Ok(Some(PathBuf::from(path)))
    })
}

/// A program with its arguments: a text that is split as Python's `shlex.split` does, or a list of words.
pub(in crate::config) fn words<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    deserializer.deserialize_any(WordsVisitor).map(Some)
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a program with its arguments")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        no_nul("the text", text).map_err(E::custom)?;
        split_words(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<String>, A::Error> {
        let mut words = Vec::new();
        while let Some(WrittenText(word)) = sequence.next_element()? {
            words.push(word);
        }
        if words.first().is_none_or(String::is_empty) {
            return Err(A::Error::custom("the list of words is empty; give a program"));
        }
        Ok(words)
    }
}

/// A list of names, or a single one.
pub(in crate::config) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(NamesVisitor)
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Vec<String>, E> {
        Ok(vec![name.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(WrittenText(name)) = sequence.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}
