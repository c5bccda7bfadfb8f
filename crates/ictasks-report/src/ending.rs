//! How an attempt ended, in words.

use crate::harmless::one_line;
use crate::rows::Row;
use crate::units;

/// What an attempt's row says of its end: `exit code 3`, `killed by signal 11 (SIGSEGV)`. Its own words
/// are made harmless.
pub(crate) fn words(row: &Row<'_>) -> String {
    let outcome = row.text("outcome").unwrap_or("unknown");
    let code = row.integer("exit_code");
    let signal = row.integer("signal");
    let mut words = match outcome {
        "succeeded" => "succeeded".to_owned(),
        "failed" => code.map_or_else(|| "failed".to_owned(), exit_code),
        "signaled" => signal.map_or_else(|| "killed by a signal".to_owned(), killed_by),
        "timed_out" => match row.float("timeout_s") {
            Some(limit) => format!("ended at its time limit of {}", units::duration(limit)),
            None => "ended at its time limit".to_owned(),
        },
        "out_of_memory" => "ran out of memory".to_owned(),
        "spawn_failed" => "could not be started".to_owned(),
        "cancelled" => "cancelled".to_owned(),
        "node_lost" => "its node or agent was lost".to_owned(),
        "pending" => "never ran".to_owned(),
        other => one_line(other).into_owned(),
    };
    if let Some(cause) = row.text("cause") {
        let sure = if row.text("cause_evidence") == Some("probable") { "probably " } else { "" };
        words.push_str(&format!(" ({sure}{})", one_line(cause).replace('_', " ")));
    }
    if let Some(error) = row.text("error") {
        words.push_str(": ");
        words.push_str(&one_line(error));
    }
    words
}

/// An exit code and what shells and `timeout` mean by it.
fn exit_code(code: i64) -> String {
    let meaning = match code {
        124 => Some("`timeout` ended it".to_owned()),
        126 => Some("not executable".to_owned()),
        127 => Some("not found".to_owned()),
        129..=192 => signal_name(code - 128).map(|name| format!("a shell's word for {name}")),
        255 => Some("as ssh says, or out of range".to_owned()),
        _ => None,
    };
    meaning.map_or_else(|| format!("exit code {code}"), |meaning| format!("exit code {code}: {meaning}"))
}

fn killed_by(signal: i64) -> String {
    match signal_name(signal) {
        Some(name) => format!("killed by {name} (signal {signal})"),
        None => format!("killed by signal {signal}"),
    }
}

/// The name of a signal of Linux on x86 and ARM.
pub(crate) fn signal_name(signal: i64) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let place = usize::try_from(signal.checked_sub(1)?).ok()?;
    NAMES.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals_have_words() {
        assert_eq!(exit_code(3), "exit code 3");
        assert_eq!(exit_code(127), "exit code 127: not found");
        assert_eq!(exit_code(139), "exit code 139: a shell's word for SIGSEGV");
        assert_eq!(killed_by(9), "killed by SIGKILL (signal 9)");
        assert_eq!(killed_by(40), "killed by signal 40");
        assert_eq!(signal_name(i64::MIN), None);
    }
}
