//! Deleting what an old record wrote.

use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::layout;
use serde_json::Value;

use super::{both_names, for_each_recorded_task, is_absent, is_damaged_copy, record_files};
use crate::error::{AtPath, RecordError};
use crate::journal::journal_dir;
use crate::lock::LOCK_FILE;
use crate::manifest::RunFile;

/// What a deletion removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Files.
    pub file_count: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Task directories that were empty then.
    pub directory_count: u64,
}

impl Deleted {
    /// Removes a file if there is one.
    fn remove(&mut self, path: &Path) -> Result<(), RecordError> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if is_absent(&error) => return Ok(()),
            metadata => metadata.at("look at", path)?,
        };
        if !metadata.is_dir() {
            fs::remove_file(path).at("remove", path)?;
            self.file_count += 1;
            self.bytes += metadata.len();
        }
        Ok(())
    }
}

pub(super) fn delete(run_dir: &Path, run: Option<&RunFile>) -> Result<Deleted, RecordError> {
    let mut deleted = Deleted::default();
    let names = task_file_names(run);
    for_each_recorded_task(run_dir, &mut |directory| delete_task(run_dir, directory, &names, &mut deleted))?;
    delete_journal(run_dir, &mut deleted)?;
    for name in record_files() {
        for path in both_names(run_dir, name) {
            deleted.remove(&path)?;
        }
    }
    for entry in fs::read_dir(run_dir).at("read", run_dir)? {
        let entry = entry.at("read", run_dir)?;
        let name = entry.file_name();
        if is_damaged_copy(&name.to_string_lossy()) {
            deleted.remove(&entry.path())?;
        }
    }
    Ok(deleted)
}

/// What the farm has written into a task's directory, as far as the plans of its sessions tell.
pub(super) fn task_file_names(run: Option<&RunFile>) -> Vec<String> {
    let mut names = vec![layout::TASK_FILE.to_owned(), layout::TASK_FILE_NEW.to_owned()];
    let plans: Vec<&Value> =
        run.into_iter().flat_map(|run| &run.sessions).map(|session| &session.plan).collect();
    for plan in if plans.is_empty() { &[&Value::Null] } else { &*plans } {
        for (key, default) in [("stdout_filename", "task_stdout.txt"), ("stderr_filename", "task_stderr.txt")]
        {
            let name = plan.get(key).and_then(Value::as_str).unwrap_or(default);
            names.extend(Some(name).filter(|name| is_plain(name)).map(str::to_owned));
        }
        if plan.pointer("/task_distribution/gpus_per_task").is_none_or(|gpus| gpus != 0) {
            names.push(layout::GPU_IDS_FILE.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Whether a name stays within its directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

/// Removes the farm's files from a task's directory.
fn delete_task(
    run_dir: &Path,
    directory: &str,
    names: &[String],
    deleted: &mut Deleted,
) -> Result<(), RecordError> {
    let path: PathBuf = run_dir.join(directory);
    let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
    if !is_plain(directory) || !is_directory {
        return Ok(());
    }
    for entry in fs::read_dir(&path).at("read", &path)? {
        let entry = entry.at("read", &path)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_of_farm(name, names) {
            deleted.remove(&entry.path())?;
        }
    }
    // The task's own files keep it.
    if fs::remove_dir(&path).is_ok() {
        deleted.directory_count += 1;
    }
    Ok(())
}

/// Whether a name is one of the farm's, or such a name with `.attempt-N`.
pub(super) fn is_of_farm(name: &str, names: &[String]) -> bool {
    let stem = name.rsplit_once(".attempt-").and_then(|(stem, number)| {
        (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(stem)
    });
    let is_named = |name: &str| names.iter().any(|ours| ours == name);
    is_named(name) || stem.is_some_and(is_named)
}

/// Removes the journal, except the lock, which the caller holds.
fn delete_journal(run_dir: &Path, deleted: &mut Deleted) -> Result<(), RecordError> {
    let directory = journal_dir(run_dir);
    let entries = match fs::read_dir(&directory) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries.at("read", &directory)?,
    };
    for entry in entries {
        let entry = entry.at("read", &directory)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = ["events-", "samples-", "agent-", ".events-", ".samples-"];
        let named = ["reserve", layout::STOP_FILE];
        if name != LOCK_FILE && (named.contains(&&*name) || ours.iter().any(|o| name.starts_with(o))) {
            deleted.remove(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Existing;
    use super::*;
    use crate::specimen;
    use crate::{RunEnd, RunLock, RunState, Session};
    use serde_json::json;

    fn write(run: &Path, files: &[&str]) {
        for file in files {
            let path = run.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        }
    }

    #[test]
    fn an_empty_or_absent_directory_holds_nothing() {
        let run = tempfile::tempdir().unwrap();
        assert!(Existing::find(run.path()).unwrap().is_none());
        assert!(Existing::find(&run.path().join("no")).unwrap().is_none());
        let _lock = RunLock::take(run.path(), "c17").unwrap();
        assert!(Existing::find(run.path()).unwrap().is_none());
    }

    #[test]
    fn task_files_without_a_record_are_found_and_deleted() {
        let run = tempfile::tempdir().unwrap();
        write(
            run.path(),
            &["task_0/task.json", "task_0/task_stdout.txt", "task_1/own.dat", "other/task.json"],
        );
        let found = Existing::find(run.path()).unwrap().unwrap();
        assert!(matches!(&found, Existing::TaskFiles { example } if example == "task_0"));
        let lock = RunLock::take(run.path(), "c17").unwrap();
        let deleted = found.delete(&lock).unwrap();
        assert_eq!((deleted.file_count, deleted.bytes, deleted.directory_count), (2, 10, 1));
        assert!(run.path().join("task_1/own.dat").exists());
        assert!(run.path().join("other/task.json").exists());
    }

    #[test]
    fn of_a_record_only_what_it_wrote_is_deleted() {
        let run = tempfile::tempdir().unwrap();
        specimen::record(
            run.path(),
            2,
            RunEnd {
                state: RunState::Finished,
                how_it_ended: "all tasks ran".into(),
                exit_code: 0,
                list_complete: true,
            },
        );
        write(
            run.path(),
            &[
                "task_0/task.json",
                "task_0/out.log",
                "task_0/out.log.attempt-1",
                "task_0/gpu_ids.txt",
                "task_0/.task.json.new",
                "task_1/task.json",
                "task_1/result.json",
                "task_1/out.log.attempt-x",
                "task_2/task.json",
                "notes.txt",
            ],
        );
        let found = Existing::find(run.path()).unwrap().unwrap();
        let Existing::Record { run: Some(file), journal: false } = &found else { panic!("{found:?}") };
        assert_eq!(file.job_id, "my_job");
        assert_eq!(file.totals.tasks, Some(2));
        let lock = RunLock::take(run.path(), "c17").unwrap();
        let deleted = found.delete(&lock).unwrap();
        assert_eq!((deleted.file_count, deleted.directory_count), (6 + 5, 1));
        drop(lock);
        for kept in ["task_1/result.json", "task_1/out.log.attempt-x", "task_2/task.json", "notes.txt"] {
            assert!(run.path().join(kept).exists(), "{kept}");
        }
        for gone in ["task_0", "task_1/task.json", "run.json", "tasks.parquet", "journal"] {
            assert!(!run.path().join(gone).exists(), "{gone}");
        }
    }

    #[test]
    fn names_are_those_of_the_plans() {
        let plan = |stdout: &str, gpus: i32| {
            json!({
                "stdout_filename": stdout, "stderr_filename": "b", "task_distribution": {"gpus_per_task": gpus}
            })
        };
        let mut run = RunFile::new("0", "", "", serde_json::Map::new());
        run.sessions.push(Session::begin(0, Vec::new(), plan("a", 0), "c17"));
        assert_eq!(task_file_names(Some(&run)), [".task.json.new", "a", "b", "task.json"]);
        run.sessions.push(Session::begin(1, Vec::new(), plan("c", 1), "c17"));
        assert_eq!(
            task_file_names(Some(&run)),
            [".task.json.new", "a", "b", "c", "gpu_ids.txt", "task.json"]
        );
    }
}
