//! What of the command line is for sbatch: every option that `ictasks submit` does not have itself.

use std::ffi::OsString;

use clap::CommandFactory;
use ictasks_core::slurm::SbatchOption;

use crate::cli::Cli;
use crate::exit::Failure;

const SUBMIT: &str = "submit";
const OWN_LETTERS: [char; 4] = ['a', 'h', 'v', 'q'];

/// The typed command with what is for sbatch behind a `--`, where clap leaves it alone. Other subcommands stay as
/// they are.
pub fn options_of_sbatch_last(typed: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let typed: Vec<OsString> = typed.into_iter().collect();
    let is_option = |word: &OsString| word.to_string_lossy().starts_with('-');
    let command = typed.iter().skip(1).position(|word| word == SUBMIT).map(|position| position + 1);
    let Some(command) = command.filter(|at| typed[1..*at].iter().all(is_option)) else { return typed };
    let own = Own::of_submit();
    let (mut kept, mut of_sbatch) = (typed[..=command].to_vec(), Vec::new());
    let mut words = typed[command + 1..].iter().cloned().peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            of_sbatch.extend(words.by_ref());
            break;
        }
        let (is_own, wants_value) = own.knows(&text);
        let into = if is_own { &mut kept } else { &mut of_sbatch };
        into.push(word);
        // A value of an option that is not known does not look like an option.
        let has_value = words.peek().is_some_and(|next| if is_own { wants_value } else { !is_option(next) });
        if has_value && !text.contains('=') {
            into.extend(words.next());
        }
    }
    if !of_sbatch.is_empty() {
        kept.push("--".into());
        kept.extend(of_sbatch);
    }
    kept
}

/// The options of `ictasks submit`.
struct Own {
    /// Long names, and whether a value follows.
    names: Vec<(String, bool)>,
}

impl Own {
    fn of_submit() -> Self {
        let mut cli = Cli::command();
        cli.build();
        let submit = cli.find_subcommand(SUBMIT).cloned().unwrap_or_default();
        let names = submit.get_arguments().flat_map(|argument| {
            let wants_value = argument.get_action().takes_values();
            let aliases = argument.get_all_aliases().unwrap_or_default();
            let long = argument.get_long().into_iter().chain(aliases);
            long.map(move |name| (format!("--{name}"), wants_value)).collect::<Vec<_>>()
        });
        Self { names: names.collect() }
    }

    /// Whether it is one of these, and whether the next word is its value.
    fn knows(&self, word: &str) -> (bool, bool) {
        if !word.starts_with("--") {
            let letter = word.chars().nth(1).filter(|letter| OWN_LETTERS.contains(letter));
            // What is no option at all is for clap to refuse.
            return (letter.is_some() || !word.starts_with('-'), letter == Some('a') && word.len() == 2);
        }
        let name = word.split('=').next().unwrap_or_default();
        let own = self.names.iter().find(|(own, _)| own == name);
        (own.is_some(), own.is_some_and(|(_, wants_value)| *wants_value))
    }
}

/// Adds options as typed; they win over those of the same name.
///
/// # Errors
/// What sbatch would not take.
pub fn override_with(options: &mut Vec<SbatchOption>, typed: &[String]) -> Result<(), Failure> {
    let mut words = typed.iter().peekable();
    while let Some(word) = words.next() {
        let (name, value) = split(word)?;
        let value = value.or_else(|| words.next_if(|next| !next.starts_with('-')).cloned());
        let option = SbatchOption::new(&name, value).map_err(super::refused)?;
        options.retain(|other| other.name != option.name);
        options.push(option);
    }
    Ok(())
}

/// Long name, and value where it is part of the word.
fn split(word: &str) -> Result<(String, Option<String>), Failure> {
    let unknown =
        || super::refused(format!("`{word}` is no option of sbatch; give for instance `--nodes 2`"));
    if let Some(long) = word.strip_prefix("--") {
        return Ok(match long.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (long.to_owned(), None),
        });
    }
    let mut letters = word.strip_prefix('-').ok_or_else(unknown)?.chars();
    let name = letters.next().and_then(SbatchOption::name_of_letter).ok_or_else(unknown)?;
    let value = letters.as_str();
    Ok((name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(typed: &str) -> String {
        let words = typed.split(' ').map(OsString::from);
        let words = options_of_sbatch_last(words);
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_not_ours_goes_to_sbatch() {
        for (typed, expected) in [
            (
                "ictasks submit --nodes 2 --config a.yaml --exclusive --dry-run -t 10",
                "ictasks submit --config a.yaml --dry-run -- --nodes 2 --exclusive -t 10",
            ),
            ("ictasks submit --run-dir=x --time=5 -N2", "ictasks submit --run-dir=x -- --time=5 -N2"),
            ("ictasks -q submit --array 10%2 --mem 3G", "ictasks -q submit --array 10%2 -- --mem 3G"),
            ("ictasks submit -a 4 -p main --hold", "ictasks submit -a 4 -- -p main --hold"),
            ("ictasks submit --work_dir x -- --foo bar", "ictasks submit --work_dir x -- --foo bar"),
            ("ictasks submit --requeue --color never", "ictasks submit --requeue --color never"),
            ("ictasks report submit --nodes 2", "ictasks report submit --nodes 2"),
            ("ictasks submit file", "ictasks submit file"),
        ] {
            assert_eq!(sorted(typed), expected);
        }
    }

    #[test]
    fn the_command_line_wins_over_the_configuration() {
        let option = |name: &str, value: &str| SbatchOption::new(name, Some(value.to_owned())).unwrap();
        let mut options = vec![option("nodes", "1"), option("time", "90")];
        let typed = ["-N4", "-p", "main", "--exclusive", "--mem=3G"].map(str::to_owned);
        override_with(&mut options, &typed).unwrap();
        let texts: Vec<String> = options.iter().map(SbatchOption::text).collect();
        assert_eq!(texts, ["--time=90", "--nodes=4", "--partition=main", "--exclusive", "--mem=3G"]);
    }

    #[test]
    fn what_cannot_be_an_option_is_refused() {
        for word in ["-Z1", "nodes", "-"] {
            let error = override_with(&mut Vec::new(), &[word.to_owned()]).unwrap_err();
            assert!(error.message.contains("is no option of sbatch"), "{}", error.message);
        }
        let error = override_with(&mut Vec::new(), &["--time=soon".to_owned()]).unwrap_err();
        assert!(error.message.contains("is no time limit"), "{}", error.message);
    }
}
