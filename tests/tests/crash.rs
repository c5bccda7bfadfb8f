//! Runs that are killed at random moments: nothing is lost, nothing is done twice.

use ictasks_tests::crash;

#[test]
fn runs_that_are_killed_are_gone_on_with_until_they_are_done() {
    for seed in 1..=30 {
        crash::round(seed);
    }
}
