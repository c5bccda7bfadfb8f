//! The environment of a task: the farm's own, the configuration's, and what the farm tells.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use ictasks_core::protocol::{Setup, TaskOrder, Worker, WorkingDirectory};
use ictasks_core::task::{PARAMETER_VARIABLE, parameter_variable};
use serde_json::Value;

use super::gpu_binding;
use crate::gpu::mask;

/// Variables that each task sets anew, whatever it is given.
const ALWAYS_OWN: [&str; 4] =
    ["ICTASKS_TASK_ID", "ICTASKS_TASK_INDEX", "ICTASKS_ATTEMPT", "ICTASKS_TASK_DIR"];
/// The same and, where a task runs in its own directory and is given no other, where it is.
const PER_TASK: [&str; 5] = [ALWAYS_OWN[0], ALWAYS_OWN[1], ALWAYS_OWN[2], ALWAYS_OWN[3], "PWD"];

/// What is the same for all tasks of a slot.
pub struct Environment {
    /// Name and `NAME=VALUE`, by name, without those that each task sets anew.
    base: Vec<(Vec<u8>, CString)>,
}

/// The environment of one task.
pub struct Variables<'a> {
    base: &'a [(Vec<u8>, CString)],
    /// What the task itself is given, by name: its parameters and its variables. These stand in for those
    /// of the same name in `base`.
    given: BTreeMap<Cow<'a, str>, CString>,
    /// Those of [`PER_TASK`].
    own: Vec<CString>,
}

impl Environment {
    /// Of this process's environment, the configuration's, and what holds for all tasks of `worker`.
    pub fn new(setup: &Setup, worker: &Worker) -> Self {
        let mut values: BTreeMap<Vec<u8>, Vec<u8>> =
            std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect();
        // A farm within a task: those are the parameters of another task.
        values.retain(|name, _| !name.starts_with(PARAMETER_VARIABLE.as_bytes()));
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
        for name in per_task(setup) {
            values.remove(name.as_bytes());
        }
        let base = values
            .into_iter()
            .filter_map(|(name, value)| {
                let pair = pair(&name, &value)?;
                Some((name, pair))
            })
            .collect();
        Self { base }
    }

    /// What is the same for all tasks, as `execve` wants it.
    pub fn pairs(&self) -> Vec<&CStr> {
        self.base.iter().map(|(_, pair)| pair.as_c_str()).collect()
    }

    /// The `PATH` of tasks that are given no other.
    pub fn path(&self) -> Option<&[u8]> {
        find(&self.base, b"PATH").and_then(|pair| pair.to_bytes().get(b"PATH=".len()..))
    }

    /// Whether a variable may hide GPUs from the task.
    pub fn hides_gpus(&self, order: &TaskOrder) -> bool {
        let is_set = |name: &&str| {
            order.environment.contains_key(*name) || find(&self.base, name.as_bytes()).is_some()
        };
        mask::MASKS.iter().any(is_set)
    }

    /// With what holds for one task.
    pub fn of_task<'a>(&'a self, setup: &Setup, order: &'a TaskOrder, directory: &Path) -> Variables<'a> {
        let names = per_task(setup);
        let directory = directory.as_os_str().as_bytes();
        let (index, attempt) = (order.task_index.to_string(), order.attempt.to_string());
        let values = [order.task_id.as_bytes(), index.as_bytes(), attempt.as_bytes(), directory, directory];
        let mut given = parameters(order);
        let typed = order.environment.iter().filter(|(name, _)| !ALWAYS_OWN.contains(&name.as_str()));
        given.extend(typed.filter_map(|(name, value)| {
            Some((Cow::Borrowed(name.as_str()), pair(name.as_bytes(), value.as_bytes())?))
        }));
        let own = names
            .iter()
            .zip(values)
            .filter(|(name, _)| !given.contains_key(**name))
            .filter_map(|(name, value)| pair(name.as_bytes(), value))
            .collect();
        Variables { base: &self.base, given, own }
    }
}

impl Variables<'_> {
    /// As `execve` wants them.
    pub fn pairs(&self) -> Vec<&CStr> {
        let mut pairs = Vec::with_capacity(self.base.len() + self.given.len() + self.own.len());
        if self.given.is_empty() {
            pairs.extend(self.base.iter().map(|(_, pair)| pair.as_c_str()));
        } else {
            let is_given = |name| str::from_utf8(name).is_ok_and(|name| self.given.contains_key(name));
            let inherited = self.base.iter().filter(|(name, _)| !is_given(name));
            pairs.extend(inherited.map(|(_, pair)| pair.as_c_str()));
        }
        pairs.extend(self.given.values().chain(&self.own).map(CString::as_c_str));
        pairs
    }

    /// `NAME=VALUE` of those that are not the same for all tasks.
    pub fn of_task_alone(&self) -> Vec<String> {
        // They come out of JSON, which is text.
        self.given.values().chain(&self.own).map(|pair| pair.to_string_lossy().into_owned()).collect()
    }

    /// The task's `PATH`, if it has one.
    pub fn path(&self) -> Option<&[u8]> {
        let name = "PATH";
        let pair = self.given.get(name).or_else(|| find(self.base, name.as_bytes()))?;
        pair.to_bytes().get(name.len() + 1..)
    }
}

/// A variable for each parameter that has a value.
fn parameters(order: &TaskOrder) -> BTreeMap<Cow<'_, str>, CString> {
    let Some(json) = &order.params_json else { return BTreeMap::new() };
    let Ok(Value::Object(params)) = serde_json::from_str(json) else { return BTreeMap::new() };
    let variable = |(name, value): (String, Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        let variable = parameter_variable(&name);
        let pair = pair(variable.as_bytes(), text.as_bytes())?;
        Some((Cow::Owned(variable), pair))
    };
    params.into_iter().filter_map(variable).collect()
}

/// The variables that each task sets anew.
fn per_task(setup: &Setup) -> &'static [&'static str] {
    if setup.cwd == WorkingDirectory::Task { &PER_TASK } else { &ALWAYS_OWN }
}

fn find<'a>(base: &'a [(Vec<u8>, CString)], name: &[u8]) -> Option<&'a CString> {
    let place = base.binary_search_by(|(other, _)| other.as_slice().cmp(name)).ok()?;
    Some(&base[place].1)
}

/// `NAME=VALUE`; `None` where a zero byte makes that impossible.
fn pair(name: &[u8], value: &[u8]) -> Option<CString> {
    // With room for the zero byte at its end.
    let mut pair = Vec::with_capacity(name.len() + value.len() + 2);
    pair.extend_from_slice(name);
    pair.push(b'=');
    pair.extend_from_slice(value);
    CString::new(pair).ok()
}

fn list(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn parameters_are_variables_and_the_tasks_own_win() {
        let setup = specimen::setup(Path::new("/run"));
        let environment = Environment::new(&setup, &setup.workers[0]);
        let mut order = specimen::order("true");
        order.params_json = Some(r#"{"x":0.1,"longName":"a b","on":true,"none":null,"n":3}"#.to_owned());
        order.environment.insert("ICTASKS_PARAM_N".to_owned(), "3.0".to_owned());
        let variables = environment.of_task(&setup, &order, Path::new("/run/task_3"));
        let pairs: Vec<_> = variables.pairs().into_iter().filter_map(|pair| pair.to_str().ok()).collect();
        let found: Vec<_> = pairs.iter().filter_map(|pair| pair.strip_prefix(PARAMETER_VARIABLE)).collect();
        assert_eq!(found, ["LONGNAME=a b", "N=3.0", "ON=true", "X=0.1"]);
    }

    #[test]
    fn a_task_has_each_variable_once_and_its_own_come_first() {
        let setup = specimen::setup(Path::new("/run"));
        let environment = Environment::new(&setup, &setup.workers[0]);
        let value = |order: &TaskOrder, name: &str| {
            let variables = environment.of_task(&setup, order, Path::new("/run/task_3"));
            let prefix = format!("{name}=");
            let pairs = variables.pairs();
            let mut values = pairs.iter().filter_map(|pair| pair.to_str().ok()?.strip_prefix(&prefix));
            let value = values.next().map(str::to_owned);
            assert_eq!(values.next(), None, "{name}");
            value
        };
        let plain = specimen::order("true");
        let mut given = plain.clone();
        for name in ["ICTASKS_TASK_ID", "PWD", "PATH", "MINE"] {
            given.environment.insert(name.to_owned(), "given".to_owned());
        }
        assert_eq!(value(&plain, "ICTASKS_TASK_ID"), Some(plain.task_id.clone()));
        assert_eq!(value(&plain, "ICTASKS_TASK_DIR").as_deref(), Some("/run/task_3"));
        assert_eq!(value(&plain, "PWD").as_deref(), Some("/run/task_3"));
        assert_eq!(value(&plain, "PATH"), std::env::var("PATH").ok());
        assert_eq!(value(&plain, "MINE"), None);
        assert_eq!(value(&given, "ICTASKS_TASK_ID"), Some(plain.task_id));
        for name in ["PWD", "PATH", "MINE"] {
            assert_eq!(value(&given, name).as_deref(), Some("given"), "{name}");
        }
        let variables = environment.of_task(&setup, &given, Path::new("/run/task_3"));
        assert_eq!(variables.path(), Some(&b"given"[..]));
    }
}
