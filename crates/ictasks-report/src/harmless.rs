//! Text of tasks made harmless for a terminal or a page of text: escape sequences are dropped, other
//! controls and characters that reorder or hide text are shown as `\u{…}`.

use std::borrow::Cow;

/// One line: newlines and tabs become spaces, escape sequences go, controls and invisible or reordering
/// characters are shown.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(clean(text, false))
}

/// Several lines: as [`one_line`], but newlines stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(clean(text, true))
}

/// The first `limit` characters, with `…` for what was cut.
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
            short.push('…');
            Cow::Owned(short)
        }
    }
}

/// The first `head` characters and the last ones, `limit` in all, with `…` for what was cut between them.
pub fn cut_inside(text: &str, head: usize, limit: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= limit {
        return Cow::Borrowed(text);
    }
    let tail = limit.saturating_sub(head + 1);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// Without ANSI escape sequences (CSI, OSC and other strings, two-character ones).
pub fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\u{9b}', '\u{9d}', '\u{90}']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => skip_control_sequence(&mut characters),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut characters),
                Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
                    characters.next();
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut characters),
            '\u{9d}' | '\u{90}' => skip_string(&mut characters),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters up to the final byte; a character that cannot stand there ends the sequence and stays.
fn skip_control_sequence(characters: &mut Characters<'_>) {
    while let Some(&next) = characters.peek() {
        match next {
            ' '..='?' => {
                characters.next();
            }
            '@'..='~' => {
                characters.next();
                return;
            }
            _ => return,
        }
    }
}

/// Up to BEL or ST; a string without an end stops at the end of the line.
fn skip_string(characters: &mut Characters<'_>) {
    while let Some(&next) = characters.peek() {
        if next == '\n' {
            return;
        }
        characters.next();
        match next {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                if characters.peek() == Some(&'\\') {
                    characters.next();
                }
                return;
            }
            _ => {}
        }
    }
}

fn clean(text: &str, keep_newlines: bool) -> String {
    use std::fmt::Write as _;
    let mut clean = String::with_capacity(text.len());
    for character in without_escapes(text).chars() {
        match character {
            '\n' if keep_newlines => clean.push('\n'),
            '\n' | '\t' => clean.push(' '),
            '\r' => {}
            character if is_unsafe(character) => {
                // Writing to a string cannot fail.
                let _ = write!(clean, "\\u{{{:x}}}", u32::from(character));
            }
            character => clean.push(character),
        }
    }
    clean
}

/// Controls, and characters that are invisible or change the order of what stands around them.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_go_and_controls_are_shown() {
        assert_eq!(one_line("plain"), "plain");
        assert_eq!(one_line("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(one_line("\u{1b}]0;title\u{7}after"), "after");
        assert_eq!(one_line("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"), "link");
        assert_eq!(one_line("a\u{8}b\u{202e}c"), "a\\u{8}b\\u{202e}c");
        assert_eq!(lines("a\r\nb\tc"), "a\nb c");
        assert_eq!(lines("\u{1b}]never ended\nnext"), "\nnext");
        assert_eq!(one_line("Zoë ✓"), "Zoë ✓");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
