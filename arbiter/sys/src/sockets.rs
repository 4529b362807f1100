//! What a socket can be made to do that no safe library offers.
//!
//! Receiving and sending are here too, by system call: in a process with several threads the C library makes each recv(2) and
//! send(2) of its own a place where the thread may be cancelled (pthreads(7)), which nobody does, and which costs as much as
//! many another step of a request.
//!
//! Called by the worker for its clients' sockets, and by the arbiter for how many wait at its listeners.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null;
use std::time::Duration;

/// Ends a TCP connection at once with a reset, although other descriptors of the socket are open (a file that the application
/// was given, a process that it forked); what was not sent is dropped. Closing with `SO_LINGER` would wait for the last of
/// these descriptors.
///
/// It is connect(2) with `AF_UNSPEC`, which Linux answers by a reset in every state in which the peer may still expect
/// something. Afterwards reading and writing fail, the first time with `ECONNRESET`, and poll(2) tells `POLLHUP`. A connection
/// that is over already stays as it is.
///
/// # Errors
/// The errno of connect(2); `EINVAL` for a Unix socket, which knows no reset.
pub fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nobody = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or_default(),
        sa_data: [0; 14],
    };
    let length = libc::socklen_t::try_from(size_of_val(&nobody)).unwrap_or_default();
    // SAFETY: the descriptor is open for the borrow's length, and the kernel only reads the address, whose true length is
    // given.
    match unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Receives once, at most `most` bytes, to the end of `into`, whose spare memory need not be written to for that before.
///
/// # Errors
/// The errno of recv(2).
pub fn receive(socket: BorrowedFd<'_>, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    into.reserve(most);
    let spare = into.spare_capacity_mut();
    let room = spare.len().min(most);
    // SAFETY: the descriptor is open for the borrow's length, and the kernel writes at most `room` bytes to memory of the
    // vector's that is at least as large.
    let count = unsafe { recv(socket, spare.as_mut_ptr().cast(), room) }?;
    // SAFETY: the kernel has written that many bytes behind the vector's end, within its capacity.
    unsafe { into.set_len(into.len() + count) };
    Ok(count)
}

/// Receives once, as much as `into` has room for.
///
/// # Errors
/// The errno of recv(2).
#[inline]
pub fn read(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open for the borrow's length, and the kernel writes no more bytes than the slice has.
    unsafe { recv(socket, into.as_mut_ptr(), into.len()) }
}

/// Sends once. No SIGPIPE comes of it.
///
/// # Errors
/// The errno of send(2).
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let nobody = null::<libc::sockaddr>();
    // SAFETY: the descriptor is open for the borrow's length, the kernel reads no more bytes than the slice has, and no address.
    let count = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket.as_raw_fd(),
            bytes.as_ptr(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
            nobody,
            0_usize,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// # Safety
/// `room` bytes at `into` may be written.
#[inline]
unsafe fn recv(socket: BorrowedFd<'_>, into: *mut u8, room: usize) -> io::Result<usize> {
    let nobody = null::<libc::sockaddr>();
    // SAFETY: the descriptor is open for the borrow's length, the caller's promise is for the memory, and where no address is
    // asked for, none is written, nor its length.
    let count = unsafe {
        libc::syscall(libc::SYS_recvfrom, socket.as_raw_fd(), into, room, 0, nobody, null::<libc::socklen_t>())
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// How long ago the kernel last received something of a TCP connection's peer: data, or else the end of the handshake
/// (tcp(7), `TCP_INFO`).
///
/// # Errors
/// The errno of getsockopt(2); `EOPNOTSUPP` for a Unix socket.
pub fn since_last_data(socket: BorrowedFd<'_>) -> io::Result<Duration> {
    tcp_info(socket).map(|info| Duration::from_millis(info.tcpi_last_data_recv.into()))
}

/// How many connections wait at a listening TCP socket for somebody to accept them (`TCP_INFO` has them in `tcpi_unacked`,
/// where the socket listens).
///
/// # Errors
/// The errno of getsockopt(2); `EOPNOTSUPP` for a Unix socket.
pub fn unaccepted(listener: BorrowedFd<'_>) -> io::Result<u32> {
    tcp_info(listener).map(|info| info.tcpi_unacked)
}

fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    // SAFETY: a struct of integers, of which zero is a value of each.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or_default();
    let (level, name, into) = (libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast());
    // SAFETY: the descriptor is open for the borrow's length, and the kernel writes at most `length` bytes to the struct, whose
    // true size that is.
    match unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, into, &raw mut length) } {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_received_comes_behind_what_is_there() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"defgh").unwrap();
        let mut bytes = b"abc".to_vec();
        assert_eq!(receive(far.as_fd(), &mut bytes, 3).unwrap(), 3);
        assert_eq!(receive(far.as_fd(), &mut bytes, 100).unwrap(), 2);
        assert_eq!(bytes, b"abcdefgh");
        far.set_nonblocking(true).unwrap();
        assert_eq!(receive(far.as_fd(), &mut bytes, 1).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(near);
        assert_eq!(receive(far.as_fd(), &mut bytes, 1).unwrap(), 0);
    }

    #[test]
    fn what_is_sent_is_read_and_a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(send(near.as_fd(), b"abcdef").unwrap(), 6);
        let mut bytes = [0; 4];
        assert_eq!((read(far.as_fd(), &mut bytes).unwrap(), &bytes), (4, b"abcd"));
        assert_eq!((read(far.as_fd(), &mut bytes).unwrap(), &bytes[..2]), (2, &b"ef"[..]));
        far.set_nonblocking(true).unwrap();
        assert_eq!(read(far.as_fd(), &mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(far);
        assert_eq!(send(near.as_fd(), b"gh").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(read(near.as_fd(), &mut bytes).unwrap(), 0);
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (listener.accept().unwrap().0, client)
    }

    #[test]
    fn the_peer_is_reset_at_once_though_another_descriptor_is_open() {
        let (mut server, mut client) = pair();
        let mut kept = server.try_clone().unwrap();
        server.write_all(b"half a rep").unwrap();
        client.read_exact(&mut [0; 10]).unwrap();
        disconnect(server.as_fd()).unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(kept.write(b"ly").unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(kept.write(b"ly").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_peer_that_has_said_all_it_will_is_reset_too() {
        let (server, mut client) = pair();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&server).read(&mut [0; 8]).unwrap(), 0);
        disconnect(server.as_fd()).unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        disconnect(server.as_fd()).unwrap();
    }

    #[test]
    fn what_was_written_and_not_sent_does_not_arrive() {
        let (server, mut client) = pair();
        server.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(more) = (&server).write(&[b'x'; 65_536]) {
            written += more;
        }
        disconnect(server.as_fd()).unwrap();
        let mut read = 0;
        let end = loop {
            match client.read(&mut [0; 65_536]) {
                Ok(more) => read += more,
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), ErrorKind::ConnectionReset, "{read} of {written} bytes");
        assert!(read < written);
    }

    #[test]
    fn the_time_since_the_last_data_is_known_of_tcp_alone() {
        let (server, mut client) = pair();
        std::thread::sleep(Duration::from_millis(60));
        assert!(since_last_data(server.as_fd()).unwrap() >= Duration::from_millis(40));
        let sent = std::time::Instant::now();
        client.write_all(b"x").unwrap();
        (&server).read_exact(&mut [0]).unwrap();
        assert!(since_last_data(server.as_fd()).unwrap() <= sent.elapsed() + Duration::from_millis(20));
        assert!(since_last_data(UnixStream::pair().unwrap().0.as_fd()).is_err());
    }

    #[test]
    fn connections_that_nobody_has_accepted_are_counted_of_tcp_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let count = || unaccepted(listener.as_fd()).unwrap();
        assert_eq!(count(), 0);
        let _clients = [(); 3].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert_eq!(count(), 3);
        let _accepted = listener.accept().unwrap();
        assert_eq!(count(), 2);
        assert!(unaccepted(UnixStream::pair().unwrap().0.as_fd()).is_err());
    }

    #[test]
    fn a_unix_socket_knows_no_reset() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(disconnect(one.as_fd()).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
