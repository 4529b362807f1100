//! Changes to the process environment, which only a single-threaded process may make.
//!
//! Called between fork and the interpreter's start, where one thread exists and nobody else can be reading `environ`.

use std::io;

/// Sets each variable, replacing what was there.
///
/// # Errors
/// `EBUSY` where the process has more than one thread, `EINVAL` for a name that is empty or holds `=` or NUL, or a value
/// that holds NUL; variables before the faulty one stay set.
pub fn set_all(variables: &[(String, String)]) -> io::Result<()> {
    require_one_thread()?;
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: setenv races only with other threads that read or write the environment, and there are none.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}

/// Removes each variable.
///
/// # Errors
/// `EBUSY` where the process has more than one thread.
pub fn remove_all(names: &[&str]) -> io::Result<()> {
    require_one_thread()?;
    for name in names {
        // SAFETY: as in `set_all`: no other thread exists.
        unsafe { std::env::remove_var(name) };
    }
    Ok(())
}

fn require_one_thread() -> io::Result<()> {
    if threads() > 1 { Err(io::Error::from_raw_os_error(libc::EBUSY)) } else { Ok(()) }
}

/// How many threads this process has; 1 where /proc can't be read.
#[must_use]
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
