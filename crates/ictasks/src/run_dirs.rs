//! Run directories as readers want them: patterns resolved, and of runs that are alive or were killed tables
//! written elsewhere.

use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_record::{Life, RecordError, RunFile, RunState, needs_snapshot, write_snapshot};
use ictasks_report::Source;
use ictasks_report::findings::RunLife;
use tempfile::TempDir;

use crate::exit::{ExitCode, Failure, chain};

/// Runs to read, and the tables that were written for that.
pub struct RunDirs {
    /// The runs.
    pub sources: Vec<Source>,
    /// Whether they are the shards of one run.
    pub are_shards: bool,
    /// Removed when nobody reads any more.
    _snapshots: Vec<TempDir>,
}

impl RunDirs {
    /// The runs in these directories.
    ///
    /// # Errors
    /// If one is no run directory, or cannot be read.
    pub fn open(typed: &[PathBuf]) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        let mut snapshots = Vec::new();
        for run_dir in resolve(typed)? {
            let (source, snapshot) = open(&run_dir)?;
            sources.push(source);
            snapshots.extend(snapshot);
        }
        let are_shards = matches!(typed, [whole] if with_record(whole) != [whole.as_path()]);
        Ok(Self { sources, are_shards, _snapshots: snapshots })
    }

    /// The run in this directory.
    ///
    /// # Errors
    /// As for [`RunDirs::open`].
    pub fn open_one(typed: &Path) -> Result<Self, Failure> {
        let (source, snapshot) = open(typed)?;
        Ok(Self { sources: vec![source], are_shards: false, _snapshots: snapshot.into_iter().collect() })
    }

    /// These and then those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.sources.extend(others.sources);
        self._snapshots.extend(others._snapshots);
        self
    }
}

/// Directories as typed; a name that does not exist and has `*`, `?` or `[` in it is a pattern, of
/// which the matches that hold a record count.
fn resolve(typed: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in typed {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            found.extend(with_record(path));
            continue;
        }
        let matches = glob::glob(&text)
            .map_err(|error| Failure::input(format!("the pattern `{text}` is not understood: {error}")))?;
        let before = found.len();
        for one in matches.flatten().filter(|one| one.is_dir()) {
            match needs_snapshot(&one) {
                Err(RecordError::NoRecord { .. }) => found.extend(shards(&one)),
                _ => found.push(one),
            }
        }
        if found.len() == before {
            return Err(Failure::input(format!("no run directory matches `{text}`")));
        }
    }
    Ok(found)
}

/// The directory itself, or where it holds no record but those of shards, theirs.
pub fn with_record(path: &Path) -> Vec<PathBuf> {
    let of_shards = match needs_snapshot(path) {
        Err(RecordError::NoRecord { .. }) => shards(path),
        _ => Vec::new(),
    };
    if of_shards.is_empty() { vec![path.to_owned()] } else { of_shards }
}

/// The run directories of the shards of a run that have a record, in order.
pub fn shards(whole_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(whole_dir).into_iter().flatten().flatten();
    let is_shard = |name: &str| {
        let number = name.strip_prefix(layout::SHARD_PREFIX);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_shard));
    let mut shards: Vec<PathBuf> = named
        .map(|entry| entry.path())
        .filter(|path| !matches!(needs_snapshot(path), Err(RecordError::NoRecord { .. })))
        .collect();
    shards.sort();
    shards
}

/// What is said of a directory that holds no record.
pub fn no_record(run_dir: &Path) -> Failure {
    if let Some(first) = shards(run_dir).first() {
        return Failure::input(format!(
            "`{}` holds the run directories of shards, not one of its own; give one of them, for instance `{}`",
            run_dir.display(),
            first.display()
        ));
    }
    Failure::input(format!(
        "`{}` is no run directory: it holds no record of a run; give the directory that \
         `ictasks taskfarm --run-dir` was given",
        run_dir.display()
    ))
}

fn open(run_dir: &Path) -> Result<(Source, Option<TempDir>), Failure> {
    let failed = |error: &RecordError| match error {
        RecordError::NoRecord { .. } => no_record(run_dir),
        error => Failure { message: format!("failed to {}", chain(error)), code: ExitCode::BadInput },
    };
    let mut source = Source::finished(run_dir);
    let run = match RunFile::read(run_dir) {
        // A damaged run.json is told of by the report.
        Err(RecordError::Manifest { .. }) => None,
        run => run.map_err(|error| failed(&error))?,
    };
    source.life = life(Life::of(run.as_ref(), Timestamp::now()));
    if !needs_snapshot(run_dir).map_err(|error| failed(&error))? {
        return Ok((source, None));
    }
    let directory =
        tempfile::Builder::new().prefix("ictasks-report-").tempdir().map_err(|error| Failure {
            message: format!("failed to make a directory in `{}`: {error}", std::env::temp_dir().display()),
            code: ExitCode::RecordFailed,
        })?;
    source.damages = write_snapshot(run_dir, directory.path()).map_err(|error| failed(&error))?.damages;
    source.tables_dir = directory.path().to_path_buf();
    Ok((source, Some(directory)))
}

const fn life(life: Life) -> RunLife {
    match life {
        Life::Alive => RunLife::Alive,
        Life::Dead => RunLife::Killed,
        Life::Ended(RunState::Running | RunState::Finished) => RunLife::Finished,
        Life::Ended(RunState::Interrupted) => RunLife::Interrupted,
        Life::Ended(RunState::Failed) => RunLife::Failed,
        Life::Unknown => RunLife::Unknown,
    }
}
