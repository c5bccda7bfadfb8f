//! Instants in findings.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Microseconds since the epoch, UTC; in JSON as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The wall clock now.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// Seconds from `earlier` to this instant; negative if it is before.
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// From RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_micros()))
    }

    /// From what people write: RFC 3339, or a date, with or without a time of day, in UTC.
    pub fn of_people(text: &str) -> Option<Self> {
        if let Some(moment) = Self::parse(text) {
            return Some(moment);
        }
        let text = text.strip_suffix(" UTC").unwrap_or(text);
        let of_day = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        of_day.or_else(midnight).map(|time| Self(time.and_utc().timestamp_micros()))
    }

    /// RFC 3339 with microseconds, UTC.
    pub fn rfc3339(self) -> String {
        self.time().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// For people, to the second: `2026-03-01 12:00:00 UTC`.
    pub fn for_people(self) -> String {
        self.time().format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no RFC 3339 time")))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}
