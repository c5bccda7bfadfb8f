//! The starts of runs, and their nodes.

use polars::prelude::*;

use super::attempts::Attempts;
use super::axis;
use super::{batches, column_names, column_or_null};
use crate::error::ReportError;
use crate::findings::{NodeFacts, RunFacts, RunLife, SessionFacts};
use crate::moment::Moment;
use crate::source::{Source, Table};

/// One start of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Session {
    /// Index of its run.
    pub(crate) run: usize,
    /// Its number within the run.
    pub(crate) number: i32,
    /// Microseconds since the epoch.
    pub(crate) began_at: i64,
    /// Microseconds since the epoch: its end, or when it was seen alive last.
    pub(crate) ended_at: i64,
    /// Whether run.json says that it ended.
    pub(crate) has_ended: bool,
    /// Cores of a worker.
    pub(crate) cores_per_task: i64,
    /// Index of the first run that belongs to the same whole: shards of one list ran side by side.
    pub(crate) whole: usize,
    /// Its nodes.
    pub(crate) nodes: Vec<Node>,
    /// Where it begins on the axis of time in which a session was alive.
    pub(crate) axis_start_s: f64,
}

/// A node of a session, and its time in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) core_count: i64,
    pub(crate) gpu_count: i64,
    pub(crate) memory_total_bytes: Option<i64>,
    /// Microseconds since the epoch.
    pub(crate) joined_at: i64,
    /// Microseconds since the epoch.
    pub(crate) left_at: i64,
}

#[allow(clippy::cast_precision_loss)]
pub(crate) const fn seconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1e6
}

impl Session {
    /// How long it was alive.
    pub(crate) const fn span_s(&self) -> f64 {
        seconds(self.ended_at - self.began_at)
    }

    /// Cores of all nodes.
    pub(crate) fn core_count(&self) -> i64 {
        self.nodes.iter().map(|node| node.core_count).sum()
    }

    /// ∫C dt: core seconds that there were.
    pub(crate) fn available_core_s(&self) -> f64 {
        self.nodes.iter().map(Node::available_core_s).sum()
    }

    /// Workers that can run a task at the same time.
    pub(crate) fn worker_count(&self) -> i64 {
        let by_cores: i64 = self.nodes.iter().map(|node| node.core_count / self.cores_per_task).sum();
        by_cores.max(1)
    }

    /// An instant on the axis of time in which sessions were alive.
    pub(crate) fn on_axis_s(&self, at: i64) -> f64 {
        self.axis_start_s + seconds(at.clamp(self.began_at, self.ended_at) - self.began_at)
    }

    /// Index of the session with this number of a run; it is added if run.json did not tell of it.
    pub(super) fn find_or_add(sessions: &mut Vec<Self>, run: usize, number: i32) -> u32 {
        let known = sessions.iter().position(|session| session.run == run && session.number == number);
        let index = known.unwrap_or_else(|| {
            sessions.push(Self {
                run,
                whole: run,
                number,
                cores_per_task: 1,
                began_at: i64::MAX,
                ..Self::default()
            });
            sessions.len() - 1
        });
        u32::try_from(index).unwrap_or(0)
    }
}

impl Node {
    fn facts(&self) -> NodeFacts {
        NodeFacts {
            host: self.host.clone(),
            core_count: self.core_count,
            gpu_count: self.gpu_count,
            memory_total_bytes: self.memory_total_bytes,
            cpu_model: None,
        }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn available_core_s(&self) -> f64 {
        self.core_count as f64 * seconds((self.left_at - self.joined_at).max(0))
    }
}

/// Adds what events tell: when a node was lost, and of a session that did not end its last sign of life.
pub(super) fn complete(
    source: &Source,
    facts: &mut RunFacts,
    sessions: &mut [Session],
) -> Result<(), ReportError> {
    let several = sessions.iter().any(|session| session.nodes.len() > 1);
    let has_open = sessions.iter().any(|session| !session.has_ended);
    if !source.has(Table::Events) || !(several || has_open) {
        return Ok(());
    }
    if has_open {
        let last = source
            .scan(Table::Events)?
            .group_by([col("session")])
            .agg([col("at").max().cast(DataType::Int64)]);
        let last = last.collect()?;
        let numbers = batches::integers(&last, "session", -1)?;
        for (number, at) in numbers.into_iter().zip(batches::integers(&last, "at", 0)?) {
            for session in sessions.iter_mut().filter(|session| i64::from(session.number) == number) {
                if !session.has_ended {
                    extend(session, at);
                }
            }
        }
        if facts.life == RunLife::Alive
            && let Some(last) = sessions.last_mut()
        {
            extend(last, Moment::now().0);
        }
    }
    // A run that was killed at once has told its nodes to events only.
    if sessions.iter().any(|session| session.nodes.is_empty()) {
        join_nodes(source, sessions)?;
    }
    if several {
        lose_nodes(source, sessions)?;
    }
    Ok(())
}

/// Adds the nodes of sessions of which run.json names none.
fn join_nodes(source: &Source, sessions: &mut [Session]) -> Result<(), ReportError> {
    let known = column_names(source, Table::Events)?;
    let number = |name: &str| column_or_null(&known, name, DataType::Int64).cast(DataType::Int64);
    let joined = source
        .scan(Table::Events)?
        .filter(col("kind").eq(lit("node_joined")))
        .select([
            col("session"),
            col("host").cast(DataType::String),
            col("at").cast(DataType::Int64),
            number("core_count"),
            number("gpu_count"),
            number("memory_total_bytes"),
        ])
        .collect()?;
    let numbers = batches::integers(&joined, "session", -1)?;
    let hosts = batches::texts(&joined, "host")?;
    let times = batches::integers(&joined, "at", 0)?;
    let cores = batches::integers(&joined, "core_count", 0)?;
    let gpus = batches::integers(&joined, "gpu_count", 0)?;
    let memory = batches::integers(&joined, "memory_total_bytes", 0)?;
    let without: Vec<i32> =
        sessions.iter().filter(|session| session.nodes.is_empty()).map(|session| session.number).collect();
    for row in 0..joined.height() {
        let of_number = |session: &&mut Session| {
            i64::from(session.number) == numbers[row] && without.contains(&session.number)
        };
        let Some(session) = sessions.iter_mut().find(of_number) else { continue };
        let host = hosts.get(row).unwrap_or_default().to_owned();
        if session.nodes.iter().any(|node| node.host == host) {
            continue;
        }
        session.nodes.push(Node {
            host,
            core_count: cores[row],
            gpu_count: gpus[row],
            memory_total_bytes: Some(memory[row]).filter(|bytes| *bytes > 0),
            joined_at: times[row].clamp(session.began_at, session.ended_at),
            left_at: session.ended_at,
        });
    }
    Ok(())
}

/// The session was alive at this time.
fn extend(session: &mut Session, at: i64) {
    let before = session.ended_at;
    session.ended_at = before.max(at);
    for node in &mut session.nodes {
        if node.left_at == before {
            node.left_at = session.ended_at;
        }
    }
}

fn lose_nodes(source: &Source, sessions: &mut [Session]) -> Result<(), ReportError> {
    let lost = source
        .scan(Table::Events)?
        .filter(col("kind").eq(lit("node_lost")))
        .select([col("session"), col("host").cast(DataType::String), col("at").cast(DataType::Int64)])
        .collect()?;
    let hosts = batches::texts(&lost, "host")?;
    let numbers = batches::integers(&lost, "session", -1)?;
    for ((host, number), at) in hosts.iter().zip(numbers).zip(batches::integers(&lost, "at", 0)?) {
        let of_number = sessions.iter_mut().filter(|session| i64::from(session.number) == number);
        for node in of_number.flat_map(|session| &mut session.nodes) {
            if Some(node.host.as_str()) == host {
                node.left_at = at.clamp(node.joined_at, node.left_at);
            }
        }
    }
    Ok(())
}

/// Puts the sessions of all runs on one axis, and completes those that only attempts tell of.
pub(super) fn arrange(sessions: &mut [Session], runs: &mut [RunFacts], attempts: &Attempts) {
    for row in attempts.that_ran() {
        let session = &mut sessions[attempts.session[row] as usize];
        if session.nodes.is_empty() {
            // run.json is lost: what attempts tell is all there is.
            session.began_at = session.began_at.min(attempts.started_at[row]);
            session.ended_at = session.ended_at.max(attempts.ended_at(row));
        }
    }
    for (index, session) in sessions.iter_mut().enumerate() {
        if session.began_at == i64::MAX {
            session.began_at = 0;
        }
        if session.nodes.is_empty() {
            session.nodes = nodes_of(attempts, index, session);
        }
    }
    axis::lay_out(sessions);
    for session in sessions.iter() {
        let facts = &mut runs[session.run];
        let known = facts.sessions.iter_mut().find(|facts| facts.session == session.number);
        let ended_at = Moment(session.ended_at);
        match known {
            Some(known) => {
                known.ended_at = ended_at;
                if known.hosts.is_empty() {
                    known.core_count = session.core_count();
                    known.hosts = session.nodes.iter().map(Node::facts).collect();
                }
            }
            None => facts.sessions.push(SessionFacts {
                session: session.number,
                began_at: Moment(session.began_at),
                ended_at,
                core_count: session.core_count(),
                hosts: session.nodes.iter().map(Node::facts).collect(),
                ..SessionFacts::default()
            }),
        }
    }
}

/// The nodes of a session as its attempts show them: as many cores as were held by different workers.
fn nodes_of(attempts: &Attempts, index: usize, session: &Session) -> Vec<Node> {
    let mut cores: Vec<(u32, i64)> = Vec::new();
    let mut seen = vec![false; attempts.workers.len()];
    for row in attempts.that_ran().filter(|row| attempts.session[*row] as usize == index) {
        let Some(seen) = seen.get_mut(attempts.worker[row] as usize) else { continue };
        if std::mem::replace(seen, true) {
            continue;
        }
        let held = i64::from(attempts.core_count[row].max(1));
        let host = attempts.workers[attempts.worker[row] as usize].host;
        match cores.iter_mut().find(|(known, _)| *known == host) {
            Some((_, count)) => *count += held,
            None => cores.push((host, held)),
        }
    }
    let node = |(host, core_count): (u32, i64)| Node {
        host: attempts.hosts[host as usize].clone(),
        core_count,
        joined_at: session.began_at,
        left_at: session.ended_at,
        ..Node::default()
    };
    cores.into_iter().map(node).collect()
}
