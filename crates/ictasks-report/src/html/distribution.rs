//! How values spread: a histogram, shares up to each value, and whose the quantiles are.

use maud::{Markup, html};

use super::Section;
use super::axis::{self, LogAxis, Unit};
use super::chart::{self, Chart, HEIGHT, Key, Note, WIDTH, chart};
use super::table::{self, figures, text};
use super::words;
use crate::findings::{Bin, Distribution, Findings};
use crate::units;

/// A value to mark on the axis.
pub type Mark = (f64, &'static str);

/// Durations of attempts.
pub fn durations(findings: &Findings) -> Option<Section> {
    let durations = &findings.durations;
    if durations.count == 0 || durations.quantiles.is_empty() {
        return None;
    }
    let body = html! {
        (whole("durations", "Durations of attempts", "duration", durations, Unit::Seconds, &[]))
        @if let Some(shares) = shares(durations) { (shares) }
    };
    Some(Section { id: "durations", title: "How long attempts ran", body })
}

/// The quantiles, and the histogram beside them.
pub fn whole(
    id: &str,
    title: &str,
    value: &'static str,
    values: &Distribution,
    unit: Unit,
    marks: &[Mark],
) -> Markup {
    html! {
        div.pair {
            (quantiles(title, values, unit, value))
            @if let Some(histogram) = histogram(id, title, values, unit, marks) { (histogram) }
        }
    }
}

/// The quantiles, in words, and the task that has each.
fn quantiles(name: &str, distribution: &Distribution, unit: Unit, value: &'static str) -> Markup {
    let named = distribution.quantiles.iter().any(|quantile| quantile.task_id.is_some());
    let mut columns = vec![text("of the attempts"), figures(value)];
    if named {
        columns.push(text("for instance task"));
    }
    let rows = html! { @for quantile in &distribution.quantiles {
        tr {
            td data-v=(table::number(quantile.fraction)) { (share_words(quantile.fraction)) }
            (table::figure(quantile.value, &unit.show(quantile.value)))
            @if named { td { @if let Some(id) = &quantile.task_id { code { (words::narrow(id, words::ID_LIMIT)) } } } }
        }
    } };
    html! { div.narrow { (table::table(name, &columns, &rows)) } }
}

fn share_words(fraction: f64) -> String {
    match fraction {
        f if f <= 0.0 => "smallest".to_owned(),
        f if f >= 1.0 => "largest".to_owned(),
        0.5 => "half have at most".to_owned(),
        f => format!("{:.0} % have at most", f * 100.0),
    }
}

/// The bins as bars on a logarithmic axis, with marks; none where all values are alike.
fn histogram(id: &str, title: &str, values: &Distribution, unit: Unit, marks: &[Mark]) -> Option<Markup> {
    let bins = &values.histogram;
    let ends = bins.iter().flat_map(|bin| [bin.from, bin.to]).chain(marks.iter().map(|mark| mark.0));
    let axis = LogAxis::over(ends, unit).filter(|_| bins.len() > 1)?;
    let largest = bins.iter().map(|bin| bin.count).max().unwrap_or(0) as f64;
    let (end, y) = axis::from_zero(largest);
    let plot = html! { path.accent d=(bars(bins, &axis, end)) {} };
    let notes: Vec<Note> =
        marks.iter().map(|(value, label)| Note { at: axis.at(*value), label: (*label).to_owned() }).collect();
    let description = format!("{}. {}", units::counted(values.count, "attempt"), spread(values, unit));
    let drawing = chart(&Chart {
        id: &format!("{id}-histogram"),
        title,
        description: &description,
        height: 170.0,
        units: HEIGHT,
        x: &axis.ticks(7),
        y: &y,
        plot: &plot,
        notes: &notes,
        named_rows: false,
    });
    let caption = format!("{title}: how many (logarithmic axis)");
    Some(chart::figure(&caption, &[], &drawing, &numbers(title, bins, unit)))
}

fn spread(values: &Distribution, unit: Unit) -> String {
    let at =
        |fraction: f64| values.quantiles.iter().find(|quantile| (quantile.fraction - fraction).abs() < 1e-9);
    match (at(0.5), at(0.95)) {
        (Some(median), Some(most)) => {
            format!("Half have at most {}, 95 % at most {}.", unit.show(median.value), unit.show(most.value))
        }
        _ => String::new(),
    }
}

fn bars(bins: &[Bin], axis: &LogAxis, largest: f64) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (from, to) = (axis.at(bin.from) * WIDTH, axis.at(bin.to) * WIDTH);
        let gap = (to - from) * 0.05;
        let height = bin.count as f64 / largest * HEIGHT;
        // Writing to a string cannot fail.
        let _ = write!(
            path,
            "M{:.0} {HEIGHT:.0}V{:.1}H{:.0}V{HEIGHT:.0}z",
            from + gap,
            HEIGHT - height,
            to - gap
        );
    }
    path
}

fn numbers(title: &str, bins: &[Bin], unit: Unit) -> Markup {
    let attempts = bins.iter().map(|bin| bin.count).sum::<i64>().max(1) as f64;
    let columns = [figures("from"), figures("to"), figures("attempts"), figures("share up to here")];
    let mut seen = 0;
    let rows = html! { @for bin in bins {
        @let () = seen += bin.count;
        tr {
            (table::figure(bin.from, &unit.show(bin.from)))
            (table::figure(bin.to, &unit.show(bin.to)))
            (table::count(bin.count))
            (table::figure(seen as f64 / attempts, &units::percent(seen as f64 / attempts)))
        }
    } };
    table::table(title, &columns, &rows)
}

/// Shares of attempts and of their time that are up to each duration.
fn shares(values: &Distribution) -> Option<Markup> {
    let bins = &values.histogram;
    let axis = LogAxis::over(bins.iter().flat_map(|bin| [bin.from, bin.to]), Unit::Seconds)
        .filter(|_| bins.len() > 1)?;
    let attempts = running(bins, |bin| bin.count as f64)?;
    let time = running(bins, |bin| bin.sum);
    let curve = |shares: &[f64]| -> String {
        let start = std::iter::once((axis.at(bins[0].from), 0.0));
        let points: Vec<(f64, f64)> =
            start.chain(bins.iter().zip(shares).map(|(bin, share)| (axis.at(bin.to), *share))).collect();
        chart::line(&points)
    };
    let plot = html! {
        path.line.accent d=(curve(&attempts)) {}
        @if let Some(time) = &time { path.line.second d=(curve(time)) {} }
    };
    let mut keys: Vec<Key<'_>> = vec![("line accent", "share of the attempts")];
    if time.is_some() {
        keys.push(("line second", "share of their time, all attempts together (dashed)"));
    }
    let description = time.as_ref().and_then(|time| half_time(bins, &attempts, time)).unwrap_or_default();
    let drawing = chart(&Chart {
        id: "duration-shares",
        title: "Share of the attempts, and of their time, up to each duration",
        description: &description,
        height: 200.0,
        units: HEIGHT,
        x: &axis.ticks(7),
        y: &axis::share(),
        plot: &plot,
        notes: &[],
        named_rows: false,
    });
    let table = share_table(bins, &attempts, time.as_deref());
    let figure = chart::figure(
        "Up to which duration most attempts, and most of the time, lie",
        &keys,
        &drawing,
        &table,
    );
    Some(html! { @if !description.is_empty() { p { (description) } } (figure) })
}

/// Running sums as shares of the whole; none where there is nothing to share.
fn running(bins: &[Bin], value: impl Fn(&Bin) -> f64) -> Option<Vec<f64>> {
    let all: f64 = bins.iter().map(&value).sum();
    let mut sum = 0.0;
    let shares = bins.iter().map(|bin| {
        sum += value(bin);
        sum / all
    });
    (all > 0.0).then(|| shares.collect())
}

/// How few attempts take half of the time, as far as the bins tell.
fn half_time(bins: &[Bin], attempts: &[f64], time: &[f64]) -> Option<String> {
    let number = time.iter().rposition(|share| *share <= 0.5)?;
    let (longer, share) = (1.0 - attempts[number], 1.0 - time[number]);
    let above = Unit::Seconds.show(bins[number].to);
    Some(format!(
        "Attempts longer than {above} are {} of all, and take {} of the time.",
        units::percent(longer),
        units::percent(share)
    ))
}

fn share_table(bins: &[Bin], attempts: &[f64], time: Option<&[f64]>) -> Markup {
    let columns = [figures("up to"), figures("share of the attempts"), figures("share of their time")];
    let rows = html! { @for (number, bin) in bins.iter().enumerate() {
        tr {
            (table::figure(bin.to, &units::duration(bin.to)))
            (table::figure(attempts[number], &units::percent(attempts[number])))
            (table::figure_or_none(time.map(|time| time[number]), units::percent))
        }
    } };
    table::table("Share of attempts and of their time up to each duration", &columns, &rows)
}
