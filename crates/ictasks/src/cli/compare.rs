//! What `ictasks compare` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Shown under `ictasks compare --help`.
pub const EXAMPLES: &str = "\
Examples:
  ictasks compare runs/before runs/after
  ictasks compare runs/before runs/after --match id --threshold 1.5 --top 30
  ictasks compare runs/before runs/after --format html -o compare.html
  ictasks compare runs/before runs/after --fail-on regressions
  ictasks compare runs/before runs/after --format ids |
    ictasks taskfarm --run-dir runs/after --resume --only -

Tasks are paired by id where ids were given, by command where they come from the position. A task is
slower if the median of its attempts that succeeded is above the threshold, and at least 0.1 s more.

Exit codes:
  0  compared
  1  --fail-on found something
  2  bad usage, or a run that cannot be read";

/// What `ictasks compare` takes.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The run before
    #[arg(value_name = "RUN_A")]
    pub a: PathBuf,
    /// The run after
    #[arg(value_name = "RUN_B")]
    pub b: PathBuf,
    /// How tasks are paired; by default by id where ids were given, else by command: `--match param`
    #[arg(long = "match", value_enum, value_name = "HOW")]
    pub matching: Option<MatchBy>,
    /// Times and memory count as changed if the larger is more than so many times the smaller:
    /// `--threshold 1.5`
    #[arg(long, value_name = "RATIO", default_value_t = 1.25, value_parser = ratio)]
    pub threshold: f64,
    /// How it is written; ids are those of newly failing tasks: `--format markdown`
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CompareFormat::Text)]
    pub format: CompareFormat,
    /// Where it is written to, `-` for standard output: `-o compare.html`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Tasks that are listed for each kind of change: `--top 30`
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// Width of the text; by default that of the terminal, else 80: `--width 120`
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub width: Option<u16>,
    /// Exit with code 1 if there are such tasks: `--fail-on regressions`
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
}

/// `--match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatchBy {
    /// Equal ids, also those that come from the position
    Id,
    /// Equal commands before placeholders, the nth with the nth
    Command,
    /// Equal parameters, the nth with the nth
    Param,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// For a terminal
    Text,
    /// For a merge request or a notebook
    Markdown,
    /// Every number
    Json,
    /// One file for a browser
    Html,
    /// The ids in B of newly failing tasks, all of them, one a line
    Ids,
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Tasks that fail newly, do not finish any more, or are missing
    Failures,
    /// These, and tasks that are slower by more than the threshold
    Regressions,
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (1.0..=1e6).contains(&ratio) => Ok(ratio),
        _ => Err("give a ratio of 1 or more".to_owned()),
    }
}
