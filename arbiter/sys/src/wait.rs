//! Collecting what waitpid(2) tells of children: their ends, and that they were stopped or go on.
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

/// What has become of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended, and is reaped.
    Ended(Ended),
    /// A signal of this number has stopped it. One that a debugger holds is not reported: that is the debugger's.
    Stopped(i32),
    /// SIGCONT has it go on.
    Continued,
}

/// Takes one change of a child, if there is one, and returns that one's pid. Only a child's last change is there to take.
///
/// # Errors
/// `ECHILD` where this process has no children.
pub fn change() -> io::Result<Option<(i32, Change)>> {
    loop {
        let mut status = 0;
        let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
        // SAFETY: `status` is a live integer of the type that waitpid writes.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, options) };
        let ended = |ended| Ok(Some((pid, Change::Ended(ended))));
        match pid {
            0 => return Ok(None),
            1.. if libc::WIFEXITED(status) => return ended(Ended::Status(libc::WEXITSTATUS(status))),
            1.. if libc::WIFSIGNALED(status) => return ended(Ended::Signal(libc::WTERMSIG(status))),
            1.. if libc::WIFSTOPPED(status) => return Ok(Some((pid, Change::Stopped(libc::WSTOPSIG(status))))),
            1.. if libc::WIFCONTINUED(status) => return Ok(Some((pid, Change::Continued))),
            // There is no other status.
            1.. => {}
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}
