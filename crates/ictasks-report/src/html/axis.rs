//! Where the ticks of an axis lie and what they say. Positions are shares of the axis, 0 to 1.

/// A tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub at: f64,
    /// What it says.
    pub label: String,
}

/// Steps of a time axis, seconds.
const STEPS: [f64; 34] = [
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    432_000.0,
    864_000.0,
    1_728_000.0,
    4_320_000.0,
    8_640_000.0,
    31_536_000.0,
];

/// Time from 0 to `span_s`; `page.js` does the same for a part of it.
pub fn time(span_s: f64) -> Vec<Tick> {
    if span_s <= 0.0 {
        return Vec::new();
    }
    let step = STEPS.into_iter().find(|step| span_s / step <= 6.0).unwrap_or(span_s);
    let last = (span_s / step + 1e-9).floor();
    let mut ticks = Vec::new();
    let mut number = 0.0;
    while number <= last {
        let at_s = number * step;
        ticks.push(Tick { at: at_s / span_s, label: time_label(at_s, step) });
        number += 1.0;
    }
    ticks
}

fn time_label(at_s: f64, step: f64) -> String {
    if at_s == 0.0 {
        return "0".to_owned();
    }
    match step {
        s if s >= 86_400.0 => format!("{:.0} d", at_s / 86_400.0),
        s if s >= 3600.0 => format!("{:.0} h", at_s / 3600.0),
        s if s >= 60.0 => format!("{:.0} min", at_s / 60.0),
        s if s >= 1.0 => format!("{at_s:.0} s"),
        _ => format!("{:.0} ms", at_s * 1e3),
    }
}

/// From 0 to at least `largest`: the end of the axis, and its ticks.
pub fn from_zero(largest: f64) -> (f64, Vec<Tick>) {
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let magnitude = 10_f64.powf((largest / 4.0).log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = factors.into_iter().map(|factor| factor * magnitude).find(|step| largest / step <= 4.0);
    let step = step.unwrap_or(10.0 * magnitude);
    let steps = (largest / step - 1e-9).ceil().max(1.0);
    let mut ticks = Vec::new();
    let mut number = 0.0;
    while number <= steps {
        ticks.push(Tick { at: number / steps, label: count_label(number * step, step) });
        number += 1.0;
    }
    (steps * step, ticks)
}

fn count_label(value: f64, step: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", trimmed(v / 1e6)),
        v if v >= 1e4 => format!("{} k", trimmed(v / 1e3)),
        _ if step < 1.0 => trimmed(value),
        v => format!("{v:.0}"),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 0 to 100 %.
pub fn share() -> Vec<Tick> {
    [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| Tick { at, label: format!("{:.0} %", at * 100.0) }).to_vec()
}

/// What an axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Durations.
    Seconds,
    /// Amounts of memory.
    Bytes,
}

impl Unit {
    /// A figure for people.
    #[allow(clippy::cast_possible_truncation)]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => crate::units::duration(value),
            Self::Bytes => crate::units::bytes(value.round() as i64),
        }
    }

    fn candidates(self) -> Vec<(f64, String)> {
        match self {
            Self::Seconds => {
                STEPS.into_iter().filter(|&s| s < 31_000_000.0).map(|s| (s, time_label(s, s))).collect()
            }
            Self::Bytes => (0..60)
                .map(|power| {
                    let unit = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][power / 10];
                    (2_f64.powf(power as f64), format!("{} {unit}", 1_u64 << (power % 10)))
                })
                .collect(),
        }
    }
}

/// A logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogAxis {
    from: f64,
    to: f64,
    unit: Unit,
}

impl LogAxis {
    /// Over all positive values; none if there are fewer than two different ones.
    pub fn over(values: impl IntoIterator<Item = f64>, unit: Unit) -> Option<Self> {
        let positive = || f64::INFINITY;
        let (from, to) = values
            .into_iter()
            .filter(|value| *value > 0.0 && value.is_finite())
            .fold((positive(), 0.0_f64), |(from, to), value| (from.min(value), to.max(value)));
        (from < to).then_some(Self { from, to, unit })
    }

    /// Where a value lies; values outside lie at the ends.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        (value / self.from).ln() / (self.to / self.from).ln()
    }

    /// At most `limit` ticks and one, none so near to the one before that their labels would touch.
    pub fn ticks(&self, limit: usize) -> Vec<Tick> {
        let apart = 1.0 / limit.max(1) as f64;
        let mut ticks: Vec<Tick> = Vec::new();
        for (value, label) in self.unit.candidates() {
            let inside = (self.from..=self.to).contains(&value);
            if inside && ticks.last().is_none_or(|last| self.at(value) - last.at >= apart) {
                ticks.push(Tick { at: self.at(value), label });
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn time_axes_have_few_round_ticks() {
        assert_eq!(labels(&time(0.012)), ["0", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms", "12 ms"]);
        assert_eq!(labels(&time(95.0)), ["0", "30 s", "60 s", "90 s"]);
        assert_eq!(labels(&time(5.0 * 3600.0)), ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]);
        assert_eq!(labels(&time(40.0 * 86_400.0)), ["0", "10 d", "20 d", "30 d", "40 d"]);
        assert_eq!(time(0.0), []);
    }

    #[test]
    fn counts_end_at_a_tick() {
        let (end, ticks) = from_zero(61.0);
        assert_eq!((end, labels(&ticks)), (80.0, vec!["0", "20", "40", "60", "80"]));
        assert_eq!(labels(&from_zero(1_000_000.0).1), ["0", "250 k", "500 k", "750 k", "1 M"]);
        assert_eq!(labels(&from_zero(0.0).1), ["0", "0.25", "0.5", "0.75", "1"]);
        assert_eq!(from_zero(64.0).0, 80.0);
    }

    #[test]
    fn logarithmic_axes_need_a_range() {
        assert_eq!(LogAxis::over([3.0, 3.0, 0.0], Unit::Seconds), None);
        let axis = LogAxis::over([1.0, 10_000.0, 0.0, -1.0], Unit::Seconds).unwrap();
        assert!((axis.at(100.0) - 0.5).abs() < 1e-12);
        assert_eq!((axis.at(0.0), axis.at(1e9)), (0.0, 1.0));
        let ticks = axis.ticks(6);
        assert!(ticks.windows(2).all(|pair| pair[1].at - pair[0].at >= 1.0 / 6.0), "{ticks:?}");
        let memory = LogAxis::over([1e6, 9e9], Unit::Bytes).unwrap();
        assert_eq!(
            labels(&memory.ticks(7)),
            ["1 MiB", "4 MiB", "16 MiB", "64 MiB", "256 MiB", "1 GiB", "4 GiB"]
        );
    }
}
