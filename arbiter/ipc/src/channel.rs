//! A pair of sockets between the arbiter and one child, typed by what may be said in each direction.
//!
//! `SOCK_SEQPACKET` keeps messages apart and tells when the other side is gone.
//!
//! It decides nothing about a message. Used by the arbiter at one end, by templates and workers at the other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::message::{MOST_BYTES, Order, Report};

/// The arbiter's end of a channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A child's end of a channel.
#[derive(Debug)]
pub struct ChildChannel(OwnedFd);

/// Why there is no message to hand out.
#[derive(Debug)]
pub enum ReceiveError {
    /// Nothing is waiting (non-blocking ends only).
    Empty,
    /// The other side is gone.
    Closed,
    /// What came is no message of this contract.
    Gossip(String),
}

/// Makes a channel; the arbiter's end does not block, the child's does until [`ChildChannel::set_nonblocking`].
///
/// # Errors
/// The errno of socketpair(2).
pub fn pair() -> io::Result<(Channel, ChildChannel)> {
    let (ours, childs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    set_nonblocking(ours.as_fd())?;
    Ok((Channel(ours), ChildChannel(childs)))
}

impl Channel {
    /// Sends an order and descriptors that go with it.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`] and [`Order::encode`].
    pub fn send(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &order.encode()?, fds)
    }

    /// The next report that is waiting.
    ///
    /// # Errors
    /// Where there is none; after [`ReceiveError::Gossip`] the next call goes on.
    pub fn receive(&self) -> Result<Report, ReceiveError> {
        receive(self.0.as_fd(), Report::decode).map(|(report, _fds)| report)
    }
}

impl ChildChannel {
    /// A child's end that this process owns.
    #[must_use]
    pub fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Makes [`ChildChannel::receive`] answer [`ReceiveError::Empty`] where it would wait.
    ///
    /// # Errors
    /// The errno of fcntl(2).
    pub fn set_nonblocking(&self) -> io::Result<()> {
        set_nonblocking(self.0.as_fd())
    }

    /// Keeps this end open across exec(2), for an interpreter that is started as a program of its own.
    ///
    /// # Errors
    /// The errno of fcntl(2).
    pub fn keep_across_exec(&self) -> io::Result<()> {
        keep_across_exec(self.0.as_fd())
    }

    /// Sends a report.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`].
    pub fn send(&self, report: &Report) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &report.encode(), &[])
    }

    /// The next order and the descriptors that came with it; waits for one on a blocking end.
    ///
    /// # Errors
    /// Where there is none; after [`ReceiveError::Gossip`] the next call goes on.
    pub fn receive(&self) -> Result<(Order, Vec<OwnedFd>), ReceiveError> {
        receive(self.0.as_fd(), Order::decode)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for ChildChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for ChildChannel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

pub(crate) fn receive<T>(
    socket: BorrowedFd<'_>,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Result<(T, Vec<OwnedFd>), ReceiveError> {
    let mut buffer = vec![0; MOST_BYTES];
    loop {
        return match tapster_sys::rights::receive(socket, &mut buffer) {
            Ok((0, _)) => Err(ReceiveError::Closed),
            Ok((length, fds)) => match decode(&buffer[..length]) {
                Some(message) => Ok((message, fds)),
                None => Err(ReceiveError::Gossip(format!("{length} bytes of kind {}", buffer[0]))),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ReceiveError::Empty),
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                Err(ReceiveError::Gossip("a message over the limit".into()))
            }
            // The peer ended with messages of ours unread. The kernel says so once, before what the peer had sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
            Err(_) => Err(ReceiveError::Closed),
        };
    }
}

pub(crate) fn keep_across_exec(socket: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(socket, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(())
}

pub(crate) fn set_nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_its_descriptors_along() {
        let (arbiter, child) = pair().unwrap();
        let (kept, given) = nix::unistd::pipe().unwrap();
        arbiter.send(&Order::Fork { slot: 5 }, &[given.as_fd()]).unwrap();
        drop(given);
        let (order, fds) = child.receive().unwrap();
        assert_eq!(order, Order::Fork { slot: 5 });
        nix::unistd::write(&fds[0], b"!").unwrap();
        assert_eq!(nix::unistd::read(&kept, &mut [0; 8]).unwrap(), 1);
    }

    #[test]
    fn the_last_words_of_one_that_has_not_listened_arrive() {
        let (arbiter, child) = pair().unwrap();
        arbiter.send(&Order::Quit, &[]).unwrap();
        child.send(&Report::WorkerReady).unwrap();
        drop(child);
        assert!(matches!(arbiter.receive(), Ok(Report::WorkerReady)));
        assert!(matches!(arbiter.receive(), Err(ReceiveError::Closed)));
    }

    #[test]
    fn silence_gossip_and_the_end_are_told_apart() {
        let (arbiter, child) = pair().unwrap();
        assert!(matches!(arbiter.receive(), Err(ReceiveError::Empty)));
        tapster_sys::rights::send(child.as_fd(), b"\xff?", &[]).unwrap();
        assert!(matches!(arbiter.receive(), Err(ReceiveError::Gossip(_))));
        drop(child);
        assert!(matches!(arbiter.receive(), Err(ReceiveError::Closed)));
    }
}
