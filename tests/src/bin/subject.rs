//! The task that tests run: a program that does one known thing, so that the record can be
//! compared with what really happened.
//!
//! ```text
//! subject exit N                        exits with this code
//! subject signal NAME                   dies of KILL, SEGV or TERM, without a core dump
//! subject touch MIB                     touches so much memory
//! subject cpu SECONDS                   uses so much CPU time
//! subject cpu-children COUNT SECONDS    the same, divided among children
//! subject write-read PATH MIB           writes a file and reads it again
//! subject sleep SECONDS
//! subject await PATH                    waits until a file exists
//! subject leave KIND PIDFILE [SECONDS]  leaves a process behind: plain, setsid or daemon, which
//!                                       has used so much CPU time when this one exits
//! subject orphan MIB SECONDS            dies of KILL while its child, which has touched and used
//!                                       so much, still runs
//! subject stubborn PIDFILE              ignores TERM and does not end by itself
//! subject effect PATH MILLISECONDS      appends `begin ATTEMPT` to a file, waits, appends `end ATTEMPT`
//! subject effect-hard PATH MILLISECONDS the same, ignoring TERM, and leaves a child that ignores it
//! subject crowd COUNT PIDFILE           starts so many processes that ignore TERM, and waits for ever
//! subject fork-bomb                     forks and lets its children do the same, for ever
//! subject shout STREAM MIB              writes so much to `stdout` or `stderr`, in one line
//! subject close-output                  closes its standard output and standard error, succeeds
//! subject print-env NAME...             prints variables, a line each
//! subject print-args WORD...            prints its arguments, a line each
//! ```

use std::env;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// How long what never ends by itself runs at most: longer than any test.
const LONG: Duration = Duration::from_secs(900);

const MIB: usize = 1 << 20;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("subject: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[String]) -> io::Result<u8> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["exit", code] => return number(code),
        ["signal", name] => sys::die(name)?,
        ["touch", mib] => touch(number(mib)?),
        ["cpu", seconds] => burn(number(seconds)?),
        ["cpu-children", count, seconds] => burn_in_children(number(count)?, number(seconds)?)?,
        ["write-read", path, mib] => write_and_read(Path::new(path), number(mib)?)?,
        ["sleep", seconds] => thread::sleep(Duration::from_secs_f64(number(seconds)?)),
        ["await", path] => wait_for_file(Path::new(path)),
        ["leave", kind, pidfile] => leave(kind, pidfile, "0")?,
        ["leave", kind, pidfile, seconds] => leave(kind, pidfile, seconds)?,
        ["linger", mib, seconds, pidfile] => linger(number(mib)?, number(seconds)?, pidfile)?,
        ["linger-in-session", seconds, pidfile] => {
            sys::new_session();
            linger(0, number(seconds)?, pidfile)?;
        }
        ["fork-away", seconds, pidfile] => {
            sys::new_session();
            start(&["linger", "0", seconds, pidfile])?;
        }
        ["orphan", mib, seconds] => {
            start(&["linger", mib, seconds, "orphan.pid"])?;
            wait_for_file(Path::new("orphan.pid"));
            sys::die("KILL")?;
        }
        ["stubborn", pidfile] => {
            sys::ignore_termination();
            linger(0, 0.0, pidfile)?;
        }
        ["effect", path, milliseconds] => effect(path, number(milliseconds)?)?,
        ["effect-hard", path, milliseconds] => {
            sys::ignore_termination();
            start(&["linger-in-session", "0", "left.pid"])?;
            wait_for_file(Path::new("left.pid"));
            effect(path, number(milliseconds)?)?;
        }
        ["crowd", count, pidfile] => {
            sys::ignore_termination();
            for _ in 0..number::<u32>(count)? {
                sys::fork_and_wait_for_ever()?;
            }
            linger(0, 0.0, pidfile)?;
        }
        ["fork-bomb"] => sys::fork_bomb(),
        ["shout", stream, mib] => shout(stream, number(mib)?)?,
        ["close-output"] => sys::close_output(),
        ["print-env", ref names @ ..] => {
            for name in names {
                println!("{name}={}", env::var(name).as_deref().unwrap_or("(not set)"));
            }
        }
        ["print-args", ref arguments @ ..] => {
            for argument in arguments {
                println!("{argument}");
            }
        }
        _ => return Err(io::Error::other(format!("what is {words:?}?"))),
    }
    Ok(0)
}

fn number<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    let wrong = |_| io::Error::other(format!("`{word}` is not a number that fits"));
    word.parse().map_err(wrong)
}

fn touch(mib: usize) {
    black_box(vec![1_u8; mib * MIB]);
}

fn burn(seconds: f64) {
    let mut value = 0_u64;
    while sys::cpu_seconds() < seconds {
        for step in 0..10_000_u64 {
            value = black_box(value.wrapping_mul(31).wrapping_add(step));
        }
    }
}

fn burn_in_children(count: u32, seconds: f64) -> io::Result<()> {
    let share = (seconds / f64::from(count)).to_string();
    let started: io::Result<Vec<_>> = (0..count).map(|_| start(&["cpu", &share])).collect();
    for mut child in started? {
        child.wait()?;
    }
    Ok(())
}

fn write_and_read(path: &Path, mib: usize) -> io::Result<()> {
    let mut block = vec![7_u8; MIB];
    let mut file = File::create(path)?;
    for _ in 0..mib {
        file.write_all(&block)?;
    }
    drop(file);
    let mut file = File::open(path)?;
    for _ in 0..mib {
        file.read_exact(&mut block)?;
    }
    fs::remove_file(path)
}

/// Leaves marks that can be counted, each in one write.
fn effect(path: &str, milliseconds: u64) -> io::Result<()> {
    let attempt = env::var("ICTASKS_ATTEMPT").unwrap_or_default();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("begin {attempt}\n").as_bytes())?;
    thread::sleep(Duration::from_millis(milliseconds));
    file.write_all(format!("end {attempt}\n").as_bytes())
}

fn shout(stream: &str, mib: usize) -> io::Result<()> {
    let block = vec![b'x'; MIB];
    let mut output: Box<dyn Write> = match stream {
        "stdout" => Box::new(io::stdout()),
        _ => Box::new(io::stderr()),
    };
    (0..mib).try_for_each(|_| output.write_all(&block))
}

/// Leaves a process behind and returns when it stands on its own feet.
fn leave(kind: &str, pidfile: &str, seconds: &str) -> io::Result<()> {
    match kind {
        "plain" => drop(start(&["linger", "0", seconds, pidfile])?),
        "setsid" => drop(start(&["linger-in-session", seconds, pidfile])?),
        "daemon" => {
            start(&["fork-away", seconds, pidfile])?.wait()?;
        }
        other => return Err(io::Error::other(format!("what is `{other}`?"))),
    }
    wait_for_file(Path::new(pidfile));
    Ok(())
}

/// Touches memory and uses CPU time, then writes its process id down and stays.
fn linger(mib: usize, seconds: f64, pidfile: &str) -> io::Result<()> {
    let memory = black_box(vec![1_u8; mib * MIB]);
    burn(seconds);
    let unfinished = format!("{pidfile}.new");
    fs::write(&unfinished, std::process::id().to_string())?;
    fs::rename(unfinished, pidfile)?;
    thread::sleep(LONG);
    drop(memory);
    Ok(())
}

fn wait_for_file(path: &Path) {
    let step = Duration::from_millis(2);
    for _ in 0..LONG.as_millis() / step.as_millis() {
        if path.exists() {
            return;
        }
        thread::sleep(step);
    }
}

/// Starts this program again with other words.
fn start(words: &[&str]) -> io::Result<std::process::Child> {
    Command::new(env::current_exe()?).args(words).spawn()
}

mod sys {
    //! The system calls that the standard library has no safe form of.
    #![allow(
        unsafe_code,
        reason = "signals, sessions and CPU clocks have no safe form in the standard library"
    )]

    use std::io;

    /// Dies of a signal, and leaves no core file.
    pub fn die(name: &str) -> io::Result<()> {
        let signal = match name {
            "KILL" => libc::SIGKILL,
            "SEGV" => libc::SIGSEGV,
            "TERM" => libc::SIGTERM,
            other => return Err(io::Error::other(format!("no signal `{other}` here"))),
        };
        // SAFETY: plain integers; the runtime's handler of SEGV is replaced by the default action
        // before the signal is sent, and nothing of Rust runs after it.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
        }
        Err(io::Error::other("survived its signal"))
    }

    pub fn ignore_termination() {
        // SAFETY: SIG_IGN runs no code in this process.
        unsafe {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
        }
    }

    /// Starts a process that waits until it is killed.
    pub fn fork_and_wait_for_ever() -> io::Result<()> {
        // SAFETY: this program has one thread; the child only sleeps.
        unsafe {
            match libc::fork() {
                -1 => Err(io::Error::last_os_error()),
                0 => loop {
                    libc::pause();
                },
                _ => Ok(()),
            }
        }
    }

    /// Forks, the children too, until somebody ends all of them.
    pub fn fork_bomb() {
        loop {
            // SAFETY: this program has one thread; parent and child go on with the loop alone.
            unsafe {
                if libc::fork() == -1 {
                    libc::usleep(1000);
                }
            }
        }
    }

    pub fn close_output() {
        // SAFETY: nothing is written to them after this.
        unsafe {
            libc::close(1);
            libc::close(2);
        }
    }

    pub fn new_session() {
        // SAFETY: no arguments, no memory.
        unsafe {
            libc::setsid();
        }
    }

    /// CPU time that this process has used, in seconds.
    pub fn cpu_seconds() -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes to a timespec that lives here.
        unsafe {
            libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
        }
        #[allow(clippy::cast_precision_loss, reason = "seconds and nanoseconds are small")]
        let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        seconds
    }
}
