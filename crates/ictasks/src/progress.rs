//! What the user sees while tasks run: a bar on a terminal, else a line now and then.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ictasks_core::event::{Event, EventBody, EventSink, SinkError};
use ictasks_core::sample::Sample;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::taskfarm as typed;
use crate::console::{Console, line_to_stderr};
use crate::summary::tasks;
use crate::tally::Tally;

/// The plain display's first line comes after this, and each later pause is twice as long.
const FIRST_LINE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const BAR_TICK: Duration = Duration::from_millis(200);

/// Takes events, counts them and shows how far the run is.
pub struct Progress {
    console: Console,
    tally: Arc<Mutex<Tally>>,
    display: Option<Display>,
}

/// A thread that shows the tally until it is told to end.
struct Display {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Begins to show what `choice` says.
    pub fn start(choice: typed::Progress, console: &Console, task_count: Option<u64>) -> Self {
        let tally = Arc::new(Mutex::new(Tally::new(task_count)));
        let choice = match choice {
            _ if console.is_quiet() => typed::Progress::None,
            typed::Progress::Auto if Console::is_watched() => typed::Progress::Bar,
            typed::Progress::Auto => typed::Progress::Plain,
            other => other,
        };
        let display = match choice {
            typed::Progress::Bar => Display::start(&tally, show_bar),
            typed::Progress::Plain => Display::start(&tally, show_lines),
            typed::Progress::Auto | typed::Progress::None => None,
        };
        Self { console: console.clone(), tally, display }
    }

    /// Ends the display; what was counted.
    pub fn finish(mut self) -> Tally {
        if let Some(Display { end, thread }) = self.display.take() {
            drop(end);
            // A display that has died has nothing more to show.
            let _ = thread.join();
        }
        let empty = Tally::new(None);
        std::mem::replace(&mut *lock(&self.tally), empty)
    }
}

impl EventSink for Progress {
    fn events(&mut self, events: &Arc<[Event]>) -> Result<(), SinkError> {
        let mut tally = lock(&self.tally);
        for event in events.iter() {
            tally.count(event);
            if let Some(note) = stop_note(&tally, event) {
                self.console.note(&note);
            }
        }
        Ok(())
    }

    fn samples(&mut self, _samples: Vec<Sample>) -> Result<(), SinkError> {
        Ok(())
    }

    fn warning(&mut self, message: &str) {
        self.console.warning(message);
    }
}

impl Display {
    /// `None` where the system has no more threads: a run does not need to be seen.
    fn start(tally: &Arc<Mutex<Tally>>, show: fn(&Mutex<Tally>, &mpsc::Receiver<()>)) -> Option<Self> {
        let (end, ended) = mpsc::channel();
        let tally = Arc::clone(tally);
        let thread = std::thread::Builder::new().spawn(move || show(&tally, &ended)).ok()?;
        Some(Self { end, thread })
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What somebody who has asked the run to stop waits for.
fn stop_note(tally: &Tally, event: &Event) -> Option<String> {
    let EventBody::StopRequested { message, ends_tasks } = &event.body else { return None };
    if tally.running == 0 {
        return None;
    }
    let tasks = tasks(i64::try_from(tally.running).unwrap_or(i64::MAX));
    Some(match ends_tasks {
        true => format!("stopping: {message}; {tasks} asked to end, a signal more kills at once"),
        false => format!("stopping: {message}; {tasks} will finish, no other will start"),
    })
}

fn show_lines(tally: &Mutex<Tally>, ended: &mpsc::Receiver<()>) {
    let mut pause = FIRST_LINE;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        line_to_stderr(&plain_line(&lock(tally)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn show_bar(tally: &Mutex<Tally>, ended: &mpsc::Receiver<()>) {
    let bar = match lock(tally).task_count {
        Some(count) => {
            ProgressBar::new(count).with_style(style("{bar:30} {pos}/{len} {msg}, {per_sec}, ETA {eta}"))
        }
        None => ProgressBar::no_length().with_style(style("{spinner} {pos} {msg}, {per_sec}")),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    while ended.recv_timeout(BAR_TICK) == Err(RecvTimeoutError::Timeout) {
        let (done, failed, running) = {
            let tally = lock(tally);
            (tally.done(), tally.failed, tally.running)
        };
        bar.set_position(done);
        bar.set_message(format!("done, {failed} failed, {running} running"));
        bar.tick();
    }
    bar.finish_and_clear();
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[allow(clippy::cast_precision_loss)]
fn plain_line(tally: &Tally) -> String {
    let elapsed_s = tally.begun.elapsed().as_secs_f64();
    let rate = tally.done() as f64 / elapsed_s.max(1e-9);
    let of = tally.task_count.map_or_else(String::new, |count| format!(" of {count}"));
    let left = tally.task_count.filter(|_| tally.done() > 0).map_or_else(String::new, |count| {
        let left_s = count.saturating_sub(tally.done()) as f64 / rate;
        format!(", about {} left", duration(left_s))
    });
    format!(
        "{}: {}{of} done, {} failed, {} running, {rate:.1}/s{left}",
        duration(elapsed_s),
        tally.done(),
        tally.failed,
        tally.running,
    )
}

/// A duration for people: `12.3 s`, `4 min 05 s`, `3 h 20 min`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        assert_eq!(duration(12.34), "12.3 s");
        assert_eq!(duration(245.0), "4 min 05 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
    }

    #[test]
    fn a_plain_line_says_how_far_the_run_is() {
        let mut tally = Tally::new(Some(10));
        tally.succeeded = 3;
        tally.not_succeeded = 1;
        tally.failed = 1;
        tally.running = 2;
        let line = plain_line(&tally);
        assert!(line.contains("4 of 10 done, 1 failed, 2 running"), "{line}");
    }
}
