//! Quantiles by nearest rank (each is a value that was measured), and a logarithmic histogram.

use crate::findings::{Bin, Distribution, Quantile};

/// Fractions of the quantiles.
pub(crate) const FRACTIONS: [f64; 8] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];

/// Bins of a histogram.
const BINS: usize = 40;

/// The distribution of values, each with its row, and the rows of its quantiles.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn distribution(values: &mut [(f64, u32)]) -> (Distribution, Vec<u32>) {
    if values.is_empty() {
        return (Distribution::default(), Vec::new());
    }
    let count = values.len();
    let sum = values.iter().map(|(value, _)| value).sum();
    let mut quantiles = Vec::with_capacity(FRACTIONS.len());
    let mut rows = Vec::with_capacity(FRACTIONS.len());
    let mut from = 0;
    for fraction in FRACTIONS {
        let rank = nearest_rank(fraction, count);
        // What lies before the last rank is smaller already.
        if rank >= from {
            values[from..].select_nth_unstable_by(rank - from, |one, other| one.0.total_cmp(&other.0));
            from = rank + 1;
        }
        quantiles.push(Quantile { fraction, value: values[rank].0, task_id: None });
        rows.push(values[rank].1);
    }
    let histogram = histogram(values, quantiles[0].value, quantiles[FRACTIONS.len() - 1].value);
    (Distribution { count: i64::try_from(count).unwrap_or(i64::MAX), sum, quantiles, histogram }, rows)
}

/// Index of the smallest value that at least `fraction` of all values do not exceed.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn nearest_rank(fraction: f64, count: usize) -> usize {
    let rank = (fraction * count as f64).ceil() as usize;
    rank.clamp(1, count.max(1)) - 1
}

/// The median by nearest rank; the values are put into another order.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let rank = nearest_rank(0.5, values.len());
    Some(*values.select_nth_unstable_by(rank, f64::total_cmp).1)
}

/// The value at a fraction of a distribution.
pub(crate) fn at(distribution: &Distribution, fraction: f64) -> Option<f64> {
    let quantile = distribution.quantiles.iter().find(|quantile| (quantile.fraction - fraction).abs() < 1e-9);
    quantile.map(|quantile| quantile.value)
}

/// Counts on a logarithmic scale from the smallest to the largest value; below a billionth of the largest all are in
/// the first bin.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn histogram(values: &[(f64, u32)], smallest: f64, largest: f64) -> Vec<Bin> {
    let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
    if largest <= 0.0 || smallest >= largest {
        let sum = values.iter().map(|(value, _)| value).sum();
        return vec![Bin { from: smallest, to: largest, count, sum }];
    }
    let floor = smallest.max(largest * 1e-9);
    let width = (largest / floor).ln() / BINS as f64;
    let mut bins = [(0_i64, 0.0); BINS];
    let (scale, offset) = (1.0 / width, floor.ln());
    for (value, _) in values {
        let bin = if *value <= floor { 0 } else { ((value.ln() - offset) * scale) as usize };
        let bin = &mut bins[bin.min(BINS - 1)];
        bin.0 += 1;
        bin.1 += value;
    }
    let edge = |bin: usize| floor * (width * bin as f64).exp();
    let bin = |(bin, (count, sum)): (usize, &(i64, f64))| Bin {
        from: edge(bin),
        to: edge(bin + 1),
        count: *count,
        sum: *sum,
    };
    bins.iter().enumerate().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut values: Vec<(f64, u32)> = (1..=10_u32).rev().map(|value| (f64::from(value), value)).collect();
        let (distribution, rows) = distribution(&mut values);
        let found: Vec<f64> = distribution.quantiles.iter().map(|quantile| quantile.value).collect();
        assert_eq!(found, [1.0, 1.0, 3.0, 5.0, 8.0, 10.0, 10.0, 10.0]);
        assert_eq!(rows, [1, 1, 3, 5, 8, 10, 10, 10]);
        assert_eq!(distribution.histogram.iter().map(|bin| bin.count).sum::<i64>(), 10);
        assert!((distribution.sum - 55.0).abs() < 1e-9);
    }

    #[test]
    fn equal_and_missing_values_have_a_distribution() {
        let (of_none, _) = distribution(&mut []);
        assert_eq!((of_none.count, of_none.quantiles.len()), (0, 0));
        let (of_equal, _) = distribution(&mut [(2.0, 0), (2.0, 1)]);
        assert_eq!(of_equal.histogram.len(), 1);
        let (with_zero, _) = distribution(&mut [(0.0, 0), (2.0, 1)]);
        assert_eq!(with_zero.histogram.iter().map(|bin| bin.count).sum::<i64>(), 2);
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 9.0]), Some(2.0));
    }
}
