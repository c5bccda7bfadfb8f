//! A setup and an order for tests.

use std::collections::BTreeMap;
use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::command::Shell;
use ictasks_core::config::{GpuBinding, OutputLimits, TaskFiles};
use ictasks_core::protocol::{PROTOCOL_VERSION, Setup, TaskOrder, Worker, WorkingDirectory};

/// One worker, no limits.
pub fn setup(run_dir: &Path) -> Setup {
    Setup {
        protocol_version: PROTOCOL_VERSION,
        run_id: "r".to_owned(),
        session: 0,
        job_id: "job".to_owned(),
        clock_offset_s: 0.0,
        host_id: 0,
        run_dir: run_dir.to_owned(),
        submit_dir: run_dir.to_owned(),
        workers: vec![Worker { id: 0, cores: None, gpus: Vec::new() }],
        cores_per_task: 1,
        shell: Shell::Auto,
        call_server: None,
        cwd: WorkingDirectory::Task,
        stdout_filename: "stdout.txt".to_owned(),
        stderr_filename: "stderr.txt".to_owned(),
        environment: BTreeMap::new(),
        sample_interval_s: 0.0,
        pin_cores: false,
        kill_grace_s: 10.0,
        memory_per_task_bytes: None,
        enforce_memory: false,
        max_output: OutputLimits { stdout_bytes: None, stderr_bytes: None },
        task_files: TaskFiles::All,
        stopping_conditions: Vec::new(),
        gpu_binding: GpuBinding::File,
    }
}

/// The first attempt at task 0.
pub fn order(command: &str) -> TaskOrder {
    TaskOrder {
        task_index: 0,
        task_id: "0".to_owned(),
        attempt: 1,
        command: command.to_owned(),
        command_hash: 0,
        ready_at: Timestamp(0),
        environment: BTreeMap::new(),
        params_json: None,
        reason: None,
        timeout_s: None,
        expected_outputs: Vec::new(),
        call: None,
    }
}
