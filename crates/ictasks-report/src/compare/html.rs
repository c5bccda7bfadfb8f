//! A comparison as a page of HTML: one file, no script, no outside load.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::outline::{self, Cell, Grid, Section};
use crate::harmless;

/// Renders it.
pub fn html(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text, comparison);
    text
}

fn write_page(page: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let title = outline::TITLE;
    writeln!(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    writeln!(page, "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">")?;
    writeln!(
        page,
        "<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>"
    )?;
    let verdict = &comparison.verdict;
    let mood = outline::mood(verdict.mood);
    writeln!(page, "<p><strong>{mood}</strong>: {}</p>", escaped(&verdict.sentence))?;
    outline::sections(comparison).iter().try_for_each(|section| write_section(page, section))?;
    let made_at = comparison.made_at.for_people();
    writeln!(page, "<footer>ictasks {}, {made_at}</footer>", escaped(&comparison.ictasks_version))?;
    writeln!(page, "</main>\n</body>\n</html>")
}

fn write_section(page: &mut String, section: &Section) -> std::fmt::Result {
    writeln!(page, "<section>\n<h2>{}</h2>", escaped(&section.title))?;
    for line in &section.lines {
        writeln!(page, "<p>{}</p>", escaped(line))?;
    }
    if let Some(grid) = &section.grid {
        write_grid(page, grid)?;
    }
    writeln!(page, "</section>")
}

fn write_grid(page: &mut String, grid: &Grid) -> std::fmt::Result {
    write!(page, "<div class=\"table\"><table>\n<thead><tr>")?;
    for (at, name) in grid.header.iter().enumerate() {
        let is_figure = grid.rows.iter().any(|row| matches!(row[at], Cell::Figure(_)));
        let class = if is_figure { " class=\"figure\"" } else { "" };
        // A corner without a name is no heading.
        match name.is_empty() {
            true => write!(page, "<td></td>")?,
            false => write!(page, "<th scope=\"col\"{class}>{}</th>", escaped(name))?,
        }
    }
    writeln!(page, "</tr></thead>\n<tbody>")?;
    for row in &grid.rows {
        write!(page, "<tr>")?;
        for cell in row {
            let text = escaped(cell.raw());
            match cell {
                Cell::Words(_) => write!(page, "<td>{text}</td>")?,
                Cell::Verbatim(_) => write!(page, "<td><code>{text}</code></td>")?,
                Cell::Figure(_) => write!(page, "<td class=\"figure\">{text}</td>")?,
            }
        }
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>")
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in harmless::one_line(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
td code { overflow-wrap: anywhere; }
.figure { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
footer { margin-top: 2rem; opacity: .7; }
";
