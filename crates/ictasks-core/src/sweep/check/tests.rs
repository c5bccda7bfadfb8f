use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::sweep::{PointTable, SweepFiles};
use crate::task_list::{TaskListFormat, TaskReader};

struct NoFiles;

impl SweepFiles for NoFiles {
    fn matching(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn open(&self, path: &Path) -> Result<Box<dyn PointTable>, InputError> {
        Err(InputError::Unreadable { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() })
    }
}

/// What becomes of a configuration: its tasks, or what is wrong.
fn tasks_of(text: &str) -> Result<(Vec<Task>, ListSummary), String> {
    let config = Config::parse("c.yaml", text.as_bytes()).map_err(|error| error.to_string())?;
    let files: Arc<dyn SweepFiles> = Arc::new(NoFiles);
    let submit_dir = Path::new("/s");
    let expansion = Expansion::of(&config, &files, submit_dir).map_err(|error| error.to_string())?;
    let expansion = expansion.ok_or("there is no sweep")?;
    let typed = || Ok(TaskSource::from_config(&config, submit_dir).unwrap_or_default().for_sweep());
    // Short runs, so that hashes are spilled.
    let summary = expansion.validate_with(typed, 3).map_err(|errors| errors.to_string())?;
    let mut source = typed().map_err(|error: InputError| error.to_string())?.swept(&expansion);
    let mut tasks = Vec::new();
    while let Some(batch) = source.next_batch() {
        tasks.extend(batch.map_err(|error| error.to_string())?);
    }
    Ok((tasks, summary))
}

fn refused(text: &str) -> String {
    tasks_of(text).map(|(tasks, _)| tasks.len()).unwrap_err()
}

#[test]
fn a_command_and_its_points() {
    let text = "launch_cmd: sim {x} {n}\nsweep: {grid: {x: [0.1, a b], n: [1, 2]}}\nretries: 1\n";
    let (tasks, summary) = tasks_of(text).unwrap();
    assert_eq!((summary.task_count, summary.first.len(), summary.warnings.len()), (4, 4, 0));
    let shown: Vec<_> =
        tasks.iter().map(|task| (task.index, task.id.as_str(), task.command.as_str())).collect();
    assert_eq!(
        shown,
        [
            (0, "x=0.1,n=1", "sim 0.1 1"),
            (1, "x=0.1,n=2", "sim 0.1 2"),
            (2, "x=a_b,n=1", "sim 'a b' 1"),
            (3, "x=a_b,n=2", "sim 'a b' 2"),
        ]
    );
    assert!(tasks.iter().all(|task| task.id_is_given && task.environment.is_empty()));
    assert_eq!(tasks[3].params_json.as_deref(), Some(r#"{"x":"a b","n":2}"#));
    assert_eq!(tasks[0].command_hash, crate::task::command_hash("sim 0.1 1"));
}

#[test]
fn tasks_with_ids_and_parameters_of_their_own() {
    let text = "
tasks:
- {id: prep, launch_cmd: prepare, params: {kind: a}, environment: {A: 1}, timeout: 5}
- {id: 'run-{x}', launch_cmd: 'run {x}'}
- {launch_cmd: 'end {x}'}
sweep: {grid: {x: [1, 2]}}
";
    let (tasks, summary) = tasks_of(text).unwrap();
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
    let by_line = format!("x=1@{:08x}", crate::task::fnv1a(b"end {x}") as u32);
    assert_eq!(ids[..5], ["prep,x=1", "prep,x=2", "run-1", "run-2", &by_line]);
    assert_eq!((summary.task_count, tasks[5].index), (6, 5));
    assert_eq!(tasks[1].params_json.as_deref(), Some(r#"{"kind":"a","x":2}"#));
    assert_eq!((tasks[1].environment["A"].as_str(), tasks[1].timeout_s), ("1", Some(5.0)));
}

#[test]
fn a_word_that_is_no_parameter_is_told_once() {
    let text = "tasks:\n- {id: a, launch_cmd: 'a {nn} {zzzz}'}\n- {id: b, launch_cmd: 'b {nn} ${n}'}\nsweep: {grid: {n: [1, 2]}}";
    let (_, summary) = tasks_of(text).unwrap();
    assert_eq!(
        summary.warnings,
        [
            "task a: `{nn}` is no parameter of the sweep and stays as it is; did you mean `{n}`? (`{{nn}}` is the text \
             itself)",
            "task a: `{zzzz}` is no parameter of the sweep and stays as it is; write `{{zzzz}}` if that is meant",
            "task b: `${n}` is left to the shell; the parameter is written `{n}`",
        ]
    );
}

#[test]
fn variables_and_expected_outputs_have_places() {
    let text = "
environment: {OUT: 'o-{x}', ALL: plain, TEXT: '{{x}} ${x}', OWN: 'all {x}'}
expected_outputs: ['out-{x}.txt', log]
tasks:
- {id: a, launch_cmd: run}
- {id: b, launch_cmd: run, environment: {OWN: 'b {x}', PLAIN: 1}, expected_outputs: ['{x}/b']}
sweep: {grid: {x: [a b, 1.5]}}
";
    let (tasks, _) = tasks_of(text).unwrap();
    let variables = |task: &Task| -> Vec<String> {
        task.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    let outputs = |task: &Task| task.expected_outputs.clone().unwrap().join(" ");
    assert_eq!(variables(&tasks[0]), ["OUT=o-a b", "OWN=all a b", "TEXT={x} ${x}"]);
    assert_eq!(outputs(&tasks[0]), "out-a b.txt log");
    assert_eq!(variables(&tasks[3]), ["OUT=o-1.5", "OWN=b 1.5", "PLAIN=1", "TEXT={x} ${x}"]);
    assert_eq!(outputs(&tasks[3]), "1.5/b");

    let plain = "launch_cmd: a\nenvironment: {A: 1}\nexpected_outputs: out\nsweep: {grid: {x: [1]}}";
    let (tasks, _) = tasks_of(plain).unwrap();
    assert!(tasks[0].environment.is_empty() && tasks[0].expected_outputs.is_none());
}

#[test]
fn words_in_variables_and_expected_outputs_are_told_with_their_key() {
    let text =
        "launch_cmd: a\nenvironment: {A: '{m} ${n}'}\nexpected_outputs: '{out}'\nsweep: {grid: {n: [1]}}";
    let (_, summary) = tasks_of(text).unwrap();
    assert_eq!(
        summary.warnings,
        [
            "c.yaml: `{m}` in `environment` is no parameter of the sweep and stays as it is; write `{{m}}` if that is meant",
            "c.yaml: `${n}` in `environment` stays as it is; the parameter is written `{n}`",
            "c.yaml: `{out}` in `expected_outputs` is no parameter of the sweep and stays as it is; write `{{out}}` if \
             that is meant",
        ]
    );
}

#[test]
fn a_word_in_a_line_has_its_column() {
    let config = Config::parse("c", b"sweep: {grid: {x: [1]}}").unwrap();
    let files: Arc<dyn SweepFiles> = Arc::new(NoFiles);
    let expansion = Expansion::of(&config, &files, Path::new("/s")).unwrap().unwrap();
    let told = |list: &'static str, format| {
        let reader = TaskReader::new(Box::new(list.as_bytes()), "list", format, Path::new("/s"));
        let mut expanded = Expanded::new(expansion.clone(), TaskSource::from_reader(reader));
        while expanded.next_batch().is_some() {}
        let warnings = expanded.take_warnings();
        warnings.iter().map(|told| told.split(" is ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let list = "# {no}\n  echo \u{fc}{x} {y}\necho ${x} {z}\n";
    assert_eq!(
        told(list, TaskListFormat::Lines),
        ["list:2:13: `{y}`", "list:3:6: `${x}`", "list:3:11: `{z}`"]
    );
    // Where it stands in the text of a JSON document is another matter.
    assert_eq!(told(r#"{"launch_cmd": "echo {y}"}"#, TaskListFormat::JsonLines), ["list:1: `{y}`"]);
}

#[test]
fn ids_that_come_twice_are_refused_with_what_would_be_right() {
    for (text, message) in [
        (
            "launch_cmd: a\nid: 'x{x}'\nsweep: {grid: {x: [1, 2], n: [1, 2]}}",
            "c.yaml:2:5: the id `x1` comes of two points, x=1 n=1 and x=1 n=2; put `{n}` into the template `id:`",
        ),
        (
            "launch_cmd: a\nsweep: {grid: {x: [a b, a_b]}}",
            "c.yaml:2:8: the id `x=a_b` comes of two points, x=a b and x=a_b; an id has only letters, digits and `. _ - = , \
             + @ :`, all else becomes `_`; give a template `id:` with a parameter that differs in these, such as `id: \
             \"{name}\"`",
        ),
        (
            "launch_cmd: a\nsweep: {grid: {x: [1, 1]}}",
            "c.yaml:2:8: the id `x=1` comes of two points, x=1 and x=1; each point may come once; leave one out",
        ),
        (
            "tasks: [{launch_cmd: 'a {x}'}, {launch_cmd: 'b {x}'}]\nid: 'x{x}'\nsweep: {grid: {x: [1]}}",
            "c.yaml:2:5: the id `x1` comes of two points, x=1 and x=1; give each line an id of its own (JSON lines, \
             `tasks:`)",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
}

#[test]
fn what_is_wrong_has_its_place_and_its_point() {
    for (text, message) in [
        (
            "launch_cmd: a\nid: 'x{y}'\nsweep: {grid: {x: [1], n: [2]}}",
            "c.yaml:2:5: `id`: `{y}` is no parameter of the sweep; its parameters are `x`, `n`",
        ),
        (
            "launch_cmd: eval {x}\nsweep: {grid: {x: [1, a b]}}",
            "c.yaml:1:13: the value `a b` of `x` cannot be written there (in backquotes, here-documents, comments, \
             arithmetic, behind `case` or `eval`, or for a shell unlike sh); write `\"$ICTASKS_PARAM_X\"` instead of \
             `{x}` (at x=a b)",
        ),
        (
            "tasks: [{id: a, launch_cmd: a, params: {X: 1}}]\nsweep: {grid: {x: [1]}}",
            "task a: the parameter `X` is among `params` of the task and in the sweep; give it once",
        ),
        (
            "launch_cmd: a\nexpected_outputs: ['{x}']\nsweep: {grid: {x: [1, null]}}",
            "c.yaml:1:13: `expected_outputs`: the name of a file is empty; give one (at x=)",
        ),
        (
            "launch_cmd: a\nsweep: {glob: '*.fa'}",
            "c.yaml:2:15: `sweep.glob`: there is no file `*.fa` in `/s`",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    let long = format!("launch_cmd: a {{x}}\nsweep: {{grid: {{x: ['{}']}}}}", "y".repeat(140_000));
    assert!(
        refused(&long).starts_with("c.yaml:1:13: the command has 140002 bytes and the kernel takes 131071;")
    );
}

/// A stream hands out what is there and does not wait for more.
#[test]
fn tasks_of_a_stream_do_not_wait_for_its_next_line() {
    let config = Config::parse("c", b"sweep: {grid: {x: {from: 1, to: 200, step: 1}}}").unwrap();
    let files: Arc<dyn SweepFiles> = Arc::new(NoFiles);
    let expansion = Expansion::of(&config, &files, Path::new("/s")).unwrap().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = TaskReader::new(Box::new(reader), "list", TaskListFormat::Lines, Path::new("/s"));
    let mut expanded = Expanded::new(expansion, TaskSource::from_reader(reader));
    std::io::Write::write_all(&mut writer, b"a {x} {y}\n").unwrap();
    let mut next = || expanded.next_batch().unwrap().unwrap().len();
    assert_eq!((next(), next()), (128, 72));
    assert_eq!(expanded.take_warnings().len(), 1);
    drop(writer);
    assert!(expanded.next_batch().is_none());
}

proptest! {
    /// Tasks come as they were counted, with ids and positions of their own, and always the same.
    #[test]
    fn every_point_of_every_task_comes_once(tasks in 1_usize..5, x in 1_u64..20, n in 1_u64..20, seed: u32) {
        let items: String = (0..tasks).map(|task| format!("- {{launch_cmd: 'task{task} {{x}} {{n}} {{r}}'}}\n")).collect();
        let text = format!(
            "tasks:\n{items}sweep:\n  grid: {{x: {{from: 0, to: 1, count: {}}}, n: {{from: 1, to: {n}, step: 1}}}}\n  \
             random: {{count: 2, seed: {seed}, r: {{uniform: [0, 1]}}}}\n",
            x + 1
        );
        let (made, summary) = tasks_of(&text).unwrap();
        let count = tasks as u64 * (x + 1) * n * 2;
        prop_assert_eq!((summary.task_count, made.len() as u64), (count, count));
        let ids: HashSet<_> = made.iter().map(|task| task.id.as_str()).collect();
        let commands: HashSet<_> = made.iter().map(|task| task.command.as_str()).collect();
        prop_assert_eq!((ids.len() as u64, commands.len() as u64), (count, count));
        prop_assert!(made.iter().enumerate().all(|(position, task)| task.index == position as i64));
        prop_assert_eq!(tasks_of(&text).unwrap().0, made);
    }
}
