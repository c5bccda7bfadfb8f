//! Where a run comes from: user, host, git commit, modules, environments, Slurm ids.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::machine::host_name;

/// Slurm's variables that say which job this is.
const SLURM_VARIABLES: [&str; 7] = [
    "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_JOB_NODELIST",
    "SLURM_RESTART_COUNT",
    "SLURM_CLUSTER_NAME",
    "SLURM_JOB_PARTITION",
];

/// Who and what started a run, as far as the environment says. It goes into run.json.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The user's name.
    pub user: Option<String>,
    /// The host's name.
    pub host: Option<String>,
    /// `git rev-parse HEAD` in the submit directory, if it lies in a repository.
    pub git_commit: Option<String>,
    /// The environment modules that were loaded.
    pub loaded_modules: Vec<String>,
    /// Name of the conda environment.
    pub conda_env: Option<String>,
    /// Directory of the conda environment.
    pub conda_prefix: Option<String>,
    /// Directory of the Python virtual environment.
    pub virtual_env: Option<String>,
    /// Slurm's ids, by the names of their variables in lower case without `SLURM_`.
    pub slurm: BTreeMap<String, String>,
}

impl Provenance {
    /// Looks at the environment and at `submit_dir`.
    pub fn collect(submit_dir: &Path) -> Self {
        let environment = Self::of_environment(|name| std::env::var(name).ok());
        let submit_dir = std::path::absolute(submit_dir);
        Self {
            user: environment.user.clone().or_else(user_of_this_process),
            host: Some(host_name()),
            git_commit: submit_dir.ok().and_then(|directory| git_commit(&directory)),
            ..environment
        }
    }

    /// What the environment variables say; empty ones say nothing.
    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let modules = get("LOADEDMODULES").unwrap_or_default();
        let slurm = SLURM_VARIABLES.iter().filter_map(|name| {
            let key = name.trim_start_matches("SLURM_").to_ascii_lowercase();
            Some((key, get(name)?))
        });
        Self {
            user: get("USER").or_else(|| get("LOGNAME")),
            loaded_modules: modules
                .split(':')
                .filter(|module| !module.is_empty())
                .map(str::to_owned)
                .collect(),
            conda_env: get("CONDA_DEFAULT_ENV"),
            conda_prefix: get("CONDA_PREFIX"),
            virtual_env: get("VIRTUAL_ENV"),
            slurm: slurm.collect(),
            ..Self::default()
        }
    }
}

/// The user's name where the environment does not say it (cron, containers).
fn user_of_this_process() -> Option<String> {
    let owner = std::fs::metadata("/proc/self").ok()?.uid();
    user_of(owner, &std::fs::read_to_string("/etc/passwd").ok()?)
}

/// The name of a user id in /etc/passwd.
fn user_of(id: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// The commit that is checked out in `directory`. Git is started only inside a repository.
fn git_commit(directory: &Path) -> Option<String> {
    let mut ancestors = directory.ancestors();
    ancestors.find(|ancestor| ancestor.join(".git").exists())?;
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["rev-parse", "--verify", "HEAD"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(())?;
    parse_commit(&String::from_utf8(output.stdout).ok()?)
}

/// A commit's hash, as `git rev-parse` prints it.
fn parse_commit(output: &str) -> Option<String> {
    let commit = output.trim();
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| commit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_cluster() {
        let variables = BTreeMap::from([
            ("USER", "ada"),
            ("LOADEDMODULES", "gcc/13:openmpi/5.0:"),
            ("CONDA_DEFAULT_ENV", "bio"),
            ("VIRTUAL_ENV", ""),
            ("SLURM_JOB_ID", "42"),
            ("SLURM_ARRAY_TASK_ID", "7"),
        ]);
        let found = Provenance::of_environment(|name| variables.get(name).map(|&value| value.to_owned()));
        assert_eq!(found.user.as_deref(), Some("ada"));
        assert_eq!(found.loaded_modules, ["gcc/13", "openmpi/5.0"]);
        assert_eq!(found.conda_env.as_deref(), Some("bio"));
        assert_eq!(found.virtual_env, None);
        assert_eq!(found.slurm["job_id"], "42");
        assert_eq!(found.slurm["array_task_id"], "7");
        assert_eq!(found.slurm.len(), 2);
    }

    #[test]
    fn a_name_from_the_list_of_users() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_of(1000, passwd).as_deref(), Some("ada"));
        assert_eq!(user_of(7, passwd), None);
    }

    #[test]
    fn outside_a_repository_there_is_no_commit() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(git_commit(directory.path()), None);
        std::fs::create_dir(directory.path().join(".git")).unwrap();
        assert_eq!(git_commit(directory.path()), None);
        assert!(Provenance::collect(directory.path()).host.is_some());
    }

    #[test]
    fn only_a_hash_is_a_commit() {
        let hash = "e4c803e0d1a2b3c4d5e6f708192a3b4c5d6e7f80";
        assert_eq!(parse_commit(&format!("{hash}\n")).as_deref(), Some(hash));
        assert_eq!(parse_commit("HEAD\n"), None);
    }
}
