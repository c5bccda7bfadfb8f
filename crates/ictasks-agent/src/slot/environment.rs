//! The environment of a task: the farm's own, the configuration's, and what the farm tells.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use ictasks_core::protocol::{Setup, TaskOrder, Worker, WorkingDirectory};

use super::gpu_binding;
use crate::gpu::mask;

/// Variables that each task sets anew.
const PER_TASK: [&str; 5] =
    ["ICTASKS_TASK_ID", "ICTASKS_TASK_INDEX", "ICTASKS_ATTEMPT", "ICTASKS_TASK_DIR", "PWD"];

/// What is the same for all tasks of a slot.
pub struct Environment {
    /// `NAME=VALUE`, by name.
    base: BTreeMap<Vec<u8>, CString>,
}

/// The environment of one task.
pub struct Variables<'a> {
    base: &'a BTreeMap<Vec<u8>, CString>,
    /// These stand in for those of the same name in `base`.
    own: BTreeMap<Vec<u8>, CString>,
}

impl Environment {
    /// Of this process's environment, the configuration's, and what holds for all tasks of `worker`.
    pub fn new(setup: &Setup, worker: &Worker) -> Self {
        let mut values: BTreeMap<Vec<u8>, Vec<u8>> =
            std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect();
        for (name, value) in &setup.environment {
            values.insert(name.clone().into_bytes(), value.clone().into_bytes());
        }
        gpu_binding::bind(&mut values, setup, worker);
        let mut set = |name: &str, value: OsString| values.insert(name.into(), value.into_vec());
        set("ICTASKS_JOB_ID", setup.job_id.clone().into());
        set("ICTASKS_WORKER_ID", worker.id.to_string().into());
        set("ICTASKS_HOST_ID", setup.host_id.to_string().into());
        set("ICTASKS_CORES", list(worker.cores.as_deref().unwrap_or_default()).into());
        set("ICTASKS_GPU_IDS", list(&worker.gpus).into());
        set("ICTASKS_RUN_DIR", setup.run_dir.clone().into());
        set("ICTASKS_SUBMIT_DIR", setup.submit_dir.clone().into());
        if setup.cwd == WorkingDirectory::Submit {
            set("PWD", setup.submit_dir.clone().into());
        }
        values
            .entry(b"OMP_NUM_THREADS".to_vec())
            .or_insert_with(|| setup.cores_per_task.to_string().into_bytes());
        let base = values
            .into_iter()
            .filter_map(|(name, value)| Some((name.clone(), pair(&name, &value)?)))
            .collect();
        Self { base }
    }

    /// Whether a variable may hide GPUs from the task.
    pub fn hides_gpus(&self, order: &TaskOrder) -> bool {
        let is_set =
            |name: &&str| order.environment.contains_key(*name) || self.base.contains_key(name.as_bytes());
        mask::MASKS.iter().any(is_set)
    }

    /// With what holds for one task.
    pub fn of_task<'a>(&'a self, setup: &Setup, order: &TaskOrder, directory: &Path) -> Variables<'a> {
        let mut own = BTreeMap::new();
        let mut set = |name: &str, value: &[u8]| {
            if let Some(pair) = pair(name.as_bytes(), value) {
                own.insert(name.as_bytes().to_vec(), pair);
            }
        };
        let directory = directory.as_os_str().as_bytes();
        let [id, index, attempt, task_dir, pwd] = PER_TASK;
        if setup.cwd == WorkingDirectory::Task {
            set(pwd, directory);
        }
        for (name, value) in &order.environment {
            set(name, value.as_bytes());
        }
        set(id, order.task_id.as_bytes());
        set(index, order.task_index.to_string().as_bytes());
        set(attempt, order.attempt.to_string().as_bytes());
        set(task_dir, directory);
        Variables { base: &self.base, own }
    }
}

impl Variables<'_> {
    /// As `execve` wants them.
    pub fn pairs(&self) -> Vec<&CStr> {
        let inherited =
            self.base.iter().filter(|(name, _)| !self.own.contains_key(*name)).map(|(_, pair)| pair);
        inherited.chain(self.own.values()).map(CString::as_c_str).collect()
    }

    /// The task's `PATH`, if it has one.
    pub fn path(&self) -> Option<&[u8]> {
        let name: &[u8] = b"PATH";
        let pair = self.own.get(name).or_else(|| self.base.get(name))?;
        pair.to_bytes().get(name.len() + 1..)
    }
}

/// `NAME=VALUE`; `None` where a zero byte makes that impossible.
fn pair(name: &[u8], value: &[u8]) -> Option<CString> {
    CString::new([name, b"=", value].concat()).ok()
}

fn list(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
