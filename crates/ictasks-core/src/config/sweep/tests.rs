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
    ("sweep: {}", ""),
    ("sweep: [1]", ""),
    ("sweep: {gird: {x: [1]}}", ""),
    ("sweep: {grid: {x: [1]}, grid: {y: [1]}}", ""),
    ("sweep: {grid: {}}", ""),
    ("sweep: {grid: {x: []}}", ""),
    ("sweep: {grid: {x: 3}}", ""),
    ("sweep: {grid: {x: [[1]]}}", ""),
    ("sweep: {grid: {x: [.nan]}}", ""),
    ("sweep: {grid: {x: [\"\\0\"]}}", ""),
    ("sweep: {grid: {1x: [1]}}", ""),
    ("sweep:\n  grid: {x: [1]}\n  zip: {X: [1]}", ""),
    ("sweep: {grid: {x: {from: 0, to: 1}}}", ""),
    ("sweep: {grid: {x: {from: 0, to: 1, setp: 1}}}", ""),
    ("sweep: {grid: {x: {from: 0, to: 1, step: 0.1, scale: log}}}", ""),
    ("sweep: {grid: {x: {from: 0, to: 1, step: -1}}}", ""),
    ("sweep: {grid: {x: {from: a, to: 1, step: 1}}}", ""),
    ("sweep: {zip: {x: [1, 2], y: [1]}}", ""),
    ("sweep: {list: []}", ""),
    ("sweep: {list: [{x: 1}, {y: 1}]}", ""),
    ("sweep: {list: [{x: 1}, {x: 1, y: 1}]}", ""),
    ("sweep: {list: [1]}", ""),
    ("sweep: {list: [{}]}", ""),
    ("sweep: {glob: []}", ""),
    ("sweep: {grid: {file: [1]}, glob: a}", ""),
    ("sweep: {file: ''}", ""),
    ("sweep: {random: {x: {uniform: [0, 1]}}}", ""),
    ("sweep: {random: {count: 3}}", ""),
    ("sweep: {random: {count: 30, n: {integer: [1, 10]}}}", ""),
    ("sweep: {random: {count: 3, seed: -1, n: {integer: [1, 10]}}}", ""),
    ("sweep: {random: {count: 3, x: {normal: [1, 10]}}}", ""),
    ("sweep: {random: {count: 3, x: {uniform: [1, 0]}}}", ""),
    ("sweep: {random: {count: 3, x: {uniform: [1]}}}", ""),
    ("sweep: {random: {count: 3, x: {log_uniform: [0, 1]}}}", ""),
    ("sweep: {random: {count: 3, x: {integer: [0, 1.5]}}}", ""),
    ("sweep: {random: {count: 3, x: {}}}", ""),
    ("id: 'a/{x}'\nsweep: {grid: {x: [1]}}", ""),
    ("tasks: [{launch_cmd: a}]\nsweep: {grid: {x: [1]}}", ""),
];

#[test]
fn bad_sweeps_are_named_with_their_place_and_what_would_be_right() {
    let told = BAD.iter().map(|(text, _)| (*text, parse(text).unwrap_err()));
    let wrong: Vec<_> =
        told.zip(BAD).filter(|((_, told), (_, expected))| told != &format!("c.yaml:{expected}")).collect();
    for ((text, told), _) in &wrong {
        println!(
            "    (\n        {text:?},\n        {:?},\n    ),",
            told.strip_prefix("c.yaml:").unwrap_or(told)
        );
    }
    assert!(wrong.is_empty());
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
