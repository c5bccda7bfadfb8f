//! The files of a sweep: names that a pattern finds, and tables of points.
//!
//! - `text`: CSV and TSV;
//! - `columns`: Parquet.

mod columns;
mod text;

use std::path::Path;

use ictasks_core::error::{Fault, InputError, Place};
use ictasks_core::sweep::{PointTable, SweepFiles, check_parameter_name};

/// The file system, below the submit directory.
pub struct Files {
    /// Where relative patterns begin.
    pub submit_dir: std::path::PathBuf,
}

impl SweepFiles for Files {
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        // As a shell does it: `*` finds no name that begins with a dot, and no `/`.
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let base = glob::Pattern::escape(&self.submit_dir.to_string_lossy());
        let whole = if Path::new(pattern).is_absolute() {
            pattern.to_owned()
        } else {
            format!("{}/{pattern}", base.trim_end_matches('/'))
        };
        let found = glob::glob_with(&whole, options)
            .map_err(|error| format!("`{pattern}` is no pattern: {}", error.msg))?;
        let mut names = Vec::new();
        for path in found {
            let path = path
                .map_err(|error| format!("`{}` cannot be read: {}", error.path().display(), error.error()))?;
            let name = if Path::new(pattern).is_absolute() {
                path.as_path()
            } else {
                path.strip_prefix(&self.submit_dir).unwrap_or(&path)
            };
            let name = name.to_str().ok_or_else(|| {
                format!("the name `{}` is not UTF-8; rename the file", name.to_string_lossy().escape_debug())
            })?;
            names.push(name.to_owned());
        }
        Ok(names)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn PointTable>, InputError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Box::new(text::TextTable::open(path, b',')?)),
            Some("tsv") => Ok(Box::new(text::TextTable::open(path, b'\t')?)),
            Some("parquet") => Ok(Box::new(columns::ParquetTable::open(path)?)),
            _ => Err(wrong(path, 0, "a table of points is named .csv, .tsv or .parquet".to_owned())),
        }
    }
}

/// Something wrong with a table.
fn wrong(path: &Path, line: u64, message: String) -> InputError {
    let place = Place { file: path.display().to_string(), line, column: 0 };
    InputError::At { place, fault: Fault::Syntax(message) }
}

/// Checks the names of columns; they stand in `line`.
fn check_names(path: &Path, line: u64, names: &[String]) -> Result<(), InputError> {
    for (position, name) in names.iter().enumerate() {
        if name.is_empty() {
            let number = position + 1;
            let message = format!(
                "column {number} has no name; give it one, or leave it out (pandas writes an index so; \
                 `index=False` does not)"
            );
            return Err(wrong(path, line, message));
        }
        check_parameter_name(name).map_err(|message| wrong(path, line, format!("a column: {message}")))?;
        if names[..position].iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(wrong(path, line, format!("the column `{name}` comes a second time; give it once")));
        }
    }
    if names.is_empty() {
        return Err(wrong(
            path,
            line,
            "there are no columns; the first line names the parameters".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
