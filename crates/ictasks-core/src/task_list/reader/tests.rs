use std::io;
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;

/// Gives one piece a read, as a pipe does; waits for the next.
struct Pipe(mpsc::Receiver<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.recv().unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn reader(format: TaskListFormat, text: &[u8]) -> TaskReader {
    let input = Box::new(io::Cursor::new(text.to_vec()));
    TaskReader::new(input, "list", format, Path::new("/submit"))
}

/// The tasks as `id command`, the errors as their messages.
fn read(format: TaskListFormat, text: &[u8]) -> Vec<String> {
    reader(format, text)
        .map(|read| match read {
            Ok(task) => format!("{} {}", task.id, task.command),
            Err(error) => error.to_string(),
        })
        .collect()
}

#[test]
fn lines_are_trimmed_and_comments_and_blank_lines_skipped() {
    let text = "\u{feff}  a 1 \r\n\n# no\n  # neither\n\t\nb %TASKID% %TASKNUM% %SUBMITDIR%\nc # a";
    let expected = ["0 a 1", "1 b 1 1 /submit", "2 c # a"];
    assert_eq!(read(TaskListFormat::Lines, text.as_bytes()), expected);
}

#[test]
fn a_call_needs_a_server() {
    let line = br#"{"launch_cmd": "f(3)", "call": "/c/1"}"#;
    let refused = read(TaskListFormat::JsonLines, line);
    assert!(
        refused[0].starts_with("list:1: the task is a `call`, and there is no `call_server`"),
        "{refused:?}"
    );
    let task = reader(TaskListFormat::JsonLines, line).with_calls().next().unwrap().unwrap();
    assert_eq!((task.command.as_str(), task.call.as_deref()), ("f(3)", Some(Path::new("/c/1"))));
}

#[test]
fn bad_lines_are_named_and_the_others_read() {
    let mut text = b"a\n b\xff\nc\0\n".to_vec();
    text.extend(vec![b'x'; 131_072]);
    text.push(b'\n');
    text.extend(vec![b'x'; 131_071]);
    text.push(b'\n');
    text.extend(vec![b'y'; 10 << 20]);
    text.extend(b"\nlast");
    let read = read(TaskListFormat::Lines, &text);
    assert_eq!(read[0], "0 a");
    assert_eq!(
        read[1],
        "list:2:3: is not UTF-8 (byte 3 of the line); convert it, for instance with `iconv -t UTF-8`"
    );
    assert_eq!(read[2], "list:3: the command contains a NUL byte; remove it");
    assert_eq!(
        read[3],
        "list:4: the command has 131072 bytes and the kernel takes 131071; put long data into a file and name that in the command"
    );
    assert_eq!(read[4].len(), "4 ".len() + 131_071);
    assert_eq!(
        read[5],
        "list:6: the line is longer than 1 MiB; put long data into a file and name that in the command"
    );
    assert_eq!(read[6..], ["6 last"]);
}

#[test]
fn a_long_line_is_not_held_in_memory() {
    let mut reader = reader(TaskListFormat::Lines, &vec![b'x'; 10 << 20]);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
    assert!(reader.lines.buffer_capacity() < 3 << 20);
}

#[test]
fn json_lines() {
    let text = r#"{"launch_cmd": "a"}

{"id": "x", "launch_cmd": "b %TASKID%", "environment": {"N": 4, "S": "t"}, "params": {"lr": 0.1, "on": true}, "x-note": [1]}
{"id": 7, "launch_cmd": "c"}
"#;
    let tasks: Vec<Task> = reader(TaskListFormat::JsonLines, text.as_bytes()).map(Result::unwrap).collect();
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["0", "x", "7"]);
    assert_eq!((tasks[2].index, tasks[1].command.as_str()), (2, "b x"));
    assert_eq!(tasks[1].environment["N"], "4");
    assert_eq!(tasks[1].params_json.as_deref(), Some("{\"lr\":0.1,\"on\":true}"));
}

#[test]
fn bad_json_lines() {
    for (line, message) in [
        ("ls -l", "list:1:1: no JSON (expected value); give one `{\"launch_cmd\": \"…\"}` a line"),
        (
            "{\"launch_cmd\": \"a\"",
            "list:1:18: no JSON (EOF while parsing an object); give one `{\"launch_cmd\": \"…\"}` a line",
        ),
        ("{\"id\": 1}", "list:1:9: the key `launch_cmd` is missing; add it"),
        ("{\"launch_cmd\": 3}", "list:1:16: expected a command, not the number `3`"),
        (
            "{\"launch_cmd\": \"a\", \"idd\": 3}",
            "list:1:25: unknown key `idd`; did you mean `id`? (keys of your own begin with `x-`)",
        ),
        (
            "{\"id\": \"../x\", \"launch_cmd\": \"a\"}",
            "list:1:13: the id `../x` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, and not `.` or `..`",
        ),
        (
            "{\"id\": 1, \"id\": 2, \"launch_cmd\": \"a\"}",
            "list:1:14: the key `id` stands here a second time; give it once",
        ),
        ("{\"launch_cmd\": \"a\\u0000\"}", "list:1:24: the command contains a NUL byte; remove it"),
        ("[1]", "list:1:1: expected a map of keys and values, not a list"),
    ] {
        assert_eq!(read(TaskListFormat::JsonLines, line.as_bytes()), [message], "{line}");
    }
}

#[test]
fn tasks_come_before_the_input_ends() {
    let (sender, receiver) = mpsc::channel();
    let mut reader =
        TaskReader::new(Box::new(Pipe(receiver)), "<stdin>", TaskListFormat::Lines, Path::new("/"));
    sender.send(b"a\nb\nhalf".to_vec()).unwrap();
    assert_eq!(reader.next_batch().unwrap().unwrap().len(), 2);
    sender.send(b" line\n".to_vec()).unwrap();
    assert_eq!(reader.next_batch().unwrap().unwrap()[0].command, "half line");
    sender.send(b"c\nd\xff\ne".to_vec()).unwrap();
    assert_eq!(reader.next_batch().unwrap().unwrap()[0].command, "c");
    assert!(reader.next_batch().unwrap().unwrap_err().to_string().starts_with("<stdin>:5:2: "));
    drop(sender);
    assert_eq!(reader.next_batch().unwrap().unwrap()[0].id, "5");
    assert!(reader.next_batch().is_none());
    assert!(reader.next_batch().is_none());
}

#[test]
fn batches_are_bounded() {
    let mut reader = reader(TaskListFormat::Lines, "x\n".repeat(300).as_bytes());
    let sizes: Vec<usize> =
        std::iter::from_fn(|| reader.next_batch()).map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [128, 128, 44]);
}

proptest! {
    #[test]
    fn reads_what_was_written_however_it_is_cut(lines in prop::collection::vec("[a-z%]{0,20}", 0..40), cuts in prop::collection::vec(1_usize..50, 1..40)) {
        let text = lines.join("\n").into_bytes();
        let (sender, receiver) = mpsc::channel();
        let mut rest = &text[..];
        for cut in cuts.into_iter().cycle() {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            if piece.is_empty() { break }
            sender.send(piece.to_vec()).unwrap();
            rest = tail;
        }
        drop(sender);
        let reader = TaskReader::new(Box::new(Pipe(receiver)), "p", TaskListFormat::Lines, Path::new("/"));
        let read: Vec<String> = reader.map(|task| task.unwrap().command).collect();
        let expected: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(read, expected);
    }
}
