//! What a page of a comparison is made of: sections of lines and tables.

use crate::units;

/// A part of the page.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// How many tasks it is about.
    pub(super) count: Option<String>,
    /// Sentences of ours; run directories may stand in them.
    pub(super) lines: Vec<String>,
    pub(super) grid: Option<Grid>,
}

impl Section {
    pub(super) fn new(id: &'static str, title: &'static str, lines: Vec<String>, grid: Option<Grid>) -> Self {
        Self { id, title, count: None, lines, grid }
    }

    /// Title and count.
    pub(super) fn heading(&self) -> String {
        match &self.count {
            Some(count) => format!("{}: {count}", self.title),
            None => self.title.to_owned(),
        }
    }
}

/// A table.
pub(super) struct Grid {
    pub(super) header: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Columns at the end that a narrow page goes without.
    pub(super) wide_columns: usize,
    /// Whether its rows are tasks, which can stand in any order.
    pub(super) of_tasks: bool,
}

/// What stands in a table.
pub(super) enum Cell {
    /// Words of ours.
    Words(String),
    /// Text of tasks, plans or machines.
    Verbatim(String),
    /// A figure, as it is shown, and by what it is sorted; stands at the right.
    Figure(String, Option<f64>),
}

impl Cell {
    /// As it is: not yet harmless.
    pub(super) fn raw(&self) -> &str {
        match self {
            Self::Words(text) | Self::Verbatim(text) | Self::Figure(text, _) => text,
        }
    }

    /// A figure that may be unknown.
    pub(super) fn figure(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        Self::Figure(value.map_or_else(|| "-".to_owned(), show), value)
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn count(count: i64) -> Self {
        Self::Figure(units::count(count), Some(count as f64))
    }

    /// B by A.
    pub(super) fn ratio(ratio: Option<f64>) -> Self {
        Self::figure(ratio, |ratio| format!("{ratio:.2}"))
    }
}
