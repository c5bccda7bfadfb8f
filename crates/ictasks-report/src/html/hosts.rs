//! Hosts, beside one another.

use maud::{Markup, html};

use super::Section;
use super::table::{self, Column, figures, text};
use super::words;
use crate::findings::{Findings, HostFindings};
use crate::units;

/// Which columns have anything to say.
struct Shown {
    occupancy: bool,
    slowness: bool,
    efficiency: bool,
    lost: bool,
    memory: bool,
}

/// Hosts, the worst first; none of a run on one host.
pub fn section(findings: &Findings) -> Option<Section> {
    let hosts = &findings.hosts;
    // All figures of a single host are those of the run.
    if findings.host_count < 2 {
        return None;
    }
    let shown = Shown {
        occupancy: hosts.iter().any(|host| host.occupancy_fraction.is_some()),
        slowness: hosts.iter().any(|host| host.slowness.is_some()),
        efficiency: hosts.iter().any(|host| host.cpu_efficiency_fraction.is_some()),
        lost: hosts.iter().any(|host| host.lost_count > 0),
        memory: hosts.iter().any(|host| host.memory_peak_fraction.is_some()),
    };
    let rows = html! { @for host in hosts { (row(host, &shown)) } };
    let body = html! {
        p {
            "The worst first: share of failed attempts, then slowness."
            @if shown.slowness { " Slowness compares the same groups of tasks: 1.5 × means half as long again as elsewhere." }
            @if findings.host_count > hosts.len() {
                " " (units::count(hosts.len() as i64)) " of " (units::counted(findings.host_count as i64, "host")) "."
            }
        }
        (table::table("Hosts", &columns(&shown), &rows))
    };
    Some(Section { id: "hosts", title: "Hosts", body })
}

fn columns(shown: &Shown) -> Vec<Column> {
    let mut columns =
        vec![text("host"), figures("cores"), figures("attempts"), figures("failed"), figures("share failed")];
    let optional = [
        (shown.lost, figures("lost with it")),
        (shown.occupancy, figures("occupied")),
        (shown.slowness, figures("duration by that elsewhere")),
        (shown.efficiency, figures("computing while held")),
        (shown.memory, figures("memory full to")),
    ];
    columns.extend(optional.into_iter().filter(|(shown, _)| *shown).map(|(_, column)| column));
    columns.push(figures("core time"));
    columns
}

fn row(host: &HostFindings, shown: &Shown) -> Markup {
    let failed = host.failed_count as f64 / host.attempt_count.max(1) as f64;
    html! { tr {
        td { (words::line(&host.host)) }
        (table::count(host.core_count))
        (table::count(host.attempt_count))
        (table::count(host.failed_count))
        (table::figure(failed, &units::percent(failed)))
        @if shown.lost { (table::count(host.lost_count)) }
        @if shown.occupancy { (table::figure_or_none(host.occupancy_fraction, units::percent)) }
        @if shown.slowness { (table::figure_or_none(host.slowness, |slowness| format!("{slowness:.2} ×"))) }
        @if shown.efficiency { (table::figure_or_none(host.cpu_efficiency_fraction, units::percent)) }
        @if shown.memory { (table::figure_or_none(host.memory_peak_fraction, units::percent)) }
        (table::figure(host.core_s, &units::core_time(host.core_s)))
    } }
}
