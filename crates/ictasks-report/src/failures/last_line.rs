//! The line of a failed task's output that says why.

use std::borrow::Cow;

use crate::harmless::without_escapes;

/// Lines that are looked at, from the end.
const LINES: usize = 40;

/// The last line that says something: not a frame of a stack, a rule, or what programs print after the
/// reason. Of a Python traceback the line that names the exception. Empty if nothing was printed.
pub(crate) fn last_informative(output: &str) -> Cow<'_, str> {
    match without_escapes(output) {
        Cow::Borrowed(text) => Cow::Borrowed(find(text)),
        Cow::Owned(text) => Cow::Owned(find(&text).to_owned()),
    }
}

fn find(text: &str) -> &str {
    if let Some(line) = of_traceback(text) {
        return line;
    }
    let mut last = "";
    for line in text.rsplit('\n').map(shown_of).filter(|line| !line.is_empty()).take(LINES) {
        if last.is_empty() {
            last = line;
        }
        if is_informative(line) {
            return line;
        }
    }
    last
}

/// What a terminal would show of a line that carriage returns overwrite: its last part.
fn shown_of(line: &str) -> &str {
    line.rsplit('\r').map(str::trim).find(|part| !part.is_empty()).unwrap_or("")
}

/// After the last traceback: the first line that is not indented.
fn of_traceback(text: &str) -> Option<&str> {
    let (_, after) = text.rsplit_once("Traceback (most recent call last)")?;
    let mut lines = after.lines().skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with([' ', '\t', '+', '|'])).map(str::trim)
}

/// Beginnings of lines that come after the reason, or between reasons.
const SAYS_NOTHING: [&str; 16] = [
    "Execution halted",
    "note: run with `RUST_BACKTRACE",
    "note: Some details are omitted",
    "make: ***",
    "make[",
    "Calls:",
    "During handling of the above",
    "The above exception was the direct cause",
    "Stacktrace:",
    "Stack trace:",
    "Call stack:",
    "File \"",
    "in expression starting at",
    "srun: launch/slurm",
    "mpirun noticed that",
    "ERROR STOP",
];

fn is_informative(line: &str) -> bool {
    let is_rule = line.chars().filter(|character| character.is_alphanumeric()).count() < 3;
    let is_frame = line.starts_with("at ") || line.starts_with('#') || is_numbered_frame(line);
    !(is_rule || is_frame || SAYS_NOTHING.iter().any(|beginning| line.starts_with(beginning)))
}

/// `12: 0x… name` and `[3] name @ file`: frames of Rust and Julia.
fn is_numbered_frame(line: &str) -> bool {
    let bracketed = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((number, _)) = bracketed {
        return !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && line.contains('@');
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && line[digits..].starts_with(": ") && (line.contains("0x") || line.contains("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found() {
        let cases = [
            ("", ""),
            ("a\nb\n\n", "b"),
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    f()\nValueError: bad 3\nand more\n",
                "ValueError: bad 3",
            ),
            (
                "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n",
                "index out of bounds",
            ),
            ("Error in f(): no such column\nExecution halted\n", "Error in f(): no such column"),
            ("fatal: no\n------\n", "fatal: no"),
            ("\u{1b}[31mboom\u{1b}[0m\n", "boom"),
            ("10 %\r50 %\rerror: lost\n", "error: lost"),
            ("----\n", "----"),
        ];
        for (output, expected) in cases {
            assert_eq!(last_informative(output), expected, "{output:?}");
        }
    }
}
