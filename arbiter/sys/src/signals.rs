//! Signal masks and dispositions around a fork.
//!
//! Called by the arbiter: its child must neither run the arbiter's handlers nor keep what it ignores or blocks.

use std::io;

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
