//! Makes one listening socket, of each kind that a `bind` setting can name.

use std::cell::Cell;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, connect, getsockname, getsockopt,
    setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, lstat, umask};
use tapster_config::Bind;
use tapster_sys::fds::Inherited;

use super::error::Cause;
use super::{BindError, BoundPath, Listener, Patience};

/// Listens at an address.
pub(super) fn listener(
    at: &Bind,
    backlog: u32,
    patience: Patience,
    inherited: &mut Inherited,
) -> Result<Listener, BindError> {
    patiently(at, patience, || try_once(at, backlog, inherited))
}

/// Listens at a path to which nobody but this process's user, and root, may connect.
pub(super) fn private(path: &Path, backlog: u32, patience: Patience) -> Result<Listener, BindError> {
    let at = Bind::Unix { path: path.into() };
    patiently(&at, patience, || {
        let socket = unix(path, Mode::S_IXUSR | Mode::S_IRWXG | Mode::S_IRWXO)?;
        let path = Some(bound_path(path)?);
        tapster_sys::fds::listen(socket.as_fd(), backlog)?;
        Ok(Listener { bind: at.clone(), url: at.to_string(), socket, path, is_shared: Cell::default() })
    })
}

/// Tries again where the address is in use.
fn patiently(
    at: &Bind,
    patience: Patience,
    mut open: impl FnMut() -> Result<Listener, Cause>,
) -> Result<Listener, BindError> {
    let mut trial = 1;
    loop {
        match open().map_err(|cause| BindError::new(at, cause)) {
            Err(error) if error.is_in_use() && trial < patience.trials => {
                log::warn!("{error}; trying again");
                trial += 1;
                std::thread::sleep(patience.pause);
            }
            result => return result,
        }
    }
}

fn try_once(at: &Bind, backlog: u32, inherited: &mut Inherited) -> Result<Listener, Cause> {
    let socket = match at {
        Bind::Tcp { host, port } => tcp(host, *port)?,
        // Who may connect is for the directory to say: a proxy mostly runs as another user.
        Bind::Unix { path } => unix(path, Mode::empty())?,
        Bind::Abstract { name } => {
            let socket = stream(AddressFamily::Unix)?;
            bind(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
            socket
        }
        Bind::Fd(number) => take(*number, inherited)?,
        Bind::Passed(_) => return Err(Errno::EBADF.into()),
    };
    let path = match at {
        Bind::Unix { path } => Some(bound_path(path)?),
        Bind::Tcp { .. } | Bind::Abstract { .. } | Bind::Fd(_) | Bind::Passed(_) => None,
    };
    if !matches!(at, Bind::Fd(_)) {
        tapster_sys::fds::listen(socket.as_fd(), backlog)?;
    }
    Ok(Listener { bind: at.clone(), url: url(socket.as_fd(), at), socket, path, is_shared: Cell::new(false) })
}

fn stream(family: AddressFamily) -> nix::Result<OwnedFd> {
    // Several workers are woken for one connection; the slower ones must not wait in accept(2).
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

fn tcp(host: &str, port: u16) -> Result<OwnedFd, Cause> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| Cause::Unfit(format!("the name {host:?} stands for no address")))?;
    let address = SockaddrStorage::from(address);
    let socket = stream(address.family().unwrap_or(AddressFamily::Inet))?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.as_sockaddr_in6().is_some() {
        // Both families are two addresses, and are to be named as two.
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    bind(socket.as_raw_fd(), &address)?;
    Ok(socket)
}

/// Binds a path, with all permissions but those of `mask`.
fn unix(path: &Path, mask: Mode) -> Result<OwnedFd, Cause> {
    make_way(path)?;
    let socket = stream(AddressFamily::Unix)?;
    let address = UnixAddr::new(path)?;
    let before = umask(mask);
    let bound = bind(socket.as_raw_fd(), &address);
    umask(before);
    bound?;
    Ok(socket)
}

/// Removes the socket that a server has left behind which is gone.
pub(super) fn make_way(path: &Path) -> Result<(), Cause> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(Cause::Unfit("the path exists and is not a socket".into()));
    }
    // Not blocking: where a server's queue is full, connecting would wait for as long as that server is stuck.
    let probe = stream(AddressFamily::Unix)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Err(Errno::ECONNREFUSED) => Ok(std::fs::remove_file(path)?),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno @ (Errno::EACCES | Errno::EPERM)) => Err(errno.into()),
        Ok(()) | Err(_) => Err(Errno::EADDRINUSE.into()),
    }
}

fn bound_path(path: &Path) -> Result<BoundPath, Cause> {
    let stat = lstat(path)?;
    Ok(BoundPath { path: path.into(), device: stat.st_dev, inode: stat.st_ino })
}

/// Whether the inherited descriptor can be listened at. Leaves it as it is.
pub(super) fn examine(number: i32, inherited: &Inherited) -> Result<(), Cause> {
    if number <= 2 {
        return Err(Errno::EINVAL.into());
    }
    let socket = inherited.look(number).ok_or(Errno::EBADF)?;
    let name = inherited.names().iter().find(|(named, _)| *named == number);
    let name = name.map_or_else(String::new, |(_, name)| format!(" (it was passed as {name:?})"));
    let unfit = |reason: &str| Cause::Unfit(format!("{reason}{name}"));
    let kind = getsockopt(&socket, sockopt::SockType).map_err(|_| unfit("it is not a socket"))?;
    if kind != SockType::Stream {
        return Err(unfit("it is not a stream socket"));
    }
    if !getsockopt(&socket, sockopt::AcceptConn)? {
        return Err(unfit("it is a socket, but does not listen"));
    }
    Ok(())
}

fn take(number: i32, inherited: &mut Inherited) -> Result<OwnedFd, Cause> {
    examine(number, inherited)?;
    let socket = inherited.take(number)?;
    let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL)?);
    fcntl(&socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(socket)
}

/// Whether the address is one at which `open`, a listener of this server, takes connections already: the same by another
/// name, or every address of the machine and one of them.
pub(super) fn overlaps(at: &Bind, open: &Listener) -> bool {
    let Bind::Tcp { host, port } = at else { return false };
    let wanted = (host.as_str(), *port).to_socket_addrs().ok().and_then(|mut found| found.next());
    let (Some(wanted), Some(taken)) = (wanted, address(open.as_fd())) else { return false };
    let is_every = wanted.ip().is_unspecified() || taken.ip().is_unspecified();
    wanted.port() == taken.port() && wanted.is_ipv4() == taken.is_ipv4() && (is_every || wanted.ip() == taken.ip())
}

/// The address and port that an internet socket is bound to.
fn address(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok()?;
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from(SocketAddrV4::from(*address)));
    v4.or_else(|| Some(SocketAddr::from(SocketAddrV6::from(*address.as_sockaddr_in6()?))))
}

/// The address as a client would write it.
pub(super) fn url(socket: BorrowedFd<'_>, at: &Bind) -> String {
    match (address(socket), at) {
        (Some(address), _) => format!("http://{address}"),
        (None, Bind::Fd(number)) => {
            let path = getsockname::<UnixAddr>(socket.as_raw_fd()).ok();
            let path = path.as_ref().and_then(UnixAddr::path);
            path.map_or_else(|| format!("fd://{number}"), |path| format!("unix:{}", path.display()))
        }
        (None, _) => at.to_string(),
    }
}
