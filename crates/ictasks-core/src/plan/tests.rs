use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::config::TaskDistribution;

/// Cores with these numbers of threads; CPUs numbered as Linux does, first threads first.
fn machine(threads: &[usize]) -> Machine {
    let mut cores = vec![Vec::new(); threads.len()];
    let mut cpu = 0;
    for thread in 0..threads.iter().copied().max().unwrap_or(0) {
        for (core, _) in threads.iter().enumerate().filter(|(_, count)| thread < **count) {
            cores[core].push(cpu);
            cpu += 1;
        }
    }
    Machine {
        host: "h".to_owned(),
        cores,
        cpu_quota: None,
        gpus: None,
        memory_total_bytes: None,
        memory_limit_bytes: None,
        is_in_slurm: false,
    }
}

fn typed(text: &str) -> Config {
    Config::parse("c", format!("task_distribution: {{{text}}}").as_bytes()).unwrap()
}

fn plan_of(text: &str, workers: Option<i32>, machine: &Machine) -> Result<Plan, String> {
    let command_line = CommandLine { workers, ..CommandLine::default() };
    Plan::resolve(&typed(text), &command_line, machine, Path::new("/submit"))
        .map_err(|error| error.to_string())
}

/// The CPUs of each worker.
fn cpus(plan: &Plan) -> Vec<Vec<i32>> {
    plan.workers.iter().map(|worker| worker.cores.clone().unwrap_or_default()).collect()
}

#[test]
fn by_default_every_processor_works() {
    let plan = plan_of("", None, &machine(&[2, 2])).unwrap();
    assert_eq!(cpus(&plan), [[0], [1], [2], [3]]);
    assert_eq!(
        plan.arithmetic,
        [
            "cores_per_node: 2 physical cores detected, with 4 hardware threads",
            "threads_per_core: 2 detected",
            "cores_per_task: 1 by default",
            "workers by cores: floor(2 / 1) × 2 = 4",
        ]
    );
    assert!(plan.warnings.is_empty());
    let distribution = Distribution {
        cores_per_node: 2,
        threads_per_core: 2,
        cores_per_task: 1,
        gpus_per_node: 0,
        gpus_per_task: 0,
    };
    assert_eq!(plan.task_distribution, distribution);
}

#[test]
fn also_where_cores_differ() {
    let plan = plan_of("", None, &machine(&[2, 2, 1])).unwrap();
    assert_eq!(cpus(&plan), [[0], [1], [2], [3], [4]]);
}

#[test]
fn given_cores_have_one_thread_unless_given_too() {
    let machine = machine(&[2, 2, 2, 2]);
    assert_eq!(cpus(&plan_of("cores_per_node: 2", None, &machine).unwrap()), [[0], [1]]);
    let plan = plan_of("cores_per_node: 2, threads_per_core: 2", None, &machine).unwrap();
    assert_eq!(cpus(&plan), [[0], [1], [4], [5]]);
    let plan = plan_of("threads_per_core: 1", None, &machine).unwrap();
    assert_eq!(cpus(&plan), [[0], [1], [2], [3]]);
}

#[test]
fn workers_that_share_cores_have_different_threads() {
    let plan = plan_of("cores_per_task: 2", None, &machine(&[2, 2, 2, 2, 2])).unwrap();
    assert_eq!(cpus(&plan), [[0, 1], [2, 3], [5, 6], [7, 8]]);
}

#[test]
fn a_quota_below_the_mask_counts() {
    let mut machine = machine(&[2; 32]);
    machine.cpu_quota = Some(2.5);
    let plan = plan_of("", None, &machine).unwrap();
    assert_eq!(plan.workers.len(), 2);
    assert!(plan.workers.iter().all(|worker| worker.cores.is_none()));
    assert_eq!(plan.arithmetic[0], "cores_per_node: 2, since the cgroup's quota is 2.5 of 64 CPUs");
    assert_eq!(
        plan.arithmetic.last().unwrap(),
        "workers are not pinned: the cgroup's quota may be spent on any CPU"
    );
    machine.cpu_quota = Some(0.2);
    assert_eq!(plan_of("", None, &machine).unwrap().workers.len(), 1);
    let plan = plan_of("", Some(4), &machine).unwrap();
    assert_eq!(
        plan.warnings,
        ["4 workers of 1 core are more than the cgroup's quota of 1 CPUs: tasks will be slowed down"]
    );
}

#[test]
fn more_workers_than_hardware_are_not_pinned() {
    let plan = plan_of("cores_per_node: 8, cores_per_task: 2", None, &machine(&[2, 2])).unwrap();
    assert_eq!(plan.workers.len(), 4);
    assert!(plan.workers.iter().all(|worker| worker.cores.is_none()));
    assert_eq!(
        plan.warnings,
        [
            "4 workers of 2 cores are more than the 4 CPUs of this machine: tasks share CPUs and are not pinned"
        ]
    );
}

#[test]
fn hardware_threads_stand_in_for_cores_where_they_suffice() {
    let plan = plan_of("cores_per_node: 4", None, &machine(&[2, 2])).unwrap();
    assert_eq!(cpus(&plan), [[0], [1], [2], [3]]);
}

#[test]
fn workers_can_be_given() {
    let machine = machine(&[2, 2]);
    assert_eq!(cpus(&plan_of("", Some(2), &machine).unwrap()), [[0], [1]]);
    assert_eq!(cpus(&plan_of("cores_per_node: 1", Some(3), &machine).unwrap()), [[0], [1], [2]]);
    assert!(plan_of("", Some(5), &machine).unwrap().workers[0].cores.is_none());
    assert_eq!(plan_of("", Some(0), &machine).unwrap_err(), "`--workers` is 0; give 1 or more");
    assert_eq!(
        plan_of("", Some(i32::MAX), &machine).unwrap_err(),
        "2147483647 workers on a node, and 65536 is the most; give smaller figures in `task_distribution`"
    );
}

#[test]
fn gpus_limit_workers_and_share_out_the_cores() {
    let machine = machine(&[1; 16]).with_gpus(Some((0..4).collect()));
    let plan = plan_of("gpus_per_task: 1", None, &machine).unwrap();
    assert_eq!(plan.task_distribution.cores_per_task, 4);
    assert_eq!(cpus(&plan)[3], [12, 13, 14, 15]);
    assert_eq!(plan.workers[3].gpus, [3]);
    assert_eq!(
        plan.arithmetic[2..],
        [
            "gpus_per_node: 4 detected",
            "workers by GPUs: floor(4 / 1) = 4",
            "cores_per_task: floor(16 / 4) = 4, as the GPUs limit the workers and it is not given",
            "workers by cores: floor(16 / 4) × 1 = 4",
        ]
    );
    let plan = plan_of("gpus_per_task: 2, cores_per_task: 1", None, &machine).unwrap();
    assert_eq!(plan.arithmetic.last().unwrap(), "workers: 16, limited by the GPUs to 2");
    assert_eq!(plan.workers[1].gpus, [2, 3]);
    assert_eq!(cpus(&plan), [[0], [1]]);
    let plan = plan_of("gpus_per_task: 1, cores_per_task: 8", None, &machine).unwrap();
    assert_eq!(plan.workers.len(), 2);
}

#[test]
fn given_gpus_are_believed_where_none_was_found() {
    let plan =
        plan_of("gpus_per_task: 1, gpus_per_node: 2", None, &machine(&[1; 4]).with_gpus(Some(Vec::new())))
            .unwrap();
    assert_eq!(plan.warnings[0], "`gpus_per_node` is taken as given, as no GPU was found");
    assert!(plan.warnings[1].contains("gpu_binding: visible_devices"), "{:?}", plan.warnings);
    assert_eq!(cpus(&plan), [[0, 1], [2, 3]]);
}

#[test]
fn impossible_requests_show_the_arithmetic() {
    let machine = machine(&[1; 4]).with_gpus(Some((0..2).collect()));
    for (text, workers, message) in [
        (
            "cores_per_node: 2, cores_per_task: 3",
            None,
            "floor(cores_per_node / cores_per_task) = floor(2 / 3) = 0 workers; give a `cores_per_task` of 2 or fewer",
        ),
        (
            "gpus_per_task: 3",
            None,
            "floor(gpus_per_node / gpus_per_task) = floor(2 / 3) = 0 workers; give a `gpus_per_task` of 2 or fewer",
        ),
        (
            "gpus_per_task: 1, gpus_per_node: 8",
            None,
            "gpus_per_node is 8, and this machine has 2; give 2 or fewer, or 0 to take all",
        ),
        (
            "gpus_per_task: 1",
            Some(3),
            "3 workers with 1 GPUs each, and GPUs for 2; give `--workers 2` or fewer",
        ),
    ] {
        assert_eq!(plan_of(text, workers, &machine).unwrap_err(), message);
    }
    for gpus in [None, Some(0)] {
        let machine = machine.clone().with_gpus(gpus.map(|count| (0..count).collect()));
        assert_eq!(
            plan_of("gpus_per_task: 1", None, &machine).unwrap_err(),
            "gpus_per_task is 1, and no GPU was found on this machine; leave out `gpus_per_task`, or give `gpus_per_node`"
        );
    }
    let task_distribution = TaskDistribution { cores_per_task: Some(-1), ..TaskDistribution::default() };
    let config = Config { task_distribution, ..Config::default() };
    let error = Plan::resolve(&config, &CommandLine::default(), &machine, Path::new("/")).unwrap_err();
    assert_eq!(error.to_string(), "`cores_per_task` is -1; give 0 or more");
}

#[test]
fn names_and_directories() {
    let config = Config::default();
    let resolve = |config: &Config, run_dir: Option<&str>| {
        let command_line = CommandLine { run_dir: run_dir.map(PathBuf::from), ..CommandLine::default() };
        Plan::resolve(config, &command_line, &machine(&[1]), Path::new("/data/submit/.")).unwrap()
    };
    let plan = resolve(&config, Some("./runs//./a"));
    assert_eq!(plan.run_dir, Path::new("/data/submit/runs/a"));
    assert_eq!(plan.run_dir.as_os_str(), "/data/submit/runs/a");
    assert_eq!(plan.job_id, "a");
    assert_eq!(
        (plan.stdout_filename.as_str(), plan.stderr_filename.as_str()),
        ("task_stdout.txt", "task_stderr.txt")
    );
    assert!((plan.sample_interval_s - 1.0).abs() < 1e-9);
    assert_eq!(resolve(&config, None).job_id, "submit");
    assert_eq!(resolve(&config, Some("/")).job_id, "run");
    let named = Config { job_id: Some("mine".to_owned()), check_slurm: Some(true), ..config };
    let plan = resolve(&named, Some("/abs"));
    assert_eq!((plan.job_id.as_str(), plan.run_dir.as_path()), ("mine", Path::new("/abs")));
    assert_eq!(plan.warnings, ["`check_slurm` finds no Slurm job here: tasks run on this machine"]);
}

proptest! {
    #[test]
    fn workers_hold_disjoint_cpus_and_gpus(
        threads in prop::collection::vec(1_usize..4, 1..12),
        figures in prop::array::uniform5(0_i32..9),
        workers in prop::option::of(1_i32..20),
        gpus in prop::option::of(0_i32..9),
        quota in prop::option::of(0.1_f64..20.0),
    ) {
        let mut machine = machine(&threads).with_gpus(gpus.map(|count| (0..count).collect()));
        machine.cpu_quota = quota;
        let [cores_per_node, threads_per_core, cores_per_task, gpus_per_node, gpus_per_task] = figures.map(Some);
        let config = Config {
            task_distribution: TaskDistribution { cores_per_node, threads_per_core, cores_per_task, gpus_per_node, gpus_per_task },
            ..Config::default()
        };
        let command_line = CommandLine { workers, ..CommandLine::default() };
        let Ok(plan) = Plan::resolve(&config, &command_line, &machine, Path::new("/")) else { return Ok(()) };
        prop_assert!(!plan.workers.is_empty());
        let known: HashSet<i32> = machine.cores.iter().flatten().copied().collect();
        let (mut cpus, mut gpus) = (HashSet::new(), HashSet::new());
        let pinned = plan.workers[0].cores.is_some();
        for worker in &plan.workers {
            prop_assert_eq!(worker.cores.is_some(), pinned);
            for &cpu in worker.cores.iter().flatten() {
                prop_assert!(known.contains(&cpu) && cpus.insert(cpu));
            }
            if pinned {
                prop_assert_eq!(worker.cores.as_ref().map(Vec::len), usize::try_from(plan.task_distribution.cores_per_task).ok());
            }
            for &gpu in &worker.gpus {
                prop_assert!(gpu < plan.task_distribution.gpus_per_node && gpus.insert(gpu));
            }
        }
        let fits = plan.workers.len() * usize::try_from(plan.task_distribution.cores_per_task).unwrap() <= known.len();
        prop_assert_eq!(pinned, fits && machine.limiting_quota().is_none());
    }
}

/// The plan of a whole configuration.
fn plan_of_file(text: &str, machine: &Machine) -> Result<Plan, String> {
    let config = Config::parse("c", text.as_bytes()).unwrap();
    Plan::resolve(&config, &CommandLine::default(), machine, Path::new("/submit"))
        .map_err(|error| error.to_string())
}

#[test]
fn memory_limits_workers() {
    let machine = Machine { memory_limit_bytes: Some(5 << 30), ..machine(&[1; 4]) };
    let plan = plan_of_file("memory_per_task: 2G", &machine).unwrap();
    assert_eq!(plan.workers.len(), 2);
    assert_eq!(plan.arithmetic.last().unwrap(), "workers: 4, limited by the memory to 2");
    assert_eq!(plan_of_file("memory_per_task: 1G", &machine).unwrap().workers.len(), 4);
    let error = plan_of_file("memory_per_task: 6G", &machine).unwrap_err();
    assert_eq!(error, "memory_per_task is 6.00G and there are 5.00G; give 5.00G or less");
}

#[test]
fn gpus_are_those_that_may_be_seen() {
    let machine = machine(&[1; 4]).with_gpus(Some(vec![2, 3]));
    let plan = plan_of_file("task_distribution: {gpus_per_task: 1}", &machine).unwrap();
    let gpus: Vec<_> = plan.workers.iter().map(|worker| worker.gpus.clone()).collect();
    assert_eq!(gpus, [[2], [3]]);
}

#[test]
fn tasks_are_pinned_where_somebody_asked_for_it() {
    let pins = |text: &str, machine: &Machine| plan_of_file(text, machine).unwrap().pin_cores;
    let laptop = machine(&[1; 4]);
    let in_slurm = Machine { is_in_slurm: true, ..laptop.clone() };
    assert!(!pins("", &laptop));
    assert!(pins("", &in_slurm));
    assert!(pins("task_distribution: {cores_per_task: 1}", &laptop));
    assert!(pins("pin_cores: true", &laptop));
    assert!(!pins("pin_cores: false", &in_slurm));
}

#[test]
fn limits_that_contradict_themselves_are_refused() {
    for (text, said) in [
        ("max_failures: 0", "`max_failures` is 0; give 1 or more, or leave it out for no limit"),
        (
            "enforce_memory: true",
            "`enforce_memory` is true, and no `memory_per_task` is given; give for instance `memory_per_task: 2G`",
        ),
        ("retry_backoff: 0.5", "`retry_backoff` is 0.5; give 1 for equal pauses, or up to 100"),
    ] {
        assert_eq!(plan_of_file(text, &machine(&[1])).unwrap_err(), said);
    }
    let limits = plan_of_file("stop_on_error: true", &machine(&[1])).unwrap().limits;
    assert_eq!(limits.max_failures, Some(1));
}
