//! Makes the run directory ours: locked, and without an earlier record, or with one to go on with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ictasks_core::layout;
use ictasks_core::lease::{ENDING_TAKES, LEASE};
use ictasks_core::machine::host_name;
use ictasks_core::plan::Plan;
use ictasks_record::{Existing, RecordError, Recovered, RunFile, RunLock};

use crate::cli::taskfarm::TaskfarmArguments;
use crate::console::Console;
use crate::exit::{Failure, chain};
use crate::{command_line, resume, summary};

/// How long agents of a coordinator that died may take to end their tasks.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a coordinator touches run.json.
const TOUCHED_EVERY: Duration = Duration::from_secs(10);

/// The right to write into the run directory, and what lies there.
pub struct Claim {
    /// The right.
    pub lock: RunLock,
    /// The run to go on with.
    pub recovered: Option<Recovered>,
    /// Where an earlier record was moved.
    pub set_aside: Option<PathBuf>,
}

impl Claim {
    const fn fresh(lock: RunLock) -> Self {
        Self { lock, recovered: None, set_aside: None }
    }
}

/// Takes the run directory.
///
/// # Errors
/// It cannot be made or locked, or holds a record that nobody asked to go on with or to delete.
pub fn take(arguments: &TaskfarmArguments, plan: &Plan, console: &mut Console) -> Result<Claim, Failure> {
    let run_dir = &plan.run_dir;
    std::fs::create_dir_all(run_dir).map_err(|error| {
        let remedy = if run_dir.exists() { "; it is no directory: give another --run-dir" } else { "" };
        Failure::input(format!("the run directory `{}` cannot be made: {error}{remedy}", run_dir.display()))
    })?;
    let lock = RunLock::take(run_dir, &host_name()).map_err(|error| unusable(&error))?;
    if let Some(taken_over) = lock.taken_over() {
        console.warning(taken_over);
    }
    let existing = Existing::find(run_dir).map_err(|error| unusable(&error))?;
    let Some(existing) = existing else { return Ok(Claim::fresh(lock)) };
    wait_for_agents(run_dir, console)?;
    if let Existing::Record { run: Some(run), .. } = &existing {
        wait_for_leases(run, run_dir, console);
    }
    if arguments.overwrite {
        let deleted = existing.delete(&lock).map_err(|error| unusable(&error))?;
        console.note(&format!(
            "overwrite: files of the earlier run deleted: {} ({} bytes); task directories, empty then: {}",
            deleted.file_count, deleted.bytes, deleted.directory_count
        ));
        return Ok(Claim::fresh(lock));
    }
    if arguments.set_aside {
        let place = existing.set_aside(&lock).map_err(|error| unusable(&error))?;
        let (run_dir, shown) = (run_dir.display(), place.display());
        console.note(&format!("the earlier run in `{run_dir}` is now in `{shown}`"));
        return Ok(Claim { set_aside: Some(place), ..Claim::fresh(lock) });
    }
    let is_implied = match &existing {
        Existing::Record { run, .. } => resume::is_implied(run.as_deref()),
        Existing::TaskFiles { .. } => return Err(refused(&existing, plan)),
    };
    if !arguments.resume && !is_implied {
        return Err(refused(&existing, plan));
    }
    if !arguments.resume {
        console.note("Slurm has started this job again: the run goes on, as with --resume");
    }
    let recovered = Recovered::open(&lock).map_err(|error| unusable(&error))?;
    Ok(Claim { recovered, ..Claim::fresh(lock) })
}

/// For a dry run: what [`take`] would say of an earlier run in the run directory.
///
/// # Errors
/// The directory cannot be read.
pub fn foresee(arguments: &TaskfarmArguments, plan: &Plan) -> Result<Option<String>, Failure> {
    let Some(existing) = Existing::find(&plan.run_dir).map_err(|error| unusable(&error))? else {
        return Ok(None);
    };
    let found = found(&existing, plan);
    Ok(Some(if arguments.overwrite {
        format!("{found}; the files of that run will be deleted")
    } else if arguments.set_aside {
        format!("{found}; that run will be moved to `earlier` there")
    } else {
        format!("{found}; without --resume, --overwrite or --set-aside the run will be refused")
    }))
}

fn unusable(error: &RecordError) -> Failure {
    Failure::input(format!("failed to {}", chain(error)))
}

fn wait_for_agents(run_dir: &Path, console: &mut Console) -> Result<(), Failure> {
    ictasks_record::wait_for_agents(run_dir, PATIENCE, &mut |line| console.note(line))
        .map_err(|error| unusable(&error))
}

/// Agents of other nodes hold no lock that every file system shows. A coordinator that was killed has last
/// written run.json when it lived, and some time after that none of its tasks runs any more.
fn wait_for_leases(run: &RunFile, run_dir: &Path, console: &mut Console) {
    let Some(session) = run.sessions.last().filter(|session| session.ended_at.is_none()) else { return };
    if session.plan.get("backend").is_none_or(|backend| backend == "local") {
        return;
    }
    let touched = std::fs::metadata(run_dir.join(layout::RUN_FILE)).and_then(|data| data.modified());
    let age = touched.ok().and_then(|touched| touched.elapsed().ok()).unwrap_or_default();
    let left = (TOUCHED_EVERY + LEASE + ENDING_TAKES).saturating_sub(age);
    if !left.is_zero() {
        console.note(&format!(
            "waiting for {} s, until the tasks of the earlier start have ended on all nodes",
            left.as_secs() + 1
        ));
        std::thread::sleep(left);
    }
}

/// What there is of an earlier run.
fn found(existing: &Existing, plan: &Plan) -> String {
    let directory = plan.run_dir.display();
    match existing {
        Existing::Record { run: Some(run), .. } => format!(
            "`{directory}` holds the record of the run `{}` ({}, {})",
            run.job_id,
            run.state,
            run.totals.tasks.map_or_else(|| "its end is not recorded".to_owned(), summary::tasks)
        ),
        Existing::Record { run: None, .. } => format!("`{directory}` holds the record of an earlier run"),
        Existing::TaskFiles { example } => {
            format!(
                "`{directory}` holds tasks of an earlier run (for instance `{example}`) without its record"
            )
        }
    }
}

fn refused(existing: &Existing, plan: &Plan) -> Failure {
    let what = found(existing, plan);
    let (overwriting, elsewhere) = (command_line::overwriting(), command_line::with_run_dir(&plan.run_dir));
    Failure::input(match existing {
        Existing::Record { .. } => format!(
            "{what}\n  to go on with that run:               {} --resume\n  \
             to delete that record and run again:  {overwriting}\n  \
             to move it to `earlier` there:        {}\n  \
             to keep it and run elsewhere:         {elsewhere}",
            command_line::typed(),
            command_line::setting_aside()
        ),
        Existing::TaskFiles { .. } => format!(
            "{what}\n  to delete their files and run again:  {overwriting}\n  \
             to keep them and run elsewhere:       {elsewhere}"
        ),
    })
}
