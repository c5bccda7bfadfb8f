use std::process::Command;

use proptest::prelude::*;

use super::super::template::CommandTemplate;
use super::super::value::ParamValue;
use super::*;
use crate::command::Launch;

/// The command that a template makes of a value.
fn made(template: &str, value: &str, shell: &Shell) -> Option<String> {
    let names = ["x".to_owned()];
    let template = CommandTemplate::new(template, &names, Dialect::of(shell), "/s", |_| {});
    let value = ParamValue::text(value).unwrap();
    template.at(&names, &[value], "id", "/s").ok().map(|(command, _)| command)
}

const HOSTILE: [&str; 12] = [
    "a b",
    "it's",
    "\"",
    "$(echo gotcha)",
    "`echo gotcha`",
    "a\nb",
    "; echo gotcha",
    "\\",
    "$HOME",
    "*",
    "#",
    "é ",
];

#[test]
fn quotes_are_added_only_where_they_are_needed() {
    let posix = |template, value| made(template, value, &Shell::Auto).unwrap();
    assert_eq!(posix("sim --x {x}", "0.1"), "sim --x 0.1");
    assert_eq!(posix("sim --x={x}", "a b"), "sim --x='a b'");
    assert_eq!(posix("sim {x} y", ""), "sim '' y");
    assert_eq!(posix("sim {x}", "it's"), r"sim 'it'\''s'");
    assert_eq!(posix("sim \"<{x}>\"", "0.1"), "sim \"<0.1>\"");
    assert_eq!(posix("sim \"<{x}>\"", "$a"), "sim \"<\"'$a'\">\"");
    assert_eq!(posix("sim '<{x}>'", "it's"), r"sim '<it'\''s>'");
    assert_eq!(posix("sim {x}>out", "2"), "sim '2'>out");
    assert_eq!(posix("sim $a{x}", "b"), "sim $a'b'");
    assert_eq!(posix("sim \"$a{x}\"", "b"), "sim \"$a\"'b'\"\"");
    assert_eq!(posix("sim $(basename {x} .fa)", "a b.fa"), "sim $(basename 'a b.fa' .fa)");
    assert_eq!(posix("sim ${HOME}/{x}", "a b"), "sim ${HOME}/'a b'");
    assert_eq!(posix("sim \"$(cat \"{x}\")\" {x}", "a b"), "sim \"$(cat \"\"'a b'\"\")\" 'a b'");
}

#[test]
fn where_nothing_is_certain_only_plain_values_pass() {
    for template in [
        "echo `echo {x}`",
        "cat <<E\n{x}\nE",
        "echo ${a:-{x}}",
        "echo $((1 + {x}))",
        "echo $[1 + {x}]",
        "((a = {x}))",
        "eval {x}",
        "[[ {x} -eq 1 ]]",
        "case {x} in a) true;; esac",
        "true # {x}",
        "echo \\{x}",
        "echo $'{x}'",
        "a) {x}",
    ] {
        assert!(made(template, "a1-b.c", &Shell::Auto).is_some(), "{template}");
        assert_eq!(made(template, "$(id)", &Shell::Auto), None, "{template}");
    }
    let python = Shell::Program(vec!["/usr/bin/python3".to_owned()]);
    assert_eq!(made("print({x})", "2", &python).as_deref(), Some("print(2)"));
    assert_eq!(made("print({x})", "a b", &python), None);
}

#[test]
fn programs_that_are_shells_are_known() {
    let program =
        |words: &[&str]| Dialect::of(&Shell::Program(words.iter().map(|word| (*word).to_owned()).collect()));
    for words in [&["/bin/bash", "-o", "pipefail"][..], &["env", "bash"], &["busybox", "sh"], &["zsh"]] {
        assert_eq!(program(words), Dialect::Posix, "{words:?}");
    }
    for words in [&["fish"][..], &["csh"], &["perl", "-e"], &["env", "python3"]] {
        assert_eq!(program(words), Dialect::Unknown, "{words:?}");
    }
}

/// What a shell makes of a command: the arguments of `printf '%s|'`.
fn run(program: &str, command: &str) -> Option<String> {
    let output = Command::new(program).args(["-c", command]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

const TEMPLATES: [(&str, &str, &str); 8] = [
    ("printf '%s|' {x}", "", ""),
    ("printf '%s|' a{x}b", "a", "b"),
    ("printf '%s|' \"a {x} b\"", "a ", " b"),
    ("printf '%s|' 'a {x} b'", "a ", " b"),
    ("printf '%s|' \"$(printf '%s' {x}; printf .)\"", "", "."),
    ("printf '%s|' \"$(printf '%s' \"{x}\"; printf .)\"", "", "."),
    ("(printf '%s|' {x})", "", ""),
    ("v=; printf '%s|' $v{x}", "", ""),
];

#[test]
fn hostile_values_reach_programs_as_they_are() {
    for program in ["sh", "bash", "dash", "ksh", "zsh"] {
        for (template, before, after) in TEMPLATES {
            for value in HOSTILE {
                let command = made(template, value, &Shell::Auto).unwrap();
                let Some(printed) = run(program, &command) else { continue };
                assert_eq!(printed, format!("{before}{value}{after}|"), "{program}: {command}");
            }
        }
    }
}

#[test]
fn without_a_shell_values_are_words_too() {
    for (template, before, after) in &TEMPLATES[..4] {
        for value in HOSTILE {
            let command = made(template, value, &Shell::Never).unwrap();
            let Ok(Launch::Direct(words)) = Launch::of(&command, &Shell::Never) else { panic!("{command}") };
            assert_eq!(words[2..], [format!("{before}{value}{after}")], "{command}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a template is, a value never becomes a command: a file that it would make is not there.
    #[test]
    fn a_value_is_never_code(
        template in prop::collection::vec(
            prop::sample::select(vec![
                "{x}", " ", "'", "\"", "\\", "$", "$(", ")", "(", "`", "echo ", "a", "#", "<<E\n", "\n", ";", "{", "}",
                "case ", " in ", "esac", "$((", "))", "=", "&", "|", ">", "[[ ", "${a", "$'", "true ", "eval ",
            ]),
            1..12,
        ),
        value in prop::sample::select(vec![
            "$(: > made)", "`: > made`", "; : > made; ", "' ; : > made; '", "\" ; : > made; \"", "\n: > made\n",
            "\\' ; : > made; \\'", ") ; : > made; (", "E\n: > made\n", "a[$(: > made)]",
        ]),
        program in prop::sample::select(vec!["sh", "bash"]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        if let Some(command) = made(&template.concat(), value, &Shell::Auto) {
            let mut shell = Command::new(program);
            shell.args(["-c", &command]).current_dir(directory.path()).stdin(std::process::Stdio::null());
            let _ = shell.output();
            prop_assert!(!directory.path().join("made").exists(), "{command}");
        }
    }
}
