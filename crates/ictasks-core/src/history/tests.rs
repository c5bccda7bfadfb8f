use std::path::Path;

use super::*;
use crate::task::command_hash;
use crate::task_list::{TaskListFormat, TaskReader};

fn tasks(lines: &str, format: TaskListFormat) -> Vec<Task> {
    let input = std::io::Cursor::new(lines.to_owned().into_bytes());
    TaskReader::new(Box::new(input), "list", format, Path::new("/s")).map(Result::unwrap).collect()
}

/// A record of these commands, by position.
fn positions(pasts: &[(&str, i32, Outcome)]) -> History {
    let ids: Vec<String> = (0..pasts.len()).map(|index| index.to_string()).collect();
    History::collect(pasts.iter().zip(&ids).enumerate().map(|(index, ((command, attempt, outcome), id))| {
        Past {
            task_index: i64::try_from(index).unwrap(),
            task_id: id,
            command_hash: command_hash(command),
            attempt: *attempt,
            outcome: *outcome,
        }
    }))
}

/// A record of one task with a given id.
fn record_of(id: &str, command: &str, outcome: Outcome) -> History {
    let command_hash = command_hash(command);
    History::collect([Past { task_index: 0, task_id: id, command_hash, attempt: 2, outcome }])
}

/// Position, id, command, attempt and reason of what runs; position and reason of what does not.
fn decisions(history: History, rules: Rules, tasks: Vec<Task>) -> Vec<String> {
    told(Matcher::resumed(history, rules, "/s"), tasks)
}

fn told(mut matcher: Matcher, tasks: Vec<Task>) -> Vec<String> {
    tasks
        .into_iter()
        .map(|task| match matcher.decide(task) {
            Ok(Decision::Run { task, attempt, reason }) => {
                format!("run {} {} `{}` {attempt} {}", task.index, task.id, task.command, reason.unwrap())
            }
            Ok(Decision::Skip { task_index, task_id, reason }) => {
                format!("skip {task_index} {task_id} {reason}")
            }
            Err(Refusal::Changed(task)) => format!("changed {}", task.id),
            Err(Refusal::IdTaken(task)) => format!("taken {}", task.id),
        })
        .collect()
}

fn of_lines(history: History, lines: &str) -> Vec<String> {
    decisions(history, Rules::default(), tasks(lines, TaskListFormat::Lines))
}

#[test]
fn a_fresh_run_runs_everything_once() {
    let mut matcher = Matcher::fresh();
    let task = tasks("a\n", TaskListFormat::Lines).remove(0);
    assert_eq!(matcher.decide(task.clone()), Ok(Decision::Run { task, attempt: 1, reason: None }));
}

#[test]
fn every_ending_has_its_reason() {
    let history = positions(&[
        ("a", 1, Outcome::Succeeded),
        ("b", 2, Outcome::Failed),
        ("c", 0, Outcome::Pending),
        ("d", 1, Outcome::Cancelled),
        ("e", 1, Outcome::NodeLost),
    ]);
    assert_eq!(
        of_lines(history, "a\nb\nc\nd\ne\nf\n"),
        [
            "skip 0 0 succeeded_before",
            "run 1 1 `b` 3 failed_before",
            "run 2 2 `c` 1 never_ran",
            "run 3 3 `d` 2 interrupted_before",
            "run 4 4 `e` 2 interrupted_before",
            "run 5 5 `f` 1 new_in_list",
        ]
    );
}

#[test]
fn a_line_inserted_at_the_top_reruns_nothing() {
    let history = positions(&[("x %TASKID%", 1, Outcome::Succeeded), ("y %TASKID%", 1, Outcome::Failed)]);
    assert_eq!(
        of_lines(history, "new %TASKID%\nx %TASKID%\ny %TASKID%\n"),
        ["run 2 2 `new 2` 1 new_in_list", "skip 0 0 succeeded_before", "run 1 1 `y 1` 2 failed_before"]
    );
}

#[test]
fn the_nth_occurrence_is_matched_with_the_nth() {
    let same = [("a", 1, Outcome::Succeeded), ("a", 1, Outcome::Failed), ("a", 1, Outcome::Succeeded)];
    let expected = ["skip 0 0 succeeded_before", "run 1 1 `a` 2 failed_before", "skip 2 2 succeeded_before"];
    assert_eq!(of_lines(positions(&same), "a\na\na\n"), expected);
    assert_eq!(of_lines(positions(&same), "a\na\na\na\n")[3], "run 3 3 `a` 1 new_in_list");
}

#[test]
fn the_last_attempt_counts() {
    let past = |attempt, outcome| Past { task_index: 0, task_id: "0", command_hash: 1, attempt, outcome };
    let history =
        History::collect([past(1, Outcome::Failed), past(2, Outcome::Succeeded), past(0, Outcome::Pending)]);
    assert_eq!(history.len(), 1);
    assert_eq!(history.entries[0].outcome, Outcome::Succeeded);
}

#[test]
fn a_task_that_waited_for_another_attempt_was_interrupted() {
    let waited = |announced, command| {
        let mut history = History::default();
        let past = |attempt, outcome| Past {
            task_index: 0,
            task_id: "0",
            command_hash: command_hash("a"),
            attempt,
            outcome,
        };
        history.announce(0, 2);
        history.add(&past(1, Outcome::Failed));
        if announced > 2 {
            history.add(&past(2, Outcome::TimedOut));
            history.announce(0, announced);
        }
        let rules = Rules { skip_failed: true, ..Rules::default() };
        decisions(history.finish(), rules, tasks(command, TaskListFormat::Lines)).remove(0)
    };
    assert_eq!(waited(2, "a"), "run 0 0 `a` 2 interrupted_before");
    assert_eq!(waited(3, "a"), "run 0 0 `a` 3 interrupted_before");
    let made = positions(&[("a", 2, Outcome::Failed)]);
    let mut made = History { announced: [(0, 2)].into(), ..made };
    made = made.finish();
    let rules = Rules { skip_failed: true, ..Rules::default() };
    assert_eq!(decisions(made, rules, tasks("a", TaskListFormat::Lines)), ["skip 0 0 failed_before"]);
}

#[test]
fn a_given_id_is_what_counts() {
    let list = "{\"id\": \"x\", \"launch_cmd\": \"new\"}\n{\"id\": \"y\", \"launch_cmd\": \"old\"}\n";
    let list = tasks(list, TaskListFormat::JsonLines);
    let of = |outcome, rules| decisions(record_of("x", "old", outcome), rules, list.clone());
    let y = "run 1 y `old` 1 new_in_list";
    assert_eq!(of(Outcome::Succeeded, Rules::default()), ["changed x", y]);
    let rerun_changed = Rules { rerun_changed: true, ..Rules::default() };
    assert_eq!(of(Outcome::Succeeded, rerun_changed), ["run 0 x `new` 3 command_changed", y]);
    let skip_failed = Rules { skip_failed: true, ..Rules::default() };
    assert_eq!(of(Outcome::Failed, skip_failed.clone()), ["run 0 x `new` 3 command_changed", y]);
    let unchanged = decisions(record_of("x", "new", Outcome::Failed), skip_failed, list.clone());
    assert_eq!(unchanged, ["skip 0 x failed_before", y]);
}

#[test]
fn only_what_is_listed_runs_and_also_what_succeeded() {
    let history = positions(&[("a", 1, Outcome::Succeeded), ("b", 1, Outcome::Failed)]);
    let rules = Rules { only: Some(HashSet::from(["0".to_owned()])), ..Rules::default() };
    assert_eq!(
        decisions(history, rules, tasks("a\nb\n", TaskListFormat::Lines)),
        ["run 0 0 `a` 2 listed", "skip 1 1 not_listed"]
    );
}

#[test]
fn an_id_that_is_another_tasks_position_is_found() {
    let history = positions(&[("a", 1, Outcome::Succeeded)]);
    let list = "{\"launch_cmd\": \"a\"}\n{\"id\": \"0\", \"launch_cmd\": \"b\"}\n";
    let list = tasks(list, TaskListFormat::JsonLines);
    assert_eq!(decisions(history, Rules::default(), list), ["skip 0 0 succeeded_before", "taken 0"]);
}

#[test]
fn a_second_pass_decides_the_same() {
    let history = positions(&[("a", 1, Outcome::Succeeded), ("a", 1, Outcome::Failed)]);
    let list = tasks("b\na\na\n", TaskListFormat::Lines);
    let mut matcher = Matcher::resumed(history, Rules::default(), "/s");
    let first: Vec<_> = list.iter().map(|task| matcher.decide(task.clone())).collect();
    let mut matcher = matcher.at_the_beginning();
    let second: Vec<_> = list.iter().map(|task| matcher.decide(task.clone())).collect();
    assert_eq!(first, second);
}

#[test]
fn a_position_as_an_id_and_a_given_id_are_never_the_same() {
    let of = |list: &str| {
        let record = positions(&[("a", 1, Outcome::Succeeded), ("b", 1, Outcome::Succeeded)]);
        decisions(record, Rules::default(), tasks(list, TaskListFormat::JsonLines))
    };
    let (new, two) = ("{\"launch_cmd\": \"new\"}\n", "{\"id\": \"2\", \"launch_cmd\": \"c\"}\n");
    assert_eq!(of(&format!("{new}{two}")), ["run 2 2 `new` 1 new_in_list", "taken 2"]);
    let three = two.replace('2', "3");
    let expected =
        ["run 2 3 `c` 1 new_in_list", "run 4 4 `new` 1 new_in_list", "run 5 5 `new` 1 new_in_list"];
    assert_eq!(of(&format!("{three}{new}{new}")), expected);
}

#[test]
fn a_task_that_is_known_by_its_command_keeps_the_id_that_was_given() {
    let record = || record_of("x", "do %TASKID%", Outcome::Failed);
    assert_eq!(of_lines(record(), "do %TASKID%\n"), ["run 0 x `do x` 3 failed_before"]);
    let list = "{\"launch_cmd\": \"do %TASKID%\"}\n{\"id\": \"x\", \"launch_cmd\": \"c\"}\n";
    let decided = decisions(record(), Rules::default(), tasks(list, TaskListFormat::JsonLines));
    assert_eq!(decided, ["run 0 x `do x` 3 failed_before", "taken x"]);
}

/// A record of a run that was killed: these positions of a list, all with the same command.
fn killed(known: &[i64], command: &str) -> History {
    let ids: Vec<String> = known.iter().map(ToString::to_string).collect();
    History::collect(known.iter().zip(&ids).map(|(index, id)| Past {
        task_index: *index,
        task_id: id,
        command_hash: command_hash(command),
        attempt: 1,
        outcome: Outcome::Succeeded,
    }))
}

#[test]
fn tasks_that_a_killed_run_never_told_of_keep_their_positions() {
    let expected = [
        "skip 0 0 succeeded_before",
        "run 1 1 `a 1` 1 never_ran",
        "skip 2 2 succeeded_before",
        "run 3 3 `a 3` 1 never_ran",
        "run 4 4 `a 4` 1 new_in_list",
    ];
    let same = "a %TASKID%\n".repeat(5);
    let matcher =
        Matcher::resumed(killed(&[0, 2], "a %TASKID%"), Rules::default(), "/s").with_earlier_count(4);
    assert_eq!(told(matcher, tasks(&same, TaskListFormat::Lines)), expected);
}

#[test]
fn tasks_of_a_killed_run_are_found_also_in_a_list_that_changed() {
    let list = "new\na %TASKID%\na %TASKID%\na %TASKID%\n";
    assert_eq!(
        of_lines(killed(&[0, 2], "a %TASKID%"), list),
        [
            "run 3 3 `new` 1 new_in_list",
            "skip 0 0 succeeded_before",
            "skip 2 2 succeeded_before",
            "run 4 4 `a 4` 1 new_in_list",
        ]
    );
}

#[test]
fn given_ids_that_a_killed_run_never_told_of_keep_their_positions() {
    let list = "{\"id\": \"w\", \"launch_cmd\": \"c\"}\n{\"id\": \"x\", \"launch_cmd\": \"old\"}\n";
    let command_hash = command_hash("old");
    let outcome = Outcome::Succeeded;
    let history = History::collect([Past { task_index: 1, task_id: "x", command_hash, attempt: 1, outcome }]);
    let list = tasks(list, TaskListFormat::JsonLines);
    assert_eq!(
        decisions(history, Rules::default(), list),
        ["run 0 w `c` 1 never_ran", "skip 1 x succeeded_before"]
    );
}

#[test]
fn a_list_of_equal_commands_is_matched_in_one_pass() {
    let count = 20_000;
    let known: Vec<i64> = (0..count).collect();
    let list = format!("new\n{}", "a\n".repeat(usize::try_from(count).unwrap()));
    let told = of_lines(killed(&known, "a"), &list);
    assert_eq!(told[0], format!("run {count} {count} `new` 1 new_in_list"));
    assert!(
        told[1..].iter().enumerate().all(|(at, told)| *told == format!("skip {at} {at} succeeded_before"))
    );
}
