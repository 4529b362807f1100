//! Datagrams over a Unix socket that carry file descriptors (unix(7), `SCM_RIGHTS`).
//!
//! Receiving makes descriptors out of numbers, which is why this is here and not in `ipc`, which gives them meaning.
//! Called by `ipc`, in `channel` and `succession`.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The most descriptors that one message carries; the kernel's own limit is 253.
pub const MOST_FDS: usize = 64;

/// Sends one message.
///
/// # Errors
/// The errno of sendmsg(2): `EAGAIN` where a non-blocking socket's peer does not read, `EPIPE` where it is gone,
/// `EMSGSIZE` where the message is larger than the socket's buffer; `EINVAL` for more than [`MOST_FDS`] descriptors.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MOST_FDS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one message into `buffer` and returns its length and the descriptors it brought, close-on-exec. Length 0 is
/// the end: the peer is gone.
///
/// # Errors
/// The errno of recvmsg(2); `EMSGSIZE` where the message was larger than `buffer`.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; MOST_FDS]);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    // An error here is that not all control data has fit.
    for control in message.cmsgs().map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for this process; nothing else knows their numbers.
            fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    Ok((message.bytes, fds))
}
