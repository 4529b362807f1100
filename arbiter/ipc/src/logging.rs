//! The form of a log line, the same whichever process writes it: `[2026-11-20 18:35:00 +0000] [4711] [INFO] text`.
//!
//! The executable and the worker library each have a `log` of their own, so each process calls this once after it starts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use env_logger::{Builder, Target};
use log::LevelFilter;

/// Opens the log: `file`, or the standard error stream. A second call in a process changes only the level.
///
/// # Errors
/// Where the file can't be opened for appending.
pub fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let target = match file {
        Some(path) => Target::Pipe(Box::new(open(path)?)),
        None => Target::Stderr,
    };
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
