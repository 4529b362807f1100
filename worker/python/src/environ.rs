//! `environ` (PEP 3333, "environ Variables"): what is the same for all requests is copied, the rest set on the copy.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tapster_wire::{Body, Head, Span, Version, decode_path};

use crate::exchange::Request;
use crate::input::{Inputs, RequestBody};
use crate::names::{Names, Seen, is_framing, key_of};
use crate::origin::{lay_over, server_name_and_port};
use crate::peer::Texts;
use crate::start_response::{Over, StartResponse};
use crate::text::{interned, latin1};

/// Makes each request's `environ`.
pub(crate) struct Environs {
    keys: Keys,
    names: Names,
    peers: Texts,
    inputs: Inputs,
    /// Where a path is decoded, kept for its memory.
    decoded: Vec<u8>,
}

/// What a request gives to the application.
pub(crate) struct Made<'py> {
    pub(crate) environ: Bound<'py, PyAny>,
    /// The `wsgi.input`, where that is a file: to be closed with the request, and not when a garbage collector finds it, because
    /// it takes room on the disk.
    pub(crate) upload: Option<Bound<'py, PyAny>>,
}

/// Interned keys and the commonest values.
pub(crate) struct Keys {
    request_method: Py<PyAny>,
    path_info: Py<PyAny>,
    query_string: Py<PyAny>,
    raw_uri: Py<PyAny>,
    request_uri: Py<PyAny>,
    server_protocol: Py<PyAny>,
    pub(crate) server_name: Py<PyAny>,
    pub(crate) server_port: Py<PyAny>,
    pub(crate) remote_addr: Py<PyAny>,
    pub(crate) remote_port: Py<PyAny>,
    pub(crate) script_name: Py<PyAny>,
    pub(crate) url_scheme: Py<PyAny>,
    pub(crate) host: Py<PyAny>,
    pub(crate) https: Py<PyAny>,
    content_length: Py<PyAny>,
    input: Py<PyAny>,
    early_hints: Py<PyAny>,
    client_disconnected: Py<PyAny>,
    pub(crate) empty: Py<PyAny>,
    slash: Py<PyAny>,
    post: Py<PyAny>,
    http10: Py<PyAny>,
}

impl Environs {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let key = |text| interned(py, text);
        let keys = Keys {
            request_method: key(c"REQUEST_METHOD"),
            path_info: key(c"PATH_INFO"),
            query_string: key(c"QUERY_STRING"),
            raw_uri: key(c"RAW_URI"),
            request_uri: key(c"REQUEST_URI"),
            server_protocol: key(c"SERVER_PROTOCOL"),
            server_name: key(c"SERVER_NAME"),
            server_port: key(c"SERVER_PORT"),
            remote_addr: key(c"REMOTE_ADDR"),
            remote_port: key(c"REMOTE_PORT"),
            script_name: key(c"SCRIPT_NAME"),
            url_scheme: key(c"wsgi.url_scheme"),
            host: key(c"HTTP_HOST"),
            https: key(c"https"),
            content_length: key(c"CONTENT_LENGTH"),
            input: key(c"wsgi.input"),
            early_hints: key(c"wsgi.early_hints"),
            client_disconnected: key(c"tapster.client_disconnected"),
            empty: key(c""),
            slash: key(c"/"),
            post: key(c"POST"),
            http10: key(c"HTTP/1.0"),
        };
        let (names, peers, inputs) = (Names::new(py), Texts::new(), Inputs::new(py)?);
        Ok(Self { keys, names, peers, inputs, decoded: Vec::new() })
    }

    /// The request's `environ`, with the functions that `start` has for it.
    pub(crate) fn make<'py>(
        &mut self,
        py: Python<'py>,
        request: Request<'_>,
        start: &StartResponse,
    ) -> PyResult<Made<'py>> {
        let Request { head, buffer, server, peer, origin, body } = request;
        // SAFETY: attached by `py`; the base is a dict that only this module holds.
        let environ = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDict_Copy(server.base.as_ptr()))? };
        let dict = Dict { py, dict: &environ };
        self.request_line(&dict, head, buffer)?;

        let keys = &self.keys;
        peer.tell(&dict, keys, &mut self.peers)?;
        let host = head.host.map_or(&b""[..], |host| host.of(buffer));
        if server.named_by_host {
            let (name, port) = server_name_and_port(host, origin.scheme);
            dict.set_latin1(&keys.server_name, name)?;
            dict.set_latin1(&keys.server_port, port)?;
        }
        if let Some(mount) = head.script_name {
            dict.set_latin1(&keys.script_name, mount.of(buffer))?;
        }
        match head.body {
            Body::None => {}
            Body::Length(length) => dict.set_number(&keys.content_length, length)?,
            // The whole body is here, so its length is known, and no application has to read to an end it can't see.
            Body::Chunked => dict.set_number(&keys.content_length, body.length())?,
        }
        let is_file = matches!(body, RequestBody::File { .. });
        let input = self.inputs.make(py, body)?;
        dict.set(&self.keys.input, &input)?;
        if server.early_hints {
            dict.set(&self.keys.early_hints, start.early_hints().bind(py))?;
        }
        dict.set(&self.keys.client_disconnected, start.client_disconnected().bind(py))?;
        self.fields(&dict, head, buffer)?;
        let mount_point = if head.script_name.is_some() { "" } else { &server.script_name };
        lay_over(&dict, &self.keys, &origin, host, mount_point)?;
        Ok(Made { environ, upload: is_file.then_some(input) })
    }

    /// Takes the functions of a request that is over out of an `environ` that the application keeps, so that they can be used
    /// for the next: in their place come some that say so.
    #[cold]
    pub(crate) fn retire(&self, environ: &Bound<'_, PyAny>, start: &StartResponse, over: &Over) {
        let dict = Dict { py: environ.py(), dict: environ };
        // A dict that has the key makes no room, so this does not fail; if it did, the functions would not be used again.
        let _ = dict.replace(&self.keys.early_hints, start.early_hints(), &over.early_hints);
        let _ = dict.replace(&self.keys.client_disconnected, start.client_disconnected(), &over.client_disconnected);
    }

    fn request_line(&mut self, dict: &Dict<'_, '_>, head: &Head, buffer: &[u8]) -> PyResult<()> {
        let (py, keys) = (dict.py, &self.keys);
        match head.method.of(buffer) {
            // It stands there already, as does all that is passed over below.
            b"GET" => {}
            b"POST" => dict.set(&keys.request_method, keys.post.bind(py))?,
            method => dict.set_latin1(&keys.request_method, method)?,
        }
        if head.version != Version::Http11 {
            dict.set(&keys.server_protocol, keys.http10.bind(py))?;
        }
        let target = self.target(py, head.target, buffer)?;
        dict.set(&self.keys.raw_uri, &target)?;
        dict.set(&self.keys.request_uri, &target)?;
        let path = head.path.of(buffer);
        if head.path == head.target && !path.contains(&b'%') {
            dict.set(&self.keys.path_info, &target)?;
        } else {
            self.decoded.clear();
            decode_path(path, &mut self.decoded);
            dict.set_latin1(&self.keys.path_info, &self.decoded)?;
        }
        match head.query.of(buffer) {
            b"" => Ok(()),
            query => dict.set_latin1(&self.keys.query_string, query),
        }
    }

    fn target<'py>(&self, py: Python<'py>, target: Span, buffer: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match target.of(buffer) {
            b"/" => Ok(self.keys.slash.bind(py).clone()),
            target => latin1(py, target).ok_or_else(|| PyErr::fetch(py)),
        }
    }

    fn fields(&mut self, dict: &Dict<'_, '_>, head: &Head, buffer: &[u8]) -> PyResult<()> {
        let mut seen = Seen::default();
        // Whether a key that has no number is there already: from then on what a request has had is asked of the dict.
        let mut unnumbered = false;
        for field in &head.fields {
            let (name, value) = (field.name.of(buffer), field.value.of(buffer));
            if is_framing(name) {
                continue;
            }
            match self.names.find(dict.py, name) {
                Some(known) if !seen.mark(known.number) && !unnumbered => {
                    let value = known.value(dict.py, value).ok_or_else(|| PyErr::fetch(dict.py))?;
                    dict.set(&known.key, &value)?;
                }
                Some(known) => dict.join(known.key.bind(dict.py), value)?,
                None => {
                    unnumbered = true;
                    dict.join(key_of(name).into_pyobject(dict.py)?.as_any(), value)?;
                }
            }
        }
        Ok(())
    }
}

/// A dict that is being filled.
pub(crate) struct Dict<'a, 'py> {
    pub(crate) py: Python<'py>,
    dict: &'a Bound<'py, PyAny>,
}

impl Dict<'_, '_> {
    #[inline]
    pub(crate) fn set(&self, key: &Py<PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        // SAFETY: attached by `self.py`; all three are live objects and the first is a dict.
        if unsafe { ffi::PyDict_SetItem(self.dict.as_ptr(), key.as_ptr(), value.as_ptr()) } == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(self.py))
        }
    }

    #[inline]
    pub(crate) fn set_latin1(&self, key: &Py<PyAny>, value: &[u8]) -> PyResult<()> {
        let value = latin1(self.py, value).ok_or_else(|| PyErr::fetch(self.py))?;
        self.set(key, &value)
    }

    pub(crate) fn set_number(&self, key: &Py<PyAny>, number: u64) -> PyResult<()> {
        let text = number.to_string();
        self.set_latin1(key, text.as_bytes())
    }

    /// Sets a key whose value is still `before`.
    fn replace(&self, key: &Py<PyAny>, before: &Py<PyAny>, after: &Py<PyAny>) -> PyResult<()> {
        match self.dict.cast::<PyDict>()?.get_item(key)? {
            Some(value) if value.is(before) => self.set(key, after.bind(self.py)),
            _ => Ok(()),
        }
    }

    /// Removes a key that may be there.
    pub(crate) fn remove(&self, key: &Py<PyAny>) -> PyResult<()> {
        let dict = self.dict.cast::<PyDict>()?;
        if dict.contains(key)? { dict.del_item(key) } else { Ok(()) }
    }

    /// Sets a header, or adds to its value with a comma where the request repeats it (RFC 9110 section 5.3).
    #[cold]
    fn join(&self, key: &Bound<'_, PyAny>, value: &[u8]) -> PyResult<()> {
        let value = latin1(self.py, value).ok_or_else(|| PyErr::fetch(self.py))?;
        let dict = self.dict.cast::<PyDict>()?;
        match dict.get_item(key)? {
            Some(before) => dict.set_item(key, before.add(",")?.add(value)?),
            None => dict.set_item(key, value),
        }
    }
}
