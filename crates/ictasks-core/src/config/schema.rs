//! The JSON schema of the configuration file, from the types that read it.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema as schema};
use serde_json::{Value, json};

use super::keys::OWN_PREFIX;
use super::{Config, MaxOutput, MaxOutputMap, TaskItem, TaskItems, TaskMap};

/// The JSON schema of the configuration file.
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    admit_own_keys(&mut schema);
    schema
}

/// Admits `x-…` wherever keys are known.
fn admit_own_keys(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                let own = json!({ format!("^{OWN_PREFIX}"): true });
                object.insert("patternProperties".to_owned(), own);
            }
            object.values_mut().for_each(admit_own_keys);
        }
        Value::Array(values) => values.iter_mut().for_each(admit_own_keys),
        _ => {}
    }
}

impl JsonSchema for MaxOutput {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<MaxOutputMap>();
        schema!({"anyOf": [output_limit(generator), map]})
    }
}

impl JsonSchema for TaskItems {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tasks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<TaskItem>>();
        let map = generator.subschema_for::<TaskMap>();
        schema!({"anyOf": [list, map]})
    }
}

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "number", "boolean", "null"]})
}

pub(super) fn file_name(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "number", "boolean", "null"], "minLength": 1})
}

pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "number", "boolean"], "minLength": 1})
}

pub(super) fn command(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "boolean", "number"], "minLength": 1})
}

pub(super) fn some_command(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "boolean", "number", "null"], "minLength": 1})
}

pub(super) fn id(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["string", "integer", "null"],
        "pattern": "^([A-Za-z0-9._=,+@:-]|[{][A-Za-z][A-Za-z0-9_]*[}])+$",
        "not": {"enum": [".", ".."]},
    })
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["number", "string", "null"],
        "minimum": 0,
        "pattern": "^([0-9]*[.]?[0-9]+ *(ms|s|m|h|d)? *)+$",
    })
}

pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["string", "null"],
        "pattern": "^[0-9]*[.]?[0-9]+ *[KMGTkmgt]([iI]?[bB])?$",
    })
}

pub(super) fn output_limit(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["string", "null"],
        "pattern": "^([0-9]*[.]?[0-9]+ *[KMGTkmgt]([iI]?[bB])?|none)$",
    })
}

pub(super) fn pin_cores(_: &mut SchemaGenerator) -> Schema {
    schema!({"enum": ["auto", true, false, null]})
}

pub(super) fn texts(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": "object",
        "propertyNames": {"pattern": "^[^=]+$"},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    })
}

pub(super) fn params(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    })
}

pub(super) fn words(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["string", "array", "null"],
        "minLength": 1,
        "minItems": 1,
        "items": {"type": ["string", "number", "boolean"]},
    })
}

pub(super) fn call(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": ["string", "null"], "pattern": "^/"})
}

pub(super) fn names(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": ["array", "string", "null"],
        "minLength": 1,
        "items": {"type": ["string", "number", "boolean"], "minLength": 1},
    })
}
