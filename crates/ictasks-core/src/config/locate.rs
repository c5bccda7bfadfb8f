//! Finds where a value stands in a YAML text, for errors that are noticed after it was read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// To the value of a key.
    Key(&'a str),
    /// To an element of a list.
    Index(usize),
}

/// Line and column, from 1, of the value at the end of `path`; `(0, 0)` if it is not there.
pub(super) fn locate(text: &str, path: &[Step]) -> (u64, u64) {
    // Arriving is an error, since the parser tells places with errors only.
    let arrived = Walk(path).deserialize(serde_yaml::Deserializer::from_str(text));
    let location = arrived.err().and_then(|error| error.location());
    location.map_or((0, 0), |at| (at.line() as u64, at.column() as u64))
}

#[derive(Clone, Copy)]
struct Walk<'a>(&'a [Step<'a>]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.is_empty() {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the value looked for")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((Step::Key(wanted), rest)) if *wanted == key => {
                    map.next_value_seed(Walk(rest))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Some((&Step::Index(wanted), rest)) = self.0.split_first() else {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        for _ in 0..wanted {
            sequence.next_element::<IgnoredAny>()?;
        }
        sequence.next_element_seed(Walk(rest))?;
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
