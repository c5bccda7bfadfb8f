//! Which tasks are paired, and by what.

use super::*;

/// Tasks whose ids are their positions.
fn listed(commands: &[&str]) -> Vec<Task> {
    let numbered = commands.iter().enumerate();
    numbered.map(|(index, command)| task(&index.to_string(), 1.0).command(command)).collect()
}

fn paired(a: &[Task], b: &[Task], matching: Option<Matching>) -> Comparison {
    let options =
        CompareOptions { matching, threshold_ratio: 1.0, time_floor_s: 0.0, ..CompareOptions::default() };
    compare(&run("a", a).source, &run("b", b).source, &options).unwrap()
}

fn by(comparison: &Comparison) -> Vec<(Matching, i64)> {
    comparison.matching.paired_by.iter().map(|paired| (paired.by, paired.pair_count)).collect()
}

fn missing(comparison: &Comparison) -> Vec<&str> {
    comparison.missing.tasks.iter().map(|task| task.command.as_str()).collect()
}

fn added(comparison: &Comparison) -> Vec<&str> {
    comparison.new.tasks.iter().map(|task| task.command.as_str()).collect()
}

#[test]
fn a_line_that_was_put_in_changes_no_other_pair() {
    let comparison = paired(&listed(&["x", "y", "z"]), &listed(&["new", "x", "y", "z"]), None);
    assert_eq!(by(&comparison), [(Matching::Command, 3)]);
    assert_eq!((missing(&comparison), added(&comparison)), (vec![], vec!["new"]));
}

#[test]
fn of_equal_commands_the_nth_is_paired_with_the_nth() {
    let mut b = listed(&["x", "y", "x"]);
    b[2] = b[2].clone().outcome("failed", Some(1), None);
    let comparison = paired(&listed(&["x", "x", "x", "y"]), &b, None);
    assert_eq!(by(&comparison), [(Matching::Command, 3)]);
    let failing = &comparison.newly_failing.pairs[0];
    assert_eq!((failing.a.task_id.as_str(), failing.b.task_id.as_str()), ("1", "2"));
    assert_eq!(comparison.missing.tasks[0].task_id, "2");
}

#[test]
fn given_ids_win_over_commands_and_the_others_are_paired_by_command() {
    let a = [task("first", 1.0).command("x"), task("1", 1.0).command("y"), task("2", 1.0).command("z")];
    let b = [task("first", 1.0).command("other"), task("1", 1.0).command("z"), task("2", 1.0).command("y")];
    let comparison = paired(&a, &b, None);
    assert_eq!(by(&comparison), [(Matching::Id, 1), (Matching::Command, 2)]);
    assert_eq!((comparison.missing.task_count, comparison.new.task_count), (0, 0));
    assert_eq!(comparison.matching.changed_command_count, 1);
}

#[test]
fn numbers_in_another_order_than_the_list_were_given() {
    // Task 1 stands at its position by chance.
    let ids = |ids: [&str; 3], command: &str| ids.map(|id| task(id, 1.0).command(command));
    let comparison = paired(&ids(["2", "1", "0"], "x"), &ids(["0", "1", "2"], "y"), None);
    assert_eq!(by(&comparison), [(Matching::Id, 3)]);
}

#[test]
fn positions_are_ids_only_where_asked_for() {
    let (a, b) = (listed(&["x", "y"]), listed(&["p", "q"]));
    let comparison = paired(&a, &b, None);
    assert_eq!((by(&comparison), comparison.missing.task_count), (vec![], 2));
    let hint = comparison.matching.hint.clone().unwrap();
    assert!(hint.contains("`--match id`"), "{hint}");
    let comparison = paired(&a, &b, Some(Matching::Id));
    assert_eq!((by(&comparison), comparison.matching.hint), (vec![(Matching::Id, 2)], None));
}

#[test]
fn by_parameters_of_different_types() {
    let a = [task("a", 1.0).param(1.0), task("b", 1.0).param(2.0), task("c", 1.0).param(None)];
    let b = [task("d", 1.0).param(2.0), task("e", 1.0).param(2.5), task("f", 1.0).param(None)];
    let comparison = paired(&a, &b, Some(Matching::Param));
    assert_eq!(by(&comparison), [(Matching::Param, 1)]);
    assert_eq!(missing(&comparison), ["run a", "run c"]);
    assert_eq!(added(&comparison), ["run e", "run f"]);
}

#[test]
fn runs_that_share_no_parameter_are_not_paired_by_parameters() {
    let (a, b) = (run("a", &[task("a", 1.0).param(1.0)]), run("b", &[task("a", 1.0)]));
    let options = CompareOptions { matching: Some(Matching::Param), ..CompareOptions::default() };
    let error = compare(&a.source, &b.source, &options).unwrap_err().to_string();
    assert_eq!(error, "pair tasks by parameters: the runs share none (A has `param_x`; B has none)");
}
