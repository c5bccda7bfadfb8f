//! The frame of a chart: caption, legend, axes, what a screen reader says, and the numbers as a table.
//!
//! The plot is a drawing of its own that is stretched to the width there is; text stands beside it at
//! shares of the width, so it keeps its size. Lines keep their width by `vector-effect` (`page.css`).

use maud::{Markup, html};

use super::axis::Tick;
use super::table::percent;

/// Units of a plot from left to right.
pub const WIDTH: f64 = 100_000.0;
/// Units of a plot from top to bottom, where it is not a number of rows.
pub const HEIGHT: f64 = 1_000.0;

/// A drawing with axes.
pub struct Chart<'a> {
    /// Id, unique on the page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What there is to see in it, in a sentence or two.
    pub description: &'a str,
    /// Pixels.
    pub height: f64,
    /// Units from top to bottom.
    pub units: f64,
    /// Ticks below.
    pub x: &'a [Tick],
    /// Ticks at the left, from the bottom up.
    pub y: &'a [Tick],
    /// What is drawn, in units of the plot.
    pub plot: &'a Markup,
    /// Text in the plot at shares of its width.
    pub notes: &'a [Note],
    /// Whether rows are named at the left, which needs more room.
    pub named_rows: bool,
}

/// A vertical line with a word.
pub struct Note {
    /// Share of the width.
    pub at: f64,
    /// The word.
    pub label: String,
}

/// The drawing.
pub fn chart(chart: &Chart<'_>) -> Markup {
    let (title, description) = (format!("{}-title", chart.id), format!("{}-description", chart.id));
    html! {
        div class=(if chart.named_rows { "canvas named" } else { "canvas" }) {
            svg.chart role="img" aria-labelledby={ (title) " " (description) } height=(format!("{:.0}", chart.height)) {
                title id=(title) { (chart.title) }
                desc id=(description) { (chart.description) }
                @if !chart.named_rows {
                    @for tick in chart.y { line.grid x2="100%" y1=(percent(1.0 - tick.at)) y2=(percent(1.0 - tick.at)) {} }
                }
                svg.plot width="100%" height="100%" preserveAspectRatio="none"
                    viewBox=(format!("0 0 {WIDTH:.0} {:.0}", chart.units)) { (chart.plot) }
                @for tick in chart.y {
                    text.y x="-7" y=(percent(1.0 - tick.at)) dy="0.35em" { (tick.label) }
                }
                g.x { (x_ticks(chart.x)) }
                @for (number, note) in chart.notes.iter().enumerate() { (vertical(note, number)) }
            }
        }
    }
}

/// Every other tick gives way where the page is narrow.
fn x_ticks(ticks: &[Tick]) -> Markup {
    let crowded = ticks.len() > 4;
    html! {
        @for (number, tick) in ticks.iter().enumerate() {
            g class=[(crowded && number % 2 == 1).then_some("minor")] {
                line.tick x1=(percent(tick.at)) x2=(percent(tick.at)) y1="100%" y2="100%" {}
                text x=(percent(tick.at)) y="100%" dy="17" text-anchor=(anchor(tick.at)) { (tick.label) }
            }
        }
    }
}

/// Words of neighbours stand one below the other.
fn vertical(note: &Note, number: usize) -> Markup {
    let (side, shift) = if note.at > 0.6 { ("end", "-4") } else { ("start", "4") };
    html! {
        line.note x1=(percent(note.at)) x2=(percent(note.at)) y2="100%" {}
        text.note x=(percent(note.at)) dx=(shift) y=(11 + number % 3 * 14) text-anchor=(side) { (note.label) }
    }
}

fn anchor(at: f64) -> &'static str {
    match at {
        at if at < 0.03 => "start",
        at if at > 0.97 => "end",
        _ => "middle",
    }
}

/// A line of a legend: the class of its swatch, and its words.
pub type Key<'a> = (&'a str, &'a str);

/// Charts with their caption (none where the heading above says it), legend, and numbers.
pub fn figure(caption: &str, keys: &[Key<'_>], charts: &Markup, numbers: &Markup) -> Markup {
    html! {
        figure { (figure_body(caption, keys, charts, numbers)) }
    }
}

/// The same over time: the script lets the reader zoom into it, and says what is under the pointer.
pub fn time_figure(
    span_s: f64,
    caption: &str,
    keys: &[Key<'_>],
    charts: &Markup,
    numbers: &Markup,
) -> Markup {
    html! {
        figure.time data-span=(super::table::number(span_s)) { (figure_body(caption, keys, charts, numbers)) }
    }
}

fn figure_body(caption: &str, keys: &[Key<'_>], charts: &Markup, numbers: &Markup) -> Markup {
    html! {
        @if !caption.is_empty() { figcaption { (caption) } }
        @if !keys.is_empty() {
            ul.legend { @for (class, words) in keys { li {
                svg.swatch aria-hidden="true" width="18" height="12" { (swatch(class)) }
                (words)
            } } }
        }
        (charts)
        details.numbers { summary { "The numbers" } (numbers) }
    }
}

/// As it looks in the plot; bars of workers have shapes, so that colour is not all that tells them apart.
fn swatch(class: &str) -> Markup {
    let line = class.contains("line");
    let (top, bottom) = super::workers::shape(class);
    html! {
        @if line { line class=(class) x1="0" x2="18" y1="6" y2="6" {} }
        @else { rect class=(class) width="18" y=(format!("{:.1}", top * 0.12)) height=(format!("{:.1}", (bottom - top) * 0.12)) {} }
    }
}

/// `M x y h w …`: an outline of steps of equal width, closed at the bottom if it is an area.
pub fn steps(values: &[f64], largest: f64, area: bool) -> String {
    use std::fmt::Write as _;
    let width = WIDTH / values.len().max(1) as f64;
    let height = |value: f64| HEIGHT * (1.0 - (value / largest).clamp(0.0, 1.0));
    let mut path = String::new();
    // Writing to a string cannot fail.
    let _ =
        write!(path, "M0 {:.0}", if area { HEIGHT } else { height(values.first().copied().unwrap_or(0.0)) });
    let mut last = None;
    for (number, &value) in values.iter().enumerate() {
        let level = format!("{:.0}", height(value));
        if last.as_ref() != Some(&level) {
            let _ = write!(path, "H{:.0}V{level}", width * number as f64);
        }
        last = Some(level);
    }
    let _ = write!(path, "H{WIDTH:.0}");
    if area {
        let _ = write!(path, "V{HEIGHT:.0}Z");
    }
    path
}

/// A line through points: shares of the width, and of the height from the bottom.
pub fn line(points: &[(f64, f64)]) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for (number, (x, y)) in points.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ =
            write!(path, "{}{:.0} {:.0}", if number == 0 { 'M' } else { 'L' }, x * WIDTH, (1.0 - y) * HEIGHT);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_one_height_are_one_line() {
        assert_eq!(steps(&[2.0, 2.0, 4.0, 0.0], 4.0, true), "M0 1000H0V500H50000V0H75000V1000H100000V1000Z");
        assert_eq!(steps(&[1.0, 1.0], 1.0, false), "M0 0H0V0H100000");
    }
}
