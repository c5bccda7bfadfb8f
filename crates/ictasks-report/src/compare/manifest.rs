//! run.json as a comparison reads it: a document of which any part may be missing.

use serde_json::Value;

use crate::error::ReportError;
use crate::moment::Moment;
use crate::source::Source;

/// Version of the record's format that is known here.
const KNOWN_FORMAT: u32 = 1;

/// What run.json tells.
#[derive(Debug, Default)]
pub(super) struct Manifest(Value);

/// Reads run.json. If it is missing or damaged, `lacks` says so and everything in it is unknown.
///
/// # Errors
/// If a newer program wrote it.
pub(super) fn read(source: &Source, lacks: &mut Vec<String>) -> Result<Manifest, ReportError> {
    let path = source.run_dir.join("run.json");
    let lack = |what: String| format!("run.json of `{}` {what}: what it would tell is unknown", source.name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            lacks.push(lack(format!("cannot be read ({error})")));
            return Ok(Manifest::default());
        }
    };
    // A crash may leave zeros behind the true end.
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let document: Value = match serde_json::from_slice(&bytes[..length]) {
        Ok(document) => document,
        Err(error) => {
            lacks.push(lack(format!("is damaged ({error})")));
            return Ok(Manifest::default());
        }
    };
    let found = document.get("format_version").and_then(Value::as_u64);
    match found.filter(|found| *found > KNOWN_FORMAT.into()) {
        Some(found) => {
            Err(ReportError::Newer { path, found, known: KNOWN_FORMAT, program: env!("CARGO_PKG_VERSION") })
        }
        None => Ok(Manifest(document)),
    }
}

impl Manifest {
    /// A member of the document.
    pub(super) fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// A text of the document; empty if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).as_str().unwrap_or_default().to_owned()
    }

    /// Its starts.
    pub(super) fn sessions(&self) -> &[Value] {
        self.get("sessions").as_array().map_or(&[], Vec::as_slice)
    }

    /// The last of them.
    pub(super) fn last_session(&self) -> &Value {
        self.sessions().last().unwrap_or(&Value::Null)
    }

    /// The nodes of all sessions.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Value> {
        self.sessions().iter().flat_map(hosts_of)
    }

    /// The nodes of the last session.
    pub(super) fn last_hosts(&self) -> impl Iterator<Item = &Value> {
        hosts_of(self.last_session())
    }
}

/// The nodes of a session.
fn hosts_of(session: &Value) -> impl Iterator<Item = &Value> {
    session["hosts"].as_array().into_iter().flatten()
}

/// An instant of the document.
pub(super) fn moment(value: &Value) -> Option<Moment> {
    value.as_str().and_then(Moment::parse)
}
