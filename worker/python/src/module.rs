//! The extension module `_tapster`, through which an interpreter enters the worker library.
//!
//! It has one function, `main(channel)`: the life of a template or worker, from the number of the inherited channel's
//! descriptor to the exit status. Both doors (see the arbiter's `door`) come in here.

use std::ffi::c_long;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::Python;
use pyo3::ffi;

/// What `_tapster.main` runs: attached to the interpreter, given the channel's descriptor, answering the exit status.
pub type Main = fn(Python<'_>, i32) -> u8;

static MAIN: OnceLock<Main> = OnceLock::new();

/// Makes the library that invokes it importable as `_tapster`, with `$main` (a [`Main`]) behind `_tapster.main`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// What CPython calls when the module `_tapster` is first imported.
        #[unsafe(no_mangle)]
        pub extern "C" fn PyInit__tapster() -> *mut ::std::ffi::c_void {
            $crate::init($main)
        }
    };
}

/// Creates the module object. Only for [`entry!`]: CPython calls it, attached.
#[must_use]
pub fn init(main: Main) -> *mut std::ffi::c_void {
    let _ = MAIN.set(main);
    // SAFETY: called from the interpreter's import machinery, so attached. The definitions are leaked because CPython
    // keeps pointers to them for as long as it lives.
    unsafe {
        let methods = Box::leak(Box::new([
            ffi::PyMethodDef {
                ml_name: c"main".as_ptr(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunction: run_main },
                ml_flags: ffi::METH_O,
                ml_doc: c"Runs a template or worker over the channel with this descriptor; answers its exit status."
                    .as_ptr(),
            },
            ffi::PyMethodDef::zeroed(),
        ]));
        let definition = Box::leak(Box::new(ffi::PyModuleDef {
            m_base: ffi::PyModuleDef_HEAD_INIT,
            m_name: c"_tapster".as_ptr(),
            m_doc: c"Tapster's worker.".as_ptr(),
            m_size: -1,
            m_methods: methods.as_mut_ptr(),
            m_slots: null_mut(),
            m_traverse: None,
            m_clear: None,
            m_free: None,
        }));
        ffi::PyModule_Create2(definition, ffi::PYTHON_API_VERSION).cast()
    }
}

extern "C" fn run_main(_module: *mut ffi::PyObject, channel: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter, so attached, with one argument as METH_O promises.
    let number = unsafe { ffi::PyLong_AsLong(channel) };
    // SAFETY: as above.
    if number == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return null_mut();
    }
    let Some(main) = MAIN.get() else { return raise(c"the worker library has no main") };
    let Ok(number) = i32::try_from(number) else { return raise(c"the channel's descriptor is out of range") };
    // A panic must not unwind into C frames. Its message has been printed by the panic hook.
    match catch_unwind(AssertUnwindSafe(|| Python::attach(|py| main(py, number)))) {
        // SAFETY: attached, as above.
        Ok(status) => unsafe { ffi::PyLong_FromLong(c_long::from(status)) },
        Err(_) => raise(c"the worker library panicked; this is a defect of Tapster"),
    }
}

fn raise(message: &std::ffi::CStr) -> *mut ffi::PyObject {
    // SAFETY: only called from `run_main`, attached.
    unsafe { ffi::PyErr_SetString(ffi::PyExc_RuntimeError, message.as_ptr()) };
    null_mut()
}
