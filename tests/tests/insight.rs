//! The first advice of a report names what is wrong with a run; where nothing is, there is none.

use std::collections::BTreeSet;
use std::path::Path;

use ictasks_tests::generated::{World, flaws, record, sound};
use ictasks_tests::{FAILED, Finished, farm, report};
use serde_json::Value;

/// The advice about a run of this world: rule, what it would save, and its title.
fn advice(world: World) -> Vec<(String, f64, String)> {
    let run_dir = tempfile::tempdir().expect("make a directory");
    record(world, run_dir.path());
    advice_on(run_dir.path())
}

fn advice_on(run_dir: &Path) -> Vec<(String, f64, String)> {
    let findings = report(run_dir, &[]);
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

/// `retries: 0` would change nothing where the user had the tasks run again.
#[test]
fn what_is_resumed_is_no_retry() {
    let tasks = ["sleep 0.1; exit 1"; 6];
    let speaks_of_retries =
        |run: &Finished| advice_on(run.record.directory()).iter().any(|(rule, ..)| rule == "retries");
    let run = farm().tasks(tasks).run().expect(FAILED);
    let resumed = run.again().tasks(tasks).args(["--resume"]).run().expect(FAILED);
    assert!(!speaks_of_retries(&resumed));
    let retried = farm().yaml("retries: 1\n").tasks(tasks).run().expect(FAILED);
    assert!(speaks_of_retries(&retried));
}
