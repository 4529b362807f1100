//! A client's socket, TCP or Unix.
//!
//! It never waits, but in `wait_until_writable`, and keeps nothing. Owned by `line`; used by whatever sends or receives.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, getsockopt, recv, send, setsockopt, sockopt};
use tapster_wire::Outbox;

use crate::clock::millis;
use crate::deadlines::Millis;

/// A connected socket, non-blocking.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Sends what the socket takes of `out`.
    #[inline]
    pub(crate) fn flush(&self, out: &mut Outbox) -> io::Result<()> {
        while !out.is_empty() {
            match (&mut &*self).write(out.waiting()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => out.took(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once, at most `most` bytes, to the end of `into`.
    pub(crate) fn receive(&self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        tapster_sys::sockets::receive(self.as_fd(), into, most)
    }

    /// Waits until the client takes something, for at most `patience`.
    pub(crate) fn wait_until_writable(&self, patience: Duration) -> io::Result<()> {
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLOUT)], patience) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same as `flush` where more follows at once, which then shares a packet with the end of `out` (send(2), `MSG_MORE`).
    pub(crate) fn flush_before_more(&self, out: &mut Outbox) -> io::Result<()> {
        let more = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
        while !out.is_empty() {
            match send(self.as_fd().as_raw_fd(), out.waiting(), more | MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => out.took(count),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether its descriptor is a socket, which it is unless the application has closed it.
    #[cold]
    pub(crate) fn is_one(&self) -> bool {
        getsockopt(self, sockopt::SockType).is_ok()
    }

    /// Whether bytes are waiting in it.
    pub(crate) fn has_bytes(&self) -> bool {
        let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.as_fd().as_raw_fd(), &mut [0], look).is_ok_and(|count| count > 0)
    }

    /// Whether the client has closed its connection, or at least its direction of it.
    pub(crate) fn is_hung_up(&self) -> bool {
        // nix has no name for this event, and so no answer for it either; POLLHUP and POLLERR are told unasked.
        let hang_ups = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
        poll(&mut [PollFd::new(self.as_fd(), hang_ups)], PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    /// Whether nobody would get a reply: a TCP client has reset the connection, or one on a Unix socket has closed it. Of TCP's
    /// plain close nothing tells that the client does not read on.
    pub(crate) fn is_gone(&self) -> bool {
        // POLLHUP and POLLERR are told unasked.
        poll(&mut [PollFd::new(self.as_fd(), PollFlags::empty())], PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    /// How many milliseconds ago the last of what the client has sent has come; `None` where only the client knows.
    pub(crate) fn since_last_data(&self) -> Option<Millis> {
        match self {
            Self::Tcp(stream) => tapster_sys::sockets::since_last_data(stream.as_fd()).ok().map(millis),
            Self::Unix(_) => None,
        }
    }

    /// Ends the connection although others hold the socket too, and so that the client sees that it was cut off.
    pub(crate) fn cut(&self) {
        // A client that is gone needs no cutting.
        let _ = match self {
            Self::Tcp(stream) => tapster_sys::sockets::disconnect(stream.as_fd()),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Ends our direction, so that the client sees the end while what it still sends can be read.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Reads what is here, up to a mebibyte, and throws it away.
    pub(crate) fn discard(&self) {
        let mut nowhere = vec![0; 1 << 16];
        for _ in 0..16 {
            // At the end of what is here, or of the connection.
            if !matches!((&mut &*self).read(&mut nowhere), Ok(1..)) {
                return;
            }
        }
    }

    /// Has the close of the socket reset the connection, so that what was sent can't be taken for whole; or not any more.
    pub(crate) fn reset_on_close(&self, resets: bool) {
        let at_once = nix::libc::linger { l_onoff: resets.into(), l_linger: 0 };
        // A socket that refuses is closed plainly, which is the most that can be done.
        let _ = setsockopt(&self.as_fd(), sockopt::Linger, &at_once);
    }
}

/// Where it comes from, for the log.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => match stream.peer_addr() {
                Ok(address) => write!(f, "from {address}"),
                Err(_) => f.write_str("from a client that is gone"),
            },
            Self::Unix(_) => f.write_str("on a Unix socket"),
        }
    }
}

impl Read for &Socket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        tapster_sys::sockets::read(self.as_fd(), buffer)
    }
}

impl Write for &Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        tapster_sys::sockets::send(self.as_fd(), bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write_vectored(slices),
            Socket::Unix(stream) => (&*stream).write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
