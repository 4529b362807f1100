//! Signals in templates and workers: most are none of their business, two tell a worker to stop, one to open its log anew.
//!
//! It only notes what has come; `life` and the reactor decide what that means.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};

/// Lets the signals pass that an operator sends to a whole process group or by name (`pkill -HUP tapster`, Ctrl-C) and
/// means for the arbiter, which gives its own orders to the template. By handlers that do nothing, not by ignoring: an
/// ignored signal would stay ignored in the programs that an application starts. Workers add [`StopSignals`].
pub(crate) fn ignore_what_is_meant_for_the_arbiter() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// One of those, by which the handler of them all can be told from others.
pub(crate) const MEANT_FOR_THE_ARBITER: Signal = Signal::SIGHUP;

/// What SIGTERM, SIGQUIT and SIGUSR1 have told a worker, and whether other signals have come that the application handles.
pub(crate) struct StopSignals {
    term: Arc<AtomicBool>,
    quit: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
    wakes: UnixStream,
    waker: UnixStream,
}

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The gravest signal that is the worker's own matter.
    pub(crate) stop: Option<Signal>,
    /// The log has been moved away.
    pub(crate) reopen: bool,
    /// Python has noted a signal whose handler is to run.
    pub(crate) for_python: bool,
}

/// What `signal_hook` writes for those three. Python writes a signal's number, and none is so high.
const OURS: u8 = b'X';

impl StopSignals {
    /// Begins to listen.
    pub(crate) fn new() -> io::Result<Self> {
        let (wakes, waker) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let (term, quit, reopen) = (Arc::default(), Arc::default(), Arc::default());
        for (signal, flag) in [(SIGTERM, &term), (SIGQUIT, &quit), (SIGUSR1, &reopen)] {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { term, quit, reopen, wakes, waker })
    }

    /// What has come since the last call.
    pub(crate) fn take(&mut self) -> Heard {
        let (mut bytes, mut for_python) = ([0; 64], false);
        while let Ok(count @ 1..) = self.wakes.read(&mut bytes) {
            for_python |= bytes[..count].iter().any(|&byte| byte != OURS);
        }
        let term = self.term.swap(false, Relaxed);
        let stop = if self.quit.swap(false, Relaxed) { Some(Signal::SIGQUIT) } else { term.then_some(Signal::SIGTERM) };
        Heard { stop, reopen: self.reopen.swap(false, Relaxed), for_python }
    }

    /// Where Python is to write the numbers of signals that it notes. It does not block.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    pub(crate) fn waker(&self) -> io::Result<OwnedFd> {
        self.waker.as_fd().try_clone_to_owned()
    }
}

impl AsFd for StopSignals {
    /// Readable when a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakes.as_fd()
    }
}
