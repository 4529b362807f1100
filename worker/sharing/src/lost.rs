//! Descriptors of the worker's own that the application has closed, by `os.closerange` for example: what the log says of it.
//!
//! Nothing can be done without them, so the worker ends, and the arbiter starts another. Where a thread has the reactor it ends in
//! order; this file ends it where none has. Used by `baton`, and by the worker's listeners and reactor.

use std::io;
use std::os::fd::RawFd;

use nix::errno::Errno;
use tapster_ipc::ExitCode;

/// What the poll is.
pub const EPOLL: &str = "the worker's epoll instance";

/// Whether an error says that a descriptor is closed, or another file's by now.
pub fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EBADF | Errno::ENOTSOCK | Errno::EINVAL | Errno::EPERM | Errno::ENOENT)
    )
}

/// The same error, which says what has happened to the descriptor `fd` that is `what`; another error, as it is.
#[cold]
pub fn explained(what: &str, fd: RawFd, error: io::Error) -> io::Error {
    if is_lost(&error) { io::Error::other(explanation(what, fd, &error)) } else { error }
}

/// Ends the process: `what`, which is the descriptor `fd` (-1 where that is not known), is lost.
#[cold]
pub fn end(what: &str, fd: RawFd, error: &io::Error) -> ! {
    log::error!("the worker can't go on: {}", explanation(what, fd, error));
    tapster_sys::fork::exit_now(ExitCode::Failed.status().into())
}

fn explanation(what: &str, fd: RawFd, error: &io::Error) -> String {
    let number = if fd < 0 { String::new() } else { format!(" (descriptor {fd})") };
    format!(
        "{what}{number} is closed, or another file by now, which only code of the application can have done, such as \
         os.close or os.closerange: {error}"
    )
}
