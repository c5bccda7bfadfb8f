//! A task list of any bytes, in both forms, gives tasks or errors with their lines, in bounded memory.

#![no_main]

use std::io::Cursor;
use std::path::Path;

use ictasks_core::task_list::{TaskListFormat, TaskReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [TaskListFormat::Lines, TaskListFormat::JsonLines] {
        let input = Box::new(Cursor::new(bytes.to_vec()));
        let mut positions = -1;
        for task in TaskReader::new(input, "list", format, Path::new("/submit")) {
            match task {
                Ok(task) => {
                    assert!(task.index > positions && !task.command.trim_ascii().is_empty());
                    positions = task.index;
                }
                Err(error) => assert!(error.to_string().starts_with("list:"), "{error}"),
            }
        }
    }
});
