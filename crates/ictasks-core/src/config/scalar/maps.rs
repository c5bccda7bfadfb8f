//! Maps of names and values: variables, parameters, labels.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Scalar, WrittenText, no_nul, scalar};
use crate::config::keys::{KeyRule, free_map, repeated_key};

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
pub(in crate::config) fn environment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map: Vec<(String, WrittenText)> = free_map(deserializer, VARIABLE_NAMES)?;
    Ok(map.into_iter().map(|(name, text)| (name, text.0)).collect())
}

/// Environment variables of a JSON document: texts, numbers and truth values.
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
pub(in crate::config) fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<serde_json::Map<String, Value>, D::Error> {
    let map: Vec<(String, Value)> = free_map(deserializer, LABEL_NAMES)?;
    Ok(map.into_iter().collect())
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
            Scalar::Bool(value) => Ok(Self(value.to_string())),
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
