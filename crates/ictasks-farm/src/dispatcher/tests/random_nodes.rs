//! Whatever nodes do, come and go: no task is ever in two places, and each ends exactly once.

use proptest::prelude::*;
use proptest::sample::Index;

use super::agents::killed;
use super::random::check;
use super::*;

/// What happens next; an index names a node or a task of one.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Join(i32),
    Start(Index, Index),
    Finish(Index, Index, Outcome),
    NotStarted(Index, Index),
    /// The network to a node is cut: the coordinator does not know, and the node works on.
    Cut(Index),
    /// The coordinator notices that a connection has ended.
    Notice(Index),
    /// The lease of a node has run out on both sides: what it has ended is told by its log, or not.
    LeaseEnds(Index, Vec<u8>),
    /// Something is wrong with a node.
    Trouble(Index),
    Stop(u8),
    Pass(u16),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(Outcome::Succeeded), 2 => Just(Outcome::Failed), 1 => Just(Outcome::TimedOut)]
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<Index>;
    prop_oneof![
        8 => (1..8_usize).prop_map(Step::Read),
        3 => (1..4_i32).prop_map(Step::Join),
        8 => (any(), any()).prop_map(|(node, which)| Step::Start(node, which)),
        16 => (any(), any(), outcome()).prop_map(|(node, which, outcome)| Step::Finish(node, which, outcome)),
        2 => any().prop_map(Step::Cut),
        3 => any().prop_map(Step::Notice),
        3 => (any(), prop::collection::vec(0..4_u8, 8)).prop_map(|(node, log)| Step::LeaseEnds(node, log)),
        1 => (any(), any()).prop_map(|(node, which)| Step::NotStarted(node, which)),
        1 => any().prop_map(Step::Trouble),
        1 => (0..4_u8).prop_map(Step::Stop),
        4 => (1..40_u16).prop_map(Step::Pass),
    ]
}

/// How a node is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Works,
    /// Neither side hears the other; the coordinator may have noticed.
    IsCut {
        is_noticed: bool,
    },
}

/// A node that lives, whether the coordinator knows that or not.
struct Node {
    id: AgentId,
    network: Network,
    /// What it has, and whether it runs.
    held: Vec<(TaskOrder, bool)>,
    may_end: bool,
}

struct World<'a> {
    bench: Bench<'a>,
    list: Vec<i32>,
    read: usize,
    nodes: Vec<Node>,
    sent_seen: usize,
    seconds: f64,
}

impl World<'_> {
    fn perform(&mut self, step: Step) {
        match step {
            Step::Read(count) => self.read(count),
            Step::Join(workers) => self.join(workers),
            Step::Start(node, which) => self.start(node, which),
            Step::Finish(node, which, outcome) => self.finish(node, which, outcome),
            Step::NotStarted(node, which) => self.refuse(node, which),
            Step::Cut(node) => {
                if let Some(node) = pick(&mut self.nodes, node, |node| node.network == Network::Works) {
                    node.network = Network::IsCut { is_noticed: false };
                }
            }
            Step::Notice(node) => self.notice(node),
            Step::LeaseEnds(node, log) => self.lease_ends(node, &log),
            Step::Trouble(node) => {
                if let Some(node) = pick(&mut self.nodes, node, |node| node.network == Network::Works) {
                    let message = "a slot died".to_owned();
                    self.bench.reply_of(node.id, Reply::Trouble { message });
                }
            }
            Step::Stop(kind) => self.bench.stop(match kind {
                0 => StopReason::Signal(2),
                1 => StopReason::Drain("somebody".to_owned()),
                2 => StopReason::Stopped("somebody".to_owned()),
                _ => StopReason::Trouble("something".to_owned()),
            }),
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
        let positions = self.read..end;
        self.read = end;
        let entries: Vec<_> =
            positions.map(|position| first(task(i64::try_from(position).unwrap()))).collect();
        if entries.is_empty() { self.bench.source_ended() } else { self.bench.add(entries) }
    }

    fn join(&mut self, workers: i32) {
        if self.nodes.len() < 6
            && let Some(id) = self.bench.join(workers)
        {
            self.nodes.push(Node { id, network: Network::Works, held: Vec::new(), may_end: false });
        }
    }

    fn start(&mut self, node: Index, which: Index) {
        let Some(node) = pick(&mut self.nodes, node, |node| node.held.iter().any(|(_, runs)| !runs)) else {
            return;
        };
        let mut waiting: Vec<_> = node.held.iter_mut().filter(|(_, runs)| !runs).collect();
        let (order, runs) = which.get_mut(&mut waiting);
        *runs = true;
        let started = TaskStarted {
            task_index: order.task_index,
            attempt: order.attempt,
            worker_id: 0,
            pid: 9,
            started_at: Timestamp(5),
        };
        if node.network == Network::Works {
            self.bench.reply_of(node.id, Reply::Started(started));
        }
    }

    fn finish(&mut self, node: Index, which: Index, outcome: Outcome) {
        let can = |node: &Node| node.network == Network::Works && !node.held.is_empty();
        if let Some(node) = pick(&mut self.nodes, node, can) {
            let (order, _) = node.held.swap_remove(which.index(node.held.len()));
            self.bench.end_on(node.id, (order.task_index, order.attempt), 1.0, outcome);
        }
    }

    fn refuse(&mut self, node: Index, which: Index) {
        let can = |node: &Node| node.network == Network::Works && !node.held.is_empty();
        if let Some(node) = pick(&mut self.nodes, node, can) {
            let (order, _) = node.held.swap_remove(which.index(node.held.len()));
            let message = "no more processes".to_owned();
            self.bench.reply_of(node.id, Reply::NotStarted { task_index: order.task_index, message });
        }
    }

    fn notice(&mut self, node: Index) {
        let can = |node: &Node| node.network == (Network::IsCut { is_noticed: false });
        if let Some(node) = pick(&mut self.nodes, node, can) {
            node.network = Network::IsCut { is_noticed: true };
            self.bench.dispatcher.agent_closed(node.id);
            self.bench.gather();
        }
    }

    /// The agent has ended its tasks and itself, and only then the coordinator gives it up.
    fn lease_ends(&mut self, node: Index, log: &[u8]) {
        let Some(node) = pick(&mut self.nodes, node, |node| node.network != Network::Works) else { return };
        let id = node.id;
        let held = std::mem::take(&mut node.held);
        let logged = held.iter().enumerate().filter_map(|(position, (order, runs))| {
            let key = (order.task_index, order.attempt);
            let end = |outcome, cause| Some(TaskEnded { cause, ..end_of(key.0, key.1, 1.0, outcome) });
            match log[position % log.len()] {
                0 if !runs => None,
                0 | 1 => Some((key, None)),
                2 => Some((key, end(Outcome::Cancelled, Some(Cause::CoordinatorLost)))),
                _ => Some((key, end(Outcome::Succeeded, None))),
            }
        });
        let logged: Vec<_> = logged.collect();
        self.nodes.retain(|node| node.id != id);
        self.bench.node_ended(id, killed(logged));
    }

    /// The nodes do what they are asked for, as far as they hear it.
    fn obey(&mut self) {
        while self.sent_seen < self.bench.sent.len() {
            let (id, request) = self.bench.sent[self.sent_seen].clone();
            self.sent_seen += 1;
            if let Request::Run(order) = &request {
                let holders = self
                    .nodes
                    .iter()
                    .filter(|node| node.held.iter().any(|(held, _)| held.task_index == order.task_index));
                assert_eq!(holders.count(), 0, "a task is in two places");
            }
            let node = self.nodes.iter_mut().find(|node| node.id == id).expect("nobody is there to hear");
            match (request, node.network) {
                // What was sent into a cut network may have arrived before the cut.
                (Request::Run(order), _) => {
                    assert!(!node.may_end, "an order after the last one");
                    node.held.push((order, false));
                }
                (_, Network::IsCut { .. }) => {}
                (Request::Recall, _) => give_back(node, &mut self.bench),
                (Request::Terminate { .. }, _) => {
                    give_back(node, &mut self.bench);
                    for (order, _) in std::mem::take(&mut node.held) {
                        self.bench.end_on(id, (order.task_index, order.attempt), 1.0, Outcome::Cancelled);
                    }
                }
                (Request::End, _) => node.may_end = true,
                (Request::Suspend | Request::Continue | Request::Beat { .. }, _) => {}
            }
        }
        let can_end = |node: &Node| node.may_end && node.held.is_empty() && node.network == Network::Works;
        while let Some(position) = self.nodes.iter().position(can_end) {
            let node = self.nodes.swap_remove(position);
            self.bench.dispatcher.agent_closed(node.id);
            self.bench.node_ended(node.id, AgentEnd { is_orderly: true, ..killed(Vec::new()) });
        }
    }

    /// Everything that is left comes to its end.
    fn run_out(&mut self) {
        for _ in 0..10_000 {
            if self.nodes.is_empty() && self.bench.dispatcher.is_done() {
                return;
            }
            self.perform(Step::Read(3));
            let ids: Vec<AgentId> = self.nodes.iter().map(|node| node.id).collect();
            for id in ids {
                let Some(position) = self.nodes.iter().position(|node| node.id == id) else { continue };
                let node = &mut self.nodes[position];
                if node.network != Network::Works {
                    let held = std::mem::take(&mut node.held);
                    let logged = held.iter().map(|(order, _)| ((order.task_index, order.attempt), None));
                    let logged = logged.collect();
                    self.nodes.remove(position);
                    self.bench.node_ended(id, killed(logged));
                } else if let Some((order, _)) = node.held.pop() {
                    self.bench.end_on(id, (order.task_index, order.attempt), 1.0, Outcome::Succeeded);
                }
                self.obey();
            }
            if self.nodes.is_empty() && self.bench.dispatcher.wants_agent() {
                self.perform(Step::Join(2));
            }
            self.perform(Step::Pass(1000));
        }
        panic!("the run does not end");
    }
}

fn pick(nodes: &mut [Node], which: Index, can: impl Fn(&Node) -> bool) -> Option<&mut Node> {
    let mut able: Vec<&mut Node> = nodes.iter_mut().filter(|node| can(node)).collect();
    if able.is_empty() { None } else { Some(able.swap_remove(which.index(able.len()))) }
}

fn give_back(node: &mut Node, bench: &mut Bench<'_>) {
    let (running, waiting) = std::mem::take(&mut node.held).into_iter().partition(|(_, runs)| *runs);
    node.held = running;
    let waiting: Vec<(TaskOrder, bool)> = waiting;
    let task_indices = waiting.iter().map(|(order, _)| order.task_index).collect();
    bench.reply_of(node.id, Reply::Recalled { task_indices });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_task_is_ever_in_two_places_and_each_ends_once(
        (retries, node_loss_retries) in (0..3_i32, 0..4_i32),
        task_count in 0..60_usize,
        is_stream in any::<bool>(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let plan = plan_with(2, Limits { retries, node_loss_retries, ..limits() });
        let bench = Bench::for_nodes(&plan, is_stream);
        let list = vec![1; task_count];
        let mut world = World { bench, list, read: 0, nodes: Vec::new(), sent_seen: 0, seconds: 0.0 };
        for step in steps {
            world.perform(step);
        }
        world.run_out();
        check(world.bench, &world.list, world.read);
    }
}
