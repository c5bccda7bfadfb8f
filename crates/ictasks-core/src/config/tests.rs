use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("c.yaml", text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn the_example_of_the_documentation() {
    let text = r#"
job_id: my_job
task_distribution:
    cores_per_node: 1

tasks:
    items:
    - id: 0
      launch_cmd: "echo 'hello from task 0'"
    - id: 1
      launch_cmd: "echo 'hello from task 1'"
"#;
    let config = parse(text).unwrap();
    assert_eq!(config.job_id.as_deref(), Some("my_job"));
    assert_eq!(config.task_distribution.cores_per_node, Some(1));
    let tasks = config.tasks.unwrap().0;
    assert_eq!(tasks[1].id.as_deref(), Some("1"));
    assert_eq!(tasks[1].launch_cmd, "echo 'hello from task 1'");
}

#[test]
fn all_keys() {
    let text = r"
x-mine: {anything: [1]}
labels: {project: p7, nested: {a: [1, 2.5]}}
environment: {A: 1.10, B: true, C: 'x', D: 0x10}
stdout_filename: out
stderr_filename: out
shell: /bin/bash -o pipefail
call_server: python -m 'my server'
cwd: submit
sample_interval: 500ms
retries: 2
retry_delay: 5s
retry_backoff: 1.5
timeout: 1h30m
kill_grace: 2
expected_outputs: [out.h5, sub/log.txt]
max_failures: 3
stop_on_error: true
stop_if_none_succeed: 20
stopping_conditions: [{stopmagic: STOP, stopfile: log.txt}, {stopfile: STOP}]
memory_per_task: 1.5G
enforce_memory: true
max_output: {stdout: 10M, stderr: none}
task_files: failed
gpu_binding: visible_devices
pin_cores: false
check_slurm: false
slurm_job: {id: 17, nodes: [c1, 2]}
tasks:
- launch_cmd: true
- {id: a.b, launch_cmd: echo 1, params: {lr: 0.5, n: 3, name: x, on: true}, environment: {N: 4}, x-own: 1}
- {launch_cmd: a, retries: 1, timeout: 90, expected_outputs: b}
- {launch_cmd: f(3), call: /c/1}
";
    let config = parse(text).unwrap();
    let environment: Vec<&str> = config.environment.values().map(String::as_str).collect();
    assert_eq!(environment, ["1.10", "true", "x", "0x10"]);
    assert_eq!(config.labels["nested"]["a"][1], 2.5);
    assert_eq!(config.stdout_filename, config.stderr_filename);
    assert_eq!(config.cwd, WorkingDirectory::Submit);
    assert_eq!(config.sample_interval_s, Some(0.5));
    assert_eq!((config.retries, config.retry_delay_s, config.retry_backoff), (Some(2), Some(5.0), Some(1.5)));
    assert_eq!((config.timeout_s, config.kill_grace_s), (Some(5400.0), Some(2.0)));
    assert_eq!(config.expected_outputs, ["out.h5", "sub/log.txt"]);
    assert_eq!((config.max_failures, config.stop_if_none_succeed), (Some(3), Some(20)));
    let conditions = config.stopping_conditions.as_ref().unwrap();
    assert_eq!((conditions[0].stopmagic.as_deref(), conditions[1].stopfile.as_str()), (Some("STOP"), "STOP"));
    assert_eq!((config.memory_per_task_bytes, config.enforce_memory), (Some(3 << 29), Some(true)));
    let limits = OutputLimits { stdout_bytes: Some(10 << 20), stderr_bytes: None };
    assert_eq!(config.max_output.limits(), limits);
    assert_eq!((config.task_files, config.pin_cores), (TaskFiles::Failed, PinCores::False));
    assert_eq!(config.gpu_binding, Some(GpuBinding::VisibleDevices));
    let job = config.slurm_job.as_ref().unwrap();
    assert_eq!((job.id.as_deref(), &job.nodes[..]), (Some("17"), &["c1".to_owned(), "2".to_owned()][..]));
    let tasks = &config.tasks.as_ref().unwrap().0;
    assert_eq!(tasks[0].launch_cmd, "true");
    assert_eq!(serde_json::to_string(&tasks[1].params).unwrap(), r#"{"lr":0.5,"n":3,"name":"x","on":true}"#);
    assert_eq!((tasks[2].retries, tasks[2].timeout_s), (Some(1), Some(90.0)));
    assert_eq!(tasks[2].expected_outputs.as_deref(), Some(&["b".to_owned()][..]));
    assert!(config.asks_for_slurm());
    assert_eq!(config.call_server.as_deref(), Some(&["python", "-m", "my server"].map(str::to_owned)[..]));
    assert_eq!(tasks[3].call.as_deref(), Some(Path::new("/c/1")));
    assert!(notes_for_old_files(&config).len() >= 5);
    assert!(notes_for_old_files(&Config::default()).is_empty());
}

#[test]
fn nodes_may_be_one_text() {
    let config = parse("slurm_job: {nodes: 'c[1-4]'}").unwrap();
    assert_eq!(config.slurm_job.unwrap().nodes, ["c[1-4]"]);
}

#[test]
fn durations() {
    for (typed, seconds) in [
        ("2", 2.0),
        ("0", 0.0),
        ("0.25", 0.25),
        ("2s", 2.0),
        ("1.5 s", 1.5),
        ("20ms", 0.02),
        ("3m", 180.0),
        ("1h30m", 5400.0),
        ("1d 2h", 93_600.0),
        ("1m30.5s", 90.5),
    ] {
        let config = parse(&format!("sample_interval: {typed}")).unwrap();
        assert!((config.sample_interval_s.unwrap() - seconds).abs() < 1e-9, "{typed}");
    }
}

/// What is wrong, and what is said about it.
const BAD_INPUT: &[(&str, &str)] = &[
    ("a", "1:1: expected a map of keys and values, not the text \"a\""),
    ("tasks:\n\t- id: 1\n", "2:1: a tab in the indentation; YAML wants spaces there"),
    (
        "tasks:\n- id: 0\n  launch_cmd: \"a\n  b",
        "4:4: found unexpected end of stream, while scanning a quoted scalar at line 3 column 15",
    ),
    (
        "tasks:\n- {launch_cmd: f(), call: /c}\n",
        "2:16: the task is a `call`, and there is no `call_server`; give one in the configuration, for instance \
         `call_server: python -m ictasks._call_server`",
    ),
    (
        "call_server: x\ntasks: [{launch_cmd: f(), call: c}]",
        "2:33: `tasks[0].call`: `c` is no absolute path; give the file of the call from `/` on",
    ),
    ("call_server: []", "1:14: `call_server`: the list of words is empty; give a program"),
    ("jobid: x", "1:1: unknown key `jobid`; did you mean `job_id`? (keys of your own begin with `x-`)"),
    (
        "task_distribution:\n  cores_per_nod: 1",
        "2:3: `task_distribution`: unknown key `cores_per_nod`; did you mean `cores_per_node`? (keys of your own begin with `x-`)",
    ),
    (
        "slurm_job: {zzz: 3}",
        "1:13: `slurm_job`: unknown key `zzz`; known here are `id`, `nodes` (keys of your own begin with `x-`)",
    ),
    ("job_id: a\njob_id: b", "2:1: the key `job_id` stands here a second time; give it once"),
    ("job_id: [a]", "1:9: `job_id`: expected a text, not a list"),
    ("tasks: []", "1:8: there are no tasks; give at least one"),
    ("tasks: {items: []}", "1:8: there are no tasks; give at least one"),
    ("job_id: a\ntasks:\n", "2:7: there are no tasks; give at least one"),
    (
        "tasks: 3",
        "1:8: `tasks`: expected a list of tasks, or a map with the list under `items`, not the number `3`",
    ),
    ("tasks:\n- id: a", "2:3: `tasks[0]`: the key `launch_cmd` is missing; add it"),
    ("tasks:\n- {launch_cmd: [a]}", "2:16: `tasks[0].launch_cmd`: expected a command, not a list"),
    (
        "tasks:\n- {launch_cmd: ''}",
        "2:16: `tasks[0].launch_cmd`: the command is empty; give one, or leave the task out",
    ),
    (
        "tasks:\n- {id: true, launch_cmd: a}",
        "2:8: `tasks[0].id`: an id that reads as the truth value `true`; put it in quotes",
    ),
    (
        "tasks:\n- {id: 1.5, launch_cmd: a}",
        "2:8: `tasks[0].id`: an id that reads as `1.5`, which is not whole or too large; put it in quotes",
    ),
    (
        "tasks:\n- {id: ../x, launch_cmd: a}",
        "2:8: `tasks[0].id`: the id `../x` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, and not `.` or `..`",
    ),
    (
        "tasks:\n- {id: x, launch_cmd: a}\n- {id: x, launch_cmd: a}",
        "3:8: the id `x` was given in line 2 already; each task needs its own",
    ),
    (
        "tasks:\n  items:\n  - {id: 1, launch_cmd: a}\n  - {launch_cmd: b}",
        "4:18: the id `1` was given in line 3 already; each task needs its own",
    ),
    (
        "task_distribution: {cores_per_node: -1}",
        "1:37: `task_distribution.cores_per_node`: `-1` is impossible; give a whole number, 0 or more",
    ),
    (
        "task_distribution: {cores_per_node: two}",
        "1:37: `task_distribution.cores_per_node`: the text \"two\" is no number; give a whole number, 0 or more",
    ),
    (
        "task_distribution: {gpus_per_task: 0.5}",
        "1:36: `task_distribution.gpus_per_task`: `0.5` is not whole; give a whole number, 0 or more",
    ),
    (
        "task_distribution: 3",
        "1:20: `task_distribution`: expected a map of keys and values, not the number `3`",
    ),
    (
        "environment: {A=: 1}",
        "1:15: `environment`: `A=` cannot be the name of an environment variable; leave out `=` and NUL",
    ),
    ("environment: {A: 1, A: 2}", "1:21: `environment`: the key `A` stands here a second time; give it once"),
    ("environment: {A: [1]}", "1:18: `environment.A`: expected a text or a number, not a list"),
    ("labels: {a: 1, a: 2}", "1:16: `labels`: the key `a` stands here a second time; give it once"),
    (
        "stdout_filename: a/b",
        "1:18: `stdout_filename`: `a/b` is no plain file name; it stands in the task's directory, without `/`",
    ),
    (
        "stdout_filename: task.json",
        "1:18: `stdout_filename`: the file name `task.json` is in use by ictasks itself; choose another",
    ),
    ("shell: ''", "1:8: `shell`: the command is empty"),
    (
        "shell: 3",
        "1:8: `shell`: expected `auto`, `true`, `false` or a program with options, not the number `3`",
    ),
    ("shell: no", "1:8: `shell`: `no` is no program; give `auto`, `true` or `false`"),
    (
        "environment: {A: null}",
        "1:14: `environment`: a value is missing; give a text, if need be `''`, or a number",
    ),
    ("tasks:\n- {launch_cmd: ~}", "2:3: `tasks[0]`: a command is missing; give one"),
    ("expected_outputs: [a, null]", "1:19: `expected_outputs`: number 2 of the list is missing; give a text"),
    ("job_id: a\nexpected_outputs: ''", "2:19: `expected_outputs`: the name of a file is empty; give one"),
    ("cwd: home", "1:6: `cwd`: `home` is unknown here; it is one of `task` or `submit`"),
    ("task_files: some", "1:13: `task_files`: `some` is unknown here; it is one of `all`, `failed`, `none`"),
    (
        "sample_interval: 30m1h",
        "1:18: `sample_interval`: `30m1h` is no duration; give seconds such as `2`, `0.5`, `500ms` or `90s`, or `1h30m`, 0 or more",
    ),
    (
        "sample_interval: -1",
        "1:18: `sample_interval`: `-1` is no duration; give seconds such as `2`, `0.5`, `500ms` or `90s`, or `1h30m`, 0 or more",
    ),
    (
        "memory_per_task: 2000",
        "1:18: `memory_per_task`: `2000` is no size; give a number with its unit (K, M, G or T), such as `2G`",
    ),
    ("memory_per_task: 0G", "1:18: `memory_per_task`: `0G` is no memory to run in; give for instance `2G`"),
    ("max_output: 1K", "1:13: `max_output`: `1K` is too little; give 64K or more, or `none` for no limit"),
    ("retries: -1", "1:10: `retries`: `-1` is impossible; give a whole number, 0 or more"),
    ("pin_cores: maybe", "1:12: `pin_cores`: give `auto`, `true` or `false`"),
    ("stop_on_error: maybe", "1:16: `stop_on_error`: expected `true` or `false`, not the text \"maybe\""),
    ("stopping_conditions: {}", "1:22: `stopping_conditions`: expected a list, not a map"),
    (
        "tasks:\n- {launch_cmd: a, params: {1a: 3}}",
        "2:28: `tasks[0].params`: `1a` cannot be the name of a parameter; a letter comes first, then letters, digits and `_`",
    ),
    (
        "tasks:\n- {launch_cmd: a, params: {a: 3, A: 1}}",
        "2:34: `tasks[0].params`: the key `A` stands here a second time; give it once",
    ),
    (
        "tasks:\n- {launch_cmd: a, params: {a: [3]}}",
        "2:31: `tasks[0].params.a`: expected a number, a text or a truth value, not a list",
    ),
];

#[test]
fn bad_input_is_named_with_its_place_and_what_would_be_right() {
    for (text, message) in BAD_INPUT {
        assert_eq!(parse(text).unwrap_err(), format!("c.yaml:{message}"), "{text}");
    }
}

#[test]
fn other_encodings_are_refused() {
    let error = Config::parse("c.yaml", b"job_id: a\nlabels: {a: \xe4}\n").unwrap_err();
    let message =
        "c.yaml:2:13: is not UTF-8 (byte 13 of the line); convert it, for instance with `iconv -t UTF-8`";
    assert_eq!(error.to_string(), message);
}

#[test]
fn missing_files_and_directories_are_refused() {
    for path in ["/no/such/file", "/"] {
        let error = Config::read(std::path::Path::new(path)).unwrap_err();
        assert_eq!(error.to_string(), format!("{path}: cannot be read"));
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse(""), Ok(Config::default()));
    assert_eq!(parse("# nothing\n"), Ok(Config::default()));
}

#[test]
fn the_schema_knows_all_keys_and_admits_own_ones() {
    let schema = json_schema();
    for key in ["job_id", "tasks", "sample_interval", "slurm_job"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["patternProperties"]["^x-"], true);
    assert_eq!(schema["$defs"]["Task"]["required"], serde_json::json!(["launch_cmd"]));
    assert_eq!(schema["$defs"]["Task"]["patternProperties"]["^x-"], true);
}

/// The keys of a configuration, from its schema.
fn keys() -> Vec<String> {
    let schema = json_schema();
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

/// Values such as users type, right for some keys and wrong for others.
const VALUES: &[&str] = &[
    "1",
    "-1",
    "0.5",
    "true",
    "auto",
    "none",
    "2G",
    "90s",
    "1h30m",
    "text",
    "''",
    "null",
    "[]",
    "[a, 1]",
    "{}",
    "{stdout: 1M}",
    "{stderr: none, stdout: 64K}",
    "{cores_per_task: 2}",
    "[{stopfile: a}]",
    "[{launch_cmd: x}]",
    "{items: [{launch_cmd: x, id: 3}]}",
    "1e999",
    "9223372036854775808",
    "~",
    "!!binary x",
    "&a [*a]",
    "\"\\0\"",
];

proptest! {
    #[test]
    fn any_value_of_any_key_is_taken_or_refused_with_its_place(
        picks in prop::collection::vec((0_usize..1000, 0_usize..1000), 1..6)
    ) {
        let keys = keys();
        let line = |(key, value): &(usize, usize)| {
            format!("{}: {}\n", keys[key % keys.len()], VALUES[value % VALUES.len()])
        };
        let text: String = picks.iter().map(line).collect();
        if let Err(error) = Config::parse("my.yaml", text.as_bytes()) {
            let message = error.to_string();
            let place = message.strip_prefix("my.yaml:").and_then(|rest| rest.split(':').next());
            let line = place.and_then(|line| line.parse::<usize>().ok());
            prop_assert!(line.is_some_and(|line| (1..=picks.len() + 1).contains(&line)), "{message}\n{text}");
        }
    }

    #[test]
    fn durations_and_sizes_mean_what_their_units_say(days in 0_u32..9, hours in 0_u32..24, minutes in 0_u32..60, seconds in 1_u32..60) {
        let config = parse(&format!("timeout: {days}d{hours}h{minutes}m{seconds}s\nmemory_per_task: {seconds}G")).unwrap();
        let expected = f64::from(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
        prop_assert_eq!(config.timeout_s, Some(expected));
        prop_assert_eq!(config.memory_per_task_bytes, Some(i64::from(seconds) << 30));
    }
}
