//! The calls of the kernel and of the C library that have no safe wrapper in `rustix`.
//!
//! This is the one module of the workspace with `unsafe` code: forking, spawning (`spawn`), waiting with
//! resource usage, signals, timers, passing file descriptors, and shared memory. Every function here is safe to call; each `unsafe` block says why it is sound.
#![allow(unsafe_code)]

mod kill_timer;
mod spawn;

use std::ffi::c_int;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub use kill_timer::KillTimer;
pub use spawn::{SpawnError, Spawner, Streams};

/// Resource usage and wait status of one reaped process.
pub struct Reaped {
    /// Its process id.
    pub pid: i32,
    /// The wait status, as `waitpid` gives it.
    pub status: i32,
    /// Its usage and that of the children it waited for.
    pub usage: libc::rusage,
}

/// What [`wait_any`] found.
pub enum Wait {
    /// A process ended.
    Reaped(Box<Reaped>),
    /// There are children, and none has ended.
    Running,
    /// There are no children.
    NoChildren,
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Reaps one child that has ended, without waiting.
pub fn wait_any() -> io::Result<Wait> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live storage of the right type; rusage is plain numbers.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    match pid {
        0 => Ok(Wait::Running),
        // SAFETY: zeroed, then filled in by the kernel.
        1.. => Ok(Wait::Reaped(Box::new(Reaped { pid, status, usage: unsafe { usage.assume_init() } }))),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(Wait::NoChildren),
            error => Err(error),
        },
    }
}

/// Exit code of a wait status, if the process exited.
pub fn exit_code(status: i32) -> Option<i32> {
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// Signal of a wait status, if the process died of one.
pub fn term_signal(status: i32) -> Option<i32> {
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

/// Largest resident size this process ever had, bytes: the floor of what its children show.
pub fn own_max_rss_bytes() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to live storage of the right type, plain numbers, zeroed before.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_maxrss * 1024
}

/// Time since the start of the machine, in which it slept counted.
pub fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Nanoseconds of the monotonic clock, the same for all processes of the host.
pub fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the process id of the new.
    Parent(i32),
}

/// Forks. Only for a process without threads: the child goes on with ordinary Rust code.
pub fn fork_single_threaded() -> io::Result<Fork> {
    // SAFETY: the agent calls this before it starts any thread, so no lock is held in the child.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// As [`fork_single_threaded`], but [`wait_any`] of the parent passes the child over, alive or not, and no
/// signal tells of its end ("clone children" in wait(2)): until it executes a program. [`wait_hidden`] waits for it.
pub fn fork_hidden() -> io::Result<Fork> {
    // SAFETY: without flags and stack this is fork, for a process without threads; the C library's own
    // handlers around a fork are for threads. The C library's idea of its thread's number is the parent's, as in
    // the children of `Spawner`; nothing here asks for it.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Fork::Child),
        Ok(pid @ 1..) => Ok(Fork::Parent(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for a child made by [`fork_hidden`], or only looks; its status, `None` while it lives.
pub fn wait_hidden(pid: i32, only_looks: bool) -> io::Result<Option<i32>> {
    let mut status = 0;
    let flags = libc::__WCLONE | if only_looks { libc::WNOHANG } else { 0 };
    loop {
        // SAFETY: the pointer is to live storage.
        match check(unsafe { libc::waitpid(pid, &raw mut status, flags) }) {
            Ok(reaped) => return Ok((reaped != 0).then_some(status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Closes every descriptor of this process but the standard streams and these. For a process that will run
/// nothing of what its parent had open.
pub fn close_all_but(kept: &[i32]) {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2 && !kept.contains(number)) {
        // SAFETY: by the condition above no owner of the descriptor acts any more.
        unsafe { libc::close(number) };
    }
}

/// Whether a process of its own may write `bytes` into `file`. For a process without threads.
pub fn child_can_write(file: &std::fs::File, bytes: &[u8]) -> bool {
    match fork_single_threaded() {
        Ok(Fork::Child) => exit_now(i32::from((&mut { file }).write_all(bytes).is_err())),
        Ok(Fork::Parent(pid)) => {
            let mut status = 0;
            // SAFETY: the pointer is to live storage.
            unsafe { libc::waitpid(pid, &raw mut status, 0) == pid && exit_code(status) == Some(0) }
        }
        Err(_) => false,
    }
}

/// Ends the process at once, without running what the parent registered for its own end.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; nothing of this process is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Makes orphans among the descendants children of this process.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: prctl with plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Has the kernel send `signal` to this process when its parent dies.
pub fn signal_on_parent_death(signal: i32) -> io::Result<()> {
    // SAFETY: prctl with plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) }).map(drop)
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set of these signals.
    pub fn of(signals: &[i32]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set, sigaddset then works on an initialised one.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            Self(set.assume_init())
        }
    }

    /// Whether a signal is in it.
    pub fn contains(&self, signal: i32) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }
}

/// Waits until one of the set's (blocked) signals is pending, and takes it; `None` after `timeout`.
pub fn wait_signal(set: &SignalSet, timeout: Duration) -> Option<i32> {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: both point to live storage; without a third argument nothing more is told.
    let number = unsafe { libc::sigtimedwait(&raw const set.0, std::ptr::null_mut(), &raw const timeout) };
    (number > 0).then_some(number)
}

/// A descriptor that is readable while one of the set's (blocked) signals is pending; reading takes it.
pub fn signal_descriptor(set: &SignalSet) -> io::Result<OwnedFd> {
    // SAFETY: the set is live; the new descriptor is owned by nobody else.
    unsafe {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        Ok(OwnedFd::from_raw_fd(check(libc::signalfd(-1, &raw const set.0, flags))?))
    }
}

/// Sends a signal; errors (the process has just ended) do not matter to any caller.
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid, signal) };
}

/// The signals that this process ignores.
pub fn ignored_signals() -> Vec<i32> {
    let is_ignored = |signal: &i32| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: without a new disposition sigaction only tells the present one; a zeroed one is valid.
        unsafe {
            libc::sigaction(*signal, std::ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=libc::SIGRTMAX()).filter(is_ignored).collect()
}

/// Ignores signals from now on.
pub fn ignore_signals(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: SIG_IGN is a valid disposition.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Sends bytes together with file descriptors, [`MOST_DESCRIPTORS`] at most. Returns how many bytes were sent.
pub fn send_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, flags)?)
}

/// As many descriptors as one message may carry here.
pub const MOST_DESCRIPTORS: usize = 8;

/// Gives every signal its default disposition, but for those of a set, which are ignored, and blocks them all: so
/// the process ignores them (but for SIGKILL and SIGSTOP), and what it starts begins with these dispositions.
pub fn reset_signals(ignored: &SignalSet) {
    for signal in 1..=libc::SIGRTMAX() {
        let disposition = if ignored.contains(signal) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: both are valid dispositions; for signals that have none this fails harmlessly.
        unsafe { libc::signal(signal, disposition) };
    }
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set before it is read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// Memory for `count` values that this process and its children share.
///
/// `T` must be valid when all its bytes are zero and may only change through atomics; the trait
/// [`Zeroed`] says so.
pub fn shared_memory<T: Zeroed>(count: usize) -> io::Result<&'static [T]> {
    let bytes = (count * size_of::<T>()).max(1);
    // SAFETY: a fresh anonymous mapping is page-aligned, zeroed, and never unmapped; `T: Zeroed`
    // makes its zero bytes valid values.
    unsafe {
        let memory = rustix::mm::mmap_anonymous(
            std::ptr::null_mut(),
            bytes,
            rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
            rustix::mm::MapFlags::SHARED,
        )?;
        Ok(std::slice::from_raw_parts(memory.cast::<T>(), count))
    }
}

/// Marks types that are valid with all bytes zero and consist of atomics only.
///
/// # Safety
/// Implement it for such types only.
pub unsafe trait Zeroed: Sync {}

// SAFETY: a struct of atomic integers.
unsafe impl Zeroed for crate::shared::SlotCell {}
// SAFETY: a struct of atomic integers.
unsafe impl Zeroed for crate::requests::Requests {}
// SAFETY: an atomic integer.
unsafe impl Zeroed for crate::slot_log::Torn {}

/// Takes ownership of standard input or output, replacing it by `/dev/null` for later children.
pub fn take_standard_stream(number: i32) -> io::Result<OwnedFd> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: the new descriptor is owned by nobody else; dup2 onto 0 or 1 closes nothing that
    // Rust code owns, since this process uses std's handles of these streams nowhere.
    unsafe {
        let taken = OwnedFd::from_raw_fd(check(libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3))?);
        check(libc::dup2(null.as_raw_fd(), number))?;
        Ok(taken)
    }
}

/// Takes ownership of a descriptor that this process was started with; no child inherits it any more.
///
/// To be called once for a number, before this process opens anything of its own: what is open then under that number
/// is nobody else's.
pub fn take_descriptor(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl fails on a number that is not open; by the condition above no other owner exists.
    unsafe {
        let flags = check(libc::fcntl(number, libc::F_GETFD))?;
        check(libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}
