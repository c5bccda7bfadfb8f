//! From the record to [`Findings`].

use std::collections::BTreeMap;

use crate::advice;
use crate::definitions::bounds;
use crate::definitions::distribution::{self, distribution};
use crate::definitions::idle::{Idle, rows_by_session};
use crate::definitions::work::{self, Work};
use crate::definitions::{fraction, over_time, stragglers};
use crate::error::ReportError;
use crate::failures::{self, Gathered, NO_GROUP};
use crate::findings::{
    Concurrency, CoreFindings, CorePart, Distribution, FINDINGS_VERSION, FilterFacts, Findings, MoreCores,
    MoreCoresPoint, OutcomeCount, TaskLine, TimeFindings,
};
use crate::lines::Lines;
use crate::load::attempts::NO_TIME;
use crate::load::{self, GroupBy, Loaded, Session};
use crate::moment::Moment;
use crate::source::Source;
use ictasks_core::attempt::Outcome;

mod groups;
mod resources;
mod verdict;
mod workers;

use groups::Groups;

pub(crate) use resources::Resources;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct AnalysisOptions {
    /// An expression in SQL over the columns of `tasks`.
    pub filter: Option<String>,
    /// By what attempts are grouped.
    pub group_by: GroupBy,
    /// Lines of each list.
    pub top: usize,
    /// Steps of the axis of time.
    pub steps: usize,
    /// Whether charts of workers are wanted, and other numbers of cores: not in short text.
    pub charts: bool,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        Self { filter: None, group_by: GroupBy::default(), top: 100, steps: 800, charts: true }
    }
}

/// Factors on the number of cores for which list scheduling is replayed.
const FACTORS: [f64; 6] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// Everything that is computed before the findings are put together.
pub(crate) struct Analysis<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) options: &'a AnalysisOptions,
    pub(crate) loaded: Loaded,
    pub(crate) gathered: Gathered,
    pub(crate) work: Work,
    pub(crate) idle: Vec<Idle>,
    pub(crate) resources: Resources,
}

/// Computes the findings of a run, or of several as one.
///
/// # Errors
/// If a table cannot be read, a record is of a newer format, or filter or group are not understood.
pub fn analyse(sources: &[Source], options: &AnalysisOptions) -> Result<Findings, ReportError> {
    let loaded = Loaded::read(sources, options.filter.as_deref(), &options.group_by)?;
    let gpus = |session: &Session| session.nodes.iter().map(|node| node.gpu_count).sum();
    let gpu_count = loaded.sessions.iter().map(gpus).max().unwrap_or(0);
    // One side reads files again, the other computes with what was read.
    let (read, shape) = both(
        || {
            let gathered = Gathered::read(sources, &loaded.attempts, &loaded.first_rows)?;
            let resources = Resources::read(sources, gpu_count, options.charts)?;
            Ok::<_, ReportError>((gathered, resources, Spread::of(&loaded, options.steps)))
        },
        || Shape::of(&loaded, options),
    );
    let (gathered, resources, spread) = read?;
    let Shape { idle, work, groups } = shape;
    let analysis = Analysis { sources, options, loaded, gathered, work, idle, resources };
    analysis.findings(groups, spread)
}

/// How figures of attempts are spread, over time and over values. With a distribution come the rows of its
/// quantiles.
struct Spread {
    concurrency: Concurrency,
    durations: (Distribution, Vec<u32>),
    peaks: (Distribution, Vec<u32>),
    wait_median_s: Option<f64>,
}

impl Spread {
    fn of(loaded: &Loaded, steps: usize) -> Self {
        let span_s = load::makespan_s(&loaded.sessions);
        Self {
            concurrency: over_time::concurrency(&loaded.attempts, &loaded.sessions, span_s, steps),
            durations: durations(loaded),
            peaks: resources::peaks(loaded),
            wait_median_s: wait_median_s(loaded),
        }
    }
}

/// What follows from the figures of attempts alone.
struct Shape {
    idle: Vec<Idle>,
    work: Work,
    groups: Groups,
}

impl Shape {
    fn of(loaded: &Loaded, options: &AnalysisOptions) -> Self {
        Self { idle: idle(loaded), work: Work::of(&loaded.attempts), groups: groups::groups(loaded, options) }
    }
}

/// Two computations at the same time.
fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let running = scope.spawn(one);
        let of_other = other();
        match running.join() {
            Ok(of_one) => (of_one, of_other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Durations of the attempts that the filter leaves, and the rows of the quantiles.
fn durations(loaded: &Loaded) -> (Distribution, Vec<u32>) {
    let attempts = &loaded.attempts;
    let mut values: Vec<(f64, u32)> = loaded
        .selected()
        .filter(|row| attempts.ran(*row))
        .filter_map(|row| Some((attempts.wall_s[row], u32::try_from(row).ok()?)))
        .collect();
    distribution(&mut values)
}

/// From when an attempt could have begun to when it did; the median.
fn wait_median_s(loaded: &Loaded) -> Option<f64> {
    let attempts = &loaded.attempts;
    let mut waits: Vec<f64> = attempts
        .that_ran()
        .filter(|row| attempts.ready_at[*row] != NO_TIME)
        .map(|row| crate::load::seconds((attempts.started_at[row] - attempts.ready_at[row]).max(0)))
        .collect();
    distribution::median(&mut waits)
}

fn idle(loaded: &Loaded) -> Vec<Idle> {
    let rows = rows_by_session(&loaded.attempts, loaded.sessions.len());
    let is_over = loaded.running == 0 && loaded.all_tasks.of(Outcome::Pending) == 0;
    let of_session = |(index, session): (usize, &Session)| {
        let last =
            loaded.sessions.iter().filter(|other| other.run == session.run).map(|other| other.number).max();
        let all_started = is_over && session.has_ended && Some(session.number) == last;
        Idle::of(&loaded.attempts, session, &rows[index], all_started)
    };
    loaded.sessions.iter().enumerate().map(of_session).collect()
}

impl Analysis<'_> {
    fn findings(
        self,
        (mut groups, group_rows, group_count): Groups,
        spread: Spread,
    ) -> Result<Findings, ReportError> {
        let Spread { concurrency, durations: (mut durations, duration_rows), mut peaks, wait_median_s } =
            spread;
        let top = self.options.top;
        let attempts = &self.loaded.attempts;
        let that_ran = self.loaded.selected().filter(|row| attempts.ran(*row));
        let slowest = largest(that_ran, top, |row| attempts.wall_s[row]);
        let failed = self.failed_rows();
        let retried = self.retried_rows();
        let mut stragglers = stragglers::stragglers(&self.loaded.attempts);
        stragglers.retain(|row| self.loaded.is_selected(*row));
        let straggler_count = stragglers.len();
        stragglers.truncate(top);
        let tail_rows = self.tail_rows();
        let (mut workers, bar_rows) = self.workers();
        let mut failures = failures::findings::Draft::of(&self);

        let mut rows: Vec<usize> = [&slowest, &failed, &retried, &stragglers, &tail_rows, &bar_rows]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        rows.extend(
            group_rows.iter().flatten().chain(&duration_rows).chain(&peaks.1).map(|row| *row as usize),
        );
        rows.extend(failures.example_rows());
        let (counted, lines) =
            both(|| failures.count_values(&self), || Lines::read(self.sources, &self.loaded, &rows));
        counted?;
        let lines = lines?;
        let line = |row: &usize| lines.line(&self.loaded, *row);
        let listed = |rows: &[usize]| -> Vec<TaskLine> { rows.iter().map(line).collect() };
        name_quantiles(&mut durations, &duration_rows, &lines);
        name_quantiles(&mut peaks.0, &peaks.1, &lines);
        for (group, rows) in groups.iter_mut().zip(&group_rows) {
            name_quantiles(&mut group.wall_s, rows, &lines);
        }
        for (bar, row) in workers.bars.iter_mut().zip(&bar_rows) {
            bar.task_id = lines.task_id(*row).unwrap_or_default().to_owned();
        }
        failures.fill(&self, &lines);

        let time = self.time(listed(&tail_rows), wait_median_s);
        let cores = self.cores(&time);
        let hosts = self.hosts();
        let mut findings = Findings {
            findings_version: FINDINGS_VERSION,
            ictasks_version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: Moment::now(),
            filter: self.filter_facts(),
            outcomes: self.outcomes(),
            task_count: self.loaded.tasks.sum(),
            attempt_count: i64::try_from(self.loaded.selected().count()).unwrap_or(i64::MAX),
            running_count: self.loaded.running,
            retried_count: self.retried_count(),
            memory: self.memory(peaks.0),
            gpu: self.resources.gpu.clone(),
            io: self.resources.io.clone(),
            concurrency,
            workers,
            grouped_by: self.loaded.attempts.grouped_by.clone(),
            groups,
            group_count,
            durations,
            host_count: hosts.len(),
            hosts: hosts.into_iter().take(top.max(1000)).collect(),
            failures: failures.findings(),
            slowest: listed(&slowest),
            failed: listed(&failed),
            retried: listed(&retried),
            stragglers: listed(&stragglers),
            straggler_count: i64::try_from(straggler_count).unwrap_or(i64::MAX),
            more_cores: self.more_cores(),
            lacks: self.lacks(),
            time,
            cores,
            runs: self.loaded.runs.clone(),
            ..Findings::default()
        };
        findings.verdict = verdict::verdict(&findings);
        findings.advice = advice::advice(&self, &findings, failures.counts());
        Ok(findings)
    }

    /// Last attempts that failed, the latest first.
    fn failed_rows(&self) -> Vec<usize> {
        let attempts = &self.loaded.attempts;
        let failed = self
            .loaded
            .selected()
            .filter(|row| attempts.is_last[*row] && self.gathered.group_of[*row] != NO_GROUP);
        let when = |row: usize| if attempts.ran(row) { attempts.ended_at(row) } else { NO_TIME };
        #[allow(clippy::cast_precision_loss)]
        largest(failed, self.options.top, |row| when(row) as f64)
    }

    /// Last attempts of tasks that had several, those with most first.
    fn retried_rows(&self) -> Vec<usize> {
        let attempts = &self.loaded.attempts;
        let retried =
            self.loaded.selected().filter(|row| attempts.is_last[*row] && attempts.attempt[*row] > 1);
        largest(retried, self.options.top, |row| f64::from(attempts.attempt[row]))
    }

    fn retried_count(&self) -> i64 {
        let count = self.loaded.selected().filter(|row| self.loaded.attempts.attempt[*row] > 1).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// The attempts that ended last, of runs that have a tail.
    fn tail_rows(&self) -> Vec<usize> {
        let attempts = &self.loaded.attempts;
        let has_tail = |row: &usize| self.idle[attempts.session[*row] as usize].tail_s.is_some();
        let on_axis = |row: usize| {
            let session = &self.loaded.sessions[attempts.session[row] as usize];
            session.on_axis_s(attempts.ended_at(row))
        };
        largest(attempts.that_ran().filter(has_tail), 5, on_axis)
    }

    /// The tails of all sessions; of shards, which end side by side, the longest.
    fn tail_s(&self) -> f64 {
        let mut of_wholes: BTreeMap<usize, f64> = BTreeMap::new();
        for (session, idle) in self.loaded.sessions.iter().zip(&self.idle) {
            let tail_s = of_wholes.entry(session.whole).or_default();
            let own_s = idle.tail_s.unwrap_or(0.0);
            let is_shard = self.loaded.runs[session.run].shard.is_some();
            *tail_s = if is_shard { tail_s.max(own_s) } else { *tail_s + own_s };
        }
        of_wholes.values().sum()
    }

    fn time(&self, tail_tasks: Vec<TaskLine>, wait_median_s: Option<f64>) -> TimeFindings {
        let (attempts, sessions) = (&self.loaded.attempts, &self.loaded.sessions);
        let makespan_s = load::makespan_s(sessions);
        let has_run = self.work.longest_s > 0.0;
        #[allow(clippy::cast_precision_loss)]
        let cores = self.core_count() as f64;
        let bound = |bound: f64| (has_run && cores > 0.0).then_some(bound);
        let lower_bound_s =
            bound(bounds::lower_bound_s(self.work.occupied_core_s, cores, self.work.longest_s));
        let has_tail = self.idle.iter().any(|idle| idle.tail_s.is_some());
        let mut gaps: Vec<f64> = self.idle.iter().flat_map(|idle| idle.gaps_s.iter().copied()).collect();
        // Of interest to a rule only where much stood idle.
        let tail_idle: f64 = self.idle.iter().map(|idle| idle.tail_idle_core_s).sum();
        let is_wanted = self.options.charts || tail_idle > 0.05 * work::available_core_s(sessions);
        let longest_first_s = (has_run && is_wanted).then(|| {
            let durations: Vec<f64> = attempts.that_ran().map(|row| attempts.wall_s[row]).collect();
            bounds::longest_first_s(&durations, self.worker_count())
        });
        TimeFindings {
            makespan_s,
            lower_bound_s,
            scheduling_efficiency_fraction: lower_bound_s.and_then(|bound| fraction(bound, makespan_s)),
            list_scheduling_bound_s: bound(bounds::list_scheduling_bound_s(
                self.work.occupied_core_s,
                cores,
                self.work.longest_s,
            )),
            longest_first_s,
            tail_s: has_tail.then(|| self.tail_s()),
            tail_idle_core_s: has_tail.then_some(tail_idle),
            tail_tasks,
            dispatch_gap_median_s: distribution::median(&mut gaps),
            dispatch_gap_core_s: self.idle.iter().map(|idle| idle.gap_core_s).sum(),
            starved_core_s: self.idle.iter().map(|idle| idle.starved_core_s).sum(),
            wait_median_s,
        }
    }

    /// Cores at the same time, at most.
    fn core_count(&self) -> i64 {
        load::at_most(&self.loaded.sessions, Session::core_count)
    }

    /// Workers at the same time, at most.
    pub(crate) fn worker_count(&self) -> usize {
        let count = load::at_most(&self.loaded.sessions, Session::worker_count);
        usize::try_from(count).unwrap_or(1).max(1)
    }

    fn cores(&self, time: &TimeFindings) -> CoreFindings {
        let available = work::available_core_s(&self.loaded.sessions);
        let occupancy = fraction(self.work.occupied_core_s, available);
        let efficiency = self.work.cpu_efficiency();
        let has_run = self.work.longest_s > 0.0;
        CoreFindings {
            core_count: self.core_count(),
            worker_count: i64::try_from(self.worker_count()).unwrap_or(0),
            available_core_s: available,
            occupied_core_s: self.work.occupied_core_s,
            cpu_s: (self.work.measured_core_s > 0.0).then_some(self.work.cpu_s),
            useful_core_s: self.work.useful_core_s,
            occupancy_fraction: occupancy,
            cpu_efficiency_fraction: efficiency,
            cpu_utilisation_fraction: occupancy
                .zip(efficiency)
                .map(|(occupancy, efficiency)| occupancy * efficiency),
            goodput_fraction: self.work.goodput(),
            load_balance_fraction: if has_run {
                self.work.load_balance(i64::try_from(self.worker_count()).unwrap_or(1))
            } else {
                None
            },
            parts: self.core_parts(available, time),
        }
    }

    /// From available to useful; the parts add up to what there was.
    fn core_parts(&self, available: f64, time: &TimeFindings) -> Vec<CorePart> {
        let work = &self.work;
        let mut parts = vec![
            ("useful: computing".to_owned(), work.useful_cpu_s),
            ("useful: waiting (I/O, sleep)".to_owned(), work.useful_core_s - work.useful_cpu_s),
        ];
        for outcome in Outcome::ALL {
            let mut core_s = work.by_outcome[*outcome as usize];
            let mut name = outcome.as_str().replace('_', " ");
            if *outcome == Outcome::Succeeded {
                core_s -= work.useful_core_s;
                "succeeded, and run again".clone_into(&mut name);
            }
            parts.push((name, core_s));
        }
        let mut idle = (available - work.occupied_core_s).max(0.0);
        let reasons = [
            ("idle: tail", time.tail_idle_core_s.unwrap_or(0.0)),
            ("idle: no task was ready", time.starved_core_s),
            ("idle: between tasks", time.dispatch_gap_core_s),
        ];
        for (name, core_s) in reasons {
            let core_s = core_s.min(idle);
            idle -= core_s;
            parts.push((name.to_owned(), core_s));
        }
        parts.push(("idle: start, end and other".to_owned(), idle));
        let least = available * 1e-6;
        parts.retain(|(_, core_s)| *core_s > least);
        parts.into_iter().map(|(name, core_s)| CorePart { name, core_s }).collect()
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn more_cores(&self) -> Option<MoreCores> {
        let attempts = &self.loaded.attempts;
        if !self.options.charts || self.work.longest_s <= 0.0 {
            return None;
        }
        let cores_of_worker =
            self.loaded.sessions.iter().map(|session| session.cores_per_task).max().unwrap_or(1) as f64;
        let mut rows: Vec<usize> = attempts.that_ran().collect();
        rows.sort_by_key(|row| attempts.started_at[*row]);
        let durations: Vec<f64> = rows.iter().map(|row| attempts.wall_s[*row]).collect();
        let workers = self.worker_count();
        let point = |factor: &f64| {
            let count = ((workers as f64 * factor).round() as usize).max(1);
            let makespan_s = bounds::replay_s(durations.iter().copied(), count);
            let core_count = count as f64 * cores_of_worker;
            let occupancy = self.work.occupied_core_s / (core_count * makespan_s);
            MoreCoresPoint { factor: *factor, core_count, makespan_s, occupancy_fraction: occupancy }
        };
        let mut points = std::thread::scope(|scope| {
            let threads: Vec<_> = FACTORS.iter().map(|factor| scope.spawn(move || point(factor))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        points.dedup_by(|one, other| (one.core_count - other.core_count).abs() < 0.5);
        Some(MoreCores { points, saturation_core_count: self.work.occupied_core_s / self.work.longest_s })
    }

    fn outcomes(&self) -> Vec<OutcomeCount> {
        let attempts = &self.loaded.attempts;
        let mut counts = vec![(0_i64, 0.0); Outcome::ALL.len()];
        for row in self.loaded.selected() {
            let count = &mut counts[attempts.outcome[row] as usize];
            count.0 += 1;
            count.1 += attempts.core_s(row);
        }
        Outcome::ALL
            .iter()
            .map(|outcome| OutcomeCount {
                outcome: outcome.as_str().to_owned(),
                task_count: self.loaded.tasks.of(*outcome),
                attempt_count: counts[*outcome as usize].0,
                core_s: counts[*outcome as usize].1,
            })
            .filter(|count| count.task_count > 0 || count.attempt_count > 0)
            .collect()
    }

    fn filter_facts(&self) -> Option<FilterFacts> {
        let selection = self.loaded.selection.as_ref()?;
        Some(FilterFacts {
            expression: self.options.filter.clone().unwrap_or_default(),
            task_count: selection.len(),
            of_task_count: self.loaded.all_tasks.sum(),
        })
    }
}

/// The `count` rows with the largest values, the largest first; of equal ones the first rows.
fn largest(rows: impl Iterator<Item = usize>, count: usize, value: impl Fn(usize) -> f64) -> Vec<usize> {
    let order =
        |one: &(f64, usize), other: &(f64, usize)| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1));
    let mut kept: Vec<(f64, usize)> = Vec::new();
    // What is not larger than this has no chance: rows ascend.
    let mut least = f64::NEG_INFINITY;
    for row in rows.filter(|_| count > 0) {
        let value = value(row);
        if value <= least {
            continue;
        }
        kept.push((value, row));
        if kept.len() >= 2 * count + 64 {
            kept.select_nth_unstable_by(count - 1, order);
            kept.truncate(count);
            least = kept[count - 1].0;
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(count);
    kept.into_iter().map(|(_, row)| row).collect()
}

fn name_quantiles(distribution: &mut Distribution, rows: &[u32], lines: &Lines) {
    for (quantile, row) in distribution.quantiles.iter_mut().zip(rows) {
        quantile.task_id = lines.task_id(*row as usize).map(ToOwned::to_owned);
    }
}
