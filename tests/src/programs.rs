//! Where the programs under test are.
//!
//! Cargo tells only a package's own tests where its programs are, so they are looked for beside
//! the test executable (`target/release`), or in `$ICTASKS_TEST_PROGRAMS` where that is set (to
//! test an installed pair). Programs that are missing, or older than a source file that Cargo's
//! own list (`ictasks.d`) names, would give results of another version: that stops the test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Names another directory in which `ictasks` and `ictasks-agent` are.
pub const PROGRAMS_VARIABLE: &str = "ICTASKS_TEST_PROGRAMS";

/// The `ictasks` program.
///
/// # Panics
/// If it or `ictasks-agent` is missing or older than its sources.
pub fn ictasks() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        if let Some(directory) = env::var_os(PROGRAMS_VARIABLE) {
            return existing(&Path::new(&directory).join("ictasks"));
        }
        for name in ["ictasks-agent", "ictasks"] {
            check_age(&existing(&built(name)));
        }
        built("ictasks")
    })
}

/// The program that tests run as a task.
///
/// # Panics
/// If it is missing.
pub fn subject() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| existing(&built("subject")))
}

/// The root of the clone that the tests were built from.
pub fn clone_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the clone")
}

/// A program of the same build as the one that runs: a test, which is in `deps/`, or a program.
fn built(name: &str) -> PathBuf {
    let running = env::current_exe().expect("the running program has a path");
    let directory = running.parent().expect("the running program lies in a directory");
    let is_test = directory.file_name().is_some_and(|name| name == "deps");
    let programs = if is_test { directory.parent() } else { Some(directory) };
    programs.expect("tests lie in target/PROFILE/deps").join(name)
}

fn existing(path: &Path) -> PathBuf {
    assert!(
        path.is_file(),
        "`{}` is missing: build the programs first (`cargo build --release`), or run tests/run-all",
        path.display()
    );
    path.to_owned()
}

/// Panics if a source of `program` has changed since it was built.
fn check_age(program: &Path) {
    let Ok(rule) = fs::read_to_string(program.with_extension("d")) else {
        return;
    };
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let built_at = modified(program).expect("the program has a time");
    for source in sources(&rule) {
        if modified(&source).is_ok_and(|changed_at| changed_at > built_at) {
            panic!(
                "`{}` is older than `{}`: build the programs first (`cargo build --release`), or run tests/run-all",
                program.display(),
                source.display()
            );
        }
    }
}

/// The sources that a Make rule as Cargo writes it names; blanks in names are `\ `.
fn sources(rule: &str) -> Vec<PathBuf> {
    let (_, list) = rule.split_once(": ").unwrap_or(("", ""));
    let list = list.lines().next().unwrap_or("").replace("\\ ", "\0");
    list.split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_a_rule_may_have_blanks() {
        let rule = "/t/release/ictasks: /a/main.rs /b\\ c/lib.rs\n";
        let expected = ["/a/main.rs", "/b c/lib.rs"].map(PathBuf::from);
        assert_eq!(sources(rule), expected);
    }
}
