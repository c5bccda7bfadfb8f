//! Findings as a page: one file that needs no network, no server and no scripts.
//!
//! - Every chart is SVG or a PNG within the page, drawn here, with a title, a description and its
//!   numbers as a table. Widths are shares, so that a chart fits a telephone and its text keeps its size.
//! - What came from a task goes through `words` (controls shown, length bounded) and through maud,
//!   which escapes whatever it is given.
//! - The content policy names this page's own style and script by their hashes and forbids all else.
//! - `page.js` sorts and filters tables and zooms into time; without it everything is there too.

mod advice;
mod axis;
mod chart;
mod cores;
mod definitions;
mod distribution;
#[cfg(test)]
mod document;
mod failures;
mod groups;
mod heat;
mod hosts;
pub(crate) mod overview;
mod provenance;
mod resources;
#[cfg(test)]
mod sample;
pub(crate) mod table;
mod task_tables;
#[cfg(test)]
mod tests;
mod time;
pub(crate) mod words;
mod workers;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::findings::Findings;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// A part of the page with a heading; parts for which there is no data are `None`.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: Markup,
}

/// The page.
pub fn html(findings: &Findings) -> String {
    let title = format!("{} – report of ictasks", words::line(&words::run_name(findings)));
    page(&title, &overview::header(findings), &sections(findings), &overview::footer(findings))
}

/// A page of this look: header, a list of the sections, the sections, footer.
pub(crate) fn page(title: &str, header: &Markup, sections: &[Section], footer: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header)
                nav aria-label="Sections" {
                    ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main {
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-heading" } {
                            h2 id={ (section.id) "-heading" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                (footer)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// In the order in which a reader asks: what to change, what failed and why, where the time went, what it
/// took, the single tasks, and what all of it rests on.
fn sections(findings: &Findings) -> Vec<Section> {
    let parts = [
        advice::section(findings),
        overview::outcomes(findings),
        failures::section(findings),
        time::section(findings),
        time::concurrency(findings),
        workers::section(findings),
        cores::parts(findings),
        distribution::durations(findings),
        groups::section(findings),
        resources::memory(findings),
        cores::efficiency(findings),
        resources::gpu(findings),
        resources::io(findings),
        hosts::section(findings),
        cores::more_cores(findings),
        task_tables::section(findings),
        provenance::section(findings),
        definitions::section(findings),
        provenance::lacks(findings),
    ];
    parts.into_iter().flatten().collect()
}

/// Nothing from outside, images only from within the page, one style and one script: these.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
