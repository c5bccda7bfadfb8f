//! Where agents run: on this machine alone, or on nodes that somebody starts them on.

use serde::Serialize;

use crate::config::{BackendChoice, Config};
use crate::error::PlanError;
use crate::machine::Machine;
use crate::slurm::{AllocatedNode, Allocation, node_list};

/// Who starts the agents of a run, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The coordinator, on its own machine.
    #[default]
    Local,
    /// `srun`, in an allocation.
    Slurm(SlurmJob),
    /// `mpiexec`.
    Mpi(MpiNodes),
    /// `ssh`.
    Ssh(SshHosts),
}

/// An allocation to run in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlurmJob {
    /// The job.
    pub job_id: String,
    /// Whether the coordinator runs in this job.
    pub is_own: bool,
    /// Its nodes.
    pub nodes: Vec<AllocatedNode>,
    /// The same in Slurm's short form.
    pub node_list: String,
    /// The job's GPUs on the coordinator's node.
    pub gpus: Vec<i32>,
}

/// Nodes that MPI knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MpiNodes {
    /// Their names; none where `mpiexec` finds them by itself.
    pub hosts: Vec<String>,
}

/// Hosts to log in to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SshHosts {
    /// Their names, as ssh takes them.
    pub hosts: Vec<String>,
}

impl Backend {
    /// What was typed, in this allocation if there is one. `choice` is that of the command line.
    ///
    /// # Errors
    /// What was asked for is not there.
    pub fn choose(
        config: &Config,
        choice: Option<BackendChoice>,
        allocation: Option<&Allocation>,
    ) -> Result<Self, PlanError> {
        let job = || slurm_job(config, allocation);
        let hosts = config.hosts.clone();
        match choice.or(config.backend).unwrap_or_default() {
            BackendChoice::Local => Ok(Self::Local),
            BackendChoice::Mpi => Ok(Self::Mpi(MpiNodes { hosts })),
            BackendChoice::Ssh if hosts.is_empty() => {
                Err(impossible("the backend is ssh, and there are no `hosts`", "give `hosts: [c1, c2]`"))
            }
            BackendChoice::Ssh => Ok(Self::Ssh(SshHosts { hosts })),
            BackendChoice::Slurm => match job()? {
                Some(job) => Ok(Self::Slurm(job)),
                None => Err(impossible(
                    "the backend is slurm, and this is no job of Slurm's (SLURM_JOB_ID is not set)",
                    "start it in a job (sbatch, salloc), or give `slurm_job: {id: 17, nodes: c[1-3]}`",
                )),
            },
            BackendChoice::Auto => Ok(match job()? {
                Some(job) if config.asks_for_slurm() || is_wider(allocation, &job) => Self::Slurm(job),
                _ => Self::Local,
            }),
        }
    }

    /// Whether all runs on the coordinator's machine.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// The nodes by name, as far as they are known.
    pub fn node_names(&self) -> Vec<String> {
        match self {
            Self::Local => Vec::new(),
            Self::Slurm(job) => job.nodes.iter().map(|node| node.name.clone()).collect(),
            Self::Mpi(MpiNodes { hosts }) | Self::Ssh(SshHosts { hosts }) => hosts.clone(),
        }
    }

    /// What a node is taken for until its agent has said what it may use; `machine` is the coordinator's own.
    pub fn typical_node(&self, machine: Machine, config: &Config) -> Machine {
        let (cpus, gpus) = match self {
            Self::Local => return machine,
            Self::Slurm(job) => {
                (job.nodes.iter().filter_map(|node| node.cpu_count).max(), Some(job.gpus.clone()))
            }
            Self::Mpi(_) | Self::Ssh(_) => (None, machine.gpus.clone()),
        };
        // Nobody here knows of theirs: there may be as many as a task needs.
        let needed = || {
            config.asks_for_gpus().then(|| (0..config.task_distribution.gpus_per_task.unwrap_or(0)).collect())
        };
        let machine = Machine {
            gpus: gpus.filter(|gpus| !gpus.is_empty()).or_else(needed),
            memory_limit_bytes: None,
            ..machine
        };
        match cpus {
            Some(cpus) => {
                Machine { cores: (0..cpus).map(|cpu| vec![cpu]).collect(), cpu_quota: None, ..machine }
            }
            None => machine,
        }
    }

    /// For people: where that is, if it is not here.
    pub fn description(&self) -> Option<String> {
        let nodes = |hosts: &[String]| match hosts {
            [] => "the nodes that it knows".to_owned(),
            hosts => hosts.join(", "),
        };
        match self {
            Self::Local => None,
            Self::Slurm(job) => Some(format!("slurm, {} of the job {}", job.node_list, job.job_id)),
            Self::Mpi(mpi) => Some(format!("mpi, {}", nodes(&mpi.hosts))),
            Self::Ssh(ssh) => Some(format!("ssh, {}", nodes(&ssh.hosts))),
        }
    }

    /// CPUs that the job has on a node.
    pub fn cpus_of(&self, node: &str) -> Option<i32> {
        let Self::Slurm(job) = self else { return None };
        job.nodes.iter().find(|allocated| allocated.name == node)?.cpu_count
    }
}

/// Whether there is more than the node that this program runs on.
fn is_wider(allocation: Option<&Allocation>, job: &SlurmJob) -> bool {
    let this_node = allocation.and_then(|allocation| allocation.this_node.as_ref());
    job.nodes.iter().any(|node| Some(&node.name) != this_node)
}

/// The job that was named, else the one that this program runs in.
fn slurm_job(config: &Config, allocation: Option<&Allocation>) -> Result<Option<SlurmJob>, PlanError> {
    let own = |allocation: &Allocation| SlurmJob {
        job_id: allocation.job_id.clone(),
        is_own: true,
        nodes: allocation.nodes.clone(),
        node_list: allocation.node_list(),
        gpus: allocation.gpus.clone(),
    };
    let named = config.slurm_job.as_ref();
    let Some((named, id)) = named.and_then(|named| Some((named, named.id.as_ref()?))) else {
        return Ok(allocation.map(own));
    };
    if let Some(allocation) = allocation.filter(|allocation| allocation.job_id == *id) {
        return Ok(Some(own(allocation)));
    }
    let mut names = Vec::new();
    for list in &named.nodes {
        let expanded = node_list::expand(list)
            .map_err(|error| impossible(&format!("failed to {error}"), "correct `slurm_job`"))?;
        names.extend(expanded);
    }
    if names.is_empty() {
        return Err(impossible(
            &format!("`slurm_job` names the job {id}, and not its nodes"),
            &format!("give them, for instance `slurm_job: {{id: {id}, nodes: c[1-3]}}`"),
        ));
    }
    let node_list = node_list::compress(&names);
    let nodes = names.into_iter().map(|name| AllocatedNode { name, cpu_count: None }).collect();
    Ok(Some(SlurmJob { job_id: id.clone(), is_own: false, nodes, node_list, gpus: Vec::new() }))
}

fn impossible(arithmetic: &str, remedy: &str) -> PlanError {
    PlanError::Impossible { arithmetic: arithmetic.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocation(list: &str, this_node: Option<&str>) -> Allocation {
        let variables = [
            ("SLURM_JOB_ID", Some("17")),
            ("SLURM_JOB_NODELIST", Some(list)),
            ("SLURMD_NODENAME", this_node),
        ];
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name)?.1.map(str::to_owned);
        Allocation::of_environment(get).unwrap().unwrap()
    }

    fn chosen(yaml: &str, choice: Option<BackendChoice>, allocation: Option<&Allocation>) -> String {
        let config = Config::parse("my.yaml", yaml.as_bytes()).unwrap();
        match Backend::choose(&config, choice, allocation) {
            Ok(Backend::Local) => "local".to_owned(),
            Ok(Backend::Slurm(job)) => format!("slurm {} {} {}", job.job_id, job.node_list, job.is_own),
            Ok(Backend::Mpi(mpi)) => format!("mpi {}", mpi.hosts.join(",")),
            Ok(Backend::Ssh(ssh)) => format!("ssh {}", ssh.hosts.join(",")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_allocation_of_more_than_this_node_is_used_by_itself() {
        let wide = allocation("c[1-3]", Some("c1"));
        let narrow = allocation("c1", Some("c1"));
        let from_login = allocation("c1", None);
        assert_eq!(chosen("{}", None, None), "local");
        assert_eq!(chosen("{}", None, Some(&wide)), "slurm 17 c[1-3] true");
        assert_eq!(chosen("{}", None, Some(&narrow)), "local");
        assert_eq!(chosen("{}", None, Some(&from_login)), "slurm 17 c1 true");
        assert_eq!(chosen("check_slurm: true", None, Some(&narrow)), "slurm 17 c1 true");
        assert_eq!(chosen("backend: local", None, Some(&wide)), "local");
        assert_eq!(chosen("backend: local", Some(BackendChoice::Auto), Some(&wide)), "slurm 17 c[1-3] true");
    }

    #[test]
    fn another_job_may_be_named() {
        let own = allocation("c[1-3]", Some("c1"));
        assert_eq!(chosen("slurm_job: {id: 5, nodes: 'n[01-02]'}", None, None), "slurm 5 n[01-02] false");
        assert_eq!(chosen("slurm_job: {id: 17}", None, Some(&own)), "slurm 17 c[1-3] true");
        assert_eq!(
            chosen("slurm_job: {id: 5}", None, None),
            "`slurm_job` names the job 5, and not its nodes; give them, for instance \
             `slurm_job: {id: 5, nodes: c[1-3]}`"
        );
    }

    #[test]
    fn what_is_asked_for_has_to_be_there() {
        assert!(chosen("backend: slurm", None, None).starts_with("the backend is slurm, and this is no job"));
        assert!(chosen("backend: ssh", None, None).ends_with("give `hosts: [c1, c2]`"));
        assert_eq!(chosen("{backend: ssh, hosts: [a, b]}", None, None), "ssh a,b");
        assert_eq!(chosen("backend: mpi", None, None), "mpi ");
    }
}
