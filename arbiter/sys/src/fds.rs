//! File descriptors by number: those that a process inherits, and those that it must not keep.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Takes ownership of an inherited descriptor (one named on the command line, by `fd://N` or by a parent), and sets its
/// close-on-exec flag.
///
/// # Errors
/// `EBADF` where `number` is not open, `EINVAL` for 0, 1 and 2, which belong to the standard streams.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: fcntl on any number is harmless: a number that is not open answers EBADF.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and its number was handed to this process to own: nothing else here made it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor above 2 but `keep`: what a forked child must not hold of its parent (listeners would keep an
/// address busy, channels would never reach their end).
///
/// # Errors
/// The errno of close_range(2).
pub fn close_all_but(keep: RawFd) -> io::Result<()> {
    let keep = u32::try_from(keep).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    if keep > 3 {
        close_range(3, keep - 1)?;
    }
    close_range(keep.max(2) + 1, u32::MAX)
}

/// Makes a bound socket listen, with room for `backlog` connections that wait. nix refuses numbers above a constant of the
/// C library's; the kernel's own limit is a setting (`net.core.somaxconn`) and is applied by itself.
///
/// # Errors
/// The errno of listen(2).
pub fn listen(socket: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: listen on an open descriptor has no effect on memory.
    if unsafe { libc::listen(socket.as_raw_fd(), backlog) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: closing is what the caller asks for. Values that own such a descriptor are never used or dropped after
    // this: the child that calls it goes on to exec or to the interpreter and never unwinds into its parent's frames.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
