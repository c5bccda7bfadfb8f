//! Idle cores: the tail, gaps between tasks, and a queue that ran dry.

use crate::load::attempts::NO_TIME;
use crate::load::{Attempts, Session};

/// Why workers of a session stood idle.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Idle {
    /// From the last start to the last end; `None` where tasks were left over.
    pub(crate) tail_s: Option<f64>,
    /// ∫(C − busy) dt over the tail.
    pub(crate) tail_idle_core_s: f64,
    /// ∫(C − busy) dt before the tail, while no task was ready.
    pub(crate) starved_core_s: f64,
    /// Gaps from an end to the next start on the same worker, while a task was ready; seconds.
    pub(crate) gaps_s: Vec<f64>,
    /// Σ gap × cores.
    pub(crate) gap_core_s: f64,
}

/// Rows of each session that ran, in the order of the record.
pub(crate) fn rows_by_session(attempts: &Attempts, sessions: usize) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); sessions];
    for row in attempts.that_ran() {
        if let (Some(rows), Ok(row)) = (rows.get_mut(attempts.session[row] as usize), u32::try_from(row)) {
            rows.push(row);
        }
    }
    rows
}

impl Idle {
    /// Of one session, from its rows. `all_started`: no task was left over when it ended.
    pub(crate) fn of(attempts: &Attempts, session: &Session, rows: &[u32], all_started: bool) -> Self {
        let mut idle = Self::default();
        let Some(last_start) = rows.iter().map(|row| attempts.started_at[*row as usize]).max() else {
            return idle;
        };
        idle.find_gaps(attempts, rows);
        if all_started {
            idle.find_tail(attempts, session, rows, last_start);
        }
        idle.starved_core_s = starved_core_s(attempts, session, rows);
        idle
    }

    /// The tail: from the moment the queue is empty (the last start) to the end.
    #[allow(clippy::cast_precision_loss)]
    fn find_tail(&mut self, attempts: &Attempts, session: &Session, rows: &[u32], last_start: i64) {
        let end = rows.iter().map(|row| attempts.ended_at(*row as usize)).max().unwrap_or(last_start);
        let mut busy = 0.0;
        for row in rows.iter().map(|row| *row as usize) {
            let overlap = (attempts.ended_at(row) - attempts.started_at[row].max(last_start)).max(0);
            busy += overlap as f64 / 1e6 * f64::from(attempts.core_count[row]);
        }
        let available: f64 = session
            .nodes
            .iter()
            .map(|node| {
                let there = (node.left_at.min(end) - node.joined_at.max(last_start)).max(0);
                node.core_count as f64 * there as f64 / 1e6
            })
            .sum();
        self.tail_s = Some((end - last_start) as f64 / 1e6);
        self.tail_idle_core_s = (available - busy).max(0.0);
    }

    /// A worker runs one task at a time, and the record is in the order of ends: so the row before of
    /// the same worker is the task before.
    #[allow(clippy::cast_precision_loss)]
    fn find_gaps(&mut self, attempts: &Attempts, rows: &[u32]) {
        let mut last_end = vec![NO_TIME; attempts.workers.len()];
        for row in rows.iter().map(|row| *row as usize) {
            let Some(before) = last_end.get_mut(attempts.worker[row] as usize) else { continue };
            let start = attempts.started_at[row];
            let was_ready = attempts.ready_at[row] == NO_TIME || attempts.ready_at[row] <= *before;
            if *before != NO_TIME && was_ready && start >= *before {
                let gap_s = (start - *before) as f64 / 1e6;
                self.gaps_s.push(gap_s);
                self.gap_core_s += gap_s * f64::from(attempts.core_count[row]);
            }
            *before = attempts.ended_at(row);
        }
    }
}

/// ∫(C − busy) dt from the beginning of the session to its last start, over the time in which no task was ready
/// and waiting: the list came too slowly, or retries waited for their back-off.
#[allow(clippy::cast_precision_loss)]
fn starved_core_s(attempts: &Attempts, session: &Session, rows: &[u32]) -> f64 {
    let ready_at = |row: usize| match attempts.ready_at[row] {
        NO_TIME => session.began_at,
        ready_at => ready_at.min(attempts.started_at[row]),
    };
    // Of a list that is a file all tasks are ready when the session begins.
    if rows.iter().all(|row| ready_at(*row as usize) <= session.began_at + 1_000_000) {
        return 0.0;
    }
    // Three lists that are nearly in order already, which a stable sort makes use of.
    let mut readies: Vec<i64> = rows.iter().map(|row| ready_at(*row as usize)).collect();
    let mut starts: Vec<(i64, i32)> = Vec::with_capacity(rows.len());
    let mut ends: Vec<(i64, i32)> = Vec::with_capacity(rows.len());
    for row in rows.iter().map(|row| *row as usize) {
        starts.push((attempts.started_at[row], attempts.core_count[row]));
        ends.push((attempts.ended_at(row), attempts.core_count[row]));
    }
    readies.sort();
    starts.sort();
    ends.sort();
    let (mut of_ready, mut of_start, mut of_end) =
        (readies.into_iter().peekable(), starts.into_iter().peekable(), ends.into_iter().peekable());
    let cores: i64 = session.core_count();
    let (mut queued, mut busy, mut starved) = (0_i64, 0_i64, 0.0);
    let mut before = session.nodes.iter().map(|node| node.joined_at).min().unwrap_or(session.began_at);
    // What happens at the same instant: tasks become ready, end, start.
    while let Some(start) = of_start.peek().map(|(at, _)| *at) {
        let ready = of_ready.peek().copied().unwrap_or(i64::MAX);
        let end = of_end.peek().map_or(i64::MAX, |(at, _)| *at);
        let at = ready.min(end).min(start);
        if at > before {
            if queued == 0 {
                starved += (cores - busy).max(0) as f64 * (at - before) as f64 / 1e6;
            }
            before = at;
        }
        if ready == at {
            of_ready.next();
            queued += 1;
        } else if end == at {
            busy -= i64::from(of_end.next().map_or(0, |(_, cores)| cores));
        } else {
            busy += i64::from(of_start.next().map_or(0, |(_, cores)| cores));
            queued -= 1;
        }
    }
    starved
}
