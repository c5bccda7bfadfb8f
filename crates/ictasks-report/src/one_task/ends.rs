//! The last lines of what a task printed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::OutputEnd;
use crate::task_output::TaskOutput;

/// Bytes that are read at most.
const BYTES: u64 = 8 * 1024;
/// Lines that are kept at most.
const LINES: usize = 20;

/// The end of an output.
pub(super) fn of(output: TaskOutput) -> OutputEnd {
    match output {
        TaskOutput::File(path) => match read(&path) {
            Ok(end) => end,
            Err(error) => OutputEnd {
                origin: format!("`{}` cannot be read: {error}", path.display()),
                ..OutputEnd::default()
            },
        },
        TaskOutput::Tail { text, .. } => {
            let (text, _) = last_lines(&text);
            let origin = "from the record, which keeps the last 2 KiB; the file is gone".to_owned();
            OutputEnd { text: text.to_owned(), is_all: false, file: None, origin }
        }
        TaskOutput::Gone { outcome, .. } => {
            let origin = match outcome.as_deref() {
                Some("pending") => "it never ran".to_owned(),
                Some("succeeded") => {
                    "its file is gone, and the record keeps no output of what succeeded".to_owned()
                }
                _ => "its file is gone, and the record holds nothing of it".to_owned(),
            };
            OutputEnd { origin, ..OutputEnd::default() }
        }
    }
}

/// For standard error where both streams go to one file.
pub(super) fn same_file(stdout: &OutputEnd) -> OutputEnd {
    OutputEnd {
        origin: "goes to the same file as standard output".to_owned(),
        file: stdout.file.clone(),
        ..OutputEnd::default()
    }
}

fn read(path: &Path) -> io::Result<OutputEnd> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    // From the first character that is whole.
    let begin =
        if from == 0 { 0 } else { bytes.iter().take(3).take_while(|byte| (**byte & 0xc0) == 0x80).count() };
    let text = String::from_utf8_lossy(&bytes[begin..]);
    let (text, is_cut) = last_lines(&text);
    let name = path.display().to_string();
    let is_all = from == 0 && !is_cut;
    let origin = match (length, is_all) {
        (0, _) => "is empty".to_owned(),
        (_, true) => format!("all of `{name}`"),
        (_, false) => format!("the end of `{name}`"),
    };
    Ok(OutputEnd { text: text.to_owned(), is_all, file: Some(name), origin })
}

/// And whether something stands before them.
fn last_lines(text: &str) -> (&str, bool) {
    let text = text.trim_end_matches(['\n', '\r']);
    match text.rmatch_indices('\n').nth(LINES - 1) {
        Some((place, _)) => (&text[place + 1..], true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_file_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let write_and_read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            of(TaskOutput::File(path.clone()))
        };
        let short = write_and_read(b"one\ntwo\n");
        assert_eq!((short.text.as_str(), short.is_all), ("one\ntwo", true));
        let lines: String = (0..100).map(|number| format!("{number}\n")).collect();
        let cut = write_and_read(lines.as_bytes());
        assert!(cut.text.starts_with("80\n81\n") && cut.text.ends_with("\n99") && !cut.is_all);
        let long = write_and_read("ä".repeat(1 << 20).as_bytes());
        assert!(long.text.chars().all(|character| character == 'ä') && long.text.len() <= 8192);
        assert_eq!(write_and_read(b"").origin, "is empty");
        assert_eq!(write_and_read(b"\xff\xfe").text, "\u{fffd}\u{fffd}");
    }
}
