//! `list:`, `glob:` and `file:`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::SweepPart;
use super::values::{NAMES, TypedValue};
use crate::config::keys::{FreeKey, KeyRule, repeated_key};
use crate::config::scalar;
use crate::sweep::ParamValue;

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
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Glob<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a pattern such as `chunks/*.fa`, or a list of them")
    }

    fn visit_str<E: Error>(self, pattern: &str) -> Result<Vec<String>, E> {
        self.checked(vec![pattern.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<String>, A::Error> {
        let mut patterns = Vec::new();
        while let Some(scalar::WrittenText(pattern)) = sequence.next_element()? {
            patterns.push(pattern);
        }
        self.checked(patterns)
    }
}

impl Glob<'_> {
    fn checked<E: Error>(self, patterns: Vec<String>) -> Result<Vec<String>, E> {
        if patterns.is_empty() || patterns.iter().any(String::is_empty) {
            return Err(E::custom("there is no pattern; give one, such as `chunks/*.fa`"));
        }
        match ["file", "stem"].into_iter().find(|name| !self.0.insert((*name).to_owned())) {
            Some(name) => Err(E::custom((NAMES.repeated)(name))),
            None => Ok(patterns),
        }
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
