//! What can be wrong with what the user gave.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command cannot be started as asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to start.
    #[error("the command is empty")]
    Empty,
    /// A quote is not closed; only an error where no shell is to say so.
    #[error("the {0} quote in the command is not closed")]
    UnclosedQuote(char),
    /// A backslash with nothing behind it; only an error where no shell is to interpret it.
    #[error("the command ends in a backslash")]
    TrailingBackslash,
}

/// Where in the user's input something stands; prints as `FILE:LINE:COLUMN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it, `<stdin>` for standard input.
    pub file: String,
    /// Line from 1; 0 where it is about the file as a whole.
    pub line: u64,
    /// Column from 1; 0 where it is about the whole line.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// Something wrong with a configuration or a task list.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content is wrong.
    #[error("{place}: {fault}")]
    At {
        /// Where.
        place: Place,
        /// What.
        fault: Fault,
    },
}

/// What is wrong with a piece of input, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What the YAML or JSON parser, or a type in the configuration, says.
    #[error("{0}")]
    Syntax(String),
    /// An id that cannot be used.
    #[error(
        "the id `{}` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, \
         and not `.` or `..`", id.escape_default()
    )]
    BadId {
        /// The id, or its beginning.
        id: String,
    },
    /// A list without the line that ends it.
    #[error("the list was cut off: who wrote it has ended before its last line, `{{}}`")]
    CutOff,
    /// An id that an earlier task has.
    #[error("the id `{id}` was given in line {first_line} already; each task needs its own")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it was first.
        first_line: u64,
    },
    /// An id that came before on a stream, whose lines are not kept.
    #[error("the id `{id}` was given before; each task needs its own")]
    RepeatedId {
        /// The id.
        id: String,
    },
    /// A task that succeeded before with another command.
    #[error(
        "the task `{id}` succeeded with another command; give `--rerun-changed` to run it again, or give this \
         command another id"
    )]
    CommandChanged {
        /// The id.
        id: String,
    },
    /// An id that another task of the list has, be it as its position.
    #[error("the id `{id}` belongs to another task of this list; each task needs its own")]
    IdTaken {
        /// The id.
        id: String,
    },
    /// A line that is not text.
    #[error("is not UTF-8 (byte {byte} of the line); convert it, for instance with `iconv -t UTF-8`")]
    NotUtf8 {
        /// The first bad byte, from 1.
        byte: usize,
    },
    /// A line longer than is read into memory.
    #[error("the line is longer than 1 MiB; put long data into a file and name that in the command")]
    LineTooLong,
    /// A command that cannot be started.
    #[error(
        "the command has {bytes} bytes and the kernel takes 131071; put long data into a file and \
         name that in the command"
    )]
    CommandTooLong {
        /// Its length, placeholders replaced.
        bytes: usize,
    },
    /// A NUL byte, which no program can be given.
    #[error("{what} contains a NUL byte; remove it")]
    Nul {
        /// What contains it.
        what: String,
    },
    /// A value of a parameter that would be code where it stands in the command.
    #[error(
        "the value `{}` of `{name}` cannot be written there (in backquotes, here-documents, comments, arithmetic, \
         behind `case` or `eval`, or for a shell unlike sh); write `\"${variable}\"` instead of `{{{name}}}`",
        value.escape_debug()
    )]
    UnsafeValue {
        /// The parameter.
        name: String,
        /// Its value, or the beginning of it.
        value: String,
        /// The environment variable that has the value, too.
        variable: String,
    },
    /// Something wrong with the task of one point of a sweep.
    #[error("{fault} (at {point})")]
    AtPoint {
        /// The values of the parameters.
        point: String,
        /// What is wrong.
        fault: Box<Fault>,
    },
    /// Points of a sweep that make the same id.
    #[error("the id `{id}` comes of two points, {points}; {remedy}")]
    SameId {
        /// The id.
        id: String,
        /// The values of the parameters of the two tasks that have it.
        points: String,
        /// What would be right.
        remedy: String,
    },
    /// A function call, and nothing that runs it.
    #[error(
        "the task is a `call`, and there is no `call_server`; give one in the configuration, for instance \
         `call_server: python -m ictasks._call_server`"
    )]
    NoCallServer,
    /// No command.
    #[error("the command is empty; give one, or leave the task out")]
    EmptyCommand,
    /// No task.
    #[error("there are no tasks; give at least one")]
    NoTasks,
}

/// Everything that is wrong with an input, as far as it was looked for.
#[derive(Debug)]
pub struct InputErrors {
    /// At least one, in the order of the input.
    pub errors: Vec<InputError>,
    /// Whether there are more.
    pub more: bool,
}

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            let separator = if position > 0 { "\n" } else { "" };
            write!(f, "{separator}{error}")?;
            // There is no `source()` of several errors.
            if let Some(source) = std::error::Error::source(error) {
                write!(f, ": {source}")?;
            }
        }
        if self.more {
            f.write_str("\nmore follow")?;
        }
        Ok(())
    }
}

impl std::error::Error for InputErrors {
    /// The cause of the first; only a file that cannot be read has one, and then is the only one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.first().and_then(std::error::Error::source)
    }
}

impl From<InputError> for InputErrors {
    fn from(error: InputError) -> Self {
        Self { errors: vec![error], more: false }
    }
}

/// Why a request cannot be met by the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The figures do not go together.
    #[error("{arithmetic}; {remedy}")]
    Impossible {
        /// The figures.
        arithmetic: String,
        /// What would be right.
        remedy: String,
    },
}

/// What is wrong with what Slurm says. Messages read after "failed to".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlurmError {
    /// A list of nodes that is none.
    #[error("read the list of nodes `{list}`: {reason}")]
    NodeList {
        /// The list.
        list: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A list of CPUs that is none.
    #[error("read Slurm's list of CPUs `{list}`: it is no list of figures such as `4(x3),2`")]
    CpuList {
        /// The list.
        list: String,
    },
    /// A variable that is no number.
    #[error("read `{name}`: `{value}` is no number")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A job without nodes.
    #[error("find the nodes of the Slurm job {job_id}: `SLURM_JOB_NODELIST` is not set")]
    NoNodes {
        /// The job.
        job_id: String,
    },
    /// Lists of different lengths.
    #[error(
        "find the nodes of the Slurm job: `SLURM_JOB_NODELIST` has {node_count} nodes, and \
         `SLURM_JOB_CPUS_PER_NODE` figures for {cpu_count}"
    )]
    Mismatch {
        /// Nodes.
        node_count: usize,
        /// Figures.
        cpu_count: usize,
    },
}
