//! Every figure of the record is true: what the subject program did stands in `tasks.parquet`,
//! `attempts.parquet`, `events.parquet` and `task.json` alike.

use ictasks_tests::programs::subject;
use ictasks_tests::{FAILED, Finished, Record, SUCCEEDED, Source, farm, process_exists};
use serde_json::{Value, json};

const MIB: f64 = 1_048_576.0;

/// A command line of the subject program.
fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

/// Asserts that every place of the record says the same of a task, and hands out one after the
/// other.
fn everywhere(record: &Record, id: &str, check: impl Fn(&Source)) {
    let sources = record.sources(id);
    for source in &sources {
        check(source);
        for (figure, value) in &source.figures {
            let Some(expected) = sources[0].figures.get(figure) else {
                continue;
            };
            let is_same = match (value.as_f64(), expected.as_f64()) {
                // The difference of two times in seconds since the epoch is exact to a microsecond.
                (Some(one), Some(other)) => (one - other).abs() <= 2e-6,
                _ => value == expected,
            };
            assert!(is_same, "{}: `{figure}` of task {id} is {value}, not {expected}", source.name);
        }
    }
}

/// Asserts these figures in every place of the record.
fn says(record: &Record, id: &str, expected: &Value) {
    everywhere(record, id, |source| {
        for (figure, value) in expected.as_object().expect("an object of figures") {
            assert_eq!(source.get(figure), value, "{}: `{figure}` of task {id}", source.name);
        }
    });
}

/// Asserts that a figure lies in a range, in every place of the record.
fn lies(record: &Record, id: &str, figure: &str, least: f64, most: f64) {
    everywhere(record, id, |source| {
        let value = source.number(figure);
        assert!(
            (least..=most).contains(&value),
            "{}: `{figure}` of task {id} is {value}, not in {least}..={most}",
            source.name
        );
    });
}

/// Asserts the CPU time of a task, user and system together.
fn used_cpu(record: &Record, id: &str, least: f64, most: f64) {
    everywhere(record, id, |source| {
        let used = source.number("user_s") + source.number("system_s");
        assert!((least..=most).contains(&used), "{}: task {id} used {used} s", source.name);
    });
}

#[test]
fn exit_codes() {
    let run = farm().tasks(["true", "false", "sh -c 'exit 255'", "exit 137"]).run().expect(FAILED);
    for (id, outcome, code) in
        [("0", "succeeded", 0), ("1", "failed", 1), ("2", "failed", 255), ("3", "failed", 137)]
    {
        says(&run.record, id, &json!({"outcome": outcome, "exit_code": code, "signal": null}));
        assert_eq!(run.record.task_json(id)["return_code"], code);
        assert_eq!(run.record.task_json(id)["state"], "finished");
    }
}

#[test]
fn signals() {
    let signals = [("KILL", libc::SIGKILL), ("SEGV", libc::SIGSEGV), ("TERM", libc::SIGTERM)];
    let tasks = signals.map(|(name, _)| does(&format!("signal {name}")));
    let run = farm().tasks(tasks).run().expect(FAILED);
    for (index, (_, number)) in signals.into_iter().enumerate() {
        let id = index.to_string();
        let expected = json!({"outcome": "signaled", "exit_code": null, "signal": number});
        says(&run.record, &id, &expected);
        assert_eq!(run.record.task_json(&id)["return_code"], -number);
    }
}

#[test]
fn memory_of_one_process() {
    let run = farm().tasks([does("touch 200")]).run().expect(SUCCEEDED);
    lies(&run.record, "0", "max_process_rss_bytes", 200.0 * MIB, 206.0 * MIB);
}

#[test]
fn memory_of_a_tiny_program() {
    let run = farm().tasks(["/bin/true"]).run().expect(SUCCEEDED);
    lies(&run.record, "0", "max_process_rss_bytes", 1.0, 3.0 * MIB);
    everywhere(&run.record, "0", |source| {
        assert!(source.number("rss_floor_bytes") <= source.number("max_process_rss_bytes"));
    });
}

#[test]
fn memory_of_a_tiny_program_in_a_long_run() {
    let count = 20_000;
    let run = farm().tasks(vec!["/bin/true"; count]).run().expect(SUCCEEDED);
    for table in ["tasks", "attempts", "events"] {
        let memory = run.record.column(table, "max_process_rss_bytes");
        let figures: Vec<i64> = memory.iter().filter_map(Value::as_i64).collect();
        assert_eq!(figures.len(), count, "{table}");
        let largest = figures.into_iter().max().unwrap_or(i64::MAX);
        assert!(largest <= 3 << 20, "{table}: {largest} bytes");
    }
    let samples = run.record.column("samples", "scope");
    assert!(samples.contains(&json!("host")), "sampling was on");
    let last = run.record.task_json("19999");
    let memory = last["usage"]["max_process_rss_bytes"].as_i64();
    assert!(memory.is_some_and(|bytes| bytes <= 3 << 20), "{memory:?}");
}

#[test]
fn memory_and_time_of_a_child_of_a_killed_task() {
    let waited_for = format!("sh -c '{}; {}; kill -KILL $$'", does("touch 100"), does("cpu 0.5"));
    let run = farm().tasks([does("orphan 100 0.5"), waited_for]).run().expect(FAILED);
    for (id, left_behind) in [("0", 1), ("1", 0)] {
        let expected = json!({
            "outcome": "signaled", "signal": libc::SIGKILL, "leftover_process_count": left_behind,
        });
        says(&run.record, id, &expected);
        lies(&run.record, id, "max_process_rss_bytes", 100.0 * MIB, 106.0 * MIB);
        used_cpu(&run.record, id, 0.5, 0.75);
    }
}

#[test]
fn cpu_time_of_one_process_and_of_children() {
    let run = farm().tasks([does("cpu 0.5"), does("cpu-children 3 0.5")]).run().expect(SUCCEEDED);
    used_cpu(&run.record, "0", 0.5, 0.55);
    used_cpu(&run.record, "1", 0.5, 0.55);
}

#[test]
fn bytes_written_and_read() {
    let run = farm().tasks([does("write-read file 10")]).run().expect(SUCCEEDED);
    for figure in ["syscall_write_bytes", "syscall_read_bytes"] {
        everywhere(&run.record, "0", |source| {
            // Null is the honest answer of a kernel that does not tell.
            let Some(bytes) = source.get(figure).as_f64() else {
                assert!(source.get(figure).is_null());
                return;
            };
            assert!((10.0 * MIB..=10.1 * MIB).contains(&bytes), "{}: {bytes}", source.name);
        });
    }
    let (tasks, attempts) = (run.record.task("0"), run.record.attempt("0"));
    assert_eq!(tasks["write_call_count"], attempts["write_call_count"]);
    assert!(std::path::Path::new("/proc/self/io").exists() != tasks["syscall_write_bytes"].is_null());
}

#[test]
fn bytes_of_output() {
    let run = farm().tasks(["sh -c 'printf 12345; printf 123 >&2'"]).run().expect(SUCCEEDED);
    says(&run.record, "0", &json!({"stdout_bytes": 5, "stderr_bytes": 3}));
}

#[test]
fn wall_time() {
    let run = farm().tasks([does("sleep 0.25")]).run().expect(SUCCEEDED);
    lies(&run.record, "0", "wall_s", 0.25, 60.0);
    let row = run.record.task("0");
    let at = |column: &str| row[column].as_f64().expect("a time") / 1e6;
    let wall_s = row["wall_s"].as_f64().expect("a number");
    assert!((at("finished_at") - at("started_at") - wall_s).abs() < 2e-6);
    let wait_s = row["wait_s"].as_f64().expect("a number");
    assert!((at("started_at") - at("ready_at") - wait_s).abs() < 2e-6);
    assert_eq!(row["total_wall_s"], row["wall_s"]);
}

#[test]
fn wait_is_the_time_before_the_start() {
    let run = farm().workers(1).tasks(["sleep 0.3", "true"]).run().expect(SUCCEEDED);
    lies_in_tables(&run, "1", "wait_s", 0.3, 60.0);
}

fn lies_in_tables(run: &Finished, id: &str, figure: &str, least: f64, most: f64) {
    for source in &run.record.sources(id)[..3] {
        let value = source.number(figure);
        assert!((least..=most).contains(&value), "{}: `{figure}` is {value}", source.name);
    }
}

#[test]
fn what_is_left_behind_is_ended_and_charged() {
    let kinds = ["plain", "setsid", "daemon"];
    let mut tasks: Vec<String> = kinds.map(|kind| does(&format!("leave {kind} pid 0.3"))).into();
    tasks.extend(vec![does("sleep 0.05"); 20]);
    let run = farm().workers(4).tasks(tasks).run().expect(SUCCEEDED);
    for (index, kind) in kinds.iter().enumerate() {
        let id = index.to_string();
        says(&run.record, &id, &json!({"outcome": "succeeded", "leftover_process_count": 1}));
        used_cpu(&run.record, &id, 0.3, 0.5);
        let pid: i64 = run.record.read(&id, "pid").parse().expect("a process id");
        assert!(!process_exists(pid), "the process that `leave {kind}` left still runs");
    }
    for id in 3..23 {
        let id = id.to_string();
        says(&run.record, &id, &json!({"leftover_process_count": 0}));
        used_cpu(&run.record, &id, 0.0, 0.1);
    }
}

#[test]
fn what_ignores_sigterm_is_ended_too() {
    let task = format!("{} & while [ ! -e pid ]; do sleep 0.01; done", does("stubborn pid"));
    let run = farm().tasks([task]).run().expect(SUCCEEDED);
    says(&run.record, "0", &json!({"leftover_process_count": 1, "exit_code": 0}));
    let pid: i64 = run.record.read("0", "pid").parse().expect("a process id");
    assert!(!process_exists(pid));
}

#[test]
fn tails_of_the_output_of_a_failure() {
    let long = "sh -c 'seq 1 2000; echo the end; echo cannot open mesh.dat >&2; exit 4'";
    let run = farm().tasks([long, "echo fine"]).run().expect(FAILED);
    for source in &run.record.sources("0")[..3] {
        assert_eq!(source.get("stderr_tail"), "cannot open mesh.dat\n", "{}", source.name);
        let tail = source.get("stdout_tail").as_str().expect("a text");
        assert!(tail.len() <= 2048 && tail.ends_with("2000\nthe end\n"), "{tail}");
    }
    for source in &run.record.sources("1")[..3] {
        assert!(source.get("stdout_tail").is_null() && source.get("stderr_tail").is_null());
    }
}

#[test]
fn samples_of_a_tree() {
    let task = format!("sh -c '{} & {}; true'", does("linger 80 0 pid"), does("sleep 2.5"));
    let run = farm().tasks([task]).run().expect(SUCCEEDED);
    let samples = run.record.table("samples").rows;
    let of_task: Vec<_> = samples.iter().filter(|row| row["scope"] == "task").collect();
    assert!(of_task.len() >= 2, "an early sample and one a second: {}", of_task.len());
    for sample in &of_task {
        assert_eq!((&sample["task_id"], &sample["attempt"]), (&json!("0"), &json!(1)));
    }
    let sampled = of_task.iter().filter_map(|row| row["rss_bytes"].as_f64()).fold(0.0, f64::max);
    lies(&run.record, "0", "max_tree_rss_bytes", 80.0 * MIB, 110.0 * MIB);
    lies(&run.record, "0", "max_tree_rss_bytes", sampled, sampled);
    says(&run.record, "0", &json!({"sample_count": of_task.len()}));
    let counts = |figure: &str| of_task.iter().filter_map(|row| row[figure].as_i64()).max();
    assert_eq!(counts("process_count"), Some(3));
    let of_hosts = samples.iter().filter(|row| row["scope"] == "host");
    for sample in of_hosts {
        assert!(sample["memory_total_bytes"].as_f64() > sample["rss_bytes"].as_f64());
        assert!(sample["task_id"].is_null());
    }
}
