//! `grid:` and `zip:`.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::values::{NAMES, number, some_number, some_whole, value_list};
use crate::config::keys::{FreeKey, deserialize_with_keys};
use crate::sweep::{Axis, Number, Range, Scale};

/// A map of parameters and their values: `grid:` and `zip:`.
pub(super) struct Axes<'a> {
    pub(super) seen: &'a mut HashSet<String>,
    pub(super) is_zip: bool,
}

impl<'de> DeserializeSeed<'de> for Axes<'_> {
    type Value = Vec<(String, Axis)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Axes<'_> {
    type Value = Vec<(String, Axis)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map of parameters and their values, such as `{x: [1, 2, 3]}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut axes: Vec<(String, Axis)> = Vec::new();
        while let Some(name) = map.next_key_seed(FreeKey(NAMES, self.seen))? {
            axes.push((name, map.next_value::<TypedAxis>()?.0));
        }
        let Some((first, axis)) = axes.first() else {
            return Err(A::Error::custom("there are no parameters; give for instance `{x: [1, 2, 3]}`"));
        };
        let other = axes.iter().find(|(_, other)| self.is_zip && other.count() != axis.count());
        if let Some((name, other)) = other {
            return Err(A::Error::custom(format!(
                "`{first}` has {} and `{name}` has {}; side by side they need as many (`grid` makes all combinations)",
                values(axis.count()),
                values(other.count())
            )));
        }
        Ok(axes)
    }
}

fn values(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

struct TypedAxis(Axis);

impl<'de> Deserialize<'de> for TypedAxis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AxisVisitor)
    }
}

struct AxisVisitor;

impl<'de> Visitor<'de> for AxisVisitor {
    type Value = TypedAxis;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of values, or a range such as `{from: 0, to: 1, step: 0.1}`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<TypedAxis, A::Error> {
        value_list(sequence).map(|values| TypedAxis(Axis::Values(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TypedAxis, A::Error> {
        let range: RangeMap = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        range.range().map(|range| TypedAxis(Axis::Range(range))).map_err(A::Error::custom)
    }
}

/// `{from: 0, to: 1, step: 0.1}`, with `step` or `count`.
#[derive(DeriveDeserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct RangeMap {
    #[serde(deserialize_with = "number")]
    from: Number,
    #[serde(deserialize_with = "number")]
    to: Number,
    #[serde(default, deserialize_with = "some_number")]
    step: Option<Number>,
    #[serde(default, deserialize_with = "some_whole")]
    count: Option<u64>,
    #[serde(default)]
    scale: Option<TypedScale>,
}

#[derive(Clone, Copy, DeriveDeserialize)]
#[serde(rename_all = "lowercase")]
enum TypedScale {
    Linear,
    Log,
}

deserialize_with_keys!(RangeMap);

impl RangeMap {
    fn range(&self) -> Result<Range, String> {
        let scale = match self.scale {
            Some(TypedScale::Log) => Scale::Log,
            Some(TypedScale::Linear) | None => Scale::Linear,
        };
        match (self.step, self.count) {
            (Some(_), None) if scale == Scale::Log => {
                Err("`scale: log` goes with `count`, not with `step`".to_owned())
            }
            (Some(step), None) => Range::with_step(self.from, self.to, step),
            (None, Some(count)) => Range::with_count(self.from, self.to, count, scale),
            _ => Err("a range has `from`, `to` and either `step` or `count`".to_owned()),
        }
    }
}
