//! Tells a service manager how the server is (sd_notify(3)), where there is one: `NOTIFY_SOCKET` names its socket.
//!
//! Never fails the server, and never waits long for a manager that does not read: a library that sends in blocking mode
//! would stop the whole arbiter there.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tapster_sys::stamp;

use crate::action::Notice;

/// The variables by which a service manager speaks to the process that it starts, and to no child of it.
pub(crate) const VARIABLES: &[&str] =
    &["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// How long a manager may take to make room for what changes the unit's state.
const PATIENCE: Duration = Duration::from_secs(1);

/// Passes a notice on.
pub(crate) fn notify(notice: &Notice) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    let patience = if matches!(notice, Notice::Status(_)) { Duration::ZERO } else { PATIENCE };
    if let Err(error) = send(&socket, &message(notice, stamp::monotonic()), patience) {
        let level = if patience.is_zero() { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "The service manager can't be told {notice:?} (NOTIFY_SOCKET = {socket:?}): {error}");
    }
}

fn message(notice: &Notice, now: Duration) -> String {
    match notice {
        Notice::Ready => "READY=1".into(),
        // The time tells the manager which of several reloads a later READY=1 answers.
        Notice::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()),
        Notice::Stopping => "STOPPING=1".into(),
        Notice::Status(status) => format!("STATUS={}", status.replace('\n', " ")),
    }
}

fn send(name: &OsString, message: &str, patience: Duration) -> io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    match socket.send(message.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !patience.is_zero() => {
            let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
            poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], timeout)?;
            socket.send(message.as_bytes()).map(drop)
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_has_the_words_that_the_manager_knows() {
        let now = Duration::from_micros(12_345_678);
        assert_eq!(message(&Notice::Ready, now), "READY=1");
        assert_eq!(message(&Notice::Reloading, now), "RELOADING=1\nMONOTONIC_USEC=12345678");
        assert_eq!(message(&Notice::Status("a\nREADY=1".into()), now), "STATUS=a READY=1");
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nobody() {
        let name = format!("@tapster-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let name = OsString::from(name);
        let mut sent = 0_u32;
        while send(&name, "STATUS=x", Duration::ZERO).is_ok() {
            sent += 1;
            assert!(sent < 100_000);
        }
        assert!(send(&name, "READY=1", Duration::from_millis(20)).is_err());
        assert_eq!(manager.recv(&mut [0; 64]).unwrap(), "STATUS=x".len());
        send(&name, "READY=1", Duration::from_millis(20)).unwrap();
    }
}
