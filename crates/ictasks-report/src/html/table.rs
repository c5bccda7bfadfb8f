//! Tables: in a box of their own that scrolls, so that a wide one does not make the page wide.

use maud::{Markup, html};

/// A column.
pub struct Column {
    /// Its heading.
    pub head: &'static str,
    /// Whether it holds figures, which stand to the right.
    pub figures: bool,
}

/// A column of text.
pub const fn text(head: &'static str) -> Column {
    Column { head, figures: false }
}

/// A column of figures.
pub const fn figures(head: &'static str) -> Column {
    Column { head, figures: true }
}

/// A table; `name` tells those who do not see it what it is. The script makes it sortable and gives
/// longer ones a filter.
pub fn table(name: &str, columns: &[Column], rows: &Markup) -> Markup {
    table_with_id(None, name, columns, rows)
}

/// The same, with an id.
pub fn table_with_id(id: Option<&str>, name: &str, columns: &[Column], rows: &Markup) -> Markup {
    boxed(id, false, name, columns, rows)
}

/// A table whose rows have an order of their own: the script leaves it alone.
pub fn still_table(name: &str, columns: &[Column], rows: &Markup) -> Markup {
    boxed(None, true, name, columns, rows)
}

fn boxed(id: Option<&str>, is_still: bool, name: &str, columns: &[Column], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table.data id=[id] data-still[is_still] {
                caption.unseen { (name) }
                thead { tr { @for column in columns {
                    th scope="col" class=[column.figures.then_some("figures")] { (column.head) }
                } } }
                tbody { (rows) }
            }
        }
    }
}

/// A cell with a figure: what is shown, and the number by which it is sorted.
pub fn figure(value: f64, shown: &str) -> Markup {
    html! { td.figures data-v=(number(value)) { (shown) } }
}

/// The same for what may be unknown.
pub fn figure_or_none(value: Option<f64>, show: impl Fn(f64) -> String) -> Markup {
    match value {
        Some(value) => figure(value, &show(value)),
        None => html! { td.figures data-v="" { "–" } },
    }
}

/// A cell with a count.
pub fn count(count: i64) -> Markup {
    html! { td.figures data-v=(count) { (crate::units::count(count)) } }
}

/// A number with at most six significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let digits = (5.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A bar in a cell, beside the figure it stands for.
pub fn bar(from: f64, to: f64, class: &str) -> Markup {
    html! {
        svg.bar aria-hidden="true" width="100%" height="12" {
            rect.track width="100%" height="12" {}
            rect class=(class) x=(percent(from)) width=(percent(to - from)) height="12" {}
        }
    }
}

/// A share as a length in SVG.
pub fn percent(share: f64) -> String {
    format!("{}%", number((share.clamp(0.0, 1.0) * 1e4).round() / 1e2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.5, 1234.0, 0.123_456_78, 1e9].map(number),
            ["0", "0.5", "1234", "0.123457", "1000000000"]
        );
        assert_eq!([0.333_33, 1.2, -1.0].map(percent), ["33.33%", "100%", "0%"]);
    }
}
