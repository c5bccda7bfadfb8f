//! Standard output and standard error. A closed pipe is no reason to stop a run.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::cli::{Color, Verbosity};
use crate::exit::{ExitCode, Failure};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Where the program speaks.
#[derive(Clone)]
pub struct Console {
    verbosity: Verbosity,
}

impl Console {
    /// With these choices of the user.
    pub fn new(color: Color, verbosity: Verbosity) -> Self {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self { verbosity }
    }

    /// Whether a user watches standard error.
    pub fn is_watched() -> bool {
        io::stderr().is_terminal()
    }

    /// Columns of standard output; 80 where nobody knows.
    pub fn width() -> usize {
        terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| usize::from(width.0).max(40))
    }

    /// Whether the locale is one of UTF-8: the first of these variables that is set says so.
    pub fn is_unicode() -> bool {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"];
        let locale = names.iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
        let locale = locale.map(|value| value.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    /// Whether warnings and summaries are wanted.
    pub fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// An error: always said.
    pub fn error(&mut self, message: &str) {
        Self::labelled(ERROR, "error", message);
    }

    /// Something the user should know.
    pub fn warning(&mut self, message: &str) {
        if !self.is_quiet() {
            Self::labelled(WARNING, "warning", message);
        }
    }

    /// A plain line for whoever watches.
    pub fn note(&mut self, message: &str) {
        if !self.is_quiet() {
            line_to_stderr(message);
        }
    }

    /// A line only with `-v`.
    pub fn detail(&mut self, message: &str) {
        if self.verbosity == Verbosity::Verbose {
            line_to_stderr(message);
        }
    }

    /// Prints to standard output what the user asked for.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader that has seen enough is no error.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
                message: format!("failed to write to standard output: {error}"),
                code: ExitCode::RecordFailed,
            }),
            _ => Ok(()),
        }
    }

    fn labelled(style: Style, label: &str, message: &str) {
        line_to_stderr(&format!("{style}{label}{style:#}: {message}"));
    }
}

/// Writes a line to standard error; if nobody reads it, that is that.
pub fn line_to_stderr(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Text of a task, made harmless for a terminal: control characters are dropped.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}
