//! Parameters: a task for each of their points, with ids, commands, variables and columns.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use ictasks_tests::programs::clone_root;
use ictasks_tests::{BAD_INPUT, FAILED, Farm, Record, SUCCEEDED, farm};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

fn ids(record: &Record) -> Vec<Value> {
    record.column("tasks", "task_id")
}

fn outputs(record: &Record) -> Vec<String> {
    ids(record).iter().map(|id| record.stdout(id.as_str().expect("an id"))).collect()
}

/// The columns of parameters and results, as the table has them.
fn named_columns(record: &Record) -> Vec<String> {
    let mut columns = record.table("tasks").columns();
    columns.retain(|column| column.starts_with("param_") || column.starts_with("result_"));
    columns
}

/// A sweep of `echo` with these lines below `sweep:`.
fn echo(command: &str, sweep: &str) -> Farm {
    farm().yaml(format!("launch_cmd: 'echo {command}'\nsweep:\n  {sweep}\n"))
}

#[test]
fn the_shipped_example() {
    let file = clone_root().join("tests/data/sweep.yaml");
    let run = farm().input("--config", file.to_str().expect("a path of text")).run().expect(SUCCEEDED);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("warning")).count(), 0, "{}", run.stderr);
    assert_eq!(
        ids(&run.record),
        ["x=0.5,n=1", "x=0.5,n=2", "x=0.5,n=3", "x=1.5,n=1", "x=1.5,n=2", "x=1.5,n=3"]
    );
    assert_eq!(named_columns(&run.record), ["param_x float64?", "param_n int64?", "result_power float64?"]);
    assert_eq!(run.record.column("tasks", "param_n"), [1, 2, 3, 1, 2, 3]);
    assert_eq!(run.record.column("tasks", "result_power"), [0.5, 0.25, 0.125, 1.5, 2.25, 3.375]);
    assert_eq!(run.record.column("tasks", "task_index"), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn values_side_by_side_and_one_by_one() {
    let run = echo("{a} {b}", "zip: {a: [1, 2], b: [x, 'y z']}").run().expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["1 x\n", "2 y z\n"]);
    assert_eq!(ids(&run.record), ["a=1,b=x", "a=2,b=y_z"]);
    let run = echo("{a} {b}", "list: [{a: 1, b: true}, {b: null, a: 2.5}]").run().expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["1 true\n", "2.5 \n"]);
    assert_eq!(named_columns(&run.record), ["param_a float64?", "param_b bool?"]);
    assert_eq!(run.record.column("tasks", "param_b"), [json!(true), Value::Null]);
}

#[test]
fn parts_are_multiplied_and_ids_follow_a_template() {
    let yaml = "launch_cmd: 'echo {c} {a} {b}'\nid: 'run-{a}{c}'\nsweep:\n  zip: {a: [1, 2], b: [3, 4]}\n  grid: {c: [x, y]}\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["run-1x", "run-1y", "run-2x", "run-2y"]);
    assert_eq!(outputs(&run.record), ["x 1 3\n", "y 1 3\n", "x 2 4\n", "y 2 4\n"]);
}

#[test]
fn files_by_a_pattern() {
    let yaml = "launch_cmd: 'cat {file} && echo {stem} \"$ICTASKS_PARAM_FILE\"'\nid: '{stem}'\nsweep: {glob: chunks/*.fa}\n";
    let farm = farm().yaml(yaml).file("chunks/b.fa", "of b\n").file("chunks/a 1.fa", "of a\n");
    let run = farm.file("chunks/c.txt", "of c\n").run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["a_1", "b"]);
    let path =
        |name: &str| run.directory().canonicalize().expect("it is there").join(name).display().to_string();
    assert_eq!(
        outputs(&run.record),
        [format!("of a\na 1 {}\n", path("chunks/a 1.fa")), format!("of b\nb {}\n", path("chunks/b.fa"))]
    );
    assert_eq!(run.record.column("tasks", "param_stem"), ["a 1", "b"]);
    assert_eq!(run.record.column("tasks", "param_file"), [path("chunks/a 1.fa"), path("chunks/b.fa")]);
    let run = echo("{stem}", "glob: '*.fa'").file("a.fa", "").run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["file=a.fa"]);
}

#[test]
fn rows_of_a_table_in_text() {
    let csv = "x,name,n\n0.10,\"a, b\",1\n1e-3,,2\n";
    let farm = echo("{x} {name} \"$ICTASKS_PARAM_X\" ${ICTASKS_PARAM_NAME-none}", "file: points.csv");
    let run = farm.file("points.csv", csv).run().expect(SUCCEEDED);
    assert_eq!(
        outputs(&run.record),
        ["0.10 a, b 0.10 a, b\n", "1e-3  1e-3 none\n"],
        "numbers as they are written"
    );
    assert_eq!(named_columns(&run.record), ["param_x float64?", "param_name utf8?", "param_n int64?"]);
    assert_eq!(run.record.column("tasks", "param_x"), [0.1, 0.001]);
    assert_eq!(run.record.column("tasks", "param_name"), [json!("a, b"), Value::Null]);
}

#[test]
fn rows_of_a_parquet_file() {
    let farm = echo("{x} {name}", "file: points.parquet\n  grid: {n: [1, 2]}");
    let columns: [(&str, ArrayRef); 2] = [
        ("x", Arc::new(Float64Array::from(vec![0.1, 2.0]))),
        ("name", Arc::new(StringArray::from(vec![Some("a b"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = File::create(farm.directory().join("points.parquet")).expect("make a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("begin a Parquet file");
    writer.write(&batch).expect("write rows");
    writer.close().expect("end a Parquet file");
    let run = farm.run().expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["0.1 a b\n", "0.1 a b\n", "2.0 \n", "2.0 \n"]);
    assert_eq!(
        ids(&run.record),
        ["x=0.1,name=a_b,n=1", "x=0.1,name=a_b,n=2", "x=2.0,name=,n=1", "x=2.0,name=,n=2"]
    );
    assert_eq!(named_columns(&run.record), ["param_x float64?", "param_name utf8?", "param_n int64?"]);
}

#[test]
fn random_points_are_the_same_for_the_same_seed() {
    let drawn = |count, seed| {
        let sweep = format!(
            "random: {{count: {count}, seed: {seed}, x: {{uniform: [0, 1]}}, n: {{integer: [1, 10]}}, k: {{choice: [a, b]}}, \
             s: {{log_uniform: [1e-3, 1]}}}}"
        );
        let run = echo("{x} {n} {k} {s}", &sweep).run().expect(SUCCEEDED);
        assert_eq!(
            named_columns(&run.record),
            ["param_x float64?", "param_n int64?", "param_k utf8?", "param_s float64?"]
        );
        outputs(&run.record)
    };
    let some = drawn(20, 1);
    assert_eq!(drawn(30, 1)[..20], some, "more points leave those before as they are");
    assert_ne!(drawn(20, 2), some);
}

#[test]
fn lines_of_a_list_are_multiplied() {
    let sweep = "sweep: {grid: {x: [1, 2]}}\n";
    let run = farm()
        .yaml(sweep)
        .list("echo a {x}\n\n# not {this}\necho b $ICTASKS_PARAM_X\n")
        .run()
        .expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["a 1\n", "a 2\n", "b 1\n", "b 2\n"]);
    let with_hash = ids(&run.record);
    let jsonl = "{\"id\": \"a-{x}\", \"launch_cmd\": \"echo {x} {y}\", \"params\": {\"y\": 5}}\n{\"id\": \"b\", \"launch_cmd\": \"echo\"}\n";
    let run = farm().yaml(sweep).jsonl(jsonl).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["a-1", "a-2", "b,x=1", "b,x=2"]);
    assert_eq!(outputs(&run.record)[0], "1 {y}\n");
    assert_eq!(named_columns(&run.record), ["param_y int64?", "param_x int64?"]);
    // A line before the others changes no id.
    let run = farm().yaml(sweep).list("true\necho b $ICTASKS_PARAM_X\necho a {x}\n").run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record)[2..], [&with_hash[2..], &with_hash[..2]].concat());
}

#[test]
fn lines_of_a_stream_are_multiplied() {
    let run = farm().yaml("sweep: {grid: {x: {from: 1, to: 300, step: 1}}}\n").stdin("echo {x} {oops}\n");
    let run = run.run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "param_x").len(), 300);
    let warnings: Vec<_> = run.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    warning: <stdin>:1:10: `{oops}` is no parameter of the sweep and stays as it is; write `{{oops}}` if that is meant
    ");
    let twice =
        farm().yaml("sweep: {grid: {x: [1]}}\n").stdin("echo {x}\necho {x}\n").run().expect(BAD_INPUT);
    assert!(twice.stderr.contains("was given before; each task needs its own"), "{}", twice.stderr);
}

#[test]
fn hostile_values_are_data() {
    let values = [
        "a b",
        "it's",
        "\"q\"",
        "$(touch gotcha)",
        "`touch gotcha`",
        "x\ny",
        "; touch gotcha",
        "\\",
        "$HOME",
        "*",
    ];
    let list: Vec<Value> = values.iter().enumerate().map(|(n, value)| json!({"n": n, "v": value})).collect();
    let yaml = json!({
        "launch_cmd": "printf '%s|' {v} \"<{v}>\" 'it{v}' \"$(printf %s {v})\" \"$ICTASKS_PARAM_V\"; ls",
        "id": "{n}",
        "sweep": {"list": list},
    });
    let run = farm().yaml(yaml.to_string()).run().expect(SUCCEEDED);
    for (value, output) in values.iter().zip(outputs(&run.record)) {
        let (printed, files) = output.rsplit_once('|').expect("what was printed");
        assert_eq!(printed, format!("{value}|<{value}>|it{value}|{value}|{value}"));
        assert!(!files.contains("gotcha"), "{value}: {files}");
    }
    assert_eq!(run.record.column("tasks", "param_v"), values);
}

#[test]
fn a_value_without_a_shell_is_one_word() {
    let yaml = "shell: false\nlaunch_cmd: 'printf %s| {v} x{v}'\nid: '{n}'\nsweep: {list: [{n: 1, v: 'a b'}, {n: 2, v: 'it''s $HOME'}]}\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["a b|xa b|", "it's $HOME|xit's $HOME|"]);
}

#[test]
fn parameters_are_variables_of_every_task_that_has_some() {
    let jsonl = "{\"launch_cmd\": \"env | grep ^ICTASKS_PARAM_ | sort\", \"params\": {\"mesh\": \"a b\", \"n\": 3, \"none\": null}}\n";
    let run = farm().env("ICTASKS_PARAM_OTHER", "1").jsonl(jsonl).run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("0"), "ICTASKS_PARAM_MESH=a b\nICTASKS_PARAM_N=3\n");
}

#[test]
fn a_swept_run_goes_on() {
    let yaml = |values: &str| {
        format!(
            "launch_cmd: 'test {{x}} -ne 2 || test -e %SUBMITDIR%/go'\nsweep: {{grid: {{x: [{values}]}}}}\n"
        )
    };
    let run = farm().yaml(yaml("1, 2, 3")).run().expect(FAILED);
    let run =
        run.again().file("go", "").yaml(yaml("0, 3, 1, 2, 4")).args(["--resume"]).run().expect(SUCCEEDED);
    assert!(
        run.stderr.contains("to run: 1 failed before, 2 new in the list; left out: 2 succeeded before"),
        "{}",
        run.stderr
    );
    let attempts = run.record.column("tasks", "attempt");
    let by_id: Vec<_> = ids(&run.record).into_iter().zip(attempts).collect();
    let pair = |id: &str, attempt: i32| (json!(id), json!(attempt));
    assert_eq!(by_id, [pair("x=1", 1), pair("x=2", 2), pair("x=3", 1), pair("x=0", 1), pair("x=4", 1)]);
}

#[test]
fn another_command_for_the_same_point_is_noticed() {
    let run = echo("{x}", "grid: {x: [1]}").run().expect(SUCCEEDED);
    let farm = run.again().yaml("launch_cmd: 'echo now {x}'\nsweep: {grid: {x: [1]}}\n").args(["--resume"]);
    let run = farm.run().expect(BAD_INPUT);
    assert!(run.stderr.contains("task x=1: now `echo now 1`"), "{}", run.stderr);
}

#[test]
fn a_dry_run_shows_points_and_commands() {
    let farm = echo("{x} {y} ${x} {n}", "grid: {x: ['a b', c], n: [1, 2, 3]}").args(["--dry-run"]);
    let run = farm.run().expect(SUCCEEDED);
    let shown =
        run.stdout.lines().filter(|line| !line.starts_with("workers") && !line.starts_with("  worker"));
    let shown: Vec<&str> =
        shown.filter(|line| !line.contains("_per_") && !line.contains("run directory")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    6 tasks
    sweep: 6 points of x, n (grid)
    task x=a_b,n=1: ["/bin/sh", "-c", "echo 'a b' {y} ${x} 1"]
    task x=a_b,n=2: ["/bin/sh", "-c", "echo 'a b' {y} ${x} 2"]
    task x=a_b,n=3: ["/bin/sh", "-c", "echo 'a b' {y} ${x} 3"]
    task x=c,n=1: ["/bin/sh", "-c", "echo c {y} ${x} 1"]
    task x=c,n=2: ["/bin/sh", "-c", "echo c {y} ${x} 2"]
    the run makes 24 files and directories, 4 a task, and 5 of the record
    warning: farm.yaml:1:13: `{y}` is no parameter of the sweep and stays as it is; write `{{y}}` if that is meant
    warning: farm.yaml:1:13: `${x}` is left to the shell; the parameter is written `{x}`
    "#);
}

#[test]
fn variables_and_expected_outputs_of_each_point() {
    let yaml = "launch_cmd: 'echo \"$OUT\"; echo > a-1; echo > \"$OUT\"'\nenvironment: {OUT: 'a-{n}'}\n\
                expected_outputs: ['a-{n}', 'b-{n}']\nsweep: {grid: {n: [1, 2]}}\n";
    let run = farm().yaml(yaml.replace(", 'b-{n}'", "")).run().expect(SUCCEEDED);
    assert_eq!(outputs(&run.record), ["a-1\n", "a-2\n"]);
    let run = farm().yaml(yaml).run().expect(FAILED);
    let said = "`b-2` of its `expected_outputs` was not made";
    assert!(run.record.column("tasks", "error")[1].as_str().is_some_and(|error| error.contains(said)));
}

/// What a sweep says that must be refused before anything is made.
fn refused(farm: Farm) -> String {
    let run = farm.run().expect(BAD_INPUT);
    assert_eq!(run.record.names(), Vec::<String>::new(), "nothing was made");
    run.said()
}

#[test]
fn points_with_one_id() {
    let said = refused(farm().yaml("launch_cmd: a\nid: 'x{x}'\nsweep: {grid: {x: [1, 2], n: [1, 2]}}\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:2:5: the id `x1` comes of two points, x=1 n=1 and x=1 n=2; put `{n}` into the template `id:`
    ");
}

#[test]
fn lines_with_one_id() {
    let said = refused(farm().yaml("id: 'x{x}'\nsweep: {grid: {x: [1]}}\n").list("a\nb\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:1:5: the id `x1` comes of two points, x=1 in line 1 and x=1 in line 2; give each line an id of its own (JSON lines, `tasks:`)
    ");
}

#[test]
fn values_that_differ_in_what_ids_cannot_have() {
    let said = refused(echo("{x}", "grid: {x: [a b, a/b]}"));
    insta::assert_snapshot!(said, @r#"
    error: farm.yaml:3:3: the id `x=a_b` comes of two points, x=a b and x=a/b; an id has only letters, digits and `. _ - = , + @ :`, all else becomes `_`; give a template `id:` with a parameter that differs in these, such as `id: "{name}"`
    "#);
}

#[test]
fn an_unknown_parameter_in_the_template_of_ids() {
    let said = refused(farm().yaml("launch_cmd: a\nid: 'x{y}'\nsweep: {grid: {x: [1]}}\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:2:5: `id`: `{y}` is no parameter of the sweep; its parameters are `x`
    ");
}

#[test]
fn unequal_lengths() {
    let said = refused(echo("{x}", "zip:\n    x: [1, 2]\n    n: [1]"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:4:5: `sweep.zip`: `x` has 2 values and `n` has 1 value; side by side they need as many (`grid` makes all combinations)
    ");
}

#[test]
fn a_value_that_would_be_code() {
    let said = refused(farm().yaml("sweep: {grid: {x: [1, a b]}}\n").list("true\necho `echo {x}`\n"));
    insta::assert_snapshot!(said, @r#"
    error: tasks.txt:2: the value `a b` of `x` cannot be written there (in backquotes, here-documents, comments, arithmetic, behind `case` or `eval`, or for a shell unlike sh); write `"$ICTASKS_PARAM_X"` instead of `{x}` (at x=a b)
    "#);
}

#[test]
fn a_pattern_that_finds_nothing() {
    let said = refused(echo("{file}", "glob: chunks/*.fa"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:3:9: `sweep.glob`: there is no file `chunks/*.fa` in `[TMP]`
    ");
}

#[test]
fn a_table_that_is_not_there_and_one_that_is_wrong() {
    let said = refused(echo("{x}", "file: points.csv"));
    insta::assert_snapshot!(said, @"
    error: [TMP]/points.csv: cannot be read: No such file or directory (os error 2)
    ");
    let said = refused(echo("{x}", "file: points.csv").file("points.csv", "x,n\n1,2\n3\n"));
    insta::assert_snapshot!(said, @"
    error: [TMP]/points.csv:3: 1 value, and there are 2 columns; give a value for each, if need be an empty one
    ");
}

#[test]
fn a_sweep_of_nothing_and_a_command_without_a_sweep() {
    let said = refused(farm().yaml("sweep: {grid: {x: [1]}}\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml: the sweep has nothing to run; give `launch_cmd:`, `tasks:` or a list with --tasklist FILE
    ");
    let said = refused(farm().yaml("launch_cmd: echo\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:1:13: `launch_cmd` goes with `sweep:`; tasks without parameters stand under `tasks:`
    ");
}

#[test]
fn a_parameter_of_the_task_and_of_the_sweep() {
    let jsonl = "{\"launch_cmd\": \"true\", \"params\": {\"x\": 1}}\n";
    let said = refused(farm().yaml("sweep: {grid: {x: [1]}}\n").jsonl(jsonl));
    insta::assert_snapshot!(said, @"
    error: tasks.jsonl:1: the parameter `x` is among `params` of the task and in the sweep; give it once
    ");
}
