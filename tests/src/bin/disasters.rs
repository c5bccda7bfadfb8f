//! The disaster test as a program, for as many rounds as one likes:
//! `disasters [ROUNDS [SEED]]`; see `ictasks_tests::disasters`. Wants Slurm and root rights.

use std::process::ExitCode;

use ictasks_tests::disasters;

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let (rounds, seed) = match numbers.as_deref() {
        Ok([]) => (20, 0),
        Ok([rounds]) => (*rounds, 0),
        Ok([rounds, seed]) => (*rounds, *seed),
        _ => {
            eprintln!("usage: disasters [ROUNDS [SEED]]");
            return ExitCode::from(2);
        }
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
