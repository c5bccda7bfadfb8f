//! What happens in simulated time, through the recorder of the product, into a run directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody, EventSink};
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION};
use ictasks_core::sample::Sample;
use ictasks_record::{Recorder, RecorderOptions, RunEnd, RunFile, RunLock, RunState, Session};
use serde_json::{Map, Value, json};

use super::attempt::seconds;
use super::world::{Node, World};

/// The id of every simulated run.
pub(super) const RUN_ID: &str = "019ca000-0000-7000-8000-000000000001";

/// From the start of a session until its nodes have joined.
pub(super) const JOIN_US: i64 = 100_000;

/// Events that are sent at a time.
const BATCH: usize = 512;

/// A run directory that is being written.
pub struct Recording {
    run_dir: PathBuf,
    recorder: Recorder,
    plan: Value,
    task_count: Option<u64>,
    seq: i64,
    session: i32,
    /// When the last event happened.
    last_us: i64,
    events: Vec<Event>,
    samples: Vec<Sample>,
    /// Beginnings and ends of sessions, and how they ended.
    sessions: Vec<(i64, i64, String)>,
}

impl Recording {
    /// Begins the record of a run of this world.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn start(world: &World, run_dir: &Path) -> Self {
        fs::create_dir_all(run_dir).expect("make the run directory");
        let lock = RunLock::take(run_dir, "login1").expect("a run directory of our own");
        let mut labels = Map::new();
        labels.insert("made_by".to_owned(), "generate".into());
        let mut run = RunFile::new(env!("CARGO_PKG_VERSION"), RUN_ID, &world.name, labels);
        let is_stream = world.arrives_every_s.is_some();
        let task_count = (!is_stream).then(|| u64::try_from(world.task_count).unwrap_or(0));
        let plan = plan(world, run_dir);
        // When it begins is known later; the first run.json names it, as that of a real run does.
        run.sessions.push(session_of(0, &plan, task_count));
        let recorder =
            Recorder::start(RecorderOptions { lock, run, repair: None }).expect("begin the record");
        Self {
            run_dir: run_dir.to_owned(),
            recorder,
            plan,
            task_count,
            seq: 0,
            session: 0,
            last_us: 0,
            events: Vec::with_capacity(BATCH),
            samples: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// A session begins, with these nodes.
    pub(super) fn begin(&mut self, at_us: i64, nodes: &[Node]) {
        self.flush();
        let number = i32::try_from(self.sessions.len()).expect("there are few sessions");
        self.session = number;
        self.sessions.push((at_us, at_us, String::new()));
        if number > 0 {
            let session = session_of(number, &self.plan, self.task_count);
            self.recorder.update(move |run| run.sessions.push(session)).expect("keep the record");
        }
        let message = format!("{} tasks", self.task_count.unwrap_or(0));
        let body = match number {
            0 => EventBody::RunStarted { message },
            _ => EventBody::RunResumed { message },
        };
        self.event(at_us, body);
        for (host_id, node) in (0..).zip(nodes) {
            let joined_us = at_us + JOIN_US;
            self.event(joined_us, EventBody::NodeJoined(node_info(node, host_id, joined_us)));
        }
        // The recorder counts nodes to the session that is the last one by then.
        self.flush();
    }

    /// The session ends.
    pub(super) fn end(&mut self, at_us: i64, how: &str) {
        self.event(at_us, EventBody::RunFinished { message: how.to_owned() });
        if let Some(session) = self.sessions.last_mut() {
            (session.1, session.2) = (at_us, how.to_owned());
        }
    }

    pub(super) fn event(&mut self, at_us: i64, body: EventBody) {
        self.events.push(Event { seq: self.seq, at: Timestamp(at_us), session: self.session, body });
        self.seq += 1;
        self.last_us = at_us;
        if self.events.len() >= BATCH {
            self.flush();
        }
    }

    pub(super) fn sample(&mut self, sample: Sample) {
        self.samples.push(sample);
        if self.samples.len() >= BATCH {
            self.flush();
        }
    }

    pub(super) const fn session(&self) -> i32 {
        self.session
    }

    fn flush(&mut self) {
        if !self.events.is_empty() {
            let events = std::mem::replace(&mut self.events, Vec::with_capacity(BATCH));
            self.recorder.events(&Arc::from(events)).expect("keep the record");
        }
        if !self.samples.is_empty() {
            self.recorder.samples(std::mem::take(&mut self.samples)).expect("keep the record");
        }
    }

    /// Leaves a journal and no tables, as a run does that is killed after its last event.
    ///
    /// # Panics
    /// If run.json cannot be written.
    pub fn kill(mut self) {
        self.flush();
        drop(self.recorder);
        let mut run = RunFile::read(&self.run_dir).expect("read run.json").expect("there is a run.json");
        run.updated_at = Timestamp(self.last_us);
        run.totals.wall_s = 0.0;
        for (session, (began_us, ended_us, how)) in run.sessions.iter_mut().zip(&self.sessions) {
            session.began_at = Timestamp(*began_us);
            if session.session < self.session {
                (session.ended_at, session.how_it_ended) = (Some(Timestamp(*ended_us)), Some(how.clone()));
            }
            run.totals.wall_s += seconds((*ended_us).min(self.last_us) - began_us);
        }
        run.write(&self.run_dir).expect("write run.json");
    }

    /// Writes the tables, and the times of the simulation into run.json.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn finish(mut self) {
        self.flush();
        let how = self.sessions.last().map(|session| session.2.clone()).unwrap_or_default();
        let end = RunEnd { state: RunState::Finished, how_it_ended: how, exit_code: 0, list_complete: true };
        self.recorder.finish(end).expect("write the tables");
        let mut run = RunFile::read(&self.run_dir).expect("read run.json").expect("there is a run.json");
        for (session, (began_us, ended_us, how)) in run.sessions.iter_mut().zip(&self.sessions) {
            (session.began_at, session.ended_at) = (Timestamp(*began_us), Some(Timestamp(*ended_us)));
            session.how_it_ended = Some(how.clone());
            session.exit_code.get_or_insert(130);
            run.updated_at = Timestamp(*ended_us);
        }
        run.totals.wall_s = self.sessions.iter().map(|(began, ended, _)| seconds(ended - began)).sum();
        run.write(&self.run_dir).expect("write run.json");
    }
}

fn session_of(number: i32, plan: &Value, task_count: Option<u64>) -> Session {
    let list = if task_count.is_some() { "tasks.txt" } else { "-" };
    let arguments = ["ictasks", "taskfarm", "--tasklist", list].map(str::to_owned).to_vec();
    let mut session = Session::begin(number, arguments, plan.clone(), "login1");
    session.submit_dir = "/home/ann/project".into();
    session.task_count = task_count;
    session.provenance.insert("git_commit".to_owned(), "1d8f2ab".into());
    session
}

fn node_info(node: &Node, host_id: i32, at_us: i64) -> NodeInfo {
    NodeInfo {
        protocol_version: PROTOCOL_VERSION,
        host: node.host.clone(),
        host_id,
        pid: 4_000 + i64::from(host_id),
        core_count: node.worker_count * node.cores_per_worker,
        gpu_count: node.worker_count * node.gpus_per_worker,
        memory_total_bytes: Some(node.memory_bytes),
        cpu_model: Some("AMD EPYC 7763 64-Core Processor".to_owned()),
        at: Timestamp(at_us),
        gpus: Vec::new(),
        memory_enforcement: None,
    }
}

/// What a report may look up in the plan.
fn plan(world: &World, run_dir: &Path) -> Value {
    let node = &world.nodes[0];
    json!({
        "job_id": world.name,
        "run_dir": run_dir,
        "submit_dir": "/home/ann/project",
        "task_distribution": {
            "cores_per_task": node.cores_per_worker,
            "cores_per_node": node.cores_per_worker * node.worker_count,
            "gpus_per_task": node.gpus_per_worker,
            "memory_per_task_bytes": world.limits.memory_per_task_bytes,
        },
        "sample_interval_s": 1.0,
        "limits": {
            "retries": world.limits.retries,
            "retry_delay_s": world.limits.retry_delay_s,
            "retry_backoff": 1.0,
            "timeout_s": world.limits.timeout_s,
            "enforce_memory": world.limits.memory_per_task_bytes.is_some(),
        },
    })
}
