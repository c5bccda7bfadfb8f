use super::*;
use crate::config::Config;

fn parse(text: &str) -> Result<Sweep, String> {
    let text = format!("launch_cmd: a\n{text}");
    let config = Config::parse("c.yaml", text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(config.sweep.unwrap().as_ref().clone())
}

#[test]
fn parts_stay_in_their_order() {
    let sweep = parse("sweep: {file: a.csv, grid: {b: [1], a: [x]}, x-note: 1, glob: '*.fa'}").unwrap();
    let keys: Vec<_> = sweep.0.iter().map(SweepPart::key).collect();
    assert_eq!(keys, ["file", "grid", "glob"]);
    let SweepPart::Grid(axes) = &sweep.0[1] else { panic!("{sweep:?}") };
    let names: Vec<_> = axes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn values_have_their_types() {
    let sweep = parse("sweep: {grid: {a: [1, 2.50, x, '3', true, null, 18446744073709551615]}}").unwrap();
    let SweepPart::Grid(axes) = &sweep.0[0] else { panic!("{sweep:?}") };
    let Axis::Values(values) = &axes[0].1 else { panic!("{axes:?}") };
    let json: Vec<_> = values.iter().map(|value| value.json().to_string()).collect();
    assert_eq!(json, ["1", "2.5", "\"x\"", "\"3\"", "true", "null", "\"18446744073709551615\""]);
}

#[test]
fn points_of_a_list_may_have_their_parameters_in_any_order() {
    let sweep = parse("sweep: {list: [{x: 1, n: 2}, {n: 4, x: 3}]}").unwrap();
    let SweepPart::List { names, rows } = &sweep.0[0] else { panic!("{sweep:?}") };
    assert_eq!(names, &["x", "n"]);
    let shown: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(ParamValue::as_text).collect()).collect();
    assert_eq!(shown, [["1", "2"], ["3", "4"]]);
}

const BAD: &[(&str, &str)] = &[
    ("sweep: {}", "2:8: `sweep`: the sweep is empty; give for instance `grid: {x: [1, 2, 3]}`"),
    (
        "sweep: [1]",
        "2:8: `sweep`: expected a map with `grid`, `zip`, `list`, `glob`, `file` or `random`, not a list",
    ),
    (
        "sweep: {gird: {x: [1]}}",
        "2:9: `sweep`: unknown key `gird`; did you mean `grid`? (keys of your own begin with `x-`)",
    ),
    (
        "sweep: {grid: {x: [1]}, grid: {y: [1]}}",
        "2:25: `sweep`: the key `grid` stands here a second time; give it once",
    ),
    ("sweep: {grid: {}}", "2:15: `sweep.grid`: there are no parameters; give for instance `{x: [1, 2, 3]}`"),
    ("sweep: {grid: {x: []}}", "2:19: `sweep.grid.x`: the list is empty; give at least one value"),
    (
        "sweep: {grid: {x: 3}}",
        "2:19: `sweep.grid.x`: expected a list of values, or a range such as `{from: 0, to: 1, step: 0.1}`, not the number `3`",
    ),
    (
        "sweep: {grid: {x: [[1]]}}",
        "2:20: `sweep.grid.x[0]`: expected a number, a text or a truth value, not a list",
    ),
    (
        "sweep: {grid: {x: [.nan]}}",
        "2:20: `sweep.grid.x[0]`: infinities and NaN are no values; put it in quotes",
    ),
    ("sweep: {grid: {x: [\"\\0\"]}}", "2:20: `sweep.grid.x[0]`: the value contains a NUL byte; remove it"),
    (
        "sweep: {grid: {1x: [1]}}",
        "2:16: `sweep.grid`: `1x` cannot be the name of a parameter; a letter comes first, then letters, digits and `_`",
    ),
    (
        "sweep:\n  grid: {x: [1]}\n  zip: {X: [1]}",
        "4:9: `sweep.zip`: the parameter `X` comes a second time in the sweep; give it once",
    ),
    (
        "sweep: {grid: {x: {from: 0, to: 1}}}",
        "2:19: `sweep.grid.x`: a range has `from`, `to` and either `step` or `count`",
    ),
    (
        "sweep: {grid: {x: {from: 0, to: 1, setp: 1}}}",
        "2:36: `sweep.grid.x`: unknown key `setp`; did you mean `step`? (keys of your own begin with `x-`)",
    ),
    (
        "sweep: {grid: {x: {from: 0, to: 1, step: 0.1, scale: log}}}",
        "2:19: `sweep.grid.x`: `scale: log` goes with `count`, not with `step`",
    ),
    (
        "sweep: {grid: {x: {from: 0, to: 1, step: -1}}}",
        "2:19: `sweep.grid.x`: steps of -1 do not lead from 0 to 1; give another `step`",
    ),
    (
        "sweep: {grid: {x: {from: a, to: 1, step: 1}}}",
        "2:26: `sweep.grid.x.from`: this is no number; give one",
    ),
    (
        "sweep: {zip: {x: [1, 2], y: [1]}}",
        "2:14: `sweep.zip`: `x` has 2 values and `y` has 1 value; side by side they need as many (`grid` makes all combinations)",
    ),
    ("sweep: {list: []}", "2:15: `sweep.list`: the list is empty; give at least one point"),
    (
        "sweep: {list: [{x: 1}, {y: 1}]}",
        "2:24: `sweep.list[1]`: this point has no `x`, unlike the first; all points of a list have the same parameters (a value may be `null`)",
    ),
    (
        "sweep: {list: [{x: 1}, {x: 1, y: 1}]}",
        "2:24: `sweep.list[1]`: this point has `y`, unlike the first; all points of a list have the same parameters (a value may be `null`)",
    ),
    (
        "sweep: {list: [1]}",
        "2:16: `sweep.list[0]`: expected a point, such as `{x: 1, y: 2}`, not the number `1`",
    ),
    ("sweep: {list: [{}]}", "2:16: `sweep.list[0]`: the point is empty; give for instance `{x: 1}`"),
    ("sweep: {glob: []}", "2:15: `sweep.glob`: there is no pattern; give one, such as `chunks/*.fa`"),
    (
        "sweep: {grid: {file: [1]}, glob: a}",
        "2:34: `sweep.glob`: the parameter `file` comes a second time in the sweep; give it once",
    ),
    ("sweep: {file: ''}", "2:15: `sweep.file`: the name of a file is empty; give one"),
    (
        "sweep: {random: {x: {uniform: [0, 1]}}}",
        "2:17: `sweep.random`: the key `count`, the number of points, is missing or 0; give it",
    ),
    (
        "sweep: {random: {count: 3}}",
        "2:17: `sweep.random`: there are no parameters; give for instance `x: {uniform: [0, 1]}`",
    ),
    (
        "sweep: {random: {count: 30, n: {integer: [1, 10]}}}",
        "2:17: `sweep.random`: `count` is 30, and there are 10 different points; give 10 or fewer, or all of them as `grid`",
    ),
    (
        "sweep: {random: {count: 3, seed: -1, n: {integer: [1, 10]}}}",
        "2:34: `sweep.random.seed`: `-1` is impossible; give a whole number from 0 to 18446744073709551615",
    ),
    (
        "sweep: {random: {count: 3, x: {normal: [1, 10]}}}",
        "2:32: `sweep.random.x`: unknown key `normal`; known here are `uniform`, `log_uniform`, `integer`, `choice` (keys of your own begin with `x-`)",
    ),
    (
        "sweep: {random: {count: 3, x: {uniform: [1, 0]}}}",
        "2:31: `sweep.random.x`: `uniform` has the smaller number first, such as `[0, 1]`",
    ),
    (
        "sweep: {random: {count: 3, x: {uniform: [1]}}}",
        "2:41: `sweep.random.x.uniform`: give two numbers, such as `[0, 1]`",
    ),
    (
        "sweep: {random: {count: 3, x: {log_uniform: [0, 1]}}}",
        "2:31: `sweep.random.x`: `log_uniform` has two numbers above 0, the smaller first, such as `[1e-3, 1]`",
    ),
    (
        "sweep: {random: {count: 3, x: {integer: [0, 1.5]}}}",
        "2:31: `sweep.random.x`: `integer` has two whole numbers, the smaller first, such as `[1, 10]`",
    ),
    (
        "sweep: {random: {count: 3, x: {}}}",
        "2:31: `sweep.random.x`: give one of `uniform`, `log_uniform`, `integer` and `choice`",
    ),
    (
        "id: 'a/{x}'\nsweep: {grid: {x: [1]}}",
        "2:5: `id`: the id `a/{x}` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, and not `.` or `..`",
    ),
    (
        "tasks: [{launch_cmd: a}]\nsweep: {grid: {x: [1]}}",
        "1:13: `launch_cmd` and `tasks` are both there; give one of them",
    ),
];

#[test]
fn bad_sweeps_are_named_with_their_place_and_what_would_be_right() {
    for (text, message) in BAD {
        assert_eq!(parse(text).unwrap_err(), format!("c.yaml:{message}"), "{text}");
    }
}

#[test]
fn the_keys_of_a_sweep_stand_together() {
    let told = |text: &str| Config::parse("c.yaml", text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        told("launch_cmd: a"),
        "c.yaml:1:13: `launch_cmd` goes with `sweep:`; tasks without parameters stand under `tasks:`"
    );
    assert_eq!(
        told("job_id: a\nid: b"),
        "c.yaml:2:5: `id` goes with `sweep:`; a name for the run is `job_id`"
    );
    assert_eq!(
        told("tasks: [{id: 'a{x}', launch_cmd: a}]"),
        "c.yaml:1:14: the id `a{x}` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, and not \
         `.` or `..`"
    );
}

#[test]
fn tasks_without_ids_are_told_apart_by_more_than_positions() {
    let text = "tasks: [{id: 1, launch_cmd: a}, {launch_cmd: b}]\n";
    assert!(Config::parse("c.yaml", text.as_bytes()).is_err());
    assert!(Config::parse("c.yaml", format!("{text}sweep: {{grid: {{x: [1]}}}}").as_bytes()).is_ok());
}

#[test]
fn the_schema_knows_all_parts() {
    let schema = crate::config::json_schema();
    let parts = schema["$defs"]["Sweep"]["properties"].as_object().unwrap();
    assert_eq!(parts.keys().collect::<Vec<_>>(), KEYS);
    assert_eq!(schema["properties"]["sweep"]["$ref"], "#/$defs/Sweep");
    assert_eq!(schema["$defs"]["Sweep"]["patternProperties"]["^x-"], true);
}
