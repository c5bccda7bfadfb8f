//! Running times as a whole: of a single task one difference says little, of all together they say much.

use polars::prelude::*;

use super::comparison::{Difference, Shift, TimeComparison};
use crate::error::ReportError;
use crate::findings::Quantile;
use crate::units;

/// Quantiles of the ratios.
const FRACTIONS: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];
/// A median that is so near to 1 is no shift, however sure it is.
const LEAST_SHIFT: f64 = 0.01;
/// Pairs from which on quantiles describe the noise.
const ENOUGH_FOR_NOISE: usize = 10;

/// Of pairs that succeeded in both runs.
pub(super) fn compute(pairs: &DataFrame, differences: &[Difference]) -> Result<TimeComparison, ReportError> {
    let both = col("outcome").eq(lit("succeeded")).and(col("b_outcome").eq(lit("succeeded")));
    let positive = col("run_s").gt(lit(0.0)).and(col("b_run_s").gt(lit(0.0)));
    let single = col("succeeded_count").eq(lit(1)).or(col("b_succeeded_count").eq(lit(1)));
    let timed = pairs.clone().lazy().filter(both.and(positive)).select([
        (col("b_run_s") / col("run_s")).alias("ratio"),
        col("run_s"),
        col("b_run_s"),
        single.alias("single"),
    ]);
    let timed = timed.collect()?;
    let mut ratios: Vec<f64> = timed.column("ratio")?.f64()?.iter().flatten().collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let singles = timed.column("single")?.bool()?.sum().unwrap_or(0);
    let interval = median_interval(&ratios);
    let median = nearest_rank(&ratios, 0.5);
    let mut times = TimeComparison {
        pair_count: i64::try_from(ratios.len()).unwrap_or(i64::MAX),
        single_attempt_pair_count: i64::from(singles),
        a_sum_s: timed.column("run_s")?.f64()?.sum().unwrap_or(0.0),
        b_sum_s: timed.column("b_run_s")?.f64()?.sum().unwrap_or(0.0),
        ratios: FRACTIONS.iter().filter_map(|fraction| quantile(&ratios, *fraction)).collect(),
        median_ratio_interval: interval,
        shift: median.map_or(Shift::Unknown, |median| shift(median, interval)),
        ..TimeComparison::default()
    };
    times.sentence = sentence(&times, differences);
    times.noise = noise(&times);
    Ok(times)
}

/// The value of rank ⌈fraction · n⌉.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn nearest_rank(sorted: &[f64], fraction: f64) -> Option<f64> {
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn quantile(sorted: &[f64], fraction: f64) -> Option<Quantile> {
    Some(Quantile { fraction, value: nearest_rank(sorted, fraction)?, ..Quantile::default() })
}

/// The confidence interval of the sign test: the k-th smallest and the k-th largest value, with the
/// largest k for which twice the probability of fewer than k heads in n throws is at most 5 %.
fn median_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let rank = interval_rank(sorted.len())?;
    Some((sorted[rank - 1], sorted[sorted.len() - rank]))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn interval_rank(count: usize) -> Option<usize> {
    if count > 1000 {
        // The normal approximation, to the safe side.
        return Some((count as f64 / 2.0 - 0.98 * (count as f64).sqrt()) as usize);
    }
    // Binomial probabilities, from none on.
    let mut probability = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut below = probability;
    let mut rank = 0;
    while below <= 0.025 {
        rank += 1;
        probability *= (count - rank + 1) as f64 / rank as f64;
        below += probability;
    }
    (rank > 0).then_some(rank)
}

fn shift(median: f64, interval: Option<(f64, f64)>) -> Shift {
    match interval {
        None => Shift::Unknown,
        Some((low, _)) if low > 1.0 && median >= 1.0 + LEAST_SHIFT => Shift::Slower,
        Some((_, high)) if high < 1.0 && median <= 1.0 - LEAST_SHIFT => Shift::Faster,
        Some(_) => Shift::None,
    }
}

fn ratio_at(times: &TimeComparison, fraction: f64) -> Option<f64> {
    let found = times.ratios.iter().find(|quantile| (quantile.fraction - fraction).abs() < 1e-9);
    found.map(|quantile| quantile.value)
}

fn sentence(times: &TimeComparison, differences: &[Difference]) -> String {
    let pairs = units::counted(times.pair_count, "pair");
    let Some(median) = ratio_at(times, 0.5) else {
        return "no task has a running time in both runs".to_owned();
    };
    let Some((low, high)) = times.median_ratio_interval else {
        return format!("median ratio {median:.2} of {pairs}: too few to tell whether times have shifted");
    };
    let figures = format!("median ratio {median:.2} of {pairs}, 95 % interval {low:.2} to {high:.2}");
    // One in twenty is left to chance, so there must be twenty.
    let whose =
        |all: bool| if all && times.pair_count >= 20 { "nearly all tasks" } else { "tasks as a whole" };
    let percent = (median - 1.0).abs() * 100.0;
    let text = match times.shift {
        Shift::Slower => {
            let whose = whose(ratio_at(times, 0.05).is_some_and(|ratio| ratio > 1.0));
            format!("{whose} are slower in B, by {percent:.0} % ({figures})")
        }
        Shift::Faster => {
            let whose = whose(ratio_at(times, 0.95).is_some_and(|ratio| ratio < 1.0));
            format!("{whose} are faster in B, by {percent:.0} % ({figures})")
        }
        Shift::None | Shift::Unknown => format!("times have not shifted as a whole ({figures})"),
    };
    let other_cpus = differences.iter().any(|difference| difference.name == "cpu_model");
    match times.shift {
        Shift::Slower | Shift::Faster if other_cpus => text + "; the CPU models differ",
        _ => text,
    }
}

fn noise(times: &TimeComparison) -> Option<String> {
    if times.single_attempt_pair_count == 0 {
        return None;
    }
    let whose = match times.pair_count - times.single_attempt_pair_count {
        0 => "each task was".to_owned(),
        _ => format!("{} were", units::counted(times.single_attempt_pair_count, "task")),
    };
    let single =
        format!("{whose} measured once on a side: a difference of one task is no evidence by itself");
    let is_enough = usize::try_from(times.pair_count).is_ok_and(|count| count >= ENOUGH_FOR_NOISE);
    match (ratio_at(times, 0.05), ratio_at(times, 0.95)) {
        (Some(low), Some(high)) if is_enough => {
            Some(format!("{single}; nine pairs of ten have ratios from {low:.2} to {high:.2}"))
        }
        _ => Some(single),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_binomial_distribution() {
        // From sums of exact binomial coefficients.
        let ranks = [5, 6, 8, 9, 10, 20, 50, 100, 1000].map(interval_rank);
        let expected = [None, Some(1), Some(1), Some(2), Some(2), Some(6), Some(18), Some(40), Some(469)];
        assert_eq!(ranks, expected);
        // The approximation goes on where the exact computation ends.
        assert_eq!(interval_rank(1001), Some(469));
    }

    #[test]
    fn a_shift_is_told_where_it_is_sure_and_large() {
        assert_eq!(shift(1.2, Some((1.1, 1.3))), Shift::Slower);
        assert_eq!(shift(0.8, Some((0.7, 0.9))), Shift::Faster);
        assert_eq!(shift(1.2, Some((0.9, 1.3))), Shift::None);
        assert_eq!(shift(1.005, Some((1.004, 1.006))), Shift::None);
        assert_eq!(shift(3.0, None), Shift::Unknown);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        let at = |fraction| nearest_rank(&sorted, fraction);
        assert_eq!([0.0, 0.25, 0.5, 0.51, 1.0].map(at), [1.0, 1.0, 2.0, 3.0, 4.0].map(Some));
        assert_eq!(nearest_rank(&[], 0.5), None);
    }
}
