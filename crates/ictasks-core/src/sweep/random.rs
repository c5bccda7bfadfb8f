//! Points drawn at random, each from its own number alone: nothing is kept, and a larger `count` keeps
//! the points that were there.

use super::range::rounded;
use super::value::ParamValue;
use crate::task::fnv1a;

/// `random:`, points drawn independently of one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Random {
    /// Number of points.
    pub count: u64,
    /// The same seed gives the same points.
    pub seed: u64,
    /// Parameters in the order of the file.
    pub parameters: Vec<(String, Distribution)>,
}

/// What a parameter is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Any number between two, all as likely.
    Uniform(f64, f64),
    /// Any number between two, all magnitudes as likely.
    LogUniform(f64, f64),
    /// A whole number from one to another, both among them.
    Integer(i64, i64),
    /// One of these.
    Choice(Vec<ParamValue>),
}

impl Random {
    /// Number of different points, if no parameter has more values than can be counted.
    pub(crate) fn different_points(&self) -> Option<u64> {
        let mut sizes = self.parameters.iter().map(|(_, distribution)| distribution.size());
        sizes.try_fold(1_u64, |product, size| product.checked_mul(size?)).filter(|size| *size < 1 << 62)
    }

    /// The values of the point at a position.
    pub(super) fn point(&self, position: u64, mut put: impl FnMut(usize, ParamValue)) {
        if let Some(size) = self.different_points() {
            let mut number = permuted(position, size, self.seed);
            for (place, (_, distribution)) in self.parameters.iter().enumerate().rev() {
                let size = distribution.size().unwrap_or(1);
                put(place, distribution.choice(number % size));
                number /= size;
            }
            return;
        }
        for (place, (name, distribution)) in self.parameters.iter().enumerate() {
            let bits = mixed(mixed(self.seed ^ fnv1a(name.as_bytes())).wrapping_add(position));
            put(place, distribution.drawn(bits));
        }
    }
}

impl Distribution {
    /// Number of different values, if they can be counted.
    fn size(&self) -> Option<u64> {
        match self {
            Self::Uniform(..) | Self::LogUniform(..) => None,
            Self::Integer(from, to) => u64::try_from(i128::from(*to) - i128::from(*from) + 1).ok(),
            Self::Choice(values) => Some(values.len() as u64),
        }
    }

    /// The nth of the different values.
    fn choice(&self, number: u64) -> ParamValue {
        match self {
            Self::Integer(from, _) => ParamValue::integer(from.wrapping_add_unsigned(number)),
            Self::Choice(values) => {
                let place = usize::try_from(number).unwrap_or_default();
                values.get(place).cloned().unwrap_or_else(ParamValue::null)
            }
            Self::Uniform(..) | Self::LogUniform(..) => ParamValue::null(),
        }
    }

    /// The value that 64 random bits stand for.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn drawn(&self, bits: u64) -> ParamValue {
        let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let number = match self {
            Self::Uniform(from, to) => (from + (to - from) * share).clamp(*from, *to),
            Self::LogUniform(from, to) => {
                let (low, high) = (from.ln(), to.ln());
                rounded((low + (high - low) * share).exp()).clamp(*from, *to)
            }
            Self::Integer(..) | Self::Choice(_) => {
                let size = self.size().map_or(1 << 64, u128::from);
                return self.choice(((u128::from(bits) * size) >> 64) as u64);
            }
        };
        ParamValue::float(number + 0.0).unwrap_or_else(ParamValue::null)
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2660193.2660195>).
const fn mixed(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A permutation of the numbers below `size`, by a Feistel network over the next even number of bits
/// that is walked until it comes back into the range (Black and Rogaway, 2002,
/// <https://doi.org/10.1007/3-540-45760-7_9>).
fn permuted(number: u64, size: u64, seed: u64) -> u64 {
    const ROUNDS: u64 = 8;
    let half = (u64::BITS - size.saturating_sub(1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1_u64 << half) - 1;
    let mut number = number;
    loop {
        let (mut left, mut right) = (number >> half, number & mask);
        for round in 0..ROUNDS {
            let key = mixed(seed ^ mixed(round));
            (left, right) = (right, (left ^ mixed(key ^ right)) & mask);
        }
        number = (left << half) | right;
        if number < size {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    fn points(random: &Random) -> Vec<Vec<String>> {
        let point = |position| {
            let mut values = vec![String::new(); random.parameters.len()];
            random.point(position, |place, value| value.as_text().clone_into(&mut values[place]));
            values
        };
        (0..random.count).map(point).collect()
    }

    fn random(count: u64, seed: u64, parameters: &[(&str, Distribution)]) -> Random {
        let parameters = parameters.iter().map(|(name, drawn)| ((*name).to_owned(), drawn.clone())).collect();
        Random { count, seed, parameters }
    }

    /// These must never change: a resumed run draws its points again.
    #[test]
    fn points_of_a_seed_stay_what_they_are() {
        let x = ("x", Distribution::Uniform(0.0, 1.0));
        let s = ("s", Distribution::LogUniform(1e-3, 1.0));
        let n = ("n", Distribution::Integer(1, 10));
        assert_eq!(
            points(&random(2, 1, &[x, s, n.clone()])),
            [
                ["0.6403806561947877", "0.0043000818370453", "3"],
                ["0.7767155895668294", "0.0023833907151507", "2"]
            ]
        );
        assert_eq!(points(&random(3, 1, &[n])).concat(), ["5", "10", "2"]);
    }

    #[test]
    fn a_larger_count_and_another_parameter_keep_what_was_drawn() {
        let x = ("x", Distribution::Uniform(0.0, 1.0));
        let n = ("n", Distribution::Integer(1, 10));
        let few = points(&random(5, 7, &[x.clone(), n.clone()]));
        assert_eq!(points(&random(50, 7, &[x.clone(), n.clone()]))[..5], few);
        assert_ne!(points(&random(5, 8, &[x.clone(), n])), few);
        let alone = points(&random(5, 7, &[x]));
        assert!(alone.iter().zip(&few).all(|(alone, both)| alone[0] == both[0]));
    }

    #[test]
    fn a_magnitude_is_as_likely_as_another() {
        let drawn = points(&random(3000, 1, &[("s", Distribution::LogUniform(1e-3, 1.0))]));
        let numbers: Vec<f64> = drawn.iter().map(|point| point[0].parse().unwrap()).collect();
        for decade in [1e-3, 1e-2, 1e-1] {
            let count = numbers.iter().filter(|number| (decade..decade * 10.0).contains(*number)).count();
            assert!((900..1100).contains(&count), "{decade}: {count}");
        }
    }

    proptest! {
        #[test]
        fn points_that_can_be_counted_never_repeat(size in 1_i64..300, choices in 1_usize..5, seed: u64) {
            let values = (0..choices).map(|number| ParamValue::integer(number as i64)).collect();
            let parameters = [("n", Distribution::Integer(1, size)), ("k", Distribution::Choice(values))];
            let all = random(size as u64 * choices as u64, seed, &parameters);
            let drawn: HashSet<_> = points(&all).into_iter().collect();
            prop_assert_eq!(drawn.len() as u64, all.count);
        }

        #[test]
        fn what_is_drawn_is_within_its_limits(from in -1e6_f64..1e6, width in 0_f64..1e6, seed: u64) {
            let to = from + width;
            for point in points(&random(20, seed, &[("x", Distribution::Uniform(from, to))])) {
                let number: f64 = point[0].parse().unwrap();
                prop_assert!((from..=to).contains(&number));
            }
        }

        #[test]
        fn every_whole_number_can_be_drawn(bits: u64) {
            let whole = Distribution::Integer(i64::MIN, i64::MAX);
            prop_assert!(whole.drawn(bits).json().is_i64());
        }
    }
}
