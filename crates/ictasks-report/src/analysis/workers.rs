//! The chart of workers over time.

use std::collections::HashMap;

use super::Analysis;
use crate::definitions::distribution::distribution;
use crate::definitions::over_time::Steps;
use crate::failures::NO_GROUP;
use crate::findings::{WorkerBar, WorkerFindings, WorkerRow};
use crate::load;
use crate::load::attempts::NO_WORKER;

/// Up to so many attempts each has its bar.
const BARS: usize = 5000;
/// Rows of the chart.
const ROWS: usize = 64;
/// Of more attempts than [`BARS`], so many of the slowest, of the failed and of the last have theirs.
const OF_EACH: usize = 200;

impl Analysis<'_> {
    /// What each worker did, and the rows of the attempts behind the bars.
    pub(super) fn workers(&self) -> (WorkerFindings, Vec<usize>) {
        let attempts = &self.loaded.attempts;
        let span_s = load::makespan_s(&self.loaded.sessions);
        let mut busy: Vec<(f64, u32)> = self.work.busy_by_worker.iter().map(|busy| (*busy, 0)).collect();
        // Workers that ran nothing were busy for no time.
        busy.resize(busy.len().max(self.worker_count()), (0.0, 0));
        let mut findings =
            WorkerFindings { span_s, busy: distribution(&mut busy).0, ..WorkerFindings::default() };
        if !self.options.charts || attempts.workers.is_empty() {
            return (findings, Vec::new());
        }
        let (names, row_of) = self.rows_of_workers();
        let ran: Vec<usize> = attempts.that_ran().filter(|row| attempts.worker[*row] != NO_WORKER).collect();
        findings.bars_are_all = ran.len() <= BARS;
        let bars = if findings.bars_are_all { ran.clone() } else { self.notable(&ran) };
        let mut workers = vec![0; names.len()];
        row_of.iter().for_each(|row| workers[*row] += 1);
        let steps = if findings.bars_are_all {
            Vec::new()
        } else {
            self.busy_by_step(&ran, &row_of, names.len(), span_s)
        };
        for (row, name) in names.into_iter().enumerate() {
            let worker_count = workers[row];
            let busy_by_step = steps.get(row).map(|steps| shares(steps, worker_count)).unwrap_or_default();
            findings.rows.push(WorkerRow { name, worker_count, busy_by_step });
        }
        findings.bars = bars.iter().map(|row| self.bar(*row, &row_of)).collect();
        (findings, bars)
    }

    /// Names of the rows of the chart, and the row of each worker: in the order of hosts and workers, neighbours
    /// together where there are too many.
    fn rows_of_workers(&self) -> (Vec<String>, Vec<usize>) {
        let attempts = &self.loaded.attempts;
        let mut order: Vec<usize> = (0..attempts.workers.len()).collect();
        let host = |worker: usize| &attempts.hosts[attempts.workers[worker].host as usize];
        order.sort_by_key(|worker| {
            (attempts.workers[*worker].run, host(*worker), attempts.workers[*worker].worker_id)
        });
        let name = |worker: usize| {
            let host = host(worker);
            format!("{host}/{}", attempts.workers[worker].worker_id)
        };
        let rows = order.len().min(ROWS);
        let mut row_of = vec![0; order.len()];
        let mut members: HashMap<usize, (usize, usize)> = HashMap::new();
        for (place, worker) in order.iter().enumerate() {
            let row = place * rows / order.len();
            row_of[*worker] = row;
            members.entry(row).or_insert((*worker, *worker)).1 = *worker;
        }
        let names = (0..rows).map(|row| match members.get(&row) {
            Some((first, last)) if first == last => name(*first),
            Some((first, last)) => format!("{} … {}", name(*first), name(*last)),
            None => String::new(),
        });
        (names.collect(), row_of)
    }

    /// The slowest, the failed and the last attempts.
    fn notable(&self, ran: &[usize]) -> Vec<usize> {
        let attempts = &self.loaded.attempts;
        let rows = || ran.iter().copied();
        let failed = rows().filter(|row| self.gathered.group_of[*row] != NO_GROUP);
        let mut notable = super::largest(rows(), OF_EACH, |row| attempts.wall_s[row]);
        notable.extend(super::largest(failed, OF_EACH, |row| attempts.wall_s[row]));
        #[allow(clippy::cast_precision_loss)]
        notable.extend(super::largest(rows(), OF_EACH, |row| attempts.ended_at(row) as f64));
        notable.sort_unstable();
        notable.dedup();
        notable
    }

    fn bar(&self, row: usize, row_of: &[usize]) -> WorkerBar {
        let attempts = &self.loaded.attempts;
        let start_s =
            self.loaded.sessions[attempts.session[row] as usize].on_axis_s(attempts.started_at[row]);
        WorkerBar {
            row: row_of[attempts.worker[row] as usize],
            start_s,
            end_s: start_s + attempts.wall_s[row],
            outcome: attempts.outcome[row].as_str().to_owned(),
            task_id: String::new(),
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn busy_by_step(&self, ran: &[usize], row_of: &[usize], rows: usize, span_s: f64) -> Vec<Steps> {
        let attempts = &self.loaded.attempts;
        let step_s = (span_s / self.options.steps as f64).max(1e-9);
        let mut steps = vec![Steps::new(step_s, self.options.steps); rows];
        for row in ran {
            let session = &self.loaded.sessions[attempts.session[*row] as usize];
            let start = session.on_axis_s(attempts.started_at[*row]);
            steps[row_of[attempts.worker[*row] as usize]].add(start, start + attempts.wall_s[*row], 1.0);
        }
        steps
    }
}

/// Shares of the time of all workers of a row, 0 to 255.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn shares(steps: &Steps, worker_count: i64) -> Vec<u8> {
    let share = |mean: f64| (mean / worker_count.max(1) as f64 * 255.0).round().clamp(0.0, 255.0) as u8;
    steps.means().into_iter().map(share).collect()
}
