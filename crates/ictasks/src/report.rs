//! `ictasks report`: what happened in a run, why, and what to change.

use std::fs;
use std::path::{Path, PathBuf};

use ictasks_report::one_task::{self, TaskFindings};
use ictasks_report::text::{SUMMARY_GROUPS, TextOptions, summary, text};
use ictasks_report::{AnalysisOptions, Findings, GroupBy, ReportError, analyse, selected_ids};

use crate::cli::report::{Format, ReportArguments};
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};
use crate::run_dirs::RunDirs;

/// Steps of the axis of time in text: a few for each character.
const TEXT_STEPS: usize = 240;

/// Writes the report.
///
/// # Errors
/// If a directory holds no record, an expression is not understood, or the output cannot be written.
pub fn run(arguments: &ReportArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let runs = RunDirs::open(&arguments.run_dirs)?;
    if arguments.format == Format::Ids && arguments.task.is_none() {
        let ids = selected_ids(&runs.sources, arguments.filter.as_deref()).map_err(failed)?;
        let text: String = ids.into_iter().map(|id| id + "\n").collect();
        return write(arguments, &text, console);
    }
    if let Some(id) = &arguments.task {
        return about_task(arguments, id, &runs, console);
    }
    let options = analysis_options(arguments);
    let findings = analyse(&runs.sources, &options).map_err(failed)?;
    let page = render(&findings, arguments);
    write(arguments, &page, console)
}

/// Everything about one task.
fn about_task(
    arguments: &ReportArguments,
    id: &str,
    runs: &RunDirs,
    console: &mut Console,
) -> Result<ExitCode, Failure> {
    if arguments.run_dirs.len() > 1 || (runs.sources.len() > 1 && !runs.are_shards) {
        return Err(Failure::input("--task wants one run directory: ids are those of one run"));
    }
    let findings = search_task(runs, id)?;
    let page = match arguments.format {
        Format::Text => one_task::text(&findings, width(arguments), is_unicode(arguments)),
        Format::Markdown => one_task::markdown(&findings),
        Format::Json => serde_json::to_string_pretty(&findings).unwrap_or_default() + "\n",
        Format::Html | Format::Ids | Format::Summary => {
            return Err(Failure::input("--task is written as text, markdown or json"));
        }
    };
    write(arguments, &page, console)
}

/// What the shard that has the task knows of it. Where none tells, an error that is not its absence says more.
fn search_task(runs: &RunDirs, id: &str) -> Result<TaskFindings, Failure> {
    let mut why = None;
    for source in &runs.sources {
        match one_task::one_task(source, id) {
            Ok(findings) => return Ok(findings),
            Err(error) if matches!(why, None | Some(ReportError::NoTask { .. })) => why = Some(error),
            Err(_) => {}
        }
    }
    Err(why.map_or_else(|| Failure::input("there is no run directory"), failed))
}

fn width(arguments: &ReportArguments) -> usize {
    arguments.width.map_or_else(Console::width, usize::from)
}

/// A file is UTF-8, whatever the terminal is.
fn is_unicode(arguments: &ReportArguments) -> bool {
    arguments.output.is_some() || Console::is_unicode()
}

fn analysis_options(arguments: &ReportArguments) -> AnalysisOptions {
    if arguments.format == Format::Summary {
        let filter = arguments.filter.clone();
        return AnalysisOptions {
            filter,
            top: SUMMARY_GROUPS,
            steps: 1,
            charts: false,
            ..AnalysisOptions::default()
        };
    }
    let is_text = arguments.format == Format::Text;
    let standard = AnalysisOptions::default();
    let shown = if is_text && !arguments.failures { 5 } else { standard.top };
    AnalysisOptions {
        filter: arguments.filter.clone(),
        group_by: arguments.group_by.clone().map_or_else(GroupBy::default, GroupBy::Column),
        top: arguments.top.unwrap_or(shown),
        steps: if is_text { TEXT_STEPS } else { standard.steps },
        charts: !is_text,
    }
}

fn render(findings: &Findings, arguments: &ReportArguments) -> String {
    match arguments.format {
        Format::Text | Format::Ids => {
            let options = TextOptions {
                width: width(arguments),
                unicode: is_unicode(arguments),
                top: arguments.top.unwrap_or(5),
                failures_in_full: arguments.failures,
            };
            text(findings, &options)
        }
        Format::Summary => summary(findings).into_iter().map(|line| line + "\n").collect(),
        Format::Markdown => ictasks_report::markdown::markdown(findings),
        Format::Html => ictasks_report::html::html(findings),
        Format::Json => {
            // Findings are numbers, text and lists of them: what cannot be serialised is not in them.
            serde_json::to_string_pretty(findings).unwrap_or_default() + "\n"
        }
    }
}

/// Writes to the file, or to standard output.
fn write(arguments: &ReportArguments, text: &str, console: &mut Console) -> Result<ExitCode, Failure> {
    let of_html = || (arguments.format == Format::Html).then(|| html_path(&arguments.run_dirs));
    let output = arguments.output.clone().or_else(of_html);
    write_page(text, output.as_deref(), arguments.format == Format::Text, console)
}

/// Writes to a file, without styles if it is text, or to standard output.
pub fn write_page(
    text: &str,
    output: Option<&Path>,
    is_text: bool,
    console: &mut Console,
) -> Result<ExitCode, Failure> {
    match output {
        Some(path) if path != Path::new("-") => {
            let plain = anstream::adapter::strip_str(text).to_string();
            fs::write(path, if is_text { plain.as_bytes() } else { text.as_bytes() }).map_err(|error| {
                Failure {
                    message: format!("failed to write `{}`: {error}", path.display()),
                    code: ExitCode::RecordFailed,
                }
            })?;
            console.note(&format!("written: {}", path.display()));
        }
        _ => console.print(text)?,
    }
    Ok(ExitCode::Success)
}

/// In the run directory; of several runs in the current one.
fn html_path(run_dirs: &[PathBuf]) -> PathBuf {
    match run_dirs {
        [run_dir] if run_dir.is_dir() => run_dir.join("report.html"),
        _ => PathBuf::from("report.html"),
    }
}

/// What the user typed may be wrong; else it is the record.
pub fn failed(error: ReportError) -> Failure {
    let message = match &error {
        ReportError::Filter { expression, message } => {
            format!("the filter `{expression}` is not understood: {message}")
        }
        ReportError::NoColumn { name, known } => {
            format!("there is no column `{name}`; there are {}", known.join(", "))
        }
        error => format!("failed to {}", chain(error)),
    };
    Failure { message, code: ExitCode::BadInput }
}
