//! What a job has, as its environment says it.

use serde::Serialize;

use super::{cpu_list, node_list};
use crate::column::Timestamp;
use crate::error::SlurmError;

/// An allocation of Slurm's that this program runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// The job's own id. In an array each job has one; that of its last job is the array's.
    pub job_id: String,
    /// Which of an array's jobs this is.
    pub array: Option<ArrayTask>,
    /// The nodes, in Slurm's order.
    pub nodes: Vec<AllocatedNode>,
    /// The node that this program runs on; `None` on a login node (`salloc`).
    pub this_node: Option<String>,
    /// The job's GPUs on this node.
    pub gpus: Vec<i32>,
    /// Its end, where the environment tells it; else see [`super::squeue::ask`].
    pub end_at: Option<Timestamp>,
    /// How often Slurm has started the job again.
    pub restart_count: i32,
}

/// A node of an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllocatedNode {
    /// Its name.
    pub name: String,
    /// The job's CPUs there, where they are told.
    pub cpu_count: Option<i32>,
}

/// A job of an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArrayTask {
    /// The array's id.
    pub job_id: String,
    /// Which of its jobs, as in `--array=1-10`.
    pub task_id: i32,
    /// How many there are.
    pub task_count: Option<i32>,
}

impl Allocation {
    /// The allocation that this process runs in.
    ///
    /// # Errors
    /// As for [`Allocation::of_environment`].
    pub fn of_this_process() -> Result<Option<Self>, SlurmError> {
        Self::of_environment(|name| std::env::var(name).ok())
    }

    /// The allocation that environment variables tell of; `None` outside a job. Empty variables are as good as
    /// none.
    ///
    /// # Errors
    /// Variables that cannot be read, or do not go together.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SlurmError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        // The names without `JOB` are those of Slurm before 2.0, which some systems still set alone.
        let Some(job_id) = get("SLURM_JOB_ID").or_else(|| get("SLURM_JOBID")) else { return Ok(None) };
        let number = |name: &'static str| match get(name) {
            None => Ok(None),
            Some(value) => match value.trim().parse::<i64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(SlurmError::Variable { name, value }),
            },
        };
        let small = |name| Ok(number(name)?.and_then(|number| i32::try_from(number).ok()));
        let list = get("SLURM_JOB_NODELIST").or_else(|| get("SLURM_NODELIST"));
        let list = list.ok_or_else(|| SlurmError::NoNodes { job_id: job_id.clone() })?;
        let array = match (get("SLURM_ARRAY_JOB_ID"), small("SLURM_ARRAY_TASK_ID")?) {
            (Some(job_id), Some(task_id)) => {
                Some(ArrayTask { job_id, task_id, task_count: small("SLURM_ARRAY_TASK_COUNT")? })
            }
            _ => None,
        };
        Ok(Some(Self {
            nodes: nodes(&list, get("SLURM_JOB_CPUS_PER_NODE").as_deref())?,
            job_id,
            array,
            this_node: get("SLURMD_NODENAME"),
            gpus: gpus(get("SLURM_STEP_GPUS").or_else(|| get("SLURM_JOB_GPUS")).as_deref()),
            end_at: number("SLURM_JOB_END_TIME")?
                .filter(|seconds| (1..i64::MAX / 1_000_000).contains(seconds))
                .map(|seconds| Timestamp(seconds * 1_000_000)),
            restart_count: small("SLURM_RESTART_COUNT")?.unwrap_or(0),
        }))
    }

    /// The name by which Slurm's commands know this job and no other: the id of an array's last job alone would
    /// name the whole array.
    pub fn name(&self) -> String {
        match &self.array {
            Some(ArrayTask { job_id, task_id, .. }) => format!("{job_id}_{task_id}"),
            None => self.job_id.clone(),
        }
    }

    /// The names of the nodes in Slurm's short form.
    pub fn node_list(&self) -> String {
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        node_list::compress(&names)
    }
}

fn nodes(list: &str, cpus: Option<&str>) -> Result<Vec<AllocatedNode>, SlurmError> {
    let names = node_list::expand(list)?;
    let cpus = cpus.map(cpu_list::expand).transpose()?;
    if let Some(cpus) = cpus.as_ref().filter(|cpus| cpus.len() != names.len()) {
        return Err(SlurmError::Mismatch { node_count: names.len(), cpu_count: cpus.len() });
    }
    let mut cpus = cpus.into_iter().flatten();
    Ok(names.into_iter().map(|name| AllocatedNode { name, cpu_count: cpus.next() }).collect())
}

/// Device ids, `0,2` or as `0-3`; what is no number (a UUID) is left out.
fn gpus(list: Option<&str>) -> Vec<i32> {
    let ranges = list.into_iter().flat_map(|list| list.split(',')).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        Some(i32::from(first)..=i32::from(last))
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The allocation of an environment, one `NAME=value` a line.
    fn allocation(environment: &str) -> Result<Option<Allocation>, SlurmError> {
        Allocation::of_environment(|name| {
            let mut pairs = environment.lines().filter_map(|line| line.trim().split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        })
    }

    fn node(name: &str, cpu_count: i32) -> AllocatedNode {
        AllocatedNode { name: name.to_owned(), cpu_count: Some(cpu_count) }
    }

    #[test]
    fn all_of_three_nodes() {
        let found = allocation(
            "CUDA_VISIBLE_DEVICES=0,1
             SLURMD_NODENAME=node1
             SLURM_CPUS_ON_NODE=4
             SLURM_GPUS_ON_NODE=2
             SLURM_JOB_CPUS_PER_NODE=4(x3)
             SLURM_JOB_GPUS=0,1
             SLURM_JOB_ID=11216000
             SLURM_JOB_NODELIST=node[1-3]
             SLURM_JOB_NUM_NODES=3
             SLURM_TASKS_PER_NODE=4(x3)",
        );
        let expected = Allocation {
            job_id: "11216000".to_owned(),
            array: None,
            nodes: vec![node("node1", 4), node("node2", 4), node("node3", 4)],
            this_node: Some("node1".to_owned()),
            gpus: vec![0, 1],
            end_at: None,
            restart_count: 0,
        };
        assert_eq!(expected.name(), "11216000");
        assert_eq!(expected.node_list(), "node[1-3]");
        assert_eq!(found, Ok(Some(expected)));
    }

    #[test]
    fn the_last_job_of_an_array_has_the_id_of_the_array() {
        let found = allocation(
            "SLURMD_NODENAME=node1
             SLURM_ARRAY_JOB_ID=11783002
             SLURM_ARRAY_TASK_COUNT=3
             SLURM_ARRAY_TASK_ID=3
             SLURM_JOB_CPUS_PER_NODE=1
             SLURM_JOB_ID=11783002
             SLURM_JOB_NODELIST=node1",
        );
        let found = found.unwrap().unwrap();
        let array = ArrayTask { job_id: "11783002".to_owned(), task_id: 3, task_count: Some(3) };
        assert_eq!(found.array, Some(array));
        assert_eq!(found.name(), "11783002_3");
        assert_eq!(found.gpus, [0; 0]);
    }

    #[test]
    fn nodes_may_differ_and_newer_versions_tell_the_end() {
        let found = allocation(
            "SLURM_JOB_ID=7
             SLURM_JOB_NODELIST=node[1-3]
             SLURM_JOB_CPUS_PER_NODE=2(x2),1
             SLURM_JOB_END_TIME=1795967492
             SLURM_RESTART_COUNT=2
             SLURM_STEP_GPUS=1-2",
        );
        let found = found.unwrap().unwrap();
        assert_eq!(found.nodes, [node("node1", 2), node("node2", 2), node("node3", 1)]);
        assert_eq!(found.end_at, Some(Timestamp(1_795_967_492_000_000)));
        assert_eq!((found.restart_count, found.this_node), (2, None));
        assert_eq!(found.gpus, [1, 2]);
    }

    #[test]
    fn outside_a_job_there_is_none() {
        assert_eq!(allocation("SLURM_CONF=/etc/slurm.conf\nSLURM_JOB_ID="), Ok(None));
    }

    #[test]
    fn variables_that_do_not_go_together_are_told() {
        for (environment, expected) in [
            ("SLURM_JOB_ID=7", "find the nodes of the Slurm job 7: `SLURM_JOB_NODELIST` is not set"),
            (
                "SLURM_JOB_ID=7\nSLURM_JOB_NODELIST=n[1-3]\nSLURM_JOB_CPUS_PER_NODE=4(x2)",
                "find the nodes of the Slurm job: `SLURM_JOB_NODELIST` has 3 nodes, and \
                 `SLURM_JOB_CPUS_PER_NODE` figures for 2",
            ),
            (
                "SLURM_JOB_ID=7\nSLURM_JOB_NODELIST=n1\nSLURM_RESTART_COUNT=x",
                "read `SLURM_RESTART_COUNT`: `x` is no number",
            ),
        ] {
            assert_eq!(allocation(environment).unwrap_err().to_string(), expected);
        }
    }
}
