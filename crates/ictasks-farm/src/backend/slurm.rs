//! One `srun` starts an agent on each node of an allocation.
//!
//! - The numbers of nodes and tasks are given, as `--ntasks-per-node=1` alone gives way to an inherited
//!   `SLURM_NTASKS`; no `-c`, which would take all other CPUs from the step.
//! - `--overlap --mem=0`: the step has all that the allocation has, beside other steps.
//! - `--cpu-bind=none`: the agent divides the CPUs among its workers itself.
//! - `--no-kill --kill-on-bad-exit=0 --wait=0`: what happens to one agent does nothing to the others.
//! - `--mpi=none`: tasks that are MPI programs are on their own.

use std::path::Path;

use ictasks_core::plan::SlurmJob;

use super::StartCommand;

/// Variables that srun takes for options of the same names.
const OPTIONS: &[&str] = &[
    "SLURM_CPUS_PER_TASK",
    "SRUN_CPUS_PER_TASK",
    "SLURM_DISTRIBUTION",
    "SLURM_EXACT",
    "SLURM_EXCLUSIVE",
    "SLURM_HINT",
    "SLURM_MEM_BIND",
    "SLURM_MEM_PER_CPU",
    "SLURM_MEM_PER_GPU",
    "SLURM_MEM_PER_NODE",
    "SLURM_THREADS_PER_CORE",
    "SLURM_TRES_PER_TASK",
    "SLURM_TIMELIMIT",
];

/// srun says so where no plugin could bind anything, and nothing is to be bound.
const HARMLESS: &[&str] = &["lacks support for cpu binding"];

/// The command.
pub fn start_command(job: &SlurmJob, agent: &Path) -> StartCommand {
    let count = job.nodes.len();
    let mut arguments: Vec<String> = vec![format!("-N{count}"), format!("-n{count}")];
    let fixed = [
        "--ntasks-per-node=1",
        "--overlap",
        "--cpu-bind=none",
        "--mem=0",
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--wait=0",
        "--mpi=none",
        "--export=ALL",
        "--input=all",
        "--job-name=ictasks-agent",
    ];
    arguments.extend(fixed.map(str::to_owned));
    if !job.is_own {
        arguments.push(format!("--jobid={}", job.job_id));
        arguments.push(format!("--nodelist={}", job.node_list));
    }
    arguments.push("--".to_owned());
    arguments.push(agent.display().to_string());
    StartCommand {
        program: "srun".to_owned(),
        arguments,
        without_variables: OPTIONS,
        harmless: HARMLESS,
        place: format!("{count} nodes of the Slurm job {}", job.job_id),
        agent_count: Some(count),
    }
}

#[cfg(test)]
mod tests {
    use ictasks_core::slurm::AllocatedNode;

    use super::*;

    fn job(is_own: bool) -> SlurmJob {
        SlurmJob {
            job_id: "17".to_owned(),
            is_own,
            nodes: ["c1", "c2", "c3"]
                .map(|name| AllocatedNode { name: name.to_owned(), cpu_count: None })
                .to_vec(),
            node_list: "c[1-3]".to_owned(),
            gpus: Vec::new(),
        }
    }

    #[test]
    fn one_agent_on_each_node() {
        let command = start_command(&job(true), Path::new("/opt/ictasks-agent"));
        assert_eq!(
            command.arguments.join(" "),
            "-N3 -n3 --ntasks-per-node=1 --overlap --cpu-bind=none --mem=0 --no-kill --kill-on-bad-exit=0 \
             --wait=0 --mpi=none --export=ALL --input=all --job-name=ictasks-agent -- /opt/ictasks-agent"
        );
        assert_eq!(command.agent_count, Some(3));
    }

    #[test]
    fn another_job_is_named() {
        let command = start_command(&job(false), Path::new("agent"));
        assert!(command.arguments.join(" ").ends_with("--jobid=17 --nodelist=c[1-3] -- agent"));
    }
}
