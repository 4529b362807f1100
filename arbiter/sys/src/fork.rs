//! Forking: the arbiter's one plain fork, and the template's double fork whose grandchild the arbiter adopts.
//!
//! Raw `clone(CLONE_PARENT)` would make a sibling in one step, but leaves glibc's cached thread id wrong and skips
//! `pthread_atfork`. So the template forks twice: the process between exits at once, and the kernel hands the grandchild to
//! the nearest subreaper, which is the arbiter.
//!
//! What the new process does is the caller's: the arbiter's `spawn` and the worker library's `template`. Forks that other code
//! makes in a template or worker are watched ([`watch`]).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe};

use crate::signals::Disposition;

/// Which side of a fork the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that called; `pid` is the new process.
    Parent {
        /// The new process.
        pid: i32,
    },
    /// The new process.
    Child,
}

/// Forks a single-threaded process.
///
/// # Errors
/// The errno of fork(2); `EBUSY` where this process has other threads: the child could hold their locks for ever.
pub fn single_threaded() -> io::Result<Side> {
    if crate::environment::threads() > 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: with one thread no lock can be held by a thread that the child lacks.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Side::Parent { pid: child.as_raw() }),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Forks a grandchild that `adopter` (an ancestor that is a subreaper) becomes the parent of.
///
/// Returns in the caller with the grandchild's pid, and in the grandchild once it has been adopted. Threads of the caller
/// do not exist in the grandchild: the caller brackets this with `PyOS_BeforeFork` and its counterparts, which is what
/// makes the interpreter's locks consistent there.
///
/// # Errors
/// The errno of pipe(2) or fork(2), `ECHILD` where the process between died before it could say what it forked.
pub fn adopted_by(adopter: i32) -> io::Result<Side> {
    IS_OWN.set(true);
    let side = fork_twice(adopter);
    IS_OWN.set(false);
    if let Ok(Side::Child) = side {
        // Whoever has copies of what the template had open has none of what this process will open.
        HAS_FORKED.store(false, Relaxed);
    }
    side
}

fn fork_twice(adopter: i32) -> io::Result<Side> {
    let (reader, writer) = pipe()?;
    // SAFETY: until it exits, the process between only forks, writes and exits, all async-signal-safe.
    match unsafe { fork() }? {
        ForkResult::Parent { child: between } => {
            drop(writer);
            let mut answer = [0; 4];
            let read = File::from(reader).read_exact(&mut answer);
            // Only so that no zombie stays. An application that ignores SIGCHLD, or reaps what it finds, has left none.
            while waitpid(between, None) == Err(Errno::EINTR) {}
            let pid = read.map(|()| i32::from_ne_bytes(answer)).map_err(|_| errno(libc::ECHILD))?;
            if pid < 0 { Err(errno(-pid)) } else { Ok(Side::Parent { pid }) }
        }
        ForkResult::Child => {
            drop(reader);
            let between = getpid();
            // SAFETY: as above for the parent's side; the grandchild's side is the one documented on `adopted_by`.
            let answer = match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    drop(writer);
                    await_adoption(between, adopter);
                    return Ok(Side::Child);
                }
                Ok(ForkResult::Parent { child }) => child.as_raw(),
                Err(error) => -(error as i32),
            };
            // A template that died meanwhile makes this write fail; there is nobody left to tell.
            let _ = File::from(writer).write_all(&answer.to_ne_bytes());
            exit_now(0)
        }
    }
}

/// Waits out the moment between the death of the process between and its child's adoption.
fn await_adoption(between: Pid, adopter: i32) {
    while getppid() == between {
        std::thread::sleep(Duration::from_micros(20));
    }
    if getppid().as_raw() != adopter {
        // The arbiter died first. Nobody would supervise this process, so it never starts.
        exit_now(0);
    }
}

/// What is done around each fork of a process. All of it runs in the thread that forks, and what runs in the new process may
/// only do what is async-signal-safe (signal-safety(7)), or give back what `before` has taken.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// Before the fork.
    pub before: fn(),
    /// In the new process, first of all, if it was not forked by [`adopted_by`].
    pub in_foreign_child: fn(),
    /// After the fork, in both processes.
    pub after: fn(),
}

/// What [`watch`] was given, and what the signals do that the server handles.
static WATCH: OnceLock<(Around, Disposition)> = OnceLock::new();
/// Whether this process has forked, or begun to, since [`watch`] or since [`adopted_by`] made it.
static HAS_FORKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread forks by [`adopted_by`].
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
    /// What this thread held back of signals before it began to fork.
    static MASK: Cell<Option<SigSet>> = const { Cell::new(None) };
}

/// Watches the forks of this process and of those that it forks, by whatever code (pthread_atfork(3)); programs that are
/// started by vfork(2) or posix_spawn(3) do not count, since they keep neither memory nor descriptors.
///
/// In a process that was not forked by [`adopted_by`], signals that have the same handler as `handled` get their default
/// effect back before any can come: that handler is the server's, which has no business there. To be called once a process.
///
/// # Errors
/// The errno of pthread_atfork(3) or sigaction(2).
pub fn watch(around: Around, handled: Signal) -> io::Result<()> {
    let servers = Disposition::of(handled as i32)?;
    WATCH.get_or_init(|| (around, servers));
    // SAFETY: the handlers are plain functions of this library, which is never unloaded. Between the fork and their end those
    // of the child make async-signal-safe calls only; see there, and `Around`.
    match unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) } {
        0 => Ok(()),
        code => Err(errno(code)),
    }
}

extern "C" fn before_fork() {
    // From here on: what other threads close while the fork is under way may be held by the new process.
    HAS_FORKED.store(true, Relaxed);
    if let Some((around, _)) = WATCH.get() {
        (around.before)();
    }
    // So that no signal finds the new process with the handlers of this one.
    let mut mask = SigSet::empty();
    let held = nix::sys::signal::pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask));
    MASK.set(held.ok().map(|()| mask));
}

extern "C" fn in_child() {
    if let Some((around, servers)) = WATCH.get()
        && !IS_OWN.get()
    {
        servers.reset();
        (around.in_foreign_child)();
    }
    after_fork();
}

extern "C" fn after_fork() {
    if let Some((around, _)) = WATCH.get() {
        (around.after)();
    }
    if let Some(mask) = MASK.take() {
        // It fails for no mask that was this thread's own.
        let _ = mask.thread_set_mask();
    }
}

/// Whether another process may have copies of this one's descriptors.
#[must_use]
pub fn has_forked() -> bool {
    HAS_FORKED.load(Relaxed)
}

/// Ends this process at once, whatever its other threads are at: no destructors, no `atexit`, no flush of buffers that a
/// parent still owns. For a process that must not return into its parent's frames, and for one that can't end in order because
/// a thread of it is stuck in C code.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes any value and returns to nobody.
    unsafe { libc::_exit(code) }
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that is to end.
    const ENDS: &str = "TAPSTER_TEST_EXIT_NOW";

    extern "C" fn end_in_order() {
        exit_now(9);
    }

    #[test]
    fn exit_now_waits_for_no_thread_and_runs_nothing_that_was_to_run_at_the_end() {
        if std::env::var_os(ENDS).is_some() {
            // SAFETY: the function is there for as long as the process, and neither unwinds nor returns.
            assert_eq!(unsafe { libc::atexit(end_in_order) }, 0);
            std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60)));
            exit_now(7);
        }
        let mut itself = Command::new(std::env::current_exe().unwrap());
        let name = "fork::tests::exit_now_waits_for_no_thread_and_runs_nothing_that_was_to_run_at_the_end";
        let output = itself.args(["--exact", name]).env(ENDS, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
