//! The tasks as JUnit XML, which continuous integration shows as tests: a suite for the run, a case
//! for each task with its last attempt.
//!
//! - `failure`: the task itself failed (outcomes `failed`, `signaled`, `timed_out`, `out_of_memory`);
//!   `error`: it could not be started, or was ended or lost; `skipped`: it never ran.
//! - `type` is the outcome, `message` says it in words, the text is the end of what the task printed.
//! - Elements and attributes are those of Jenkins' schema `junit-10.xsd`.
//!
//! XML 1.0 knows no control characters but tab and newlines, not even escaped: they are shown as
//! `\u{…}`, and escape sequences of terminals are dropped.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::written;
use crate::ending;
use crate::error::ReportError;
use crate::harmless;
use crate::moment::Moment;
use crate::rows::{Row, Rows};
use crate::run_file::RunFile;
use crate::source::{Source, Table};

const COLUMNS: [&str; 15] = [
    "task_id",
    "command",
    "outcome",
    "exit_code",
    "signal",
    "cause",
    "cause_evidence",
    "error",
    "timeout_s",
    "wall_s",
    "host",
    "stderr_tail",
    "stdout_tail",
    "started_at",
    "attempt",
];

/// What becomes of an outcome.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Kind {
    fn of(outcome: &str) -> Self {
        match outcome {
            "succeeded" => Self::Passed,
            "failed" | "signaled" | "timed_out" | "out_of_memory" => Self::Failure,
            "pending" => Self::Skipped,
            _ => Self::Error,
        }
    }
}

/// What a suite says of itself before its cases.
#[derive(Default)]
struct Sums {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    wall_s: f64,
    began_at: Option<Moment>,
}

impl Sums {
    fn read(source: &Source) -> Result<Self, ReportError> {
        let mut sums = Self::default();
        Rows::open(source, Table::Tasks, Some(&["outcome", "wall_s", "started_at"]))?.each(|row| {
            sums.tests += 1;
            match Kind::of(row.text("outcome").unwrap_or_default()) {
                Kind::Passed => {}
                Kind::Failure => sums.failures += 1,
                Kind::Error => sums.errors += 1,
                Kind::Skipped => sums.skipped += 1,
            }
            sums.wall_s += row.float("wall_s").unwrap_or(0.0);
            let started_at = row.time("started_at");
            sums.began_at = sums.began_at.into_iter().chain(started_at).min();
            Ok(())
        })?;
        Ok(sums)
    }

    fn attributes(&self, name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("name", attribute(name)),
            ("tests", self.tests.to_string()),
            ("failures", self.failures.to_string()),
            ("errors", self.errors.to_string()),
            ("skipped", self.skipped.to_string()),
            ("time", format!("{:.3}", self.wall_s)),
        ]
    }
}

/// Writes the tasks of a run as JUnit XML.
///
/// # Errors
/// The table cannot be read, or `out` cannot be written.
pub fn junit(source: &Source, out: &mut dyn Write) -> Result<(), ReportError> {
    let sums = Sums::read(source)?;
    let run = RunFile::read(source)?;
    let name = if run.job_id.is_empty() { "ictasks" } else { &run.job_id };
    let mut xml = Writer::new_with_indent(out, b' ', 1);
    written(begin(&mut xml, name, &run, &sums))?;
    let class = attribute(name);
    Rows::open(source, Table::Tasks, Some(&COLUMNS))?.each(|row| written(case(&mut xml, &class, row)))?;
    written(finish(&mut xml))
}

type Xml<'a> = Writer<&'a mut dyn Write>;

fn begin(xml: &mut Xml<'_>, name: &str, run: &RunFile, sums: &Sums) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    // Jenkins' schema has no `skipped` here.
    let of_all = sums.attributes(name).into_iter().filter(|(key, _)| *key != "skipped");
    start(xml, "testsuites", of_all)?;
    let began_at = run.sessions.first().map(|session| session.began_at).or(sums.began_at);
    let timestamp = began_at.map(|at| ("timestamp", at.rfc3339()));
    start(xml, "testsuite", sums.attributes(name).into_iter().chain(timestamp))?;
    let properties = [("run_id", &run.run_id), ("ictasks_version", &run.version)];
    if properties.iter().any(|(_, value)| !value.is_empty()) {
        start(xml, "properties", [])?;
        for (key, value) in properties.into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = attribute(value);
            xml.create_element("property")
                .with_attributes([("name", key), ("value", value.as_str())])
                .write_empty()?;
        }
        end(xml, "properties")?;
    }
    Ok(())
}

fn finish(xml: &mut Xml<'_>) -> io::Result<()> {
    end(xml, "testsuite")?;
    end(xml, "testsuites")?;
    xml.get_mut().write_all(b"\n")
}

fn case(xml: &mut Xml<'_>, class: &str, row: &Row<'_>) -> io::Result<()> {
    let outcome = row.text("outcome").unwrap_or("unknown");
    let kind = Kind::of(outcome);
    let attributes = [
        ("classname", class.to_owned()),
        ("name", attribute(row.text("task_id").unwrap_or_default())),
        ("time", format!("{:.3}", row.float("wall_s").unwrap_or(0.0))),
    ];
    if kind == Kind::Passed {
        let attributes = attributes.iter().map(|(key, value)| (*key, value.as_str()));
        return xml.create_element("testcase").with_attributes(attributes).write_empty().map(drop);
    }
    start(xml, "testcase", attributes)?;
    let message = attribute(&ending::words(row));
    let outcome = attribute(outcome);
    let element = match kind {
        Kind::Skipped => {
            xml.create_element("skipped").with_attribute(("message", message.as_str())).write_empty()
        }
        _ => {
            let name = if kind == Kind::Failure { "failure" } else { "error" };
            let attributes = [("message", message.as_str()), ("type", outcome.as_str())];
            let text = content(&description(row));
            xml.create_element(name).with_attributes(attributes).write_text_content(BytesText::new(&text))
        }
    };
    element?;
    for (name, column) in [("system-out", "stdout_tail"), ("system-err", "stderr_tail")] {
        if let Some(tail) = row.text(column).filter(|tail| !tail.is_empty()) {
            let tail = content(tail);
            xml.create_element(name).write_text_content(BytesText::new(&tail))?;
        }
    }
    end(xml, "testcase")
}

/// The text of a failure: what ran, where, and the end of what it printed.
fn description(row: &Row<'_>) -> String {
    let mut text = row.text("command").unwrap_or_default().to_owned();
    let attempt = row.integer("attempt").filter(|attempt| *attempt > 1);
    let place = row.text("host").map(|host| format!("on {host}"));
    let attempt = attempt.map(|attempt| format!("attempt {attempt}"));
    let facts: Vec<String> = attempt.into_iter().chain(place).collect();
    if !facts.is_empty() {
        text.push_str(&format!("\n{}", facts.join(" ")));
    }
    let mut tails = ["stderr_tail", "stdout_tail"].into_iter().filter_map(|column| row.text(column));
    if let Some(tail) = tails.find(|tail| !tail.trim().is_empty()) {
        text.push_str("\n\n");
        text.push_str(tail);
    }
    text
}

fn start(
    xml: &mut Xml<'_>,
    name: &str,
    attributes: impl IntoIterator<Item = (&'static str, String)>,
) -> io::Result<()> {
    let mut element = BytesStart::new(name);
    for (key, value) in attributes {
        element.push_attribute((key, value.as_str()));
    }
    xml.write_event(Event::Start(element))
}

fn end(xml: &mut Xml<'_>, name: &str) -> io::Result<()> {
    xml.write_event(Event::End(BytesEnd::new(name)))
}

/// One line of characters that XML 1.0 knows.
fn attribute(text: &str) -> String {
    legal(&harmless::one_line(text))
}

/// Lines of characters that XML 1.0 knows.
fn content(text: &str) -> String {
    legal(&harmless::lines(text))
}

/// Of what is harmless, only the last two characters of the first plane are no XML.
fn legal(text: &str) -> String {
    text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn tasks_of_a_small_run() {
        let run = specimen::run();
        let mut out = Vec::new();
        junit(&run.source, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_legal_xml(text in ".{0,40}|[\\x00-\\x20\u{fffe}\u{ffff}\u{202e}]{0,10}") {
            let is_legal = |character: char| {
                matches!(character, '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
            };
            proptest::prop_assert!(content(&text).chars().all(is_legal));
            proptest::prop_assert!(attribute(&text).chars().all(|character| is_legal(character) && character != '\n'));
        }
    }
}
