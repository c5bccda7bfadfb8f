//! One task, read and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::scalar::check_command;
use crate::error::Fault;

/// A task as the dispatcher takes it from the task source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Position in the task list, from 0.
    pub index: i64,
    /// The id, as given or the position.
    pub id: String,
    /// The command after placeholders.
    pub command: String,
    /// Hash of the command before placeholders (FNV-1a, 64 bits).
    pub command_hash: i64,
    /// Environment of this task alone.
    pub environment: BTreeMap<String, String>,
    /// Its parameters as a JSON object of scalars, if it has any.
    pub params_json: Option<String>,
    /// Further attempts if it fails, where it says so itself.
    pub retries: Option<i32>,
    /// Its time limit, where it says so itself, seconds.
    pub timeout_s: Option<f64>,
    /// How long it will probably take, where it says so itself, seconds.
    pub expected_time_s: Option<f64>,
    /// Files that it must make, where it says so itself.
    pub expected_outputs: Option<Vec<String>>,
    /// The file of a function call, where it is one: then the command is only its text.
    pub call: Option<PathBuf>,
    /// The line of the task list that it stands in; 0 for a task of a configuration.
    pub line: u64,
    /// Where in that line its command begins, from 1; 0 where that is not known.
    pub column: u32,
    /// The command as typed, where that names an id which came from the position.
    pub typed_command: Option<String>,
    /// Whether the id was given, and does not come from the position.
    pub id_is_given: bool,
}

impl Task {
    /// A task with a command as typed, which is checked and whose placeholders are replaced.
    pub(crate) fn new(
        index: i64,
        id: Option<String>,
        typed_command: &str,
        submit_dir: &str,
    ) -> Result<Self, Fault> {
        let id_is_given = id.is_some();
        let id = id.unwrap_or_else(|| index.to_string());
        let command = replace_placeholders(typed_command, &id, submit_dir);
        check_command(&command)?;
        let names_position =
            !id_is_given && PLACEHOLDERS_OF_ID.iter().any(|name| typed_command.contains(name));
        Ok(Self {
            index,
            id,
            command,
            command_hash: command_hash(typed_command),
            environment: BTreeMap::new(),
            params_json: None,
            retries: None,
            timeout_s: None,
            expected_time_s: None,
            expected_outputs: None,
            call: None,
            line: 0,
            column: 0,
            typed_command: names_position.then(|| typed_command.to_owned()),
            id_is_given,
        })
    }

    /// A task as typed, with nothing replaced: a sweep makes tasks of it.
    pub(crate) fn as_typed(index: i64, id: Option<String>, typed_command: &str) -> Self {
        Self {
            index,
            id_is_given: id.is_some(),
            id: id.unwrap_or_default(),
            command: typed_command.to_owned(),
            ..Self::default()
        }
    }

    /// The task at another position: in a resumed run it keeps the one that it had. An id that
    /// was not given goes with the position, and so does what the command makes of it.
    pub(crate) fn at_position(self, index: i64, submit_dir: &str) -> Self {
        if self.id_is_given || self.index == index {
            return Self { index, ..self };
        }
        self.in_place_of(index, &index.to_string(), submit_dir)
    }

    /// The task as the one that the record has there, with its id.
    pub(crate) fn in_place_of(self, index: i64, id: &str, submit_dir: &str) -> Self {
        let command = match &self.typed_command {
            Some(typed) => replace_placeholders(typed, id, submit_dir),
            None => self.command,
        };
        Self { index, id: id.to_owned(), command, ..self }
    }
}

/// What stands for the id in a command.
const PLACEHOLDERS_OF_ID: [&str; 2] = ["%TASKID%", "%TASKNUM%"];

fn replace_placeholders(typed: &str, id: &str, submit_dir: &str) -> String {
    if !typed.contains('%') {
        return typed.to_owned();
    }
    let [task_id, task_number] = PLACEHOLDERS_OF_ID;
    typed.replace(task_id, id).replace(task_number, id).replace("%SUBMITDIR%", submit_dir)
}

/// The environment variable in which a task finds the value of a parameter.
pub fn parameter_variable(name: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    PARAMETER_VARIABLE.chars().chain(name.chars().map(letter)).collect()
}

/// What the names of the variables of parameters begin with.
pub const PARAMETER_VARIABLE: &str = "ICTASKS_PARAM_";

/// Parameters as the record keeps them; `None` where there are none.
pub(crate) fn params_json(params: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    (!params.is_empty()).then(|| serde_json::to_string(params).unwrap_or_default())
}

/// FNV-1a of a command, by which a resumed run and comparisons know it again.
pub fn command_hash(command: &str) -> i64 {
    fnv1a(command.as_bytes()).cast_signed()
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_published() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn variables_of_parameters() {
        assert_eq!(parameter_variable("x"), "ICTASKS_PARAM_X");
        assert_eq!(parameter_variable("learningRate_2"), "ICTASKS_PARAM_LEARNINGRATE_2");
        assert_eq!(parameter_variable("a-b ä"), "ICTASKS_PARAM_A_B__");
    }

    #[test]
    fn placeholders_are_replaced_and_do_not_change_the_hash() {
        let task = |submit_dir| Task::new(7, None, "a %TASKID% %TASKNUM% %SUBMITDIR%/x 5%", submit_dir);
        assert_eq!(task("/s").unwrap().command, "a 7 7 /s/x 5%");
        assert_eq!(task("/s").unwrap().command_hash, task("/t").unwrap().command_hash);
    }

    #[test]
    fn a_command_that_placeholders_make_too_long_is_refused() {
        let typed = "%SUBMITDIR%".repeat(1000);
        let error = Task::new(0, None, &typed, &"d".repeat(132)).unwrap_err();
        assert_eq!(error, Fault::CommandTooLong { bytes: 132_000 });
    }
}
