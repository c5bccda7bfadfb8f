//! Single values: numbers, texts, ids, commands, checked while they are read, so that errors carry
//! their place.
//!
//! - [`quantity`]: durations and sizes
//! - [`files`]: names of files, lists of names, and words
//! - [`maps`]: variables, parameters, labels

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::PinCores;
use crate::error::Fault;
use crate::task_id;

mod files;
mod maps;
mod quantity;

pub(crate) use files::{call, check_path, optional_paths};
pub(super) use files::{file_name, names, path, paths, words};
pub use maps::check_parameter_name;
pub(super) use maps::{environment, labels};
pub(crate) use maps::{json_environment, params};
pub(super) use quantity::{bytes, output_limit, parse_output_limit};
pub(crate) use quantity::{parse_seconds, seconds};

/// The longest command that the kernel takes as one argument, bytes.
pub const MAX_COMMAND_BYTES: usize = 131_071;

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

/// The text of a scalar just as it was written, whatever YAML would take it for; `None` where nothing is given,
/// or null.
pub(super) fn some_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_option(TextVisitor { expected, make })
}

/// As [`some_text`], where something has to be given.
pub(super) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    let missing = || D::Error::custom(format!("{expected} is missing; give one"));
    some_text(deserializer, expected, make)?.ok_or_else(missing)
}

struct TextVisitor<F> {
    expected: &'static str,
    make: F,
}

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> Visitor<'de> for TextVisitor<F> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        let Self { expected, make } = self;
        let visitor = ScalarVisitor {
            expected,
            make: |scalar: Scalar| match scalar {
                Scalar::Text(text) => make(text),
                _ => Err(format!("expected {expected}")),
            },
        };
        deserializer.deserialize_str(visitor).map(Some)
    }
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
        Scalar::Float(number) => Err(format!("`{number:?}` is not whole; give a whole number, 0 or more")),
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
        Scalar::Float(number) => Err(format!(
            "an id that reads as `{number:?}`, which is not whole or too large; put it in quotes"
        )),
    })
}

/// A command.
pub(crate) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "a command", checked_command)
}

/// As [`command`], for a key that may be left out.
pub(super) fn some_command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    some_text(deserializer, "a command", checked_command)
}

fn checked_command(command: &str) -> Result<String, String> {
    check_command(command).map_err(|fault| fault.to_string())?;
    Ok(command.to_owned())
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
    let text = some_text(deserializer, "a text", |text| {
        no_nul("the text", text).map_err(|fault| fault.to_string())?;
        Ok(text.to_owned())
    });
    Ok(text?.filter(|text| !text.is_empty()))
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

/// A text just as it was written.
pub(super) struct WrittenText(pub(super) String);

impl<'de> Deserialize<'de> for WrittenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = some_text(deserializer, "a text or a number", |text| {
            no_nul("the value", text).map_err(|fault| fault.to_string())?;
            Ok(Self(text.to_owned()))
        });
        let missing = "a value is missing; give a text, if need be `''`, or a number";
        text?.ok_or_else(|| D::Error::custom(missing))
    }
}
