//! The batch script. The farm takes the place of its shell (`exec`), so that it gets Slurm's signals: a program in the
//! foreground of a script is killed with the shell, without notice.

use std::path::{Path, PathBuf};

use ictasks_core::config::SlurmOptions;
use ictasks_core::slurm::SbatchOption;

/// What a batch script is made of.
pub struct Script<'a> {
    /// This program.
    pub program: PathBuf,
    /// What the program is given.
    pub words: &'a [String],
    /// What the job is asked for with.
    pub slurm: &'a SlurmOptions,
    /// The user's name for the run.
    pub job_name: &'a str,
    /// Where the record goes.
    pub run_dir: &'a Path,
    /// Where the job begins.
    pub submit_dir: &'a Path,
}

/// Options that say how many CPUs, or how much else of a node, a job gets.
const SHARES_OF_NODES: [&str; 18] = [
    "cores-per-socket",
    "cpus-per-gpu",
    "cpus-per-task",
    "exclusive",
    "extra-node-info",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gres",
    "mem",
    "mem-per-cpu",
    "mincpus",
    "ntasks",
    "ntasks-per-node",
    "overcommit",
    "oversubscribe",
    "tres-per-task",
    "sockets-per-node",
];

/// Whether the job gets its nodes as a whole, since nothing is said about CPUs. By default it would get one CPU of
/// each.
pub fn takes_whole_nodes(slurm: &SlurmOptions) -> bool {
    !slurm.options.iter().any(|option| SHARES_OF_NODES.contains(&option.name.as_str()))
}

impl Script<'_> {
    /// The text.
    pub fn text(&self) -> String {
        let mut lines = vec!["#!/bin/bash".to_owned()];
        lines.extend(self.options().iter().map(|option| format!("#SBATCH {}", option.text())));
        lines.push("# Written by `ictasks submit`, which writes it anew each time.".to_owned());
        lines.extend(self.slurm.setup.iter().cloned());
        lines.push(format!("exec {}", self.command()));
        lines.join("\n") + "\n"
    }

    /// What is asked for, and what is added where nothing is said of it.
    fn options(&self) -> Vec<SbatchOption> {
        let output = if self.slurm.array.is_some() { "slurm-%A_%a.out" } else { "slurm-%j.out" };
        // In names `%` stands for what Slurm puts in.
        let run_dir = self.run_dir.display().to_string().replace('%', "%%");
        let defaults = [
            ("job-name", Some(self.job_name.to_owned())),
            ("output", Some(format!("{run_dir}/{output}"))),
            ("open-mode", Some("append".to_owned())),
            ("chdir", Some(self.submit_dir.display().to_string())),
        ];
        let mut own = defaults.to_vec();
        if takes_whole_nodes(self.slurm) {
            own.push(("exclusive", None));
        }
        if self.slurm.requeue {
            own.push(("requeue", None));
        }
        if let Some(array) = self.slurm.array {
            let at_once = array.at_once.map(|at_once| format!("%{at_once}")).unwrap_or_default();
            own.push(("array", Some(format!("1-{}{at_once}", array.count))));
        }
        let is_given = |name: &str| self.slurm.options.iter().any(|option| option.name == name);
        let own = own.into_iter().filter(|(name, _)| !is_given(name));
        let own = own.map(|(name, value)| SbatchOption { name: name.to_owned(), value });
        own.chain(self.slurm.options.iter().cloned()).collect()
    }

    /// The farm. It always goes on with what is there, and a job that Slurm has started again does not try again what
    /// has failed: it is the same run still.
    fn command(&self) -> String {
        let program = self.program.display().to_string();
        let words = std::iter::once(&program).chain(self.words).map(|word| quoted(word));
        let mut command = words.collect::<Vec<_>>().join(" ");
        if let Some(array) = self.slurm.array {
            command.push_str(&format!(" --shard \"$SLURM_ARRAY_TASK_ID/{}\"", array.count));
        }
        if self.slurm.requeue {
            command.push_str(" --requeue");
        }
        command.push_str(" --resume ${SLURM_RESTART_COUNT:+--skip-failed}");
        command
    }
}

/// As a shell takes it. A NUL byte cannot be in a word of this program's own command line.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(slurm: &SlurmOptions) -> String {
        let words =
            ["taskfarm", "--config", "/home/a b/my.yaml", "--run-dir", "/runs/100%"].map(str::to_owned);
        let script = Script {
            program: PathBuf::from("/opt/bin/ictasks"),
            words: &words,
            slurm,
            job_name: "my job",
            run_dir: Path::new("/runs/100%"),
            submit_dir: Path::new("/home/a b"),
        };
        script.text()
    }

    #[test]
    fn a_job_of_whole_nodes() {
        let expected = r#"#!/bin/bash
#SBATCH --job-name="my job"
#SBATCH --output=/runs/100%%/slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --chdir="/home/a b"
#SBATCH --exclusive
# Written by `ictasks submit`, which writes it anew each time.
exec /opt/bin/ictasks taskfarm --config '/home/a b/my.yaml' --run-dir '/runs/100%' --resume ${SLURM_RESTART_COUNT:+--skip-failed}
"#;
        assert_eq!(text(&SlurmOptions::default()), expected);
    }

    #[test]
    fn what_is_given_wins_and_shards_and_requeues_are_asked_for() {
        let option = |name: &str, value: &str| SbatchOption::new(name, Some(value.to_owned())).unwrap();
        let slurm = SlurmOptions {
            setup: vec!["module load gcc".to_owned()],
            requeue: true,
            array: Some("10%4".parse().unwrap()),
            options: vec![option("ntasks", "8"), option("output", "mine.out"), option("time", "2h")],
        };
        let expected = r#"#!/bin/bash
#SBATCH --job-name="my job"
#SBATCH --open-mode=append
#SBATCH --chdir="/home/a b"
#SBATCH --requeue
#SBATCH --array=1-10%4
#SBATCH --ntasks=8
#SBATCH --output=mine.out
#SBATCH --time=2:00:00
# Written by `ictasks submit`, which writes it anew each time.
module load gcc
exec /opt/bin/ictasks taskfarm --config '/home/a b/my.yaml' --run-dir '/runs/100%' --shard "$SLURM_ARRAY_TASK_ID/10" --requeue --resume ${SLURM_RESTART_COUNT:+--skip-failed}
"#;
        assert_eq!(text(&slurm), expected);
    }
}
