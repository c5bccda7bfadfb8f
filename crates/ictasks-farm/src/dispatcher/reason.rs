//! Why a run stops before its list is done.

use ictasks_core::attempt::Cause;
use ictasks_core::error::InputError;
use ictasks_core::event::SinkError;

/// Why a run stops before its list is done.
#[derive(Debug)]
pub enum StopReason {
    /// SIGINT or SIGTERM: the number.
    Signal(i32),
    /// SIGUSR1, or a stop file that says `drain`: by whom.
    Drain(String),
    /// A stop file that says `stop`: by whom.
    Stopped(String),
    /// So many tasks have failed.
    MaxFailures(i32),
    /// One of the `stopping_conditions` held after a task: which, and where.
    StopCondition(String),
    /// None of so many first attempts succeeded.
    NoneSucceeded(i32),
    /// The file system of a task was full: what to do.
    DiskFull(String),
    /// No task that is left would end before the allocation does.
    NothingFits,
    /// The end of the allocation is near.
    TimeIsUp,
    /// Slurm gives the allocation to another job.
    Preempted,
    /// The list turned out to be wrong while it was read.
    Input(InputError),
    /// Trouble of the farm itself.
    Trouble(String),
    /// The record can no longer be kept.
    Record(SinkError),
}

impl StopReason {
    /// What the rows of tasks say that do not start because of it.
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Signal(_) => Cause::Interrupted,
            Self::Drain(_) => Cause::StopRequested,
            Self::Stopped(_) => Cause::Stopped,
            Self::MaxFailures(_) => Cause::MaxFailures,
            Self::StopCondition(_) => Cause::StopCondition,
            Self::NoneSucceeded(_) => Cause::NoneSucceeded,
            Self::DiskFull(_) => Cause::DiskFull,
            Self::NothingFits | Self::TimeIsUp => Cause::Walltime,
            Self::Preempted => Cause::Preempted,
            Self::Input(_) => Cause::InputError,
            Self::Trouble(_) | Self::Record(_) => Cause::FarmTrouble,
        }
    }

    /// For the record's events.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Signal(number) => format!("signal {number}"),
            Self::Drain(by_whom) => format!("asked to start no further task ({by_whom})"),
            Self::Stopped(by_whom) => format!("asked to stop ({by_whom})"),
            Self::MaxFailures(count) => format!("`max_failures`: {count} tasks have failed"),
            Self::StopCondition(which) => format!("`stopping_conditions`: {which}"),
            Self::NoneSucceeded(count) => {
                format!("`stop_if_none_succeed`: none of the first {count} attempts succeeded")
            }
            Self::NothingFits => "no task that is left would end before the allocation does".to_owned(),
            Self::TimeIsUp => "the end of the allocation".to_owned(),
            Self::Preempted => "the job is preempted".to_owned(),
            Self::DiskFull(message) | Self::Trouble(message) => message.clone(),
            Self::Input(error) => error.to_string(),
            Self::Record(error) => error.to_string(),
        }
    }

    /// Whether tasks that run are ended, too; else they finish.
    pub(super) const fn ends_running_tasks(&self) -> bool {
        matches!(
            self,
            Self::Signal(_) | Self::Stopped(_) | Self::TimeIsUp | Self::Preempted | Self::Record(_)
        )
    }

    /// Whether it is the user's or the limits' wish, and no trouble that must be told of in any case.
    pub(super) const fn is_wish(&self) -> bool {
        !matches!(self, Self::Input(_) | Self::Trouble(_) | Self::Record(_) | Self::DiskFull(_))
    }
}
