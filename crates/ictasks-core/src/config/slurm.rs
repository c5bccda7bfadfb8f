//! `slurm:`: how `ictasks submit` asks Slurm for a job.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema as schema};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::keys::{FreeKey, KeyRule, OWN_PREFIX, repeated_key};
use super::scalar;
use crate::slurm::{SbatchOption, Shards};

/// What a job is asked for with; the options of `sbatch` by their long names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmOptions {
    /// Lines of the batch script before the farm starts.
    pub setup: Vec<String>,
    /// Whether the job requeues itself until all is done.
    pub requeue: bool,
    /// Into how many jobs the list is split.
    pub array: Option<Shards>,
    /// Options of `sbatch`, in the order of the file.
    pub options: Vec<SbatchOption>,
}

const SETUP: &str = "setup";
const REQUEUE: &str = "requeue";
const ARRAY: &str = "array";

/// Keys as they are known; `-` and `_` are the same in them.
const KEYS: KeyRule = KeyRule { check: check_key, ignores_case: false, repeated: repeated_key };

fn check_key(key: &str) -> Result<(), String> {
    let name = key.replace('_', "-");
    let is_known = |known: &str| known == name;
    if key.starts_with(OWN_PREFIX) || name == SETUP || SbatchOption::known_names().any(is_known) {
        return Ok(());
    }
    let known = SbatchOption::known_names().chain([SETUP]);
    let similar = known
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, known), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(similarity, _)| *similarity >= 0.5);
    let hint = match similar {
        Some((_, known)) => format!("did you mean `{}`?", known.replace('-', "_")),
        None => "give long names such as `nodes`, `time`, `partition`, `cpus_per_task`".to_owned(),
    };
    Err(format!(
        "sbatch has no option `{key}`; {hint} (one that a newer Slurm has can be given to `ictasks submit`)"
    ))
}

impl<'de> Deserialize<'de> for SlurmOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SlurmVisitor)
    }
}

struct SlurmVisitor;

impl<'de> Visitor<'de> for SlurmVisitor {
    type Value = SlurmOptions;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("options of sbatch, such as `{nodes: 2, time: 2:00:00, partition: main}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SlurmOptions, A::Error> {
        let mut seen = HashSet::new();
        let mut slurm = SlurmOptions::default();
        while let Some(key) = map.next_key_seed(FreeKey(KEYS, &mut seen))? {
            let name = key.replace('_', "-");
            match name.as_str() {
                _ if key.starts_with(OWN_PREFIX) => drop(map.next_value::<IgnoredAny>()?),
                SETUP => slurm.setup = map.next_value::<Lines>()?.0,
                REQUEUE => slurm.requeue = map.next_value()?,
                ARRAY => slurm.array = Some(map.next_value::<TypedShards>()?.0),
                _ => {
                    if slurm.options.iter().any(|option| option.name == name) {
                        return Err(A::Error::custom(repeated_key(&key)));
                    }
                    let value = map.next_value::<Option<scalar::WrittenText>>()?;
                    let value = value.map(|text| text.0).unwrap_or_default();
                    slurm.options.extend(option(&name, value).map_err(A::Error::custom)?);
                }
            }
        }
        Ok(slurm)
    }

    fn visit_unit<E: Error>(self) -> Result<SlurmOptions, E> {
        Ok(SlurmOptions::default())
    }
}

/// `true` makes it a flag, `false` leaves it out.
fn option(name: &str, value: String) -> Result<Option<SbatchOption>, String> {
    match value.as_str() {
        "" => Err(format!("the value of `{name}` is missing; give one, or `true` for an option without")),
        "true" => SbatchOption::new(name, None).map(Some),
        "false" => Ok(None),
        _ => SbatchOption::new(name, Some(value)).map(Some),
    }
}

/// Lines of a script: a list of them, or a text.
struct Lines(Vec<String>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = scalar::names(deserializer)?;
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(D::Error::custom("a line of the script contains a NUL byte; remove it"));
        }
        Ok(Self(texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()))
    }
}

struct TypedShards(Shards);

impl<'de> Deserialize<'de> for TypedShards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::text(deserializer, "a number of shards such as `10` or `10%4`", str::parse).map(Self)
    }
}

impl JsonSchema for SlurmOptions {
    fn schema_name() -> Cow<'static, str> {
        "Slurm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        for name in SbatchOption::known_names() {
            let value = json!({"type": ["string", "number", "boolean"]});
            for spelling in [name.replace('-', "_"), name.to_owned()] {
                properties.insert(spelling, value.clone());
            }
        }
        let own = [
            (
                SETUP,
                json!({
                    "description": "Lines of the batch script before the farm starts, such as `module load gcc`.",
                    "type": ["array", "string"],
                    "items": {"type": "string"},
                }),
            ),
            (
                REQUEUE,
                json!({
                    "description": "Whether the job requeues itself until all is done.",
                    "type": "boolean",
                }),
            ),
            (
                ARRAY,
                json!({
                    "description": "Into how many independent jobs the list is split, for instance 10, or 10%4 for 4 at a time.",
                    "type": ["integer", "string"],
                    "minimum": 1,
                    "pattern": "^[0-9]+(%[0-9]+)?$",
                }),
            ),
        ];
        properties.extend(own.map(|(name, value)| (name.to_owned(), value)));
        schema!({
            "description": "What `ictasks submit` asks Slurm for: options of sbatch by their long names.",
            "type": "object",
            "additionalProperties": false,
            "properties": Value::Object(properties),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::slurm::Shards;

    fn slurm(lines: &str) -> Result<Vec<String>, String> {
        let text = format!("slurm:\n{lines}");
        let config = Config::parse("c", text.as_bytes()).map_err(|error| error.to_string())?;
        let slurm = config.slurm.ok_or("there is none")?;
        Ok(slurm.options.iter().map(super::SbatchOption::text).collect())
    }

    #[test]
    fn options_of_sbatch_in_their_order() {
        let options = slurm(
            "  time: 1:30:00\n  nodes: 2\n  cpus-per-task: 4\n  mail_type: END\n  exclusive: true\n  hold: false\n  x-mine: 3\n",
        );
        let expected = ["--time=1:30:00", "--nodes=2", "--cpus-per-task=4", "--mail-type=END", "--exclusive"];
        assert_eq!(options.unwrap(), expected);
    }

    #[test]
    fn what_is_not_for_sbatch() {
        let text =
            "slurm:\n  setup:\n  - module load gcc\n  - |\n    a\n    b\n  requeue: true\n  array: 10%4\n";
        let slurm = Config::parse("c", text.as_bytes()).unwrap().slurm.unwrap();
        assert_eq!(slurm.setup, ["module load gcc", "a", "b"]);
        assert_eq!((slurm.requeue, slurm.array), (true, Some(Shards { count: 10, at_once: Some(4) })));
        assert!(slurm.options.is_empty());
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        for (lines, expected) in [
            (
                "  partitoin: main",
                "c:2:3: `slurm`: sbatch has no option `partitoin`; did you mean `partition`?",
            ),
            ("  foo_bar_baz_x: 1", "give long names such as `nodes`"),
            ("  nodes: 1\n  nodes: 2", "the key `nodes` stands here a second time"),
            ("  job-name: a\n  job_name: b", "the key `job_name` stands here a second time"),
            ("  time: soon", "`soon` is no time limit"),
            ("  wrap: true", "sbatch has no option `wrap`"),
            ("  array: 1-10", "`1-10` is no number of shards"),
            ("  requeue: often", "expected `true` or `false`"),
            ("  nodes:", "the value of `nodes` is missing"),
            ("  nodes: [1]", "expected a text or a number"),
            ("- a", "options of sbatch, such as"),
        ] {
            let error = slurm(lines).unwrap_err();
            assert!(error.contains(expected), "{lines}: {error}");
        }
    }
}
