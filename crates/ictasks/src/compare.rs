//! `ictasks compare`: what changed from one run to another.

use ictasks_report::compare::{self, CompareOptions, Comparison, Matching, TextOptions};
use ictasks_report::{ReportError, Source};

use crate::cli::compare::{CompareArguments, CompareFormat, FailOn, MatchBy};
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};
use crate::page;

/// Runs the subcommand.
///
/// # Errors
/// A run cannot be read, or the page cannot be written.
pub fn run(arguments: &CompareArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let unreadable = |error: ReportError| Failure::input(format!("failed to {}", chain(&error)));
    let options = options(arguments);
    let (a, b) = (Source::finished(&arguments.a), Source::finished(&arguments.b));
    let comparison = compare::compare(&a, &b, &options).map_err(unreadable)?;
    let text = render(&comparison, arguments)?;
    page::write(&text, arguments.output.as_deref(), console)?;
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

fn render(comparison: &Comparison, arguments: &CompareArguments) -> Result<String, Failure> {
    Ok(match arguments.format {
        CompareFormat::Text => {
            let (width, is_ascii) = (page::width(arguments.width), page::is_ascii());
            compare::text(comparison, &TextOptions { width, is_ascii })
        }
        CompareFormat::Markdown => compare::markdown(comparison),
        CompareFormat::Html => compare::html(comparison),
        CompareFormat::Json => match serde_json::to_string_pretty(comparison) {
            Ok(json) => json + "\n",
            Err(error) => return Err(Failure::record(&error)),
        },
        CompareFormat::Ids => {
            let failing = comparison.newly_failing.pairs.iter();
            failing.map(|pair| format!("{}\n", ictasks_report::harmless::one_line(&pair.b.task_id))).collect()
        }
    })
}
