//! Plays many nodes: each speaks the whole protocol, and every task it gets has succeeded at once.
//!
//!     simulated_nodes NODES WORKERS < invitation
//!
//! It takes the place of `ssh` (see `tests/bench/nodes.py`), so the coordinator is the real one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::frames::Frames;
use ictasks_core::handshake::{
    Facts, FromAgent, FromCoordinator, Invitation, Invited, LONGEST_MESSAGE, Nonce, Side,
};
use ictasks_core::lease::BEAT_EVERY;
use ictasks_core::machine::Machine;
use ictasks_core::protocol::{
    NodeInfo, PROTOCOL_VERSION, RUN_PREFIX, Reply, Request, Setup, TaskEnded, TaskOrder,
};

const STACK_BYTES: usize = 256 * 1024;

fn main() {
    let arguments: Vec<i32> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let (nodes, workers) = (arguments[0], arguments[1]);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("read the invitation");
    let Invited { invitation } = serde_json::from_str(&line).expect("an invitation");
    std::thread::scope(|scope| {
        for node in 0..nodes {
            let invitation = &invitation;
            let play = move || Node::join(invitation, node, workers).work();
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, play).expect("a thread");
        }
    });
}

/// A node that has joined.
struct Node {
    stream: TcpStream,
    frames: Frames,
    setup: Setup,
    beats: u64,
    beat_at: Instant,
}

impl Node {
    fn join(invitation: &Invitation, number: i32, workers: i32) -> Self {
        let connected = invitation.addresses.iter().find_map(|address| TcpStream::connect(address).ok());
        let mut stream = connected.expect("the coordinator");
        stream.set_nodelay(true).expect("set an option");
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let FromCoordinator::Challenge { nonce: challenge, .. } = hear(&mut reader) else { panic!() };
        let nonce = Nonce::random().expect("a random number");
        let proof = invitation.secret.proof(Side::Agent, &invitation.run_id, &challenge, &nonce);
        say(&mut stream, &FromAgent::Answer { protocol_version: PROTOCOL_VERSION, nonce, proof });
        let FromCoordinator::Welcome { .. } = hear(&mut reader) else { panic!() };
        let machine = Machine {
            host: format!("s{number:04}"),
            cores: (0..workers).map(|cpu| vec![cpu]).collect(),
            cpu_quota: None,
            gpus: None,
            memory_total_bytes: None,
            memory_limit_bytes: None,
            is_in_slurm: false,
        };
        let host = machine.host.clone();
        say(&mut stream, &FromAgent::Facts(Box::new(Facts { machine, at: Timestamp::now(), slurm: None })));
        let FromCoordinator::Setup(setup) = hear(&mut reader) else { panic!() };
        let mut frames = Frames::new(LONGEST_MESSAGE);
        frames.push(reader.buffer());
        let hello = NodeInfo {
            protocol_version: PROTOCOL_VERSION,
            host,
            host_id: setup.host_id,
            pid: 1,
            core_count: workers,
            gpu_count: 0,
            memory_total_bytes: None,
            cpu_model: None,
            at: Timestamp::now(),
            gpus: Vec::new(),
            memory_enforcement: None,
        };
        let mut node = Self { stream, frames, setup: *setup, beats: 0, beat_at: Instant::now() };
        node.send(&[Reply::Hello(hello)]);
        node
    }

    fn work(mut self) {
        self.stream.set_read_timeout(Some(Duration::from_millis(500))).expect("set an option");
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let mut replies = Vec::new();
            if self.beat_at.elapsed() >= BEAT_EVERY {
                replies.push(Reply::Beat { number: self.beats });
                self.beats += 1;
                self.beat_at = Instant::now();
            }
            while let Some(line) = self.frames.next_line().expect("a message of the agreed length") {
                if let Some(order) = line.strip_prefix(RUN_PREFIX.as_bytes()) {
                    let order: TaskOrder =
                        serde_json::from_slice(&order[..order.len() - 1]).expect("an order");
                    replies.push(ended(&order, self.setup.workers.len()));
                    continue;
                }
                match serde_json::from_slice(line).expect("a request") {
                    Request::Recall => replies.push(Reply::Recalled { task_indices: Vec::new() }),
                    Request::End => {
                        replies.push(Reply::Gone);
                        self.send(&replies);
                        return;
                    }
                    _ => {}
                }
            }
            self.send(&replies);
            match self.stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => self.frames.push(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn send(&mut self, replies: &[Reply]) {
        let lines: Vec<u8> = replies.iter().flat_map(line).collect();
        self.stream.write_all(&lines).expect("write to the coordinator");
    }
}

fn ended(order: &TaskOrder, workers: usize) -> Reply {
    let worker = order.task_index % i64::try_from(workers).expect("a number of workers");
    let worker = i32::try_from(worker).expect("a number of a worker");
    Reply::Finished(Box::new(TaskEnded {
        pid: Some(2),
        started_at: Some(Timestamp::now()),
        wall_s: Some(0.01),
        exit_code: Some(0),
        ..TaskEnded::unmeasured(order.task_index, order.attempt, worker, Outcome::Succeeded)
    }))
}

fn line(message: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("plain data");
    line.push(b'\n');
    line
}

fn say(stream: &mut TcpStream, message: &FromAgent) {
    stream.write_all(&line(message)).expect("write to the coordinator");
}

fn hear(reader: &mut BufReader<TcpStream>) -> FromCoordinator {
    let mut line = String::new();
    reader.read_line(&mut line).expect("read from the coordinator");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
