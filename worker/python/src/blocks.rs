//! A body that is a list or tuple of bytes: all of it is here, so its length is known, and asking for its blocks runs no
//! Python code.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::failure::Failure;
use crate::response::{HIGH_WATER, Phase};
use crate::start_response::StartResponse;
use crate::text::{bytes_of, type_name};

/// A list or tuple of bytes.
pub(crate) struct Blocks<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    is_list: bool,
    count: ffi::Py_ssize_t,
    length: u64,
}

impl<'a, 'py> Blocks<'a, 'py> {
    /// What `object` holds, where it is exactly a list or tuple; a failure where not all of that is bytes.
    #[inline]
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> Option<Result<Self, Failure>> {
        let is_list = object.is_exact_instance_of::<PyList>();
        if !is_list && !object.is_exact_instance_of::<PyTuple>() {
            return None;
        }
        // SAFETY: attached, by the bound; the type has just been checked.
        let count =
            unsafe { if is_list { ffi::PyList_Size(object.as_ptr()) } else { ffi::PyTuple_Size(object.as_ptr()) } };
        let mut blocks = Self { object, is_list, count, length: 0 };
        for place in 0..count {
            match blocks.bytes(place) {
                Some(bytes) => blocks.length += bytes.len() as u64,
                None => return Some(Err(blocks.not_bytes(place))),
            }
        }
        Some(Ok(blocks))
    }

    /// Puts them all on their way.
    #[inline]
    pub(crate) fn send(&self, start: &mut StartResponse) -> Result<(), Failure> {
        if start.response().phase == Phase::Expected {
            return Err(Failure::NotStarted);
        }
        start.response().send_head(Some(self.length));
        for place in 0..self.count {
            // While there was no room, other threads may have changed the list. What is missing then is told as a body
            // that is too short.
            let Some(block) = self.bytes(place) else { break };
            // The last is the server's to keep or to give up: the application is not held for it.
            if block.len() > HIGH_WATER && place + 1 < self.count {
                self.send_large(place, start);
                continue;
            }
            start.response().send_body(block);
            if place + 1 < self.count {
                start.wait_for_room(self.object.py(), HIGH_WATER);
            }
        }
        Ok(())
    }

    /// The same for one block, which is held meanwhile.
    #[cold]
    fn send_large(&self, place: ffi::Py_ssize_t, start: &mut StartResponse) {
        let py = self.object.py();
        // SAFETY: attached, by the bound; what stands there is alive, and the reference that is made here keeps it so.
        let block = unsafe { Bound::from_borrowed_ptr_or_opt(py, self.item(place)) };
        if let Some(block) = block {
            // SAFETY: attached, and the block is held until its bytes have been used.
            start.send_block(py, unsafe { bytes_of(block.as_ptr()) }.unwrap_or_default());
        }
    }

    /// The object at that place, null where there is none any more.
    fn item(&self, place: ffi::Py_ssize_t) -> *mut ffi::PyObject {
        // SAFETY: attached, by the bound, and of that type; the calls check the place.
        unsafe {
            let item = if self.is_list {
                ffi::PyList_GetItem(self.object.as_ptr(), place)
            } else {
                ffi::PyTuple_GetItem(self.object.as_ptr(), place)
            };
            if item.is_null() {
                ffi::PyErr_Clear();
            }
            item
        }
    }

    /// The bytes at that place, to be used before other Python code can change the list.
    #[inline]
    fn bytes(&self, place: ffi::Py_ssize_t) -> Option<&[u8]> {
        let item = self.item(place);
        // SAFETY: attached, by the bound; the container keeps the item alive.
        if item.is_null() { None } else { unsafe { bytes_of(item) } }
    }

    fn not_bytes(&self, place: ffi::Py_ssize_t) -> Failure {
        // SAFETY: attached, by the bound; the reference that is made here keeps the item while its type is named.
        let item = unsafe { Bound::from_borrowed_ptr_or_opt(self.object.py(), self.item(place)) };
        Failure::NotBytes(item.map_or_else(String::new, |item| type_name(&item)))
    }
}
