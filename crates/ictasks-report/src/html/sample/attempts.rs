//! Attempts of a made-up run: outcomes, groups, hosts, failures, single ones.

use super::{BEGIN, Dice, Size, distribution, host_name};
use crate::findings::*;
use crate::moment::Moment;

pub fn outcomes(size: Size) -> Vec<OutcomeCount> {
    let row = |outcome: &str, part: i64, core_s: f64| OutcomeCount {
        outcome: outcome.to_owned(),
        task_count: size.tasks * part / 100,
        attempt_count: size.tasks * part / 90,
        core_s,
    };
    vec![
        row("succeeded", 93, 612_000.0),
        row("failed", 3, 21_000.0),
        row("timed_out", 2, 60_000.0),
        row("out_of_memory", 1, 9_000.0),
        row("node_lost", 1, 4_000.0),
    ]
}

pub fn groups(size: Size, dice: &mut Dice) -> Vec<Group> {
    let mut left = 1.0;
    (0..size.groups)
        .map(|number| {
            let share = left * 0.45;
            left -= share;
            let from = 0.5 + 20.0 * dice.next();
            Group {
                name: match number {
                    0 => "solve".to_owned(),
                    1 => "/opt/cfd/bin/mesh-refine --level 3 --input wing-with-a-very-long-name.cgns --smooth --check-quality".to_owned(),
                    number => format!("post-{number}"),
                },
                attempt_count: (size.tasks as f64 * share) as i64,
                failed_count: (size.tasks as f64 * share / 20.0) as i64,
                core_s: 740_000.0 * share,
                core_fraction: share,
                cpu_efficiency_fraction: Some(0.3 + 0.7 * dice.next()),
                wall_s: distribution((size.tasks as f64 * share) as i64, from, from * 200.0),
                memory_bytes: distribution((size.tasks as f64 * share) as i64, 4e7 * from, 2e8 * from),
            }
        })
        .collect()
}

pub fn host_findings(size: Size, dice: &mut Dice) -> Vec<HostFindings> {
    let host = |number: usize, chance: f64| HostFindings {
        host: host_name(number),
        core_count: 64,
        attempt_count: size.tasks / size.hosts as i64,
        failed_count: if number == 0 { size.tasks / 40 } else { size.tasks / 400 / size.hosts as i64 },
        core_s: 740_000.0 / size.hosts as f64,
        occupancy_fraction: Some(0.7 + 0.3 * chance),
        slowness: Some(if number == 0 { 1.83 } else { 0.9 + 0.2 * chance }),
        cpu_efficiency_fraction: Some(0.6 + 0.3 * chance),
        lost_count: i64::from(number == 0),
        memory_peak_fraction: Some(0.2 + 0.2 * chance),
    };
    (0..size.hosts).map(|number| host(number, dice.next())).collect()
}

pub fn task_lines(size: Size, dice: &mut Dice) -> Vec<TaskLine> {
    let outcomes = [
        "succeeded",
        "failed",
        "succeeded",
        "timed_out",
        "out_of_memory",
        "signaled",
        "spawn_failed",
        "node_lost",
    ];
    (0..size.lines)
        .map(|number| {
            let outcome = outcomes[number % outcomes.len()];
            TaskLine {
                task_id: format!("mesh-{number}"),
                task_index: number as i64,
                attempt: 1 + (number % 3) as i32,
                outcome: outcome.to_owned(),
                exit_code: (outcome == "failed").then_some(3),
                signal: (outcome == "signaled").then_some(11),
                host: Some(host_name(dice.below(size.hosts))),
                started_at: Some(Moment(BEGIN + (dice.next() * 1.2e10) as i64)),
                wall_s: Some(4_000.0 * (1.0 - number as f64 / size.lines as f64)),
                cpu_efficiency_fraction: Some(dice.next()),
                memory_bytes: Some((dice.next() * 3e9) as i64),
                group: "solve".to_owned(),
                command: format!("solve --mesh mesh-{number}.cgns --reynolds {:.3e} --steps 20000 --output result-{number}.h5 --restart-every 500 --limiter venkatakrishnan", 1e6 * dice.next()),
                message: (outcome != "succeeded").then(|| format!("Traceback: residual diverged at step {number}: nan in cell {}", dice.below(100_000))),
                run: None,
            }
        })
        .collect()
}

pub fn failures(size: Size, lines: &[TaskLine], dice: &mut Dice) -> FailureFindings {
    let kinds = [
        (
            "failed",
            Some(3),
            None,
            "exit code 3",
            "ValueError: residual diverged at step <n>: nan in cell <n>",
        ),
        ("spawn_failed", None, None, "its program could not be started", "no such file: <path>/mesh-refine"),
        ("signaled", None, Some(11), "signal 11: segmentation fault", ""),
        ("timed_out", None, None, "ended at its time limit", "step <n> of <n>"),
        ("out_of_memory", None, Some(9), "out of memory: ended by the kernel", "allocating <n> MiB"),
    ];
    let group = |number: usize, chance: f64| {
        let (outcome, exit_code, signal, meaning, template) = kinds[number % kinds.len()];
        let attempts = (size.tasks / 40 / (number as i64 + 1)).max(1);
        let host =
            |host: usize| ValueCount { value: host_name(host), count: (attempts / (host as i64 + 2)).max(1) };
        FailureGroup {
            outcome: outcome.to_owned(),
            exit_code,
            signal,
            cause: (outcome == "out_of_memory").then(|| "oom".to_owned()),
            cause_evidence: (outcome == "out_of_memory").then(|| "certain".to_owned()),
            meaning: meaning.to_owned(),
            template: template.to_owned(),
            attempt_count: attempts,
            task_count: attempts / 2,
            core_s: 40_000.0 * chance / (number + 1) as f64,
            first_at: Some(Moment(BEGIN + 1_000_000_000)),
            last_at: Some(Moment(BEGIN + 9_000_000_000)),
            hosts: (0..size.hosts.min(5)).map(host).collect(),
            host_count: size.hosts,
            over_represented: vec![OverRepresented {
                column: "param_mesh".to_owned(),
                value: "fine".to_owned(),
                count: attempts,
                of_count: attempts + 2,
                fraction_of_group: 1.0,
                fraction_of_all: 0.08,
            }],
            example: lines[(number * 2 + 1) % lines.len()].clone(),
            example_output: "Traceback (most recent call last):\n  File \"solve.py\", line 812, in <module>\n    main()\nValueError: residual diverged at step 812: nan in cell 40120".to_owned(),
            remedy: Some("Start with a smaller time step for the fine mesh.".to_owned()),
            filter: "outcome = 'failed' and exit_code = 3".to_owned(),
            rerun: "ictasks report runs/sweep --filter \"outcome = 'failed' and exit_code = 3\" --format ids |\n  ictasks taskfarm --config sweep.yaml --resume --only -".to_owned(),
        }
    };
    FailureFindings {
        attempt_count: size.tasks * 7 / 90,
        task_count: size.tasks * 7 / 100,
        core_s: 100_000.0,
        group_count: size.failure_groups,
        merged: false,
        groups: (0..size.failure_groups).map(|number| group(number, dice.next())).collect(),
    }
}
