//! The agent's main loop: orders from the coordinator to the slots, replies back. `start` makes the slots
//! and the threads around it.
//!
//! The loop is single-threaded; the only other thread samples. After it has handled replies it
//! pauses for some milliseconds, so that at thousands of tasks a second it wakes once for many of them: the
//! slots do not need it to go on, they take their next task from the queue themselves. Nor does the coordinator
//! wake more often then. Where tasks run on every processor, whoever wakes finds nothing of its own in the
//! caches any more, and most of what a wake costs is to bring it back.

mod start;

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use ictasks_core::attempt::Cause;
use ictasks_core::handshake::INVITATION_PREFIX;
use ictasks_core::protocol::{LONGEST_PAUSE, RUN_PREFIX, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::AgentError;
use crate::join::{self, GPUS_ARGUMENT, Joined};
use crate::lines::LineReader;
use crate::link::{Link, Linked};
use crate::memory::Enforcement;
use crate::output::SharedOutput;
use crate::queue::{OrderReceiver, OrderSender, Received, Replied, ReplyReceiver};
use crate::slot;
use crate::slots::Slots;
use crate::sys::{self, SignalSet};

/// Between two rounds of replies: this for each reply of the last round, at most [`LONGEST_PAUSE`].
const PAUSE_PER_REPLY: Duration = Duration::from_millis(1);
/// No more replies than these are to come in a pause: their queue does not hold many more.
const REPLIES_A_ROUND: u32 = 48;
/// How often the loop looks after its slots when nothing else happens.
const LOOK_AFTER_SLOTS: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// The same while slots stop their tasks, or while something is left of a slot that died.
const LOOK_SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// How long and how often the agent looks for the end of its slots after they have closed their pipes.
const LAST_LOOKS: Duration = Duration::from_secs(10);
const BETWEEN_LAST_LOOKS: Duration = Duration::from_micros(200);
/// Grace of running tasks when the coordinator is gone.
pub(crate) const LOST_GRACE: Duration = Duration::from_secs(1);

/// Runs an agent until its coordinator has no more work: on standard input and output, or, if it is invited
/// there, over a connection to the node of the coordinator.
///
/// # Errors
/// What keeps it from starting. Once it has started, trouble goes to the coordinator.
pub fn run() -> Result<(), AgentError> {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == GPUS_ARGUMENT) {
        return say_gpus();
    }
    let quiet = [
        libc::SIGINT,
        libc::SIGTSTP,
        libc::SIGTERM,
        libc::SIGPIPE,
        libc::SIGHUP,
        // A write beyond `ulimit -f` is an error like any other.
        libc::SIGXFSZ,
        // Meant for the coordinator, by whoever signals every process of that name.
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    let ignored = ignored_by_tasks();
    sys::ignore_signals(&quiet);
    let input = sys::take_standard_stream(0).map_err(AgentError::system("take standard input"))?;
    let output = sys::take_standard_stream(1).map_err(AgentError::system("take standard output"))?;
    // A terminal's signals are for the coordinator; this fails only for the leader of a session.
    let _ = rustix::process::setpgid(None, None);
    sys::become_subreaper().map_err(AgentError::system("become a subreaper"))?;
    let mut input = LineReader::new(std::fs::File::from(input));
    let line = start::first_line(&mut input)?;
    if line.starts_with(INVITATION_PREFIX.as_bytes()) {
        // Whoever starts agents broadcasts nothing else.
        drop(input);
        return match join::join(&line)? {
            Some(joined) => run_linked(joined, ignored),
            None => Ok(()),
        };
    }
    let setup = start::parse_setup(&line)?;
    Agent::start(setup, input, SharedOutput::new(output), None, ignored)?.work();
    Ok(())
}

/// The signals that are ignored at the farm's start, which tasks ignore, too: SIGHUP under `nohup`. Those that
/// slots wait or look for are not among them, nor SIGPIPE, which every Rust program ignores.
fn ignored_by_tasks() -> SignalSet {
    let awaited = slot::waited_signals();
    let mut ignored = sys::ignored_signals();
    ignored.retain(|signal| !awaited.contains(*signal) && ![libc::SIGTERM, libc::SIGPIPE].contains(signal));
    SignalSet::of(&ignored)
}

/// Works for a coordinator of another node. What keeps the agent from starting is told there as well.
fn run_linked(joined: Joined, ignored: SignalSet) -> Result<(), AgentError> {
    let Joined { setup, connection } = joined;
    let (link, ends) = Link::new(connection).map_err(AgentError::system("make a pair of sockets"))?;
    let output = SharedOutput::new(ends.output.into());
    let input = LineReader::new(std::fs::File::from(std::os::fd::OwnedFd::from(ends.input)));
    let goodbye = link.goodbye().map_err(AgentError::system("copy a descriptor"))?;
    match Agent::start(setup, input, output, Some(link), ignored) {
        Ok(mut agent) => {
            let linked = agent.linked.take();
            agent.work();
            linked.into_iter().for_each(Linked::finish);
            Ok(())
        }
        Err(error) => {
            goodbye.say(&format!("the agent failed to {error}"));
            Err(error)
        }
    }
}

/// Says which GPUs may be used, for an agent that asks before it forks anything.
fn say_gpus() -> Result<(), AgentError> {
    let output = sys::take_standard_stream(1).map_err(AgentError::system("take standard output"))?;
    let text = serde_json::to_vec(&crate::gpu::visible()).unwrap_or_default();
    std::fs::File::from(output).write_all(&text).map_err(AgentError::system("write to standard output"))
}

/// What the agent still expects of its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Orders.
    Working,
    /// Nothing new is started; what is ordered is given back.
    Stopping,
    /// No more orders come: the queue runs empty, then the slots end.
    Ending,
}

struct Agent {
    input: LineReader<std::fs::File>,
    input_is_open: bool,
    output: SharedOutput,
    /// `None` once no more orders may come: the slots then see the end of the queue.
    orders: Option<OrderSender>,
    taken_back: OrderReceiver,
    replies: ReplyReceiver,
    slots: Slots,
    enforcement: Enforcement,
    waiting: VecDeque<Vec<u8>>,
    /// Orders that were taken and neither answered nor given back.
    unanswered: u32,
    state: State,
    /// The stop that the coordinator waits for.
    stopping: Option<u32>,
    /// Nobody takes replies any more.
    is_lost: bool,
    /// The connection to another node, until its thread starts. Slots drop it.
    link: Option<Link>,
    /// That thread.
    linked: Option<Linked>,
}

impl Agent {
    /// Works until every slot has ended.
    fn work(mut self) {
        // The first reading, for the setup, may have brought more.
        self.take_requests();
        let mut last_round = Instant::now();
        loop {
            self.pass_on_orders();
            self.wait();
            self.read_requests();
            self.pass_on_orders();
            match self.forward_replies() {
                Forwarded::Replies(count) => {
                    let now = Instant::now();
                    let untaken = self.unanswered.saturating_sub(self.slots.count());
                    std::thread::sleep(pause(count, now - last_round, untaken));
                    last_round = now;
                }
                Forwarded::SlotsEnded => break,
            }
            self.look_after_slots();
            self.tell_when_stopped();
        }
        self.see_slots_off();
        if let Enforcement::Cgroup(cgroups) = &self.enforcement {
            cgroups.remove();
        }
    }

    /// Waits until the last slots are gone, and what a killed one left behind.
    fn see_slots_off(&mut self) {
        let until_ns = sys::monotonic_ns() + slot::nanoseconds(LAST_LOOKS);
        loop {
            self.look_after_slots();
            if self.slots.are_gone() || sys::monotonic_ns() >= until_ns {
                return;
            }
            std::thread::sleep(BETWEEN_LAST_LOOKS);
        }
    }

    fn wait(&self) {
        let mut polled = vec![PollFd::new(&self.replies, PollFlags::IN)];
        if self.input_is_open {
            polled.push(PollFd::new(&self.input, PollFlags::IN));
        }
        if let Some(orders) = self.orders.as_ref().filter(|_| !self.waiting.is_empty()) {
            polled.push(PollFd::new(orders, PollFlags::OUT));
        }
        // Whatever interrupts it, the loop looks at everything.
        let is_soon = self.stopping.is_some() || self.slots.have_orphans();
        let _ = poll(&mut polled, Some(if is_soon { &LOOK_SOON } else { &LOOK_AFTER_SLOTS }));
    }

    fn read_requests(&mut self) {
        if !self.input_is_open || !self.input.is_readable() {
            return;
        }
        if !matches!(self.input.fill(), Ok(1..)) {
            self.input_is_open = false;
            self.coordinator_lost();
            return;
        }
        self.take_requests();
    }

    /// Takes every whole line that has been read.
    fn take_requests(&mut self) {
        while let Some(line) = self.input.next_line() {
            let line = line.to_vec();
            self.take_request(line);
        }
    }

    fn take_request(&mut self, line: Vec<u8>) {
        if line.starts_with(RUN_PREFIX.as_bytes()) {
            self.waiting.push_back(line);
            self.unanswered += 1;
            if self.state != State::Working {
                self.give_back();
            }
            return;
        }
        match serde_json::from_slice(&line) {
            Ok(Request::Recall) => self.give_back(),
            Ok(Request::Terminate { grace_s, cause }) => {
                if self.state == State::Working {
                    self.state = State::Stopping;
                }
                self.give_back();
                self.slots.end_tasks(cause, Duration::try_from_secs_f64(grace_s).unwrap_or_default());
            }
            Ok(Request::End) => self.state = State::Ending,
            Ok(Request::Suspend) => {
                self.slots.set_stopped(true);
                self.stopping = self.slots.requests().stop();
            }
            Ok(Request::Continue) => {
                self.stopping = None;
                self.slots.set_stopped(false);
            }
            // The link's.
            Ok(Request::Beat { .. }) => {}
            Ok(Request::Run(_)) | Err(_) => {
                self.trouble("the agent cannot understand the coordinator".to_owned())
            }
        }
    }

    /// The coordinator is gone: nothing runs on unattended, and what a slot has just taken does not
    /// begin. Where all is done, this changes nothing.
    fn coordinator_lost(&mut self) {
        self.give_back();
        self.slots.end_tasks(Cause::CoordinatorLost, self.slots.requests().lost_grace());
        self.state = State::Ending;
    }

    /// Answers a [`Request::Suspend`] once nothing runs any more.
    fn tell_when_stopped(&mut self) {
        let Some(stop) = self.stopping else { return };
        if self.slots.are_stopped_for(stop) {
            self.stopping = None;
            self.send(&Reply::Suspended);
        }
    }

    /// Takes every order that no slot has begun out of the queue and tells the coordinator.
    fn give_back(&mut self) {
        let mut task_indices = Vec::new();
        while let Ok(Some(received)) = self.taken_back.try_receive() {
            task_indices.push(received.order.task_index);
        }
        for line in self.waiting.drain(..) {
            if let Ok(received) = Received::of_line(&line) {
                task_indices.push(received.order.task_index);
            }
        }
        self.answered(task_indices.len());
        self.send(&Reply::Recalled { task_indices });
    }

    fn answered(&mut self, count: usize) {
        self.unanswered = self.unanswered.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn pass_on_orders(&mut self) {
        while let (Some(orders), Some(line)) = (&self.orders, self.waiting.front()) {
            match orders.try_send(line) {
                Ok(true) => drop(self.waiting.pop_front()),
                Ok(false) => break,
                Err(error) => {
                    let error = crate::trouble::explained(&error);
                    self.trouble(format!("the agent cannot pass an order to its slots: {error}"));
                    self.give_back();
                    break;
                }
            }
        }
        if self.state == State::Ending && self.waiting.is_empty() {
            self.orders = None;
        }
    }

    fn forward_replies(&mut self) -> Forwarded {
        let mut lines = Vec::new();
        let (mut count, mut answers) = (0, 0);
        let mut ended = false;
        loop {
            match self.replies.try_receive() {
                Ok(Replied::Reply(json)) => {
                    lines.extend_from_slice(json);
                    lines.push(b'\n');
                    count += 1;
                    answers += usize::from(Reply::answers_order(json));
                }
                Ok(Replied::Nothing) => break,
                Ok(Replied::Ended) | Err(_) => {
                    ended = true;
                    break;
                }
            }
        }
        self.answered(answers);
        if count > 0 && self.output.send_lines(&lines).is_err() && !self.is_lost {
            self.is_lost = true;
            self.coordinator_lost();
        }
        if ended { Forwarded::SlotsEnded } else { Forwarded::Replies(count) }
    }

    /// Reaps slots; one that ended before it should is trouble.
    fn look_after_slots(&mut self) {
        for how in self.slots.look_after() {
            if self.orders.is_some() {
                self.trouble(how);
            }
        }
    }

    fn trouble(&mut self, message: String) {
        self.send(&Reply::Trouble { message });
    }

    fn send(&self, reply: &Reply) {
        // A coordinator that is gone is noticed by the end of its requests.
        let _ = self.output.send(reply);
    }
}

/// How long to let replies gather, where the last `count` took so long to come. No longer than until half of the
/// orders that no slot has taken are taken: no slot waits for the next one, and nobody for the last replies.
fn pause(count: u32, took: Duration, untaken: u32) -> Duration {
    let until_enough = took / count.max(1) * (untaken / 2).min(REPLIES_A_ROUND);
    (PAUSE_PER_REPLY * count).min(LONGEST_PAUSE).min(until_enough)
}

/// What [`Agent::forward_replies`] found.
enum Forwarded {
    /// So many replies.
    Replies(u32),
    /// No slot is left.
    SlotsEnded,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_pause_is_long_where_many_replies_come_and_short_where_few_orders_are_left() {
        assert_eq!(pause(0, ms(500), 100), ms(0));
        assert_eq!(pause(1, ms(500), 100), PAUSE_PER_REPLY);
        assert_eq!(pause(30, ms(15), 100), LONGEST_PAUSE);
        assert_eq!(pause(30, ms(15), 8), ms(2), "in 4 ms none is left");
        assert_eq!(pause(30, ms(15), 1), ms(0));
        assert_eq!(pause(480, ms(15), 10_000), ms(15) / 10, "more would come than their queue holds");
    }
}
