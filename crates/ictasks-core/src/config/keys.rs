//! Keys of maps: known ones, the user's own (`x-…`), and helpful errors about all others.
//!
//! Everything is decided while the key itself is read, so that the parser attaches the key's own
//! place to the error.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// What the user's own keys begin with.
pub(crate) const OWN_PREFIX: &str = "x-";

/// A deserializer under which a derived struct skips the user's own keys and refuses unknown and
/// repeated ones. For structs with `#[serde(remote = "Self")]`.
pub(crate) struct Keys<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Keys<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = KeysVisitor { fields, visitor };
        self.0.deserialize_struct(name, fields, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Implements `Deserialize` by [`Keys`] for a struct with `#[serde(remote = "Self")]`.
macro_rules! deserialize_with_keys {
    ($($name:ty),+) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$name>::deserialize($crate::config::keys::Keys(deserializer))
            }
        }
    )+};
}
pub(crate) use deserialize_with_keys;

struct KeysVisitor<V> {
    fields: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for KeysVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(KnownKeys::new(map, self.fields))
    }
}

/// A map without the user's own keys, which refuses unknown and repeated ones.
pub(crate) struct KnownKeys<A> {
    map: A,
    fields: &'static [&'static str],
    seen: HashSet<&'static str>,
}

impl<A> KnownKeys<A> {
    pub(crate) fn new(map: A, fields: &'static [&'static str]) -> Self {
        Self { map, fields, seen: HashSet::new() }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for KnownKeys<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = seed;
        loop {
            let known_key = KnownKey { seed, fields: self.fields, seen: &mut self.seen };
            match self.map.next_key_seed(known_key)? {
                None => return Ok(None),
                Some(Key::Known(value)) => return Ok(Some(value)),
                Some(Key::Own(given_back)) => {
                    self.map.next_value::<IgnoredAny>()?;
                    seed = given_back;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<K, V> {
    Known(V),
    Own(K),
}

struct KnownKey<'a, K> {
    seed: K,
    fields: &'static [&'static str],
    seen: &'a mut HashSet<&'static str>,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KnownKey<'_, K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KnownKey<'_, K> {
    type Value = Key<K, K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let Some(field) = self.fields.iter().find(|field| **field == key) else {
            return if key.starts_with(OWN_PREFIX) {
                Ok(Key::Own(self.seed))
            } else {
                Err(E::custom(unknown_key(key, self.fields)))
            };
        };
        if !self.seen.insert(field) {
            return Err(E::custom(repeated_key(key)));
        }
        self.seed.deserialize(key.into_deserializer()).map(Key::Known)
    }
}

pub(crate) fn repeated_key(key: &str) -> String {
    format!("the key `{key}` stands here a second time; give it once")
}

fn unknown_key(key: &str, fields: &[&str]) -> String {
    let nearest = fields
        .iter()
        .map(|field| (strsim::normalized_damerau_levenshtein(key, field), field))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((similarity, field)) if similarity >= 0.5 => {
            format!("unknown key `{key}`; did you mean `{field}`? (keys of your own begin with `x-`)")
        }
        _ => format!(
            "unknown key `{key}`; known here are {} (keys of your own begin with `x-`)",
            listed(fields)
        ),
    }
}

fn listed(fields: &[&str]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    quoted.join(", ")
}

/// What is checked about each key of a free map.
#[derive(Clone, Copy)]
pub(crate) struct KeyRule {
    /// Refuses a key, saying why.
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// Whether `a` and `A` are the same key.
    pub(crate) ignores_case: bool,
    /// What is said of a key that comes twice.
    pub(crate) repeated: fn(&str) -> String,
}

/// Reads a free map whose keys follow `rule`, none coming twice.
pub(crate) fn free_map<'de, D, T, M>(deserializer: D, rule: KeyRule) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    T: serde::Deserialize<'de>,
    M: Default + Extend<(String, T)>,
{
    deserializer.deserialize_map(FreeMap::<T, M>(rule, PhantomData))
}

struct FreeMap<T, M>(KeyRule, PhantomData<(T, M)>);

impl<'de, T, M> Visitor<'de> for FreeMap<T, M>
where
    T: serde::Deserialize<'de>,
    M: Default + Extend<(String, T)>,
{
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map of names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut seen = HashSet::new();
        let mut result = M::default();
        while let Some(key) = map.next_key_seed(FreeKey(self.0, &mut seen))? {
            result.extend([(key, map.next_value::<T>()?)]);
        }
        Ok(result)
    }

    fn visit_unit<E: Error>(self) -> Result<M, E> {
        Ok(M::default())
    }
}

/// One key of a free map, and those that came before.
pub(crate) struct FreeKey<'a>(pub(crate) KeyRule, pub(crate) &'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for FreeKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FreeKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        (self.0.check)(key).map_err(E::custom)?;
        let folded = if self.0.ignores_case { key.to_ascii_lowercase() } else { key.to_owned() };
        if self.1.insert(folded) { Ok(key.to_owned()) } else { Err(E::custom((self.0.repeated)(key))) }
    }
}
