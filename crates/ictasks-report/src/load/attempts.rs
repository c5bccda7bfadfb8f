//! The figures of all attempts, a column each.

use std::collections::HashMap;

use ictasks_core::attempt::{Outcome, Reason};
use polars::prelude::*;

use super::batches;
use super::grouping::{GroupBy, Grouping};
use super::interned::Interned;
use super::sessions::Session;
use super::{column_names, column_or_null, row_count};
use crate::error::ReportError;
use crate::source::{Source, Table};

/// In `started_at` and `ready_at`: not known.
pub(crate) const NO_TIME: i64 = i64::MIN;
/// In `worker`: it ran nowhere.
pub(crate) const NO_WORKER: u32 = u32::MAX;
/// In `memory_bytes`: not measured.
pub(crate) const NO_BYTES: i64 = -1;

/// Attempts that ended. A row is an index into every column.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Index into the sessions of all runs.
    pub(crate) session: Vec<u32>,
    /// Position in the task list.
    pub(crate) task_index: Vec<i64>,
    /// 1 is the first.
    pub(crate) attempt: Vec<i32>,
    /// Whether `retries` allowed it; further attempts may be the user's, by `--resume`.
    pub(crate) is_retry: Vec<bool>,
    /// How it ended.
    pub(crate) outcome: Vec<Outcome>,
    /// Microseconds since the epoch, or [`NO_TIME`].
    pub(crate) started_at: Vec<i64>,
    /// Microseconds since the epoch, or [`NO_TIME`].
    pub(crate) ready_at: Vec<i64>,
    /// Seconds, or NaN.
    pub(crate) wall_s: Vec<f64>,
    /// User and system CPU seconds, or NaN.
    pub(crate) cpu_s: Vec<f64>,
    /// Cores held; 0 if it held none.
    pub(crate) core_count: Vec<i32>,
    /// The larger of its largest process and its sampled tree, or [`NO_BYTES`].
    pub(crate) memory_bytes: Vec<i64>,
    /// Index into `workers`, or [`NO_WORKER`].
    pub(crate) worker: Vec<u32>,
    /// Index into `groups`.
    pub(crate) group: Vec<u32>,
    /// Whether it is the last attempt of its task.
    pub(crate) is_last: Vec<bool>,
    /// The workers that attempts ran on.
    pub(crate) workers: Vec<Worker>,
    /// Names of hosts.
    pub(crate) hosts: Vec<String>,
    /// Names of groups.
    pub(crate) groups: Vec<String>,
    /// What they are grouped by.
    pub(crate) grouped_by: String,
}

/// Runs one task at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    /// Of which run.
    pub(crate) run: u32,
    /// Index into `hosts`.
    pub(crate) host: u32,
    /// Its number within the host.
    pub(crate) worker_id: i32,
}

impl Attempts {
    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.outcome.len()
    }

    /// Makes room: columns that grow by doubling take twice the memory.
    fn reserve(&mut self, rows: usize) {
        self.session.reserve_exact(rows);
        self.task_index.reserve_exact(rows);
        self.attempt.reserve_exact(rows);
        self.is_retry.reserve_exact(rows);
        self.outcome.reserve_exact(rows);
        self.started_at.reserve_exact(rows);
        self.ready_at.reserve_exact(rows);
        self.wall_s.reserve_exact(rows);
        self.cpu_s.reserve_exact(rows);
        self.core_count.reserve_exact(rows);
        self.memory_bytes.reserve_exact(rows);
        self.worker.reserve_exact(rows);
    }

    /// Whether it ran: it has a start and a duration.
    pub(crate) fn ran(&self, row: usize) -> bool {
        self.started_at[row] != NO_TIME && !self.wall_s[row].is_nan()
    }

    /// Rows that ran.
    pub(crate) fn that_ran(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|row| self.ran(*row))
    }

    /// c·d: core seconds that it held; 0 if it did not run.
    pub(crate) fn core_s(&self, row: usize) -> f64 {
        if self.ran(row) { self.wall_s[row] * f64::from(self.core_count[row]) } else { 0.0 }
    }

    /// When it ended, microseconds since the epoch.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn ended_at(&self, row: usize) -> i64 {
        self.started_at[row].saturating_add((self.wall_s[row] * 1e6).round() as i64)
    }

    /// The host that it ran on: an index into `hosts`.
    pub(crate) fn host(&self, row: usize) -> Option<u32> {
        self.workers.get(self.worker[row] as usize).map(|worker| worker.host)
    }

    /// Name of the host that it ran on.
    pub(crate) fn host_name(&self, row: usize) -> Option<&str> {
        self.host(row).map(|host| self.hosts[host as usize].as_str())
    }

    /// Reads the attempts of all runs. Adds sessions that only attempts tell of. The second result is
    /// the first row of each run, and the end.
    pub(super) fn read(
        sources: &[Source],
        sessions: &mut Vec<Session>,
        group_by: &GroupBy,
    ) -> Result<(Self, Vec<usize>), ReportError> {
        let mut reader = Reader {
            attempts: Self::default(),
            hosts: Interned::default(),
            workers: PlHashMap::default(),
            grouping: Grouping::new(group_by),
            sessions,
        };
        let mut first_rows = vec![0];
        for (run, source) in sources.iter().enumerate() {
            if source.has(Table::Attempts) {
                reader.read(run, source)?;
            }
            first_rows.push(reader.attempts.len());
        }
        let Reader { mut attempts, hosts, grouping, .. } = reader;
        attempts.hosts = (0..hosts.len())
            .map(|number| hosts.text(u32::try_from(number).unwrap_or(0)).to_owned())
            .collect();
        grouping.finish(&mut attempts);
        attempts.find_last(&first_rows);
        Ok((attempts, first_rows))
    }

    /// The last attempt of a task is that with the highest number; of equal ones, which a damaged
    /// record may hold, the later row.
    fn find_last(&mut self, first_rows: &[usize]) {
        self.is_last = vec![false; self.len()];
        for bounds in first_rows.windows(2) {
            let mut last: HashMap<i64, usize> = HashMap::new();
            // Positions are dense but for damaged records: a plain table then serves as the map.
            let limit = i64::try_from(4 * (bounds[1] - bounds[0]) + 1_000_000).unwrap_or(i64::MAX);
            let mut dense: Vec<u32> = Vec::new();
            for row in bounds[0]..bounds[1] {
                let index = self.task_index[row];
                let place = usize::try_from(index).ok().filter(|_| index < limit);
                match (place, u32::try_from(row + 1)) {
                    (Some(place), Ok(number)) => {
                        if place >= dense.len() {
                            dense.resize((place + 1).max(2 * dense.len()), 0);
                        }
                        let before = dense[place] as usize;
                        if before == 0 || self.attempt[before - 1] <= self.attempt[row] {
                            dense[place] = number;
                        }
                    }
                    _ => {
                        let before = last.entry(index).or_insert(row);
                        if self.attempt[*before] <= self.attempt[row] {
                            *before = row;
                        }
                    }
                }
            }
            dense
                .iter()
                .filter(|number| **number > 0)
                .for_each(|number| self.is_last[*number as usize - 1] = true);
            last.values().for_each(|row| self.is_last[*row] = true);
        }
    }
}

struct Reader<'a> {
    attempts: Attempts,
    hosts: Interned,
    workers: PlHashMap<Worker, u32>,
    grouping: Grouping,
    sessions: &'a mut Vec<Session>,
}

impl Reader<'_> {
    fn read(&mut self, run: usize, source: &Source) -> Result<(), ReportError> {
        let known = column_names(source, Table::Attempts)?;
        let column = |name: &str, kind| column_or_null(&known, name, kind);
        let mut wanted = vec![
            column("session", DataType::Int32),
            column("task_index", DataType::Int64),
            column("attempt", DataType::Int32),
            column("reason", DataType::String),
            column("outcome", DataType::String),
            column("host", DataType::String),
            column("worker_id", DataType::Int32),
            column("core_count", DataType::Int32),
            column("started_at", DataType::Int64).cast(DataType::Int64),
            column("ready_at", DataType::Int64).cast(DataType::Int64),
            column("wall_s", DataType::Float64),
            (column("user_s", DataType::Float64) + column("system_s", DataType::Float64)).alias("cpu_s"),
            max_of(
                column("max_process_rss_bytes", DataType::Int64),
                column("max_tree_rss_bytes", DataType::Int64),
            )
            .alias("memory_bytes"),
        ];
        wanted.extend(self.grouping.column(&known)?);
        let rows = row_count(source, Table::Attempts)?;
        self.attempts.reserve(rows);
        let query = source.scan(Table::Attempts)?.select(wanted);
        batches::for_each_in_parts(query, rows, &mut |batch| self.take(run, batch))
    }

    fn take(&mut self, run: usize, batch: &DataFrame) -> Result<(), ReportError> {
        let number = u32::try_from(run).unwrap_or(u32::MAX);
        let outcomes = Self::outcomes(batch)?;
        let are_retries = Self::are_retries(batch)?;
        self.take_workers(number, batch)?;
        self.take_sessions(run, batch)?;
        self.grouping.take(batch)?;
        let attempts = &mut self.attempts;
        attempts.outcome.extend(outcomes);
        attempts.is_retry.extend(are_retries);
        attempts.task_index.extend(batches::integers(batch, "task_index", -1)?);
        attempts.attempt.extend(narrow(batches::integers(batch, "attempt", 0)?));
        attempts.started_at.extend(batches::integers(batch, "started_at", NO_TIME)?);
        attempts.ready_at.extend(batches::integers(batch, "ready_at", NO_TIME)?);
        attempts.wall_s.extend(batches::floats(batch, "wall_s", f64::NAN)?);
        attempts.cpu_s.extend(batches::floats(batch, "cpu_s", f64::NAN)?);
        attempts.core_count.extend(narrow(batches::integers(batch, "core_count", 0)?));
        attempts.memory_bytes.extend(batches::integers(batch, "memory_bytes", NO_BYTES)?);
        Ok(())
    }

    fn outcomes(batch: &DataFrame) -> Result<Vec<Outcome>, ReportError> {
        let mut names = Interned::default();
        let numbers = batches::categories(batch, "outcome", &mut names)?;
        let outcomes: Vec<Outcome> = (0..names.len())
            .map(|number| {
                let name = names.text(u32::try_from(number).unwrap_or(0));
                let known = Outcome::ALL.iter().copied().find(|outcome| outcome.as_str() == name);
                known.unwrap_or(Outcome::Failed)
            })
            .collect();
        let of = |number: &u32| outcomes.get(*number as usize).copied().unwrap_or(Outcome::Pending);
        Ok(numbers.iter().map(of).collect())
    }

    fn are_retries(batch: &DataFrame) -> Result<Vec<bool>, ReportError> {
        let mut names = Interned::default();
        let retry = names.number(Reason::Retry.as_str());
        Ok(batches::categories(batch, "reason", &mut names)?.into_iter().map(|name| name == retry).collect())
    }

    fn take_workers(&mut self, run: u32, batch: &DataFrame) -> Result<(), ReportError> {
        let hosts = batches::categories(batch, "host", &mut self.hosts)?;
        let ids = batches::integers(batch, "worker_id", -1)?;
        for (host, worker_id) in hosts.into_iter().zip(ids) {
            let worker = Worker { run, host, worker_id: i32::try_from(worker_id).unwrap_or(-1) };
            if host == batches::NO_TEXT || worker.worker_id < 0 {
                self.attempts.worker.push(NO_WORKER);
                continue;
            }
            let workers = &mut self.attempts.workers;
            let number = *self.workers.entry(worker).or_insert_with(|| {
                workers.push(worker);
                u32::try_from(workers.len() - 1).unwrap_or(NO_WORKER)
            });
            self.attempts.worker.push(number);
        }
        Ok(())
    }

    fn take_sessions(&mut self, run: usize, batch: &DataFrame) -> Result<(), ReportError> {
        let numbers = batches::integers(batch, "session", 0)?;
        let mut last: Option<(i64, u32)> = None;
        for session in numbers {
            let index = match last {
                Some((number, index)) if number == session => index,
                _ => Session::find_or_add(self.sessions, run, i32::try_from(session).unwrap_or(0)),
            };
            last = Some((session, index));
            self.attempts.session.push(index);
        }
        Ok(())
    }
}

/// The larger of two numbers; of a number and null the number.
fn max_of(one: Expr, other: Expr) -> Expr {
    when(one.clone().is_null().or(other.clone().gt(one.clone()))).then(other).otherwise(one)
}

fn narrow(values: Vec<i64>) -> impl Iterator<Item = i32> {
    values.into_iter().map(|value| i32::try_from(value).unwrap_or(0))
}
