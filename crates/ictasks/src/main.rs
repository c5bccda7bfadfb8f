//! `ictasks`: runs many small programs and records what happened to every one of them.
//!
//! - [`cli`]: what can be typed
//! - [`taskfarm`]: the subcommand that runs tasks; [`input`], [`points`], [`claim`], [`resume`] and
//!   [`dry_run`] are its parts; [`deadline`] and [`requeue`]: the time of a Slurm job
//! - [`submit`]: the subcommand that has Slurm run it
//! - [`watch`], [`stop`]: the subcommands that look at a run and ask it to stop
//! - [`report`]: the subcommand that says what happened; [`run_dirs`]: what readers read
//! - [`compare`]: the subcommand that says what changed from one run to another
//! - [`output`], [`export`]: the subcommands that pass on what is recorded; [`harmless_writer`]
//! - [`event_stream`]: what happens, for programs that drive the farm
//! - [`progress`], [`summary`]: what the user sees meanwhile and at the end
//! - [`schema`]: the subcommand that prints JSON schemas
//! - [`command_line`]: the typed command again, changed, for messages
//! - [`guard`]: panics of libraries become errors
//! - [`console`]: the only code that prints
//! - [`exit`]: exit codes

mod claim;
mod cli;
mod command_line;
mod compare;
mod console;
mod deadline;
mod dry_run;
mod event_stream;
mod exit;
mod export;
mod guard;
mod harmless_writer;
mod input;
mod output;
mod points;
mod progress;
mod report;
mod requeue;
mod resume;
mod run_dirs;
mod schema;
mod stop;
mod submit;
mod summary;
mod tally;
mod taskfarm;
mod watch;

use std::sync::Arc;

use clap::Parser;
use ictasks_farm::signals::is_ignored;
use signal_hook::consts::SIGXFSZ;
use tokio::signal::unix::SignalKind;

use cli::{Cli, Command};
use console::Console;
use guard::guarded;

fn main() -> std::process::ExitCode {
    files_may_be_too_large();
    let mut cli = Cli::parse_from(submit::options_of_sbatch_last(std::env::args_os()));
    let mut console = Console::new(cli.color, cli.verbosity());
    if let (Command::Taskfarm(arguments), Some(1..)) = (&mut cli.command, cli.old_dry_run) {
        arguments.dry_run = true;
    }
    let outcome = match &cli.command {
        Command::Taskfarm(arguments) => taskfarm::run(arguments, &mut console),
        Command::Submit(arguments) => submit::run(arguments, &mut console),
        Command::Watch(arguments) => watch::run(arguments, &mut console),
        Command::Stop(arguments) => stop::run(arguments, &mut console),
        Command::Output(arguments) => guarded(|| output::run(arguments, &mut console)),
        Command::Export(arguments) => guarded(|| export::run(arguments, &mut console)),
        Command::Report(arguments) => guarded(|| report::run(arguments, &mut console)),
        Command::Compare(arguments) => guarded(|| compare::run(arguments, &mut console)),
        Command::Schema { of } => schema::run(*of, &mut console),
    };
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            console.error(&failure.message);
            failure.code.into()
        }
    }
}

/// Makes a write beyond `ulimit -f` an error like any other: SIGXFSZ would end the program without a word. What it
/// starts is not changed by that, since a handler does not outlive exec.
fn files_may_be_too_large() {
    if !is_ignored(SignalKind::from_raw(SIGXFSZ)) {
        // Without a handler a run still works below the limit.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    }
}
