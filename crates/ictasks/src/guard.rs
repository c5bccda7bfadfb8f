//! A panic of a library that reads tables becomes an error. polars panics where it cannot start its
//! threads, and on some damaged files; what a task farm recorded deserves a plain answer even then.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::{ExitCode, Failure};

/// Runs a command that reads records.
///
/// # Errors
/// Those of the command, and one for a panic in it.
pub fn guarded<T>(command: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let said = Arc::new(Mutex::new(None));
    let keeper = Arc::clone(&said);
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        // The first one, on whichever thread, is the cause of those after it.
        keeper.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| {
            let text = panicked.payload_as_str().unwrap_or("for a reason it does not tell");
            let place =
                panicked.location().map(|place| format!(" ({}:{})", file_name(place.file()), place.line()));
            format!("{text}{}", place.unwrap_or_default())
        });
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(command));
    panic::set_hook(usual);
    outcome.unwrap_or_else(|_| {
        let cause = said.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        Err(Failure {
            message: format!("the record could not be read to its end: {cause}"),
            code: ExitCode::RecordFailed,
        })
    })
}

/// Without the directories of the machine on which it was built.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_another_thread_is_told_once() {
        let failure = guarded(|| -> Result<(), Failure> {
            std::thread::scope(|scope| scope.spawn(|| panic!("no threads")).join().ok());
            panic!("no result");
        });
        let message = failure.expect_err("it panicked").message;
        assert!(
            message.starts_with("the record could not be read to its end: no threads (guard.rs:"),
            "{message}"
        );
    }
}
