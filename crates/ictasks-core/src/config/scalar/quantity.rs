//! Durations and sizes, with their units.

use serde::de::Deserializer;

use super::{Scalar, scalar, some_text};

/// A duration in seconds, or with its units: `2`, `0.5`, `500ms`, `90s`, `1h30m`, `2d`.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    const WANTED: &str = "seconds such as `2`, `0.5`, `500ms` or `90s`, or `1h30m`";
    scalar(deserializer, WANTED, |scalar| {
        let (seconds, shown) = match scalar {
            Scalar::Null => return Ok(None),
            Scalar::Integer(number) => (number.to_string().parse().ok(), number.to_string()),
            Scalar::Float(number) => (Some(number), number.to_string()),
            Scalar::Text(text) => (parse_seconds(text), text.to_owned()),
            Scalar::Bool(value) => (None, value.to_string()),
        };
        match seconds {
            Some(seconds) if (0.0..=1e9).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(format!("`{shown}` is no duration; give {WANTED}, 0 or more")),
        }
    })
}

/// A number of seconds, or numbers with units, the largest first: `1h30m`.
pub(crate) fn parse_seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 5] = [("d", 86_400.0), ("h", 3600.0), ("ms", 1e-3), ("m", 60.0), ("s", 1.0)];
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse() {
        return Some(seconds);
    }
    let (mut sum, mut smallest) = (0.0, f64::INFINITY);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let (unit, scale) = *UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        if scale >= smallest {
            return None;
        }
        (sum, smallest) = (sum + number * scale, scale);
        rest = rest[unit.len()..].trim_start();
    }
    smallest.is_finite().then_some(sum)
}

/// An amount of memory with its unit: `2G`, `1.5 GiB`, `500M`.
pub(in crate::config) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    some_text(deserializer, "a size such as `2G`", |text| match parse_bytes(text)? {
        0 => Err(format!("`{text}` is no memory to run in; give for instance `2G`")),
        bytes => Ok(bytes),
    })
}

/// A size, or `none`.
pub(in crate::config) fn output_limit<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<i64>>, D::Error> {
    some_text(deserializer, "a size such as `100M`, or `none`", parse_output_limit)
}

/// A size of output that is kept; `None` for `none`.
pub(in crate::config) fn parse_output_limit(text: &str) -> Result<Option<i64>, String> {
    const LEAST: i64 = 64 * 1024;
    if text == "none" {
        return Ok(None);
    }
    match parse_bytes(text)? {
        LEAST.. => parse_bytes(text).map(Some),
        _ => Err(format!("`{text}` is too little; give 64K or more, or `none` for no limit")),
    }
}

/// `2G` and the like; units are powers of 1024, as in Slurm.
#[allow(clippy::cast_possible_truncation)]
fn parse_bytes(text: &str) -> Result<i64, String> {
    let wanted = || format!("`{text}` is no size; give a number with its unit (K, M, G or T), such as `2G`");
    let letters = text.trim();
    let split = letters.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(letters.len());
    let number: f64 = letters[..split].trim().parse().map_err(|_| wanted())?;
    let unit = letters[split..].to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
    let power = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wanted()),
    };
    let bytes = number * (1_i64 << power) as f64;
    if !(0.0..1e18).contains(&bytes) {
        return Err(wanted());
    }
    Ok(bytes as i64)
}
