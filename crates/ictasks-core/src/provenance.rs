//! Where a run comes from: user, host, git commit, modules, environments, Slurm ids.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

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
    pub fn collect(_submit_dir: &Path) -> Self {
        todo!()
    }
}
