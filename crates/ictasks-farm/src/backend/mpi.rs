//! One `mpiexec` for each node starts an agent there.
//!
//! One for all would do, but standard input, by which agents are invited, reaches only the first process of
//! a job: Open MPI 4 takes `--stdin all` and hangs. Where no hosts are named, `mpiexec` is asked which there are.
//! The two families of launchers agree on little but the name; the version tells which one it is.

use std::path::Path;
use std::process::{Command, Stdio};

use ictasks_core::plan::MpiNodes;

use super::StartCommand;
use crate::error::FarmError;

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

/// The commands, one for each host.
///
/// # Errors
/// [`FarmError::NoHosts`].
pub fn start_commands(nodes: &MpiNodes, agent: &Path) -> Result<Vec<StartCommand>, FarmError> {
    let flavour = Flavour::find();
    let hosts = if nodes.hosts.is_empty() { find_hosts(flavour)? } else { nodes.hosts.clone() };
    Ok(hosts.iter().map(|host| start_command(host, flavour, agent)).collect())
}

/// The hosts that `mpiexec` starts programs on, in a job of a scheduler that it knows.
fn find_hosts(flavour: Flavour) -> Result<Vec<String>, FarmError> {
    let mut arguments = common(flavour);
    arguments.extend(match flavour {
        Flavour::OpenMpi => ["--map-by", "ppr:1:node"].map(str::to_owned),
        Flavour::Hydra => ["-ppn", "1"].map(str::to_owned),
    });
    let output = Command::new(PROGRAM).args(arguments).arg("hostname").stdin(Stdio::null()).output();
    let no_hosts = |message: &str| FarmError::NoHosts { message: message.trim().to_owned() };
    let output = output.map_err(|error| no_hosts(&error.to_string()))?;
    let hosts = hosts_of(&String::from_utf8_lossy(&output.stdout));
    if hosts.is_empty() { Err(no_hosts(&String::from_utf8_lossy(&output.stderr))) } else { Ok(hosts) }
}

/// Each name once, from what `hostname` printed on each.
fn hosts_of(output: &str) -> Vec<String> {
    let mut hosts: Vec<String> = output.split_whitespace().map(str::to_owned).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn common(flavour: Flavour) -> Vec<String> {
    match flavour {
        // By default it refuses root, for whom this is a mistake no more than for others.
        Flavour::OpenMpi if rustix::process::geteuid().is_root() => {
            ["--allow-run-as-root", "--bind-to", "none"].map(str::to_owned).to_vec()
        }
        Flavour::OpenMpi => ["--bind-to", "none"].map(str::to_owned).to_vec(),
        Flavour::Hydra => ["-bind-to", "none"].map(str::to_owned).to_vec(),
    }
}

fn start_command(host: &str, flavour: Flavour, agent: &Path) -> StartCommand {
    let mut arguments = common(flavour);
    let host_option = match flavour {
        Flavour::OpenMpi => "--host",
        Flavour::Hydra => "-hosts",
    };
    arguments.extend([host_option, host, "-n", "1"].map(str::to_owned));
    arguments.push(agent.display().to_string());
    StartCommand {
        program: PROGRAM.to_owned(),
        arguments,
        without_variables: &[],
        harmless: &[],
        place: host.to_owned(),
        agent_count: Some(1),
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
    fn each_host_has_its_command() {
        let words = |flavour| {
            let command = start_command("c1", flavour, Path::new("agent"));
            command.arguments.join(" ").replace("--allow-run-as-root ", "")
        };
        assert_eq!(words(Flavour::OpenMpi), "--bind-to none --host c1 -n 1 agent");
        assert_eq!(words(Flavour::Hydra), "-bind-to none -hosts c1 -n 1 agent");
    }

    #[test]
    fn every_host_counts_once() {
        assert_eq!(hosts_of("c2\nc1\nc2\n"), ["c1", "c2"]);
        assert!(hosts_of("\n").is_empty());
    }
}
