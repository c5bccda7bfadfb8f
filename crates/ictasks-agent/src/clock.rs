//! Between nanoseconds of the monotonic clock and seconds.

/// Nanoseconds as seconds.
#[allow(clippy::cast_precision_loss)]
pub fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// Seconds as nanoseconds.
#[allow(clippy::cast_possible_truncation)]
pub fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}
