//! Single values: numbers, texts, ids, durations, checked while they are read, so that errors
//! carry their place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;

use super::PinCores;
use super::keys::{KeyRule, free_map, repeated_key};
use crate::command::split_words;
use crate::error::Fault;
use crate::task_id;

/// The longest command that the kernel takes as one argument, bytes.
pub const MAX_COMMAND_BYTES: usize = 131_071;

/// File names in a task's directory that are ours.
const RESERVED_NAMES: &[&str] =
    &["task.json", "result.json", "gpu_ids.txt", "result.pickle", "exception.pickle"];

/// One value as the parser sees it.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(&'a str),
}

struct ScalarVisitor<F> {
    expected: &'static str,
    make: F,
}

impl<'de, T, F: FnOnce(Scalar) -> Result<T, String>> Visitor<'de> for ScalarVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        (self.make)(Scalar::Null).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        (self.make)(Scalar::Bool(value)).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        (self.make)(Scalar::Integer(value.into())).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        (self.make)(Scalar::Integer(value.into())).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        (self.make)(Scalar::Float(value)).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        (self.make)(Scalar::Text(value)).map_err(E::custom)
    }
}

/// Reads one value, with its type.
pub(super) fn scalar<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(Scalar) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor { expected, make })
}

/// The text of a scalar just as it was written, whatever YAML would take it for.
pub(super) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(ScalarVisitor {
        expected,
        make: |scalar: Scalar| match scalar {
            Scalar::Text(text) => make(text),
            _ => Err(format!("expected {expected}")),
        },
    })
}

/// A number of cores, GPUs or retries, 0 or more.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    scalar(deserializer, "a whole number, 0 or more", |scalar| match scalar {
        Scalar::Null => Ok(None),
        Scalar::Integer(number) => match i32::try_from(number) {
            Ok(number @ 0..) => Ok(Some(number)),
            _ => Err(format!("`{number}` is impossible; give a whole number, 0 or more")),
        },
        Scalar::Text(text) => {
            Err(format!("the text \"{text}\" is no number; give a whole number, 0 or more"))
        }
        Scalar::Float(number) => Err(format!("`{number}` is not whole; give a whole number, 0 or more")),
        Scalar::Bool(value) => Err(format!("`{value}` is no number; give a whole number, 0 or more")),
    })
}

/// A task's id; under a sweep it may have placeholders.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    const WANTED: &str = "an id that is a number or a text";
    scalar(deserializer, WANTED, |scalar| match scalar {
        Scalar::Null => Ok(None),
        Scalar::Integer(number) => Ok(Some(number.to_string())),
        Scalar::Text(id) => {
            task_id::check_template(id).map_err(|fault| fault.to_string())?;
            Ok(Some(id.to_owned()))
        }
        Scalar::Bool(value) => {
            Err(format!("an id that reads as the truth value `{value}`; put it in quotes"))
        }
        Scalar::Float(number) => {
            Err(format!("an id that reads as the number `{number}` with a fraction; put it in quotes"))
        }
    })
}

/// A command.
pub(crate) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "a command", |command| {
        check_command(command).map_err(|fault| fault.to_string())?;
        Ok(command.to_owned())
    })
}

/// As [`command`], for a key that may be left out.
pub(super) fn some_command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    command(deserializer).map(Some)
}

/// Checks a command, placeholders replaced or not.
pub(crate) fn check_command(command: &str) -> Result<(), Fault> {
    if command.trim_ascii().is_empty() {
        return Err(Fault::EmptyCommand);
    }
    if command.len() > MAX_COMMAND_BYTES {
        return Err(Fault::CommandTooLong { bytes: command.len() });
    }
    no_nul("the command", command)
}

pub(crate) fn no_nul(what: &str, text: &str) -> Result<(), Fault> {
    if text.as_bytes().contains(&0) {
        return Err(Fault::Nul { what: what.to_owned() });
    }
    Ok(())
}

/// A free text.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer, "a text", |text| {
        no_nul("the text", text).map_err(|fault| fault.to_string())?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    })
}

/// The name of a file in the task's directory.
pub(super) fn file_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
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

/// A duration in seconds, or with its units: `2`, `0.5`, `500ms`, `90s`, `1h30m`, `2d`.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    const WANTED: &str = "seconds such as `2`, `0.5`, `500ms` or `90s`, or `1h30m`";
    scalar(deserializer, WANTED, |scalar| {
        let (seconds, shown) = match scalar {
            Scalar::Null => return Ok(None),
            Scalar::Integer(number) => (number.to_string().parse().ok(), number.to_string()),
            Scalar::Float(number) => (Some(number), number.to_string()),
            Scalar::Text(text) => (parse_seconds(text), text.to_owned()),
            Scalar::Bool(value) => (None, value.to_string()),
        };
        match seconds {
            Some(seconds) if (0.0..=1e9).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(format!("`{shown}` is no duration; give {WANTED}, 0 or more")),
        }
    })
}

/// A number of seconds, or numbers with units, the largest first: `1h30m`.
pub(crate) fn parse_seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 5] = [("d", 86_400.0), ("h", 3600.0), ("ms", 1e-3), ("m", 60.0), ("s", 1.0)];
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse() {
        return Some(seconds);
    }
    let (mut sum, mut smallest) = (0.0, f64::INFINITY);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let (unit, scale) = *UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        if scale >= smallest {
            return None;
        }
        (sum, smallest) = (sum + number * scale, scale);
        rest = rest[unit.len()..].trim_start();
    }
    smallest.is_finite().then_some(sum)
}

/// An amount of memory with its unit: `2G`, `1.5 GiB`, `500M`.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    text(deserializer, "a size such as `2G`", |text| match parse_bytes(text)? {
        0 => Err(format!("`{text}` is no memory to run in; give for instance `2G`")),
        bytes => Ok(Some(bytes)),
    })
}

/// A size, or `none`.
pub(super) fn output_limit<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<i64>>, D::Error> {
    text(deserializer, "a size such as `100M`, or `none`", |text| parse_output_limit(text).map(Some))
}

/// A size of output that is kept; `None` for `none`.
pub(super) fn parse_output_limit(text: &str) -> Result<Option<i64>, String> {
    const LEAST: i64 = 64 * 1024;
    if text == "none" {
        return Ok(None);
    }
    match parse_bytes(text)? {
        LEAST.. => parse_bytes(text).map(Some),
        _ => Err(format!("`{text}` is too little; give 64K or more, or `none` for no limit")),
    }
}

/// `2G` and the like; units are powers of 1024, as in Slurm.
#[allow(clippy::cast_possible_truncation)]
fn parse_bytes(text: &str) -> Result<i64, String> {
    let wanted = || format!("`{text}` is no size; give a number with its unit (K, M, G or T), such as `2G`");
    let letters = text.trim();
    let split = letters.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(letters.len());
    let number: f64 = letters[..split].trim().parse().map_err(|_| wanted())?;
    let unit = letters[split..].to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
    let power = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wanted()),
    };
    let bytes = number * (1_i64 << power) as f64;
    if !(0.0..1e18).contains(&bytes) {
        return Err(wanted());
    }
    Ok(bytes as i64)
}

/// `auto`, `true` or `false`.
pub(super) fn pin_cores<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PinCores, D::Error> {
    scalar(deserializer, "`auto`, `true` or `false`", |scalar| match scalar {
        Scalar::Null | Scalar::Text("auto") => Ok(PinCores::Auto),
        Scalar::Bool(true) => Ok(PinCores::True),
        Scalar::Bool(false) => Ok(PinCores::False),
        _ => Err("give `auto`, `true` or `false`".to_owned()),
    })
}

/// The name of a file relative to the task's current directory, or absolute.
pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "the name of a file", check_path)
}

fn check_path(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Err("the name of a file is empty; give one".to_owned());
    }
    no_nul("the name of a file", path).map_err(|fault| fault.to_string())?;
    Ok(path.to_owned())
}

/// A list of names of files, or a single one.
pub(super) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let paths = names(deserializer)?;
    paths.into_iter().map(|path| check_path(&path).map_err(D::Error::custom)).collect()
}

/// As [`paths`], for a key that may be left out.
pub(crate) fn optional_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    paths(deserializer).map(Some)
}

const VARIABLE_NAMES: KeyRule = KeyRule {
    ignores_case: false,
    repeated: repeated_key,
    check: |name| {
        if name.is_empty() || name.contains(['=', '\0']) {
            let shown = name.escape_default();
            return Err(format!(
                "`{shown}` cannot be the name of an environment variable; leave out `=` and NUL"
            ));
        }
        Ok(())
    },
};

const PARAMETER_NAMES: KeyRule =
    KeyRule { ignores_case: true, repeated: repeated_key, check: check_parameter_name };

/// Checks the name of a parameter: it becomes part of the name of a column and of a variable.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn check_parameter_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        return Ok(());
    }
    let shown = name.escape_default();
    Err(format!(
        "`{shown}` cannot be the name of a parameter; a letter comes first, then letters, digits and `_`"
    ))
}

const LABEL_NAMES: KeyRule = KeyRule { ignores_case: false, repeated: repeated_key, check: |_| Ok(()) };

/// Environment variables whose values are taken as written (`1.10` stays `1.10`).
pub(super) fn environment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map: Vec<(String, WrittenText)> = free_map(deserializer, VARIABLE_NAMES)?;
    Ok(map.into_iter().map(|(name, text)| (name, text.0)).collect())
}

/// Environment variables of a JSON document: texts and numbers.
pub(crate) fn json_environment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map: Vec<(String, ScalarText)> = free_map(deserializer, VARIABLE_NAMES)?;
    Ok(map.into_iter().map(|(name, text)| (name, text.0)).collect())
}

/// A task's parameters.
pub(crate) fn params<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<serde_json::Map<String, Value>, D::Error> {
    let map: Vec<(String, ScalarValue)> = free_map(deserializer, PARAMETER_NAMES)?;
    Ok(map.into_iter().map(|(name, value)| (name, value.0)).collect())
}

/// Free labels.
pub(super) fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<serde_json::Map<String, Value>, D::Error> {
    let map: Vec<(String, Value)> = free_map(deserializer, LABEL_NAMES)?;
    Ok(map.into_iter().collect())
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
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
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
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
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

/// A text just as it was written.
pub(super) struct WrittenText(pub(super) String);

impl<'de> Deserialize<'de> for WrittenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a text or a number", |text| {
            no_nul("the value", text).map_err(|fault| fault.to_string())?;
            Ok(Self(text.to_owned()))
        })
    }
}

struct ScalarText(String);

impl<'de> Deserialize<'de> for ScalarText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "a text or a number", |scalar| match scalar {
            Scalar::Integer(number) => Ok(Self(number.to_string())),
            Scalar::Float(number) => Ok(Self(number.to_string())),
            Scalar::Text(text) => {
                no_nul("the value", text).map_err(|fault| fault.to_string())?;
                Ok(Self(text.to_owned()))
            }
            Scalar::Bool(value) => Err(format!("the truth value `{value}` is no text; put it in quotes")),
            Scalar::Null => Err("the value is missing; give a text or a number".to_owned()),
        })
    }
}

struct ScalarValue(Value);

impl<'de> Deserialize<'de> for ScalarValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "a number, a text or a truth value", |scalar| {
            Ok(Self(match scalar {
                Scalar::Null => Value::Null,
                Scalar::Bool(value) => value.into(),
                Scalar::Integer(number) => {
                    i64::try_from(number).map_or_else(|_| Value::String(number.to_string()), Value::from)
                }
                Scalar::Float(number) => {
                    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
                }
                Scalar::Text(text) => text.into(),
            }))
        })
    }
}
