//! What happened in a run: one flat, owned event after the other, past tense.
//!
//! The dispatcher makes events; [`EventSink`]s (the recorder, the progress display) take them.

use std::sync::Arc;

pub mod json;

use crate::attempt::{Attempt, Reason};
use crate::column::{Column, ColumnType, Timestamp, names};
use crate::protocol::{GpuInfo, NodeInfo};
use crate::sample::Sample;

names! {
    /// The kind of an event, as in `events.parquet`.
    pub enum EventKind {
        /// A session began in a fresh run directory.
        RunStarted = "run_started",
        /// A later session began.
        RunResumed = "run_resumed",
        /// An agent said hello.
        NodeJoined = "node_joined",
        /// An agent ended before it was told to.
        NodeLost = "node_lost",
        /// An agent gets no more tasks, since something is wrong with its node.
        NodeSetAside = "node_set_aside",
        /// A task's first process was started.
        TaskStarted = "task_started",
        /// An attempt ended, or could not be started.
        TaskFinished = "task_finished",
        /// An attempt failed and another will be made.
        TaskRetried = "task_retried",
        /// A resumed run leaves the task out.
        TaskSkipped = "task_skipped",
        /// At the end: a task that never started.
        TaskPending = "task_pending",
        /// The run was asked to stop.
        StopRequested = "stop_requested",
        /// The session ended.
        RunFinished = "run_finished",
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position in the run, counting over sessions.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Which start of the run.
    pub session: i32,
    /// What happened.
    pub body: EventBody,
}

/// What happened, with its data.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// A session began.
    RunStarted {
        /// For people: what was started.
        message: String,
    },
    /// A later session began.
    RunResumed {
        /// For people: what is run and what is left out, counted by reason.
        message: String,
    },
    /// An agent said hello.
    NodeJoined(NodeInfo),
    /// An agent ended before it was told to.
    NodeLost {
        /// Its host.
        host: String,
        /// What is known of the reason.
        message: String,
    },
    /// An agent gets no more tasks; what runs there ends as it ends.
    NodeSetAside {
        /// Its host.
        host: String,
        /// What is wrong with it.
        message: String,
    },
    /// A task's first process was started.
    TaskStarted {
        /// The task's id.
        task_id: String,
        /// Its position in the list.
        task_index: i64,
        /// 1 is the first.
        attempt: i32,
        /// Where it runs.
        host: String,
        /// On which worker.
        worker_id: i32,
        /// Its first process.
        pid: i64,
    },
    /// An attempt ended, or could not be started.
    TaskFinished(Box<Attempt>),
    /// An attempt failed and another will be made.
    TaskRetried {
        /// The task's id.
        task_id: String,
        /// Its position in the list.
        task_index: i64,
        /// The attempt that will be made.
        attempt: i32,
        /// For people: why, and when.
        message: String,
    },
    /// A resumed run leaves the task out.
    TaskSkipped {
        /// The task's id.
        task_id: String,
        /// Its position in the list.
        task_index: i64,
        /// Why.
        reason: Reason,
    },
    /// A task never started; its outcome is `pending` and its cause says why.
    TaskPending(Box<Attempt>),
    /// The run was asked to stop.
    StopRequested {
        /// By whom or what.
        message: String,
        /// Whether what runs is ended, too; not in the record, which says what came of each task.
        ends_tasks: bool,
    },
    /// The session ended.
    RunFinished {
        /// For people: how.
        message: String,
    },
}

impl EventBody {
    /// The kind, as in `events.parquet`.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::RunStarted { .. } => EventKind::RunStarted,
            Self::RunResumed { .. } => EventKind::RunResumed,
            Self::NodeJoined(_) => EventKind::NodeJoined,
            Self::NodeLost { .. } => EventKind::NodeLost,
            Self::NodeSetAside { .. } => EventKind::NodeSetAside,
            Self::TaskStarted { .. } => EventKind::TaskStarted,
            Self::TaskFinished(_) => EventKind::TaskFinished,
            Self::TaskRetried { .. } => EventKind::TaskRetried,
            Self::TaskSkipped { .. } => EventKind::TaskSkipped,
            Self::TaskPending(_) => EventKind::TaskPending,
            Self::StopRequested { .. } => EventKind::StopRequested,
            Self::RunFinished { .. } => EventKind::RunFinished,
        }
    }
}

/// The columns of `events.parquet` that stand before those of [`Attempt`].
pub const EVENT_COLUMNS_FIRST: &[Column] = &[
    Column {
        name: "seq",
        kind: ColumnType::Int64,
        nullable: false,
        meaning: "position in the run, counting over sessions",
    },
    Column { name: "at", kind: ColumnType::Timestamp, nullable: false, meaning: "when it happened" },
    Column { name: "kind", kind: ColumnType::Category, nullable: false, meaning: "what happened" },
];

/// The columns of `events.parquet` that stand after those of [`Attempt`].
pub const EVENT_COLUMNS_LAST: &[Column] = &[
    Column {
        name: "memory_total_bytes",
        kind: ColumnType::Int64,
        nullable: true,
        meaning: "memory of the node, on node_joined",
    },
    Column {
        name: "clock_offset_s",
        kind: ColumnType::Float64,
        nullable: true,
        meaning: "the node's clock less the coordinator's, on node_joined",
    },
    Column { name: "message", kind: ColumnType::Text, nullable: true, meaning: "for people" },
];

/// A taker of events. The farm knows its recorder and its progress display only by this.
pub trait EventSink {
    /// Takes events, in their order. They are shared, so that a sink may keep them at no cost.
    ///
    /// # Errors
    /// Says why events can no longer be taken; the farm then stops the run.
    fn events(&mut self, events: &Arc<[Event]>) -> Result<(), SinkError>;

    /// Takes what the driver of a host said of its GPUs, after that host has joined.
    ///
    /// # Errors
    /// As for [`EventSink::events`].
    fn gpus(&mut self, _host: &str, _gpus: Vec<GpuInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes samples of resource use.
    ///
    /// # Errors
    /// As for [`EventSink::events`].
    fn samples(&mut self, samples: Vec<Sample>) -> Result<(), SinkError>;

    /// Takes something that the user should know at once, and that stops nothing.
    fn warning(&mut self, _message: &str) {}
}

/// Why events can no longer be taken.
#[derive(Debug, thiserror::Error)]
#[error("keep the record")]
pub struct SinkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
