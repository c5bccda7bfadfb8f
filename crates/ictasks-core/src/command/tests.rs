use proptest::prelude::*;

use super::*;

fn direct(command: &str) -> Option<Vec<String>> {
    match Launch::of(command, &Shell::Auto).unwrap() {
        Launch::Direct(words) => Some(words),
        Launch::Shell(words) => {
            assert_eq!(words[..2], ["/bin/sh", "-c"]);
            assert_eq!(words[2], command.trim_ascii_start());
            None
        }
    }
}

#[test]
fn plain_commands_need_no_shell() {
    for (command, words) in [
        ("bwa mem -t 4 a.fa b.fq", &["bwa", "mem", "-t", "4", "a.fa", "b.fq"][..]),
        ("echo 'hello from task 0'", &["echo", "hello from task 0"]),
        ("  prog\t\"a b\"'c'd  ", &["prog", "a bcd"]),
        ("prog '' \"\"", &["prog", "", ""]),
        ("python -c 'print(1 + 1)'", &["python", "-c", "print(1 + 1)"]),
        ("./run --size=3 a#b 50% x:y@z", &["./run", "--size=3", "a#b", "50%", "x:y@z"]),
        ("prog 'Größe'", &["prog", "Größe"]),
        ("true", &["true"]),
        ("false", &["false"]),
        ("echo", &["echo"]),
        ("sleep 0.25", &["sleep", "0.25"]),
        ("exit3 x", &["exit3", "x"]),
    ] {
        assert_eq!(
            direct(command).as_deref(),
            Some(&words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()[..]),
            "{command}"
        );
    }
}

#[test]
fn everything_a_shell_might_treat_specially_goes_to_the_shell() {
    for command in [
        "a | b",
        "a & b",
        "a; b",
        "a < b",
        "a > b",
        "(a)",
        "a $b",
        "a `b`",
        "a \\b",
        "a\nb",
        "a *",
        "a ?",
        "a [b]",
        "a ~",
        "a x~y",
        "# a",
        "a #b",
        "X=1 a",
        "X=1",
        "'X=1' a",
        "{ a",
        "a {b,c}",
        "! a",
        "a !",
        "if true",
        "time a",
        "exit 3",
        "cd x",
        "'exit' 3",
        "test 1 = 1",
        "[ 1 = 1 ]",
        "printf x",
        "ulimit -n",
        "kill 1",
        "type a",
        "pwd",
        "'' a",
        "a 'b",
        "a \"b",
        "a \"$b\"",
        "a \"`b`\"",
        "a \"\\b\"",
        "a 'b\nc'",
        "a \"b\rc\"",
        "a\rb",
        "a\u{a0}b",
        "a ^ b",
        "true --help",
        "false x",
        "echo -n a",
        "echo 'a\\tb'",
        "echo -",
        "-x a",
        "+x a",
        "%1",
        "module load x",
        "a Größe",
        ". x",
        ": x",
        "a \u{7f}",
    ] {
        assert_eq!(direct(command), None, "{command:?}");
    }
}

#[test]
fn nothing_is_an_error_under_every_shell() {
    let program = Shell::Program(vec!["bash".to_owned()]);
    for shell in [Shell::Auto, Shell::Always, Shell::Never, program] {
        assert_eq!(Launch::of(" \t", &shell), Err(CommandError::Empty));
    }
}

#[test]
fn a_chosen_shell_gets_the_command() {
    let shell: Shell = serde_json::from_str("\"/bin/bash -o pipefail\"").unwrap();
    assert_eq!(
        Launch::of("echo a", &shell).unwrap(),
        Launch::Shell(["/bin/bash", "-o", "pipefail", "-c", "echo a"].map(str::to_owned).to_vec())
    );
    assert_eq!(
        Launch::of("echo a", &Shell::Always).unwrap(),
        Launch::Shell(["/bin/sh", "-c", "echo a"].map(str::to_owned).to_vec())
    );
}

#[test]
fn without_a_shell_only_quotes_and_backslashes_count() {
    let split = |command| Launch::of(command, &Shell::Never);
    assert_eq!(
        split("a $b '$c' \"d\\\"e\\f\" g\\ h | exit ''"),
        Ok(Launch::Direct(["a", "$b", "$c", "d\"e\\f", "g h", "|", "exit", ""].map(str::to_owned).to_vec()))
    );
    assert_eq!(split("a 'b"), Err(CommandError::UnclosedQuote('\'')));
    assert_eq!(split("a \"b\\"), Err(CommandError::UnclosedQuote('"')));
    assert_eq!(split("a \\"), Err(CommandError::TrailingBackslash));
    assert_eq!(split("'' a"), Err(CommandError::Empty));
}

#[test]
fn shells_are_read_from_yaml() {
    for (text, shell) in [
        ("auto", Shell::Auto),
        ("true", Shell::Always),
        ("false", Shell::Never),
        ("bash -e", Shell::Program(vec!["bash".to_owned(), "-e".to_owned()])),
    ] {
        assert_eq!(serde_yaml::from_str::<Shell>(text).unwrap(), shell);
    }
    assert!(serde_yaml::from_str::<Shell>("''").unwrap_err().to_string().contains("the command is empty"));
    assert!(serde_yaml::from_str::<Shell>("[]").is_err());
    assert!(serde_yaml::from_str::<Shell>("3").is_err());
}

#[test]
fn a_corrected_command_starts_the_program_of_the_submit_directory() {
    let words_of = |command, program, submit_dir: &str| {
        split_words(&from_submit_dir(command, program, submit_dir).replace("%SUBMITDIR%", submit_dir))
            .unwrap()
    };
    for submit_dir in ["/a/b", "/a b", "/o'n", "/a\"$b"] {
        let program = format!("{submit_dir}/p.sh");
        assert_eq!(words_of("./p.sh 1 ./p.sh", "./p.sh", submit_dir), [&*program, "1", "./p.sh"]);
    }
    assert_eq!(words_of("'c d/p.sh' 1", "c d/p.sh", "/a b"), ["/a b/c d/p.sh", "1"]);
    assert_eq!(from_submit_dir("./p.sh 1", "./p.sh", "/a/b"), "%SUBMITDIR%/p.sh 1");
}

/// Mostly harmless pieces and quotes, so that about every second command needs no shell.
fn nasty_command() -> impl Strategy<Value = String> {
    let harmless = vec![
        "a", "b/c", "-x", "1", "=", " ", " ", "\t", "#", "%", ",", ":", "@", "+", ".", "]", "echo", "'a b'",
        "'$x|'", "\"c  d\"", "\"it's\"", "''", "\"\"", "' \"*'", "'ü'",
    ];
    let nasty = vec![
        "'", "\"", "\\", "$", "`", "*", "?", "[", "~", "{", "}", "!", "|", "&", ";", "<", "(", "\n", "ü",
        "^", "\r", "\u{1}", "\u{81}", "\u{a0}", "\u{b}",
    ];
    let piece = prop_oneof![
        12 => prop::sample::select(harmless),
        1 => prop::sample::select(nasty),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn where_no_shell_is_used_sh_would_make_the_same_words(command in nasty_command()) {
        let Ok(Launch::Direct(words)) = Launch::of(&command, &Shell::Auto) else { return Ok(()) };
        let printing = format!("printf '%s\\0' {}", command.trim_start_matches(SH_BLANKS));
        let output = std::process::Command::new("/bin/sh").args(["-c", &printing]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let by_sh: Vec<&str> = printed.split_terminator('\0').collect();
        prop_assert_eq!(words, by_sh);
    }

    #[test]
    fn a_shell_survives_the_protocol(words in prop::collection::vec("[ -~]{1,8}", 1..4)) {
        for shell in [Shell::Auto, Shell::Always, Shell::Never, Shell::Program(words)] {
            let json = serde_json::to_string(&shell).unwrap();
            prop_assert_eq!(serde_json::from_str::<Shell>(&json).unwrap(), shell);
        }
    }
}
