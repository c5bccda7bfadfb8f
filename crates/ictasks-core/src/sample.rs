//! Resource use over time: a row of `samples.parquet`.

use serde::{Deserialize, Serialize};

use crate::column::{Timestamp, names, row};

names! {
    /// What a sample is of.
    pub enum Scope {
        /// A whole host.
        Host = "host",
        /// The process tree of one task.
        Task = "task",
        /// One GPU.
        Gpu = "gpu",
    }
}

row! {
    /// A row of `samples.parquet`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Sample {
        /// when it was taken
        at: Timestamp => Timestamp,
        /// which start of the run
        session: i32 => Int32,
        /// the host
        host: String => Category,
        /// what it is of: host, task or gpu
        scope: Scope => Category,
        /// the task, for scope task
        task_id: Option<String> => Text,
        /// its attempt, for scope task
        attempt: Option<i32> => Int32,
        /// the device id, for scope gpu
        gpu: Option<i32> => Int32,
        /// processors in use since the sample before (of a task the first time: since its start)
        busy_cores: Option<f64> => Float64,
        /// resident memory: of the tree, of the host what is not available
        rss_bytes: Option<i64> => Int64,
        /// memory of the host, for scope host
        memory_total_bytes: Option<i64> => Int64,
        /// number of processes of the tree, for scope task
        process_count: Option<i64> => Int64,
        /// number of threads of the tree, for scope task
        thread_count: Option<i64> => Int64,
        /// read by system calls since the task's start, by the processes that still live
        syscall_read_bytes: Option<i64> => Int64,
        /// written by system calls since the task's start, by the processes that still live
        syscall_write_bytes: Option<i64> => Int64,
        /// load average over one minute, for scope host
        load1: Option<f64> => Float64,
        /// share of the time the GPU was busy, 0-1
        gpu_busy_fraction: Option<f64> => Float64,
        /// GPU memory in use
        gpu_memory_bytes: Option<i64> => Int64,
        /// power drawn, watts
        gpu_power_w: Option<f64> => Float64,
    }
}

impl Sample {
    /// A row that says nothing yet.
    pub fn empty(at: Timestamp, session: i32, host: &str, scope: Scope) -> Self {
        Self {
            at,
            session,
            host: host.to_owned(),
            scope,
            task_id: None,
            attempt: None,
            gpu: None,
            busy_cores: None,
            rss_bytes: None,
            memory_total_bytes: None,
            process_count: None,
            thread_count: None,
            syscall_read_bytes: None,
            syscall_write_bytes: None,
            load1: None,
            gpu_busy_fraction: None,
            gpu_memory_bytes: None,
            gpu_power_w: None,
        }
    }
}
