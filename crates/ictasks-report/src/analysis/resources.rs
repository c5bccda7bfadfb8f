//! Memory, GPUs, input and output: sums that polars takes from the files.

use polars::prelude::*;

use super::Analysis;
use crate::definitions::distribution::{self, distribution};
use crate::definitions::{fraction, memory};
use crate::error::ReportError;
use crate::findings::{Distribution, GpuFindings, IoFindings, MemoryFindings, OutOfMemory, RunLife};
use crate::load::attempts::NO_BYTES;
use crate::load::{Loaded, batches, column_names, column_or_null};
use crate::source::{Source, Table};

/// What is summed over the files.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) io: IoFindings,
    pub(crate) gpu: Option<GpuFindings>,
    /// What every attempt was given.
    pub(crate) requested_bytes: Option<i64>,
    /// Hosts with the largest sampled share of their memory.
    host_peaks: Vec<(String, f64)>,
    /// Whether there are samples.
    pub(crate) has_samples: bool,
}

/// Columns that are summed.
const SUMS: [&str; 8] = [
    "syscall_read_bytes",
    "syscall_write_bytes",
    "storage_read_bytes",
    "storage_write_bytes",
    "read_call_count",
    "write_call_count",
    "stdout_bytes",
    "stderr_bytes",
];

impl Resources {
    /// Reads all runs. `gpu_count`: GPUs that workers hold. `with_io`: sums of input and output are wanted.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub(super) fn read(sources: &[Source], gpu_count: i64, with_io: bool) -> Result<Self, ReportError> {
        let mut resources = Self::default();
        let mut sums: [Option<i64>; SUMS.len()] = [None; SUMS.len()];
        let mut requested: Option<(i64, i64)> = None;
        let mut has_gpus = false;
        for source in sources {
            if source.has(Table::Attempts) {
                let one = sums_of(source, with_io)?;
                for (sum, name) in sums.iter_mut().zip(SUMS).filter(|_| with_io) {
                    *sum = add(*sum, first(&one, name)?);
                }
                if let (Some(least), Some(most)) = (first(&one, "least_memory")?, first(&one, "most_memory")?)
                {
                    let (before_least, before_most) = requested.unwrap_or((least, most));
                    requested = Some((least.min(before_least), most.max(before_most)));
                }
                has_gpus |= first(&one, "most_gpus")?.is_some_and(|most| most > 0);
            }
            resources.read_samples(source)?;
        }
        let [read, write, storage_read, storage_write, reads, writes, stdout, stderr] = sums;
        resources.io = IoFindings {
            syscall_read_bytes: read,
            syscall_write_bytes: write,
            storage_read_bytes: storage_read,
            storage_write_bytes: storage_write,
            read_call_count: reads,
            write_call_count: writes,
            output_bytes: add(stdout, stderr),
        };
        resources.requested_bytes = requested.filter(|(least, most)| least == most).map(|(least, _)| least);
        if has_gpus {
            resources.gpu = Some(gpus(sources, gpu_count)?);
        }
        Ok(resources)
    }

    fn read_samples(&mut self, source: &Source) -> Result<(), ReportError> {
        if !source.has(Table::Samples) {
            return Ok(());
        }
        let share =
            col("rss_bytes").cast(DataType::Float64) / col("memory_total_bytes").cast(DataType::Float64);
        let peaks = source
            .scan(Table::Samples)?
            .filter(col("scope").cast(DataType::String).eq(lit("host")))
            .group_by([col("host").cast(DataType::String)])
            .agg([share.max().alias("peak")])
            .collect()?;
        self.has_samples |= peaks.height() > 0;
        let hosts = batches::texts(&peaks, "host")?;
        for (host, peak) in hosts.iter().zip(batches::floats(&peaks, "peak", f64::NAN)?) {
            if let Some(host) = host.filter(|_| peak.is_finite()) {
                self.host_peaks.push((host.to_owned(), peak));
            }
        }
        Ok(())
    }

    /// Largest sampled share of a host's memory.
    pub(super) fn host_peak(&self, host: &str) -> Option<f64> {
        let of_host = self.host_peaks.iter().filter(|(name, _)| name == host).map(|(_, peak)| *peak);
        of_host.reduce(f64::max)
    }
}

fn sums_of(source: &Source, with_io: bool) -> Result<DataFrame, ReportError> {
    let known = column_names(source, Table::Attempts)?;
    let integer = |name: &str| column_or_null(&known, name, DataType::Int64);
    // A sum over nothing but nulls is null, not 0.
    let sum = |name: &str| {
        when(integer(name).count().gt(lit(0))).then(integer(name).sum()).otherwise(lit(NULL)).alias(name)
    };
    let mut wanted: Vec<Expr> = SUMS.iter().filter(|_| with_io).map(|name| sum(name)).collect();
    wanted.extend([
        integer("memory_requested_bytes").min().alias("least_memory"),
        integer("memory_requested_bytes").max().alias("most_memory"),
        integer("gpu_count").max().alias("most_gpus"),
    ]);
    let sums = source.scan(Table::Attempts)?.select(wanted).collect_with_engine(Engine::Streaming)?;
    Ok(sums.unwrap_single())
}

fn first(frame: &DataFrame, name: &str) -> Result<Option<i64>, ReportError> {
    let column = frame.column(name)?.cast(&DataType::Int64)?;
    Ok(column.i64()?.get(0))
}

const fn add(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (Some(one), None) => Some(one),
        (None, other) => other,
    }
}

/// GPU use of attempts that held any.
#[allow(clippy::cast_precision_loss)]
fn gpus(sources: &[Source], gpu_count: i64) -> Result<GpuFindings, ReportError> {
    let mut findings = GpuFindings { gpu_count, ..GpuFindings::default() };
    let (mut busy, mut measured, mut energy) = (0.0, 0.0, None);
    let mut memory: Vec<(f64, u32)> = Vec::new();
    let names = ["gpu_count", "wall_s", "gpu_busy_fraction", "gpu_memory_max_bytes", "gpu_energy_j"];
    for source in sources.iter().filter(|source| source.has(Table::Attempts)) {
        let rows = source.scan(Table::Attempts)?.filter(col("gpu_count").gt(lit(0))).select(names.map(col));
        batches::for_each(rows, &mut |batch| {
            let [counts, walls, fractions, bytes, joules] =
                names.map(|name| batches::floats(batch, name, f64::NAN));
            let (counts, walls, fractions, bytes, joules) = (counts?, walls?, fractions?, bytes?, joules?);
            for row in 0..batch.height() {
                let held = counts[row] * walls[row];
                if held.is_nan() {
                    continue;
                }
                findings.held_gpu_s += held;
                if !fractions[row].is_nan() {
                    busy += held * fractions[row];
                    measured += held;
                }
                if !bytes[row].is_nan() {
                    memory.push((bytes[row], 0));
                }
                if !joules[row].is_nan() {
                    energy = Some(energy.unwrap_or(0.0) + joules[row]);
                }
            }
            Ok(())
        })?;
    }
    findings.busy_fraction = fraction(busy, measured);
    findings.memory = distribution(&mut memory).0;
    findings.energy_j = energy;
    Ok(findings)
}

/// Memory peaks of the attempts that the filter leaves, and the rows of their quantiles.
#[allow(clippy::cast_precision_loss)]
pub(super) fn peaks(loaded: &Loaded) -> (Distribution, Vec<u32>) {
    let attempts = &loaded.attempts;
    let mut values: Vec<(f64, u32)> = loaded
        .selected()
        .filter(|row| attempts.memory_bytes[*row] != NO_BYTES)
        .filter_map(|row| Some((attempts.memory_bytes[row] as f64, u32::try_from(row).ok()?)))
        .collect();
    distribution(&mut values)
}

impl Analysis<'_> {
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn memory(&self, peaks: Distribution) -> MemoryFindings {
        let requested_bytes = self.resources.requested_bytes;
        let out_of_memory = self.out_of_memory();
        let nodes = self.loaded.sessions.iter().flat_map(|session| &session.nodes);
        let largest = distribution::at(&peaks, 1.0).map(|peak| peak as i64);
        // What ran out of memory would have used more than it was given.
        let least = requested_bytes.filter(|_| !self.gathered.out_of_memory.is_empty());
        let advised_bytes = largest.max(least).map(memory::advised_bytes);
        let advised_p95_bytes = distribution::at(&peaks, 0.95)
            .map(|peak| memory::advised_bytes(peak as i64))
            .filter(|p95| advised_bytes.is_some_and(|advised| p95.saturating_mul(2) <= advised));
        MemoryFindings {
            peaks,
            requested_bytes,
            out_of_memory,
            advised_bytes,
            advised_p95_bytes,
            node_bytes: nodes.filter_map(|node| node.memory_total_bytes).min(),
            host_peak_fraction: self.resources.host_peaks.iter().map(|(_, peak)| *peak).reduce(f64::max),
        }
    }

    fn out_of_memory(&self) -> Vec<OutOfMemory> {
        let recorded =
            |evidence: &str| self.gathered.out_of_memory.iter().filter(|(_, of)| of == evidence).count();
        let probable = recorded("probable")
            + self.gathered.sigkilled.iter().filter(|row| self.was_near_limit(**row)).count();
        let counts = [
            ("certain", i64::try_from(recorded("certain"))),
            ("probable", i64::try_from(probable)),
            ("allocation", Ok(self.gathered.allocation_failures)),
        ];
        counts
            .into_iter()
            .filter_map(|(evidence, count)| Some((evidence, count.ok().filter(|count| *count > 0)?)))
            .map(|(evidence, attempt_count)| OutOfMemory { evidence: evidence.to_owned(), attempt_count })
            .collect()
    }

    /// Killed by SIGKILL, not by us, with its peak near the limit, or its host's memory gone.
    #[allow(clippy::cast_precision_loss)]
    fn was_near_limit(&self, row: usize) -> bool {
        let attempts = &self.loaded.attempts;
        let peak = attempts.memory_bytes[row];
        let near_request =
            self.resources.requested_bytes.is_some_and(|given| peak as f64 >= 0.9 * given as f64);
        let host_is_full = attempts
            .host_name(row)
            .and_then(|host| self.resources.host_peak(host))
            .is_some_and(|peak| peak >= 0.95);
        near_request || host_is_full
    }

    /// For people: what the data lacks.
    pub(super) fn lacks(&self) -> Vec<String> {
        let mut lacks = self.loaded.lacks.clone();
        let attempts = &self.loaded.attempts;
        if self.work.longest_s > 0.0 && self.work.measured_core_s <= 0.0 {
            lacks.push("no CPU times: efficiency is not known".to_owned());
        }
        if attempts.len() > 0 && !self.resources.has_samples {
            lacks.push(
                "no samples: memory is that of the largest process of each task, and use over time is not known"
                    .to_owned(),
            );
        }
        for run in self.loaded.runs.iter().filter(|run| run.life == RunLife::Alive) {
            lacks.push(format!(
                "{}: the run is at work: what its tasks hold counts when they have ended",
                run.run_dir
            ));
        }
        for run in self.loaded.runs.iter().filter(|run| run.life == RunLife::Killed) {
            lacks.push(format!(
                "{}: the run was killed: tasks that ran then have no end in the record; `ictasks taskfarm --resume` \
                 goes on",
                run.run_dir
            ));
        }
        lacks
    }
}
