//! `ictasks submit`: a batch script for Slurm, shown or submitted.
//!
//! - [`options`]: what of the command line is for sbatch;
//! - [`script`]: the batch script.

mod options;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use ictasks_core::config::SlurmOptions;
use ictasks_core::layout;
use ictasks_core::plan::{CommandLine, Plan};
use ictasks_core::slurm::Shards;
use ictasks_core::task_list::TaskSource;
use ictasks_record::Existing;

use crate::cli::submit::SubmitArguments;
use crate::cli::taskfarm::{ListFormat, TaskfarmArguments};
use crate::cli::{Cli, Command as Subcommand};
use crate::console::Console;
use crate::exit::{ExitCode, Failure};
use crate::input::Input;
use crate::{resume, run_dirs};

pub use options::options_of_sbatch_last;
use script::Script;

/// Name of the batch script, in the run directory.
const SCRIPT: &str = "submit.sh";

/// Runs the subcommand.
///
/// # Errors
/// What is wrong with the input or the options; sbatch refuses the job.
pub fn run(arguments: &SubmitArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let current_dir = std::env::current_dir()
        .map_err(|error| Failure::input(format!("the current directory cannot be used: {error}")))?;
    let wanted = Wanted::of(arguments, &current_dir)?;
    let text = wanted.script()?.text();
    if arguments.dry_run {
        console.print(&text)?;
        return Ok(ExitCode::Success);
    }
    wanted.check_record(arguments)?;
    let path = wanted.write(&text)?;
    let job = sbatch(&path, &wanted.submit_dir)?;
    wanted.tell(&job, console);
    Ok(ExitCode::Success)
}

/// What is to be submitted.
struct Wanted {
    /// The directory that the job begins in.
    submit_dir: PathBuf,
    run_dir: PathBuf,
    job_name: String,
    /// `taskfarm` and its arguments.
    words: Vec<String>,
    slurm: SlurmOptions,
}

impl Wanted {
    /// Checks everything that can be checked before the job runs.
    fn of(arguments: &SubmitArguments, current_dir: &Path) -> Result<Self, Failure> {
        for input in [&arguments.config, &arguments.tasklist].into_iter().flatten() {
            if TaskSource::is_stream_at(input) {
                return Err(Failure::input(format!(
                    "the job cannot read `{}`, a stream of this command; give a file",
                    input.display()
                )));
            }
        }
        let typed = taskfarm_words(arguments);
        let (taskfarm, submit_dir) = resume::with_earlier_input(&parsed(&typed)?, current_dir.to_owned())?;
        let input = Input::read(&taskfarm, &submit_dir)?;
        let command_line = CommandLine { run_dir: taskfarm.run_dir.clone(), ..CommandLine::default() };
        let (run_dir, job_name) = Plan::names(&input.config, &command_line, &submit_dir);
        let mut slurm = input.config.slurm.clone().unwrap_or_default();
        slurm.requeue |= arguments.requeue;
        slurm.array = arguments.array.or(slurm.array);
        options::override_with(&mut slurm.options, &arguments.sbatch)?;
        let words = absolute_words(&taskfarm, &submit_dir, &run_dir);
        Ok(Self { submit_dir, run_dir, job_name, words, slurm })
    }

    fn script(&self) -> Result<Script<'_>, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::input(format!("the path of this program is not known: {error}")))?;
        Ok(Script {
            program,
            words: &self.words,
            slurm: &self.slurm,
            job_name: &self.job_name,
            run_dir: &self.run_dir,
            submit_dir: &self.submit_dir,
        })
    }

    /// Refuses to go on unasked with what lies in the run directory.
    fn check_record(&self, arguments: &SubmitArguments) -> Result<(), Failure> {
        let shown = self.run_dir.display();
        let shards = run_dirs::shards(&self.run_dir);
        if !arguments.resume {
            let existing = Existing::find(&self.run_dir);
            let is_there = !shards.is_empty() || !matches!(existing, Ok(None));
            if is_there && self.run_dir.exists() {
                return Err(Failure::input(format!(
                    "`{shown}` holds an earlier run\n  to go on with it:  add --resume\n  to run anew:       give \
                     another --run-dir"
                )));
            }
            return Ok(());
        }
        let count = self.slurm.array.map_or(0, |array| array.count);
        let own = (1..=count).map(|number| self.run_dir.join(layout::shard_directory(shard(number, count))));
        let own: Vec<PathBuf> = own.collect();
        match shards.iter().find(|shard| !own.contains(shard)) {
            Some(other) => Err(Failure::input(format!(
                "`{}` is no shard of {count}: go on with as many shards (--array) as before",
                other.display()
            ))),
            None => Ok(()),
        }
    }

    fn write(&self, text: &str) -> Result<PathBuf, Failure> {
        let path = self.run_dir.join(SCRIPT);
        let failed = |error| Failure::input(format!("`{}` cannot be written: {error}", path.display()));
        fs::create_dir_all(&self.run_dir).map_err(failed)?;
        fs::write(&path, text).map_err(failed)?;
        Ok(path)
    }

    /// How to watch.
    fn tell(&self, job: &str, console: &mut Console) {
        let run_dir = self.run_dir.display().to_string();
        let run_dir = shlex::try_quote(&run_dir).unwrap_or_default();
        console.note(&format!("submitted: job {job}, {}", self.run_dir.join(SCRIPT).display()));
        if script::takes_whole_nodes(&self.slurm) {
            console.note("whole nodes (--exclusive), since nothing is said about CPUs");
        }
        console.note(&format!("the queue:  squeue -j {job}"));
        match self.slurm.array {
            None => {
                console.note(&format!("the run:    ictasks watch {run_dir}"));
                console.note(&format!(
                    "its output: {}",
                    self.run_dir.join(format!("slurm-{job}.out")).display()
                ));
                console.note(&format!("to stop it: ictasks stop {run_dir}, or scancel {job}"));
            }
            Some(Shards { count, .. }) => {
                let first = Path::new(&*run_dir).join(layout::shard_directory(shard(1, count)));
                console.note(&format!("the runs:   ictasks watch {}, and so on", first.display()));
                console.note(&format!("to stop:    scancel {job}"));
            }
        }
        console.note(&format!("afterwards: ictasks report {run_dir}"));
    }
}

const fn shard(number: i32, count: i32) -> ictasks_core::task_list::Shard {
    ictasks_core::task_list::Shard { number, count }
}

/// The command that the job is to run, as it would be typed here.
fn taskfarm_words(arguments: &SubmitArguments) -> Vec<String> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let options = [
        ("--config", path(&arguments.config)),
        ("--tasklist", path(&arguments.tasklist)),
        ("--tasklist-format", arguments.tasklist_format.map(format_name)),
        ("--run-dir", path(&arguments.run_dir)),
        ("--workers", arguments.workers.map(|count| count.to_string())),
    ];
    let mut words = vec!["ictasks".to_owned(), "taskfarm".to_owned()];
    for (name, value) in options {
        words.extend(value.map(|value| format!("{name}={value}")));
    }
    words.extend(arguments.resume.then(|| "--resume".to_owned()));
    words
}

fn format_name(format: ListFormat) -> String {
    match format {
        ListFormat::Lines => "lines",
        ListFormat::Jsonl => "jsonl",
    }
    .to_owned()
}

fn parsed(words: &[String]) -> Result<TaskfarmArguments, Failure> {
    match Cli::try_parse_from(words) {
        Ok(Cli { command: Subcommand::Taskfarm(arguments), .. }) => Ok(arguments),
        Ok(_) => Err(Failure::input("the arguments are not those of a farm")),
        Err(error) => Err(Failure::input(error.to_string())),
    }
}

/// The same with absolute names.
fn absolute_words(taskfarm: &TaskfarmArguments, submit_dir: &Path, run_dir: &Path) -> Vec<String> {
    let there =
        |path: &Option<PathBuf>| path.as_ref().map(|path| submit_dir.join(path).display().to_string());
    let options = [
        ("--config", there(&taskfarm.config)),
        ("--tasklist", there(&taskfarm.tasklist)),
        ("--tasklist-format", taskfarm.tasklist_format.map(format_name)),
        ("--workers", taskfarm.workers.map(|count| count.to_string())),
        ("--run-dir", Some(run_dir.display().to_string())),
    ];
    let mut words = vec!["taskfarm".to_owned()];
    for (name, value) in options {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    words
}

/// Submits the script; the id of the job.
fn sbatch(script: &Path, submit_dir: &Path) -> Result<String, Failure> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable").arg(script).current_dir(submit_dir).stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        let remedy = "Slurm's commands are wanted here; --dry-run shows the script";
        Failure::input(format!("failed to start `sbatch`: {error}; {remedy}"))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::input(format!(
            "sbatch refused the job `{}`:\n{}",
            script.display(),
            said.trim_end()
        )));
    }
    // `ID`, or `ID;CLUSTER`.
    let printed = String::from_utf8_lossy(&output.stdout);
    let id = printed.trim().split(';').next().unwrap_or_default();
    Ok(id.to_owned())
}

/// For errors in options.
fn refused(message: String) -> Failure {
    Failure::input(message)
}
