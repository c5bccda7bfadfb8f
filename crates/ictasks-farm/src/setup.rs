//! What every agent of a run is told at its start.

use ictasks_core::plan::Plan;
use ictasks_core::protocol::{PROTOCOL_VERSION, Setup};

use crate::dispatcher::Session;

/// The setup of the agent of this machine.
pub fn setup(plan: &Plan, session: &Session) -> Setup {
    Setup {
        protocol_version: PROTOCOL_VERSION,
        run_id: session.run_id.clone(),
        session: session.number,
        job_id: plan.job_id.clone(),
        host_id: 0,
        clock_offset_s: 0.0,
        run_dir: plan.run_dir.clone(),
        submit_dir: plan.submit_dir.clone(),
        workers: plan.workers.clone(),
        cores_per_task: plan.task_distribution.cores_per_task,
        shell: plan.shell.clone(),
        call_server: plan.call_server.clone(),
        cwd: plan.cwd,
        stdout_filename: plan.stdout_filename.clone(),
        stderr_filename: plan.stderr_filename.clone(),
        environment: plan.environment.clone(),
        sample_interval_s: plan.sample_interval_s,
        pin_cores: plan.pin_cores,
        kill_grace_s: plan.limits.kill_grace_s,
        memory_per_task_bytes: plan.limits.memory_per_task_bytes,
        enforce_memory: plan.limits.enforce_memory,
        max_output: plan.max_output,
        task_files: plan.task_files,
        stopping_conditions: plan.limits.stopping_conditions.clone(),
        gpu_binding: plan.gpu_binding,
    }
}
