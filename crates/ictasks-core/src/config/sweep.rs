//! `sweep:`, as typed.
//!
//! - `axes`, `list`, `random`: how each kind of points is read, so that an error is noticed where it stands;
//! - `values`: what stands in them;
//! - `schema`: its JSON schema.

mod axes;
mod list;
mod random;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::keys::KnownKeys;
use crate::sweep::{Axis, ParamValue, Random};

/// The parts of a sweep in the order of the file; the points are their cross product, the last
/// part varying fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep(pub Vec<SweepPart>);

/// One part of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub enum SweepPart {
    /// The cross product of the values of parameters, the last varying fastest.
    Grid(Vec<(String, Axis)>),
    /// Values side by side; all have as many.
    Zip(Vec<(String, Axis)>),
    /// Points one by one.
    List {
        /// The parameters.
        names: Vec<String>,
        /// Their values.
        rows: Vec<Vec<ParamValue>>,
    },
    /// The files that these patterns find, as the parameters `file` and `stem`.
    Glob(Vec<String>),
    /// The rows of a table (CSV, TSV, Parquet), a parameter a column.
    File(String),
    /// Points drawn at random.
    Random(Random),
}

impl SweepPart {
    /// The key that it stands under.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Grid(_) => "grid",
            Self::Zip(_) => "zip",
            Self::List { .. } => "list",
            Self::Glob(_) => "glob",
            Self::File(_) => "file",
            Self::Random(_) => "random",
        }
    }
}

const KEYS: &[&str] = &["grid", "zip", "list", "glob", "file", "random"];

impl<'de> Deserialize<'de> for Sweep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SweepVisitor)
    }
}

struct SweepVisitor;

impl<'de> Visitor<'de> for SweepVisitor {
    type Value = Sweep;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map with `grid`, `zip`, `list`, `glob`, `file` or `random`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sweep, A::Error> {
        let mut map = KnownKeys::new(map, KEYS);
        // Names of parameters, in lower case.
        let mut seen = HashSet::new();
        let mut parts = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            parts.push(match key.as_str() {
                "grid" => {
                    SweepPart::Grid(map.next_value_seed(axes::Axes { seen: &mut seen, is_zip: false })?)
                }
                "zip" => SweepPart::Zip(map.next_value_seed(axes::Axes { seen: &mut seen, is_zip: true })?),
                "list" => map.next_value_seed(list::List(&mut seen))?,
                "glob" => SweepPart::Glob(map.next_value_seed(list::Glob(&mut seen))?),
                "file" => SweepPart::File(map.next_value_seed(list::File)?),
                _ => SweepPart::Random(map.next_value_seed(random::RandomMap(&mut seen))?),
            });
        }
        if parts.is_empty() {
            return Err(A::Error::custom("the sweep is empty; give for instance `grid: {x: [1, 2, 3]}`"));
        }
        Ok(Sweep(parts))
    }
}
