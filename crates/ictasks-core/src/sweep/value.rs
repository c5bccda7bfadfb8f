//! One value of a parameter: typed for the record, as text for commands and variables.

use serde_json::{Number, Value};

use crate::config::scalar::no_nul;

/// A value of a parameter: a number, a text, a truth value, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamValue {
    json: Value,
    text: String,
    /// What stands for the text where it must not depend on where the run takes place.
    portable: Option<String>,
}

impl ParamValue {
    /// No value: an empty text.
    pub const fn null() -> Self {
        Self { json: Value::Null, text: String::new(), portable: None }
    }

    /// A whole number.
    pub fn integer(number: i64) -> Self {
        Self { json: number.into(), text: number.to_string(), portable: None }
    }

    /// A number, in the shortest form that is read as the same number; `None` for infinities and NaN.
    pub fn float(number: f64) -> Option<Self> {
        let json = Number::from_f64(number)?;
        Some(Self { text: json.to_string(), json: Value::Number(json), portable: None })
    }

    /// A truth value.
    pub fn boolean(value: bool) -> Self {
        Self { json: value.into(), text: value.to_string(), portable: None }
    }

    /// A text.
    ///
    /// # Errors
    /// It has a NUL byte in it, which no program can be given.
    pub fn text(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        no_nul("the value", &text).map_err(|fault| fault.to_string())?;
        Ok(Self { json: Value::String(text.clone()), text, portable: None })
    }

    /// A file: its absolute path, and the name by which it was found.
    ///
    /// # Errors
    /// As for [`ParamValue::text`].
    pub fn path(absolute: impl Into<String>, found: impl Into<String>) -> Result<Self, String> {
        Ok(Self { portable: Some(found.into()), ..Self::text(absolute)? })
    }

    /// A cell of a text file: nothing, a number, else a text. Commands get the very characters; a number
    /// is what is certainly meant as one (`007` and `1.` are texts).
    ///
    /// # Errors
    /// As for [`ParamValue::text`].
    pub fn cell(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::null());
        }
        let json = match number(text) {
            Some(number) => Value::Number(number),
            None => return Self::text(text),
        };
        Ok(Self { json, text: text.to_owned(), portable: None })
    }

    /// As the record has it.
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// Whether it is a number whose characters are not those that JSON has for it.
    pub(super) fn is_written_otherwise(&self) -> bool {
        let in_json = self.json.to_string();
        self.json.is_number() && in_json != self.text
    }

    /// As commands and variables have it, not quoted.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// As ids have it: the same wherever the run takes place.
    pub fn as_portable_text(&self) -> &str {
        self.portable.as_deref().unwrap_or(&self.text)
    }
}

/// The number that a text is, if it is written as JSON writes numbers.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let leads_with_zero = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if leads_with_zero || !digits.first()?.is_ascii_digit() {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        Value::Number(number) if number.is_i64() || number.is_f64() => Some(number),
        // Beyond 64 bits with a sign: a float would lose digits.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cell(text: &str) -> (Value, String) {
        let value = ParamValue::cell(text).unwrap();
        (value.json().clone(), value.as_text().to_owned())
    }

    #[test]
    fn cells_are_typed_and_keep_their_characters() {
        for (text, json) in [
            ("", json!(null)),
            ("12", json!(12)),
            ("-3", json!(-3)),
            ("0.10", json!(0.1)),
            ("1e-3", json!(0.001)),
            ("007", json!("007")),
            ("+5", json!("+5")),
            ("1.", json!("1.")),
            (" 1", json!(" 1")),
            ("nan", json!("nan")),
            ("1e999", json!("1e999")),
            ("true", json!("true")),
            ("18446744073709551615", json!("18446744073709551615")),
            ("a b", json!("a b")),
        ] {
            assert_eq!(cell(text), (json, text.to_owned()), "{text:?}");
        }
        assert!(ParamValue::cell("a\0").is_err());
    }

    #[test]
    fn numbers_have_their_shortest_form() {
        let shown: Vec<String> = [0.1, 1.0, 1e-10, 1e300, -2.5]
            .map(|number| ParamValue::float(number).unwrap().as_text().to_owned())
            .into();
        assert_eq!(shown, ["0.1", "1.0", "1e-10", "1e+300", "-2.5"]);
        assert_eq!(ParamValue::float(f64::NAN), None);
    }
}
