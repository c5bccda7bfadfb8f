//! What two messages about the same thing do not have in common, masked.

use std::collections::HashSet;

/// Longest part of a line that is looked at, bytes.
const LONGEST: usize = 400;

/// Masks lines.
#[derive(Debug)]
pub(crate) struct Mask {
    hosts: HashSet<String>,
    /// Their lengths, the longest first.
    lengths: Vec<usize>,
}

impl Mask {
    /// Also masks these names.
    pub(crate) fn new(hosts: &[String]) -> Self {
        // Short names would be found in words.
        let hosts: HashSet<String> = hosts.iter().filter(|host| host.len() > 2).cloned().collect();
        let mut lengths: Vec<usize> = hosts.iter().map(String::len).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Self { hosts, lengths }
    }

    /// The line with hosts, quoted text, directories of paths, hexadecimal numbers, UUIDs and numbers masked: as
    /// `<host>`, `'…'`, `…/name`, and `#`.
    pub(crate) fn template(&self, line: &str) -> String {
        self.masked_line(line, true)
    }

    /// The same, but quoted text stays: in our own messages it is what matters.
    pub(crate) fn template_of_error(&self, line: &str) -> String {
        self.masked_line(line, false)
    }

    fn masked_line(&self, line: &str, quotes: bool) -> String {
        let end = (0..=LONGEST.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        let line = &line[..end];
        let mut template = String::with_capacity(line.len());
        let mut rest = line;
        let mut before = ' ';
        while let Some(character) = rest.chars().next() {
            let masked = if before.is_alphanumeric() { None } else { self.masked(rest, quotes) };
            let length = match masked {
                Some((length, mask)) => {
                    template.push_str(&mask);
                    length
                }
                None if character.is_ascii_digit() => {
                    template.push('#');
                    number(rest)
                }
                None => {
                    template.push(character);
                    character.len_utf8()
                }
            };
            before = rest[..length].chars().next_back().unwrap_or(' ');
            rest = &rest[length..];
        }
        template
    }

    /// Length of the host's name with which `rest` begins.
    fn host(&self, rest: &str) -> Option<usize> {
        let is_host = |length: &usize| {
            let (name, after) = rest.split_at_checked(*length).unwrap_or_default();
            self.hosts.contains(name) && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        };
        self.lengths.iter().copied().find(is_host)
    }

    /// What is masked at the beginning of `rest`, where a word may begin: its length and the mask.
    fn masked(&self, rest: &str, quotes: bool) -> Option<(usize, String)> {
        if let Some(length) = quoted(rest).filter(|_| quotes) {
            let quote = &rest[..1];
            return Some((length, format!("{quote}…{quote}")));
        }
        if let Some(length) = self.host(rest) {
            return Some((length, "<host>".to_owned()));
        }
        let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        let word = word.trim_end_matches([',', ':', '.', ';']);
        if word.len() > 1
            && word.contains('/')
            && !word.contains("//")
            && word.len() > word.matches('/').count()
        {
            return Some((word.len(), path(word)));
        }
        let hexadecimal =
            &rest[..rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len())];
        let is_whole = !rest[hexadecimal.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if let Some(digits) = rest.strip_prefix("0x") {
            let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
            return (length > 0).then(|| (length + 2, "#".to_owned()));
        }
        let has_digit = hexadecimal.bytes().any(|byte| byte.is_ascii_digit());
        (is_whole && has_digit && hexadecimal.len() >= 8).then(|| (hexadecimal.len(), "#".to_owned()))
    }
}

const fn is_end(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\'' | '"' | '(' | ')' | '[' | ']' | '<' | '>' | '=' | '`')
}

/// Length of quoted text, quotes included.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|character| matches!(character, '\'' | '"' | '`'))?;
    let inner = text[1..].find(quote)?;
    let is_closed = !text[inner + 2..].starts_with(|c: char| c.is_alphanumeric());
    (inner > 0 && is_closed).then_some(inner + 2)
}

/// A number with what belongs to it: `12`, `1.5e-3`, `12:30:01`, `2026-03-01`.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let joins = matches!(byte, b'.' | b':' | b'-' | b'e' | b'E' | b'+' | b'T' | b'_' | b',');
        let is_digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
        let has_signed_exponent = matches!(byte, b'e' | b'E')
            && matches!(bytes.get(length + 1), Some(b'-' | b'+'))
            && is_digit(length + 2);
        if !(byte.is_ascii_digit() || (joins && is_digit(length + 1)) || has_signed_exponent) {
            break;
        }
        length += 1;
    }
    length
}

/// A path with its last part only, whose numbers are masked.
fn path(word: &str) -> String {
    let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or(word);
    let mut masked = String::from("…/");
    let mut in_number = false;
    for character in name.chars() {
        if character.is_ascii_digit() {
            if !in_number {
                masked.push('#');
            }
            in_number = true;
        } else {
            in_number = false;
            masked.push(character);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_tasks_is_masked() {
        let mask = Mask::new(&["node-17.cluster".to_owned()]);
        let cases = [
            ("ValueError: bad value 3", "ValueError: bad value #"),
            ("cannot open '/tmp/a b.txt': 2", "cannot open '…': #"),
            ("open /scratch/run7/in_12.dat: No such file", "open …/in_#.dat: No such file"),
            ("at 2026-03-01T12:00:01.5 on node-17.cluster, pid 77", "at # on <host>, pid #"),
            ("object 0x7ffe12ab freed twice", "object # freed twice"),
            ("job 01a2046c-af79-72db-bf1b-84cfd16c70b0 gone", "job # gone"),
            ("don't know c17 and c18", "don't know c# and c#"),
            ("dt = 1.5e-3 is too large", "dt = # is too large"),
            ("Fehler: größer als 5 µs", "Fehler: größer als # µs"),
            ("either/or", "…/or"),
        ];
        for (line, expected) in cases {
            assert_eq!(mask.template(line), expected, "{line}");
        }
    }

    #[test]
    fn any_text_can_be_masked() {
        let mask = Mask::new(&[]);
        for line in [
            "'",
            "\"é",
            "0x",
            "/",
            "//",
            "'é'é",
            "`",
            "1:",
            "a'b'c",
            "\u{202e}1",
            &"9".repeat(1000),
            &"é/".repeat(500),
        ] {
            assert!(mask.template(line).len() <= 2 * LONGEST + 10, "{line}");
        }
    }
}
