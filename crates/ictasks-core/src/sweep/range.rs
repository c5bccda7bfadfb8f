//! Numbers at equal distances: `{from: 0, to: 1, step: 0.1}`. None of them is ever in memory.

use super::value::ParamValue;

/// Numbers of a range, the first and usually the last being as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    first: Number,
    last: Number,
    spacing: Spacing,
    count: u64,
}

/// A number as typed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Without a fraction.
    Integer(i64),
    /// With one.
    Float(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    Whole(i64),
    /// With so many decimals.
    Step(f64, usize),
    Linear,
    Logarithmic,
}

/// How the numbers of a range with a count are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// At equal distances.
    #[default]
    Linear,
    /// At equal ratios.
    Log,
}

impl Number {
    #[allow(clippy::cast_precision_loss)]
    pub(crate) const fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
        }
    }
}

/// More points than this are a mistake.
const MAX_COUNT: f64 = 4e9;

impl Range {
    /// From `first` in steps up to `last`, which is the last number if a step ends there.
    ///
    /// # Errors
    /// What is wrong with it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn with_step(first: Number, last: Number, step: Number) -> Result<Self, String> {
        let width = last.as_f64() - first.as_f64();
        if step.as_f64() == 0.0 || (width != 0.0 && width.signum() != step.as_f64().signum()) {
            return Err(format!("steps of {step} do not lead from {first} to {last}; give another `step`"));
        }
        let steps = width / step.as_f64();
        if steps >= MAX_COUNT {
            return Err(format!(
                "from {first} to {last} there are too many steps of {step}; give a larger `step`"
            ));
        }
        if let (Number::Integer(from), Number::Integer(to), Number::Integer(step)) = (first, last, step) {
            let count = (i128::from(to) - i128::from(from)) / i128::from(step) + 1;
            let count = u64::try_from(count).unwrap_or(1);
            return Ok(Self { first, last, spacing: Spacing::Whole(step), count });
        }
        // A step that ends a rounding error beyond the last number ends there.
        let count = (steps + 1e-9 * steps.max(1.0)).floor() as u64 + 1;
        let decimals = decimals(first.as_f64()).max(decimals(step.as_f64()));
        Ok(Self { first, last, spacing: Spacing::Step(step.as_f64(), decimals), count })
    }

    /// So many numbers from `first` to `last`, both of which belong to them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with_count(first: Number, last: Number, count: u64, scale: Scale) -> Result<Self, String> {
        if count == 0 || count as f64 > MAX_COUNT {
            return Err(format!("`count: {count}` is impossible; give a number from 1 to 4000000000"));
        }
        if count == 1 && first != last {
            return Err(format!("`count: 1` has no room for {first} and {last}; give 2 or more"));
        }
        if scale == Scale::Log {
            if first.as_f64() <= 0.0 || last.as_f64() <= 0.0 {
                return Err("`scale: log` needs `from` and `to` above 0".to_owned());
            }
            return Ok(Self { first, last, spacing: Spacing::Logarithmic, count });
        }
        let spacing = match (first, last) {
            (Number::Integer(_), Number::Integer(_)) if count == 1 => Spacing::Whole(0),
            (Number::Integer(from), Number::Integer(to)) => {
                let (width, gaps) = (i128::from(to) - i128::from(from), i128::from(count - 1));
                match i64::try_from(width / gaps) {
                    Ok(step) if width % gaps == 0 => Spacing::Whole(step),
                    _ => Spacing::Linear,
                }
            }
            _ => Spacing::Linear,
        };
        Ok(Self { first, last, spacing, count })
    }

    /// How many there are; at least one.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The number at a position.
    #[allow(clippy::cast_precision_loss)]
    pub fn at(&self, position: u64) -> ParamValue {
        let (from, to) = (self.first.as_f64(), self.last.as_f64());
        let (at, gaps) = (position as f64, (self.count.max(2) - 1) as f64);
        let number = match self.spacing {
            Spacing::Whole(step) => {
                let Number::Integer(first) = self.first else { return ParamValue::null() };
                let number = i128::from(first) + i128::from(step) * i128::from(position);
                return i64::try_from(number).map_or_else(|_| ParamValue::null(), ParamValue::integer);
            }
            Spacing::Step(step, decimals) => to_decimals(from + step * at, decimals),
            Spacing::Linear if position + 1 == self.count => to,
            Spacing::Linear => {
                let number = rounded((from * (gaps - at) + to * at) / gaps);
                if number.abs() < 1e-15 * from.abs().max(to.abs()) { 0.0 } else { number }
            }
            Spacing::Logarithmic if position == 0 => from,
            Spacing::Logarithmic if position + 1 == self.count => to,
            Spacing::Logarithmic => rounded(((from.ln() * (gaps - at) + to.ln() * at) / gaps).exp()),
        };
        // A negative zero is a zero.
        ParamValue::float(number + 0.0).unwrap_or_else(ParamValue::null)
    }
}

/// Decimals of a number in its shortest form.
fn decimals(number: f64) -> usize {
    let shown = number.to_string();
    shown.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

fn to_decimals(number: f64, decimals: usize) -> f64 {
    if decimals > 17 { number } else { format!("{number:.decimals$}").parse().unwrap_or(number) }
}

/// To fourteen digits: what is beyond depends on the library of mathematics, and is no use to anybody.
pub(super) fn rounded(number: f64) -> f64 {
    format!("{number:.13e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Number::{Float, Integer};
    use proptest::prelude::*;

    fn shown(range: Result<Range, String>) -> Vec<String> {
        let range = range.unwrap();
        (0..range.count()).map(|position| range.at(position).as_text().to_owned()).collect()
    }

    #[test]
    fn steps() {
        let steps = |from, to, step| shown(Range::with_step(from, to, step));
        assert_eq!(steps(Integer(1), Integer(10), Integer(4)), ["1", "5", "9"]);
        assert_eq!(steps(Integer(3), Integer(1), Integer(-1)), ["3", "2", "1"]);
        assert_eq!(steps(Integer(5), Integer(5), Integer(1)), ["5"]);
        assert_eq!(
            steps(Integer(0), Integer(1), Float(0.1)),
            ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
        );
        assert_eq!(steps(Float(-0.2), Float(0.1), Float(0.1)), ["-0.2", "-0.1", "0.0", "0.1"]);
        assert_eq!(steps(Float(0.5), Integer(2), Float(0.75)), ["0.5", "1.25", "2.0"]);
        assert_eq!(steps(Float(0.0), Float(1.0), Float(0.4)), ["0.0", "0.4", "0.8"]);
    }

    #[test]
    fn counts() {
        let count = |from, to, count, scale| shown(Range::with_count(from, to, count, scale));
        assert_eq!(count(Integer(0), Integer(10), 3, Scale::Linear), ["0", "5", "10"]);
        assert_eq!(count(Integer(0), Integer(1), 3, Scale::Linear), ["0.0", "0.5", "1.0"]);
        assert_eq!(count(Float(0.1), Float(0.2), 3, Scale::Linear), ["0.1", "0.15", "0.2"]);
        assert_eq!(count(Float(-0.3), Float(0.3), 5, Scale::Linear), ["-0.3", "-0.15", "0.0", "0.15", "0.3"]);
        assert_eq!(count(Float(1e-3), Integer(1), 4, Scale::Log), ["0.001", "0.01", "0.1", "1.0"]);
        assert_eq!(count(Integer(4), Integer(4), 1, Scale::Linear), ["4"]);
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let steps = |from, to, step| Range::with_step(from, to, step).unwrap_err();
        assert_eq!(
            steps(Integer(0), Integer(1), Float(-0.1)),
            "steps of -0.1 do not lead from 0 to 1; give another `step`"
        );
        assert!(Range::with_step(Integer(0), Integer(1), Integer(0)).is_err());
        assert!(Range::with_step(Integer(0), Float(1e300), Integer(1)).is_err());
        assert!(Range::with_count(Integer(0), Integer(1), 0, Scale::Linear).is_err());
        assert!(Range::with_count(Integer(0), Integer(1), 1, Scale::Linear).is_err());
        assert!(Range::with_count(Integer(0), Integer(1), 3, Scale::Log).is_err());
    }

    proptest! {
        #[test]
        fn a_range_begins_and_ends_where_it_should(
            from in -1_000_000_i64..1_000_000, width in 0_i64..1_000_000, count in 2_u64..1000
        ) {
            let (first, last) = (Float(from as f64 / 1000.0), Float((from + width) as f64 / 1000.0));
            let range = Range::with_count(first, last, count, Scale::Linear).unwrap();
            let at = |position| range.at(position).json().as_f64().unwrap();
            prop_assert!((at(0) - first.as_f64()).abs() < 1e-9);
            prop_assert_eq!(at(count - 1), last.as_f64());
            prop_assert!((1..count).all(|position| at(position - 1) <= at(position)));
        }
    }
}
