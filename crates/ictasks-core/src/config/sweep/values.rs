//! Names, values and numbers within a sweep.

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess};

use crate::config::keys::KeyRule;
use crate::config::scalar::{self, Scalar, check_parameter_name};
use crate::sweep::{Number, ParamValue};

/// What names of parameters have to be; none comes twice in a sweep.
pub(super) const NAMES: KeyRule = KeyRule {
    ignores_case: true,
    check: check_parameter_name,
    repeated: |name| format!("the parameter `{name}` comes a second time in the sweep; give it once"),
};

/// The values of a list.
pub(super) fn value_list<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Vec<ParamValue>, A::Error> {
    let mut values = Vec::new();
    while let Some(TypedValue(value)) = sequence.next_element()? {
        values.push(value);
    }
    if values.is_empty() {
        return Err(A::Error::custom("the list is empty; give at least one value"));
    }
    Ok(values)
}

/// A value.
pub(super) struct TypedValue(pub(super) ParamValue);

impl<'de> Deserialize<'de> for TypedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::scalar(deserializer, "a number, a text or a truth value", |scalar| {
            let value = match scalar {
                Scalar::Null => ParamValue::null(),
                Scalar::Bool(value) => ParamValue::boolean(value),
                Scalar::Integer(number) => match i64::try_from(number) {
                    Ok(number) => ParamValue::integer(number),
                    Err(_) => ParamValue::text(number.to_string())?,
                },
                Scalar::Float(number) => {
                    ParamValue::float(number).ok_or("infinities and NaN are no values; put it in quotes")?
                }
                Scalar::Text(text) => ParamValue::text(text)?,
            };
            Ok(Self(value))
        })
    }
}

/// A number.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
    scalar::scalar(deserializer, "a number", |scalar| match scalar {
        Scalar::Integer(number) => match i64::try_from(number) {
            Ok(number) => Ok(Number::Integer(number)),
            Err(_) => Err(format!("`{number}` has more than 64 bits; give a smaller number")),
        },
        Scalar::Float(number) if number.is_finite() => Ok(Number::Float(number)),
        _ => Err("this is no number; give one".to_owned()),
    })
}

/// As [`number`], for a key that may be left out.
pub(super) fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Number>, D::Error> {
    number(deserializer).map(Some)
}

/// A whole number, 0 or more.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    scalar::scalar(deserializer, "a whole number, 0 or more", |scalar| match scalar {
        Scalar::Integer(number) => u64::try_from(number).map_err(|_| {
            format!("`{number}` is impossible; give a whole number from 0 to 18446744073709551615")
        }),
        _ => Err("this is no whole number; give one, 0 or more".to_owned()),
    })
}

/// As [`whole`], for a key that may be left out.
pub(super) fn some_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    whole(deserializer).map(Some)
}

/// A whole number, 0 or more.
#[derive(DeriveDeserialize)]
pub(super) struct Whole(#[serde(deserialize_with = "whole")] pub(super) u64);

/// A number.
#[derive(Clone, Copy, DeriveDeserialize)]
pub(super) struct TypedNumber(#[serde(deserialize_with = "number")] pub(super) Number);
