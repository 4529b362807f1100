//! exp
pub fn init(f: fn() -> i32) -> *mut pyo3::ffi::PyObject { f(); std::ptr::null_mut() }
#[macro_export]
macro_rules! entry { ($f:path) => {
    #[unsafe(no_mangle)] pub extern "C" fn PyInit__tapster() -> *mut std::ffi::c_void { $crate::init($f).cast() }
} }
