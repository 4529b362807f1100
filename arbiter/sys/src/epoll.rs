//! Exclusive registration of a listener, which mio does not offer.
//!
//! Every worker polls the same listening socket. Without `EPOLLEXCLUSIVE` each new connection wakes them all. It works only
//! directly on the epoll instance that is waited on (nested epolls bring the herd back), and a registration made with it
//! can't be modified, only removed and added again (epoll_ctl(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Adds `fd` to `epoll`, level-triggered, for readability, waking one waiter only; `token` comes back with its events.
///
/// # Errors
/// The errno of epoll_ctl(2).
pub fn add_exclusive(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, token: usize) -> io::Result<()> {
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32, u64: token as u64 };
    // SAFETY: both descriptors are open for the borrow's length, and the kernel only reads `event`.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) })
}

/// Removes `fd` from `epoll`.
///
/// # Errors
/// The errno of epoll_ctl(2); `ENOENT` where it was not registered.
pub fn remove(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open for the borrow's length; the event argument is ignored for DEL.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), std::ptr::null_mut()) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
