//! The line that repeats a task by hand: where it ran, what the farm set in its environment, and how its
//! command was started.
//!
//! The line is for any POSIX shell (the `$'…'` of POSIX.1-2024, which bash, zsh and ksh have long known,
//! stands only around control and invisible characters), and it is one line whatever the task's text is:
//! pasting it runs nothing before the Enter key.

use std::path::Path;

use ictasks_core::command::Launch;
use ictasks_core::config::GpuBinding;
use ictasks_core::layout;
use ictasks_core::protocol::WorkingDirectory;

use super::Repeat;
use crate::harmless::is_unsafe;
use crate::rows::{Cell, Row};
use crate::run_file::{RunFile, Session};
use crate::source::Source;

/// How to repeat the attempt of a row.
pub(super) fn of(source: &Source, run: &RunFile, session: &Session, row: &Row<'_>) -> Repeat {
    let run_dir = std::path::absolute(&source.run_dir).unwrap_or_else(|_| source.run_dir.clone());
    let task_dir = run_dir.join(layout::task_directory(row.text("task_id").unwrap_or_default()));
    let plan = &session.plan;
    let directory = match plan.cwd {
        WorkingDirectory::Task => task_dir.clone(),
        WorkingDirectory::Submit => session.submit_dir.clone(),
    };
    let environment = environment(run, session, row, &run_dir, &task_dir);
    let mut lacks = vec![
        "the rest of the environment, which tasks have from the shell that started the farm".to_owned(),
        "variables that the task list gives to single tasks, which the record does not keep".to_owned(),
    ];
    if run.sessions.is_empty() {
        lacks.push("variables of the configuration: run.json is missing or damaged".to_owned());
    }
    let command = row.text("command").unwrap_or_default();
    let words = if plan.has_calls && is_known_call(&task_dir) {
        lacks.push("what it did: it called a function, and its command is only the text of that".to_owned());
        Vec::new()
    } else {
        if plan.has_calls {
            lacks.push(
                "what it did, if it called a function: then its command is only the text of that".to_owned(),
            );
        }
        match Launch::of(command, &plan.shell) {
            Ok(Launch::Direct(words) | Launch::Shell(words)) => words,
            Err(_) => {
                lacks.push("its command, which could not be started".to_owned());
                Vec::new()
            }
        }
    };
    let line = line(&directory, &environment, plan.cores_per_task, &words);
    Repeat { directory: directory.display().to_string(), environment, words, line, lacks }
}

/// Whether the task was a call that came to its end; the record does not tell the others from commands.
fn is_known_call(task_dir: &Path) -> bool {
    [layout::RETURN_FILE, layout::EXCEPTION_FILE].iter().any(|file| task_dir.join(file).exists())
}

/// As the agent sets it.
fn environment(
    run: &RunFile,
    session: &Session,
    row: &Row<'_>,
    run_dir: &Path,
    task_dir: &Path,
) -> Vec<(String, String)> {
    let plan = &session.plan;
    let mut variables = plan.environment.clone();
    let list = |name: &str| match row.cell(name) {
        Cell::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        _ => String::new(),
    };
    let number = |name: &str| row.integer(name).unwrap_or(0).to_string();
    let path = |path: &Path| path.display().to_string();
    let job_id = if plan.job_id.is_empty() { &run.job_id } else { &plan.job_id };
    if plan.gpu_binding == GpuBinding::VisibleDevices && !list("gpus").is_empty() {
        variables.entry("CUDA_VISIBLE_DEVICES".to_owned()).or_insert_with(|| list("gpus"));
    }
    let own = [
        ("ICTASKS_JOB_ID", job_id.clone()),
        ("ICTASKS_WORKER_ID", number("worker_id")),
        ("ICTASKS_HOST_ID", number("host_id")),
        ("ICTASKS_CORES", list("cores")),
        ("ICTASKS_GPU_IDS", list("gpus")),
        ("ICTASKS_RUN_DIR", path(run_dir)),
        ("ICTASKS_SUBMIT_DIR", path(&session.submit_dir)),
        ("ICTASKS_TASK_ID", row.text("task_id").unwrap_or_default().to_owned()),
        ("ICTASKS_TASK_INDEX", number("task_index")),
        ("ICTASKS_ATTEMPT", row.integer("attempt").unwrap_or(0).max(1).to_string()),
        ("ICTASKS_TASK_DIR", path(task_dir)),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    variables.into_iter().collect()
}

fn line(directory: &Path, environment: &[(String, String)], cores_per_task: i64, words: &[String]) -> String {
    let place = quoted(&directory.to_string_lossy());
    let make = if directory.is_dir() { String::new() } else { format!("mkdir -p -- {place} && ") };
    let mut line = format!("{make}cd -- {place} && env");
    for (name, value) in environment {
        line.push(' ');
        line.push_str(&quoted(&format!("{name}={value}")));
    }
    if !environment.iter().any(|(name, _)| name == "OMP_NUM_THREADS") {
        // As the agent: what is set already stays.
        line.push_str(&format!(" \"OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{cores_per_task}}}\""));
    }
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./,:+@%=".contains(character);
    // `~` and `#` matter only where a word begins, `=` only in its first one, which is never one of these.
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(is_unsafe) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    let mut quoted = "$'".to_owned();
    for character in word.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            character if is_unsafe(character) => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    quoted.push_str(&format!("\\{byte:03o}"));
                }
            }
            character => quoted.push(character),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::one_task::one_task;
    use crate::source::Table;
    use crate::specimen;

    #[test]
    fn words_are_quoted_where_they_must() {
        assert_eq!(quoted("a=b/c.d"), "a=b/c.d");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted("a\nb\u{1b}\u{202e}'\\"), "$'a\\nb\\033\\342\\200\\256\\'\\\\'");
    }

    #[test]
    fn the_line_does_what_the_farm_did() {
        let run = specimen::run();
        let command =
            "echo \"$ICTASKS_TASK_ID $ICTASKS_ATTEMPT $OMP_NUM_THREADS $MESH\"; pwd; printf '\\t|\\n'";
        let rows = [
            json!({ "task_id": "a", "task_index": 7, "attempt": 2, "command": command, "outcome": "failed" }),
        ];
        specimen::write(run.directory.path(), Table::Tasks, &rows);
        let line = one_task(&run.source, "a").unwrap().repeat.line;
        let output =
            std::process::Command::new("bash").args(["-c", &line]).env_remove("OMP_NUM_THREADS").output();
        let directory = run.directory.path().canonicalize().unwrap().join("task_a");
        let expected = format!("a 2 2 it's fine\n{}\n\t|\n", directory.display());
        assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), expected, "{line}");
    }

    #[test]
    fn the_text_of_a_call_is_no_command() {
        let run = specimen::run();
        let path = run.directory.path().join("run.json");
        let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        document["sessions"][0]["plan"]["call_server"] = json!(["python3", "-m", "server"]);
        std::fs::write(&path, document.to_string()).unwrap();
        let rows =
            ["a", "b"].map(|id| json!({ "task_id": id, "command": "energy(1.5)", "outcome": "failed" }));
        specimen::write(run.directory.path(), Table::Tasks, &rows);
        std::fs::create_dir(run.directory.path().join("task_a")).unwrap();
        std::fs::write(run.directory.path().join("task_a/exception.pickle"), "").unwrap();
        let repeat = |id: &str| one_task(&run.source, id).unwrap().repeat;
        let (called, perhaps) = (repeat("a"), repeat("b"));
        assert!(called.words.is_empty() && !called.line.contains("energy"), "{}", called.line);
        assert!(called.lacks.last().unwrap().starts_with("what it did: it called"));
        assert!(perhaps.line.ends_with("'energy(1.5)'"), "{}", perhaps.line);
        assert!(perhaps.lacks.last().unwrap().starts_with("what it did, if"));
    }

    proptest::proptest! {
        /// What bash makes of a quoted word is the word.
        #[test]
        fn a_shell_undoes_it(word in "[^\u{0}]{0,20}|[\\x01-\\x20'\"\\\\$`!\u{202e}\u{200b}]{0,20}") {
            let line = quoted(&word);
            proptest::prop_assert!(!line.chars().any(is_unsafe), "{line:?}");
            let output = std::process::Command::new("bash").args(["-c", &format!("printf %s {line}")]).output().unwrap();
            proptest::prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
