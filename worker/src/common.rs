//! What all threads of a worker share: settings in force, and what may be used by several at once.
//!
//! Made once, by `crew`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tapster_config::Settings;
use tapster_ipc::{Slot, logging};
use tapster_python::{ErrorStream, LoadError, Multi, Python, Server};

use crate::clock::Times;
use crate::life::failed;
use crate::listeners::Address;
use crate::proxies::Proxies;
use crate::socket::Socket;
use crate::temporary::Storage;
use crate::witness::{Mark, Witness};

/// A worker's unchanging part.
pub(crate) struct Common {
    /// By the listener's number.
    pub(crate) servers: Vec<Server>,
    pub(crate) proxies: Proxies,
    pub(crate) storage: Storage,
    pub(crate) times: Times,
    pub(crate) board: Slot,
    /// By the application thread's number.
    pub(crate) marks: Arc<[Mark]>,
    pub(crate) witness: Witness,
    /// The reactor's poll.
    registry: Registry,
}

/// Connections' tokens are their keys plus this.
pub(crate) const CONNECTIONS: usize = 1 << 16;

impl Common {
    /// For a worker with these settings and this place on the scoreboard, whose listeners have these addresses. `mount_point`
    /// is the environment's `SCRIPT_NAME`.
    pub(crate) fn new(
        py: Python<'_>,
        settings: &Settings,
        board: Slot,
        addresses: Vec<Address>,
        mount_point: &str,
        registry: Registry,
    ) -> Result<Self, LoadError> {
        let python = |error| failed("can't set up the interpreter for requests", &error);
        let errors = ErrorStream::new(py, logging::descriptor()).map_err(python)?;
        let proxies = Proxies::new(settings, mount_point);
        let hints = settings.early_hints;
        let server = |address| Server::new(py, address, multi(settings), hints, &errors, &proxies.mount_point);
        let servers = addresses.into_iter().map(server).collect::<Result<_, _>>().map_err(python)?;
        let marks: Arc<[Mark]> = (0..settings.threads).map(|_| Mark::default()).collect();
        Ok(Self {
            servers,
            proxies,
            storage: Storage::new(settings.tmp_upload_dir.clone(), settings.tmp_upload_limit),
            times: Times::new(settings),
            board,
            witness: Witness::new(Arc::clone(&marks)),
            marks,
            registry,
        })
    }

    /// Has the poll tell of a connection, whose key is `key`.
    ///
    /// # Errors
    /// As epoll_ctl(2) has them.
    pub(crate) fn poll_of(&self, socket: &Socket, key: usize) -> io::Result<()> {
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut SourceFd(&socket.as_fd().as_raw_fd()), Token(key + CONNECTIONS), interests)
    }

    /// The number of the poll's descriptor that [`Common::poll_of`] uses.
    pub(crate) fn poll_fd(&self) -> RawFd {
        self.registry.as_raw_fd()
    }

    /// Has the poll, which knows it, tell of a connection anew though nothing has changed: for what is to go on at the next round.
    ///
    /// # Errors
    /// As epoll_ctl(2) has them.
    pub(crate) fn poll_again(&self, socket: &Socket, key: usize) -> io::Result<()> {
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.registry.reregister(&mut SourceFd(&socket.as_fd().as_raw_fd()), Token(key + CONNECTIONS), interests)
    }
}

/// Whether the application may be running more than once at the same time.
pub(crate) fn multi(settings: &Settings) -> Multi {
    Multi { multithread: settings.threads > 1, multiprocess: settings.workers.max > 1 }
}
