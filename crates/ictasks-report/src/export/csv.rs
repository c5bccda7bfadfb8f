//! The tasks as CSV: all columns of `tasks.parquet`, those of parameters and results too, in the
//! order of the file (the order in which tasks ended).
//!
//! - Numbers stand bare, text stands in double quotes (RFC 4180), null is an empty cell.
//! - Times are RFC 3339, lists are JSON.
//! - A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, which could run
//!   programs or send data away. Text that begins so, also behind white space, gets an apostrophe in
//!   front (<https://owasp.org/www-community/attacks/CSV_Injection>).
//! - Control characters other than tab and newlines, and characters that hide or reorder text, are
//!   shown as `\u{…}`.

use std::io::{self, Write};

use super::written;
use crate::error::ReportError;
use crate::harmless;
use crate::rows::{Cell, Rows};
use crate::source::{Source, Table};

/// Writes the tasks of a run as CSV.
///
/// # Errors
/// The table cannot be read, or `out` cannot be written.
pub fn csv(source: &Source, out: &mut dyn Write) -> Result<(), ReportError> {
    let rows = Rows::open(source, Table::Tasks, None)?;
    let mut line = Vec::new();
    for name in rows.names() {
        separate(&mut line);
        text(&mut line, name);
    }
    written(end(&mut line, out))?;
    rows.each(|row| {
        for (position, (_, value)) in row.cells().enumerate() {
            if position > 0 {
                line.push(b',');
            }
            cell(&mut line, &value);
        }
        written(end(&mut line, out))
    })
}

fn separate(line: &mut Vec<u8>) {
    if !line.is_empty() {
        line.push(b',');
    }
}

fn end(line: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    line.push(b'\n');
    out.write_all(line)?;
    line.clear();
    Ok(())
}

fn cell(line: &mut Vec<u8>, value: &Cell<'_>) {
    match value {
        Cell::Null => {}
        Cell::Bool(value) => line.extend_from_slice(value.to_string().as_bytes()),
        Cell::Integer(number) => line.extend_from_slice(number.to_string().as_bytes()),
        Cell::Float(number) => line.extend_from_slice(number.to_string().as_bytes()),
        Cell::Time(at) => line.extend_from_slice(at.rfc3339().as_bytes()),
        Cell::Text(value) => text(line, value),
        Cell::List(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            text(line, &format!("[{}]", items.join(",")));
        }
    }
}

fn text(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    if is_formula(text) {
        line.push(b'\'');
    }
    for character in text.chars() {
        match character {
            '"' => line.extend_from_slice(b"\"\""),
            '\t' | '\n' | '\r' => line.push(character as u8),
            character if harmless::is_unsafe(character) => {
                line.extend_from_slice(format!("\\u{{{:x}}}", u32::from(character)).as_bytes());
            }
            other => line.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    line.push(b'"');
}

/// Whether some spreadsheet would take a cell for a formula. East Asian versions take wide signs, too.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn tasks_of_a_small_run() {
        let run = specimen::run();
        let mut out = Vec::new();
        csv(&run.source, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn no_text_can_be_a_formula() {
        let cell = |value: &str| {
            let mut line = Vec::new();
            text(&mut line, value);
            String::from_utf8(line).unwrap()
        };
        for formula in ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\u{ff1d}1"] {
            assert_eq!(cell(formula), format!("\"'{formula}\""), "{formula:?}");
        }
        assert_eq!(cell("\0=1"), "\"\\u{0}=1\"");
        assert_eq!(cell("\u{1b}[1m\u{202e}"), "\"\\u{1b}[1m\\u{202e}\"");
        assert_eq!(cell("a=1"), "\"a=1\"");
        assert_eq!(cell("say \"hi\",\n"), "\"say \"\"hi\"\",\n\"");
        assert_eq!(cell(""), "\"\"");
    }
}
