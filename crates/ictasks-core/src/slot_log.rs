//! The slot log: the evidence of what ran when the coordinator or the agent died.
//!
//! One file for each agent, `journal/agent-<host>-<n>.log`, only ever appended to, and locked
//! (flock) as long as the agent or one of its slots lives. A line is the CRC-32 of a JSON text as
//! eight hexadecimal digits, a space, and the text. Each slot begins with a [`Line::Slot`]; for
//! each attempt it writes a [`Line::Begun`] before it starts a process, and after the tree has
//! ended, before it replies, the [`Line::Finished`] with the whole outcome.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, Outcome, Seat};
use crate::column::Timestamp;
use crate::protocol::{TaskEnded, TaskOrder};

/// Longer lines are damage: a reply has less than 160 KiB, an order is longer only by its environment.
const LONGEST_LINE_BYTES: u64 = 8 << 20;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A slot is there; what follows by the same worker was done there.
    Slot(Seat),
    /// A task is about to be started.
    Begun(Begun),
    /// It has ended, or could not be started.
    Finished(Box<TaskEnded>),
    /// It could not be tried because of the farm's own trouble.
    NotStarted {
        /// Position in the task list.
        task_index: i64,
        /// For people.
        message: String,
    },
}

/// A task is about to be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// On which worker.
    pub worker_id: i32,
    /// When.
    pub at: Timestamp,
    /// What the slot was told.
    pub order: TaskOrder,
}

/// A JSON text as a line of the log.
pub fn line_of(json: &[u8]) -> Vec<u8> {
    let mut line = LineText::default();
    line.begin().extend_from_slice(json);
    line.finish();
    line.0
}

/// The text of a line, made in one place: memory that serves for one line after the other.
#[derive(Clone, Debug, Default)]
pub struct LineText(Vec<u8>);

impl LineText {
    /// The checksum and the space.
    const PREFIX_BYTES: usize = 9;
    /// Memory for a longer line is given back.
    const KEPT_BYTES: usize = 64 * 1024;

    /// Begins a line; its JSON text is to be added.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        self.0.clear();
        self.0.shrink_to(Self::KEPT_BYTES);
        self.0.resize(Self::PREFIX_BYTES, b' ');
        &mut self.0
    }

    /// Puts the checksum in front of what was added, and the end of the line behind it.
    pub fn finish(&mut self) {
        let (prefix, json) = self.0.split_at_mut(Self::PREFIX_BYTES);
        let checksum = crc32fast::hash(json);
        for (place, digit) in prefix.iter_mut().take(8).enumerate() {
            *digit = b"0123456789abcdef"[(checksum >> (28 - 4 * place) & 15) as usize];
        }
        self.0.push(b'\n');
    }

    /// The whole line, once it is finished.
    pub fn line(&self) -> &[u8] {
        &self.0
    }

    /// Its JSON text.
    pub fn json(&self) -> &[u8] {
        self.0.get(Self::PREFIX_BYTES..).unwrap_or_default().trim_ascii_end()
    }
}

/// An attempt that a log tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedAttempt {
    /// Where it was made.
    pub seat: Seat,
    /// What was to be run.
    pub order: TaskOrder,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// How it ended; `None` if nobody was left to say so.
    pub ended: Option<TaskEnded>,
}

impl LoggedAttempt {
    /// Its row in the record. Of one whose end nobody saw only that is known: `node_lost`.
    pub fn into_attempt(self) -> Attempt {
        let ended = self.ended.unwrap_or_else(|| {
            let TaskOrder { task_index, attempt, .. } = self.order;
            TaskEnded::unmeasured(task_index, attempt, self.seat.worker_id, Outcome::NodeLost)
        });
        Attempt::of_end(&self.seat, self.order, ended)
    }
}

/// Reads a log and hands its attempts to `take`: those that ended in the order of their ends, then
/// those that did not. Returns the number of lines that could not be understood; there may be
/// some where a line was cut short and the log went on after it.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path, take: &mut dyn FnMut(LoggedAttempt)) -> io::Result<u64> {
    read_from(BufReader::new(File::open(path)?), take)
}

/// As [`read`], from anything.
///
/// # Errors
/// If it cannot be read.
pub fn read_from(mut reader: impl BufRead, take: &mut dyn FnMut(LoggedAttempt)) -> io::Result<u64> {
    let mut seats: HashMap<i32, Seat> = HashMap::new();
    // In the order in which they were begun; a worker has one at a time.
    let mut begun: Vec<(i64, i32, LoggedAttempt)> = Vec::new();
    let mut damaged = 0;
    let mut bytes = Vec::new();
    while next_line(&mut reader, &mut bytes)? {
        match understood(&bytes) {
            Some(Line::Slot(seat)) => {
                seats.insert(seat.worker_id, seat);
            }
            Some(Line::Begun(Begun { worker_id, at, order })) => {
                let Some(seat) = seats.get(&worker_id) else {
                    damaged += 1;
                    continue;
                };
                let (task_index, attempt) = (order.task_index, order.attempt);
                let logged = LoggedAttempt { seat: seat.clone(), order, begun_at: at, ended: None };
                begun.push((task_index, attempt, logged));
            }
            Some(Line::Finished(ended)) => {
                let key = (ended.task_index, ended.attempt);
                let position = begun.iter().position(|(index, attempt, _)| (*index, *attempt) == key);
                match position {
                    Some(position) => {
                        let (_, _, logged) = begun.remove(position);
                        take(LoggedAttempt { ended: Some(*ended), ..logged });
                    }
                    None => damaged += 1,
                }
            }
            Some(Line::NotStarted { task_index, .. }) => begun.retain(|(index, ..)| *index != task_index),
            None => damaged += 1,
        }
    }
    begun.into_iter().for_each(|(_, _, logged)| take(logged));
    Ok(damaged)
}

/// Reads one line; false at the end.
fn next_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    let read = reader.by_ref().take(LONGEST_LINE_BYTES).read_until(b'\n', bytes)?;
    Ok(read > 0)
}

fn understood(bytes: &[u8]) -> Option<Line> {
    let text = bytes.strip_suffix(b"\n")?;
    let (checksum, json) = (text.get(..8)?, text.get(9..)?);
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (checksum == crc32fast::hash(json)).then_some(())?;
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn order(task_index: i64) -> TaskOrder {
        TaskOrder {
            task_index,
            task_id: format!("t{task_index}"),
            attempt: 1,
            command: "true".to_owned(),
            command_hash: 5,
            ready_at: Timestamp(1),
            environment: BTreeMap::new(),
            params_json: None,
            reason: None,
            timeout_s: None,
            expected_outputs: Vec::new(),
            call: None,
        }
    }

    fn log() -> Vec<Vec<u8>> {
        let seat = |worker_id| Line::Slot(Seat { worker_id, session: 2, ..Seat::default() });
        let begun = |worker_id, task_index| {
            Line::Begun(Begun { worker_id, at: Timestamp(2), order: order(task_index) })
        };
        let ended = |worker_id, task_index| {
            let ended = TaskEnded::unmeasured(task_index, 1, worker_id, Outcome::Succeeded);
            Line::Finished(Box::new(ended))
        };
        let lines = [seat(0), seat(1), begun(0, 0), begun(1, 1), ended(1, 1), begun(1, 2), ended(0, 0)];
        lines.iter().map(|line| line_of(&serde_json::to_vec(line).unwrap())).collect()
    }

    fn read_back(bytes: &[u8]) -> (Vec<(i64, i32, bool)>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent-h-0.log");
        std::fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        let damaged = read(&path, &mut |logged| {
            assert_eq!(logged.seat.session, 2);
            found.push((logged.order.task_index, logged.seat.worker_id, logged.ended.is_some()));
        });
        (found, damaged.unwrap())
    }

    #[test]
    fn a_line_is_its_checksum_and_its_text_and_its_memory_serves_again() {
        let mut text = LineText::default();
        for json in [&b"{\"a\":\"a longer one\"}"[..], b"{}"] {
            text.begin().extend_from_slice(json);
            text.finish();
            let checksum = format!("{:08x} ", crc32fast::hash(json));
            assert_eq!(text.line(), [checksum.as_bytes(), json, b"\n"].concat());
            assert_eq!(text.json(), json);
        }
    }

    #[test]
    fn attempts_that_ended_come_first_and_then_those_that_did_not() {
        let whole = log().concat();
        assert_eq!(read_back(&whole), (vec![(1, 1, true), (0, 0, true), (2, 1, false)], 0));
    }

    #[test]
    fn a_log_cut_anywhere_tells_only_what_happened() {
        let whole = log().concat();
        for cut in 0..whole.len() {
            let (found, damaged) = read_back(&whole[..cut]);
            let at_a_line = whole[..cut].is_empty() || whole[..cut].ends_with(b"\n");
            assert_eq!(damaged, u64::from(!at_a_line), "{cut}");
            for (index, worker, ended) in found {
                assert!([(0, 0), (1, 1), (2, 1)].contains(&(index, worker)), "{cut}");
                assert!(!(ended && index == 2), "{cut}");
            }
        }
    }

    #[test]
    fn what_follows_a_damaged_line_counts() {
        let mut lines = log();
        let middle = lines[3].len() / 2;
        lines[3].truncate(middle);
        lines[3].push(b'\n');
        lines.push(vec![0; 4096]);
        let (found, damaged) = read_back(&lines.concat());
        assert_eq!(found, [(0, 0, true), (2, 1, false)]);
        assert_eq!(damaged, 3);
    }
}
