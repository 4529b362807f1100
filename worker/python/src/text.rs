//! Python strings and bytes to and from the bytes of the wire, without copies where the representation allows.

use std::ffi::CStr;
use std::slice::from_raw_parts;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A string with one character a byte (PEP 3333, "Unicode Issues": latin-1). `None` where memory ran out.
#[inline]
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Option<Bound<'py, PyAny>> {
    // SAFETY: `py` proves attachment; pointer and length are one slice's.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length(bytes), std::ptr::null());
        Bound::from_owned_ptr_or_opt(py, text)
    }
}

/// An interned string, for keys that live as long as the process.
pub(crate) fn interned(py: Python<'_>, text: &CStr) -> Py<PyAny> {
    // SAFETY: `py` proves attachment and `text` is NUL-terminated. It fails only where memory runs out at start.
    unsafe { Bound::from_owned_ptr(py, ffi::PyUnicode_InternFromString(text.as_ptr())).unbind() }
}

/// What a `str` looks like on the wire.
pub(crate) enum Latin1<'a> {
    /// All ASCII: the string's own memory.
    Borrowed(&'a [u8]),
    /// Characters up to U+00FF.
    Owned(Vec<u8>),
}

impl Latin1<'_> {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Why an object is no header text.
pub(crate) enum NotLatin1 {
    /// It is not a `str`.
    NotStr,
    /// It has a character above U+00FF.
    Character,
}

/// The latin-1 bytes of the `str` that `object` points to.
///
/// # Safety
/// `object` is a live object, this thread is attached, and the caller keeps a reference to it for `'a`.
#[inline]
pub(crate) unsafe fn encode_latin1<'a>(object: *mut ffi::PyObject) -> Result<Latin1<'a>, NotLatin1> {
    // SAFETY: the caller's promise covers each call; the UTF-8 form belongs to the string and lives as long as it.
    unsafe {
        if ffi::PyUnicode_Check(object) == 0 {
            return Err(NotLatin1::NotStr);
        }
        let mut size = 0;
        let utf8 = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut size);
        if utf8.is_null() {
            // Surrogates, which no header may hold.
            ffi::PyErr_Clear();
            return Err(NotLatin1::Character);
        }
        let utf8: &'a [u8] = from_raw_parts(utf8.cast(), usize::try_from(size).unwrap_or(0));
        // With as many bytes as characters, each is one byte, and so ASCII.
        if size == ffi::PyUnicode_GetLength(object) {
            return Ok(Latin1::Borrowed(utf8));
        }
        let text = std::str::from_utf8(utf8).map_err(|_| NotLatin1::Character)?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        bytes.map(Latin1::Owned).map_err(|_| NotLatin1::Character)
    }
}

/// The bytes of a `bytes` object (or of a subclass); `None` for any other.
///
/// # Safety
/// As [`encode_latin1`].
#[inline]
pub(crate) unsafe fn bytes_of<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; `bytes` are immutable and keep their memory as long as they live.
    unsafe {
        if ffi::PyBytes_Check(object) == 0 {
            return None;
        }
        let size = usize::try_from(ffi::PyBytes_Size(object)).unwrap_or(0);
        Some(from_raw_parts(ffi::PyBytes_AsString(object).cast(), size))
    }
}

/// A slice's length as CPython takes it. No slice is longer than `isize::MAX` bytes, so nothing is cut.
#[inline]
pub(crate) fn length(bytes: &[u8]) -> ffi::Py_ssize_t {
    bytes.len() as ffi::Py_ssize_t
}

/// A `str` as text for people: what UTF-8 can't hold, such as a lone surrogate, is written as an escape.
pub(crate) fn escaped(text: &Bound<'_, PyAny>) -> PyResult<String> {
    let bytes = text.call_method1("encode", ("utf-8", "backslashreplace"))?;
    Ok(String::from_utf8_lossy(bytes.cast::<PyBytes>()?.as_bytes()).into_owned())
}

/// The name of an object's type, for messages. It may run Python code, by a metaclass that has its own `__name__`.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string())
}
