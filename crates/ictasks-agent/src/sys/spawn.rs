//! Starting programs.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{SignalSet, check};

/// What the child of [`Spawner::spawn`] gets as standard input, output and error. None of them
/// may have the number 0, 1 or 2.
pub struct Streams<'a> {
    /// Standard input.
    pub stdin: BorrowedFd<'a>,
    /// Standard output.
    pub stdout: BorrowedFd<'a>,
    /// Standard error.
    pub stderr: BorrowedFd<'a>,
    /// `cgroup.procs` of the cgroup that it is to be in, if not in this process's.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Whether it is to be killed when this process dies.
    pub dies_with_parent: bool,
}

/// Why [`Spawner::spawn`] started nothing.
pub enum SpawnError {
    /// The kernel gave no process, or did not let it into its cgroup.
    Process(io::Error),
    /// The program could not be executed.
    Exec(io::Error),
}

/// Starts processes: own process group, empty signal mask.
///
/// As `posix_spawn` does it, with a child that borrows this process's memory until it calls
/// `execve`, but without its cost: glibc asks for the disposition of every signal and maps a new
/// stack each time, some 150 system calls a process. A slot has the dispositions that its tasks begin with
/// ([`reset_signals`]) and its own stack for this.
pub struct Spawner {
    stack: Box<[MaybeUninit<StackLine>]>,
}

/// Keeps the stack aligned as every ABI wants it.
#[repr(align(64))]
struct StackLine {
    _bytes: [u8; 64],
}

/// What the child needs, and where it says why it failed.
struct ChildPlan {
    program: *const c_char,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
    streams: [c_int; 3],
    /// -1 for none.
    cgroup: c_int,
    dies_with_parent: bool,
    mask: libc::sigset_t,
    error: c_int,
    /// Whether `error` is that of `execve`.
    is_exec_error: bool,
}

impl Spawner {
    const STACK_LINES: usize = 64 * 1024 / size_of::<StackLine>();

    /// With a stack for the children.
    pub fn new() -> Self {
        Self { stack: Box::new_uninit_slice(Self::STACK_LINES) }
    }

    /// Starts `program` with these arguments and environment.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(
        &mut self,
        program: &CStr,
        arguments: &[&CStr],
        environment: &[&CStr],
        streams: &Streams<'_>,
    ) -> Result<i32, SpawnError> {
        let argv = pointers(arguments);
        let envp = pointers(environment);
        let mut plan = ChildPlan {
            program: program.as_ptr(),
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            streams: [&streams.stdin, &streams.stdout, &streams.stderr].map(AsRawFd::as_raw_fd),
            cgroup: streams.cgroup.map_or(-1, |cgroup| cgroup.as_raw_fd()),
            dies_with_parent: streams.dies_with_parent,
            mask: SignalSet::of(&[]).0,
            error: 0,
            is_exec_error: false,
        };
        // SAFETY: with CLONE_VFORK this process sleeps until the child has called execve or _exit,
        // so plan, argv, envp and stack outlive the child's use of them, and nothing else runs in
        // the shared memory meanwhile. The stack grows down from its end. The child calls only
        // async-signal-safe functions (see `child`).
        let pid = unsafe {
            let top = self.stack.as_mut_ptr_range().end;
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            check(libc::clone(child, top.cast(), flags, (&raw mut plan).cast()))
                .map_err(SpawnError::Process)?
        };
        // SAFETY: the child wrote them before it ended; the compiler must not assume the old values.
        let (error, is_exec_error) = unsafe {
            ((&raw const plan.error).read_volatile(), (&raw const plan.is_exec_error).read_volatile())
        };
        if error == 0 {
            return Ok(pid);
        }
        // SAFETY: plain numbers; the child has ended and is reaped here, not as a task.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        let error = io::Error::from_raw_os_error(error);
        Err(if is_exec_error { SpawnError::Exec(error) } else { SpawnError::Process(error) })
    }
}

/// The child between `clone` and `execve`.
extern "C" fn child(plan: *mut libc::c_void) -> c_int {
    let plan = plan.cast::<ChildPlan>();
    // SAFETY: `plan` points to the ChildPlan of `spawn`, which nobody else uses meanwhile. Only
    // system calls follow. errno is the parent's; it does not read it after clone has returned.
    unsafe {
        libc::setpgid(0, 0);
        if (*plan).dies_with_parent {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        }
        let is_in_cgroup = (*plan).cgroup < 0 || libc::write((*plan).cgroup, b"0".as_ptr().cast(), 1) == 1;
        for (target, stream) in (0..).zip((*plan).streams) {
            libc::dup2(stream, target);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const (*plan).mask, std::ptr::null_mut());
        if is_in_cgroup {
            libc::execve((*plan).program, (*plan).argv.cast(), (*plan).envp.cast());
        }
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        (&raw mut (*plan).is_exec_error).write_volatile(is_in_cgroup);
        (&raw mut (*plan).error).write_volatile(error);
        libc::_exit(127);
    }
}

fn pointers(strings: &[&CStr]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}
