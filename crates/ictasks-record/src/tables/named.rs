//! `param_*` and `result_*`: columns whose names only the run knows.
//!
//! The journal holds them as JSON text. A first pass ([`NameFinder`]) finds names and types, a
//! second one ([`NamedColumns`]) makes the columns. Tables of earlier sessions have them already.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use serde_json::{Map, Value};

/// Names at most that become columns.
const MAX_NAMES: usize = 200;

/// The type that all values of a name have so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedType {
    /// Only nulls.
    Unknown,
    Bool,
    Int64,
    Float64,
    Text,
}

impl NamedType {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.is_i64() => Self::Int64,
            Value::Number(_) => Self::Float64,
            Value::String(_) | Value::Array(_) | Value::Object(_) => Self::Text,
        }
    }

    /// The type that takes the values of both, and whether that makes text of something else.
    fn with(self, other: Self) -> (Self, bool) {
        match (self, other) {
            (Self::Unknown, kind) | (kind, Self::Unknown) => (kind, false),
            (one, two) if one == two => (one, false),
            (Self::Int64, Self::Float64) | (Self::Float64, Self::Int64) => (Self::Float64, false),
            _ => (Self::Text, true),
        }
    }

    const fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Unknown | Self::Text => DataType::Utf8,
        }
    }
}

#[derive(Clone, Debug)]
struct Name {
    key: String,
    kind: NamedType,
    mixed: bool,
}

/// Finds the names and types of one JSON column.
pub(crate) struct NameFinder {
    source: &'static str,
    prefix: &'static str,
    names: Vec<Name>,
    /// Names without regard to case, to their place in `names`.
    places: HashMap<String, usize>,
    rest: bool,
    warnings: Vec<String>,
}

impl NameFinder {
    /// `source` is the JSON column, `prefix` what its names get in front.
    pub(crate) fn new(source: &'static str, prefix: &'static str) -> Self {
        Self { source, prefix, names: Vec::new(), places: HashMap::new(), rest: false, warnings: Vec::new() }
    }

    /// What the names get in front.
    pub(crate) const fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// Takes over the columns that a table of the sessions before has.
    pub(crate) fn know(&mut self, fields: &[Field]) {
        for field in fields {
            let Some(key) = field.name().strip_prefix(self.prefix) else { continue };
            if field.name() == self.source || self.places.contains_key(&key.to_ascii_lowercase()) {
                continue;
            }
            let kind = match field.data_type() {
                DataType::Boolean => NamedType::Bool,
                DataType::Int64 => NamedType::Int64,
                DataType::Float64 => NamedType::Float64,
                _ => NamedType::Text,
            };
            self.places.insert(key.to_ascii_lowercase(), self.names.len());
            self.names.push(Name { key: key.to_owned(), kind, mixed: false });
        }
    }

    /// Looks at the values of one row.
    pub(crate) fn look(&mut self, json: &str) {
        let Ok(Value::Object(row)) = serde_json::from_str(json) else {
            return self
                .keep(format!("a value of `{}` is not a JSON object; it stays there as it is", self.source));
        };
        for (key, value) in &row {
            self.look_at(key, value);
        }
    }

    fn look_at(&mut self, key: &str, value: &Value) {
        let source = self.source;
        match self.places.get(&key.to_ascii_lowercase()) {
            Some(place) if self.names[*place].key == key => {
                let name = &mut self.names[*place];
                let (kind, mixed) = name.kind.with(NamedType::of(value));
                name.kind = kind;
                name.mixed |= mixed;
            }
            Some(place) => {
                let other = &self.names[*place].key;
                self.keep(format!(
                    "`{key}` differs from `{other}` only by case; it stays in the column `{source}`"
                ));
            }
            None if !is_name(key) => self.keep(format!(
                "`{key}` is not a name of letters, digits and `_`; it stays in the column `{source}`"
            )),
            None if self.names.len() >= MAX_NAMES => {
                self.keep(format!("more than {MAX_NAMES} names; the rest stays in the column `{source}`"))
            }
            None => {
                self.places.insert(key.to_ascii_lowercase(), self.names.len());
                self.names.push(Name { key: key.to_owned(), kind: NamedType::of(value), mixed: false });
            }
        }
    }

    /// Something stays in the JSON column; each reason is told once, a hundred at most.
    fn keep(&mut self, warning: String) {
        self.rest = true;
        if self.warnings.len() < 100 && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The columns, and what the user should know of them.
    pub(crate) fn finish(self) -> (NamedColumns, Vec<String>) {
        let mut warnings = self.warnings;
        for name in self.names.iter().filter(|name| name.mixed) {
            warnings.push(format!(
                "`{}{}` has values of several types; all are written as text",
                self.prefix, name.key
            ));
        }
        let columns =
            NamedColumns { source: self.source, prefix: self.prefix, names: self.names, rest: self.rest };
        (columns, warnings)
    }
}

/// Whether a name is `[A-Za-z][A-Za-z0-9_]*`.
fn is_name(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The columns that one JSON column becomes.
pub(crate) struct NamedColumns {
    source: &'static str,
    prefix: &'static str,
    names: Vec<Name>,
    /// Whether some of it stays JSON.
    rest: bool,
}

impl NamedColumns {
    pub(crate) fn fields(&self) -> Vec<Field> {
        let named = self.names.iter().map(|name| {
            let column = format!("{}{}", self.prefix, name.key);
            Field::new(column, name.kind.data_type(), true)
        });
        let rest = self.rest.then(|| Field::new(self.source, DataType::Utf8, true));
        named.chain(rest).collect()
    }

    /// The values of the rows of `json`, a column for each of [`NamedColumns::fields`]. Rows of
    /// an earlier session have columns of their own in `rows`, and as JSON only the rest.
    pub(crate) fn arrays(&self, json: &StringArray, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        if self.names.is_empty() && !self.rest {
            return Ok(Vec::new());
        }
        let parsed: Vec<Option<Map<String, Value>>> =
            json.iter().map(|text| serde_json::from_str(text?).ok()).collect();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.names.len() + 1);
        for name in &self.names {
            if let Some(column) = rows.column_by_name(&format!("{}{}", self.prefix, name.key)) {
                arrays.push(cast(column, &name.kind.data_type())?);
                continue;
            }
            let mut builder = Builder::new(name.kind);
            for row in &parsed {
                let value = row.as_ref().and_then(|row| row.get(&name.key));
                builder.append(value.unwrap_or(&Value::Null));
            }
            arrays.push(builder.finish());
        }
        if self.rest {
            let mut rest = StringBuilder::new();
            for (text, row) in json.iter().zip(parsed) {
                rest.append_option(match row {
                    Some(row) => self.rest_of(row),
                    None => text.map(str::to_owned),
                });
            }
            arrays.push(Arc::new(rest.finish()));
        }
        Ok(arrays)
    }

    /// What of a row has no column, as JSON.
    fn rest_of(&self, mut row: Map<String, Value>) -> Option<String> {
        row.retain(|key, _| self.names.iter().all(|name| name.key != *key));
        (!row.is_empty()).then(|| Value::Object(row).to_string())
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: NamedType) -> Self {
        match kind {
            NamedType::Bool => Self::Bool(BooleanBuilder::new()),
            NamedType::Int64 => Self::Int64(Int64Builder::new()),
            NamedType::Float64 => Self::Float64(Float64Builder::new()),
            NamedType::Unknown | NamedType::Text => Self::Text(StringBuilder::new()),
        }
    }

    fn append(&mut self, value: &Value) {
        match self {
            Self::Bool(builder) => builder.append_option(value.as_bool()),
            Self::Int64(builder) => builder.append_option(value.as_i64()),
            Self::Float64(builder) => builder.append_option(value.as_f64()),
            Self::Text(builder) => match value {
                Value::Null => builder.append_null(),
                Value::String(text) => builder.append_value(text),
                other => builder.append_value(other.to_string()),
            },
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int64(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};

    fn columns(rows: &[Option<&str>]) -> (Vec<Field>, Vec<ArrayRef>, Vec<String>) {
        let mut finder = NameFinder::new("params_json", "param_");
        rows.iter().flatten().for_each(|row| finder.look(row));
        let (columns, warnings) = finder.finish();
        let json: StringArray = rows.iter().copied().collect();
        let none = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
        (columns.fields(), columns.arrays(&json, &none).unwrap(), warnings)
    }

    #[test]
    fn without_any_there_is_no_column() {
        let (fields, arrays, warnings) = columns(&[None, None]);
        assert!(fields.is_empty() && arrays.is_empty() && warnings.is_empty());
    }

    #[test]
    fn a_name_has_one_type_and_integers_widen() {
        let (fields, arrays, warnings) = columns(&[
            Some(r#"{"n": 3, "x": 1, "ok": true, "s": "a"}"#),
            None,
            Some(r#"{"n": null, "x": 0.5, "ok": null}"#),
        ]);
        let types: Vec<_> = fields.iter().map(|f| (f.name().as_str(), f.data_type())).collect();
        assert_eq!(
            types,
            [
                ("param_n", &DataType::Int64),
                ("param_x", &DataType::Float64),
                ("param_ok", &DataType::Boolean),
                ("param_s", &DataType::Utf8),
            ]
        );
        assert_eq!(arrays[0].as_primitive::<Int64Type>().value(0), 3);
        assert!(arrays[0].is_null(1) && arrays[0].is_null(2));
        let x = arrays[1].as_primitive::<Float64Type>();
        assert_eq!((x.value(0), x.is_null(1), x.value(2)), (1.0, true, 0.5));
        assert!(warnings.is_empty());
    }

    #[test]
    fn other_mixtures_become_text_with_a_warning() {
        let (fields, arrays, warnings) =
            columns(&[Some(r#"{"a": 1}"#), Some(r#"{"a": "x"}"#), Some(r#"{"a": true}"#)]);
        assert_eq!(fields[0].data_type(), &DataType::Utf8);
        let values: Vec<_> = arrays[0].as_string::<i32>().iter().flatten().collect();
        assert_eq!(values, ["1", "x", "true"]);
        assert_eq!(warnings, ["`param_a` has values of several types; all are written as text"]);
    }

    #[test]
    fn what_cannot_be_a_column_stays_json() {
        let (fields, arrays, warnings) =
            columns(&[Some(r#"{"a": 1, "A": 2, "b c": 3}"#), Some(r#"{"a": 4}"#), Some("[1]")]);
        let names: Vec<_> = fields.iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["param_a", "params_json"]);
        let rest = arrays[1].as_string::<i32>();
        assert_eq!(rest.value(0), r#"{"A":2,"b c":3}"#);
        assert!(rest.is_null(1));
        assert_eq!(rest.value(2), "[1]");
        assert_eq!(warnings.len(), 3);
    }

    #[test]
    fn above_two_hundred_names_the_rest_stays_json() {
        let row: Map<String, Value> = (0..205).map(|n| (format!("p{n}"), n.into())).collect();
        let text = Value::Object(row).to_string();
        let (fields, arrays, warnings) = columns(&[Some(&text)]);
        assert_eq!((fields.len(), arrays.len(), warnings.len()), (201, 201, 1));
        assert!(arrays[200].as_string::<i32>().value(0).contains("\"p204\":204"));
    }
}
