//! Exit codes and signals in words.
//!
//! Exit codes: 126 and 127 as POSIX shells use them, 124 as GNU `timeout`, 255 as `ssh` or a code out of
//! range, 128 + n a shell's word for signal n. Signals: Linux on x86 and ARM, signal(7).

/// Names of the signals 1 to 31, and a word on those that programs die of.
const SIGNALS: [(&str, &str); 31] = [
    ("SIGHUP", "terminal closed"),
    ("SIGINT", "interrupted"),
    ("SIGQUIT", "quit"),
    ("SIGILL", "illegal instruction"),
    ("SIGTRAP", ""),
    ("SIGABRT", "aborted"),
    ("SIGBUS", "bus error"),
    ("SIGFPE", "arithmetic error"),
    ("SIGKILL", ""),
    ("SIGUSR1", ""),
    ("SIGSEGV", "segmentation fault"),
    ("SIGUSR2", ""),
    ("SIGPIPE", "nobody read its output"),
    ("SIGALRM", "its own alarm"),
    ("SIGTERM", "asked to end"),
    ("SIGSTKFLT", ""),
    ("SIGCHLD", ""),
    ("SIGCONT", ""),
    ("SIGSTOP", ""),
    ("SIGTSTP", ""),
    ("SIGTTIN", ""),
    ("SIGTTOU", ""),
    ("SIGURG", ""),
    ("SIGXCPU", "CPU time limit"),
    ("SIGXFSZ", "file size limit"),
    ("SIGVTALRM", ""),
    ("SIGPROF", ""),
    ("SIGWINCH", ""),
    ("SIGIO", ""),
    ("SIGPWR", ""),
    ("SIGSYS", "forbidden system call"),
];

fn signal(number: i64) -> Option<(&'static str, &'static str)> {
    let place = usize::try_from(number.checked_sub(1)?).ok()?;
    SIGNALS.get(place).copied()
}

/// Its name, if it has one.
pub(crate) fn signal_name(number: i64) -> Option<&'static str> {
    signal(number).map(|(name, _)| name)
}

/// For instance `SIGSEGV (segmentation fault)`.
pub(crate) fn signal_in_words(number: i64) -> String {
    match signal(number) {
        None => format!("signal {number}"),
        Some((name, "")) => name.to_owned(),
        Some((name, words)) => format!("{name} ({words})"),
    }
}

/// For instance `exit code 127: command not found`.
pub(crate) fn exit_code_in_words(code: i64) -> String {
    let words = match code {
        124 => "GNU `timeout` ended it".to_owned(),
        126 => "found, but not executable".to_owned(),
        127 => "command not found".to_owned(),
        129..=192 => format!("a shell's word for {}", signal_in_words(code - 128)),
        255 => "`ssh` failed, or a code out of range".to_owned(),
        _ => return format!("exit code {code}"),
    };
    format!("exit code {code}: {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals_have_words() {
        assert_eq!(exit_code_in_words(3), "exit code 3");
        assert_eq!(exit_code_in_words(127), "exit code 127: command not found");
        let shells = "exit code 139: a shell's word for SIGSEGV (segmentation fault)";
        assert_eq!(exit_code_in_words(139), shells);
        assert_eq!(signal_in_words(9), "SIGKILL");
        assert_eq!(signal_in_words(31), "SIGSYS (forbidden system call)");
        assert_eq!(signal_in_words(40), "signal 40");
        assert_eq!((signal_name(i64::MIN), signal_name(0), signal_name(32)), (None, None, None));
    }
}
