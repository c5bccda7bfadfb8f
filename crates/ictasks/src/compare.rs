//! `ictasks compare`: what changed from one run to another.

use ictasks_report::compare::{self, CompareOptions, Comparison, Matching, TextOptions};
use ictasks_report::harmless;

use crate::cli::compare::{CompareArguments, CompareFormat, FailOn, MatchBy};
use crate::console::Console;
use crate::exit::{ExitCode, Failure};
use crate::report::{failed, write_page};
use crate::run_dirs::RunDirs;

/// Runs the subcommand.
///
/// # Errors
/// A run cannot be read, or the page cannot be written.
pub fn run(arguments: &CompareArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let runs = RunDirs::open_one(&arguments.a)?.and(RunDirs::open_one(&arguments.b)?);
    let [a, b] = runs.sources.as_slice() else { return Err(Failure::input("give two run directories")) };
    let comparison = compare::compare(a, b, &options(arguments)).map_err(failed)?;
    let text = render(&comparison, arguments);
    write_page(&text, arguments.output.as_deref(), arguments.format == CompareFormat::Text, console)?;
    let found = match arguments.fail_on {
        None => 0,
        Some(FailOn::Failures) => comparison.failure_count(),
        Some(FailOn::Regressions) => comparison.regression_count(),
    };
    Ok(if found > 0 { ExitCode::TasksFailed } else { ExitCode::Success })
}

fn options(arguments: &CompareArguments) -> CompareOptions {
    let matching = arguments.matching.map(|by| match by {
        MatchBy::Id => Matching::Id,
        MatchBy::Command => Matching::Command,
        MatchBy::Param => Matching::Param,
    });
    // A list of ids is for programs: it has all.
    let top = if arguments.format == CompareFormat::Ids { usize::MAX } else { arguments.top };
    CompareOptions { matching, threshold_ratio: arguments.threshold, top, ..CompareOptions::default() }
}

fn render(comparison: &Comparison, arguments: &CompareArguments) -> String {
    match arguments.format {
        CompareFormat::Text => {
            let width = arguments.width.map_or_else(Console::width, usize::from);
            let unicode = arguments.output.is_some() || Console::is_unicode();
            compare::text(comparison, &TextOptions { width, unicode })
        }
        CompareFormat::Markdown => compare::markdown(comparison),
        CompareFormat::Html => compare::html(comparison),
        // Numbers, text and lists of them: there is nothing that cannot be serialised.
        CompareFormat::Json => serde_json::to_string_pretty(comparison).unwrap_or_default() + "\n",
        CompareFormat::Ids => {
            let failing = comparison.newly_failing.pairs.iter();
            failing.map(|pair| format!("{}\n", harmless::one_line(&pair.b.task_id))).collect()
        }
    }
}
