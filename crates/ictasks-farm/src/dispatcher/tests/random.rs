//! Whatever agents, tasks and users do: every task is accounted for once.

use proptest::prelude::*;
use proptest::sample::Index;

use super::agents::killed;
use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The source brings up to so many tasks, if it is asked.
    Read(usize),
    /// A task of the agent says that it has started.
    Start(Index),
    /// A task of the agent ends.
    Finish(Index, Outcome),
    /// A task of the agent cannot be tried.
    NotStarted(Index),
    /// The agent dies; of each of its tasks the log says nothing, the beginning, or the end.
    Die(Vec<u8>),
    /// Somebody wants the run to stop.
    Stop(u8),
    /// Seconds go by.
    Pass(u16),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Succeeded),
        4 => Just(Outcome::Failed),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Cancelled),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6_usize).prop_map(Step::Read),
        6 => any::<Index>().prop_map(Step::Start),
        12 => (any::<Index>(), outcome()).prop_map(|(which, outcome)| Step::Finish(which, outcome)),
        4 => (1..40_u16).prop_map(Step::Pass),
        2 => prop::collection::vec(0..4_u8, 8).prop_map(Step::Die),
        1 => (0..5_u8).prop_map(Step::Stop),
        1 => any::<Index>().prop_map(Step::NotStarted),
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let expected_time_s = prop::option::of(1..400_u16).prop_map(|seconds| seconds.map(f64::from));
    let pauses = prop_oneof![Just(0.0), Just(7.0)];
    (0..3_i32, pauses, prop::option::of(1..6_i32), 0..4_i32, expected_time_s).prop_map(
        |(retries, retry_delay_s, max_failures, stop_if_none_succeed, expected_time_s)| Limits {
            retries,
            retry_delay_s,
            max_failures,
            stop_if_none_succeed,
            expected_time_s,
            ..limits()
        },
    )
}

/// When the allocation ends, if it does.
fn any_deadline() -> impl Strategy<Value = Option<Timestamp>> {
    let seconds = prop_oneof![1 => 1..60_u16, 2 => 60..2000_u16];
    prop::option::of(seconds).prop_map(|end| end.map(|end| session().began_at.plus_seconds(f64::from(end))))
}

/// The task list: each task with the number of its first attempt, or left out with 0.
fn any_list() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(0..4_i32, 0..30)
}

/// The dispatcher, and an agent and a source that behave as they should.
struct World<'a> {
    bench: Bench<'a>,
    list: Vec<i32>,
    read: usize,
    /// What the agent has, and whether it runs.
    held: Vec<(TaskOrder, bool)>,
    agent_lives: bool,
    may_end: bool,
    requests_seen: usize,
    seconds: f64,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, list: Vec<i32>, is_stream: bool) -> Self {
        let bench = Bench::new(plan, is_stream);
        Self {
            bench,
            list,
            read: 0,
            held: Vec::new(),
            agent_lives: true,
            may_end: false,
            requests_seen: 0,
            seconds: 0.0,
        }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Read(count) => self.read(count),
            Step::Start(which) => self.start(which),
            Step::Finish(which, outcome) => self.finish(which, outcome),
            Step::NotStarted(which) => self.refuse(which),
            Step::Die(log) => self.die(&log),
            Step::Stop(kind) => self.stop(kind),
            Step::Pass(seconds) => {
                self.seconds += f64::from(seconds);
                self.bench.at(self.seconds);
            }
        }
        self.obey();
    }

    fn read(&mut self, count: usize) {
        if !self.bench.dispatcher.wants_tasks() {
            return;
        }
        let end = (self.read + count).min(self.list.len());
        let entry = |position: usize| {
            let task = task(i64::try_from(position).unwrap());
            match self.list[position] {
                0 => Decision::Skip { task_index: task.index, task_id: task.id, reason: Reason::NotListed },
                attempt => Decision::Run { task, attempt, reason: None },
            }
        };
        let entries: Vec<_> = (self.read..end).map(entry).collect();
        self.read = end;
        if entries.is_empty() { self.bench.source_ended() } else { self.bench.add(entries) }
    }

    fn start(&mut self, which: Index) {
        let mut waiting: Vec<_> = self.held.iter_mut().filter(|(_, runs)| !runs).collect();
        if waiting.is_empty() {
            return;
        }
        let (order, runs) = which.get_mut(&mut waiting);
        *runs = true;
        let started = TaskStarted {
            task_index: order.task_index,
            attempt: order.attempt,
            worker_id: 1,
            pid: 9,
            started_at: Timestamp(5),
        };
        self.bench.reply(Reply::Started(started));
    }

    fn finish(&mut self, which: Index, outcome: Outcome) {
        if !self.held.is_empty() {
            let (order, _) = self.held.swap_remove(which.index(self.held.len()));
            self.bench.end(order.task_index, order.attempt, outcome);
        }
    }

    fn refuse(&mut self, which: Index) {
        if !self.held.is_empty() {
            let (order, _) = self.held.swap_remove(which.index(self.held.len()));
            let message = "no more processes".to_owned();
            self.bench.reply(Reply::NotStarted { task_index: order.task_index, message });
        }
    }

    fn die(&mut self, log: &[u8]) {
        if !self.agent_lives {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let logged = held.iter().enumerate().filter_map(|(position, (order, runs))| {
            let key = (order.task_index, order.attempt);
            let end = |outcome, cause| {
                Some(TaskEnded { cause, ..end_of(order.task_index, order.attempt, 1.0, outcome) })
            };
            match log[position % log.len()] {
                0 if !runs => None,
                0 | 1 => Some((key, None)),
                2 => Some((key, end(Outcome::Cancelled, Some(Cause::AgentLost)))),
                _ => Some((key, end(Outcome::Failed, None))),
            }
        });
        self.agent_lives = false;
        self.bench.agent_ended(killed(logged.collect()));
    }

    fn stop(&mut self, kind: u8) {
        let whoever = "somebody".to_owned();
        self.bench.stop(match kind {
            0 => StopReason::Signal(2),
            1 => StopReason::Drain(whoever),
            2 => StopReason::Stopped(whoever),
            3 => StopReason::Trouble(whoever),
            _ => {
                let place = Place { file: "list".to_owned(), line: 1, column: 0 };
                StopReason::Input(InputError::At { place, fault: Fault::EmptyCommand })
            }
        });
    }

    /// The agent does what it is asked for, and a new one comes where one is wanted.
    fn obey(&mut self) {
        loop {
            let requests = self.bench.requests[self.requests_seen..].to_vec();
            self.requests_seen = self.bench.requests.len();
            for request in requests {
                assert!(self.agent_lives, "nobody is there to take {request:?}");
                match request {
                    Request::Run(order) => self.hold(order),
                    Request::Recall => self.give_back(),
                    Request::Terminate { .. } => {
                        self.give_back();
                        for (order, _) in std::mem::take(&mut self.held) {
                            self.bench.end(order.task_index, order.attempt, Outcome::Cancelled);
                        }
                    }
                    Request::End => self.may_end = true,
                    Request::Suspend | Request::Continue | Request::Beat { .. } => {}
                }
            }
            if self.agent_lives && self.may_end && self.held.is_empty() {
                self.agent_lives = false;
                self.bench.agent_ended(AgentEnd { is_orderly: true, ..killed(Vec::new()) });
            }
            if !self.agent_lives && self.bench.dispatcher.wants_agent() {
                self.agent_lives = true;
                self.may_end = false;
                self.bench.new_agent();
            }
            if self.requests_seen == self.bench.requests.len() {
                return;
            }
        }
    }

    fn hold(&mut self, order: TaskOrder) {
        assert!(
            self.held.iter().all(|(held, _)| held.task_index != order.task_index),
            "a task is in two places"
        );
        assert!(!self.may_end, "an order after the last one");
        self.held.push((order, false));
    }

    fn give_back(&mut self) {
        let (running, waiting) = std::mem::take(&mut self.held).into_iter().partition(|(_, runs)| *runs);
        self.held = running;
        let waiting: Vec<(TaskOrder, bool)> = waiting;
        let task_indices = waiting.iter().map(|(order, _)| order.task_index).collect();
        self.bench.reply(Reply::Recalled { task_indices });
    }

    /// Everything that is left comes to its end.
    fn run_out(&mut self) {
        for _ in 0..10_000 {
            if !self.agent_lives && self.bench.dispatcher.is_done() {
                return;
            }
            self.perform(Step::Read(3));
            if let Some((order, _)) = self.held.pop() {
                self.bench.end(order.task_index, order.attempt, Outcome::Succeeded);
            }
            self.perform(Step::Pass(1000));
        }
        panic!("the run does not end");
    }
}

/// Every task of the list that was read has its rows, or one event that says why it has none.
pub fn check(bench: Bench<'_>, list: &[i32], read: usize) {
    let mut rows: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
    for row in bench.rows() {
        rows.entry(row.task_index).or_default().push(row);
    }
    let pending = bench.pending();
    let skipped: Vec<i64> = bench.events.iter().filter_map(skipped_index).collect();
    let any_started = !bench.orders().is_empty();
    let end = bench.dispatcher.into_end();
    assert!(any_started || !matches!(end.stop, Some(StopReason::NothingFits)), "the session was for nothing");
    let (mut counts, mut retried) = (Counts::default(), 0);
    for (position, first_attempt) in list[..read].iter().enumerate() {
        let index = i64::try_from(position).unwrap();
        let own = rows.remove(&index).unwrap_or_default();
        let is_pending = pending.iter().filter(|(pending, _)| *pending == index).count();
        let is_skipped = skipped.iter().filter(|skipped| **skipped == index).count();
        assert_eq!(usize::from(!own.is_empty()) + is_pending + is_skipped, 1, "task {index}: {own:?}");
        assert_eq!(is_skipped == 1, *first_attempt == 0);
        let numbers: Vec<i32> = own.iter().map(|row| row.attempt).collect();
        let expected: Vec<i32> = (*first_attempt..).take(own.len()).collect();
        assert_eq!(numbers, expected);
        retried += own.len().saturating_sub(1);
        match (own.last(), is_pending) {
            (Some(last), _) => counts.add(last.outcome),
            (None, 1) => counts.add(Outcome::Pending),
            (None, _) => {}
        }
    }
    assert!(rows.is_empty(), "rows of tasks that nobody knows");
    assert_eq!(end.counts, counts);
    assert_eq!(end.retried, i64::try_from(retried).unwrap());
    assert_eq!(end.skipped.values().sum::<i64>(), i64::try_from(skipped.len()).unwrap());
    assert!(end.stop.is_some() || end.list_complete);
    assert!(!end.list_complete || read == list.len());
}

fn skipped_index(event: &Event) -> Option<i64> {
    match event.body {
        EventBody::TaskSkipped { task_index, .. } => Some(task_index),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_task_is_accounted_for_once(
        limits in any_limits(),
        workers in 1..4_i32,
        list in any_list(),
        is_stream in any::<bool>(),
        deadline in any_deadline(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let plan = Plan { deadline, ..plan_with(workers, limits) };
        let mut world = World::new(&plan, list, is_stream);
        for step in steps {
            world.perform(step);
        }
        world.run_out();
        check(world.bench, &world.list, world.read);
    }
}
