//! The client's side of a connection, as `environ` tells it: `REMOTE_ADDR` and what belongs to it.
//!
//! Made once a connection. What a proxy says in a request's header fields is `origin`'s; here is what holds for all requests
//! of the connection.

use std::net::IpAddr;

use pyo3::prelude::*;
use tapster_wire::proxy_protocol::{Addresses, Preface};

use crate::environ::{Dict, Keys};

/// Who is at the other end.
#[derive(Debug)]
pub struct Peer {
    address: Py<PyAny>,
    /// Absent for a Unix socket.
    port: Option<Py<PyAny>>,
    proxied: Option<Box<Proxied>>,
}

/// What a PROXY header says, but for the client's address.
#[derive(Debug)]
struct Proxied {
    protocol: &'static str,
    /// Where the client meant to connect to: the proxy.
    proxy: Option<(Py<PyAny>, Py<PyAny>)>,
}

impl Peer {
    /// A client at this address and port; `None` for one on a Unix socket.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn new(py: Python<'_>, address: Option<(IpAddr, u16)>) -> PyResult<Self> {
        match address {
            Some((ip, port)) => {
                Ok(Self { address: text(py, ip.to_string())?, port: Some(text(py, port.to_string())?), proxied: None })
            }
            None => Ok(Self { address: text(py, String::new())?, port: None, proxied: None }),
        }
    }

    /// Makes this the client that a proxy's PROXY header tells of; it stays the proxy itself where that tells of none.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn note_preface(&mut self, py: Python<'_>, preface: &Preface) -> PyResult<()> {
        let mut proxy = None;
        if let Some(Addresses { source, destination }) = preface.addresses {
            *self = Self::new(py, Some((source.ip(), source.port())))?;
            proxy = Some((text(py, destination.ip().to_string())?, text(py, destination.port().to_string())?));
        }
        self.proxied = Some(Box::new(Proxied { protocol: preface.protocol, proxy }));
        Ok(())
    }

    #[inline]
    pub(crate) fn tell(&self, dict: &Dict<'_, '_>, keys: &Keys) -> PyResult<()> {
        let py = dict.py;
        dict.set(&keys.remote_addr, self.address.bind(py))?;
        if let Some(port) = &self.port {
            dict.set(&keys.remote_port, port.bind(py))?;
        }
        match &self.proxied {
            Some(proxied) => proxied.tell(dict),
            None => Ok(()),
        }
    }
}

impl Proxied {
    /// The keys that gunicorn has for them.
    #[cold]
    fn tell(&self, dict: &Dict<'_, '_>) -> PyResult<()> {
        let py = dict.py;
        let key = |name: &str| text(py, name.to_owned());
        dict.set(&key("PROXY_PROTOCOL")?, key(self.protocol)?.bind(py))?;
        if let Some((address, port)) = &self.proxy {
            dict.set(&key("PROXY_ADDR")?, address.bind(py))?;
            dict.set(&key("PROXY_PORT")?, port.bind(py))?;
        }
        Ok(())
    }
}

fn text(py: Python<'_>, text: String) -> PyResult<Py<PyAny>> {
    Ok(text.into_pyobject(py)?.into_any().unbind())
}
