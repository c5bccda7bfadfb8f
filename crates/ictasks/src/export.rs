//! `ictasks export`: a run in the formats of other programs.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use ictasks_record::{RecordError, write_snapshot};
use ictasks_report::export::{Format, export};
use ictasks_report::{ReportError, Source, Table};

use crate::cli::export::{ExportArguments, ExportFormat};
use crate::console::Console;
use crate::exit::{ExitCode, Failure, chain};
use crate::harmless_writer::HarmlessWriter;
use crate::report::failed;
use crate::run_dirs::{RunDirs, no_record};

/// Writes a run in a format, to a file or to standard output.
///
/// # Errors
/// There is no such run, or the output cannot be written.
pub fn run(arguments: &ExportArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let format = match arguments.format {
        ExportFormat::Perfetto => Format::Perfetto,
        ExportFormat::Junit => Format::Junit,
        ExportFormat::Joblog => Format::Joblog,
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Parquet => return tables(arguments, console),
    };
    let runs = RunDirs::open_one(&arguments.run_dir)?;
    let Some(source) = runs.sources.first() else { return Ok(ExitCode::Success) };
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

/// Writes the tables into a directory, which is made where it is not there.
fn tables(arguments: &ExportArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let Some(into) = arguments.output.as_deref().filter(|path| path.as_os_str() != "-") else {
        return Err(Failure::input("--format parquet makes four files: give a directory with -o DIR"));
    };
    let cannot =
        |error: io::Error| Failure::input(format!("`{}` cannot be written: {error}", into.display()));
    fs::create_dir_all(into).map_err(cannot)?;
    let is_same = match (into.canonicalize(), arguments.run_dir.canonicalize()) {
        (Ok(into), Ok(run_dir)) => into == run_dir,
        _ => false,
    };
    if is_same {
        return Err(Failure::input(format!(
            "`{}` holds the record itself; give another directory",
            into.display()
        )));
    }
    let snapshot = write_snapshot(&arguments.run_dir, into).map_err(|error| match error {
        RecordError::NoRecord { .. } => no_record(&arguments.run_dir),
        error => Failure { message: format!("failed to {}", chain(&error)), code: ExitCode::RecordFailed },
    })?;
    for damage in &snapshot.damages {
        console.warning(damage);
    }
    Ok(ExitCode::Success)
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
