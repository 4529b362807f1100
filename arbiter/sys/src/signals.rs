//! Signal masks and dispositions around a fork.
//!
//! Called by the arbiter: its child must neither run the arbiter's handlers nor keep what it ignores or blocks. And by `fork`:
//! nor must what an application forks run the worker's.

use std::io;
use std::mem::zeroed;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null;

use nix::sys::signal::SigSet;

/// Holds back every signal of this thread that can be held back.
///
/// # Errors
/// The errno of sigprocmask(2).
pub fn block_all() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Lets every signal through to this thread, also those that its parent had blocked.
///
/// # Errors
/// The errno of sigprocmask(2).
pub fn unblock_all() -> io::Result<()> {
    Ok(SigSet::all().thread_unblock()?)
}

/// Gives every signal its default effect, but for SIGINT, which is ignored: Python leaves an ignored SIGINT alone, where it
/// would otherwise turn it into a `KeyboardInterrupt`. For a forked child, before it unblocks signals.
pub fn reset_dispositions() {
    for signal in 1..=libc::SIGRTMAX() {
        let disposition = if signal == libc::SIGINT { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: neither disposition runs code. Where the kernel or the C library refuses (SIGKILL, SIGSTOP, the two that
        // glibc keeps), nothing had to change.
        unsafe { libc::signal(signal, disposition) };
    }
}

/// Has a program that is started by `command` begin with every signal let through and at its default effect, whatever this thread
/// blocks and this process ignores.
pub fn start_afresh(command: &mut Command) {
    let afresh = || {
        for signal in 1..=libc::SIGRTMAX() {
            // SAFETY: the default effect runs no code; where it is refused, nothing had to change.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        unblock_all()
    };
    // SAFETY: the closure runs in the child of a fork, and calls signal(2) and sigprocmask(2) alone, which are async-signal-safe.
    unsafe { command.pre_exec(afresh) };
}

/// Has a write beyond the limit of a file's size (`RLIMIT_FSIZE`) fail with `EFBIG`, in place of ending this process.
pub fn survive_file_size_limit() {
    // SAFETY: to ignore a signal runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// What a signal does in this process, by the address of the function that it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disposition(libc::sighandler_t);

impl Disposition {
    /// That of a signal.
    ///
    /// # Errors
    /// The errno of sigaction(2); the two signals that glibc keeps to itself have none.
    pub(crate) fn of(signal: i32) -> io::Result<Self> {
        // SAFETY: `sigaction` is plain data, for which all zeroes is a value; the call changes nothing and writes to it only.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            match libc::sigaction(signal, null(), &raw mut action) {
                0 => Ok(Self(action.sa_sigaction)),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Gives every signal that has this one its default effect. Async-signal-safe.
    pub(crate) fn reset(self) {
        for signal in 1..=libc::SIGRTMAX() {
            if Self::of(signal).is_ok_and(|found| found == self) {
                // SAFETY: the default effect runs no code.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
        }
    }
}
