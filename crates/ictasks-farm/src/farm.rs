//! The loop of the coordinator: source, agent, signals and sinks around the dispatcher.

use std::path::Path;
use std::sync::Arc;

use ictasks_core::event::{Event, EventSink};
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{PROTOCOL_VERSION, Reply, Request, Setup};
use ictasks_core::task_list::TaskSource;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::dispatcher::{Counts, Dispatcher, Session, StopReason};
use crate::error::FarmError;
use crate::node::LocalNode;
use crate::signals::Signals;
use crate::source::{self, Batch};

const READ_BYTES: usize = 64 * 1024;

/// A run that is about to begin.
pub struct Farm<'a> {
    /// What will be done.
    pub plan: &'a Plan,
    /// Which start of which run.
    pub session: Session,
    /// Who is told what happens.
    pub sinks: Vec<&'a mut dyn EventSink>,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// How many tasks ended how.
    pub counts: Counts,
    /// Whether every task of the list was read.
    pub list_complete: bool,
    /// Why it stopped early, if it did.
    pub stop: Option<StopReason>,
}

impl Farm<'_> {
    /// Runs the tasks of `source` with the agent program `agent` on this machine.
    ///
    /// # Errors
    /// What keeps the run from beginning. Whatever goes wrong later is in [`RunEnd::stop`].
    pub async fn run(
        mut self,
        source: TaskSource,
        agent: &Path,
        signals: &mut Signals,
    ) -> Result<RunEnd, FarmError> {
        let mut node = LocalNode::start(agent)?;
        let is_stream = source.is_stream();
        let tasks = source::read_ahead(source, self.plan.run_dir.clone());
        let mut connection = Connection::new(node.replies, node.requests);
        let mut dispatcher = Dispatcher::new(self.plan, self.session.clone(), is_stream);
        connection.send_setup(&setup(self.plan, &self.session));
        self.follow(&mut dispatcher, &mut connection, tasks, signals).await;
        drop(connection);
        let how = match node.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        dispatcher.agent_ended(&how);
        dispatcher.finish();
        self.deliver(&mut dispatcher);
        Ok(RunEnd {
            counts: dispatcher.counts().clone(),
            list_complete: dispatcher.list_complete(),
            stop: dispatcher.into_stop_reason(),
        })
    }

    /// Until the agent has ended and the rest of the list is accounted for.
    async fn follow<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        dispatcher: &mut Dispatcher<'_>,
        connection: &mut Connection<R, W>,
        mut tasks: mpsc::Receiver<Batch>,
        signals: &mut Signals,
    ) {
        dispatcher.begin();
        loop {
            for request in self.deliver(dispatcher) {
                connection.queue(&request);
            }
            if !connection.is_open && dispatcher.is_done() {
                return;
            }
            let wants_tasks = dispatcher.wants_tasks();
            tokio::select! {
                batch = tasks.recv(), if wants_tasks => match batch {
                    Some(Ok(tasks)) => dispatcher.add_tasks(tasks),
                    Some(Err(error)) => dispatcher.stop(StopReason::Input(error)),
                    None => dispatcher.source_ended(),
                },
                () = connection.exchange(), if connection.is_open => {
                    for reply in connection.take_replies() {
                        match reply {
                            Ok(reply) => dispatcher.reply(reply),
                            Err(message) => dispatcher.stop(StopReason::Trouble(message)),
                        }
                    }
                    if !connection.is_open {
                        dispatcher.agent_ended("it closed its end");
                    }
                }
                number = signals.next() => dispatcher.stop(StopReason::Signal(number)),
            }
        }
    }

    /// Gives events to the sinks; what is for the agent comes back.
    fn deliver(&mut self, dispatcher: &mut Dispatcher<'_>) -> Vec<Request> {
        let mut requests = Vec::new();
        loop {
            let output = dispatcher.take_output();
            requests.extend(output.requests);
            let events: Arc<[Event]> = output.events.into();
            let mut failure = None;
            for sink in &mut self.sinks {
                let taken = if events.is_empty() { Ok(()) } else { sink.events(&events) };
                let taken = taken.and_then(|()| match output.samples.as_slice() {
                    [] => Ok(()),
                    samples => sink.samples(samples.to_vec()),
                });
                failure = failure.or(taken.err());
            }
            match failure {
                // Stopping makes events in its turn, and they are worth another attempt.
                Some(error) if !dispatcher.is_stopping() => dispatcher.stop(StopReason::Record(error)),
                _ => return requests,
            }
        }
    }
}

fn setup(plan: &Plan, session: &Session) -> Setup {
    Setup {
        protocol_version: PROTOCOL_VERSION,
        run_id: session.run_id.clone(),
        session: session.number,
        job_id: plan.job_id.clone(),
        host_id: 0,
        run_dir: plan.run_dir.clone(),
        submit_dir: plan.submit_dir.clone(),
        workers: plan.workers.clone(),
        cores_per_task: plan.task_distribution.cores_per_task,
        shell: plan.shell.clone(),
        cwd: plan.cwd,
        stdout_filename: plan.stdout_filename.clone(),
        stderr_filename: plan.stderr_filename.clone(),
        environment: plan.environment.clone(),
        sample_interval_s: plan.sample_interval_s,
        pin_cores: plan.pin_cores,
        kill_grace_s: plan.limits.kill_grace_s,
        memory_per_task_bytes: plan.limits.memory_per_task_bytes,
        enforce_memory: plan.limits.enforce_memory,
        max_output: plan.max_output,
        task_files: plan.task_files,
        stopping_conditions: plan.limits.stopping_conditions.clone(),
        gpu_binding: plan.gpu_binding,
    }
}

/// The pipes to an agent: lines out, lines in, neither waiting for the other.
struct Connection<R, W> {
    replies: R,
    requests: W,
    is_open: bool,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    fn new(replies: R, requests: W) -> Self {
        Self { replies, requests, is_open: true, incoming: Vec::new(), outgoing: Vec::new(), sent: 0 }
    }

    fn send_setup(&mut self, setup: &Setup) {
        self.queue_line(serde_json::to_vec(setup));
    }

    fn queue(&mut self, request: &Request) {
        self.queue_line(serde_json::to_vec(request));
    }

    fn queue_line(&mut self, line: serde_json::Result<Vec<u8>>) {
        // Plain data always serialises.
        self.outgoing.extend(line.unwrap_or_default());
        self.outgoing.push(b'\n');
    }

    /// Reads or writes once, whichever is possible first.
    async fn exchange(&mut self) {
        self.incoming.reserve(READ_BYTES);
        tokio::select! {
            read = self.replies.read_buf(&mut self.incoming) => {
                if !matches!(read, Ok(1..)) {
                    self.is_open = false;
                }
            }
            written = self.requests.write(&self.outgoing[self.sent..]), if self.sent < self.outgoing.len() => {
                match written {
                    Ok(count) => self.sent += count,
                    // Nobody reads: what the agent still has to say comes by the other pipe.
                    Err(_) => self.sent = self.outgoing.len(),
                }
                if self.sent == self.outgoing.len() {
                    self.outgoing.clear();
                    self.sent = 0;
                }
            }
        }
    }

    /// The whole lines that were read.
    fn take_replies(&mut self) -> Vec<Result<Reply, String>> {
        let Some(end) = self.incoming.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.incoming.split_off(end + 1);
        let lines = std::mem::replace(&mut self.incoming, rest);
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line)
                    .map_err(|error| format!("the agent cannot be understood: {error}"))
            })
            .collect()
    }
}
