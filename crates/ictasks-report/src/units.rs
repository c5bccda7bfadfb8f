//! Figures for people.

/// A duration: `3 ms`, `0.12 s`, `12.3 s`, `4 min 05 s`, `3 h 20 min`, `2 d 04 h`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match seconds {
        s if s < 0.0095 => format!("{:.1} ms", s.max(0.0) * 1e3),
        s if s < 0.0995 => format!("{:.0} ms", s * 1e3),
        s if s < 0.995 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ if whole < 86_400 => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole / 3600 % 24),
    }
}

/// Core seconds as core time: `1,234 core h`, `2.3 core min`, `0.41 core s`.
pub fn core_time(core_seconds: f64) -> String {
    match core_seconds {
        s if s >= 3600.0 => format!("{} core h", significant(s / 3600.0)),
        s if s >= 60.0 => format!("{} core min", significant(s / 60.0)),
        s if s > 0.0 && s < 0.00995 => "<0.01 core s".to_owned(),
        s => format!("{} core s", significant(s)),
    }
}

/// Bytes in powers of 1024, as Slurm counts: `123 B`, `1.2 KiB`, `640 MiB`, `2.3 GiB`.
#[allow(clippy::cast_precision_loss)]
pub fn bytes(count: i64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1000.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{} {unit}", significant(value)) };
        }
        value /= 1024.0;
    }
    format!("{} PiB", significant(value))
}

/// A share as `59 %`; what is not quite nothing or not quite all is not rounded to it.
pub fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 1.0 => "<1 %".to_owned(),
        p if (99.0..100.0).contains(&p) => ">99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// A count with separators: `1,234,567`.
pub fn count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count < 0 { format!("-{text}") } else { text }
}

/// A count with its noun: `1 task`, `2 tasks`.
pub fn counted(number: i64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Two or three significant digits: `0.041`, `1.2`, `12`, `1,234`.
#[allow(clippy::cast_possible_truncation)]
pub fn significant(value: f64) -> String {
    match value.abs() {
        v if v >= 99.5 => count(value.round() as i64),
        v if v >= 9.95 => format!("{value:.0}"),
        v if v >= 0.995 => format!("{value:.1}"),
        v if v >= 0.0995 => format!("{value:.2}"),
        v if v >= 0.00995 => format!("{value:.3}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_for_people() {
        let durations = [0.0, 0.0042, 0.042, 0.42, 12.34, 59.96, 245.0, 12_000.0, 187_200.0].map(duration);
        assert_eq!(
            durations,
            [
                "0.0 ms",
                "4.2 ms",
                "42 ms",
                "0.42 s",
                "12.3 s",
                "1 min 00 s",
                "4 min 05 s",
                "3 h 20 min",
                "2 d 04 h"
            ]
        );
        assert_eq!(
            [0.41, 138.0, 4_442_400.0].map(core_time),
            ["0.41 core s", "2.3 core min", "1,234 core h"]
        );
        assert_eq!(
            [512, 1229, 671_088_640, 2_469_606_195].map(bytes),
            ["512 B", "1.2 KiB", "640 MiB", "2.3 GiB"]
        );
        assert_eq!([0.0, 0.001, 0.594, 0.9999, 1.0].map(percent), ["0 %", "<1 %", "59 %", ">99 %", "100 %"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "task"), counted(2, "task")], ["1 task", "2 tasks"]);
    }
}
