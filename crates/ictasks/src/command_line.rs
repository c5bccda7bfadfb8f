//! The typed command again, changed, for messages that say what to type next.

use std::path::Path;

/// The command as it was typed, quoted for a shell.
pub fn typed() -> String {
    quoted(arguments())
}

/// The command that goes on with the run.
pub fn going_on() -> String {
    let mut arguments = arguments();
    arguments.retain(|argument| !["--overwrite", "--set-aside", "--resume"].contains(&argument.as_str()));
    arguments.push("--resume".to_owned());
    quoted(arguments)
}

/// The command that deletes what is there and begins anew.
pub fn overwriting() -> String {
    let mut arguments = of_a_fresh_start(arguments());
    arguments.push("--overwrite".to_owned());
    quoted(arguments)
}

/// The command that moves what is there out of the way and begins anew.
pub fn setting_aside() -> String {
    let mut arguments = of_a_fresh_start(arguments());
    arguments.push("--set-aside".to_owned());
    quoted(arguments)
}

/// The command with another run directory than `run_dir`, one that is free.
pub fn with_run_dir(run_dir: &Path) -> String {
    let free = free_beside(run_dir);
    let mut arguments = without_run_dir(arguments());
    arguments.extend(["--run-dir".to_owned(), free]);
    quoted(arguments)
}

fn arguments() -> Vec<String> {
    let mut arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    if let Some(program) = arguments.first_mut() {
        "ictasks".clone_into(program);
    }
    arguments
}

fn without_run_dir(arguments: Vec<String>) -> Vec<String> {
    without(arguments, &["--run-dir", "--work-dir", "--work_dir"])
}

/// Without what only a run that goes on understands.
fn of_a_fresh_start(mut arguments: Vec<String>) -> Vec<String> {
    arguments.retain(|argument| !["--resume", "--rerun-changed", "--skip-failed"].contains(&&**argument));
    without(arguments, &["--only"])
}

/// Without options that have a value.
fn without(arguments: Vec<String>, names: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if names.contains(&argument.as_str()) {
            arguments.next();
        } else if !names.iter().any(|name| argument.starts_with(&format!("{name}="))) {
            kept.push(argument);
        }
    }
    kept
}

/// A name like that of `run_dir` that nothing has yet.
fn free_beside(run_dir: &Path) -> String {
    let name = run_dir.display().to_string();
    let numbered = (2..1000).map(|number| format!("{name}-{number}"));
    numbered.into_iter().find(|name| !Path::new(name).exists()).unwrap_or_else(|| format!("{name}-new"))
}

fn quoted(arguments: Vec<String>) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./=,:+@%".contains(character);
    let words = arguments.into_iter().map(|argument| {
        if !argument.is_empty() && argument.chars().all(is_plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', "'\\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_fresh_start_knows_nothing_of_going_on() {
        for typed in ["a --resume --only x b", "a --only=x --resume --rerun-changed b", "a b --skip-failed"] {
            assert_eq!(of_a_fresh_start(words(typed)), ["a", "b"]);
        }
    }

    #[test]
    fn every_spelling_of_the_run_directory_goes() {
        for typed in ["a --run-dir x b", "a --work_dir x b", "a --work-dir=x b", "a b"] {
            assert_eq!(without_run_dir(words(typed)), ["a", "b"]);
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(vec!["a-b".into(), "it's".into(), String::new()]), r"a-b 'it'\''s' ''");
    }
}
