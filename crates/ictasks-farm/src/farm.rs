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
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc;

use crate::agents::{Agents, News};
use crate::allocation::{AllocationWatch, Word};
use crate::attendant;
use crate::dispatcher::{AgentId, Dispatcher, RunEnd, Session, StopReason};
use crate::error::FarmError;
use crate::seen_ids::SeenIds;
use crate::signals::{Asked, Signals};
use crate::source::{self, Batch, Reading};
use crate::stop_file;
use crate::suspension::Suspension;

/// Who asked for a drain, if it was a signal.
pub const SIGUSR1: &str = "SIGUSR1";

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
    /// The process without which it does not go on.
    pub attendant: Option<i32>,
}

impl Farm<'_> {
    /// Runs the tasks of `source` with the agent program `agent` where the plan says.
    ///
    /// # Errors
    /// What keeps the run from beginning. Whatever goes wrong later is in [`RunEnd::stop`].
    pub async fn run(
        self,
        source: TaskSource,
        agent: &Path,
        signals: &mut Signals,
    ) -> Result<RunEnd, FarmError> {
        let new = if self.plan.backend.is_local() { Dispatcher::new } else { Dispatcher::for_nodes };
        let dispatcher = new(self.plan, self.session.clone(), source.is_stream());
        let agents = Agents::start(self.plan, &dispatcher, agent)?;
        let seen = source.is_stream().then(|| self.seen_ids());
        let mut course = Course {
            dispatcher,
            agents,
            tasks: source::read_ahead(Reading { source, matcher: self.matcher, seen })?,
            stop_file: stop_file::watch(&self.plan.run_dir)?,
            attendant: attendant::watch(self.attendant)?,
            allocation: AllocationWatch::start(self.plan.slurm_job.as_deref())?,
            signals,
            suspension: Suspension::None,
            sinks: self.sinks,
            plan: self.plan,
            session: self.session.number,
        };
        course.follow().await;
        course.agents.finish().await;
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
    agents: Agents<'a>,
    tasks: mpsc::Receiver<Batch>,
    stop_file: mpsc::Receiver<StopReason>,
    attendant: mpsc::Receiver<StopReason>,
    allocation: AllocationWatch,
    signals: &'a mut Signals,
    suspension: Suspension,
    sinks: Vec<&'s mut dyn EventSink>,
    plan: &'a Plan,
    session: i32,
}

/// What the loop wakes for.
enum Happening {
    Tasks(Option<Batch>),
    Agent(News),
    Asked(Asked),
    Stop(StopReason),
    OfAllocation(Word),
    RetryIsDue,
    PatienceEnds,
}

impl Course<'_, '_> {
    /// Until nothing is left of the agent and the rest of the list is accounted for.
    async fn follow(&mut self) {
        self.dispatcher.begin();
        loop {
            self.deliver();
            if self.agents.are_gone() {
                if self.dispatcher.wants_agent() && self.find_agent() {
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
            news = self.agents.next() => Happening::Agent(news),
            asked = self.signals.next() => Happening::Asked(asked),
            Some(reason) = self.stop_file.recv() => Happening::Stop(reason),
            Some(reason) = self.attendant.recv() => Happening::Stop(reason),
            word = self.allocation.next() => Happening::OfAllocation(word),
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
            Happening::Agent(news) => self.take_news(news),
            Happening::Asked(Asked::End(number)) => self.end(number),
            Happening::Asked(Asked::Drain) => self.dispatcher.stop(StopReason::Drain(SIGUSR1.to_owned())),
            Happening::Asked(Asked::Suspend) => self.suspend(),
            Happening::Asked(Asked::Continue) => self.proceed(),
            Happening::Stop(reason) => self.dispatcher.stop(reason),
            Happening::OfAllocation(Word::EndsAt(at)) => self.dispatcher.allocation_ends(at),
            Happening::OfAllocation(Word::Signal { is_preempted: true, .. }) => {
                self.dispatcher.stop(StopReason::Preempted);
            }
            Happening::OfAllocation(Word::Signal { number, is_preempted: false }) => {
                self.dispatcher.stop(StopReason::Signal(number));
            }
            // To tell the time was enough.
            Happening::RetryIsDue => {}
            Happening::PatienceEnds => self.suspension = Suspension::stop_itself(),
        }
    }

    /// A signal wants the run to end. Slurm is asked why, if it may be Slurm's.
    fn end(&mut self, number: i32) {
        let may_be_slurms =
            number == SignalKind::terminate().as_raw_value() && !self.dispatcher.is_ending_tasks();
        if !(may_be_slurms && self.allocation.look_into(number)) {
            self.dispatcher.stop(StopReason::Signal(number));
        }
    }

    fn take_news(&mut self, news: News) {
        match news {
            News::Replies(agent, replies) => {
                for reply in replies {
                    self.reply(agent, reply);
                }
            }
            News::Closed(agent) => self.agents.bury(agent, self.plan, self.session, &mut self.dispatcher),
            News::Ended(agent, end) => self.dispatcher.agent_ended(agent, end),
            News::Applies(application) => self.agents.admit(*application, self.plan, &mut self.dispatcher),
            News::Warning(message) => self.dispatcher.warn(message),
            // The loop looks whether anybody is left.
            News::FewerToCome => {}
        }
    }

    fn reply(&mut self, agent: AgentId, reply: Result<Reply, String>) {
        match reply {
            Ok(Reply::Suspended) if self.suspension.is_asked() && self.agents.may_wait() => {
                self.suspension = Suspension::stop_itself();
            }
            Ok(reply) => self.dispatcher.reply(agent, reply),
            Err(message) => self.dispatcher.stop(StopReason::Trouble(message)),
        }
    }

    /// There is no agent, and there is work: another one is started, or waited for. False to wait.
    fn find_agent(&mut self) -> bool {
        if let Some(why) = self.agents.nobody_comes() {
            self.dispatcher.stop(StopReason::Trouble(why));
            return true;
        }
        self.agents.start_again(&mut self.dispatcher)
    }

    fn suspend(&mut self) {
        if !matches!(self.suspension, Suspension::None) {
            return;
        }
        let somebody_is_there = self.agents.send_all(&Request::Suspend);
        self.suspension = match self.agents.may_wait() {
            true if somebody_is_there => Suspension::begin(),
            true => Suspension::stop_itself(),
            false => Suspension::Stopped,
        };
    }

    fn proceed(&mut self) {
        if !matches!(self.suspension, Suspension::None) {
            self.agents.send_all(&Request::Continue);
            self.suspension = Suspension::None;
        }
    }

    /// Gives events to the sinks and requests to the agent.
    fn deliver(&mut self) {
        loop {
            let output = self.dispatcher.take_output();
            self.agents.send(&output.requests);
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
