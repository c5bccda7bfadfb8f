//! How a value gets into a command as data and never as code.
//!
//! Outside quotes a value becomes one word, quoted where it has to be. Inside quotes it is quoted
//! in the way that the quotes around it ask for: they are closed before it and opened again behind it.
//! [`Scanner`] follows the text of a command to know which. Where it cannot be sure (backquotes,
//! here-documents, comments, `case`, `eval`, `${…}` with operators, arithmetic, shells that are not like sh) only
//! values pass that mean nothing to any shell; for others there are the variables.

use crate::command::Shell;

/// How the text of a command is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As sh, bash, ksh and zsh read it.
    Posix,
    /// Split into words, without a shell.
    Words,
    /// By a program that is not known.
    Unknown,
}

impl Dialect {
    /// What `shell:` says.
    pub fn of(shell: &Shell) -> Self {
        const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash"];
        let program = match shell {
            Shell::Auto | Shell::Always => return Self::Posix,
            Shell::Never => return Self::Words,
            Shell::Program(words) => words,
        };
        let base = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
        let mut words = program.iter().map(base).peekable();
        if words.peek().is_some_and(|word| word == "env" || word == "busybox") {
            words.next();
        }
        if words.next().is_some_and(|word| SHELLS.contains(&word.as_str())) {
            Self::Posix
        } else {
            Self::Unknown
        }
    }
}

/// What stands around a value in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing: the value is, or is part of, a word. It is quoted in any case where plain
    /// characters would be taken together with those beside them: `$a{x}`, `{x}>file`.
    Bare { always_quoted: bool },
    /// Double quotes.
    Double { always_quoted: bool },
    /// Single quotes.
    Single,
    /// Something in which nothing is certain.
    Uncertain,
}

impl Slot {
    /// Adds a value to a command; false if it cannot be put here.
    pub(super) fn put(self, value: &str, command: &mut String) -> bool {
        let is_plain = value.bytes().all(is_plain);
        match self {
            Self::Bare { always_quoted } if value.is_empty() || always_quoted || !is_plain => {
                put_quoted(value, command);
            }
            Self::Double { always_quoted } if !is_plain || always_quoted => {
                command.push('"');
                put_quoted(value, command);
                command.push('"');
            }
            Self::Single => command.push_str(&value.replace('\'', r"'\''")),
            Self::Uncertain if !is_plain => return false,
            Self::Bare { .. } | Self::Double { .. } | Self::Uncertain => command.push_str(value),
        }
        true
    }
}

fn put_quoted(value: &str, command: &mut String) {
    command.push('\'');
    command.push_str(&value.replace('\'', r"'\''"));
    command.push('\'');
}

/// Characters that mean nothing to a shell wherever they stand.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'-' | b'.' | b'/' | b',' | b':' | b'+' | b'@' | b'%')
}

/// Words behind which quotes do not make data of a value, or (`case`) parentheses close that nothing
/// opened.
const UNFOLLOWED: [&str; 5] = ["case", "eval", "let", "trap", "[["];

/// What is open at some place of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Single,
    Double,
    Parenthesis,
}

/// Follows the text of a command.
#[derive(Debug)]
pub(super) struct Scanner {
    dialect: Dialect,
    open: Vec<Open>,
    /// The last character was a backslash that means something.
    is_escaping: bool,
    /// Something came that is not followed.
    is_lost: bool,
    /// What stands since the last blank, outside quotes.
    word: String,
    /// The text ends in `$name`.
    ends_in_variable: bool,
}

impl Scanner {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            open: Vec::new(),
            is_escaping: false,
            is_lost: dialect == Dialect::Unknown,
            word: String::new(),
            ends_in_variable: false,
        }
    }

    /// What stands around a value that comes now, before the text `next`.
    pub(super) fn slot(&mut self, next: &str) -> Slot {
        if self.is_lost || self.is_escaping {
            // What a backslash does to a value is not followed either.
            self.is_lost |= self.is_escaping;
            return Slot::Uncertain;
        }
        let always_quoted = self.ends_in_variable;
        self.ends_in_variable = false;
        self.word.push('{');
        match self.open.last() {
            Some(Open::Single) => Slot::Single,
            Some(Open::Double) => Slot::Double { always_quoted },
            Some(Open::Parenthesis) | None => {
                Slot::Bare { always_quoted: always_quoted || next.starts_with(['<', '>']) }
            }
        }
    }

    /// Goes over a piece of text.
    pub(super) fn pass(&mut self, text: &str) {
        if self.is_lost || text.is_empty() {
            return;
        }
        self.ends_in_variable = self.dialect == Dialect::Posix && ends_in_variable(text);
        let mut rest = text;
        while let (Some(character), false) = (rest.chars().next(), self.is_lost) {
            rest = &rest[character.len_utf8()..];
            if std::mem::take(&mut self.is_escaping) {
                self.word.push(character);
                continue;
            }
            match self.open.last() {
                Some(Open::Single) => self.pass_single(character),
                Some(Open::Double) => rest = self.pass_double(character, rest),
                Some(Open::Parenthesis) | None => rest = self.pass_bare(character, rest),
            }
        }
    }

    fn pass_single(&mut self, character: char) {
        if character == '\'' {
            self.open.pop();
        }
    }

    fn pass_double<'t>(&mut self, character: char, rest: &'t str) -> &'t str {
        match character {
            '"' => drop(self.open.pop()),
            '\\' => self.is_escaping = true,
            '`' if self.dialect == Dialect::Posix => self.is_lost = true,
            '$' if self.dialect == Dialect::Posix => return self.pass_dollar(rest),
            _ => {}
        }
        rest
    }

    fn pass_bare<'t>(&mut self, character: char, rest: &'t str) -> &'t str {
        let is_word_end = character.is_ascii_whitespace() || ";&|()<>".contains(character);
        if is_word_end {
            self.is_lost = self.dialect == Dialect::Posix && UNFOLLOWED.contains(&self.word.as_str());
            self.word.clear();
        }
        match character {
            '\'' => self.open.push(Open::Single),
            '"' => self.open.push(Open::Double),
            '\\' => self.is_escaping = true,
            _ if self.dialect == Dialect::Words => {}
            '`' => self.is_lost = true,
            '#' if self.word.is_empty() => self.is_lost = true,
            '<' if rest.starts_with('<') => self.is_lost = true,
            '(' if rest.starts_with('(') => self.is_lost = true,
            '(' => self.open.push(Open::Parenthesis),
            ')' => self.is_lost |= self.open.pop().is_none(),
            '$' if rest.starts_with(['\'', '"']) => self.is_lost = true,
            '$' => {
                self.word.push('$');
                return self.pass_dollar(rest);
            }
            _ => {}
        }
        if !is_word_end {
            self.word.push(character);
        }
        rest
    }

    /// What follows a dollar sign; returns the text behind it.
    fn pass_dollar<'t>(&mut self, rest: &'t str) -> &'t str {
        if rest.starts_with("((") || rest.starts_with('[') {
            self.is_lost = true;
        } else if let Some(inside) = rest.strip_prefix('(') {
            self.open.push(Open::Parenthesis);
            self.word.clear();
            return inside;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let name =
                inside.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
            match name.strip_prefix('}') {
                Some(behind) => return behind,
                None => self.is_lost = true,
            }
        }
        rest
    }
}

fn ends_in_variable(text: &str) -> bool {
    let before = text.trim_end_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    before.ends_with('$')
}

#[cfg(test)]
mod tests;
