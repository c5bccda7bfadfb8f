//! Moving an old record out of the way, with all that its tasks made.

use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::layout::EARLIER;

use super::delete::{is_of_farm, task_file_names};
use super::{
    both_names, for_each_recorded_task, for_each_task_dir, is_absent, is_damaged_copy, record_files,
};
use crate::error::{AtPath, RecordError};
use crate::journal::journal_dir;
use crate::lock::LOCK_FILE;
use crate::manifest::RunFile;

/// Pages that `ictasks report` writes beside the record.
const REPORT_FILE: &str = "report.html";

/// Moves the record to `earlier/<run_id>` in the run directory and says where that is.
///
/// Tasks go first and run.json last, so that a move that was cut short can be repeated.
pub(super) fn set_aside(run_dir: &Path, run: Option<&RunFile>) -> Result<PathBuf, RecordError> {
    let place = place(run_dir, run);
    fs::create_dir_all(&place).at("make", &place)?;
    for_each_recorded_task(run_dir, &mut |directory| move_into(&place, &run_dir.join(directory)))?;
    let journal = journal_dir(run_dir);
    let moved_journal = journal_dir(&place);
    for name in names_in(&journal)? {
        if name != LOCK_FILE {
            fs::create_dir_all(&moved_journal).at("make", &moved_journal)?;
            move_into(&moved_journal, &journal.join(name))?;
        }
    }
    for name in names_in(run_dir)? {
        if is_damaged_copy(&name) || name == REPORT_FILE {
            move_into(&place, &run_dir.join(name))?;
        }
    }
    for name in record_files() {
        for path in both_names(run_dir, name) {
            move_into(&place, &path)?;
        }
    }
    Ok(place)
}

/// Moves the farm's files of tasks without a record to `earlier/unknown-N`; what else lies in their directories
/// stays: somebody may have prepared it.
pub(super) fn set_task_files_aside(run_dir: &Path) -> Result<PathBuf, RecordError> {
    let place = place(run_dir, None);
    let ours = task_file_names(None);
    for_each_task_dir(run_dir, &mut |directory| {
        let (from, to) = (run_dir.join(directory), place.join(directory));
        fs::create_dir_all(&to).at("make", &to)?;
        for name in names_in(&from)?.iter().filter(|name| is_of_farm(name, &ours)) {
            move_into(&to, &from.join(name))?;
        }
        Ok(true)
    })?;
    Ok(place)
}

/// Where a record goes: by its id, and without one by the first number that is free.
fn place(run_dir: &Path, run: Option<&RunFile>) -> PathBuf {
    let earlier = run_dir.join(EARLIER);
    let id = run.map(|run| run.run_id.as_str());
    // Damaged files may hold anything.
    let is_plain = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match id.filter(is_plain) {
        Some(id) => earlier.join(id),
        None => (1..)
            .map(|number: u32| earlier.join(format!("unknown-{number}")))
            .find(|place| !place.exists())
            .unwrap_or(earlier),
    }
}

fn names_in(directory: &Path) -> Result<Vec<String>, RecordError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.at("read", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at("read", directory)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Moves a file or directory, if it is there.
fn move_into(place: &Path, path: &Path) -> Result<(), RecordError> {
    let Some(name) = path.file_name() else { return Ok(()) };
    match fs::rename(path, place.join(name)) {
        Err(error) if is_absent(&error) => Ok(()),
        moved => moved.at("move", path),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Existing;
    use super::*;
    use crate::specimen;
    use crate::{RunEnd, RunLock, RunState};

    #[test]
    fn a_record_moves_with_its_tasks_and_nothing_else() {
        let run = tempfile::tempdir().unwrap();
        let end = RunEnd {
            state: RunState::Finished,
            how_it_ended: "all tasks ran".into(),
            exit_code: 0,
            list_complete: true,
        };
        specimen::record(run.path(), 2, end);
        for file in ["task_0/task.json", "task_0/own.dat", "task_1/task.json", "task_9/own.dat", "notes.txt"]
        {
            let path = run.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        }
        let found = Existing::find(run.path()).unwrap().unwrap();
        let lock = RunLock::take(run.path(), "c17").unwrap();
        let place = found.set_aside(&lock).unwrap();
        let run_id = RunFile::read(&place).unwrap().unwrap().run_id;
        assert_eq!(place, run.path().join(EARLIER).join(run_id));
        for moved in ["task_0/own.dat", "task_1/task.json", "run.json", "tasks.parquet", "samples.parquet"] {
            assert!(place.join(moved).exists() && !run.path().join(moved).exists(), "{moved}");
        }
        assert!(run.path().join("task_9/own.dat").exists() && run.path().join("notes.txt").exists());
        assert!(Existing::find(run.path()).unwrap().is_none());
    }

    #[test]
    fn a_record_without_a_readable_id_gets_a_number() {
        let run = tempfile::tempdir().unwrap();
        for number in 1..=2 {
            fs::write(run.path().join("run.json"), "{").unwrap();
            let found = Existing::find(run.path()).unwrap().unwrap();
            let lock = RunLock::take(run.path(), "c17").unwrap();
            let place = found.set_aside(&lock).unwrap();
            assert_eq!(place, run.path().join(EARLIER).join(format!("unknown-{number}")));
            assert_eq!(fs::read_to_string(place.join("run.json")).unwrap(), "{");
        }
    }

    #[test]
    fn of_tasks_without_a_record_only_the_farm_s_files_move() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("task_0")).unwrap();
        for file in ["task_0/task.json", "task_0/input.dat"] {
            fs::write(run.path().join(file), "{}").unwrap();
        }
        let found = Existing::find(run.path()).unwrap().unwrap();
        let lock = RunLock::take(run.path(), "c17").unwrap();
        let place = found.set_aside(&lock).unwrap();
        assert!(place.join("task_0/task.json").exists() && run.path().join("task_0/input.dat").exists());
        assert!(Existing::find(run.path()).unwrap().is_none());
    }
}
