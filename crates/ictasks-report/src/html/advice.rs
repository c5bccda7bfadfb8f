//! What to change.

use maud::html;

use super::{Section, words};
use crate::findings::Findings;
use crate::units;

/// The notes, the one that saves most first.
pub fn section(findings: &Findings) -> Option<Section> {
    let body = html! {
        ol.advice { @for note in &findings.advice { li {
            h3 { (words::sentence(&note.title)) }
            p {
                (words::sentence(&note.evidence))
                @if note.saves_core_s > 0.0 {
                    " " strong { "It would have saved up to " (units::core_time(note.saves_core_s)) "." }
                }
            }
            @if let Some(setting) = &note.setting { pre { code { (words::block(setting)) } } }
        } } }
    };
    (!findings.advice.is_empty()).then_some(Section { id: "advice", title: "What to change", body })
}
