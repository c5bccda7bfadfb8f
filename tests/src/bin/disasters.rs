//! The disaster test as a program, for as many rounds as one likes:
//! `disasters [ROUNDS [SEED]]`; see `ictasks_tests::disasters`. Wants Slurm and root rights.

use std::process::ExitCode;

use ictasks_tests::{crash, disasters};

fn main() -> ExitCode {
    let Some((rounds, seed)) = crash::rounds_and_seed(std::env::args().skip(1), (20, 0)) else {
        eprintln!("usage: disasters [ROUNDS [SEED]]");
        return ExitCode::from(2);
    };
    for round in seed..seed + rounds {
        let seen = disasters::round(round);
        println!(
            "seed {round}: {:?} of {}: {} attempts, {} of them lost with the node",
            seen.disaster, seen.node, seen.attempts, seen.lost
        );
    }
    println!("{rounds} rounds");
    ExitCode::SUCCESS
}
