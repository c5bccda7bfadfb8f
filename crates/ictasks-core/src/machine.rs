//! What this machine has: cores, their threads, a CPU quota, GPUs, memory.

/// The machine, as far as a plan needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// The physical cores within the affinity mask, each with its logical CPUs within the mask.
    pub cores: Vec<Vec<i32>>,
    /// CPUs that the cgroups allow, if they limit them.
    pub cpu_quota: Option<f64>,
    /// GPUs; `None` where nobody looked. See [`Machine::with_gpus`].
    pub gpu_count: Option<i32>,
    /// Memory, bytes.
    pub memory_total_bytes: Option<i64>,
}

impl Machine {
    /// Looks at the machine that this program runs on.
    pub fn detect() -> Self {
        todo!()
    }

    /// The machine with this number of GPUs (`None`: not looked for).
    #[must_use]
    pub fn with_gpus(self, gpu_count: Option<i32>) -> Self {
        Self { gpu_count, ..self }
    }
}
