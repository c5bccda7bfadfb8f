//! Makes the record of a run that never was, and prints what a report should find in it.
//!
//! ```text
//! generate --run-dir DIR [--tasks N] [--hosts N] [--workers N] [--failure-kinds N] [--sessions N]
//!          [--seed N] [--flaw NAME | --sound NAME] [--answers FILE] [--killed]
//! ```
//!
//! `--flaw` and `--sound` make one of the small runs of the insight tests, by its name or its rule
//! (`--flaw list` tells them). `--killed` leaves the journal of a run that was killed at its end.

use std::path::PathBuf;
use std::process::ExitCode;

use ictasks_tests::generated::{Large, Recording, World, flaws, simulate, sound};

#[derive(Default)]
struct Arguments {
    run_dir: Option<PathBuf>,
    answers: Option<PathBuf>,
    large: Large,
    small: Option<String>,
    is_killed: bool,
}

fn main() -> ExitCode {
    let made = parse(std::env::args().skip(1)).and_then(|arguments| make(&arguments));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("generate: {message}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(option) = words.next() {
        if option == "--killed" {
            arguments.is_killed = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("`{option}` needs a value"))?;
        let large = &mut arguments.large;
        match option.as_str() {
            "--run-dir" => arguments.run_dir = Some(value.into()),
            "--answers" => arguments.answers = Some(value.into()),
            "--flaw" | "--sound" => arguments.small = Some(value),
            "--tasks" => large.task_count = number(&option, &value)?,
            "--hosts" => large.host_count = number(&option, &value)?,
            "--workers" => large.worker_count = number(&option, &value)?,
            "--failure-kinds" => large.failure_kind_count = number(&option, &value)?,
            "--sessions" => large.session_count = number(&option, &value)?,
            "--seed" => large.seed = number(&option, &value)?,
            _ => {
                return Err(format!("`{option}` is no option; the head of this program's source tells them"));
            }
        }
    }
    Ok(arguments)
}

fn number<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{option}` takes a number, not `{value}`"))
}

fn make(arguments: &Arguments) -> Result<(), String> {
    let mut world = match arguments.small.as_deref() {
        None => arguments.large.world(),
        Some(name) => small(name)?,
    };
    world.seed = arguments.large.seed;
    let run_dir = arguments.run_dir.as_deref().ok_or("give `--run-dir`")?;
    if run_dir.join("run.json").exists() {
        return Err(format!("`{}` holds a record; give a new directory", run_dir.display()));
    }
    let mut recording = Recording::start(&world, run_dir);
    let answers = simulate(world, &mut recording);
    if arguments.is_killed {
        recording.kill();
    } else {
        recording.finish();
    }
    let text = format!("{:#}\n", answers.json());
    match &arguments.answers {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| format!("write `{}`: {error}", path.display()))
        }
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// One of the small runs.
fn small(name: &str) -> Result<World, String> {
    let flaws = flaws::ALL.iter().map(|flaw| (flaw.rule, flaw.world));
    let all = flaws.chain(sound::ALL.iter().copied());
    let mut worlds = all.map(|(rule, world)| (rule, world()));
    let found = worlds.find(|(rule, world)| *rule == name || world.name == name);
    found.map(|(_, world)| world).ok_or_else(|| {
        let flaws: Vec<String> = flaws::ALL.iter().map(|flaw| (flaw.world)().name).collect();
        let sound: Vec<String> = sound::ALL.iter().map(|(_, world)| world().name).collect();
        format!("there is no `{name}`; with a flaw: {}; sound: {}", flaws.join(", "), sound.join(", "))
    })
}
