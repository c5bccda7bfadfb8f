//! From a file to a [`Config`], and from the parser's errors to ours.

use std::collections::HashMap;
use std::path::Path;

use super::locate::{Step, locate};
use super::{Config, Places, TaskItems};
use crate::error::{Fault, InputError, Place};
use crate::task_id;

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let bytes =
            std::fs::read(path).map_err(|source| InputError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Checks the content of a configuration file; errors name it `file`.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let at = |(line, column): (u64, u64), fault| InputError::At {
            place: Place { file: file.to_owned(), line, column },
            fault,
        };
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let good = &bytes[..error.valid_up_to()];
                let line_start = good.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                let line = good.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
                let byte = good.len() - line_start + 1;
                return Err(at((line, byte as u64), Fault::NotUtf8 { byte }));
            }
        };
        let mut config: Self = serde_yaml::from_str(text).map_err(|error| {
            let (place, message) = explained(&error, text);
            at(place, Fault::Syntax(message))
        })?;
        check_keys_of_sweeps(text, &config).map_err(|(place, fault)| at(place, fault))?;
        if let Some(items) = &config.tasks {
            if config.call_server.is_none()
                && let Some(position) = items.0.iter().position(|item| item.call.is_some())
            {
                return Err(at(place_of_task(text, position), Fault::NoCallServer));
            }
            check_ids(text, items, config.sweep.is_some()).map_err(|(place, fault)| at(place, fault))?;
        }
        if let Some(sweep) = &config.sweep {
            let place = |path: &[Step]| {
                let (line, column) = locate(text, path);
                Place { file: file.to_owned(), line, column }
            };
            config.places = Places {
                launch_cmd: place(&[Step::Key("launch_cmd")]),
                id: place(&[Step::Key("id")]),
                sweep: place(&[Step::Key("sweep")]),
                parts: sweep
                    .0
                    .iter()
                    .map(|part| (part.key(), place(&[Step::Key("sweep"), Step::Key(part.key())])))
                    .collect(),
            };
        }
        Ok(config)
    }
}

/// Checks that the keys of a sweep stand together.
fn check_keys_of_sweeps(text: &str, config: &Config) -> Result<(), ((u64, u64), Fault)> {
    let wrong =
        |key, message: &str| Err((locate(text, &[Step::Key(key)]), Fault::Syntax(message.to_owned())));
    if config.launch_cmd.is_some() && config.tasks.is_some() {
        return wrong("launch_cmd", "`launch_cmd` and `tasks` are both there; give one of them");
    }
    if config.sweep.is_some() {
        return Ok(());
    }
    if config.launch_cmd.is_some() {
        return wrong(
            "launch_cmd",
            "`launch_cmd` goes with `sweep:`; tasks without parameters stand under `tasks:`",
        );
    }
    if config.id.is_some() {
        return wrong("id", "`id` goes with `sweep:`; a name for the run is `job_id`");
    }
    let with_places = config.tasks.iter().flat_map(|tasks| tasks.0.iter().enumerate());
    for (position, item) in with_places {
        if let Some(Err(fault)) = item.id.as_deref().map(task_id::check) {
            return Err((place_of_task(text, position), fault));
        }
    }
    Ok(())
}

/// Checks that there are tasks and that no id comes twice, positions counting as ids unless there is a
/// sweep.
fn check_ids(text: &str, items: &TaskItems, is_swept: bool) -> Result<(), ((u64, u64), Fault)> {
    if items.0.is_empty() {
        return Err((locate(text, &[Step::Key("tasks")]), Fault::NoTasks));
    }
    let mut first_with = HashMap::with_capacity(items.0.len());
    for (position, item) in items.0.iter().enumerate() {
        let Some(id) = item.id.clone().or_else(|| (!is_swept).then(|| position.to_string())) else {
            continue;
        };
        if let Some(&first) = first_with.get(&id) {
            let (first_line, _) = place_of_task(text, first);
            let fault = Fault::DuplicateId { id, first_line };
            return Err((place_of_task(text, position), fault));
        }
        first_with.insert(id, position);
    }
    Ok(())
}

/// Where the task at `position` has its id, or its command if it has none.
fn place_of_task(text: &str, position: usize) -> (u64, u64) {
    let index = Step::Index(position);
    let tasks = Step::Key("tasks");
    let items = Step::Key("items");
    let paths = ["id", "launch_cmd"]
        .map(Step::Key)
        .map(|key| [vec![tasks, items, index, key], vec![tasks, index, key]]);
    let places = paths.iter().flatten().map(|path| locate(text, path));
    places.into_iter().find(|place| place.0 > 0).unwrap_or((0, 0))
}

/// The place and the meaning of an error of the parser.
fn explained(error: &serde_yaml::Error, text: &str) -> ((u64, u64), String) {
    let full = error.to_string();
    let Some(location) = error.location() else {
        return ((0, 0), full);
    };
    let (line, column) = (location.line(), location.column());
    let message = full.replacen(&format!(" at line {line} column {column}"), "", 1);
    let line_text = text.lines().nth(line - 1).unwrap_or_default();
    let indentation = &line_text[..line_text.len() - line_text.trim_start().len()];
    let is_of_the_parser = !message.contains('`');
    let message = if indentation.contains('\t') && is_of_the_parser {
        "a tab in the indentation; YAML wants spaces there".to_owned()
    } else {
        in_our_words(&message)
    };
    ((line as u64, column as u64), message)
}

/// `path: invalid type: A, expected B` as ``` `path`: expected B, not A ```, and the like.
pub(crate) fn in_our_words(message: &str) -> String {
    let (path, rest) = match message.split_once(": ") {
        Some((path, rest)) if !path.contains([' ', '`']) => (Some(path), rest),
        _ => (None, message),
    };
    let wrong = rest
        .strip_prefix("invalid type: ")
        .or_else(|| rest.strip_prefix("invalid value: "))
        .and_then(|rest| rest.split_once(", expected "));
    let rest = if let Some((found, expected)) = wrong {
        format!("expected {}, not {}", plain(expected), plain(found))
    } else if let Some(field) = rest.strip_prefix("missing field ") {
        format!("the key {field} is missing; add it")
    } else if let Some(variant) = rest.strip_prefix("unknown variant ") {
        // Of more than two it says `expected one of`.
        let variant = variant.replacen(", expected one of ", ", expected ", 1);
        variant.replacen(", expected ", " is unknown here; it is one of ", 1)
    } else {
        rest.to_owned()
    };
    match path {
        // The unknown key of a map is a `?` at the end of its path, and is in the message.
        Some(path) => format!("`{}`: {rest}", path.trim_end_matches(".?")),
        None => rest,
    }
}

/// A type or value of the parser, in words for people.
fn plain(found: &str) -> String {
    const WORDS: [(&str, &str); 10] = [
        ("unit value", "nothing"),
        ("null", "nothing"),
        ("a sequence", "a list"),
        ("sequence", "a list"),
        ("map", "a map"),
        ("a boolean", "`true` or `false`"),
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", "the truth value "),
    ];
    let word = WORDS.iter().find(|(theirs, _)| match theirs.strip_suffix(' ') {
        Some(_) => found.starts_with(theirs),
        None => found == *theirs,
    });
    word.map_or_else(|| found.to_owned(), |(theirs, ours)| found.replacen(theirs, ours, 1))
}
