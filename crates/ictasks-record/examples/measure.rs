//! Measures the recorder: cost of an event, time of the end, peak memory.
//!
//! `cargo run --release -p ictasks-record --example measure -- DIR TASKS [TASKS_PER_S]`
//!
//! A directory that holds a record already is gone on with, by other tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody, EventSink};
use ictasks_record::{Recorder, RecorderOptions, Recovered, RunEnd, RunFile, RunLock, RunState, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let run_dir = PathBuf::from(arguments.next().ok_or("a directory is missing")?);
    let tasks: i64 = arguments.next().ok_or("a number of tasks is missing")?.parse()?;
    let rate: Option<f64> = arguments.next().map(|rate| rate.parse()).transpose()?;
    let lock = RunLock::take(&run_dir, "here")?;
    let start = Instant::now();
    let recovered = Recovered::open(&lock)?;
    println!("open {:.1} ms, {}", start.elapsed().as_secs_f64() * 1e3, peak()?);
    let (first, session) = recovered.as_ref().map_or((0, 0), |found| (found.next_seq, found.next_session));
    let mut run = match &recovered {
        Some(recovered) => recovered.run.clone(),
        None => RunFile::new("0.3.0", "measured", "measure", serde_json::Map::new()),
    };
    run.sessions.push(Session::begin(session, Vec::new(), serde_json::Value::Null, "here"));
    let start = Instant::now();
    // The history stays, as in a program that goes on.
    let (history, repair) = recovered.map(|found| (found.history, found.repair)).unzip();
    let mut recorder = Recorder::start(RecorderOptions { lock, run, repair })?;
    println!("start {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let before = cpu_s();
    let start = Instant::now();
    for index in first..first + tasks {
        let seq = 2 * index - first;
        recorder.events(&Arc::from([event(seq, started(index))]))?;
        recorder.events(&Arc::from([event(seq + 1, finished(index))]))?;
        if let Some(rate) = rate {
            #[allow(clippy::cast_precision_loss)]
            let due = Duration::from_secs_f64((index - first) as f64 / rate);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    let sent = start.elapsed().as_secs_f64();
    let after = cpu_s();
    let begin = Instant::now();
    let end = RunEnd {
        state: RunState::Finished,
        how_it_ended: "measured".to_owned(),
        exit_code: 0,
        list_complete: true,
    };
    let finished = recorder.finish(end)?;
    let last = cpu_s();
    #[allow(clippy::cast_precision_loss)]
    let events = (2 * tasks) as f64;
    println!("sent in {sent:.3} s, {:.2} us of CPU an event", (after - before) / events * 1e6);
    println!(
        "finish {:.1} ms, {:.2} us of CPU an event",
        begin.elapsed().as_secs_f64() * 1e3,
        (last - after) / events * 1e6
    );
    println!("peak {}", peak()?);
    println!("{} tasks before; {:?}", history.map_or(0, |history| history.len()), finished.totals);
    Ok(())
}

/// CPU time of this process with all its threads, ended ones too, in steps of 10 ms.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(line.unwrap_or_default().to_owned())
}

fn event(seq: i64, body: EventBody) -> Event {
    Event { seq, at: Timestamp::now(), session: 0, body }
}

fn started(index: i64) -> EventBody {
    EventBody::TaskStarted {
        task_id: index.to_string(),
        task_index: index,
        attempt: 1,
        host: "here".to_owned(),
        worker_id: 0,
        pid: 1000 + index % 30_000,
    }
}

fn finished(index: i64) -> EventBody {
    let now = Timestamp::now();
    let noise = index.wrapping_mul(2_654_435_761) % 1000;
    #[allow(clippy::cast_precision_loss)]
    let seconds = noise as f64 / 1e6;
    EventBody::TaskFinished(Box::new(Attempt {
        run_id: "0198f3a0-0000-7000-8000-000000000000".to_owned(),
        session: 0,
        task_id: index.to_string(),
        task_index: index,
        attempt: 1,
        command: format!("/usr/bin/simulate --input data/{index}.dat --seed {noise}"),
        command_hash: index.wrapping_mul(0x0100_0000_01b3),
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        host: Some("here".to_owned()),
        host_id: Some(0),
        worker_id: Some(0),
        cores: Some(vec![0]),
        gpus: Some(Vec::new()),
        core_count: Some(1),
        gpu_count: Some(0),
        pid: Some(1000 + index % 30_000),
        ready_at: Some(Timestamp(0)),
        started_at: Some(now),
        finished_at: Some(now.plus_seconds(seconds)),
        stopped_s: 0.0,
        wait_s: Some(seconds),
        wall_s: Some(seconds),
        user_s: Some(seconds / 2.0),
        system_s: Some(seconds / 3.0),
        max_process_rss_bytes: Some(1_300_000 + 4096 * noise),
        rss_floor_bytes: Some(1_000_000),
        sample_count: 0,
        minor_fault_count: Some(80 + noise),
        major_fault_count: Some(0),
        voluntary_switch_count: Some(noise % 3),
        involuntary_switch_count: Some(noise % 2),
        storage_read_bytes: Some(0),
        storage_write_bytes: Some(0),
        syscall_read_bytes: Some(5000 + noise),
        syscall_write_bytes: Some(100 + noise),
        read_call_count: Some(noise % 20),
        write_call_count: Some(noise % 7),
        stdout_bytes: Some(noise),
        stderr_bytes: Some(0),
        leftover_process_count: Some(0),
        ..Attempt::default()
    }))
}
