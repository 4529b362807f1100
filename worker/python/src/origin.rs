//! What trusted proxies say of a request's origin, laid over the `environ` that the connection alone would give.
//!
//! Whether they are trusted, and what their header fields mean, has been decided by then (`tapster_wire::forwarded`).

use pyo3::prelude::*;
use tapster_wire::decode_path;
use tapster_wire::forwarded::{Origin, Scheme};

use crate::environ::{Dict, Keys};

/// Changes what `origin` knows better. `host` is the request's own; `mount_point` is what the server itself has taken off the
/// path, behind what the proxies took.
#[inline]
pub(crate) fn lay_over(
    dict: &Dict<'_, '_>,
    keys: &Keys,
    origin: &Origin<'_>,
    host: &[u8],
    mount_point: &str,
) -> PyResult<()> {
    if origin.scheme == Some(Scheme::Https) {
        dict.set(&keys.url_scheme, keys.https.bind(dict.py))?;
    }
    if origin.client.is_none() && origin.host.is_none() && origin.port.is_none() && origin.prefix.is_none() {
        return Ok(());
    }
    lay_over_addresses(dict, keys, origin, host, mount_point)
}

#[cold]
fn lay_over_addresses(
    dict: &Dict<'_, '_>,
    keys: &Keys,
    origin: &Origin<'_>,
    host: &[u8],
    mount_point: &str,
) -> PyResult<()> {
    if let Some(client) = origin.client {
        dict.set_latin1(&keys.remote_addr, client.address.to_string().as_bytes())?;
        match client.port {
            Some(port) => dict.set_number(&keys.remote_port, port.into())?,
            None => dict.remove(&keys.remote_port)?,
        }
    }
    if let Some(prefix) = origin.prefix {
        let mut decoded = Vec::with_capacity(prefix.len());
        decode_path(prefix, &mut decoded);
        decoded.extend_from_slice(mount_point.as_bytes());
        dict.set_latin1(&keys.script_name, &decoded)?;
    }
    let host = origin.host.unwrap_or(host);
    let (name, port) = server_name_and_port(host, origin.scheme);
    if origin.host.is_some() {
        dict.set_latin1(&keys.host, host)?;
        dict.set_latin1(&keys.server_name, name)?;
        dict.set_latin1(&keys.server_port, port)?;
    }
    if let Some(port) = origin.port {
        dict.set_number(&keys.server_port, port.into())?;
        // Where a URL need not name the port, the application's URLs need not either.
        let named = if port.to_string().as_bytes() == default_port(origin.scheme) {
            name.to_vec()
        } else {
            [name, b":", port.to_string().as_bytes()].concat()
        };
        dict.set_latin1(&keys.host, &named)?;
    }
    Ok(())
}

/// Host and port of a `Host` field, the port being the scheme's where there is none (RFC 9110 section 7.2). Neither is
/// empty, since PEP 3333 promises applications that neither is.
pub(crate) fn server_name_and_port(host: &[u8], scheme: Option<Scheme>) -> (&[u8], &[u8]) {
    let (name, port) = match memchr::memrchr(b':', host) {
        // A colon within brackets belongs to an IPv6 address.
        Some(colon) if !host[colon..].contains(&b']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, &b""[..]),
    };
    let port = if port.is_empty() { default_port(scheme) } else { port };
    (if name.is_empty() { b"localhost" } else { name }, port)
}

/// RFC 9110 sections 4.2.1 and 4.2.2.
fn default_port(scheme: Option<Scheme>) -> &'static [u8] {
    if scheme == Some(Scheme::Https) { b"443" } else { b"80" }
}
