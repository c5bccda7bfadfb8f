//! run.json as a comparison reads it: a document of which any part may be missing.

use std::collections::HashSet;

use serde_json::Value;

use crate::error::ReportError;
use crate::moment::Moment;
use crate::run_document;
use crate::source::Source;

/// What run.json tells.
#[derive(Debug, Default)]
pub(super) struct Manifest(Value);

/// Reads run.json. If it is missing or damaged, `lacks` says so and everything in it is unknown.
///
/// # Errors
/// If it cannot be read, or a newer program wrote it.
pub(super) fn read(source: &Source, lacks: &mut Vec<String>) -> Result<Manifest, ReportError> {
    Ok(Manifest(run_document::read(source, lacks)?.unwrap_or_default()))
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

    /// The nodes of the last session, each once: one whose agent was replaced joined again.
    pub(super) fn last_hosts(&self) -> impl Iterator<Item = &Value> {
        let mut seen = HashSet::new();
        hosts_of(self.last_session()).filter(move |host| seen.insert(host["host"].as_str()))
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
