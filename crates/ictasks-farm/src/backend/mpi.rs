//! One `mpiexec` starts an agent on each node.
//!
//! The two families of MPI launchers agree on little but the name; the version tells which one it is. The
//! agents are no MPI programs: `mpiexec` starts them, and gives each the invitation on standard input.

use std::path::Path;
use std::process::{Command, Stdio};

use ictasks_core::plan::MpiNodes;

use super::StartCommand;

const PROGRAM: &str = "mpiexec";

/// The families of launchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Open MPI.
    OpenMpi,
    /// MPICH and what comes of it: Intel MPI, MVAPICH.
    Hydra,
}

impl Flavour {
    /// That of the `mpiexec` that is installed here.
    pub fn find() -> Self {
        let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        Self::of_version(&text.unwrap_or_default())
    }

    /// From what `mpiexec --version` says.
    pub fn of_version(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let is_hydra = ["hydra", "mpich", "intel(r) mpi"].iter().any(|name| text.contains(name));
        if is_hydra { Self::Hydra } else { Self::OpenMpi }
    }
}

/// The command.
pub fn start_command(nodes: &MpiNodes, flavour: Flavour, agent: &Path) -> StartCommand {
    let hosts = &nodes.hosts;
    let mut arguments: Vec<String> = Vec::new();
    let mut give = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    match flavour {
        Flavour::OpenMpi => {
            // By default `mpirun` refuses root, for whom this is a mistake no more than for others.
            if rustix::process::geteuid().is_root() {
                give(&["--allow-run-as-root"]);
            }
            give(&["--map-by", "ppr:1:node", "--bind-to", "none", "--oversubscribe", "--stdin", "all"]);
            if !hosts.is_empty() {
                give(&["--host", &hosts.join(",")]);
            }
        }
        Flavour::Hydra => {
            give(&["-ppn", "1", "-bind-to", "none", "-s", "all"]);
            if !hosts.is_empty() {
                give(&["-n", &hosts.len().to_string(), "-hosts", &hosts.join(",")]);
            }
        }
    }
    give(&[&agent.display().to_string()]);
    let agent_count = (!hosts.is_empty()).then_some(hosts.len());
    StartCommand {
        program: PROGRAM.to_owned(),
        arguments,
        without_variables: &[],
        place: agent_count.map_or_else(|| "the nodes of MPI".to_owned(), |count| format!("{count} nodes")),
        agent_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_the_family() {
        for (text, flavour) in [
            ("mpiexec (OpenRTE) 4.1.4\n\nReport bugs to http://www.open-mpi.org/", Flavour::OpenMpi),
            ("mpiexec (Open MPI) 5.0.3", Flavour::OpenMpi),
            ("HYDRA build details:\n    Version:   4.0.2\n", Flavour::Hydra),
            ("Intel(R) MPI Library for Linux* OS, Version 2021.10", Flavour::Hydra),
            ("", Flavour::OpenMpi),
        ] {
            assert_eq!(Flavour::of_version(text), flavour, "{text}");
        }
    }

    #[test]
    fn hosts_are_named_where_they_are_given() {
        let nodes = MpiNodes { hosts: vec!["a".to_owned(), "b".to_owned()] };
        let words = |flavour, nodes: &MpiNodes| {
            let command = start_command(nodes, flavour, Path::new("agent"));
            command.arguments.join(" ").replace("--allow-run-as-root ", "")
        };
        let common = "--map-by ppr:1:node --bind-to none --oversubscribe --stdin all";
        assert_eq!(words(Flavour::OpenMpi, &nodes), format!("{common} --host a,b agent"));
        assert_eq!(words(Flavour::OpenMpi, &MpiNodes::default()), format!("{common} agent"));
        assert_eq!(words(Flavour::Hydra, &nodes), "-ppn 1 -bind-to none -s all -n 2 -hosts a,b agent");
    }
}
