//! Memory: who gives way when it runs out, what a task may use, and what the kernel says afterwards.
//!
//! - [`oom_score`]: tasks are taken by the kernel before agent and slots are
//! - [`cgroup`]: a limit that the kernel keeps, where the agent may make cgroups
//! - [`excess`]: else a limit that the agent keeps by looking
//! - [`oom_count`]: whether the kernel ended processes for want of memory

pub mod cgroup;
pub mod excess;
pub mod oom_count;
pub mod oom_score;

/// How `memory_per_task` is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Not at all.
    None,
    /// By the kernel, in a cgroup for each worker.
    Cgroup(cgroup::Cgroups),
    /// By the agent, which looks at the trees; the limit in bytes.
    Sampled(i64),
}

impl Enforcement {
    /// The best one that can be had here.
    pub fn choose(setup: &ictasks_core::protocol::Setup) -> Self {
        let Some(limit_bytes) = setup.memory_per_task_bytes.filter(|_| setup.enforce_memory) else {
            return Self::None;
        };
        let workers: Vec<i32> = setup.workers.iter().map(|worker| worker.id).collect();
        cgroup::Cgroups::make(limit_bytes, &workers).map_or(Self::Sampled(limit_bytes), Self::Cgroup)
    }

    /// Its name in the record; `None` where there is no limit.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Cgroup(_) => Some("cgroup".to_owned()),
            Self::Sampled(_) => Some("sampled".to_owned()),
        }
    }
}
