//! The accept gate: connections are taken only while this worker could serve them.
//!
//! The listeners are the arbiter's, shared with the other workers. While this one's turn to run is taken, it is not
//! registered for them, so a new connection wakes a sibling that is free instead of waiting here.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::Poll;
use mio::net::{TcpListener, UnixListener};
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname, setsockopt, sockopt};
use tapster_sys::epoll;

use crate::deadlines::Millis;
use crate::socket::Socket;

/// How long nothing is accepted after the process ran out of descriptors or memory, in milliseconds.
const PAUSE: Millis = 200;

/// An address and port, of either side; `None` for a Unix socket.
pub(crate) type Address = Option<(IpAddr, u16)>;

/// All listeners.
pub(crate) struct Listeners {
    all: Vec<Listener>,
    armed: bool,
    /// When accepting is worth trying again.
    pub(crate) resume_at: Millis,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Takes over the descriptors that came from the arbiter.
    pub(crate) fn new(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let all = fds.into_iter().map(Listener::of).collect::<io::Result<_>>()?;
        Ok(Self { all, armed: false, resume_at: 0 })
    }

    /// The addresses that `environ` tells, by the listener's number.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let address = |listener: &Listener| match listener {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| (address.ip(), address.port())),
            Listener::Unix(_) => None,
        };
        self.all.iter().map(address).collect()
    }

    /// Opens or shuts the gate; `first_token` is the first listener's, the others follow.
    pub(crate) fn arm(&mut self, poll: &Poll, first_token: usize, open: bool) -> io::Result<()> {
        if open == self.armed {
            return Ok(());
        }
        for (number, listener) in self.all.iter().enumerate() {
            if open {
                epoll::add_exclusive(poll.registry().as_fd(), listener.as_fd(), first_token + number)?;
            } else {
                epoll::remove(poll.registry().as_fd(), listener.as_fd())?;
            }
        }
        self.armed = open;
        Ok(())
    }

    /// Takes one connection of the listener with that number, if one is waiting.
    pub(crate) fn accept(&mut self, number: usize, now: Millis) -> Option<(Socket, Address)> {
        loop {
            let accepted = match self.all.get(number)? {
                Listener::Tcp(listener) => listener
                    .accept()
                    .map(|(stream, address)| (Socket::Tcp(stream), Some((address.ip(), address.port())))),
                Listener::Unix(listener) => listener.accept().map(|(stream, _)| (Socket::Unix(stream), None)),
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => match error.kind() {
                    // Invalid is a listener that the arbiter has shut down, since the server stops.
                    ErrorKind::WouldBlock | ErrorKind::InvalidInput => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {}
                    _ => {
                        // EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the queue, for a sibling or for later.
                        if now >= self.resume_at {
                            log::error!("can't accept a connection: {error}; trying again in {PAUSE} ms");
                        }
                        self.resume_at = now + PAUSE;
                        return None;
                    }
                },
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Gives all up: this worker accepts no more.
    pub(crate) fn close(&mut self) {
        // Closing this process's copy would not take it out of epoll, since the arbiter's stays open: `arm` did that.
        self.all.clear();
    }
}

impl Listener {
    fn of(fd: OwnedFd) -> io::Result<Self> {
        let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
        if address.family() == Some(AddressFamily::Unix) {
            let listener = std::os::unix::net::UnixListener::from(fd);
            listener.set_nonblocking(true)?;
            return Ok(Self::Unix(UnixListener::from_std(listener)));
        }
        // Inherited by accepted sockets: what an application streams leaves at once.
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        let listener = std::net::TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}
