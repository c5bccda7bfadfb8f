//! The loop of the coordinator: source, agent, signals and sinks around the dispatcher.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::config::TaskFiles;
use ictasks_core::event::{Event, EventSink};
use ictasks_core::history::Matcher;
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{Reply, Request};
use ictasks_core::task_list::TaskSource;
use tokio::sync::mpsc;

use crate::agent_link::{AgentLink, Burial, News, log_of};
use crate::dispatcher::{Dispatcher, RunEnd, Session, StopReason};
use crate::error::FarmError;
use crate::family::Family;
use crate::seen_ids::SeenIds;
use crate::signals::{Asked, Signals};
use crate::source::{self, Batch, Reading};
use crate::stop_file;
use crate::suspension::Suspension;

/// A run that is about to begin.
pub struct Farm<'a> {
    /// What will be done.
    pub plan: &'a Plan,
    /// Which start of which run.
    pub session: Session,
    /// Finds the tasks of the list in the record.
    pub matcher: Matcher,
    /// Who is told what happens.
    pub sinks: Vec<&'a mut dyn EventSink>,
}

impl Farm<'_> {
    /// Runs the tasks of `source` with the agent program `agent` on this machine.
    ///
    /// # Errors
    /// What keeps the run from beginning. Whatever goes wrong later is in [`RunEnd::stop`].
    pub async fn run(
        self,
        source: TaskSource,
        agent: &Path,
        signals: &mut Signals,
    ) -> Result<RunEnd, FarmError> {
        let family = Family::adopt_orphans()
            .map_err(|source| FarmError::System { action: "become the parent of orphans", source })?;
        let dispatcher = Dispatcher::new(self.plan, self.session.clone(), source.is_stream());
        let link = AgentLink::start(agent, dispatcher.setup())?;
        let seen = source.is_stream().then(|| self.seen_ids());
        let mut course = Course {
            dispatcher,
            link,
            tasks: source::read_ahead(Reading { source, matcher: self.matcher, seen })?,
            stop_file: stop_file::watch(&self.plan.run_dir)?,
            signals,
            suspension: Suspension::None,
            sinks: self.sinks,
            plan: self.plan,
            session: self.session.number,
            agent,
            family,
        };
        course.follow().await;
        Ok(course.dispatcher.into_end())
    }

    fn seen_ids(&self) -> SeenIds {
        if self.matcher.is_fresh() && self.plan.task_files == TaskFiles::All {
            SeenIds::of_directories(self.plan.run_dir.clone())
        } else {
            SeenIds::of_all()
        }
    }
}

/// A run on its way.
struct Course<'a, 's> {
    dispatcher: Dispatcher<'a>,
    link: AgentLink,
    tasks: mpsc::Receiver<Batch>,
    stop_file: mpsc::Receiver<StopReason>,
    signals: &'a mut Signals,
    suspension: Suspension,
    sinks: Vec<&'s mut dyn EventSink>,
    plan: &'a Plan,
    session: i32,
    agent: &'a Path,
    family: Family,
}

/// What the loop wakes for.
enum Happening {
    Tasks(Option<Batch>),
    Agent(News),
    Asked(Asked),
    StopFile(StopReason),
    RetryIsDue,
    PatienceEnds,
}

impl Course<'_, '_> {
    /// Until nothing is left of the agent and the rest of the list is accounted for.
    async fn follow(&mut self) {
        self.dispatcher.begin();
        loop {
            self.deliver();
            if self.link.is_gone() {
                if self.dispatcher.wants_agent() {
                    self.start_agent();
                    continue;
                }
                if self.dispatcher.is_done() {
                    break;
                }
            }
            let happening = self.wait().await;
            self.dispatcher.set_time(Timestamp::now());
            self.take(happening);
        }
        self.dispatcher.finish();
        self.deliver();
    }

    async fn wait(&mut self) -> Happening {
        let wants_tasks = self.dispatcher.wants_tasks();
        let due = self.dispatcher.next_due();
        tokio::select! {
            batch = self.tasks.recv(), if wants_tasks => Happening::Tasks(batch),
            news = self.link.next() => Happening::Agent(news),
            asked = self.signals.next() => Happening::Asked(asked),
            Some(reason) = self.stop_file.recv() => Happening::StopFile(reason),
            () = until(due), if due.is_some() => Happening::RetryIsDue,
            () = self.suspension.patience_ends(), if self.suspension.is_asked() => Happening::PatienceEnds,
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Tasks(Some(Ok(read))) => {
                read.warnings.into_iter().for_each(|warning| self.dispatcher.warn(warning));
                self.dispatcher.add(read.decisions);
            }
            Happening::Tasks(Some(Err(error))) => self.dispatcher.stop(StopReason::Input(error)),
            Happening::Tasks(None) => self.dispatcher.source_ended(),
            Happening::Agent(News::Replies(replies)) => {
                for reply in replies {
                    self.reply(reply);
                }
            }
            Happening::Agent(News::Closed) => self.bury_agent(),
            Happening::Agent(News::Ended(end)) => self.dispatcher.agent_ended(end),
            Happening::Asked(Asked::End(number)) => self.dispatcher.stop(StopReason::Signal(number)),
            Happening::Asked(Asked::Drain) => self.dispatcher.stop(StopReason::Drain("SIGUSR1".to_owned())),
            Happening::Asked(Asked::Suspend) => self.suspend(),
            Happening::Asked(Asked::Continue) => self.proceed(),
            Happening::StopFile(reason) => self.dispatcher.stop(reason),
            // To tell the time was enough.
            Happening::RetryIsDue => {}
            Happening::PatienceEnds => self.suspension = Suspension::stop_itself(),
        }
    }

    fn reply(&mut self, reply: Result<Reply, String>) {
        match reply {
            Ok(Reply::Suspended) if self.suspension.is_asked() => {
                self.suspension = Suspension::stop_itself();
            }
            Ok(reply) => self.dispatcher.reply(reply),
            Err(message) => self.dispatcher.stop(StopReason::Trouble(message)),
        }
    }

    fn suspend(&mut self) {
        if !matches!(self.suspension, Suspension::None) {
            return;
        }
        self.suspension = if self.link.is_open() {
            self.link.queue(&Request::Suspend);
            Suspension::begin()
        } else {
            Suspension::stop_itself()
        };
    }

    fn proceed(&mut self) {
        if !matches!(self.suspension, Suspension::None) {
            self.link.queue(&Request::Continue);
            self.suspension = Suspension::None;
        }
    }

    fn bury_agent(&mut self) {
        let host = self.dispatcher.agent_host();
        self.link.bury(Burial {
            family: self.family.clone(),
            log: host.map(|(host, host_id)| log_of(&self.plan.run_dir, host, host_id)),
            session: self.session,
            in_flight: self.dispatcher.attempts_in_flight(),
            end_was_sent: self.dispatcher.end_was_sent(),
        });
    }

    fn start_agent(&mut self) {
        match AgentLink::start(self.agent, self.dispatcher.setup()) {
            Ok(link) => {
                self.link = link;
                self.dispatcher.agent_started();
            }
            Err(error) => {
                let message = match std::error::Error::source(&error) {
                    Some(source) => format!("failed to {error}: {source}"),
                    None => format!("failed to {error}"),
                };
                self.dispatcher.stop(StopReason::Trouble(message));
            }
        }
    }

    /// Gives events to the sinks and requests to the agent.
    fn deliver(&mut self) {
        loop {
            let output = self.dispatcher.take_output();
            for request in &output.requests {
                self.link.queue(request);
            }
            for warning in &output.warnings {
                self.sinks.iter_mut().for_each(|sink| sink.warning(warning));
            }
            let events: Arc<[Event]> = output.events.into();
            let mut failure = None;
            for sink in &mut self.sinks {
                let taken = if events.is_empty() { Ok(()) } else { sink.events(&events) };
                let taken = taken.and_then(|()| match output.samples.as_slice() {
                    [] => Ok(()),
                    samples => sink.samples(samples.to_vec()),
                });
                let taken = taken.and_then(|()| {
                    output.gpus.iter().try_for_each(|(host, gpus)| sink.gpus(host, gpus.clone()))
                });
                failure = failure.or(taken.err());
            }
            match failure {
                // Stopping makes events in its turn, and they are worth another attempt.
                Some(error) if !self.dispatcher.is_ending_tasks() => {
                    self.dispatcher.stop(StopReason::Record(error));
                }
                _ => return,
            }
        }
    }
}

/// Waits until the wall clock says `due`.
async fn until(due: Option<Timestamp>) {
    let seconds = due.map_or(0.0, |due| due.seconds_since(Timestamp::now()));
    tokio::time::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default()).await;
}
