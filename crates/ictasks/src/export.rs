//! `ictasks export`: a run in the formats of other programs.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use ictasks_report::export::{Format, export};
use ictasks_report::{ReportError, Source, Table};

use crate::cli::export::{ExportArguments, ExportFormat};
use crate::console::Console;
use crate::exit::{ExitCode, Failure};
use crate::harmless_writer::HarmlessWriter;
use crate::report::failed;
use crate::run_dirs::RunDirs;

/// Writes a run in a format, to a file or to standard output.
///
/// # Errors
/// There is no such run, or the output cannot be written.
pub fn run(arguments: &ExportArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let runs = RunDirs::open_one(&arguments.run_dir)?;
    let Some(source) = runs.sources.first() else { return Ok(ExitCode::Success) };
    let format = match arguments.format {
        ExportFormat::Perfetto => Format::Perfetto,
        ExportFormat::Junit => Format::Junit,
        ExportFormat::Joblog => Format::Joblog,
        ExportFormat::Csv => Format::Csv,
    };
    for damage in &source.damages {
        console.warning(damage);
    }
    let to_stdout = arguments.output.as_deref().is_none_or(|path| path.as_os_str() == "-");
    let exported = match &arguments.output {
        Some(path) if !to_stdout => to_file(format, source, path)?,
        _ if io::stdout().is_terminal() => {
            let mut out = HarmlessWriter::new(io::stdout().lock());
            export(format, source, &mut out).and_then(|()| out.flush().map_err(ReportError::Output))
        }
        _ => {
            let mut out = BufWriter::new(io::stdout().lock());
            export(format, source, &mut out).and_then(|()| out.flush().map_err(ReportError::Output))
        }
    };
    finish(exported)
}

fn to_file(format: Format, source: &Source, path: &Path) -> Result<Result<(), ReportError>, Failure> {
    let is_same = |table: &Path| match (table.canonicalize(), path.canonicalize()) {
        (Ok(table), Ok(path)) => table == path,
        _ => false,
    };
    let tables =
        [Table::Tasks, Table::Attempts, Table::Events, Table::Samples].map(|table| source.path(table));
    if tables.iter().any(|table| is_same(table)) || is_same(&source.run_dir.join("run.json")) {
        return Err(Failure::input(format!("`{}` belongs to the record; give another file", path.display())));
    }
    let file = File::create(path)
        .map_err(|error| Failure::input(format!("`{}` cannot be written: {error}", path.display())))?;
    let mut out = BufWriter::new(file);
    Ok(export(format, source, &mut out).and_then(|()| out.flush().map_err(ReportError::Output)))
}

/// The end of a command that shows what a record says. A reader that has seen enough is no error.
///
/// # Errors
/// All other errors.
pub fn finish(done: Result<(), ReportError>) -> Result<ExitCode, Failure> {
    match done {
        Ok(()) => Ok(ExitCode::Success),
        Err(ReportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::Success),
        Err(error @ ReportError::Output(_)) => Err(Failure::record(&error)),
        Err(error) => Err(failed(error)),
    }
}
