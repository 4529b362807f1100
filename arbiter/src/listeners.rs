//! The listening sockets: bound, shared between generations, closed when no generation names them.
//!
//! Never accepts a connection: workers do. Called by `load` with the addresses that the settings name, by
//! `control` with that of its socket, by `upgrade` with what another server has, and by `perform` when they are closed.

mod bound;
mod error;

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::lstat;
use tapster_config::Bind;
use tapster_sys::fds::Inherited;
use tapster_sys::sockets;

use error::Cause;

pub(crate) use error::BindError;

/// A listening socket. Dropping it closes the arbiter's end and removes the path that it is bound to, if it still is.
#[derive(Debug)]
pub(crate) struct Listener {
    bind: Bind,
    socket: OwnedFd,
    url: String,
    path: Option<BoundPath>,
    /// Whether another server listens at the same socket, older or newer than this one, so that its path and its queue are not
    /// for this one to end.
    is_shared: Cell<bool>,
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
pub(crate) struct Patience {
    trials: u32,
    pause: Duration,
}

impl Patience {
    /// For a start: the server that ran before may not be quite gone.
    pub(crate) const START: Self = Self { trials: 5, pause: Duration::from_secs(1) };
    /// For a reload, during which nothing else is done.
    pub(crate) const RELOAD: Self = Self { trials: 1, pause: Duration::ZERO };
}

impl Listener {
    /// A socket that the server before this one listens at too; `place` is the device and inode of its path.
    pub(crate) fn shared(bind: Bind, socket: OwnedFd, place: Option<(u64, u64)>) -> Self {
        let path = match (&bind, place) {
            (Bind::Unix { path }, Some((device, inode))) => Some(BoundPath { path: path.clone(), device, inode }),
            _ => None,
        };
        let url = bound::url(socket.as_fd(), &bind);
        Self { bind, socket, url, path, is_shared: Cell::new(true) }
    }

    /// Whether another server listens at the same socket from now on.
    pub(crate) fn share(&self, is_shared: bool) {
        self.is_shared.set(is_shared);
    }

    /// The device and inode of the path that the socket is bound to, if it is.
    #[must_use]
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        self.path.as_ref().map(|bound| (bound.device, bound.inode))
    }

    /// The address, as the settings have it.
    #[must_use]
    pub(crate) fn bind(&self) -> &Bind {
        &self.bind
    }

    /// The address as a client would write it, with the port that the system chose where the settings left it open.
    #[must_use]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many connections wait here to be accepted: none where the kernel does not say so, as of Unix sockets.
    pub(crate) fn unaccepted(&self) -> u32 {
        sockets::unaccepted(self.as_fd()).unwrap_or(0)
    }

    /// Removes the path that the socket is bound to, if it still is and no other server listens at it.
    pub(crate) fn remove_path(&self) {
        if let Some(bound) = &self.path
            && !self.is_shared.get()
            && lstat(&bound.path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (bound.device, bound.inode))
        {
            // Best effort: a stale path is replaced by the next start.
            let _ = std::fs::remove_file(&bound.path);
        }
    }

    /// Moves the socket to another path, where a server that has gone may have left one.
    ///
    /// # Errors
    /// Why it can't be there.
    pub(crate) fn move_to(&mut self, path: &Path) -> Result<(), BindError> {
        let bind = Bind::Unix { path: path.into() };
        let failed = |cause| BindError::new(&bind, cause);
        bound::make_way(path).map_err(failed)?;
        if let Some(bound) = &mut self.path {
            std::fs::rename(&bound.path, path).map_err(|error| failed(error.into()))?;
            bound.path = path.into();
        }
        self.url = bind.to_string();
        self.bind = bind;
        Ok(())
    }

    /// Has the kernel refuse connections from now on, whichever processes still hold the socket. A socket that was handed
    /// to this server is its owner's to refuse with, and one that another server listens at goes on: answers false for these.
    pub(crate) fn refuse_connections(&self) -> bool {
        let is_own = !matches!(self.bind, Bind::Fd(_)) && !self.is_shared.get();
        if is_own {
            // It fails where it refuses already.
            let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        }
        is_own
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

/// Listens at each address. What one of `open` listens at already is shared, by one of the addresses each: several may ask
/// for a free port.
///
/// # Errors
/// The first address that can't be had; what was newly bound for the others is closed again, and what was inherited stays.
pub(crate) fn open_all(
    binds: &[Bind],
    backlog: u32,
    open: &[Rc<Listener>],
    patience: Patience,
    inherited: &mut Inherited,
) -> Result<Vec<Rc<Listener>>, BindError> {
    let binds = &by_number(binds, inherited)?;
    let mut unshared: Vec<&Rc<Listener>> = open.iter().collect();
    let mut share = |bind: &Bind| {
        let position = unshared.iter().position(|listener| listener.bind == *bind)?;
        Some(Rc::clone(unshared.remove(position)))
    };
    let mut listeners: Vec<(&Bind, Option<Rc<Listener>>)> = binds.iter().map(|bind| (bind, share(bind))).collect();
    // What is inherited is taken last, when nothing can fail any more: closed, it could not be had again.
    for (bind, _) in listeners.iter().filter(|(_, shared)| shared.is_none()) {
        if let Bind::Fd(number) = bind {
            bound::examine(*number, inherited).map_err(|cause| BindError::new(bind, cause))?;
        }
    }
    for is_inherited in [false, true] {
        for (bind, listener) in &mut listeners {
            if listener.is_none() && matches!(bind, Bind::Fd(_)) == is_inherited {
                let bound = bound::listener(bind, backlog, patience, inherited);
                *listener = Some(Rc::new(bound.map_err(|error| own_fault(error, bind, open))?));
            }
        }
    }
    let listeners: Vec<_> = listeners.into_iter().filter_map(|(_, listener)| listener).collect();
    for listener in listeners.iter().filter(|listener| !open.iter().any(|known| Rc::ptr_eq(known, listener))) {
        log::info!("Listening at: {}", listener.url());
    }
    Ok(listeners)
}

/// Listens at a path of which only this process's user, and root, may make use. What a server has left there that is gone is
/// replaced.
///
/// # Errors
/// Why the path can't be had.
pub(crate) fn open_private(path: &Path, backlog: u32, patience: Patience) -> Result<Listener, BindError> {
    bound::private(path, backlog, patience)
}

/// The addresses, with the numbers of the sockets in place of the names that they were passed under.
fn by_number(binds: &[Bind], inherited: &Inherited) -> Result<Vec<Bind>, BindError> {
    let mut found: Vec<Bind> = Vec::new();
    for bind in binds {
        let Bind::Passed(name) = bind else {
            found.push(bind.clone());
            continue;
        };
        let numbers = inherited.names().iter().filter(|(_, known)| known == name).map(|(number, _)| Bind::Fd(*number));
        let before = found.len();
        found.extend(numbers);
        if found.len() == before {
            let known: Vec<&str> = inherited.names().iter().map(|(_, known)| known.as_str()).collect();
            let known = if known.is_empty() { "none at all".to_owned() } else { known.join(", ") };
            let reason = format!("no socket was passed to tapster under this name (LISTEN_FDNAMES); there is {known}");
            return Err(BindError::new(bind, Cause::Unfit(reason)));
        }
    }
    // One that is named both ways is one all the same; several addresses may ask for a free port.
    let mut seen: Vec<Bind> = Vec::new();
    found.retain(|bind| {
        let is_new = !matches!(bind, Bind::Fd(_)) || !seen.contains(bind);
        seen.push(bind.clone());
        is_new
    });
    Ok(found)
}

/// An address that is in use may be so by this server itself.
fn own_fault(error: BindError, bind: &Bind, open: &[Rc<Listener>]) -> BindError {
    match open.iter().find(|listener| error.is_in_use() && bound::overlaps(bind, listener)) {
        Some(listener) => BindError::new(
            bind,
            Cause::Unfit(format!(
                "the address is in use by this server itself, which listens at {}: going from one to the other needs a \
                 restart",
                listener.bind
            )),
        ),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Bind {
        text.parse().unwrap()
    }

    fn open_one(text: &str) -> Result<Rc<Listener>, BindError> {
        opened(&[text], &[]).map(|mut listeners| listeners.remove(0))
    }

    fn opened(texts: &[&str], open: &[Rc<Listener>]) -> Result<Vec<Rc<Listener>>, BindError> {
        let binds: Vec<Bind> = texts.iter().map(|text| at(text)).collect();
        open_all(&binds, 16, open, Patience::RELOAD, &mut Inherited::default())
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
        let open = opened(&["127.0.0.1:0", "[::1]:0"], &[]).unwrap();
        let again = opened(&["[::1]:0"], &open).unwrap();
        assert!(Rc::ptr_eq(&again[0], &open[1]));
    }

    #[test]
    fn two_free_ports_are_two_after_a_reload_too() {
        let open = opened(&["127.0.0.1:0", "127.0.0.1:0"], &[]).unwrap();
        let again = opened(&["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"], &open).unwrap();
        assert!(Rc::ptr_eq(&again[0], &open[0]) && Rc::ptr_eq(&again[1], &open[1]));
        assert_ne!(again[2].url(), again[1].url());
    }

    #[test]
    fn an_address_that_this_server_has_under_another_name_is_said_to_need_a_restart() {
        let open = opened(&["0.0.0.0:0"], &[]).unwrap();
        let port = open[0].url().rsplit_once(':').unwrap().1.to_owned();
        let error = opened(&[&format!("127.0.0.1:{port}")], &open).unwrap_err().to_string();
        assert!(error.contains("this server itself") && error.contains("restart"), "{error}");
        let error = opened(&[&format!("127.0.0.1:{port}")], &[]).unwrap_err().to_string();
        assert!(error.contains("another program"), "{error}");
    }

    #[test]
    fn a_server_whose_queue_is_full_has_its_path_and_holds_up_nobody() {
        let path = scratch("full");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        tapster_sys::fds::listen(listener.as_fd(), 0).unwrap();
        let _waits = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let error = open_one(&format!("unix:{}", path.display())).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
        std::fs::remove_file(&path).unwrap();
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
    fn what_another_server_listens_at_too_is_left_to_it() {
        use std::os::unix::net::UnixStream;
        let path = scratch("shared");
        let old = open_one(&format!("unix:{}", path.display())).unwrap();
        let copy = old.as_fd().try_clone_to_owned().unwrap();
        let new = Listener::shared(old.bind().clone(), copy, old.place());
        assert_eq!(new.url(), old.url());
        new.remove_path();
        new.refuse_connections();
        drop(new);
        assert!(UnixStream::connect(&path).is_ok(), "the new one has only closed its own descriptor");
        let copy = old.as_fd().try_clone_to_owned().unwrap();
        let new = Listener::shared(old.bind().clone(), copy, old.place());
        old.share(true);
        drop(old);
        assert!(UnixStream::connect(&path).is_ok(), "the old one has left it to the new one");
        new.share(false);
        drop(new);
        assert!(!path.exists());
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
        use std::os::fd::IntoRawFd;
        let file = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into_raw_fd();
        let mut inherited = Inherited::of_process();
        let mut open = |texts: &[String]| {
            let binds: Vec<Bind> = texts.iter().map(|text| at(text)).collect();
            open_all(&binds, 16, &[], Patience::RELOAD, &mut inherited).map_err(|error| error.to_string())
        };
        let (file, good) = (format!("fd://{file}"), format!("fd://{good}"));
        let error = open(&[good.clone(), file]).unwrap_err();
        assert!(error.contains("not a socket"), "{error}");
        assert!(open(&[good.clone(), "unix:/no/such/folder/s".into()]).is_err());
        assert!(open(&["fd://1".into()]).unwrap_err().contains("standard streams"));
        let listeners = open(std::slice::from_ref(&good)).unwrap();
        assert!(listeners[0].url().starts_with("http://127.0.0.1:"), "what was refused beside it has not closed it");
        drop(listeners);
        assert!(open(&[good]).unwrap_err().contains("nothing was passed"), "the number may be anything's by now");
    }

    #[test]
    fn what_this_process_opened_itself_is_not_taken_for_inherited() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = open_one(&format!("fd://{}", own.as_raw_fd())).unwrap_err().to_string();
        assert!(error.contains("nothing was passed"), "{error}");
    }
}
