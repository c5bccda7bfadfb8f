//! Hosts that are slower than others at the same work.

use crate::definitions::distribution::median;
use crate::load::Attempts;

/// Attempts of a group on a host below which its median says nothing.
const ATTEMPTS: usize = 5;
/// Groups that are compared; those with most attempts.
const GROUPS: usize = 50;

/// For each host: its median duration by that of the same groups on the other hosts, weighted by the attempts;
/// `None` where nothing can be compared. Of the others' medians the median is taken, so that one slow host makes
/// no other look fast.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn slowness(attempts: &Attempts) -> Vec<Option<f64>> {
    let hosts = attempts.hosts.len();
    if hosts < 2 {
        return vec![None; hosts];
    }
    let mut counts = vec![0_usize; attempts.groups.len()];
    for row in attempts.that_ran() {
        if let Some(count) = counts.get_mut(attempts.group[row] as usize) {
            *count += 1;
        }
    }
    let mut largest: Vec<usize> = (0..counts.len()).collect();
    largest.sort_by_key(|group| std::cmp::Reverse(counts[*group]));
    largest.truncate(GROUPS);
    let mut place = vec![usize::MAX; counts.len()];
    largest.iter().enumerate().for_each(|(index, group)| place[*group] = index);
    let mut walls: Vec<Vec<f64>> = vec![Vec::new(); largest.len() * hosts];
    for row in attempts.that_ran() {
        let place = place.get(attempts.group[row] as usize).copied().unwrap_or(usize::MAX);
        if let (true, Some(host)) = (place != usize::MAX, attempts.host(row)) {
            walls[place * hosts + host as usize].push(attempts.wall_s[row]);
        }
    }
    let mut sums = vec![(0.0, 0.0); hosts];
    for of_group in walls.chunks_mut(hosts) {
        let medians: Vec<(usize, f64, usize)> = of_group
            .iter_mut()
            .enumerate()
            .filter(|(_, walls)| walls.len() >= ATTEMPTS)
            .filter_map(|(host, walls)| Some((host, median(walls)?, walls.len())))
            .collect();
        for (host, of_host, count) in &medians {
            let mut others: Vec<f64> =
                medians.iter().filter(|(other, ..)| other != host).map(|(_, median, _)| *median).collect();
            if let Some(elsewhere) = median(&mut others).filter(|elsewhere| *elsewhere > 0.0) {
                sums[*host].0 += of_host / elsewhere * *count as f64;
                sums[*host].1 += *count as f64;
            }
        }
    }
    sums.into_iter().map(|(sum, weight)| super::fraction(sum, weight)).collect()
}
