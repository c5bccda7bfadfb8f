//! What ends of attempts mean, and what to do about failures whose reason is known.

use std::sync::LazyLock;

use regex::Regex;

use super::keys::Key;
use crate::codes::{exit_code_in_words, signal_in_words};

/// What outcome, code and signal mean.
pub(crate) fn meaning(key: &Key, cause: Option<&str>) -> String {
    match cause {
        Some("missing_output") => return "exit code 0, but an expected output is missing".to_owned(),
        Some("disk_full") => return with_code("its disk was full", key),
        Some("gpu_masked") => return with_code("it asked for a GPU by a number that its mask hides", key),
        Some("memory_limit") => return "used more than `memory_per_task` and was ended".to_owned(),
        Some("oom_kill") => return "the kernel ran out of memory and killed it".to_owned(),
        _ => {}
    }
    match key.outcome.as_str() {
        "spawn_failed" => "could not be started".to_owned(),
        "timed_out" => "ended at its time limit".to_owned(),
        "out_of_memory" => "ran out of memory".to_owned(),
        _ => match (key.exit_code, key.signal) {
            (_, Some(signal)) => format!("killed by {}", signal_in_words(signal.into())),
            (Some(code), _) => exit_code_in_words(code.into()),
            (None, None) => key.outcome.replace('_', " "),
        },
    }
}

fn with_code(what: &str, key: &Key) -> String {
    match key.exit_code {
        Some(code) => format!("{what} (exit code {code})"),
        None => what.to_owned(),
    }
}

/// Words of programs whose allocation failed.
const ALLOCATION: &str = "MemoryError|std::bad_alloc|CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemoryError\
    |cannot allocate vector of size|Cannot allocate memory|memory allocation of|Unable to allocate";

/// Whether a task's own words say that it could not allocate memory.
pub(crate) fn is_allocation_failure(output: &str) -> bool {
    // One pass for all of them: a run may have a million failures.
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(ALLOCATION).ok());
    WORDS.as_ref().is_some_and(|words| words.is_match(output))
}

/// What to do, where outcome, code or words tell.
pub(crate) fn remedy(key: &Key, cause: Option<&str>, output: &str) -> Option<String> {
    let remedy = match (key.outcome.as_str(), key.exit_code, key.signal) {
        _ if cause == Some("disk_full") => {
            "Free some space or change the file system, then go on with `--resume`."
        }
        _ if cause == Some("missing_output") => {
            "The program ended well without a file of `expected_outputs`: look at its output, or correct that list."
        }
        _ if cause == Some("gpu_masked") => "Use device 0 in the task, or `gpu_binding: file`.",
        _ if output.contains("CUDA out of memory") || output.contains("CUDA_ERROR_OUT_OF_MEMORY") => {
            "GPU memory ran out: fewer tasks a GPU (`gpus_per_task`), or smaller batches."
        }
        ("out_of_memory", ..) => {
            "Give tasks more memory: raise `memory_per_task` (see the memory advice); fewer then run at a time."
        }
        _ if is_allocation_failure(output) => {
            "The program could not allocate memory: set `memory_per_task`, so that fewer tasks run at a time."
        }
        ("timed_out", ..) => "Raise `timeout` if these tasks had been getting on; else look why they hang.",
        ("spawn_failed", ..) => {
            "The program does not exist or cannot be run: correct the command, its path, or what is loaded before."
        }
        (_, Some(127), _) => {
            "The shell did not find a command: correct its name or PATH; load its module before the farm."
        }
        (_, Some(126), _) => "Not executable: `chmod +x`, or check its first line (`#!`).",
        (_, Some(137), _) | (_, _, Some(9)) => {
            "Something killed it, often the kernel when memory runs out: look at its memory, set `memory_per_task`."
        }
        (_, Some(139), _) | (_, _, Some(11)) => {
            "A fault of the program in its memory: run one by hand in a debugger; check its stack limit (`ulimit -s`)."
        }
        (_, Some(132), _) | (_, _, Some(4)) => {
            "Built for another processor: compile for the oldest processor of the cluster."
        }
        _ if output.contains("ModuleNotFoundError") || output.contains("ImportError") => {
            "A Python package is missing where tasks run: activate the environment before the farm."
        }
        _ if output.contains("error while loading shared libraries") => {
            "A library is missing where tasks run: load its module before the farm, or set LD_LIBRARY_PATH."
        }
        _ if output.contains("No such file or directory") || output.contains("FileNotFoundError") => {
            "A file is missing: tasks run in directories of their own; give absolute paths or `%SUBMITDIR%`."
        }
        _ if output.contains("Permission denied") => {
            "Something may not be read, written or run: check its rights."
        }
        _ if output.contains("No space left on device") || output.contains("Disk quota exceeded") => {
            "The disk or the quota was full: free some space, then go on with `--resume`."
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(outcome: &str, exit_code: Option<i32>, signal: Option<i32>) -> Key {
        Key { outcome: outcome.to_owned(), exit_code, signal, template: String::new() }
    }

    #[test]
    fn ends_are_said_in_words() {
        let said = |outcome, code, signal| meaning(&key(outcome, code, signal), None);
        assert_eq!(said("failed", Some(3), None), "exit code 3");
        assert_eq!(said("failed", Some(127), None), "exit code 127: command not found");
        assert_eq!(said("signaled", None, Some(11)), "killed by SIGSEGV (segmentation fault)");
        assert_eq!(said("timed_out", None, Some(15)), "ended at its time limit");
        assert_eq!(
            meaning(&key("failed", Some(0), None), Some("missing_output")),
            "exit code 0, but an expected output is missing"
        );
    }

    #[test]
    fn words_of_failed_allocations_are_known() {
        for words in ALLOCATION.split('|') {
            assert!(is_allocation_failure(&format!("first line\n…{words}: 8 GB")), "{words}");
        }
        assert!(!is_allocation_failure("memory is fine"));
    }
}
