//! The form of a log line, the same whichever process writes it: `[2026-11-20 18:35:00 +0000] [4711] [INFO] text`.
//!
//! The executable and the worker library each have a `log` of their own, so each process calls this once after it starts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use env_logger::{Builder, Target};
use log::LevelFilter;

/// The file that is logged to; `None` is the standard error stream.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Opens the log: `file`, or the standard error stream. A further call in a process closes what was open before.
///
/// # Errors
/// Where the file can't be opened for appending; nothing has changed then.
pub fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(open).transpose()?;
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = file;
    let target = Target::Pipe(Box::new(Log));
    let started = Builder::new().filter_level(LevelFilter::Trace).target(target).format(line).try_init();
    // An error here means that this process logs already.
    drop(started);
    log::set_max_level(level);
    Ok(())
}

/// Opens a log file for appending, making it where it is missing.
///
/// # Errors
/// The errno of open(2).
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Writes the line at once, so that lines of several processes do not mix.
fn line(buffer: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> io::Result<()> {
    let level = match record.level() {
        log::Level::Warn => "WARNING",
        log::Level::Trace => "DEBUG",
        level => level.as_str(),
    };
    writeln!(buffer, "[{}] [{}] [{level}] {}", tapster_sys::stamp::local(), std::process::id(), record.args())
}

/// Passes each line on to what is open at the time.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match FILE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
