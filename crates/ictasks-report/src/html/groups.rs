//! Durations and memory by group: a box each, on one axis, beside the figures.

use maud::{Markup, html};

use super::Section;
use super::axis::{LogAxis, Unit};
use super::table::{self, percent};
use super::words;
use crate::findings::{Distribution, Findings, Group};
use crate::units;

/// Groups by core time.
pub fn section(findings: &Findings) -> Option<Section> {
    let groups = &findings.groups;
    if groups.is_empty() {
        return None;
    }
    let axis = LogAxis::over(groups.iter().flat_map(|group| extremes(&group.wall_s)), Unit::Seconds);
    let listed = groups.len();
    let body = html! {
        p {
            "Attempts by " (grouping(&findings.grouped_by)) ", the group that held most core time first. "
            @if axis.is_some() { (box_words()) }
            @if findings.group_count > listed {
                " The " (listed) " largest of " (units::counted(findings.group_count as i64, "group")) "."
            }
        }
        (group_table(groups, axis.as_ref()))
    };
    Some(Section { id: "groups", title: "Groups of attempts", body })
}

/// How to read a box.
pub const fn box_words() -> &'static str {
    "The box holds the middle half of the attempts, its line is the median, the thin line reaches from 5 % to 95 %, dots \
     are the smallest and the largest; the axis is logarithmic."
}

fn grouping(column: &str) -> String {
    match column {
        "program" => "the program that they ran".to_owned(),
        "template" => "their command without its numbers".to_owned(),
        column => format!("column {}", words::line(column)),
    }
}

fn group_table(groups: &[Group], axis: Option<&LogAxis>) -> Markup {
    let mut so_far = 0.0;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Groups of attempts" {
            table.data {
                caption.unseen { "Groups of attempts" }
                thead { tr {
                    th scope="col" { "group" }
                    th.figures scope="col" { "attempts" }
                    th.figures scope="col" { "failed" }
                    th.figures scope="col" { "core time" }
                    th.figures scope="col" { "share" }
                    th.figures scope="col" { "with those above" }
                    th.figures scope="col" { "median" }
                    th.figures scope="col" { "95 % have at most" }
                    th.figures scope="col" { "longest" }
                    @if let Some(axis) = axis { th.boxes scope="col" data-still { "durations" (ruler(axis)) } }
                } }
                tbody { @for group in groups {
                    @let () = so_far += group.core_fraction;
                    tr {
                        td.name { (words::folded(&group.name)) }
                        (table::count(group.attempt_count))
                        (table::count(group.failed_count))
                        (table::figure(group.core_s, &units::core_time(group.core_s)))
                        (table::figure(group.core_fraction, &units::percent(group.core_fraction)))
                        (table::figure(so_far, &units::percent(so_far.min(1.0))))
                        (quantile_cell(&group.wall_s, 0.5, Unit::Seconds))
                        (quantile_cell(&group.wall_s, 0.95, Unit::Seconds))
                        (quantile_cell(&group.wall_s, 1.0, Unit::Seconds))
                        @if let Some(axis) = axis { td.boxes { (box_plot(&group.wall_s, axis)) } }
                    }
                } }
            }
        }
    }
}

/// Memory by group; none where it was not measured.
pub fn memory(groups: &[Group], asked: Option<i64>) -> Option<Markup> {
    let measured: Vec<&Group> =
        groups.iter().filter(|group| !group.memory_bytes.quantiles.is_empty()).collect();
    let ends = measured
        .iter()
        .flat_map(|group| extremes(&group.memory_bytes))
        .chain(asked.map(|asked| asked as f64));
    let axis = LogAxis::over(ends, Unit::Bytes).filter(|_| measured.len() > 1)?;
    Some(html! {
        h3 { "By group" }
        p { (box_words()) @if asked.is_some() { " The vertical line is what was asked for." } }
        div.scroll tabindex="0" role="region" aria-label="Memory by group" {
            table.data {
                caption.unseen { "Memory by group" }
                thead { tr {
                    th scope="col" { "group" }
                    th.figures scope="col" { "attempts" }
                    th.figures scope="col" { "median" }
                    th.figures scope="col" { "95 % have at most" }
                    th.figures scope="col" { "largest" }
                    th.boxes scope="col" data-still { "largest memory of attempts" (ruler(&axis)) }
                } }
                tbody { @for group in measured { tr {
                    td.name { (words::folded(&group.name)) }
                    (table::count(group.attempt_count))
                    (quantile_cell(&group.memory_bytes, 0.5, Unit::Bytes))
                    (quantile_cell(&group.memory_bytes, 0.95, Unit::Bytes))
                    (quantile_cell(&group.memory_bytes, 1.0, Unit::Bytes))
                    td.boxes { (box_with_mark(&group.memory_bytes, &axis, asked.map(|asked| asked as f64))) }
                } } }
            }
        }
    })
}

fn extremes(values: &Distribution) -> impl Iterator<Item = f64> {
    [values.quantiles.first(), values.quantiles.last()].into_iter().flatten().map(|quantile| quantile.value)
}

fn quantile(values: &Distribution, fraction: f64) -> Option<f64> {
    values
        .quantiles
        .iter()
        .find(|quantile| (quantile.fraction - fraction).abs() < 1e-9)
        .map(|quantile| quantile.value)
}

fn quantile_cell(values: &Distribution, fraction: f64, unit: Unit) -> Markup {
    table::figure_or_none(quantile(values, fraction), |value| unit.show(value))
}

fn ruler(axis: &LogAxis) -> Markup {
    html! {
        svg.ruler aria-hidden="true" width="100%" height="14" {
            @for tick in axis.ticks(3) {
                line x1=(percent(tick.at)) x2=(percent(tick.at)) y1="10" y2="14" {}
                text x=(percent(tick.at)) y="9"
                    text-anchor=(if tick.at < 0.1 { "start" } else if tick.at > 0.9 { "end" } else { "middle" }) { (tick.label) }
            }
        }
    }
}

fn box_plot(values: &Distribution, axis: &LogAxis) -> Markup {
    box_with_mark(values, axis, None)
}

fn box_with_mark(values: &Distribution, axis: &LogAxis, mark: Option<f64>) -> Markup {
    let at = |fraction: f64| quantile(values, fraction).map(|value| axis.at(value));
    html! {
        svg.box aria-hidden="true" width="100%" height="16" {
            @if let (Some(low), Some(high)) = (at(0.05), at(0.95)) {
                line.whisker x1=(percent(low)) x2=(percent(high)) y1="8" y2="8" {}
            }
            @if let (Some(low), Some(high)) = (at(0.25), at(0.75)) {
                rect.middle x=(percent(low)) width=(percent(high - low)) y="2" height="12" {}
            }
            @if let Some(median) = at(0.5) { line.median x1=(percent(median)) x2=(percent(median)) y1="1" y2="15" {} }
            @for end in [at(0.0), at(1.0)].into_iter().flatten() { circle cx=(percent(end)) cy="8" r="2" {} }
            @if let Some(mark) = mark { line.mark x1=(percent(axis.at(mark))) x2=(percent(axis.at(mark))) y2="16" {} }
        }
    }
}
