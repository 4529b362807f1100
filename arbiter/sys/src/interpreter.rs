//! The dlopen door: a process without Python becomes a Python process.
//!
//! Called in the arbiter's forked child, once. CPython's own `main` is entered by its stable entry point, so that prefixes,
//! virtual environments, encodings and `site` come out exactly as the `python` command has them.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW, Symbol};

/// Why an interpreter could not be entered.
#[derive(Debug)]
pub struct LoadError {
    library: PathBuf,
    cause: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't load {}: {}", self.library.display(), self.cause)
    }
}

impl std::error::Error for LoadError {}

/// Loads `libpython` and the worker library, makes the latter the built-in module `_tapster`, and runs `argv` as the
/// `python` command would. Returns Python's exit status.
///
/// # Errors
/// Where a library or one of the stable ABI's symbols is missing; Python has not been started then.
pub fn run(libpython: &Path, worker: &Path, argv: &[CString]) -> Result<i32, LoadError> {
    // Global, because extension modules expect to find the interpreter's symbols without linking it themselves.
    let python = open(libpython, RTLD_NOW | RTLD_GLOBAL)?;
    let module = open(worker, RTLD_NOW | RTLD_LOCAL)?;
    let append: Symbol<AppendInittab> = symbol(&python, libpython, "PyImport_AppendInittab")?;
    let main: Symbol<BytesMain> = symbol(&python, libpython, "Py_BytesMain")?;
    let init: Symbol<ModuleInit> = symbol(&module, worker, "PyInit__tapster")?;

    let name = c"_tapster";
    // SAFETY: Python is not initialised yet, as PyImport_AppendInittab requires, `name` is static, and `init` is what the
    // worker library exports under the name that CPython's convention gives it.
    if unsafe { append(name.as_ptr(), *init) } != 0 {
        return Err(LoadError { library: libpython.into(), cause: "PyImport_AppendInittab ran out of memory".into() });
    }
    let mut pointers: Vec<*mut c_char> = argv.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
    pointers.push(std::ptr::null_mut());
    // SAFETY: `pointers` holds `count` NUL-terminated strings that outlive the call, and a closing null.
    let status = unsafe { main(count, pointers.as_mut_ptr()) };
    // Code of both libraries may still be referred to by exit handlers: they stay mapped until the process ends.
    std::mem::forget((python, module));
    Ok(status)
}

type ModuleInit = unsafe extern "C" fn() -> *mut c_void;
type AppendInittab = unsafe extern "C" fn(*const c_char, ModuleInit) -> c_int;
type BytesMain = unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int;

fn open(path: &Path, flags: c_int) -> Result<Library, LoadError> {
    // SAFETY: initialisers of libpython and of our own library run; both are made to be loaded so.
    unsafe { Library::open(Some(path), flags) }.map_err(|error| load_error(path, &error))
}

fn symbol<T>(library: &Library, path: &Path, name: &str) -> Result<Symbol<T>, LoadError> {
    // SAFETY: each caller names the type that the stable ABI (or our own library) declares for the symbol.
    unsafe { library.get(name.as_bytes()) }.map_err(|error| load_error(path, &error))
}

fn load_error(path: &Path, error: &libloading::Error) -> LoadError {
    use std::error::Error;
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    LoadError { library: path.into(), cause }
}

/// A path or argument as C takes it; NUL bytes, which no path holds, are dropped.
#[must_use]
pub fn c_string(text: &std::ffi::OsStr) -> CString {
    CString::new(text.as_bytes().iter().copied().filter(|&byte| byte != 0).collect::<Vec<_>>()).unwrap_or_default()
}
