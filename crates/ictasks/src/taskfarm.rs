//! `ictasks taskfarm`: input, plan, record, farm, summary.

use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;
use ictasks_core::machine::{Machine, host_name};
use ictasks_core::plan::{CommandLine, Plan};
use ictasks_core::provenance::Provenance;
use ictasks_farm::dispatcher::Session as FarmSession;
use ictasks_farm::signals::Signals;
use ictasks_farm::{Farm, RunEnd, StopReason, node};
use ictasks_record::{Existing, RecordError, Recorder, RecorderOptions, RunFile, RunLock, RunState, Session};

use crate::cli::TaskfarmArguments;
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};
use crate::input::Input;
use crate::progress::Progress;
use crate::tally::Tally;
use crate::{command_line, dry_run, summary};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the subcommand.
///
/// # Errors
/// What kept it from running, or the record from being kept.
pub fn run(arguments: &TaskfarmArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let submit_dir = std::env::current_dir()
        .map_err(|error| Failure::input(format!("the current directory cannot be used: {error}")))?;
    let input = Input::read(arguments, &submit_dir)?;
    let plan = resolve(arguments, &input, &submit_dir)?;
    if arguments.dry_run {
        console.print(&dry_run::describe(&input, &plan))?;
        return Ok(ExitCode::Success);
    }
    if input.list_wins {
        console.note("the task list wins over the tasks of the configuration");
    }
    for warning in &plan.warnings {
        console.warning(warning);
    }
    for line in &plan.arithmetic {
        console.detail(line);
    }
    let agent = node::find_agent().map_err(|error| Failure::record(&error))?;
    let lock = claim(arguments, &plan, console)?;
    let run = Run { plan: &plan, input, agent, progress: arguments.progress };
    run.perform(lock, console)
}

fn resolve(arguments: &TaskfarmArguments, input: &Input, submit_dir: &Path) -> Result<Plan, Failure> {
    let gpu_count = input.config.asks_for_gpus().then(ictasks_agent::gpu::count);
    let machine = Machine::detect().with_gpus(gpu_count);
    let command_line = CommandLine { run_dir: arguments.run_dir.clone(), workers: arguments.workers };
    Plan::resolve(&input.config, &command_line, &machine, submit_dir)
        .map_err(|error| Failure::input(chain(&error)))
}

/// Makes the run directory ours: locked, and without an earlier record.
fn claim(arguments: &TaskfarmArguments, plan: &Plan, console: &mut Console) -> Result<RunLock, Failure> {
    let run_dir = &plan.run_dir;
    let unusable = |error: &dyn std::error::Error| Failure::input(format!("failed to {}", chain(error)));
    std::fs::create_dir_all(run_dir).map_err(|error| {
        let remedy = if run_dir.exists() { "; it is no directory: give another --run-dir" } else { "" };
        Failure::input(format!("the run directory `{}` cannot be made: {error}{remedy}", run_dir.display()))
    })?;
    let lock = RunLock::take(run_dir, &host_name()).map_err(|error| unusable(&error))?;
    let existing = Existing::find(run_dir).map_err(|error| unusable(&error))?;
    let Some(existing) = existing else { return Ok(lock) };
    if !arguments.overwrite {
        return Err(refused(&existing, plan));
    }
    let deleted = existing.delete(&lock).map_err(|error| unusable(&error))?;
    console.note(&format!(
        "overwrite: files of the earlier run deleted: {} ({} bytes); task directories, empty then: {}",
        deleted.file_count, deleted.bytes, deleted.directory_count
    ));
    Ok(lock)
}

fn refused(existing: &Existing, plan: &Plan) -> Failure {
    let directory = plan.run_dir.display();
    let what = match existing {
        Existing::Record { run: Some(run), .. } => format!(
            "`{directory}` holds the record of the run `{}` ({}, {})",
            run.job_id,
            run.state,
            run.totals.tasks.map_or_else(|| "its end is not recorded".to_owned(), summary::tasks)
        ),
        Existing::Record { run: None, .. } => format!("`{directory}` holds the record of an earlier run"),
        Existing::TaskFiles { example } => {
            format!("`{directory}` holds tasks of an earlier run (for instance `{example}`)")
        }
    };
    let command = command_line::typed();
    let elsewhere = command_line::with_run_dir(&plan.run_dir);
    Failure::input(format!(
        "{what}\n  to delete that record and run again:  {command} --overwrite\n  \
         to keep it and run elsewhere:         {elsewhere}"
    ))
}

/// A run with everything it needs.
struct Run<'a> {
    plan: &'a Plan,
    input: Input,
    agent: PathBuf,
    progress: crate::cli::Progress,
}

impl Run<'_> {
    fn perform(self, lock: RunLock, console: &mut Console) -> Result<ExitCode, Failure> {
        let run_id = uuid::Uuid::now_v7().to_string();
        let run_file = self.run_file(&run_id);
        let mut recorder = Recorder::start(RecorderOptions { lock, run: run_file })
            .map_err(|error| Failure::record(&error))?;
        let mut progress = Progress::start(self.progress, console, self.input.source.task_count());
        let session = FarmSession { run_id, number: 0, began_at: Timestamp::now(), first_seq: 0 };
        let farm = Farm { plan: self.plan, session, sinks: vec![&mut recorder, &mut progress] };
        let ended = run_farm(farm, self.input.source, &self.agent);
        let tally = progress.finish();
        let end = ended.map_err(|error| Failure::record(&error))?;
        conclude(recorder, &end, &tally, self.plan, console)
    }

    fn run_file(&self, run_id: &str) -> RunFile {
        let plan = serde_json::to_value(self.plan).unwrap_or_default();
        let mut session = Session::begin(0, std::env::args().collect(), plan, &host_name());
        session.submit_dir.clone_from(&self.plan.submit_dir);
        session.warnings.clone_from(&self.plan.warnings);
        if let Ok(serde_json::Value::Object(provenance)) =
            serde_json::to_value(Provenance::collect(&self.plan.submit_dir))
        {
            // The coordinator's host is a field of the session already.
            session.provenance = provenance.into_iter().filter(|(name, _)| name != "host").collect();
        }
        let mut run_file = RunFile::new(VERSION, run_id, &self.plan.job_id, self.plan.labels.clone());
        run_file.sessions.push(session);
        run_file
    }
}

fn run_farm(
    farm: Farm<'_>,
    source: ictasks_core::task_list::TaskSource,
    agent: &Path,
) -> Result<RunEnd, ictasks_farm::FarmError> {
    let system = |source| ictasks_farm::FarmError::System { action: "start the event loop", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        farm.run(source, agent, &mut signals).await
    })
}

/// Ends the record and says how it went.
fn conclude(
    recorder: Recorder,
    end: &RunEnd,
    tally: &Tally,
    plan: &Plan,
    console: &mut Console,
) -> Result<ExitCode, Failure> {
    let code = exit_code(end);
    let summary = summary::lines(end, tally, &plan.run_dir);
    let stopped_early = summary::stopped_early(end);
    let record_end = ictasks_record::RunEnd {
        state: state(end),
        how_it_ended: summary.iter().chain(&stopped_early).cloned().collect::<Vec<_>>().join("\n"),
        exit_code: code.number().into(),
        list_complete: end.list_complete,
    };
    let finished = recorder.finish(record_end);
    for line in &summary {
        console.note(line);
    }
    let finished = finished.map_err(|error| record_failure(&error, plan))?;
    for warning in finished.warnings {
        console.warning(&warning);
    }
    match (&end.stop, stopped_early) {
        (Some(StopReason::Signal(_)), Some(line)) => console.note(&line),
        (_, Some(line)) => console.error(&line),
        (_, None) => {}
    }
    Ok(code)
}

fn record_failure(error: &RecordError, plan: &Plan) -> Failure {
    let mut failure = Failure::record(error);
    failure.message.push_str(&format!(
        "\n  what was recorded so far is in `{}`",
        plan.run_dir.join(ictasks_core::layout::JOURNAL).display()
    ));
    failure
}

fn state(end: &RunEnd) -> RunState {
    match &end.stop {
        None => RunState::Finished,
        Some(StopReason::Signal(_)) => RunState::Interrupted,
        Some(StopReason::Input(_) | StopReason::Trouble(_) | StopReason::Record(_)) => RunState::Failed,
    }
}

fn exit_code(end: &RunEnd) -> ExitCode {
    use ictasks_core::attempt::Outcome;
    match &end.stop {
        Some(StopReason::Signal(number)) => ExitCode::Signal(*number),
        Some(StopReason::Input(_)) => ExitCode::BadInput,
        Some(StopReason::Trouble(_) | StopReason::Record(_)) => ExitCode::RecordFailed,
        None if end.counts.of(Outcome::Succeeded) == end.counts.total() => ExitCode::Success,
        None => ExitCode::TasksFailed,
    }
}
