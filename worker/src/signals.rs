//! Signals in templates and workers: most are none of their business, two tell a worker to stop.
//!
//! It only notes what has come; `life` and the reactor decide what that means.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
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

/// What SIGTERM and SIGQUIT have told a worker.
pub(crate) struct StopSignals {
    term: Arc<AtomicBool>,
    quit: Arc<AtomicBool>,
    wakes: UnixStream,
}

impl StopSignals {
    /// Begins to listen.
    pub(crate) fn new() -> io::Result<Self> {
        let (wakes, waker) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let (term, quit) = (Arc::default(), Arc::default());
        for (signal, flag) in [(SIGTERM, &term), (SIGQUIT, &quit)] {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { term, quit, wakes })
    }

    /// The gravest signal that has come since the last call.
    pub(crate) fn take(&mut self) -> Option<Signal> {
        while matches!(self.wakes.read(&mut [0; 64]), Ok(64)) {}
        let term = self.term.swap(false, Relaxed);
        if self.quit.swap(false, Relaxed) { Some(Signal::SIGQUIT) } else { term.then_some(Signal::SIGTERM) }
    }
}

impl AsFd for StopSignals {
    /// Readable when a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakes.as_fd()
    }
}
