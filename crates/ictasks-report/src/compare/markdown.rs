//! A comparison in Markdown (GitHub's), for a merge request or a notebook.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::outline;
use super::parts::{Cell, Grid};
use crate::harmless;
use crate::markdown::escaped;

/// Renders it.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text, comparison);
    text
}

fn write_page(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(text, "# {}\n", outline::TITLE)?;
    let verdict = &comparison.verdict;
    writeln!(text, "**{}**: {}", outline::mood(verdict.mood), escaped(&verdict.sentence))?;
    for section in outline::sections(comparison) {
        writeln!(text, "\n## {}", escaped(&section.heading()))?;
        for line in &section.lines {
            writeln!(text, "\n{}", escaped(line))?;
        }
        if let Some(grid) = &section.grid {
            writeln!(text)?;
            write_grid(text, grid)?;
        }
    }
    Ok(())
}

fn write_grid(text: &mut String, grid: &Grid) -> std::fmt::Result {
    let is_figure = |at: usize| grid.rows.iter().any(|row| matches!(row[at], Cell::Figure(..)));
    let header: Vec<String> = grid.header.iter().map(|name| escaped(name)).collect();
    writeln!(text, "| {} |", header.join(" | "))?;
    let rules = (0..header.len()).map(|at| if is_figure(at) { "---:" } else { "---" });
    writeln!(text, "| {} |", rules.collect::<Vec<_>>().join(" | "))?;
    for row in &grid.rows {
        let cells = row.iter().map(|cell| match cell {
            Cell::Verbatim(text) => code(text),
            Cell::Words(text) | Cell::Figure(text, _) => escaped(text.trim_start()),
        });
        writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}

/// Text as code, between more backticks than it has in a row.
fn code(text: &str) -> String {
    let text = harmless::one_line(text);
    if text.trim().is_empty() {
        return String::new();
    }
    // A bar ends a cell even in code, and whether a backslash before it helps differs between readers.
    if text.contains('|') {
        return escaped(&text);
    }
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(code("a `b` c"), "``a `b` c``");
        assert_eq!(code("a \\| <b>"), "a \\\\\\| &lt;b&gt;");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code(" "), "");
        assert_eq!(code("two\nlines\u{1b}[31m"), "`two lines`");
    }
}
