//! Where pages go, and for whom they are laid out.

use std::io::IsTerminal;
use std::path::Path;

use crate::console::Console;
use crate::exit::{ExitCode, Failure};

/// Width of a page of text that nobody asked to be wider.
const WIDTH: usize = 80;
/// Longer lines are hard to read.
const WIDEST: usize = 160;

/// Columns of a page of text: as asked, else those of the terminal.
pub fn width(asked: Option<u16>) -> usize {
    let of_terminal = || {
        let stdout = std::io::stdout();
        let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(stdout)).flatten();
        size.map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(40, WIDEST))
    };
    asked.map_or_else(of_terminal, usize::from)
}

/// Whether the locale cannot show more than ASCII.
pub fn is_ascii() -> bool {
    is_ascii_locale(|name| std::env::var(name).ok())
}

fn is_ascii_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    !locale.contains("utf-8") && !locale.contains("utf8")
}

/// Writes a page to a file, without styles, or to standard output.
///
/// # Errors
/// It cannot be written.
pub fn write(text: &str, output: Option<&Path>, console: &mut Console) -> Result<(), Failure> {
    match output.filter(|path| *path != Path::new("-")) {
        None => console.print(text),
        Some(path) => std::fs::write(path, anstream::adapter::strip_str(text).to_string()).map_err(|error| {
            let message = format!("failed to write `{}`: {error}", path.display());
            Failure { message, code: ExitCode::BadInput }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_what_can_be_shown() {
        let is_ascii_with = |all: &'static str, lang: &'static str| {
            is_ascii_locale(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(!is_ascii_with("", "de_DE.UTF-8"));
        assert!(!is_ascii_with("C.utf8", "C"));
        assert!(is_ascii_with("C", "de_DE.UTF-8"));
        assert!(is_ascii_with("", ""));
    }
}
