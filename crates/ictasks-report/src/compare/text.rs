//! A comparison for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{
    Cell as TableCell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets,
};

use super::comparison::Comparison;
use super::outline;
use super::parts::{Cell, Grid, Section};
use crate::findings::Mood;
use crate::harmless;
use crate::text::in_ascii;

const BOLD: Style = Style::new().bold();
/// From this width on tables have all columns.
const WIDE: usize = 120;

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns of the page.
    pub width: usize,
    /// Whether characters beyond ASCII may be used.
    pub unicode: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { width: 80, unicode: true }
    }
}

/// Renders it. Headings have ANSI styles, which whoever writes to a file strips.
pub fn text(comparison: &Comparison, options: &TextOptions) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text, comparison, options);
    if options.unicode { text } else { in_ascii(&text) }
}

fn write_page(text: &mut String, comparison: &Comparison, options: &TextOptions) -> std::fmt::Result {
    let verdict = &comparison.verdict;
    let colour = match verdict.mood {
        Mood::Good => AnsiColor::Green,
        Mood::Mixed => AnsiColor::Yellow,
        Mood::Bad => AnsiColor::Red,
    };
    let style = colour.on_default().bold();
    let width = options.width.max(40);
    writeln!(text, "{style}{}{style:#}", outline::mood(verdict.mood))?;
    write_wrapped(text, &verdict.sentence, width)?;
    for section in outline::sections(comparison) {
        write_section(text, &section, width)?;
    }
    Ok(())
}

fn write_section(text: &mut String, section: &Section, width: usize) -> std::fmt::Result {
    writeln!(text, "\n{BOLD}{}{BOLD:#}", harmless::one_line(&section.heading()))?;
    for line in &section.lines {
        write_wrapped(text, &harmless::one_line(line), width)?;
    }
    match &section.grid {
        Some(grid) => write_grid(text, grid, width),
        None => Ok(()),
    }
}

/// Words in lines of this width, two columns in.
fn write_wrapped(text: &mut String, line: &str, width: usize) -> std::fmt::Result {
    let mut column = 0;
    for word in line.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        }
        let space = if column == 0 { "  " } else { " " };
        write!(text, "{space}{word}")?;
        column += space.len() + length;
    }
    writeln!(text)
}

fn write_grid(text: &mut String, grid: &Grid, width: usize) -> std::fmt::Result {
    let left_out = if width < WIDE { grid.wide_columns } else { 0 };
    let columns = grid.header.len() - left_out;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width - 1).unwrap_or(u16::MAX)).set_truncation_indicator("…");
    if grid.header.iter().any(|name| !name.is_empty()) {
        let aligned = grid.header.iter().take(columns).enumerate().map(|(at, name)| {
            let is_figure = grid.rows.iter().any(|row| matches!(row[at], Cell::Figure(..)));
            TableCell::new(name).set_alignment(alignment(is_figure))
        });
        table.set_header(aligned.collect::<Vec<_>>());
    }
    for row in &grid.rows {
        let cells = row.iter().take(columns).map(|cell| {
            let shown = harmless::one_line(cell.raw()).into_owned();
            TableCell::new(shown).set_alignment(alignment(matches!(cell, Cell::Figure(..))))
        });
        let mut row = Row::from(cells.collect::<Vec<_>>());
        row.max_height(1);
        table.add_row(row);
    }
    // Figures are shown whole; text takes what is left.
    for at in 0..columns {
        let is_figure = grid.rows.iter().any(|row| matches!(row[at], Cell::Figure(..)));
        if let Some(column) = table.column_mut(at).filter(|_| is_figure) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.lines().try_for_each(|line| writeln!(text, " {}", line.trim_end()))
}

const fn alignment(is_figure: bool) -> CellAlignment {
    if is_figure { CellAlignment::Right } else { CellAlignment::Left }
}
