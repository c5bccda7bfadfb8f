//! Memory, GPUs, input and output.

use maud::{Markup, html};

use super::Section;
use super::axis::Unit;
use super::distribution::{self, Mark};
use super::groups;
use super::table::{self, figures, text};
use super::time::facts;
use crate::findings::{Findings, MemoryFindings};
use crate::units;

/// Smaller reads and writes cost more than they carry.
const SMALL_CALL_BYTES: f64 = 65_536.0;
/// With less in all it does not matter.
const MUCH_BYTES: i64 = 10 << 30;

/// Memory asked for and used.
pub fn memory(findings: &Findings) -> Option<Section> {
    let memory = &findings.memory;
    let measured = memory.peaks.count > 0 && !memory.peaks.quantiles.is_empty();
    if !measured && memory.out_of_memory.is_empty() {
        return None;
    }
    let asked = memory.requested_bytes.map(|asked| (asked as f64, "asked for"));
    let enough = memory.advised_bytes.map(|enough| (enough as f64, "enough"));
    let marks: Vec<Mark> = asked.into_iter().chain(enough).collect();
    let body = html! {
        (facts(&memory_facts(memory)))
        @if !memory.out_of_memory.is_empty() { (out_of_memory(memory)) }
        @if measured {
            (distribution::whole("memory", "Largest memory of attempts", "memory", &memory.peaks, Unit::Bytes, &marks))
        }
        @if let Some(by_group) = groups::memory(&findings.groups, memory.requested_bytes) { (by_group) }
    };
    Some(Section { id: "memory", title: "Memory asked for and used", body })
}

fn memory_facts(memory: &MemoryFindings) -> Vec<(String, &'static str, &'static str)> {
    let mut list = Vec::new();
    let mut bytes = |value: Option<i64>, name, explanation| {
        list.extend(value.map(|value| (units::bytes(value), name, explanation)));
    };
    bytes(memory.requested_bytes, "Asked for", "a task");
    bytes(memory.advised_bytes, "Enough for all", "the largest that an attempt had, and a fifth more");
    bytes(
        memory.advised_p95_bytes,
        "Enough for 19 in 20",
        "two sizes would do: this one, and the one above for the rest",
    );
    bytes(memory.node_bytes, "Memory of a host", "of the smallest one");
    if let Some(share) = memory.host_peak_fraction {
        list.push((
            units::percent(share),
            "Hosts at most full to",
            "largest memory sampled on a host, of what it has",
        ));
    }
    list
}

fn out_of_memory(memory: &MemoryFindings) -> Markup {
    let words = |evidence: &str| match evidence {
        "certain" => "certain: the kernel, Slurm or the farm ended them for it".to_owned(),
        "probable" => {
            "probable: killed by a signal that the farm did not send, with memory near the limit".to_owned()
        }
        "allocation" => "by their own words: an allocation failed".to_owned(),
        other => super::words::line(other),
    };
    let columns = [text("attempts that ran out of memory"), figures("attempts")];
    let rows = html! { @for row in &memory.out_of_memory {
        tr { td { (words(&row.evidence)) } (table::count(row.attempt_count)) }
    } };
    html! { div.narrow { (table::table("Attempts that ran out of memory", &columns, &rows)) } }
}

/// GPUs.
pub fn gpu(findings: &Findings) -> Option<Section> {
    let gpu = findings.gpu.as_ref()?;
    let mut list = vec![
        (units::count(gpu.gpu_count), "GPUs", "that workers held at the same time, at most"),
        (units::duration(gpu.held_gpu_s), "Held", "by attempts, all GPUs together"),
    ];
    if let Some(share) = gpu.busy_fraction {
        list.push((
            units::percent(share),
            "Computing while held",
            "share of that time in which the GPU had work",
        ));
    }
    if let Some(energy) = gpu.energy_j {
        list.push((
            format!("{} kWh", units::significant(energy / 3.6e6)),
            "Energy",
            "of the GPUs, while attempts held them",
        ));
    }
    let measured = gpu.memory.count > 0 && !gpu.memory.quantiles.is_empty();
    let body = html! {
        (facts(&list))
        @if measured {
            (distribution::whole("gpu-memory", "Largest GPU memory of attempts", "GPU memory", &gpu.memory, Unit::Bytes, &[]))
        }
    };
    Some(Section { id: "gpu", title: "GPUs", body })
}

/// Input and output.
pub fn io(findings: &Findings) -> Option<Section> {
    let io = &findings.io;
    let columns = [
        text("input and output of all attempts"),
        figures("bytes"),
        figures("calls"),
        figures("bytes a call"),
    ];
    let mut rows = Vec::new();
    let mut small = false;
    let mut row = |name: &str, bytes: Option<i64>, calls: Option<i64>| {
        if bytes.is_some() || calls.is_some() {
            let each =
                bytes.zip(calls.filter(|&calls| calls > 0)).map(|(bytes, calls)| bytes as f64 / calls as f64);
            small |= bytes.is_some_and(|bytes| bytes > MUCH_BYTES)
                && each.is_some_and(|each| each < SMALL_CALL_BYTES);
            rows.push(html! { tr {
                td { (name) }
                (table::figure_or_none(bytes.map(|bytes| bytes as f64), |bytes| Unit::Bytes.show(bytes)))
                (table::figure_or_none(calls.map(|calls| calls as f64), units::significant))
                (table::figure_or_none(each, |each| Unit::Bytes.show(each)))
            } });
        }
    };
    row("read, whether from storage or from memory", io.syscall_read_bytes, io.read_call_count);
    row("written, the same", io.syscall_write_bytes, io.write_call_count);
    row("read from storage", io.storage_read_bytes, None);
    row("written to storage", io.storage_write_bytes, None);
    row("printed (standard output and error)", io.output_bytes, None);
    if rows.is_empty() {
        return None;
    }
    let body = html! {
        @if small {
            p { "Calls of less than 64 KiB on average: fewer and larger ones are faster, above all on a parallel file system." }
        }
        (table::table("Input and output", &columns, &html! { @for row in rows { (row) } }))
    };
    Some(Section { id: "io", title: "Input and output", body })
}
