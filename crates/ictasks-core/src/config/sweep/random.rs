//! `random:`.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::values::{NAMES, TypedNumber, Whole, value_list};
use crate::config::keys::{FreeKey, KeyRule, deserialize_with_keys, repeated_key};
use crate::sweep::{Distribution, Number, ParamValue, Random};

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

struct TypedDistribution(Distribution);

/// One of these.
#[derive(DeriveDeserialize, Default)]
#[serde(remote = "Self", deny_unknown_fields, default)]
struct DistributionMap {
    uniform: Option<Pair>,
    log_uniform: Option<Pair>,
    integer: Option<Pair>,
    choice: Option<Choice>,
}

deserialize_with_keys!(DistributionMap);

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

/// Two numbers.
struct Pair(Number, Number);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("two numbers, such as `[0, 1]`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Pair, A::Error> {
        let mut numbers = Vec::new();
        while let Some(TypedNumber(number)) = sequence.next_element()? {
            numbers.push(number);
        }
        match numbers[..] {
            [from, to] => Ok(Pair(from, to)),
            _ => Err(A::Error::custom("give two numbers, such as `[0, 1]`")),
        }
    }
}

impl<'de> Deserialize<'de> for TypedDistribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DistributionVisitor)
    }
}

struct DistributionVisitor;

impl<'de> Visitor<'de> for DistributionVisitor {
    type Value = TypedDistribution;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("what to draw from, such as `{uniform: [0, 1]}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TypedDistribution, A::Error> {
        let map: DistributionMap = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        map.distribution().map(TypedDistribution).map_err(A::Error::custom)
    }
}

impl DistributionMap {
    fn distribution(self) -> Result<Distribution, String> {
        match (self.uniform, self.log_uniform, self.integer, self.choice) {
            (Some(Pair(from, to)), None, None, None) => {
                let (from, to) = (from.as_f64(), to.as_f64());
                if from <= to && (to - from).is_finite() {
                    return Ok(Distribution::Uniform(from, to));
                }
                Err("`uniform` has the smaller number first, such as `[0, 1]`".to_owned())
            }
            (None, Some(Pair(from, to)), None, None) => {
                let (from, to) = (from.as_f64(), to.as_f64());
                if 0.0 < from && from <= to {
                    return Ok(Distribution::LogUniform(from, to));
                }
                Err("`log_uniform` has two numbers above 0, the smaller first, such as `[1e-3, 1]`"
                    .to_owned())
            }
            (None, None, Some(Pair(Number::Integer(from), Number::Integer(to))), None) if from <= to => {
                Ok(Distribution::Integer(from, to))
            }
            (None, None, Some(_), None) => {
                Err("`integer` has two whole numbers, the smaller first, such as `[1, 10]`".to_owned())
            }
            (None, None, None, Some(Choice(values))) => Ok(Distribution::Choice(values)),
            _ => Err("give one of `uniform`, `log_uniform`, `integer` and `choice`".to_owned()),
        }
    }
}
