//! The JSON schema of `sweep:`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema as schema};
use serde_json::{Value, json};

use super::Sweep;

const NAME: &str = "^[A-Za-z][A-Za-z0-9_]*$";

impl JsonSchema for Sweep {
    fn schema_name() -> Cow<'static, str> {
        "Sweep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pair = json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2});
        let one_of = json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "properties": {
                "uniform": described(&pair, "Any number between two."),
                "log_uniform": described(&pair, "Any number between two, all magnitudes as likely."),
                "integer": described(&pair, "A whole number from one to another, both among them."),
                "choice": described(&values(), "One of these."),
            },
        });
        schema!({
            "description": "Parameters of tasks: the cross product of its parts, the last varying fastest.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": false,
            "properties": {
                "grid": axes("All combinations of values, the last parameter varying fastest."),
                "zip": axes("Values side by side; all parameters have as many."),
                "list": {
                    "description": "Points one by one, all with the same parameters.",
                    "type": "array",
                    "minItems": 1,
                    "items": named(&value()),
                },
                "glob": {
                    "description": "Patterns of files, which become the parameters `file` and `stem`.",
                    "type": ["string", "array"],
                    "minItems": 1,
                    "items": {"type": "string"},
                },
                "file": {
                    "description": "A table (.csv, .tsv or .parquet): a point a row, a parameter a column.",
                    "type": "string",
                },
                "random": {
                    "description": "Points drawn at random; the same seed gives the same points.",
                    "type": "object",
                    "required": ["count"],
                    "properties": {
                        "count": {"type": "integer", "minimum": 1, "description": "Number of points."},
                        "seed": {"type": "integer", "minimum": 0, "default": 0},
                    },
                    "propertyNames": {"pattern": NAME},
                    "additionalProperties": one_of,
                },
            },
        })
    }
}

fn value() -> Value {
    json!({"type": ["number", "string", "boolean", "null"]})
}

fn values() -> Value {
    json!({"type": "array", "minItems": 1, "items": value()})
}

fn described(schema: &Value, description: &str) -> Value {
    let mut schema = schema.clone();
    schema["description"] = description.into();
    schema
}

/// A map of parameters.
fn named(of: &Value) -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": NAME},
        "additionalProperties": of,
    })
}

fn axes(description: &str) -> Value {
    let range = json!({
        "type": "object",
        "required": ["from", "to"],
        "additionalProperties": false,
        "properties": {
            "from": {"type": "number"},
            "to": {"type": "number"},
            "step": {"type": "number"},
            "count": {"type": "integer", "minimum": 1},
            "scale": {"enum": ["linear", "log"], "default": "linear"},
        },
        "oneOf": [{"required": ["step"]}, {"required": ["count"]}],
    });
    described(&named(&json!({"anyOf": [values(), range]})), description)
}
