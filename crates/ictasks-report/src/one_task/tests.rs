//! A task of the small run, in each form.

use std::fs;

use super::*;
use crate::specimen;

/// The findings, with the run directory's name replaced.
fn findings(id: &str) -> TaskFindings {
    let run = specimen::run();
    let directory = run.directory.path().join("task_retried");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("out.txt"), "step 1\nstep 2\n").unwrap();
    fs::write(directory.join("err.txt"), "").unwrap();
    let json = serde_json::to_string(&one_task(&run.source, id).unwrap()).unwrap();
    serde_json::from_str(&json.replace(&run.directory.path().display().to_string(), "/runs/sweep")).unwrap()
}

#[test]
fn a_retried_task_as_text() {
    insta::assert_snapshot!(text(&findings("retried"), 80, true));
}

#[test]
fn hostile_text_is_inert() {
    let findings = findings("hostile");
    for shown in [text(&findings, 80, false), markdown(&findings)] {
        let unsafe_one =
            shown.chars().find(|character| *character != '\n' && crate::harmless::is_unsafe(*character));
        assert_eq!(unsafe_one, None, "{shown}");
    }
    insta::assert_snapshot!(markdown(&findings));
}

#[test]
fn a_task_that_never_ran() {
    insta::assert_snapshot!(text(&findings("never"), 80, false));
}

#[test]
fn a_task_that_is_not_there() {
    let run = specimen::run();
    assert!(
        matches!(one_task(&run.source, "nevr"), Err(ReportError::NoTask { nearest, .. }) if nearest[0] == "never")
    );
}

#[test]
fn each_field_is_in_json() {
    let findings = findings("retried");
    let json = serde_json::to_value(&findings).unwrap();
    assert_eq!(json["samples"][1]["rss_bytes"][0], 8 << 20);
    assert_eq!(json["samples"][0]["at_s"], serde_json::json!([1.0, 2.0]));
    assert_eq!(serde_json::from_value::<TaskFindings>(json).unwrap(), findings);
}
