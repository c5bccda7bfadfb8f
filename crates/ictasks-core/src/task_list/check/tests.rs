use std::io::Write;

use super::*;

fn check(format: TaskListFormat, text: &[u8]) -> Result<ListSummary, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let name = file.path().display().to_string();
    let open = || open(file.path(), format, Path::new("/"));
    validate_with(file.path(), &open, format, 3).map_err(|errors| errors.to_string().replace(&name, "list"))
}

#[test]
fn a_good_list_is_counted() {
    let summary = check(TaskListFormat::Lines, "a\n#\nb\n".repeat(20).as_bytes()).unwrap();
    assert_eq!((summary.task_count, summary.first.len()), (40, 10));
    assert_eq!(summary.first[3].command, "b");
}

#[test]
fn an_empty_list_is_refused() {
    let message = "list: there are no tasks; give at least one";
    assert_eq!(check(TaskListFormat::Lines, b"# nothing\n\n").unwrap_err(), message);
    assert_eq!(check(TaskListFormat::JsonLines, b"").unwrap_err(), message);
}

#[test]
fn equal_ids_are_found_with_the_line_of_the_first() {
    let mut text: Vec<String> =
        (0..40).map(|n| format!("{{\"id\": \"t{n}\", \"launch_cmd\": \"a\"}}")).collect();
    text[37] = text[1].clone();
    text[38] = "{\"id\": \"39\", \"launch_cmd\": \"a\"}".to_owned();
    text[39] = "{\"launch_cmd\": \"by position\"}".to_owned();
    let message = "list:38: the id `t1` was given in line 2 already; each task needs its own\n\
                   list:40: the id `39` was given in line 39 already; each task needs its own";
    assert_eq!(check(TaskListFormat::JsonLines, text.join("\n").as_bytes()).unwrap_err(), message);
}

#[test]
fn the_first_ten_bad_lines_are_reported() {
    let errors = check(TaskListFormat::Lines, &b"a\0\n".repeat(30)).unwrap_err();
    assert_eq!(errors.lines().count(), 11);
    assert!(errors.starts_with("list:1: the command contains a NUL byte; remove it\nlist:2: "));
    assert!(errors.ends_with("\nmore follow"));
    let errors = check(TaskListFormat::Lines, &b"a\0\n".repeat(10)).unwrap_err();
    assert_eq!(errors.lines().count(), 10);
}

#[test]
fn unreadable_files() {
    let error = validate(Path::new("/no/such"), TaskListFormat::Lines, Path::new("/"), &Config::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "/no/such: cannot be read: No such file or directory (os error 2)");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("No such file"), "{source}");
}
