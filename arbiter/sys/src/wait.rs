//! Collecting ended children.
//!
//! nix's `waitpid` answers with an error for a child that a real-time signal ended, after it has been reaped: its pid would be
//! lost. Here every status comes out.

use std::io;

/// How a child ended, as waitpid(2) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Status(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

/// Reaps one ended child, if there is one, and returns its pid.
///
/// # Errors
/// `ECHILD` where this process has no children.
pub fn reap() -> io::Result<Option<(i32, Ended)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer of the type that waitpid writes.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return Ok(None),
            1.. if libc::WIFEXITED(status) => return Ok(Some((pid, Ended::Status(libc::WEXITSTATUS(status))))),
            1.. if libc::WIFSIGNALED(status) => return Ok(Some((pid, Ended::Signal(libc::WTERMSIG(status))))),
            // Without WUNTRACED and WCONTINUED nothing else is reported.
            1.. => {}
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}
