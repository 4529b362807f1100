//! The client's side of a connection, as `environ` tells it: `REMOTE_ADDR` and what belongs to it.
//!
//! Made once a connection, by whoever accepts it, and so without the interpreter: Python's strings are made for the first
//! request and kept for the others. What a proxy says in a request's header fields is `origin`'s; here is what holds for all
//! requests of the connection.

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

/// An address and a port, with their texts once they have been asked for.
#[derive(Debug)]
struct Place {
    address: IpAddr,
    port: u16,
    texts: Option<(Py<PyAny>, Py<PyAny>)>,
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
    pub(crate) fn tell(&mut self, dict: &Dict<'_, '_>, keys: &Keys) -> PyResult<()> {
        let py = dict.py;
        match &mut self.client {
            Some(place) => {
                let (address, port) = place.texts(py)?;
                dict.set(&keys.remote_addr, address.bind(py))?;
                dict.set(&keys.remote_port, port.bind(py))?;
            }
            None => dict.set(&keys.remote_addr, keys.empty.bind(py))?,
        }
        match &mut self.proxied {
            Some(proxied) => proxied.tell(dict),
            None => Ok(()),
        }
    }
}

impl Place {
    fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, texts: None }
    }

    #[inline]
    fn texts(&mut self, py: Python<'_>) -> PyResult<&(Py<PyAny>, Py<PyAny>)> {
        let texts = match self.texts.take() {
            Some(texts) => texts,
            None => (text(py, &self.address.to_string())?, text(py, &self.port.to_string())?),
        };
        Ok(self.texts.insert(texts))
    }
}

impl Proxied {
    /// The keys that gunicorn has for them.
    #[cold]
    fn tell(&mut self, dict: &Dict<'_, '_>) -> PyResult<()> {
        let py = dict.py;
        dict.set(&text(py, "PROXY_PROTOCOL")?, text(py, self.protocol)?.bind(py))?;
        if let Some(place) = &mut self.proxy {
            let (address, port) = place.texts(py)?;
            dict.set(&text(py, "PROXY_ADDR")?, address.bind(py))?;
            dict.set(&text(py, "PROXY_PORT")?, port.bind(py))?;
        }
        Ok(())
    }
}

fn text(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    Ok(text.into_pyobject(py)?.into_any().unbind())
}
