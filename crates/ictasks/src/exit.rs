//! Exit codes, and the errors that lead to them.

use std::error::Error;

use ictasks_record::NOT_RECORDED;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All tasks succeeded.
    Success,
    /// Some tasks did not succeed.
    TasksFailed,
    /// Bad usage or input; nothing was run, or what ran was finished.
    BadInput,
    /// The record could not be kept.
    RecordFailed,
    /// Ended by this signal.
    Signal(i32),
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::TasksFailed => 1,
            Self::BadInput => 2,
            Self::RecordFailed => NOT_RECORDED,
            Self::Signal(number) => 128u8.saturating_add(u8::try_from(number).unwrap_or(u8::MAX)),
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}

/// Why the program ends early: for people, and the code.
#[derive(Debug)]
pub struct Failure {
    /// Lines for standard error.
    pub message: String,
    /// The exit code.
    pub code: ExitCode,
}

impl Failure {
    /// Something wrong with what was typed.
    pub fn input(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: ExitCode::BadInput }
    }

    /// The record could not be kept, or the farm could not work.
    pub fn record(error: &dyn Error) -> Self {
        Self { message: format!("failed to {}", chain(error)), code: ExitCode::RecordFailed }
    }
}

/// An error and what led to it, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
