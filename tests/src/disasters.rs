//! The disaster test: farms over three nodes of a real Slurm, one of which comes to grief.
//!
//! A round runs short tasks and a few that live until the trouble is over, and at a random moment does something to
//! a node that is not the coordinator's. In the end every task has succeeded, no two attempts at one ever lived at
//! one time, and the record tells every attempt as it was ([`lives::check`]).

use std::fs;
use std::thread;
use std::time::Duration;

use crate::crash::Random;
use crate::lives;
use crate::slurm::{Cluster, Job};
use crate::wait::wait_for;

const SHORT_TASKS: u64 = 60;
/// Half as many as there are workers: some of them are on the node that comes to grief.
const LONG_TASKS: usize = 6;
/// A node may be silent for so long.
const SHORT: Duration = Duration::from_secs(5);
/// After this its tasks run elsewhere (`ictasks_core::lease`), and it is still not back.
const AFTER_THE_LOSS: Duration = Duration::from_secs(3);

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disaster {
    /// Its power fails.
    PowerFails,
    /// Slurm's daemon on it is killed; what it started lives on.
    DaemonDies,
    /// Its network is cut for some seconds.
    ShortCut,
    /// Its network is cut until its tasks run elsewhere, and joined again.
    LongCut,
    /// All of its processes are stopped for some seconds.
    ShortFreeze,
    /// All of its processes are stopped until its tasks run elsewhere, and go on then.
    LongFreeze,
}

impl Disaster {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PowerFails,
        Self::DaemonDies,
        Self::ShortCut,
        Self::LongCut,
        Self::ShortFreeze,
        Self::LongFreeze,
    ];

    /// The disaster of the round with this seed: each comes in its turn.
    pub fn of(seed: u64) -> Self {
        let kinds = Self::ALL.len() as u64;
        Self::ALL[usize::try_from(seed % kinds).unwrap_or(0)]
    }

    /// Whether the run loses the node: for certain, certainly not, or as Slurm pleases.
    const fn costs_the_node(self) -> Option<bool> {
        match self {
            Self::PowerFails | Self::LongCut | Self::LongFreeze => Some(true),
            Self::ShortCut | Self::ShortFreeze => Some(false),
            Self::DaemonDies => None,
        }
    }
}

/// What a round saw, for a report.
#[derive(Debug)]
pub struct Round {
    /// What happened.
    pub disaster: Disaster,
    /// To which node.
    pub node: String,
    /// Attempts that the record has.
    pub attempts: usize,
    /// Attempts of those that were lost with their node.
    pub lost: usize,
}

/// Runs one round.
///
/// # Panics
/// If anything is not as it should be.
pub fn round(seed: u64) -> Round {
    let mut random = Random::new(seed);
    let disaster = Disaster::of(seed);
    let cluster = Cluster::up(3);
    lives::prepare(cluster.directory());
    let mut tasks = vec![lives::until_go(); LONG_TASKS];
    tasks.extend((0..SHORT_TASKS).map(|_| lives::for_tenths(1 + random.below(20))));
    cluster.file("tasks.txt", tasks.concat());
    cluster.file("farm.yaml", "x-of: the disaster test\n");
    let job = cluster.submit(
        &["-N3", "-n12", "--no-kill", "--no-requeue"],
        "exec ICTASKS taskfarm --config farm.yaml --tasklist tasks.txt --run-dir run --workers 4",
    );
    let short_begun = usize::try_from(random.below(SHORT_TASKS / 2)).unwrap_or(0);
    lives::wait_for_lives(cluster.directory(), LONG_TASKS + short_begun);
    thread::sleep(Duration::from_millis(random.below(1000)));
    let node = (2 + random.below(2)).to_string();
    strike(&cluster, disaster, &node);
    cluster.file("go", "");
    finish(&cluster, &job, disaster, &node)
}

/// Does it, and undoes what is to be undone: after some seconds, or once the tasks run elsewhere.
fn strike(cluster: &Cluster, disaster: Disaster, node: &str) {
    let (verb, undone_by) = match disaster {
        Disaster::PowerFails => ("kill-node", None),
        Disaster::DaemonDies => ("kill-slurmd", None),
        Disaster::ShortCut | Disaster::LongCut => ("cut-node", Some("join-node")),
        Disaster::ShortFreeze | Disaster::LongFreeze => ("freeze-node", Some("thaw-node")),
    };
    cluster.disaster(&[verb, node]);
    match disaster.costs_the_node() {
        Some(true) => {
            let said = || fs::read_to_string(cluster.directory().join("job.out")).unwrap_or_default();
            wait_for("the loss to be known", || said().contains("was lost").then_some(()));
            thread::sleep(AFTER_THE_LOSS);
        }
        Some(false) => thread::sleep(SHORT),
        None => {}
    }
    if let Some(verb) = undone_by {
        cluster.disaster(&[verb, node]);
    }
    // What a node does that is back shows now, if it does anything.
    thread::sleep(AFTER_THE_LOSS);
}

fn finish(cluster: &Cluster, job: &Job<'_>, disaster: Disaster, node: &str) -> Round {
    assert_eq!(job.end(), crate::SUCCEEDED, "{disaster:?} of node{node}");
    let record = cluster.record("run");
    let outcomes = record.column("tasks", "outcome");
    assert_eq!(outcomes, vec!["succeeded"; LONG_TASKS + usize::try_from(SHORT_TASKS).unwrap_or(0)]);
    lives::check(cluster.directory(), &record);
    let events = record.table("events").rows;
    let lost_nodes = events.iter().filter(|row| row["kind"] == "node_lost").count();
    if let Some(is_lost) = disaster.costs_the_node() {
        assert_eq!(lost_nodes, usize::from(is_lost), "{disaster:?} of node{node}");
    }
    let attempts = record.column("attempts", "outcome");
    let lost = attempts.iter().filter(|outcome| **outcome == "node_lost").count();
    Round { disaster, node: format!("node{node}"), attempts: attempts.len(), lost }
}
