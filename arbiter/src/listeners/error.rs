//! Why an address can't be listened at, and what may be done about it.

use std::fmt;
use std::io;

use nix::errno::Errno;
use tapster_config::Bind;

/// An address that can't be had.
#[derive(Debug)]
pub(crate) struct BindError {
    bind: Bind,
    cause: Cause,
}

/// What is in the way.
#[derive(Debug)]
pub(super) enum Cause {
    /// The system says no.
    System(io::Error),
    /// What was found there can't be listened at.
    Unfit(String),
}

impl BindError {
    pub(super) fn new(bind: &Bind, cause: Cause) -> Self {
        Self { bind: bind.clone(), cause }
    }

    /// Whether somebody has the address.
    #[must_use]
    pub(crate) fn is_in_use(&self) -> bool {
        matches!(&self.cause, Cause::System(error) if error.kind() == io::ErrorKind::AddrInUse)
    }

    fn hint(&self) -> Option<String> {
        let Cause::System(error) = &self.cause else { return None };
        let errno = error.raw_os_error().map(Errno::from_raw)?;
        Some(match (errno, &self.bind) {
            (Errno::EADDRINUSE, Bind::Tcp { port, .. }) => {
                format!("another program listens there: `ss -ltnp 'sport = :{port}'` names it")
            }
            (Errno::EADDRINUSE, _) => "another program listens there: `ss -lxp` names it".into(),
            (Errno::EADDRNOTAVAIL, _) => "no network interface of this machine has that address".into(),
            (Errno::EACCES, Bind::Tcp { port: ..1024, .. }) => {
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or a proxy in front".into()
            }
            (Errno::EACCES | Errno::EROFS, Bind::Unix { .. }) => {
                "the user that tapster runs as may not write to the socket's directory".into()
            }
            (Errno::ENOENT, Bind::Unix { .. }) => "the socket's directory does not exist".into(),
            (Errno::EBADF, Bind::Fd(number)) => {
                format!("nothing was passed to tapster as descriptor {number}: it must be open when tapster starts")
            }
            (Errno::EINVAL, Bind::Fd(_)) => "the standard streams can't be listened at".into(),
            (Errno::EAFNOSUPPORT, _) => "this machine has no IPv6: give an IPv4 address".into(),
            _ => return None,
        })
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't listen at {}: ", self.bind)?;
        match &self.cause {
            Cause::System(error) => write!(f, "{error}")?,
            Cause::Unfit(reason) => f.write_str(reason)?,
        }
        self.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for BindError {}
