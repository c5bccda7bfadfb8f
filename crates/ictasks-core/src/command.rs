//! What `launch_cmd` means: with or without a shell.

use crate::error::CommandError;
use serde::{Deserialize, Serialize};

/// How commands are started (`shell:` in the configuration).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// Without a shell where that makes no difference to what `sh -c` would do, else with `sh`.
    #[default]
    Auto,
    /// Always `sh -c`.
    Always,
    /// Never: the command is split into words.
    Never,
    /// A program with options, to which `-c COMMAND` is appended... see [`Launch::of`].
    Program(Vec<String>),
}

/// How one command is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A program and its arguments; the program is looked up in the task's PATH.
    Direct(Vec<String>),
    /// A shell and its arguments, the command being the last.
    Shell(Vec<String>),
}

impl Launch {
    /// How `command` is started under `shell`.
    ///
    /// # Errors
    /// An empty command, and with [`Shell::Never`] a quote that is not closed.
    pub fn of(_command: &str, _shell: &Shell) -> Result<Self, CommandError> {
        todo!()
    }
}
