//! Attempts that took much longer than others of their kind.

use crate::definitions::distribution::median;
use crate::load::Attempts;

/// Attempts of a group below which there are no stragglers.
const GROUP: usize = 20;
/// Times the median.
const FACTOR: f64 = 3.0;
/// Below this many seconds nothing is a straggler.
const FLOOR_S: f64 = 1.0;

/// Rows with d > 3 × the median of their group, in groups of 20 or more, and above a floor of 1 s, the longest
/// first. Source: the rule of Spark's speculative execution, made stricter.
pub(crate) fn stragglers(attempts: &Attempts) -> Vec<usize> {
    let limits: Vec<f64> = walls_by_group(attempts)
        .iter_mut()
        .map(|walls| match median(walls) {
            Some(median) if walls.len() >= GROUP => (FACTOR * median).max(FLOOR_S),
            _ => f64::INFINITY,
        })
        .collect();
    let mut rows: Vec<usize> = attempts
        .that_ran()
        .filter(|row| {
            limits.get(attempts.group[*row] as usize).is_some_and(|limit| attempts.wall_s[*row] > *limit)
        })
        .collect();
    rows.sort_by(|one, other| attempts.wall_s[*other].total_cmp(&attempts.wall_s[*one]));
    rows
}

/// Durations by group.
pub(crate) fn walls_by_group(attempts: &Attempts) -> Vec<Vec<f64>> {
    let mut walls: Vec<Vec<f64>> = vec![Vec::new(); attempts.groups.len()];
    for row in attempts.that_ran() {
        if let Some(walls) = walls.get_mut(attempts.group[row] as usize) {
            walls.push(attempts.wall_s[row]);
        }
    }
    walls
}
