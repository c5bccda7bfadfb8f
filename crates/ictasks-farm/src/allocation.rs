//! What Slurm says of the job that the run is in, in the course of it: its end may be moved, and it may be preempted.
//!
//! Slurm is asked in a thread of its own: its controller may make it wait.

use std::sync::mpsc as requests;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::slurm::{JobEnd, squeue};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::FarmError;

/// Between two looks at the end of the job. A cluster may have thousands of jobs that look.
const INTERVAL: Duration = Duration::from_secs(300);
/// Longer than this a SIGTERM is not looked into.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// When the job ends.
    EndsAt(Timestamp),
    /// Why this signal came: whether because the job is preempted.
    Signal {
        /// Its number.
        number: i32,
        /// Whether Slurm has given the job's nodes to another one.
        is_preempted: bool,
    },
}

/// The job that the run is in, if it is in one.
pub struct AllocationWatch {
    asks: Option<requests::Sender<()>>,
    answers: mpsc::Receiver<Answer>,
    /// The signal that is being looked into, and until when.
    open: Option<(i32, Instant)>,
}

/// What the thread has learned.
enum Answer {
    EndsAt(Timestamp),
    IsPreempted(bool),
}

impl AllocationWatch {
    /// Watches this job until the value is dropped; without one nothing is ever learned.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn start(job: Option<&str>) -> Result<Self, FarmError> {
        let (sender, answers) = mpsc::channel(1);
        let mut asks = None;
        if let Some(job) = job.map(str::to_owned) {
            let (asking, asked) = requests::channel();
            asks = Some(asking);
            crate::threads::start("allocation", move || watch(&job, &asked, &sender))?;
        }
        Ok(Self { asks, answers, open: None })
    }

    /// Looks into a signal that came; false if there is nobody to ask, or it is the second one.
    pub fn look_into(&mut self, number: i32) -> bool {
        let asked = self.open.is_none() && self.asks.as_ref().is_some_and(|asks| asks.send(()).is_ok());
        self.open = asked.then(|| (number, Instant::now() + PATIENCE));
        asked
    }

    /// Waits for the next word.
    pub async fn next(&mut self) -> Word {
        loop {
            let patience = self.open.map(|(_, until)| until);
            let is_preempted = tokio::select! {
                Some(answer) = self.answers.recv() => match answer {
                    Answer::EndsAt(at) => return Word::EndsAt(at),
                    Answer::IsPreempted(is_preempted) => is_preempted,
                },
                () = tokio::time::sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => false,
                else => std::future::pending().await,
            };
            // Without an open question the answer came too late.
            if let Some((number, _)) = self.open.take() {
                return Word::Signal { number, is_preempted };
            }
        }
    }
}

fn watch(job: &str, asked: &requests::Receiver<()>, answers: &mpsc::Sender<Answer>) {
    loop {
        let answer = match asked.recv_timeout(INTERVAL) {
            Ok(()) => Some(Answer::IsPreempted(squeue::is_preempted(job))),
            Err(requests::RecvTimeoutError::Timeout) => match squeue::ask(job) {
                JobEnd::At(at) => Some(Answer::EndsAt(at)),
                JobEnd::Unlimited | JobEnd::Unknown => None,
            },
            Err(requests::RecvTimeoutError::Disconnected) => return,
        };
        if answer.is_some_and(|answer| answers.blocking_send(answer).is_err()) {
            return;
        }
    }
}
