//! Times in run.json: RFC 3339, UTC, with microseconds.

use chrono::{DateTime, SecondsFormat, Utc};
use ictasks_core::column::Timestamp;

/// As text, for instance `2026-03-01T12:00:00.000000Z`.
pub(crate) fn text(at: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_micros(at.0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// For `#[serde(with)]` on a [`Timestamp`].
pub(crate) mod required {
    use super::{DateTime, Timestamp, text};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(*at))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(Timestamp(time.timestamp_micros()))
    }
}

/// For `#[serde(with)]` on an `Option<Timestamp>`.
pub(crate) mod optional {
    use super::{DateTime, Timestamp, text};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(text).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(Some(Timestamp(time.timestamp_micros())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_microseconds() {
        assert_eq!(text(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(Timestamp(1_772_366_400_000_001)), "2026-03-01T12:00:00.000001Z");
    }
}
