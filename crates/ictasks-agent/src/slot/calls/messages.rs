//! What a slot and its call server say to one another: JSON, one message a line, over a socket.
//!
//! The server begins with [`Reply::Hello`]; then each [`Request`] has one reply. With a call come descriptors
//! (`SCM_RIGHTS`): standard input, output and error, the gate, and `cgroup.procs` where there is a cgroup.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Version of these messages; a server of another version is refused.
pub const VERSION: u32 = 1;

/// The variable that tells a server the number of its socket's descriptor.
pub const SOCKET_VARIABLE: &str = "ICTASKS_CALL_SERVER_FD";

/// What the slot asks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request<'a> {
    /// Make this call.
    Call(Call<'a>),
}

/// One call.
#[derive(Debug, Serialize)]
pub struct Call<'a> {
    /// The file that says what is to be called, opaque to this program.
    pub payload: &'a Path,
    /// Its current directory.
    pub cwd: &'a Path,
    /// `NAME=VALUE`: what it has beside, or instead of, what the server was started with.
    pub environment: Vec<String>,
    /// For its `/proc/self/oom_score_adj`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Whether the fifth descriptor is there: the call is to be in that cgroup.
    pub has_cgroup: bool,
}

/// What the server answers.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is ready.
    Hello {
        /// [`VERSION`] of the server.
        version: u32,
    },
    /// The call was forked, is a child of the slot by now, and waits at its gate.
    Started {
        /// Its process.
        pid: i32,
        /// The monotonic clock just before the fork.
        forked_ns: i64,
        /// What the server held in memory then.
        rss_bytes: i64,
    },
    /// There was no process to be had.
    NotStarted {
        /// The kernel's reason.
        errno: i32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_documented() {
        let call = Call {
            payload: Path::new("/c/1"),
            cwd: Path::new("/run/task_1"),
            environment: vec!["A=1".to_owned()],
            oom_score_adj: Some(500),
            has_cgroup: false,
        };
        let line = r#"{"call":{"payload":"/c/1","cwd":"/run/task_1","environment":["A=1"],"oom_score_adj":500,"has_cgroup":false}}"#;
        assert_eq!(serde_json::to_string(&Request::Call(call)).unwrap(), line);
        let reply = |text| serde_json::from_str::<Reply>(text).unwrap();
        assert_eq!(reply(r#"{"hello":{"version":1,"pid":7}}"#), Reply::Hello { version: 1 });
        assert_eq!(
            reply(r#"{"started":{"pid":8,"forked_ns":5,"rss_bytes":9}}"#),
            Reply::Started { pid: 8, forked_ns: 5, rss_bytes: 9 }
        );
        assert_eq!(reply(r#"{"not_started":{"errno":11}}"#), Reply::NotStarted { errno: 11 });
    }
}
