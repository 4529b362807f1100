//! The interpreter as a process: its paths and arguments, its garbage collector, its forks.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction, PyList};

use crate::traceback;

/// The running interpreter.
#[derive(Clone, Copy)]
pub struct Interpreter<'py>(Python<'py>);

impl<'py> Interpreter<'py> {
    /// The interpreter that this thread is attached to.
    #[must_use]
    pub fn of(py: Python<'py>) -> Self {
        Self(py)
    }

    /// Its version, as in `3.12.1`.
    #[must_use]
    pub fn version(self) -> String {
        let full = Python::version_str();
        full.split_whitespace().next().unwrap_or(full).to_owned()
    }

    /// Puts the application's folders first on `sys.path` (`chdir`, then `pythonpath`), where `-c` has left an empty
    /// entry, and names the program in `sys.argv`.
    ///
    /// # Errors
    /// Where `sys.path` is not a list any more.
    pub fn prepare(self, chdir: &Path, pythonpath: &[PathBuf], arguments: &[&str]) -> PyResult<()> {
        let sys = self.0.import("sys")?;
        let path = sys.getattr("path")?.cast_into::<PyList>()?;
        if !path.is_empty() && path.get_item(0)?.eq("")? {
            path.del_item(0)?;
        }
        for folder in std::iter::once(chdir).chain(pythonpath.iter().map(PathBuf::as_path)).rev() {
            path.insert(0, folder.as_os_str())?;
        }
        sys.setattr("argv", arguments)
    }

    /// Has Python print the stacks of all threads into the log when the process is killed by a fault or by SIGABRT. `log` is the
    /// descriptor of the log's file, where that is not the standard error stream.
    ///
    /// # Errors
    /// Where `faulthandler` can't be enabled.
    pub fn print_stacks_on_fatal_signals(self, log: Option<RawFd>) -> PyResult<()> {
        // By number, so that it works whatever `sys.stderr` has become, and goes on in the file that the log goes on in.
        self.0.import("faulthandler")?.getattr("enable")?.call1((log.unwrap_or(2),)).map(drop)
    }

    /// Writes out what Python still buffers, which a fork would otherwise have written once more by each child.
    pub fn flush_streams(self) {
        for name in ["stdout", "stderr"] {
            // A stream that is closed, or none, has nothing to write.
            let _ = self.0.import("sys").and_then(|sys| sys.getattr(name)?.call_method0("flush"));
        }
    }

    /// The names of the Python threads beside the main one.
    #[must_use]
    pub fn other_threads(self) -> Vec<String> {
        let names = || -> PyResult<Vec<String>> {
            let threads = self.0.import("threading")?.call_method0("enumerate")?;
            threads.try_iter()?.map(|thread| thread?.getattr("name")?.extract()).collect()
        };
        names().unwrap_or_default().into_iter().filter(|name| name != "MainThread").collect()
    }

    /// Turns the garbage collector on or off.
    pub fn collect_garbage(self, on: bool) {
        // SAFETY: `Python` proves attachment.
        unsafe { if on { ffi::PyGC_Enable() } else { ffi::PyGC_Disable() } };
    }

    /// Moves all objects out of the collector's sight, so that a collection in a child does not touch, and so copy, the
    /// pages that it shares with its parent. No collection first: it would leave holes that children then dirty.
    ///
    /// # Errors
    /// Where the module `gc` has been tampered with.
    pub fn freeze_garbage_collector(self) -> PyResult<()> {
        self.0.import("gc")?.call_method0("freeze").map(drop)
    }
}

/// Has Python forget a descriptor that the application gave it for signals and has closed since: its number is about to be another
/// file's. For the main thread only, once the application is loaded.
///
/// # Errors
/// Where the module `signal` has been tampered with.
pub(crate) fn forget_lost_wakeup(py: Python<'_>) -> PyResult<()> {
    let set = py.import("signal")?.getattr("set_wakeup_fd")?;
    let before: i32 = set.call1((-1,))?.extract()?;
    if before != -1 {
        // Python refuses what is closed.
        let _ = set.call1((before,));
    }
    Ok(())
}

/// Has Python write the number of each signal that it notes to `waker`, which must not block, for the rest of the process's life;
/// unless the application has had it write elsewhere. For the main thread only.
///
/// # Errors
/// Where the module `signal` has been tampered with.
pub fn wake_on_signals(py: Python<'_>, waker: OwnedFd) -> PyResult<()> {
    let set = py.import("signal")?.getattr("set_wakeup_fd")?;
    let options = [("warn_on_full_buffer", false)].into_py_dict(py)?;
    let before: i32 = set.call((waker.as_raw_fd(),), Some(&options))?.extract()?;
    // What the application has chosen for a buffer that is full can't be asked. Python does not take back what is closed, or
    // blocks, by now.
    if before == -1 || before == waker.as_raw_fd() || set.call1((before,)).is_err() {
        // It is Python's now, which never closes it: another file of that number would get what is written.
        let _ = waker.into_raw_fd();
    }
    Ok(())
}

/// Runs what the application has registered with `atexit`, and writes out what Python still buffers: for a worker that can't
/// finalise its interpreter, because a thread is stuck in it.
pub fn run_exit_functions(py: Python<'_>) {
    // It prints what its functions raise.
    if let Err(error) = py.import("atexit").and_then(|atexit| atexit.call_method0("_run_exitfuncs")) {
        log::error!("the functions that are registered with atexit failed\n{}", traceback::format(py, &error));
    }
    Interpreter::of(py).flush_streams();
}

/// Whether [`call_last`] has registered what has not been called yet.
static LAST: AtomicBool = AtomicBool::new(false);

/// Has `run` called when threads that are no daemons have ended, and the functions have been called that are registered with
/// `atexit` from now on. What Python ends with follows, and it unwinds each thread that comes for its lock from then on, which
/// Rust can't survive: so `run` has to see to it that there is none.
///
/// `run` is called sooner where the application has `atexit` forget its functions or call them, and perhaps twice; not in
/// processes that the application forks, which have none of their parent's threads. A second call of this does nothing as long as
/// `run` has not been called.
///
/// # Errors
/// Where the module `atexit` has been tampered with.
pub fn call_last(py: Python<'_>, run: fn(Python<'_>)) -> PyResult<()> {
    /// Python drops it when it forgets the function.
    struct Last(fn(Python<'_>));

    impl Last {
        fn call(&self, py: Python<'_>) {
            if !is_foreign_fork() {
                (self.0)(py);
            }
        }
    }

    impl Drop for Last {
        fn drop(&mut self) {
            LAST.store(false, Relaxed);
            let _ = Python::try_attach(|py| self.call(py));
        }
    }

    if LAST.load(Relaxed) {
        return Ok(());
    }
    let last = Last(run);
    let function = PyCFunction::new_closure(py, None, None, move |arguments, _keywords| last.call(arguments.py()))?;
    py.import("atexit")?.call_method1("register", (function,))?;
    LAST.store(true, Relaxed);
    Ok(())
}

/// Runs the application's handlers of the signals that have come, as Python does it in the main thread between two
/// instructions.
pub fn run_signal_handlers(py: Python<'_>) {
    let ran = py.check_signals();
    leave_if_forked(py, ran.as_ref().err());
    if let Err(error) = ran {
        log::error!("a signal handler of the application raised: {error}");
    }
}

/// Set in processes that the application has forked from a template or worker.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Notes that other code than the server's has forked this process, for `is_foreign_fork` and `leave_if_forked`. To be called
/// in the new process before anything else runs there; it is async-signal-safe.
pub fn note_foreign_fork() {
    FORKED.store(true, Relaxed);
}

/// Whether this is a process that the application has forked: clients and descriptors are its parent's.
#[inline]
pub(crate) fn is_foreign_fork() -> bool {
    FORKED.load(Relaxed)
}

/// Ends this process if the application has forked it and let it return, or raise, into the server: the connections and the
/// poll are its parent's. `raised` is what came out of the application, if that was an exception.
#[inline]
pub(crate) fn leave_if_forked(py: Python<'_>, raised: Option<&PyErr>) {
    if is_foreign_fork() {
        leave(py, raised);
    }
}

#[cold]
fn leave(py: Python<'_>, raised: Option<&PyErr>) {
    let status = match raised {
        None => {
            log::warn!("a process that the application forked returned into the server, and ends here");
            0
        }
        Some(error) if error.is_instance_of::<PySystemExit>(py) => {
            let code = error.value(py).getattr("code").ok();
            code.map_or(1, |code| if code.is_none() { 0 } else { code.extract().unwrap_or(1) })
        }
        Some(error) => {
            log::error!("an exception ends a process that the application forked\n{}", traceback::format(py, error));
            1
        }
    };
    flush_within(py, FLUSH, status);
    let _ = py.import("os").and_then(|os| os.call_method1("_exit", (status,)));
    // Only where `os._exit` has been tampered with.
    std::process::abort();
}

/// How long a process that is to end waits for what Python still buffers to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// Writes out what Python still buffers, in a thread that is not waited for longer than that: where another thread of the
/// parent's was writing when this process was forked, Python's stream is locked for ever. The process then ends with `status`
/// from here, without Python: that thread may have the interpreter's lock, and keep it.
fn flush_within(py: Python<'_>, patience: Duration, status: c_int) {
    let (done, wait) = sync_channel(1);
    let flushing = std::thread::Builder::new().spawn(move || {
        Python::attach(|py| Interpreter::of(py).flush_streams());
        let _ = done.send(());
    });
    if flushing.is_ok() {
        py.detach(move || {
            if wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: _exit(2) takes any value and returns to nobody.
                unsafe { _exit(status) }
            }
        });
    }
}

unsafe extern "C" {
    /// What `os._exit` calls.
    fn _exit(status: c_int) -> !;
}

/// Forks by `fork` between the interpreter's own preparations and repairs, as `os.fork` does. `is_child` tells from the
/// answer on which side it is.
pub fn around_fork<T>(_py: Python<'_>, fork: impl FnOnce() -> T, is_child: impl FnOnce(&T) -> bool) -> T {
    // SAFETY: attached, and each call is paired with its counterpart on both sides, as their contract asks.
    unsafe {
        ffi::PyOS_BeforeFork();
        let answer = fork();
        if is_child(&answer) {
            ffi::PyOS_AfterFork_Child();
        } else {
            ffi::PyOS_AfterFork_Parent();
        }
        answer
    }
}
