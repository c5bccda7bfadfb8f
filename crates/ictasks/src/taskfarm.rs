//! `ictasks taskfarm`: input, plan, record, farm, summary.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ictasks_core::attempt::{Outcome, Reason};
use ictasks_core::column::Timestamp;
use ictasks_core::config::BackendChoice;
use ictasks_core::error::SlurmError;
use ictasks_core::event::EventSink;
use ictasks_core::event::json::Detail;
use ictasks_core::history::Matcher;
use ictasks_core::machine::{Machine, host_name};
use ictasks_core::plan::{Backend, CommandLine, Plan};
use ictasks_core::provenance::Provenance;
use ictasks_core::slurm::Allocation;
use ictasks_farm::dispatcher::Session as FarmSession;
use ictasks_farm::signals::Signals;
use ictasks_farm::{Farm, RunEnd, StopReason, node};
use ictasks_record::{
    RecordError, Recorder, RecorderOptions, Recovered, RunFile, RunLock, RunState, Session,
};

use crate::claim::{self, Claim};
use tokio::runtime::Runtime;

use crate::cli::taskfarm::{self as typed, TaskfarmArguments};
use crate::console::Console;
use crate::event_stream::{self, EventStream, Hello};
use crate::exit::{ExitCode, Failure, chain};
use crate::input::Input;
use crate::progress::Progress;
use crate::resume::{self, Outlook};
use crate::tally::Tally;
use crate::{command_line, deadline, dry_run, requeue, summary};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// `ictasks stop` ends a run as this signal does.
const SIGTERM: i32 = 15;

/// Runs the subcommand.
///
/// # Errors
/// What kept it from running, or the record from being kept.
pub fn run(arguments: &TaskfarmArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let events_to = arguments.events_fd.map(event_stream::take).transpose()?;
    let detail = if arguments.brief_events { Detail::Brief } else { Detail::Full };
    let events_to = events_to.map(|descriptor| (descriptor, detail));
    let current_dir = std::env::current_dir()
        .map_err(|error| Failure::input(format!("the current directory cannot be used: {error}")))?;
    let (arguments, submit_dir) = resume::with_earlier_input(arguments, current_dir)?;
    let arguments = &arguments;
    let rules = resume::rules(arguments)?;
    let input = Input::read(arguments, &submit_dir)?;
    let plan = resolve(arguments, &input, &submit_dir)?;
    check_name(&plan.run_dir, "the run directory", "another --run-dir")?;
    check_name(&plan.submit_dir, "the current directory", "the command in another one")?;
    // A directory that is not there holds nothing to go on with, and is not to be made for that.
    if arguments.dry_run && !(arguments.resume && plan.run_dir.exists()) {
        console.print(&dry_run::describe(&input, &plan, None))?;
        if let Some(warning) = claim::foresee(arguments, &plan)? {
            console.warning(&warning);
        }
        return Ok(ExitCode::Success);
    }
    let agent = node::find_agent().map_err(|error| Failure::record(&error))?;
    let Claim { lock, recovered, set_aside } = claim::take(arguments, &plan, console)?;
    let (recovered, outlook) = match recovered {
        Some(mut recovered) => {
            resume::check_shard(&recovered.run, &plan)?;
            let history = std::mem::take(&mut recovered.history);
            let outlook = Outlook::of(&recovered.run, history, rules, &input, &plan)?;
            (Some(recovered), Some(outlook))
        }
        None => (None, None),
    };
    if arguments.dry_run {
        console.print(&dry_run::describe(&input, &plan, outlook.as_ref()))?;
        return Ok(ExitCode::Success);
    }
    tell_before(&input, &plan, recovered.as_ref(), outlook.as_ref(), console);
    let is_requeued = arguments.requeue || input.config.slurm.as_ref().is_some_and(|slurm| slurm.requeue);
    let (progress, attendant) = (arguments.progress, arguments.attended_by);
    let run = Run { plan: &plan, input, agent, progress, attendant, events_to, set_aside };
    let (code, end) = run.perform(lock, recovered, outlook, console)?;
    if is_requeued {
        requeue::if_it_helps(&end, console);
    }
    Ok(code)
}

/// What the user should know before anything runs.
fn tell_before(
    input: &Input,
    plan: &Plan,
    recovered: Option<&Recovered>,
    outlook: Option<&Outlook>,
    console: &mut Console,
) {
    if input.list_wins {
        console.note("the task list wins over the tasks of the configuration");
    }
    for warning in &plan.warnings {
        console.warning(warning);
    }
    for line in &plan.arithmetic {
        console.detail(line);
    }
    for loss in recovered.iter().flat_map(|recovered| &recovered.losses) {
        console.warning(loss);
    }
    if let (Some(recovered), Some(outlook)) = (recovered, outlook) {
        let start = recovered.next_session + 1;
        console.note(&format!("going on with run `{}` (start {start}): {}", plan.job_id, outlook.message));
    }
}

fn resolve(arguments: &TaskfarmArguments, input: &Input, submit_dir: &Path) -> Result<Plan, Failure> {
    let backend = backend(arguments, input)?;
    let gpus = input.config.asks_for_gpus().then(ictasks_agent::gpu::visible);
    let machine = backend.typical_node(Machine::detect().with_gpus(gpus), &input.config);
    let command_line = CommandLine {
        run_dir: arguments.run_dir.clone(),
        workers: arguments.workers,
        backend,
        shard: arguments.shard,
    };
    let mut plan = Plan::resolve(&input.config, &command_line, &machine, submit_dir)
        .map_err(|error| Failure::input(chain(&error)))?;
    plan.warnings.extend(input.warnings.iter().cloned());
    deadline::find(&mut plan);
    Ok(plan)
}

/// Where agents run.
fn backend(arguments: &TaskfarmArguments, input: &Input) -> Result<Backend, Failure> {
    let allocation = Allocation::of_this_process();
    // Who wants to stay on this machine does not care.
    let choice = arguments.backend.map(BackendChoice::from);
    let allocation = match (choice.or(input.config.backend), allocation) {
        (Some(BackendChoice::Local), _) => None,
        // An id alone, without nodes, is no allocation.
        (None, Err(SlurmError::NoNodes { .. })) => None,
        (_, allocation) => {
            allocation.map_err(|error| Failure::input(format!("failed to {}", chain(&error))))?
        }
    };
    Backend::choose(&input.config, choice, allocation.as_ref()).map_err(|error| Failure::input(chain(&error)))
}

/// run.json names the directories, and JSON is text.
fn check_name(path: &Path, which: &str, remedy: &str) -> Result<(), Failure> {
    if path.to_str().is_some() {
        return Ok(());
    }
    Err(Failure::input(format!("{which} `{}` has a name that is not UTF-8; give {remedy}", path.display())))
}

/// A run with everything it needs.
struct Run<'a> {
    plan: &'a Plan,
    input: Input,
    agent: PathBuf,
    progress: typed::Progress,
    attendant: Option<i32>,
    events_to: Option<(OwnedFd, Detail)>,
    set_aside: Option<PathBuf>,
}

impl Run<'_> {
    fn perform(
        self,
        lock: RunLock,
        recovered: Option<Recovered>,
        outlook: Option<Outlook>,
        console: &mut Console,
    ) -> Result<(ExitCode, RunEnd), Failure> {
        // Whoever reads that the run has begun may end it by a signal.
        let (runtime, mut signals) = listen().map_err(|error| Failure::record(&error))?;
        let began_at = Timestamp::now();
        let (matcher, resumed, run_count) = match outlook {
            Some(outlook) => (outlook.matcher, Some(outlook.message), outlook.run_count),
            None => (Matcher::fresh(), None, self.input.source.task_count()),
        };
        let run = self.run_file(recovered.as_ref());
        let session = FarmSession {
            run_id: run.run_id.clone(),
            number: recovered.as_ref().map_or(0, |recovered| recovered.next_session),
            began_at,
            first_seq: recovered.as_ref().map_or(0, |recovered| recovered.next_seq),
            resumed,
        };
        let hello = Hello {
            run_id: &run.run_id,
            task_count: run_count,
            set_aside: self.set_aside.as_deref(),
            plan: self.plan,
        };
        let events = self.events_to.map(|(to, detail)| EventStream::start(to, detail, &hello));
        let mut events = events.transpose().map_err(|error| Failure {
            message: format!("failed to start a thread for --events-fd: {error}"),
            code: ExitCode::RecordFailed,
        })?;
        let repair = recovered.map(|recovered| recovered.repair);
        let mut recorder = Recorder::start(RecorderOptions { lock, run, repair })
            .map_err(|error| Failure::record(&error))?;
        let mut progress = Progress::start(self.progress, console, run_count);
        let mut sinks: Vec<&mut dyn EventSink> = vec![&mut recorder, &mut progress];
        sinks.extend(events.as_mut().map(|events| events as &mut dyn EventSink));
        let farm = Farm { plan: self.plan, session, matcher, sinks, attendant: self.attendant };
        let ended = runtime.block_on(farm.run(self.input.source, &self.agent, &mut signals));
        let tally = progress.finish();
        if let Some(events) = events {
            events.finish();
        }
        let end = ended.map_err(|error| Failure::record(&error))?;
        Ok((conclude(recorder, &end, &tally, self.plan, console)?, end))
    }

    /// run.json as it is to be at the beginning: of a fresh run, or with one more session.
    fn run_file(&self, recovered: Option<&Recovered>) -> RunFile {
        let plan = serde_json::to_value(self.plan).unwrap_or_default();
        let number = recovered.map_or(0, |recovered| recovered.next_session);
        let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
        let mut session = Session::begin(number, arguments.collect(), plan, &host_name());
        session.submit_dir.clone_from(&self.plan.submit_dir);
        session.task_count = self.input.source.task_count();
        session.warnings.clone_from(&self.plan.warnings);
        session.warnings.extend(recovered.iter().flat_map(|recovered| recovered.losses.iter().cloned()));
        if let Ok(serde_json::Value::Object(provenance)) =
            serde_json::to_value(Provenance::collect(&self.plan.submit_dir))
        {
            // The coordinator's host is a field of the session already.
            session.provenance = provenance.into_iter().filter(|(name, _)| name != "host").collect();
        }
        let mut run_file = match recovered {
            Some(recovered) => recovered.run.clone(),
            None => RunFile::new(VERSION, "", "", serde_json::Map::new()),
        };
        if run_file.run_id.is_empty() {
            run_file.run_id = uuid::Uuid::now_v7().to_string();
        }
        VERSION.clone_into(&mut run_file.version);
        run_file.state = RunState::Running;
        run_file.job_id.clone_from(&self.plan.job_id);
        run_file.labels.clone_from(&self.plan.labels);
        run_file.sessions.push(session);
        run_file
    }
}

/// The event loop, and what tells it of signals: from now on they end a run and not the program.
fn listen() -> Result<(Runtime, Signals), ictasks_farm::FarmError> {
    let system = |source| ictasks_farm::FarmError::System { action: "start the event loop", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    let signals = runtime.block_on(async { Signals::new() })?;
    Ok((runtime, signals))
}

/// Ends the record and says how it went.
fn conclude(
    mut recorder: Recorder,
    end: &RunEnd,
    tally: &Tally,
    plan: &Plan,
    console: &mut Console,
) -> Result<ExitCode, Failure> {
    let code = exit_code(end);
    let summary = summary::lines(end, tally, plan);
    let stopped_early = summary::stopped_early(end);
    let record_end = ictasks_record::RunEnd {
        state: state(end),
        how_it_ended: summary.iter().chain(&stopped_early).cloned().collect::<Vec<_>>().join("\n"),
        exit_code: code.number().into(),
        list_complete: end.list_complete,
    };
    let warnings = end.warnings.clone();
    // The end of the recorder tells what is wrong with it.
    let _ = recorder.update(move |run| {
        if let Some(session) = run.sessions.last_mut() {
            session.warnings.extend(warnings);
        }
    });
    let finished = recorder.finish(record_end);
    for line in &summary {
        console.note(line);
    }
    let finished = finished.map_err(|error| record_failure(&error, plan))?;
    let is_to_go_on = end.stop.is_some() && !matches!(end.stop, Some(StopReason::Input(_)));
    let others = summary.len() + usize::from(stopped_early.is_some()) + usize::from(is_to_go_on);
    if !console.is_quiet() {
        let room = summary::MOST_LINES.saturating_sub(others);
        summary::findings(end, tally, &plan.run_dir, room).iter().for_each(|line| console.note(line));
    }
    for warning in finished.warnings {
        console.warning(&warning);
    }
    match (code, stopped_early) {
        (ExitCode::BadInput | ExitCode::RecordFailed, Some(line)) => console.error(&line),
        (_, Some(line)) => console.note(&line),
        (_, None) => {}
    }
    if is_to_go_on {
        console.note(&format!("to go on:  {}", command_line::going_on()));
    }
    Ok(code)
}

fn record_failure(error: &RecordError, plan: &Plan) -> Failure {
    let mut failure = Failure::record(error);
    let journal = plan.run_dir.join(ictasks_core::layout::JOURNAL);
    // After a full disk it has become tables all the same.
    let place = if journal.is_dir() { &journal } else { &plan.run_dir };
    failure.message.push_str(&format!("\n  what was recorded so far is in `{}`", place.display()));
    failure
}

fn state(end: &RunEnd) -> RunState {
    match &end.stop {
        None => RunState::Finished,
        Some(
            StopReason::Input(_) | StopReason::Trouble(_) | StopReason::Record(_) | StopReason::DiskFull(_),
        ) => RunState::Failed,
        Some(_) => RunState::Interrupted,
    }
}

fn exit_code(end: &RunEnd) -> ExitCode {
    let left_out = end.skipped.get(&Reason::FailedBefore).copied().unwrap_or(0);
    match &end.stop {
        Some(StopReason::Signal(number)) => ExitCode::Signal(*number),
        Some(StopReason::Stopped(_) | StopReason::Preempted) => ExitCode::Signal(SIGTERM),
        Some(StopReason::Input(_)) => ExitCode::BadInput,
        Some(StopReason::Trouble(_) | StopReason::Record(_) | StopReason::DiskFull(_)) => {
            ExitCode::RecordFailed
        }
        _ if left_out == 0 && end.counts.of(Outcome::Succeeded) == end.counts.total() => ExitCode::Success,
        _ => ExitCode::TasksFailed,
    }
}
