//! The crash test as a program, for as many rounds as one likes:
//! `crash [ROUNDS [SEED]]`; see `ictasks_tests::crash`.

use std::process::ExitCode;

use ictasks_tests::crash;

fn main() -> ExitCode {
    let Some((rounds, seed)) = crash::rounds_and_seed(std::env::args().skip(1), (30, 1)) else {
        eprintln!("usage: crash [ROUNDS [SEED]]");
        return ExitCode::from(2);
    };
    let mut sum = crash::Round::default();
    for round in seed..seed + rounds {
        let seen = crash::round(round);
        sum.kills += seen.kills;
        sum.sessions += seen.sessions;
        sum.longest_end_s = sum.longest_end_s.max(seen.longest_end_s);
        println!("round with seed {round}: {} kills, {} starts", seen.kills, seen.sessions);
    }
    println!(
        "{rounds} rounds, {} kills, {} starts; the longest end of a run that was killed took {:.2} s",
        sum.kills, sum.sessions, sum.longest_end_s
    );
    ExitCode::SUCCESS
}
