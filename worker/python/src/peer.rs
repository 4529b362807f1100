//! The client's side of a connection, as `environ` tells it: `REMOTE_ADDR` and what belongs to it.
//!
//! Made once a connection, by whoever accepts it, and so without the interpreter, as it is dropped: it holds nothing of Python's.
//! The strings are made for the connection's first request and kept for the others by the thread that runs them ([`Texts`]). What a
//! proxy says in a request's header fields is `origin`'s; here is what holds for all requests of the connection.

use std::net::IpAddr;

use pyo3::prelude::*;
use tapster_wire::proxy_protocol::{Addresses, Preface};

use crate::environ::{Dict, Keys};

/// Who is at the other end.
#[derive(Debug)]
pub struct Peer {
    /// Absent for a Unix socket.
    client: Option<Place>,
    proxied: Option<Box<Proxied>>,
}

/// Each idle connection holds one.
const _: () = assert!(size_of::<Peer>() < 64);

/// An address and a port. A copy, and so without Python's strings: a thread that drops such a string without the interpreter's lock
/// takes a lock of PyO3's for it, which a child that is forked at that moment finds taken for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    address: IpAddr,
    port: u16,
}

/// What a PROXY header says, but for the client's address.
#[derive(Debug)]
struct Proxied {
    protocol: &'static str,
    /// Where the client meant to connect to: the proxy.
    proxy: Option<Place>,
}

impl Peer {
    /// A client at this address and port; `None` for one on a Unix socket.
    #[must_use]
    pub fn new(address: Option<(IpAddr, u16)>) -> Self {
        Self { client: address.map(|(address, port)| Place::new(address, port)), proxied: None }
    }

    /// Makes this the client that a proxy's PROXY header tells of; it stays the proxy itself where that tells of none.
    pub fn note_preface(&mut self, preface: &Preface) {
        let mut proxy = None;
        if let Some(Addresses { source, destination }) = preface.addresses {
            self.client = Some(Place::new(source.ip(), source.port()));
            proxy = Some(Place::new(destination.ip(), destination.port()));
        }
        self.proxied = Some(Box::new(Proxied { protocol: preface.protocol, proxy }));
    }

    #[inline]
    pub(crate) fn tell(&self, dict: &Dict<'_, '_>, keys: &Keys, texts: &mut Texts) -> PyResult<()> {
        let py = dict.py;
        match self.client {
            Some(place) => {
                let text = texts.of(py, place)?;
                dict.set(&keys.remote_addr, text.address.bind(py))?;
                dict.set(&keys.remote_port, text.port.bind(py))?;
            }
            None => dict.set(&keys.remote_addr, keys.empty.bind(py))?,
        }
        match &self.proxied {
            Some(proxied) => proxied.tell(dict, texts),
            None => Ok(()),
        }
    }
}

impl Place {
    fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

/// The places that a thread has told of last, as Python's strings.
pub(crate) struct Texts(Box<[Option<Text>; MOST_TEXTS]>);

/// How many are kept: as many connections as a thread is likely to have requests of in turn. Each takes some 150 bytes.
const MOST_TEXTS: usize = 256;

/// A place, and what it is in `environ`.
struct Text {
    place: Place,
    address: Py<PyAny>,
    port: Py<PyAny>,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self(Box::new([const { None }; MOST_TEXTS]))
    }

    /// The texts of a place. Ports tell the connections of a host apart, and the last bits of them best.
    #[inline]
    fn of(&mut self, py: Python<'_>, place: Place) -> PyResult<&Text> {
        let kept = &mut self.0[usize::from(place.port) % MOST_TEXTS];
        let text = match kept.take() {
            Some(text) if text.place == place => text,
            _ => Text::new(py, place)?,
        };
        Ok(kept.insert(text))
    }
}

impl Text {
    fn new(py: Python<'_>, place: Place) -> PyResult<Self> {
        let (address, port) = (text(py, &place.address.to_string())?, text(py, &place.port.to_string())?);
        Ok(Self { place, address, port })
    }
}

impl Proxied {
    /// The keys that gunicorn has for them.
    #[cold]
    fn tell(&self, dict: &Dict<'_, '_>, texts: &mut Texts) -> PyResult<()> {
        let py = dict.py;
        dict.set(&text(py, "PROXY_PROTOCOL")?, text(py, self.protocol)?.bind(py))?;
        if let Some(place) = self.proxy {
            let told = texts.of(py, place)?;
            dict.set(&text(py, "PROXY_ADDR")?, told.address.bind(py))?;
            dict.set(&text(py, "PROXY_PORT")?, told.port.bind(py))?;
        }
        Ok(())
    }
}

fn text(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    Ok(text.into_pyobject(py)?.into_any().unbind())
}
