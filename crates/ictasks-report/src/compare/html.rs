//! A comparison as a page of the report's look: one file, no outside load.

use maud::{Markup, html};

use super::comparison::Comparison;
use super::parts::{Cell, Grid};
use super::{outline, parts};
use crate::html::overview::{made_by, verdict};
use crate::html::table::{Column, figure, still_table, table};
use crate::html::{Section, page, words};

/// Renders it.
pub fn html(comparison: &Comparison) -> String {
    let header = html! { header { h1 { (outline::TITLE) } (verdict(&comparison.verdict)) } };
    let sections: Vec<Section> = outline::sections(comparison).iter().map(section).collect();
    let footer = made_by(&comparison.ictasks_version, comparison.made_at);
    page(outline::TITLE, &header, &sections, &footer)
}

fn section(section: &parts::Section) -> Section {
    let body = html! {
        @if let Some(count) = &section.count { p { (count) } }
        @for line in &section.lines { p { (words::line(line)) } }
        @if let Some(grid) = &section.grid { (grid_of(section.title, grid)) }
    };
    Section { id: section.id, title: section.title, body }
}

fn grid_of(name: &str, grid: &Grid) -> Markup {
    let is_figure = |at: usize| grid.rows.iter().any(|row| matches!(row[at], Cell::Figure(..)));
    let columns = grid.header.iter().enumerate().map(|(at, head)| Column { head, figures: is_figure(at) });
    let rows = html! {
        @for row in &grid.rows {
            tr {
                @for cell in row {
                    @match cell {
                        Cell::Words(text) => td { (words::line(text)) },
                        Cell::Verbatim(text) => td { (words::folded(text)) },
                        Cell::Figure(text, Some(value)) => (figure(*value, text)),
                        Cell::Figure(text, None) => td.figures { (words::line(text)) },
                    }
                }
            }
        }
    };
    let columns: Vec<Column> = columns.collect();
    if grid.of_tasks { table(name, &columns, &rows) } else { still_table(name, &columns, &rows) }
}
