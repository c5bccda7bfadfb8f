//! How an agent of another node joins: both sides prove that they know the secret of the run.
//!
//! The secret goes to the agent's standard input as part of the [`Invitation`]; it is in no command line,
//! no environment and no file. The agent connects; then, JSON lines of at most [`LONGEST_GREETING`] bytes:
//!
//! ```text
//! coordinator                                   agent
//! challenge {version, run_id, nonce}     --->
//!                                        <---   answer {version, nonce, proof}
//! welcome {proof}   or   refused         --->
//!                                        <---   facts {machine, clock, ...}   or   failed
//! setup {...}   or   refused, not_needed --->
//! ```
//!
//! A proof is an HMAC-SHA256 under the secret of the side's name, the run and both nonces, so neither
//! can be replayed or be reflected. After that come [`Request`](crate::protocol::Request)s and
//! [`Reply`](crate::protocol::Reply)s.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::column::Timestamp;
use crate::machine::Machine;
use crate::protocol::Setup;

/// No message before the setup is longer, bytes.
pub const LONGEST_GREETING: usize = 64 << 10;
/// No message after it is longer, bytes: a reply has less than 160 KiB, an order is longer only by its
/// command and environment.
pub const LONGEST_MESSAGE: usize = 16 << 20;

/// What an agent of another node reads from its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// [`PROTOCOL_VERSION`](crate::protocol::PROTOCOL_VERSION) of the coordinator.
    pub protocol_version: u32,
    /// The run.
    pub run_id: String,
    /// What both sides have to know.
    pub secret: Secret,
    /// Where the coordinator listens; tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// The run directory, which has to be visible on the node.
    pub run_dir: PathBuf,
    /// Whether the agent has to look for GPUs.
    pub looks_for_gpus: bool,
}

/// How the first line of an agent's standard input begins if it is an invitation, and no setup.
pub const INVITATION_PREFIX: &str = "{\"invitation\":";

/// An invitation as a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invited {
    /// How to join.
    pub invitation: Invitation,
}

/// A side of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that listens.
    Coordinator,
    /// The one that connects.
    Agent,
}

/// What the coordinator says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromCoordinator {
    /// Its first word.
    Challenge {
        /// Its version of the protocol.
        protocol_version: u32,
        /// The run.
        run_id: String,
        /// Never used before.
        nonce: Nonce,
    },
    /// The agent is accepted.
    Welcome {
        /// That the coordinator knows the secret.
        proof: Proof,
    },
    /// The agent is not wanted.
    Refused {
        /// Why, for people.
        message: String,
    },
    /// What the agent is to do.
    Setup(Box<Setup>),
    /// Nothing is left to do.
    NotNeeded,
}

/// What the agent says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromAgent {
    /// To the challenge.
    Answer {
        /// Its version of the protocol.
        protocol_version: u32,
        /// Never used before.
        nonce: Nonce,
        /// That the agent knows the secret.
        proof: Proof,
    },
    /// To the welcome.
    Facts(Box<Facts>),
    /// It cannot work there.
    Failed {
        /// The name of its host.
        host: String,
        /// Why.
        message: String,
    },
}

/// What an agent may use on its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What its processes may use.
    pub machine: Machine,
    /// Its clock when it sent this.
    pub at: Timestamp,
    /// Its place in a job of Slurm.
    pub slurm: Option<SlurmPlace>,
}

/// Where an agent is in a job of Slurm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlurmPlace {
    /// The node by the name that Slurm knows.
    pub node: String,
    /// The job.
    pub job_id: String,
    /// The step of the job.
    pub step_id: Option<String>,
}

/// What both sides of a run know, and nobody else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Hexadecimal);

/// A number that is used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(Hexadecimal);

/// That a side knows the secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(Hexadecimal);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// The kernel has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        random().map(Self)
    }

    /// That `side` knows it.
    pub fn proof(&self, side: Side, run_id: &str, challenge: &Nonce, answer: &Nonce) -> Proof {
        let bytes = self.mac(side, run_id, challenge, answer).finalize().into_bytes();
        Proof(Hexadecimal(bytes.into()))
    }

    /// Whether `side` knows it. Takes the same time whatever is wrong.
    pub fn accepts(
        &self,
        proof: &Proof,
        side: Side,
        run_id: &str,
        challenge: &Nonce,
        answer: &Nonce,
    ) -> bool {
        self.mac(side, run_id, challenge, answer).verify_slice(&proof.0.0).is_ok()
    }

    fn mac(&self, side: Side, run_id: &str, challenge: &Nonce, answer: &Nonce) -> Hmac<Sha256> {
        let name: &[u8] = match side {
            Side::Coordinator => b"ictasks coordinator\0",
            Side::Agent => b"ictasks agent\0",
        };
        // As long as a block of the hash: what is shorter would be filled with zeros.
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0.0);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        for part in [name, &challenge.0.0, &answer.0.0, run_id.as_bytes()] {
            mac.update(part);
        }
        mac
    }
}

/// The secret stays out of messages.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Nonce {
    /// A new one.
    ///
    /// # Errors
    /// The kernel has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        random().map(Self)
    }
}

fn random() -> std::io::Result<Hexadecimal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(Hexadecimal(bytes))
}

/// 32 bytes, in JSON as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hexadecimal([u8; 32]);

impl Serialize for Hexadecimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Hexadecimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        let digits = digits.filter(|digits| digits.len() == 64);
        let digits = digits.ok_or_else(|| serde::de::Error::custom("64 hexadecimal digits are expected"))?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> (Secret, Nonce, Nonce) {
        (Secret(Hexadecimal([7; 32])), Nonce(Hexadecimal([1; 32])), Nonce(Hexadecimal([2; 32])))
    }

    #[test]
    fn a_proof_holds_for_its_side_its_run_and_its_nonces_alone() {
        let (secret, challenge, answer) = known();
        let proof = secret.proof(Side::Agent, "run", &challenge, &answer);
        assert!(secret.accepts(&proof, Side::Agent, "run", &challenge, &answer));
        assert!(!secret.accepts(&proof, Side::Coordinator, "run", &challenge, &answer), "reflected");
        assert!(!secret.accepts(&proof, Side::Agent, "other", &challenge, &answer));
        assert!(!secret.accepts(&proof, Side::Agent, "run", &answer, &challenge));
        assert!(!secret.accepts(&proof, Side::Agent, "run", &Nonce::random().unwrap(), &answer), "replayed");
        let other = Secret::random().unwrap();
        assert!(!other.accepts(&proof, Side::Agent, "run", &challenge, &answer));
    }

    /// Computed with Python's hmac module.
    #[test]
    fn proofs_are_hmac_sha256() {
        let (secret, challenge, answer) = known();
        let proof = secret.proof(Side::Agent, "run", &challenge, &answer);
        let text = serde_json::to_string(&proof).unwrap();
        assert_eq!(text, "\"4856cbfaf58d679c976e570031445027343f540f04c27f06a64750fe914b10b3\"");
    }

    #[test]
    fn secrets_travel_as_text_and_do_not_show() {
        let secret = Secret::random().unwrap();
        let text = serde_json::to_string(&secret).unwrap();
        let back: Secret = serde_json::from_str(&text).unwrap();
        assert_eq!(back.0, secret.0);
        assert_eq!(format!("{secret:?}"), "Secret");
        for text in ["\"\"", "\"12\"", &format!("\"{}\"", "g".repeat(64)), &format!("\"{}\"", "é".repeat(64))]
        {
            assert!(serde_json::from_str::<Secret>(text).is_err());
        }
    }
}
