//! When a job ends, where its environment does not say so: Slurm before 23.02 sets no `SLURM_JOB_END_TIME`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::time;
use crate::column::Timestamp;

/// A controller that does not answer is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks whether it has answered.
const INTERVAL: Duration = Duration::from_millis(5);

/// When a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// At this time.
    At(Timestamp),
    /// When its work is done.
    Unlimited,
    /// Slurm does not say.
    Unknown,
}

/// Asks `squeue` for the end of a job.
pub fn ask(job: &str) -> JobEnd {
    said(&["-j", job, "-o", "%e %L"]).map_or(JobEnd::Unknown, |text| parse(&text, Timestamp::now()))
}

/// Asks `squeue` whether a job is preempted: its nodes are given to another one, and it is being ended.
pub fn is_preempted(job: &str) -> bool {
    said(&["-t", "all", "-j", job, "-O", "PreemptTime:32"]).is_some_and(|text| tells_preemption(&text))
}

/// What `squeue` says if asked so; `None` if it fails or does not answer.
fn said(arguments: &[&str]) -> Option<String> {
    let mut child = Command::new("squeue")
        .arg("-h")
        .args(arguments)
        // Times are written as this process sees them.
        .env("TZ", "UTC0")
        .env_remove("SLURM_TIME_FORMAT")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    // A line is too little to fill the pipe, so that nobody need read before the end.
    while let Ok(None) = child.try_wait() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(INTERVAL);
    }
    let output = child.wait_with_output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `squeue -h -j ID -O PreemptTime:32` tells the time of a preemption; a job that is not preempted has none.
fn tells_preemption(output: &str) -> bool {
    output.lines().any(|line| time::instant(line.trim()).is_some())
}

/// What `squeue -h -j ID -o '%e %L'` says at the time `now`, in UTC: the end, and the time left.
pub fn parse(output: &str, now: Timestamp) -> JobEnd {
    let mut words = output.split_whitespace();
    let (Some(end), Some(left)) = (words.next(), words.next()) else { return JobEnd::Unknown };
    if let Some(at) = time::instant(end) {
        return JobEnd::At(at);
    }
    match (time::elapsed(left), left) {
        (Some(seconds), _) => JobEnd::At(Timestamp(now.0 + seconds * 1_000_000)),
        (None, "UNLIMITED") => JobEnd::Unlimited,
        (None, _) => JobEnd::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preempted_job_has_a_time_of_preemption() {
        assert!(tells_preemption("2026-11-28T18:07:44             \n"));
        assert!(!tells_preemption("N/A                             \n"));
        assert!(!tells_preemption(""));
    }

    #[test]
    fn ends_as_squeue_tells_them() {
        let now = Timestamp(1_000_000_000_000);
        for (output, end) in [
            ("2026-11-29T15:51:32 1-02:04:00\n", JobEnd::At(Timestamp(1_795_967_492_000_000))),
            ("2026-11-28T13:52:32 INVALID\n", JobEnd::At(Timestamp(1_795_873_952_000_000))),
            ("N/A 5:00\n", JobEnd::At(Timestamp(1_000_300_000_000))),
            ("NONE UNLIMITED\n", JobEnd::Unlimited),
            ("N/A NOT_SET\n", JobEnd::Unknown),
            ("N/A INVALID\n", JobEnd::Unknown),
            ("slurm_load_jobs error: Invalid job id specified\n", JobEnd::Unknown),
            ("", JobEnd::Unknown),
        ] {
            assert_eq!(parse(output, now), end, "{output}");
        }
    }
}
