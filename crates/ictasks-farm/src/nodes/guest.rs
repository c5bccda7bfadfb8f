//! One connection: the handshake, then lines both ways until it ends or is silent for too long.
//!
//! Whatever a stranger sends ends that connection and nothing else.

use std::sync::Arc;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::frames::Frames;
use ictasks_core::handshake::{
    Facts, FromAgent, FromCoordinator, Invitation, LONGEST_GREETING, LONGEST_MESSAGE, Nonce, Side,
};
use ictasks_core::lease::{ENDING_TAKES, LEASE, NodeLease};
use ictasks_core::protocol::{PROTOCOL_VERSION, Reply, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Answer, Application, Closing, FromHub};
use crate::dispatcher::AgentId;

/// The proof that a stranger is none has to come within this.
const PROOF_TAKES: Duration = Duration::from_secs(20);
/// The loop, which may wait for the recorder, has so long to say what an agent is to do.
const ANSWER_TAKES: Duration = Duration::from_secs(120);
const READ_BYTES: usize = 64 * 1024;

/// Receives one connection.
pub struct Guest {
    /// What it has to know.
    pub invitation: Arc<Invitation>,
    /// Where what it says goes.
    pub news: mpsc::UnboundedSender<FromHub>,
}

/// Why a handshake came to nothing.
enum Unwelcome {
    /// Nothing needs to be said.
    Silently,
    /// The agent says that it cannot work.
    Failed(String),
    /// The user should know.
    Told(String),
}

/// A connection on which whole lines go both ways.
struct Wire {
    stream: TcpStream,
    frames: Frames,
}

/// An agent that was accepted.
struct Accepted {
    agent: AgentId,
    requests: mpsc::UnboundedReceiver<Vec<u8>>,
    lease: NodeLease,
}

impl Guest {
    /// From its first word to its last. `_place` is one of those in a handshake.
    pub async fn receive(self, stream: TcpStream, place: OwnedSemaphorePermit) {
        // Small messages must not wait for one another; where it fails they do.
        let _ = stream.set_nodelay(true);
        let mut wire = Wire { stream, frames: Frames::new(LONGEST_GREETING) };
        let greeted = timeout(PROOF_TAKES, self.greet(&mut wire)).await.unwrap_or(Err(Unwelcome::Silently));
        drop(place);
        let admitted = match greeted {
            Ok((facts, offset_s)) => self.admit(&mut wire, facts, offset_s).await,
            Err(unwelcome) => Err(unwelcome),
        };
        match admitted {
            Ok(accepted) => {
                let agent = accepted.agent;
                let how = self.converse(wire, accepted).await;
                self.tell(FromHub::Closed { agent, how });
            }
            Err(Unwelcome::Failed(message)) => self.tell(FromHub::Failed(message)),
            Err(Unwelcome::Told(message)) => self.tell(FromHub::Warning(message)),
            Err(Unwelcome::Silently) => {}
        }
    }

    fn tell(&self, news: FromHub) {
        // Without a loop the run is over.
        let _ = self.news.send(news);
    }

    /// Both prove that they know the secret; the agent says what it may use, and the time.
    async fn greet(&self, wire: &mut Wire) -> Result<(Facts, f64), Unwelcome> {
        let Invitation { run_id, secret, .. } = &*self.invitation;
        let challenge =
            Nonce::random().map_err(|error| Unwelcome::Told(format!("no random numbers: {error}")))?;
        wire.say(&FromCoordinator::Challenge {
            protocol_version: PROTOCOL_VERSION,
            run_id: run_id.clone(),
            nonce: challenge.clone(),
        })
        .await?;
        let FromAgent::Answer { protocol_version, nonce, proof } = wire.hear().await? else {
            return Err(Unwelcome::Silently);
        };
        if !secret.accepts(&proof, Side::Agent, run_id, &challenge, &nonce) {
            let message = "the secret of the run is another".to_owned();
            wire.say(&FromCoordinator::Refused { message }).await?;
            return Err(Unwelcome::Silently);
        }
        if protocol_version != PROTOCOL_VERSION {
            let message = format!(
                "the agent speaks version {protocol_version} of the protocol, and the coordinator version \
                 {PROTOCOL_VERSION}; install the same ictasks on all nodes"
            );
            wire.say(&FromCoordinator::Refused { message: message.clone() }).await?;
            return Err(Unwelcome::Failed(message));
        }
        let proof = secret.proof(Side::Coordinator, run_id, &challenge, &nonce);
        let asked_at = Timestamp::now();
        wire.say(&FromCoordinator::Welcome { proof }).await?;
        match wire.hear().await? {
            FromAgent::Facts(facts) => {
                let heard_at = Timestamp::now();
                let middle = asked_at.plus_seconds(heard_at.seconds_since(asked_at) / 2.0);
                let offset_s = facts.at.seconds_since(middle);
                Ok((*facts, offset_s))
            }
            FromAgent::Failed { host, message } => {
                Err(Unwelcome::Failed(format!("the node {host} cannot be used: {message}")))
            }
            FromAgent::Answer { .. } => Err(Unwelcome::Silently),
        }
    }

    /// Asks the loop whether the agent may join, and tells it what to do.
    async fn admit(&self, wire: &mut Wire, facts: Facts, clock_offset_s: f64) -> Result<Accepted, Unwelcome> {
        let (answer, answered) = oneshot::channel();
        self.tell(FromHub::Applies(Box::new(Application { facts, clock_offset_s, answer })));
        match timeout(ANSWER_TAKES, answered).await {
            Ok(Ok(Answer::Accepted { agent, setup, requests })) => {
                // From here on the loop knows it: whatever fails, its end has to be told.
                let lease = NodeLease::new(since_start());
                let accepted = Accepted { agent, requests, lease };
                match wire.say(&FromCoordinator::Setup(setup)).await {
                    Ok(()) => Ok(accepted),
                    Err(_) => {
                        let how = closing("its connection ended", false, &accepted.lease);
                        self.tell(FromHub::Closed { agent, how });
                        Err(Unwelcome::Silently)
                    }
                }
            }
            Ok(Ok(Answer::NotNeeded)) => {
                wire.say(&FromCoordinator::NotNeeded).await?;
                Err(Unwelcome::Silently)
            }
            Ok(Ok(Answer::Refused(message))) => {
                wire.say(&FromCoordinator::Refused { message }).await?;
                Err(Unwelcome::Silently)
            }
            Ok(Err(_)) | Err(_) => Err(Unwelcome::Silently),
        }
    }

    /// Passes on what both sides say.
    async fn converse(&self, wire: Wire, accepted: Accepted) -> Closing {
        let Accepted { agent, mut requests, lease } = accepted;
        let (mut reader, mut writer) = wire.stream.into_split();
        let mut talk = Talk { frames: wire.frames, lease, outgoing: Vec::new(), said_gone: false };
        talk.frames.allow(LONGEST_MESSAGE);
        let mut sent = 0;
        loop {
            if sent == talk.outgoing.len() {
                talk.outgoing.clear();
                sent = 0;
            }
            let over_at = over_at(&talk.lease);
            let Talk { frames, outgoing, .. } = &mut talk;
            let space = frames.space();
            space.reserve(READ_BYTES);
            tokio::select! {
                read = reader.read_buf(space) => {
                    if !matches!(read, Ok(1..)) {
                        return talk.closing("its connection ended");
                    }
                    let mut replies = Vec::new();
                    let taken = talk.take_lines(&mut replies);
                    if !replies.is_empty() {
                        self.tell(FromHub::Replies { agent, replies });
                    }
                    if let Err(how) = taken {
                        return talk.closing(&how);
                    }
                }
                written = writer.write(&outgoing[sent..]), if sent < outgoing.len() => match written {
                    Ok(count) => sent += count,
                    // What the agent still has to say comes by the other direction.
                    Err(_) => sent = outgoing.len(),
                },
                more = requests.recv() => match more {
                    Some(lines) => outgoing.extend(lines),
                    None => return talk.closing("the run is over"),
                },
                () = sleep_until(over_at) => {
                    return talk.closing(&format!("it was silent for {} s", (LEASE + ENDING_TAKES).as_secs()));
                }
            }
        }
    }
}

/// What is known of a connection while it lasts.
struct Talk {
    frames: Frames,
    lease: NodeLease,
    outgoing: Vec<u8>,
    /// The agent said that nothing of it is left.
    said_gone: bool,
}

impl Talk {
    /// Takes the replies among what was read; beats are echoed at once.
    fn take_lines(&mut self, replies: &mut Vec<Reply>) -> Result<(), String> {
        while let Some(line) = self.frames.next_line().map_err(|error| error.to_string())? {
            if line.is_empty() {
                continue;
            }
            let reply = serde_json::from_slice(line)
                .map_err(|error| format!("it said what cannot be understood: {error}"))?;
            match reply {
                Reply::Beat { number } => {
                    self.lease.heard(since_start());
                    self.outgoing.extend(serde_json::to_vec(&Request::Beat { number }).unwrap_or_default());
                    self.outgoing.push(b'\n');
                }
                Reply::Gone => self.said_gone = true,
                reply => replies.push(reply),
            }
        }
        Ok(())
    }

    fn closing(&self, how: &str) -> Closing {
        closing(how, self.said_gone, &self.lease)
    }
}

impl Wire {
    async fn say(&mut self, message: &FromCoordinator) -> Result<(), Unwelcome> {
        let mut line = serde_json::to_vec(message).unwrap_or_default();
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(|_| Unwelcome::Silently)
    }

    async fn hear(&mut self) -> Result<FromAgent, Unwelcome> {
        loop {
            if let Some(line) = self.frames.next_line().map_err(|_| Unwelcome::Silently)? {
                return serde_json::from_slice(line).map_err(|_| Unwelcome::Silently);
            }
            let read = self.stream.read_buf(self.frames.space()).await;
            if !matches!(read, Ok(1..)) {
                return Err(Unwelcome::Silently);
            }
        }
    }
}

fn closing(how: &str, said_gone: bool, lease: &NodeLease) -> Closing {
    Closing { how: how.to_owned(), said_gone, over_at: over_at(lease) }
}

/// Leases count from the first use of this.
fn since_start() -> Duration {
    start().elapsed()
}

fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn over_at(lease: &NodeLease) -> Instant {
    start() + lease.over_at()
}
