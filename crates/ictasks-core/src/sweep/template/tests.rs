use super::*;

fn names() -> Vec<String> {
    ["x", "n"].map(str::to_owned).into()
}

fn made(template: &str) -> (String, Option<String>) {
    let template = CommandTemplate::new(template, &names(), Dialect::Posix, "/s", |_| {});
    let values = [ParamValue::text("%TASKID% {n}").unwrap(), ParamValue::integer(3)];
    template.at(&names(), &values, "id7", "/s").unwrap()
}

fn suspects(template: &str) -> Vec<(String, bool)> {
    let mut told = Vec::new();
    pieces(template, &names(), |suspect| told.push((suspect.word, suspect.is_of_the_shell)));
    told
}

#[test]
fn only_declared_names_are_replaced() {
    for (template, command) in [
        ("a {n} {m} {n}", "a 3 {m} 3"),
        ("a {{n}} {{m}}", "a {n} {m}"),
        ("a {{{n}}}", "a {3}"),
        ("a ${n} $n", "a ${n} $n"),
        ("a {n", "a {n"),
        ("a {} { n } {n,3} {N} {1..3}", "a {} { n } {n,3} {N} {1..3}"),
        ("awk '{{print}} {print $1} {n}'", "awk '{print} {print $1} 3'"),
        ("a '{\"n\": {n}}'", "a '{\"n\": 3}'"),
        ("ü{n}ü", "ü3ü"),
    ] {
        assert_eq!(made(template).0, command);
    }
}

#[test]
fn values_are_not_looked_at_for_placeholders() {
    assert_eq!(made("a {x} {n}").0, "a '%TASKID% {n}' 3");
}

#[test]
fn a_command_is_known_by_what_does_not_depend_on_the_place() {
    assert_eq!(made("a {n}"), ("a 3".to_owned(), None));
    let (command, known_by) = made("%SUBMITDIR%/a {n} %TASKID%%TASKNUM% 5%");
    assert_eq!(command, "/s/a 3 id7id7 5%");
    assert_eq!(known_by.as_deref(), Some("%SUBMITDIR%/a 3 %TASKID%%TASKNUM% 5%"));
    let template = CommandTemplate::new("a {x}", &names(), Dialect::Posix, "/s", |_| {});
    let values = [ParamValue::path("/s/b.fa", "b.fa").unwrap(), ParamValue::null()];
    let made = template.at(&names(), &values, "id", "/s").unwrap();
    assert_eq!(made, ("a /s/b.fa".to_owned(), Some("a b.fa".to_owned())));
}

#[test]
fn words_that_might_have_been_meant_are_told() {
    let word = |word: &str, is_of_the_shell| (word.to_owned(), is_of_the_shell);
    assert_eq!(suspects("{m} {{m}} {n} ${HOME} ${n}"), [word("m", false), word("n", true)]);
    assert_eq!(suspects("{} {print $1} {1}"), []);
}

#[test]
fn a_quote_in_the_submit_directory_is_a_quote() {
    let template = CommandTemplate::new("%SUBMITDIR%/{x}'", &names(), Dialect::Posix, "/it's", |_| {});
    let values = [ParamValue::text("a b").unwrap(), ParamValue::null()];
    assert_eq!(template.at(&names(), &values, "id", "/it's").unwrap().0, "/it's/a b'");
}
