//! The first advice of a report names what is wrong with a run; where nothing is, there is none.

use std::collections::BTreeSet;

use ictasks_tests::generated::{World, flaws, record, sound};
use ictasks_tests::report;
use serde_json::Value;

/// The advice about a run of this world: rule, what it would save, and its title.
fn advice(world: World) -> Vec<(String, f64, String)> {
    let run_dir = tempfile::tempdir().expect("make a directory");
    record(world, run_dir.path());
    let findings = report(run_dir.path(), &[]);
    let text = |note: &Value, key: &str| note[key].as_str().unwrap_or_default().to_owned();
    let notes = findings["advice"].as_array().expect("there is a list of advice");
    let saves = |note: &Value| note["saves_core_s"].as_f64().expect("it says what it saves");
    notes.iter().map(|note| (text(note, "rule"), saves(note), text(note, "title"))).collect()
}

fn is_named_first(world_name: &str) {
    let flaw = flaws::ALL.iter().find(|flaw| (flaw.world)().name == world_name);
    let flaw = flaw.unwrap_or_else(|| panic!("there is no flaw `{world_name}`"));
    let told = advice((flaw.world)());
    let first = told.first().map(|(rule, ..)| rule.as_str());
    assert_eq!(first, Some(flaw.rule), "{}: {told:#?}", flaw.what);
}

fn has_no_advice(world_name: &str) {
    let found = sound::ALL.iter().find(|(_, world)| world().name == world_name);
    let (what, world) = found.unwrap_or_else(|| panic!("there is no sound run `{world_name}`"));
    let told = advice(world());
    assert!(told.is_empty(), "{what}: {told:#?}");
}

macro_rules! runs {
    ($check:ident, $names:ident: $($name:ident)+) => {
        const $names: &[&str] = &[$(stringify!($name)),+];
        $(#[test]
        fn $name() {
            $check(stringify!($name));
        })+
    };
}

runs! { is_named_first, WITH_A_FLAW:
    slow_host slow_host_mixed long_tail short_tasks memory_requested failing_value failing_number starved
    missing_program one_missing_program waiting one_thread gpu_idle out_of_memory allocation retries
    imbalance few_tasks
    failing_host time_limit hanging
}

runs! { has_no_advice, SOUND:
    equal all_lengths threads busy_gpus passing_failures fitting_memory single two_kinds interrupted fed_stream
    brisk ragged_end
}

#[test]
fn every_run_has_its_test() {
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let flawed: BTreeSet<String> = flaws::ALL.iter().map(|flaw| (flaw.world)().name).collect();
    let sound: BTreeSet<String> = sound::ALL.iter().map(|(_, world)| world().name).collect();
    assert_eq!((of(WITH_A_FLAW), of(SOUND)), (flawed, sound));
}
