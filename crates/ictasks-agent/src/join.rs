//! How an agent comes to a coordinator of another node: it looks around, connects, and both prove that they
//! belong to the same run (`ictasks_core::handshake`).
//!
//! All this happens before the slots are forked, hence in one thread, and the drivers of GPUs are asked by
//! another process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ictasks_core::column::Timestamp;
use ictasks_core::frames::Frames;
use ictasks_core::handshake::{
    Facts, FromAgent, FromCoordinator, Invitation, Invited, LONGEST_GREETING, LONGEST_MESSAGE, Nonce, Side,
    SlurmPlace,
};
use ictasks_core::layout;
use ictasks_core::machine::Machine;
use ictasks_core::protocol::{PROTOCOL_VERSION, Setup};

use crate::error::AgentError;
use crate::node_info;
use crate::sys;

/// The argument with which this program only says which GPUs may be used.
pub const GPUS_ARGUMENT: &str = "--gpus";

/// All addresses are tried again and again for so long: the coordinator may be busy.
const TRIES_TAKE: Duration = Duration::from_secs(120);
const CONNECTING_TAKES: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
/// Somebody else who listens there says nothing, or something else.
const FIRST_WORD_TAKES: Duration = Duration::from_secs(10);
/// The coordinator says what is to be done within this.
const SETUP_TAKES: Duration = Duration::from_secs(150);
/// Drivers of GPUs may take seconds, and hang when a device is broken.
const GPUS_TAKE: Duration = Duration::from_secs(60);
/// A file system may show later what another node has written.
const RUN_SHOWS_WITHIN: Duration = Duration::from_secs(20);
/// More of run.json need not be looked at.
const RUN_FILE_BYTES: u64 = 64 * 1024;

/// A connection to the coordinator.
pub struct Connection {
    pub stream: TcpStream,
    /// What was read beyond the setup.
    pub frames: Frames,
    /// When the coordinator was asked to accept this agent, by the clock of [`sys::boot_time`].
    pub asked_at: Duration,
}

/// An agent that belongs to a run.
pub struct Joined {
    pub setup: Setup,
    pub connection: Connection,
}

/// What a try came to.
enum Try {
    Joined(Box<Joined>),
    NotNeeded,
    /// There is no sense in another one.
    Final(AgentError),
    /// Another address may be better.
    Failed(String),
}

/// Joins the run that the line tells of; `None` if nothing is left to do there.
pub fn join(line: &[u8]) -> Result<Option<Joined>, AgentError> {
    let Invited { invitation } = serde_json::from_slice(line).map_err(AgentError::Invitation)?;
    if invitation.protocol_version != PROTOCOL_VERSION {
        return Err(AgentError::Version { theirs: invitation.protocol_version, ours: PROTOCOL_VERSION });
    }
    let facts = look_around(&invitation);
    let begun = Instant::now();
    loop {
        let mut last = String::from("there is no address");
        for address in &invitation.addresses {
            match attempt(*address, &invitation, &facts) {
                Try::Joined(joined) => return Ok(Some(*joined)),
                Try::NotNeeded => return Ok(None),
                Try::Final(error) => return Err(error),
                Try::Failed(why) => last = format!("{address}: {why}"),
            }
        }
        if begun.elapsed() > TRIES_TAKE {
            let addresses: Vec<String> = invitation.addresses.iter().map(ToString::to_string).collect();
            return Err(AgentError::Unreachable { addresses: addresses.join(", "), last });
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// What this agent may use, or why it cannot work here.
fn look_around(invitation: &Invitation) -> Result<Facts, AgentError> {
    let machine = Machine::detect();
    let host = node_info::host_name();
    if !shows_run(&invitation.run_dir, &invitation.run_id) {
        return Err(AgentError::NotShared { run_dir: invitation.run_dir.clone(), host });
    }
    let gpus = invitation.looks_for_gpus.then(|| gpus_by_another_process().unwrap_or_default());
    Ok(Facts { machine: machine.with_gpus(gpus), at: Timestamp::of_own_clock(), slurm: slurm_place() })
}

/// Whether the run directory is the coordinator's own.
fn shows_run(run_dir: &Path, run_id: &str) -> bool {
    let begun = Instant::now();
    loop {
        let mut text = String::new();
        let read = std::fs::File::open(run_dir.join(layout::RUN_FILE))
            .and_then(|file| file.take(RUN_FILE_BYTES).read_to_string(&mut text));
        if read.is_ok() && text.contains(run_id) {
            return true;
        }
        if begun.elapsed() > RUN_SHOWS_WITHIN {
            return false;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

fn slurm_place() -> Option<SlurmPlace> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(SlurmPlace {
        node: variable("SLURMD_NODENAME")?,
        job_id: variable("SLURM_JOB_ID")?,
        step_id: variable("SLURM_STEP_ID"),
    })
}

/// Device ids of the GPUs that may be used, as another process of this program finds them.
fn gpus_by_another_process() -> Option<Vec<i32>> {
    let mut child = Command::new("/proc/self/exe")
        .arg(GPUS_ARGUMENT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    while let Ok(None) = child.try_wait() {
        if begun.elapsed() > GPUS_TAKE {
            // A driver that hangs may keep it from dying; it is not waited for.
            let _ = child.kill();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn attempt(address: SocketAddr, invitation: &Invitation, facts: &Result<Facts, AgentError>) -> Try {
    let stream = match TcpStream::connect_timeout(&address, CONNECTING_TAKES) {
        Ok(stream) => stream,
        Err(error) => return Try::Failed(error.to_string()),
    };
    // Small messages must not wait for one another; where it fails they do.
    let _ = stream.set_nodelay(true);
    let mut wire = Wire { stream, frames: Frames::new(LONGEST_GREETING) };
    match greet(&mut wire, invitation, facts) {
        Ok(outcome) => outcome,
        Err(why) => Try::Failed(why),
    }
}

/// The handshake; an error is what makes another address worth a try.
fn greet(wire: &mut Wire, invitation: &Invitation, facts: &Result<Facts, AgentError>) -> Result<Try, String> {
    let Invitation { secret, run_id, .. } = invitation;
    let first = wire.hear(FIRST_WORD_TAKES)?;
    let FromCoordinator::Challenge { protocol_version, run_id: their_run, nonce: challenge } = first else {
        return Err("somebody else listens there".to_owned());
    };
    if their_run != *run_id {
        return Err("the coordinator of another run listens there".to_owned());
    }
    if protocol_version != PROTOCOL_VERSION {
        return Ok(Try::Final(AgentError::Version { theirs: protocol_version, ours: PROTOCOL_VERSION }));
    }
    let nonce = Nonce::random().map_err(|error| error.to_string())?;
    let proof = secret.proof(Side::Agent, run_id, &challenge, &nonce);
    let asked_at = sys::boot_time();
    wire.say(&FromAgent::Answer { protocol_version, nonce: nonce.clone(), proof })?;
    match wire.hear(FIRST_WORD_TAKES)? {
        FromCoordinator::Welcome { proof }
            if secret.accepts(&proof, Side::Coordinator, run_id, &challenge, &nonce) => {}
        FromCoordinator::Welcome { .. } => return Err("the coordinator there has another secret".to_owned()),
        // Whoever knows of the run and refuses the secret now will do so again.
        FromCoordinator::Refused { .. } => {
            let message = "the coordinator refused the secret".to_owned();
            return Ok(Try::Final(AgentError::Refused { message }));
        }
        _ => return Err("the coordinator repeats itself".to_owned()),
    }
    match facts {
        Ok(facts) => {
            let facts = Facts { at: Timestamp::of_own_clock(), ..facts.clone() };
            wire.say(&FromAgent::Facts(Box::new(facts)))?;
        }
        Err(error) => {
            let (host, message) = (node_info::host_name(), format!("the agent failed to {error}"));
            wire.say(&FromAgent::Failed { host, message: message.clone() })?;
            return Ok(Try::Final(AgentError::Refused { message }));
        }
    }
    wire.frames.allow(LONGEST_MESSAGE);
    Ok(match wire.hear(SETUP_TAKES)? {
        FromCoordinator::Setup(setup) => Try::Joined(Box::new(Joined {
            setup: *setup,
            connection: Connection {
                stream: wire.stream.try_clone().map_err(|error| error.to_string())?,
                frames: std::mem::replace(&mut wire.frames, Frames::new(0)),
                asked_at,
            },
        })),
        FromCoordinator::NotNeeded => Try::NotNeeded,
        FromCoordinator::Refused { message } => Try::Final(AgentError::Refused { message }),
        FromCoordinator::Challenge { .. } | FromCoordinator::Welcome { .. } => {
            return Err("the coordinator repeats itself".to_owned());
        }
    })
}

/// A connection in its handshake.
struct Wire {
    stream: TcpStream,
    frames: Frames,
}

impl Wire {
    fn say(&mut self, message: &FromAgent) -> Result<(), String> {
        let mut line = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let set = self.stream.set_write_timeout(Some(FIRST_WORD_TAKES));
        set.and_then(|()| self.stream.write_all(&line)).map_err(|error| error.to_string())
    }

    fn hear(&mut self, within: Duration) -> Result<FromCoordinator, String> {
        let until = Instant::now() + within;
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(line) = self.frames.next_line().map_err(|error| error.to_string())? {
                return serde_json::from_slice(line).map_err(|error| error.to_string());
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err("nothing is said there".to_owned());
            }
            let set = self.stream.set_read_timeout(Some(rest));
            match set.and_then(|()| self.stream.read(&mut chunk)) {
                Ok(0) => return Err("the connection was ended there".to_owned()),
                Ok(length) => self.frames.push(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
