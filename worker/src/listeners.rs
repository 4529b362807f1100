//! The accept gate: connections are taken only while this worker could serve them.
//!
//! The listeners are the arbiter's, shared with the other workers. While no thread of this one is free, it is not
//! registered for them, so a new connection wakes a sibling that is free instead of waiting here. The kernel wakes the
//! worker that has been registered longest; so one that has accepted goes to the end of that queue, and stays out of it for a
//! moment while an idle sibling has fewer connections. Else one worker would get all those that a proxy keeps open.
//!
//! It never reads from a connection. Called by the reactor.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::Poll;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname, setsockopt, sockopt};
use nix::sys::stat::fstat;
use tapster_ipc::Slot;
use tapster_sys::epoll;

use crate::clock::Seldom;
use crate::deadlines::Millis;
use crate::lost;
use crate::socket::Socket;

/// Connections that may have waited for this long to be accepted are looked at more closely, in milliseconds.
const MOMENT: Millis = 1_000;

/// How long nothing is accepted after the process ran out of descriptors or memory, in milliseconds.
const PAUSE: Millis = 200;

/// Connections that were gone before they could be accepted, of which so many are passed over at one wake.
const TRIALS: usize = 64;
/// Connections that a worker without siblings accepts at one wake.
const ACCEPTS_AT_ONCE: usize = 32;

/// An address and port, of either side; `None` for a Unix socket.
pub(crate) type Address = Option<(IpAddr, u16)>;

/// A sibling that has only so many connections fewer, and an eighth, is as good.
const SLACK: usize = 2;
/// How long a worker leaves new connections to idle siblings that have fewer, in milliseconds.
const COURTESY: Millis = 1;

/// All listeners.
pub(crate) struct Listeners {
    all: Vec<Listener>,
    /// By which each can be told from another file of its number.
    inodes: Vec<u64>,
    /// Of each, a time since when all connections have come that wait there, as far as this worker knows.
    fresh_since: Vec<Millis>,
    armed: bool,
    /// Where other workers may sit on the scoreboard.
    siblings: Vec<Slot>,
    /// When accepting is worth trying again, after it has failed.
    resume_at: Millis,
    complaints: Seldom,
    /// Until when siblings go first.
    yields_until: Millis,
    /// Why nothing can be accepted any more.
    lost: Option<io::Error>,
}

/// What a lost listener is called.
const LISTENER: &str = "a listener";

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Takes over the descriptors that came from the arbiter.
    pub(crate) fn new(fds: Vec<OwnedFd>, siblings: Vec<Slot>) -> io::Result<Self> {
        let all: Vec<_> = fds.into_iter().map(Listener::of).collect::<io::Result<_>>()?;
        Ok(Self {
            inodes: all.iter().map(|listener| inode(listener.as_fd()).unwrap_or_default()).collect(),
            fresh_since: vec![0; all.len()],
            all,
            armed: false,
            siblings,
            resume_at: 0,
            complaints: Seldom::default(),
            yields_until: 0,
            lost: None,
        })
    }

    /// Something is lost without which nothing can be served, for this reason: the next [`Listeners::arm`] says so.
    #[cold]
    pub(crate) fn lose(&mut self, why: io::Error) {
        self.lost = Some(why);
    }

    /// How many connections may be accepted at one wake: one where the next may wake a sibling.
    pub(crate) fn accepts_at_once(&self) -> usize {
        if self.siblings.iter().any(|sibling| sibling.is_accepting()) { 1 } else { ACCEPTS_AT_ONCE }
    }

    /// Lets siblings go first, after this worker has accepted and has `connections` now.
    pub(crate) fn yield_to_siblings(&mut self, poll: &Poll, connections: usize, now: Millis) -> io::Result<()> {
        if !self.siblings.iter().any(|sibling| sibling.is_accepting()) {
            return Ok(());
        }
        self.arm(poll, 0, false)?;
        let clearly_fewer = connections.saturating_sub(SLACK + connections / 8);
        if self.siblings.iter().any(|sibling| sibling.is_freer_than(clearly_fewer)) {
            self.yields_until = now + COURTESY;
        }
        Ok(())
    }

    /// Whether a sibling has nothing to do, and would have no more connections than this worker, which has so many, if it took one
    /// of them over.
    pub(crate) fn has_idler_sibling(&self, connections: usize) -> bool {
        self.siblings.iter().any(|sibling| sibling.is_freer_than(connections.saturating_sub(1)))
    }

    /// Whether accepting can succeed, as far as this process knows.
    pub(crate) fn can_accept(&self, now: Millis) -> bool {
        now >= self.resume_at
    }

    /// When the gate opens again, if time alone keeps it shut at `now`.
    pub(crate) fn opens_at(&self, now: Millis) -> Option<Millis> {
        Some(self.resume_at.max(self.yields_until)).filter(|&opens| opens > now)
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
    ///
    /// # Errors
    /// Where a listener has been lost, and those of epoll_ctl(2).
    pub(crate) fn arm(&mut self, poll: &Poll, first_token: usize, open: bool) -> io::Result<()> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        if open == self.armed {
            return Ok(());
        }
        for (number, listener) in self.all.iter().enumerate() {
            let fd = listener.as_fd();
            let changed = if open {
                epoll::add_exclusive(poll.registry().as_fd(), fd, first_token + number)
            } else {
                epoll::remove(poll.registry().as_fd(), fd)
            };
            changed.map_err(|error| {
                if self.inodes.get(number).copied() == inode(fd) {
                    lost::explained(lost::EPOLL, poll.as_raw_fd(), error)
                } else {
                    lost::explained(LISTENER, fd.as_raw_fd(), error)
                }
            })?;
        }
        self.armed = open;
        Ok(())
    }

    /// Takes one connection of the listener with that number, if one is waiting.
    pub(crate) fn accept(&mut self, number: usize, now: Millis) -> Option<(Socket, Address)> {
        for _ in 0..TRIALS {
            let accepted = match self.all.get(number)? {
                Listener::Tcp(listener) => listener
                    .accept()
                    .map(|(stream, address)| (Socket::Tcp(stream), Some((address.ip(), address.port())))),
                Listener::Unix(listener) => listener.accept().map(|(stream, _)| (Socket::Unix(stream), None)),
            };
            match accepted {
                Ok((socket, address)) => return apart_from_standard_streams(socket).map(|socket| (socket, address)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.fresh_since[number] = now;
                    return None;
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EINVAL) => {
                        let fd = self.all.get(number)?.as_fd();
                        if self.inodes.get(number).copied() != inode(fd) {
                            self.lost = Some(lost::explained(LISTENER, fd.as_raw_fd(), error));
                        }
                        // Else one that the arbiter has shut down, since the server stops.
                        return None;
                    }
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                        // The connection stays in the queue, for a sibling or for later.
                        if self.complaints.is_time(now) {
                            log::error!("can't accept connections: {error}; trying again every {PAUSE} ms");
                        }
                        self.resume_at = now + PAUSE;
                        return None;
                    }
                    // Only this process's copy is gone: the poll would tell of the listener for ever.
                    Some(Errno::EBADF | Errno::ENOTSOCK) => {
                        let fd = self.all.get(number).map_or(-1, |listener| listener.as_fd().as_raw_fd());
                        self.lost = Some(lost::explained(LISTENER, fd, error));
                        return None;
                    }
                    // Of this one connection, which is gone (accept(2), "Error handling").
                    _ => {}
                },
            }
        }
        None
    }

    /// Whether a connection that has just been accepted may have waited for that for longer than a moment, at most `patience`.
    /// Where connections do not have to wait, that costs a system call a second.
    #[inline]
    pub(crate) fn is_old(&mut self, number: usize, socket: &Socket, patience: Millis, now: Millis) -> bool {
        let moment = MOMENT.min(patience);
        now.saturating_sub(self.fresh_since[number]) >= moment && self.looks_old(number, socket, moment, now)
    }

    #[cold]
    fn looks_old(&mut self, number: usize, socket: &Socket, moment: Millis, now: Millis) -> bool {
        match socket.since_last_data() {
            // One that has not may only have sent late, and those behind it have come before that.
            Some(waited) => waited >= moment,
            None => {
                let nobody = PollFd::new(self.all[number].as_fd(), PollFlags::POLLIN);
                if poll(&mut [nobody], PollTimeout::ZERO) == Ok(0) {
                    self.fresh_since[number] = now;
                }
                true
            }
        }
    }

    /// Whether the last trial failed for want of descriptors or memory, so that one connection less would help.
    pub(crate) fn is_starved(&self, now: Millis) -> bool {
        self.resume_at > now
    }

    /// There is one connection less: another trial may succeed.
    pub(crate) fn try_again(&mut self) {
        self.resume_at = 0;
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

/// A socket that is none of the standard streams, which it would be where an application has closed that: what it prints would go
/// to the client.
fn apart_from_standard_streams(socket: Socket) -> Option<Socket> {
    let moved = match socket {
        Socket::Tcp(stream) => tapster_sys::fds::apart_from_standard_streams(stream.into())
            .map(|fd| Socket::Tcp(TcpStream::from_std(fd.into()))),
        Socket::Unix(stream) => tapster_sys::fds::apart_from_standard_streams(stream.into())
            .map(|fd| Socket::Unix(UnixStream::from_std(fd.into()))),
    };
    moved.inspect_err(|error| log::error!("can't move a connection away from a standard stream: {error}")).ok()
}

fn inode(fd: BorrowedFd<'_>) -> Option<u64> {
    fstat(fd).ok().map(|stat| stat.st_ino)
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

/// The address that `environ` tells of a listener that is not taken over yet.
pub(crate) fn address_of(listener: BorrowedFd<'_>) -> Address {
    let address: SockaddrStorage = getsockname(listener.as_raw_fd()).ok()?;
    let v4 = address.as_sockaddr_in().map(|address| (IpAddr::V4(address.ip()), address.port()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| (IpAddr::V6(address.ip()), address.port())))
}
