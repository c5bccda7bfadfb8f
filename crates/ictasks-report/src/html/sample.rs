//! Findings to draw in tests, made up but of the kind that runs give, and always the same.

mod attempts;
mod over_time;

use crate::findings::*;
use crate::moment::Moment;

use attempts::{failures, groups, host_findings, outcomes, task_lines};
use over_time::{concurrency, cores, more_cores, time, workers};

/// 2026-03-01 12:00:00 UTC.
const BEGIN: i64 = 1_772_366_400_000_000;

/// What a task may have given to the record.
pub const HOSTILE: &str = "\"'</script><script>alert(1)</script>&amp;<img src=x onerror=alert(2)>\u{202e}\u{1b}[31m\u{1b}]0;t\u{7}\u{0}";

/// Numbers that look random: Marsaglia's xorshift.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() * end as f64) as usize
    }
}

/// A distribution of values from `from` to `to`, evenly on a logarithmic axis but for a bump at a third.
pub fn distribution(count: i64, from: f64, to: f64) -> Distribution {
    let at = |share: f64| from * (to / from).powf(share);
    let fractions = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];
    let quantile = |fraction: f64| Quantile {
        fraction,
        value: at(0.25 + 0.3 * fraction + 0.45 * fraction.powi(8) - 0.25 * (1.0 - fraction).powi(6)),
        task_id: Some(format!("mesh-{:.0}", fraction * 1000.0)),
    };
    let bins = 32;
    let weight = |bin: i32| 1.0 + 14.0 * (-(f64::from(bin) / f64::from(bins) - 0.38).powi(2) / 0.01).exp();
    let all: f64 = (0..bins).map(weight).sum();
    let histogram: Vec<Bin> = (0..bins)
        .map(|bin| {
            let (from, to) = (at(f64::from(bin) / f64::from(bins)), at(f64::from(bin + 1) / f64::from(bins)));
            let count = (count as f64 * weight(bin) / all).round();
            Bin { from, to, count: count as i64, sum: count * (from * to).sqrt() }
        })
        .collect();
    Distribution {
        count,
        sum: histogram.iter().map(|bin| bin.sum).sum(),
        quantiles: fractions.map(quantile).to_vec(),
        histogram,
    }
}

/// Sizes of a made-up run.
#[derive(Clone, Copy)]
pub struct Size {
    pub tasks: i64,
    pub rows: usize,
    pub bars: usize,
    pub bars_are_all: bool,
    pub steps: usize,
    pub groups: usize,
    pub hosts: usize,
    pub failure_groups: usize,
    pub lines: usize,
}

/// A run of 412 tasks on 2 hosts.
pub const ORDINARY: Size = Size {
    tasks: 412,
    rows: 16,
    bars: 431,
    bars_are_all: true,
    steps: 200,
    groups: 6,
    hosts: 2,
    failure_groups: 5,
    lines: 20,
};

/// The largest that findings become.
pub const LARGEST: Size = Size {
    tasks: 1_000_000,
    rows: 64,
    bars: 5_000,
    bars_are_all: false,
    steps: 800,
    groups: 200,
    hosts: 1_000,
    failure_groups: 50,
    lines: 200,
};

/// Findings of that size.
pub fn findings(size: Size) -> Findings {
    let mut dice = Dice(42);
    let (hosts, lines) = (host_findings(size, &mut dice), task_lines(size, &mut dice));
    Findings {
        findings_version: FINDINGS_VERSION,
        ictasks_version: "0.4.0".to_owned(),
        made_at: Moment(BEGIN + 20_000_000_000),
        runs: vec![run(size)],
        verdict: Verdict {
            mood: Mood::Mixed,
            sentence: format!("{} of {} tasks failed; the run took 3 h 20 min", size.tasks / 20, size.tasks),
        },
        outcomes: outcomes(size),
        task_count: size.tasks,
        attempt_count: size.tasks * 105 / 100,
        retried_count: size.tasks / 20,
        time: time(&lines),
        cores: cores(),
        memory: memory(size),
        gpu: Some(GpuFindings {
            gpu_count: 8,
            held_gpu_s: 90_000.0,
            busy_fraction: Some(0.43),
            memory: distribution(size.tasks, 2e8, 7e10),
            energy_j: Some(4.1e7),
        }),
        io: io(),
        concurrency: concurrency(size, &mut dice),
        workers: workers(size, &mut dice),
        grouped_by: "program".to_owned(),
        groups: groups(size, &mut dice),
        group_count: size.groups,
        durations: distribution(size.tasks, 0.8, 4000.0),
        host_count: hosts.len(),
        hosts,
        failures: failures(size, &lines, &mut dice),
        slowest: lines.clone(),
        failed: lines.iter().filter(|line| line.outcome != "succeeded").cloned().collect(),
        retried: lines.iter().filter(|line| line.attempt > 1).cloned().collect(),
        stragglers: lines.iter().take(3).cloned().collect(),
        straggler_count: 3,
        more_cores: Some(more_cores()),
        advice: advice(),
        lacks: vec![
            "2 attempts were too short to be sampled: their memory is that of the largest process."
                .to_owned(),
        ],
        ..Findings::default()
    }
}

/// The same, with text that tries to break out of the page wherever a task or a user can put text.
pub fn hostile() -> Findings {
    let mut findings = findings(ORDINARY);
    let text = HOSTILE.to_owned();
    for line in findings.slowest.iter_mut().chain(&mut findings.failed).chain(&mut findings.retried) {
        line.task_id.clone_from(&text);
        line.command = format!("echo {HOSTILE} {}", "x".repeat(1_000_000));
        line.message = Some(text.clone());
        line.host = Some(text.clone());
        line.outcome.clone_from(&text);
        line.run = Some(text.clone());
    }
    for group in &mut findings.failures.groups {
        group.template.clone_from(&text);
        group.meaning.clone_from(&text);
        group.example_output = format!("{HOSTILE}\n{}", HOSTILE.repeat(10_000));
        group.filter.clone_from(&text);
        group.rerun.clone_from(&text);
        group.remedy = Some(text.clone());
        group.hosts[0].value.clone_from(&text);
        group.over_represented.push(OverRepresented {
            column: text.clone(),
            value: text.clone(),
            ..OverRepresented::default()
        });
    }
    for note in &mut findings.advice {
        note.title.clone_from(&text);
        note.setting = Some(text.clone());
    }
    findings.groups[0].name.clone_from(&text);
    findings.hosts[0].host.clone_from(&text);
    findings.workers.rows[0].name.clone_from(&text);
    findings.workers.bars[0].task_id.clone_from(&text);
    findings.durations.quantiles[0].task_id = Some(text.clone());
    findings.cores.parts[0].name.clone_from(&text);
    findings.grouped_by.clone_from(&text);
    findings.verdict.sentence.clone_from(&text);
    findings.lacks.push(text.clone());
    findings.filter = Some(FilterFacts { expression: text.clone(), task_count: 1, of_task_count: 2 });
    let run = &mut findings.runs[0];
    run.job_id.clone_from(&text);
    run.absolute_run_dir.clone_from(&text);
    run.labels.push((text.clone(), text.clone()));
    run.sessions[0].arguments.push(text.clone());
    run.sessions[0].provenance.push((text.clone(), text.clone()));
    run.sessions[0].warnings.push(text);
    findings
}

fn run(size: Size) -> RunFacts {
    let node = |number: usize| NodeFacts {
        host: host_name(number),
        core_count: 64,
        gpu_count: 4,
        memory_total_bytes: Some(256 << 30),
        cpu_model: Some("AMD EPYC 7763 64-Core Processor".to_owned()),
    };
    let session = |number: i32| SessionFacts {
        session: number,
        began_at: Moment(BEGIN + i64::from(number) * 9_000_000_000),
        ended_at: Moment(BEGIN + i64::from(number + 1) * 8_000_000_000),
        how_it_ended: Some(
            if number == 0 { "time limit of the job" } else { "every task had its turn" }.to_owned(),
        ),
        arguments: ["ictasks", "taskfarm", "--config", "sweep.yaml", "--resume"].map(str::to_owned).to_vec(),
        submit_dir: "/home/ada/sweep".to_owned(),
        core_count: 64 * size.hosts as i64,
        hosts: (0..size.hosts).map(node).collect(),
        provenance: vec![
            ("git commit".to_owned(), "4f1c2d9 (clean)".to_owned()),
            ("modules".to_owned(), "gcc/14.2 openmpi/5.0.6 hdf5/1.14".to_owned()),
            ("Slurm job".to_owned(), "812345".to_owned()),
        ],
        warnings: vec!["the clock of c17 is 2.1 s behind".to_owned()],
    };
    RunFacts {
        run_dir: "runs/sweep".to_owned(),
        absolute_run_dir: "/scratch/ada/runs/sweep".to_owned(),
        run_id: "0195510a-7c00-7000-8000-0000000000aa".to_owned(),
        job_id: "wing-sweep".to_owned(),
        version: "0.4.0".to_owned(),
        life: RunLife::Finished,
        labels: vec![("project".to_owned(), "wing".to_owned())],
        list_complete: true,
        shard: None,
        sessions: vec![session(0), session(1)],
    }
}

fn host_name(number: usize) -> String {
    format!("c{:03}", number + 17)
}

fn memory(size: Size) -> MemoryFindings {
    let row =
        |evidence: &str, attempt_count: i64| OutOfMemory { evidence: evidence.to_owned(), attempt_count };
    MemoryFindings {
        peaks: distribution(size.tasks, 4e7, 3e9),
        requested_bytes: Some(16 << 30),
        out_of_memory: vec![row("certain", 4), row("allocation", 2)],
        advised_bytes: Some(4 << 30),
        advised_p95_bytes: Some(1 << 30),
        node_bytes: Some(256 << 30),
        host_peak_fraction: Some(0.31),
    }
}

fn io() -> IoFindings {
    IoFindings {
        syscall_read_bytes: Some(812_345_678_901),
        syscall_write_bytes: Some(91_234_567_890),
        storage_read_bytes: Some(71_234_567_890),
        storage_write_bytes: Some(90_234_567_890),
        read_call_count: Some(41_000_000),
        write_call_count: Some(9_100_000),
        output_bytes: Some(81_234_567),
    }
}

fn advice() -> Vec<Advice> {
    let note = |title: &str, evidence: &str, setting: Option<&str>, saves_core_s: f64| Advice {
        rule: "long_tail".to_owned(),
        title: title.to_owned(),
        evidence: evidence.to_owned(),
        setting: setting.map(str::to_owned),
        saves_core_s,
    };
    vec![
        note(
            "Start the longest tasks first",
            "The last task to start was one of the longest, and 112 of 128 cores stood idle for 48 min.",
            Some("sort -k2 -nr tasks.dat > longest-first.dat"),
            190_000.0,
        ),
        note(
            "Ask for 4 GiB of memory a task instead of 16 GiB",
            "No task had more than 2.8 GiB.",
            Some("#SBATCH --mem-per-cpu=4G"),
            0.0,
        ),
        note(
            "Keep host c017 out",
            "Its tasks took 1.83 times as long as the same tasks elsewhere.",
            Some("#SBATCH --exclude=c017"),
            52_000.0,
        ),
    ]
}
