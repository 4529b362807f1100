//! The listening sockets: bound, shared between generations, closed when no generation names them.
//!
//! Never accepts a connection: workers do. Called by `load` with the addresses that the settings name.

mod bound;
mod error;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::lstat;
use tapster_config::Bind;

pub use error::BindError;

/// A listening socket. Dropping it closes the arbiter's end and removes the path that it is bound to, if it still is.
#[derive(Debug)]
pub struct Listener {
    bind: Bind,
    socket: OwnedFd,
    url: String,
    path: Option<BoundPath>,
}

/// A socket's place in the file system, and which file it was.
#[derive(Debug)]
struct BoundPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// How often, and how long apart, an address that is in use is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    trials: u32,
    pause: Duration,
}

impl Patience {
    /// For a start: the server that ran before may not be quite gone.
    pub const START: Self = Self { trials: 5, pause: Duration::from_millis(250) };
    /// For a reload, during which nothing else is done.
    pub const RELOAD: Self = Self { trials: 1, pause: Duration::ZERO };
}

impl Listener {
    /// The address, as the settings have it.
    #[must_use]
    pub fn bind(&self) -> &Bind {
        &self.bind
    }

    /// The address as a client would write it, with the port that the system chose where the settings left it open.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Removes the path that the socket is bound to, if it still is.
    pub fn remove_path(&self) {
        if let Some(bound) = &self.path
            && lstat(&bound.path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (bound.device, bound.inode))
        {
            // Best effort: a stale path is replaced by the next start.
            let _ = std::fs::remove_file(&bound.path);
        }
    }

    /// Has the kernel refuse connections from now on, whichever processes still hold the socket. A socket that was handed
    /// to this server is its owner's to refuse with.
    pub fn refuse_connections(&self) {
        if !matches!(self.bind, Bind::Fd(_)) {
            // It fails where it refuses already.
            let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.remove_path();
    }
}

/// Listens at each address in turn. What one of `open` listens at already is shared.
///
/// # Errors
/// The first address that can't be had; what was newly bound for the others is closed again.
pub fn open_all(
    binds: &[Bind],
    backlog: u32,
    open: &[Rc<Listener>],
    patience: Patience,
) -> Result<Vec<Rc<Listener>>, BindError> {
    let mut listeners = Vec::with_capacity(binds.len());
    for bind in binds {
        let listener = match open.iter().find(|listener| listener.bind == *bind) {
            Some(listener) => Rc::clone(listener),
            None => {
                let listener = bound::listener(bind, backlog, patience)?;
                log::info!("Listening at: {}", listener.url());
                Rc::new(listener)
            }
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Bind {
        text.parse().unwrap()
    }

    fn open_one(text: &str) -> Result<Rc<Listener>, BindError> {
        open_all(&[at(text)], 16, &[], Patience::RELOAD).map(|mut listeners| listeners.remove(0))
    }

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tapster-{name}-{}.sock", std::process::id()))
    }

    #[test]
    fn an_open_port_is_chosen_and_named() {
        let listener = open_one("127.0.0.1:0").unwrap();
        assert!(listener.url().starts_with("http://127.0.0.1:"), "{}", listener.url());
        assert!(!listener.url().ends_with(":0"));
    }

    #[test]
    fn a_reload_shares_what_is_open() {
        let open = open_all(&[at("127.0.0.1:0"), at("[::1]:0")], 16, &[], Patience::RELOAD).unwrap();
        let again = open_all(&[at("[::1]:0")], 16, &open, Patience::RELOAD).unwrap();
        assert!(Rc::ptr_eq(&again[0], &open[1]));
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let first = open_one("127.0.0.1:0").unwrap();
        let address = first.url().strip_prefix("http://").unwrap().to_owned();
        let error = open_one(&address).unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("in use"), "{error}");
    }

    #[test]
    fn a_stale_path_is_replaced_a_live_one_is_in_use_and_the_end_removes_it() {
        let path = scratch("stale");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let text = format!("unix:{}", path.display());
        let listener = open_one(&text).unwrap();
        let error = open_one(&text).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_someone_else_has_bound_anew_stays() {
        let path = scratch("taken");
        let listener = open_one(&format!("unix:{}", path.display())).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
        drop(other);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_not_replaced() {
        let path = scratch("file");
        std::fs::write(&path, "precious").unwrap();
        let error = open_one(&format!("unix:{}", path.display())).unwrap_err().to_string();
        assert!(error.contains("not a socket"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_inherited_descriptor_must_be_a_listening_socket() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(file);
        let error = open_one(&format!("fd://{number}")).unwrap_err().to_string();
        assert!(error.contains("not a socket"), "{error}");
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(socket);
        assert!(open_one(&format!("fd://{number}")).unwrap().url().starts_with("http://127.0.0.1:"));
        assert!(open_one("fd://1").is_err());
    }
}
