//! How each kind of points is read, so that an error is noticed where it stands.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::SweepPart;
use crate::config::keys::{FreeKey, KeyRule, deserialize_with_keys, repeated_key};
use crate::config::scalar::{self, Scalar, check_parameter_name};
use crate::sweep::{Axis, Distribution, Number, ParamValue, Random, Range, Scale};

const NAMES: KeyRule = KeyRule {
    ignores_case: true,
    check: check_parameter_name,
    repeated: |name| format!("the parameter `{name}` comes a second time in the sweep; give it once"),
};

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

fn value_list<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Vec<ParamValue>, A::Error> {
    let mut values = Vec::new();
    while let Some(TypedValue(value)) = sequence.next_element()? {
        values.push(value);
    }
    if values.is_empty() {
        return Err(A::Error::custom("the list is empty; give at least one value"));
    }
    Ok(values)
}

struct TypedValue(ParamValue);

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

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
    scalar::scalar(deserializer, "a number", |scalar| match scalar {
        Scalar::Integer(number) => match i64::try_from(number) {
            Ok(number) => Ok(Number::Integer(number)),
            Err(_) => Err(format!("`{number}` has more than 64 bits; give a smaller number")),
        },
        Scalar::Float(number) if number.is_finite() => Ok(Number::Float(number)),
        _ => Err("this is no number; give one".to_owned()),
    })
}

fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Number>, D::Error> {
    number(deserializer).map(Some)
}

fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    scalar::scalar(deserializer, "a whole number, 0 or more", |scalar| match scalar {
        Scalar::Integer(number) => u64::try_from(number).map_err(|_| {
            format!("`{number}` is impossible; give a whole number from 0 to 18446744073709551615")
        }),
        _ => Err("this is no whole number; give one, 0 or more".to_owned()),
    })
}

fn some_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    whole(deserializer).map(Some)
}

/// Points one by one: `list:`.
pub(super) struct List<'a>(pub(super) &'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = SweepPart;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SweepPart, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = SweepPart;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of points, such as `[{x: 1, y: 2}]`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<SweepPart, A::Error> {
        let Some(first) = sequence.next_element_seed(Point { seen: Some(self.0), names: &[] })? else {
            return Err(A::Error::custom("the list is empty; give at least one point"));
        };
        let names: Vec<String> = first.iter().map(|(name, _)| name.clone()).collect();
        let mut rows = vec![first.into_iter().map(|(_, value)| value).collect()];
        while let Some(mut point) = sequence.next_element_seed(Point { seen: None, names: &names })? {
            point.sort_by_key(|(name, _)| names.iter().position(|other| other == name));
            rows.push(point.into_iter().map(|(_, value)| value).collect());
        }
        Ok(SweepPart::List { names, rows })
    }
}

/// One point: the first says which parameters there are, which then are those of all others.
struct Point<'a> {
    seen: Option<&'a mut HashSet<String>>,
    names: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Point<'_> {
    type Value = Vec<(String, ParamValue)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Point<'_> {
    type Value = Vec<(String, ParamValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a point, such as `{x: 1, y: 2}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut own = HashSet::new();
        let is_first = self.seen.is_some();
        let rule = if is_first { NAMES } else { KeyRule { repeated: repeated_key, ..NAMES } };
        let seen = self.seen.unwrap_or(&mut own);
        let mut point = Vec::with_capacity(self.names.len());
        while let Some(name) = map.next_key_seed(FreeKey(rule, seen))? {
            let TypedValue(value) = map.next_value()?;
            point.push((name, value));
        }
        let has = |name: &String| point.iter().any(|(other, _)| other == name);
        if point.is_empty() {
            return Err(A::Error::custom("the point is empty; give for instance `{x: 1}`"));
        }
        if is_first {
            return Ok(point);
        }
        let one = |name: &String, does| {
            format!(
                "this point {does} `{name}`, unlike the first; all points of a list have the same parameters (a value may be `null`)"
            )
        };
        if let Some(missing) = self.names.iter().find(|name| !has(name)) {
            return Err(A::Error::custom(one(missing, "has no")));
        }
        match point.iter().find(|(name, _)| !self.names.contains(name)) {
            Some((name, _)) => Err(A::Error::custom(one(name, "has"))),
            None => Ok(point),
        }
    }
}

/// Patterns: `glob:`.
pub(super) struct Glob<'a>(pub(super) &'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for Glob<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        let patterns = scalar::paths(deserializer)?;
        if patterns.is_empty() {
            return Err(D::Error::custom(
                "the list is empty; give at least one pattern, such as `chunks/*.fa`",
            ));
        }
        for name in ["file", "stem"] {
            if !self.0.insert(name.to_owned()) {
                return Err(D::Error::custom((NAMES.repeated)(name)));
            }
        }
        Ok(patterns)
    }
}

/// The name of a table: `file:`.
pub(super) struct File;

impl<'de> DeserializeSeed<'de> for File {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        scalar::path(deserializer)
    }
}

/// `random:`.
pub(super) struct RandomMap<'a>(pub(super) &'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for RandomMap<'_> {
    type Value = Random;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Random, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RandomMap<'_> {
    type Value = Random;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map such as `{count: 100, seed: 1, x: {uniform: [0, 1]}}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Random, A::Error> {
        let mut own = HashSet::new();
        let (mut count, mut seed) = (None, None);
        let mut parameters = Vec::new();
        while let Some(key) = map.next_key_seed(RandomKey { seen: self.0, own: &mut own })? {
            match key.as_str() {
                "count" => count = Some(map.next_value::<Whole>()?.0),
                "seed" => seed = Some(map.next_value::<Whole>()?.0),
                _ => parameters.push((key, map.next_value::<TypedDistribution>()?.0)),
            }
        }
        let Some(count @ 1..) = count else {
            return Err(A::Error::custom("the key `count`, the number of points, is missing or 0; give it"));
        };
        if parameters.is_empty() {
            return Err(A::Error::custom(
                "there are no parameters; give for instance `x: {uniform: [0, 1]}`",
            ));
        }
        let random = Random { count, seed: seed.unwrap_or(0), parameters };
        match random.different_points() {
            Some(different) if different < count => Err(A::Error::custom(format!(
                "`count` is {count}, and there are {different} different points; give {different} or fewer, or all \
                 of them as `grid`"
            ))),
            _ => Ok(random),
        }
    }
}

/// `count`, `seed`, or a parameter.
struct RandomKey<'a> {
    seen: &'a mut HashSet<String>,
    own: &'a mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for RandomKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for RandomKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        let is_setting = matches!(key, "count" | "seed");
        let (rule, seen) = if is_setting {
            (KeyRule { repeated: repeated_key, ..NAMES }, self.own)
        } else {
            (NAMES, self.seen)
        };
        FreeKey(rule, seen).visit_str(key)
    }
}

#[derive(DeriveDeserialize)]
struct Whole(#[serde(deserialize_with = "whole")] u64);

struct TypedDistribution(Distribution);

/// One of these.
#[derive(DeriveDeserialize, Default)]
#[serde(remote = "Self", deny_unknown_fields, default)]
struct DistributionMap {
    uniform: Option<(TypedNumber, TypedNumber)>,
    log_uniform: Option<(TypedNumber, TypedNumber)>,
    integer: Option<(TypedNumber, TypedNumber)>,
    choice: Option<Choice>,
}

deserialize_with_keys!(DistributionMap);

#[derive(Clone, Copy, DeriveDeserialize)]
struct TypedNumber(#[serde(deserialize_with = "number")] Number);

struct Choice(Vec<ParamValue>);

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl<'de> Visitor<'de> for ChoiceVisitor {
    type Value = Choice;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Choice, A::Error> {
        value_list(sequence).map(Choice)
    }
}

impl<'de> Deserialize<'de> for TypedDistribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = DistributionMap::deserialize(crate::config::keys::Keys(deserializer))?;
        map.distribution().map(Self).map_err(D::Error::custom)
    }
}

impl DistributionMap {
    fn distribution(self) -> Result<Distribution, String> {
        match (self.uniform, self.log_uniform, self.integer, self.choice) {
            (Some((from, to)), None, None, None) => {
                let (from, to) = (from.0.as_f64(), to.0.as_f64());
                if from <= to && (to - from).is_finite() {
                    return Ok(Distribution::Uniform(from, to));
                }
                Err("`uniform` has the smaller number first, such as `[0, 1]`".to_owned())
            }
            (None, Some((from, to)), None, None) => {
                let (from, to) = (from.0.as_f64(), to.0.as_f64());
                if 0.0 < from && from <= to {
                    return Ok(Distribution::LogUniform(from, to));
                }
                Err("`log_uniform` has two numbers above 0, the smaller first, such as `[1e-3, 1]`"
                    .to_owned())
            }
            (
                None,
                None,
                Some((TypedNumber(Number::Integer(from)), TypedNumber(Number::Integer(to)))),
                None,
            ) if from <= to => Ok(Distribution::Integer(from, to)),
            (None, None, Some(_), None) => {
                Err("`integer` has two whole numbers, the smaller first, such as `[1, 10]`".to_owned())
            }
            (None, None, None, Some(Choice(values))) => Ok(Distribution::Choice(values)),
            _ => Err("give one of `uniform`, `log_uniform`, `integer` and `choice`".to_owned()),
        }
    }
}
