//! File descriptors by number: those that a process inherits, and those that it must not keep.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// The descriptors above 2 that this process was started with, and that nothing here owns yet.
///
/// The same numbers may be those of this process's own files by the time that somebody names one (`fd://N`), so they are
/// written down before anything is opened.
#[derive(Debug, Default)]
pub struct Inherited {
    open: BTreeSet<RawFd>,
    named: Vec<(RawFd, String)>,
}

impl Inherited {
    /// Looks what is open. To be called before this process opens anything; a second call finds nothing, so that no
    /// descriptor gets two owners. Nothing is found where /proc can't be read.
    #[must_use]
    pub fn of_process() -> Self {
        static LOOKED: AtomicBool = AtomicBool::new(false);
        if LOOKED.swap(true, SeqCst) {
            return Self::default();
        }
        let number = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
        // Collected first: the folder that is being read is a descriptor too, and is closed by then.
        let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
            .map_or_else(|_| Vec::new(), |entries| entries.filter_map(number).collect());
        let open = numbers.into_iter().filter(|&number| number > 2 && is_open(number)).collect();
        Self { open, named: Vec::new() }
    }

    /// Gives descriptors names, by which their parent calls them; whether they are open is not looked at.
    pub fn name(&mut self, named: Vec<(RawFd, String)>) {
        self.named = named;
    }

    /// The names that descriptors have been given, in order; also of such as have been taken.
    #[must_use]
    pub fn names(&self) -> &[(RawFd, String)] {
        &self.named
    }

    /// The descriptor of that number, to look at, if it was inherited and has not been taken.
    #[must_use]
    pub fn look(&self, number: RawFd) -> Option<BorrowedFd<'_>> {
        // SAFETY: it was open before this process opened anything and is in the set until somebody takes it, so nothing
        // here has closed it; the borrow of the set keeps it from being taken meanwhile.
        self.open.contains(&number).then(|| unsafe { BorrowedFd::borrow_raw(number) })
    }

    /// Takes ownership of it, and sets its close-on-exec flag.
    ///
    /// # Errors
    /// `EBADF` where it was not inherited, or has been taken.
    pub fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        if !self.open.remove(&number) {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        adopt(number)
    }
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: fcntl on any number is harmless: a number that is not open answers EBADF.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// A descriptor for the same that is none of the standard streams' (0, 1 and 2), whatever has closed these: else what is printed
/// would go there. Those that it was instead are /dev/null from then on.
///
/// # Errors
/// The errno of fcntl(2), where this process has no descriptor left; it is closed then.
#[inline]
pub fn apart_from_standard_streams(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > STANDARD { Ok(fd) } else { move_apart(fd) }
}

/// The last of the standard streams' descriptors.
const STANDARD: RawFd = 2;

#[cold]
fn move_apart(fd: OwnedFd) -> io::Result<OwnedFd> {
    // A copy is never one of them (F_DUPFD_CLOEXEC from 3 on).
    let moved = fd.try_clone()?;
    drop(fd);
    while let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        if null.as_raw_fd() > STANDARD {
            break;
        }
        let _ = null.into_raw_fd();
    }
    Ok(moved)
}

/// Takes ownership of a descriptor that this process's parent has made for it, and sets its close-on-exec flag.
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
