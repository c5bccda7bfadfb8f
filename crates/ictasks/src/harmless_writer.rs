//! Text of tasks on its way to a terminal, made harmless line by line.

use std::io::{self, Write};

use ictasks_report::harmless;

/// Bytes of a line that are kept at most before they are passed on.
const LINE_BYTES: usize = 64 * 1024;

/// Passes text on without what would control a terminal.
pub struct HarmlessWriter<W: Write> {
    to: W,
    line: Vec<u8>,
}

impl<W: Write> HarmlessWriter<W> {
    /// That passes on to `to`.
    pub fn new(to: W) -> Self {
        Self { to, line: Vec::new() }
    }

    /// Passes the line on as far as it is here, but for a character of which the rest is to come.
    fn pass_on(&mut self, is_all: bool) -> io::Result<()> {
        let whole = if is_all { self.line.len() } else { whole_characters(&self.line) };
        let text = String::from_utf8_lossy(&self.line[..whole]);
        self.to.write_all(harmless::lines(&text).as_bytes())?;
        self.line.drain(..whole);
        Ok(())
    }
}

impl<W: Write> Write for HarmlessWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(LINE_BYTES)];
        self.line.extend_from_slice(taken);
        // Whole lines at once: an escape sequence may lie in several writes, but not in several lines.
        if let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.line.split_off(end + 1);
            self.pass_on(true)?;
            self.line = rest;
        }
        if self.line.len() > LINE_BYTES {
            self.pass_on(false)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on(true)?;
        self.to.flush()
    }
}

/// Length up to a character at the end that is not whole.
fn whole_characters(bytes: &[u8]) -> usize {
    let begin = bytes.len().saturating_sub(3);
    let last = bytes[begin..].iter().rposition(|byte| *byte >= 0xc0).map(|place| begin + place);
    match last {
        Some(last) if str::from_utf8(&bytes[last..]).is_err_and(|error| error.error_len().is_none()) => last,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[&[u8]]) -> String {
        let mut writer = HarmlessWriter::new(Vec::new());
        for part in parts {
            writer.write_all(part).unwrap();
        }
        writer.flush().unwrap();
        String::from_utf8(writer.to).unwrap()
    }

    #[test]
    fn sequences_in_several_writes_go() {
        assert_eq!(written(&[b"\x1b[3", b"1mred\x1b", b"[0m\nplain\n"]), "red\nplain\n");
        assert_eq!(written(&[b"no end \xff\x08"]), "no end \u{fffd}\\u{8}");
    }

    #[test]
    fn characters_of_a_long_line_stay_whole() {
        let line = format!("a{}", "ä€😀".repeat(100_000));
        assert_eq!(written(&[line.as_bytes()]), line);
    }
}
