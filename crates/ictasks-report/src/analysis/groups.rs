//! Groups of attempts, and hosts.

use ictasks_core::attempt::Outcome;

use super::{Analysis, AnalysisOptions};
use crate::definitions::distribution::distribution;
use crate::definitions::{fraction, hosts};
use crate::findings::{Group, HostFindings};
use crate::load::attempts::NO_BYTES;
use crate::load::{Attempts, Loaded, Node};

/// Sums over a group or a host.
#[derive(Clone, Default)]
struct Sums {
    count: i64,
    failed: i64,
    lost: i64,
    core_s: f64,
    cpu_s: f64,
    measured_core_s: f64,
}

impl Sums {
    fn add(&mut self, attempts: &Attempts, row: usize) {
        let outcome = attempts.outcome[row];
        self.count += 1;
        self.failed += i64::from(outcome.is_failure());
        self.lost += i64::from(outcome == Outcome::NodeLost);
        let core_s = attempts.core_s(row);
        self.core_s += core_s;
        if !attempts.cpu_s[row].is_nan() {
            self.cpu_s += attempts.cpu_s[row];
            self.measured_core_s += core_s;
        }
    }
}

/// Groups, for each the rows of its quantiles of durations, and how many groups there are.
pub(super) type Groups = (Vec<Group>, Vec<Vec<u32>>, usize);

/// The groups with most core seconds, for each the rows of its quantiles of durations, and how many there
/// are.
pub(super) fn groups(loaded: &Loaded, options: &AnalysisOptions) -> Groups {
    let attempts = &loaded.attempts;
    let mut sums = vec![Sums::default(); attempts.groups.len()];
    for row in loaded.selected().filter(|row| attempts.ran(*row)) {
        if let Some(sums) = sums.get_mut(attempts.group[row] as usize) {
            sums.add(attempts, row);
        }
    }
    let mut order: Vec<usize> = (0..sums.len()).filter(|group| sums[*group].count > 0).collect();
    let group_count = order.len();
    order.sort_by(|one, other| sums[*other].core_s.total_cmp(&sums[*one].core_s).then(one.cmp(other)));
    order.truncate(options.top);
    let mut place = vec![usize::MAX; sums.len()];
    order.iter().enumerate().for_each(|(index, group)| place[*group] = index);
    let mut walls: Vec<Vec<(f64, u32)>> = order
        .iter()
        .map(|group| Vec::with_capacity(usize::try_from(sums[*group].count).unwrap_or(0)))
        .collect();
    let mut peaks: Vec<Vec<(f64, u32)>> = vec![Vec::new(); order.len()];
    for row in loaded.selected().filter(|row| attempts.ran(*row)) {
        let place = place.get(attempts.group[row] as usize).copied().unwrap_or(usize::MAX);
        let Some(walls) = walls.get_mut(place) else { continue };
        let number = u32::try_from(row).unwrap_or(u32::MAX);
        walls.push((attempts.wall_s[row], number));
        if attempts.memory_bytes[row] != NO_BYTES {
            #[allow(clippy::cast_precision_loss)]
            peaks[place].push((attempts.memory_bytes[row] as f64, number));
        }
    }
    let all_core_s: f64 = sums.iter().map(|sums| sums.core_s).sum();
    let mut groups = Vec::with_capacity(order.len());
    let mut rows = Vec::with_capacity(order.len());
    for (place, number) in order.into_iter().enumerate() {
        let sums = &sums[number];
        let (wall_s, of_quantiles) = distribution(&mut walls[place]);
        rows.push(of_quantiles);
        groups.push(Group {
            name: attempts.groups[number].clone(),
            attempt_count: sums.count,
            failed_count: sums.failed,
            core_s: sums.core_s,
            core_fraction: fraction(sums.core_s, all_core_s).unwrap_or(0.0),
            cpu_efficiency_fraction: fraction(sums.cpu_s, sums.measured_core_s),
            wall_s,
            memory_bytes: distribution(&mut peaks[place]).0,
        });
    }
    (groups, rows, group_count)
}

impl Analysis<'_> {
    /// All hosts, the worst first: largest share of failed and lost attempts beyond that of all, then the slowest.
    pub(super) fn hosts(&self) -> Vec<HostFindings> {
        let attempts = &self.loaded.attempts;
        let slowness = hosts::slowness(attempts);
        let mut sums = vec![Sums::default(); attempts.hosts.len()];
        for row in 0..attempts.len() {
            if let Some(host) = attempts.host(row) {
                sums[host as usize].add(attempts, row);
            }
        }
        let node = |host: &str| {
            self.loaded
                .sessions
                .iter()
                .rev()
                .flat_map(|session| &session.nodes)
                .find(|node| node.host == host)
        };
        let available_s = |host: &str| {
            let nodes = self.loaded.sessions.iter().flat_map(|session| &session.nodes);
            nodes.filter(|node| node.host == host).map(Node::available_core_s).sum::<f64>()
        };
        let mut found: Vec<HostFindings> = attempts
            .hosts
            .iter()
            .enumerate()
            .map(|(number, host)| HostFindings {
                host: host.clone(),
                core_count: node(host).map_or(0, |node| node.core_count),
                attempt_count: sums[number].count,
                failed_count: sums[number].failed,
                core_s: sums[number].core_s,
                occupancy_fraction: fraction(sums[number].core_s, available_s(host)),
                slowness: slowness[number],
                cpu_efficiency_fraction: fraction(sums[number].cpu_s, sums[number].measured_core_s),
                lost_count: sums[number].lost,
                memory_peak_fraction: self.resources.host_peak(host),
            })
            .collect();
        // A host that took part without running anything belongs to the picture too.
        for node in self.loaded.sessions.iter().flat_map(|session| &session.nodes) {
            if !found.iter().any(|host| host.host == node.host) {
                found.push(HostFindings {
                    host: node.host.clone(),
                    core_count: node.core_count,
                    memory_peak_fraction: self.resources.host_peak(&node.host),
                    ..HostFindings::default()
                });
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let badness = |host: &HostFindings| {
            let failed = (host.failed_count + host.lost_count) as f64 / host.attempt_count.max(1) as f64;
            (failed * 10.0).round() * 1000.0 + host.slowness.unwrap_or(1.0)
        };
        found.sort_by(|one, other| {
            badness(other).total_cmp(&badness(one)).then_with(|| one.host.cmp(&other.host))
        });
        found
    }
}
