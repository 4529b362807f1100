//! Waits for the next events: signals, children's messages and ends, or time.
//!
//! One poll, no threads. A signal handler only writes a record; everything else happens here and in `decide`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::Signal;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::origin::{Origin, WithOrigin};
use signal_hook::low_level::siginfo::Cause;

use crate::channels::Channels;
use crate::control::{self, Control};
use crate::event::{Event, Sender};
use crate::reap::Reaper;
use crate::upgrade::{Succession, TOKENS};

const SIGNALS: Token = Token(0);

/// The signals that are taken in. Of the others, SIGPIPE is ignored, and the rest has its default effect.
const TAKEN: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCHLD,
];

/// Where events come from.
#[derive(Debug)]
pub(crate) struct EventLoop {
    poll: Poll,
    events: Events,
    signals: SignalDelivery<UnixStream, WithOrigin>,
    reaper: Reaper,
    /// The children's channels.
    pub channels: Channels,
    /// The control socket and its clients, where there is one.
    pub control: Option<Control>,
    /// The channels to a server before or after this one.
    pub succession: Succession,
}

impl EventLoop {
    /// Takes over this process's signals.
    ///
    /// # Errors
    /// The errno of epoll_create(2), socketpair(2) or sigaction(2).
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let (read, write) = UnixStream::pair()?;
        let signals = SignalDelivery::with_pipe(read, write, WithOrigin::default(), TAKEN.map(|signal| signal as i32))?;
        poll.registry().register(&mut SourceFd(&signals.get_read().as_raw_fd()), SIGNALS, Interest::READABLE)?;
        let channels = Channels::new(poll.registry().try_clone()?);
        let succession = Succession::new(poll.registry().try_clone()?);
        let events = Events::with_capacity(256);
        Ok(Self { poll, events, signals, reaper: Reaper::new(), channels, control: None, succession })
    }

    /// Listens at the control socket from now on; `is_second` where there is a server whose place this one is to take.
    ///
    /// # Errors
    /// A sentence for the log: why it can't be had.
    pub(crate) fn open_control(&mut self, path: &Path, is_second: bool) -> Result<(), String> {
        let failed = |reason: String| format!("the control_socket can't be opened: {reason}");
        let registry = self.poll.registry().try_clone().map_err(|error| failed(error.to_string()))?;
        self.control = Some(Control::open(path, is_second, registry).map_err(failed)?);
        Ok(())
    }

    /// Waits until something happens, for `timeout` at most (`None`: for ever), and returns what did: nothing, where time
    /// ran out.
    ///
    /// # Errors
    /// The errno of epoll_wait(2), but not `EINTR`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<VecDeque<Event>> {
        let timeout = if self.channels.has_rest() { Some(Duration::ZERO) } else { timeout };
        let mut polled = self.poll.poll(&mut self.events, timeout);
        while polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            // A signal interrupts the wait, and is in the pipe; so does the end of a halt, and then there may be much to hear.
            polled = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        polled?;
        let mut happened = VecDeque::from(self.channels.hear_rest());
        let mut has_signals = false;
        for event in &self.events {
            match event.token() {
                SIGNALS => has_signals = true,
                token if token.0 >= control::FIRST_TOKEN => {
                    happened.extend(self.control.as_mut().map(|control| control.hear(event)).unwrap_or_default());
                }
                token if TOKENS.contains(&token) => happened.extend(self.succession.hear(token)),
                token => happened.extend(self.channels.hear_token(token)),
            }
        }
        if has_signals {
            self.take_signals(&mut happened);
        }
        Ok(happened)
    }

    fn take_signals(&mut self, happened: &mut VecDeque<Event>) {
        let received: Vec<Origin> = self.signals.pending().collect();
        let is_child = |origin: &&Origin| origin.signal == Signal::SIGCHLD as i32;
        let mut ends = Vec::new();
        if received.iter().any(|origin| is_child(&origin)) {
            // Reaped after it was heard, a child could say its last words in between, and they would come after its death.
            ends = self.reaper.reap_all();
            happened.extend(self.channels.hear_all());
        }
        // Signals before ends: a service manager may send SIGTERM to all processes at once, and then the arbiter's own one
        // says why the others end.
        let taken = received.iter().filter(|origin| !is_child(origin) && !is_resize(origin));
        let mut taken: Vec<_> =
            taken.filter_map(|origin| Some((Signal::try_from(origin.signal).ok()?, sender(origin)))).collect();
        taken.sort_by_key(|(signal, _)| rank(*signal));
        happened.extend(taken.into_iter().map(|(signal, sender)| Event::Signal { signal, sender }));
        happened.extend(ends);
    }
}

/// In which order signals are carried out that have come together, since the kernel does not tell in which they came: each before
/// what builds on it (HUP brings back what WINCH has sent away; QUIT hands over to what USR2 has started), and stops last.
fn rank(signal: Signal) -> usize {
    const ORDER: [Signal; 9] = [
        Signal::SIGUSR1,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGWINCH,
        Signal::SIGHUP,
        Signal::SIGUSR2,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ];
    ORDER.iter().position(|each| *each == signal).unwrap_or(ORDER.len())
}

/// Whether it is only a terminal's change of size, of which the kernel tells. From a process the same signal is an order.
fn is_resize(origin: &Origin) -> bool {
    origin.signal == Signal::SIGWINCH as i32 && origin.cause == Cause::Kernel
}

/// Who sent it. The kernel's own signals (a terminal's Ctrl-C) have no sender, nor have those from outside of a container.
fn sender(origin: &Origin) -> Option<Sender> {
    let pid = origin.process.as_ref().map(|process| process.pid).filter(|&pid| pid > 0)?;
    Some(named(pid))
}

/// The process with that pid, as a sender.
pub(crate) fn named(pid: i32) -> Sender {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Sender { pid, name: name.trim().to_owned() }
}
