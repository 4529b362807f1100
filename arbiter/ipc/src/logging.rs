//! The form of a log line, the same whichever process writes it: `[2026-11-20 18:35:00 +0000] [4711] [INFO] text`.
//!
//! The executable and the worker library each have a `log` of their own, so each process calls this once after it starts.
//!
//! A line is written behind a gate, which a process with threads holds while one of them forks
//! ([`hold_for_fork`]): a thread that was writing does not exist in the new process, and could not give its locks back.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use env_logger::{Builder, Target};
use log::{LevelFilter, Metadata, Record};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

/// Held by whoever writes a line, for no longer than that, and taken before all other locks of the log. Its holder neither
/// forks nor waits for another thread, nor for the interpreter's lock.
static GATE: Mutex<()> = Mutex::new(());
/// What is logged to.
static SINK: Mutex<Sink> = Mutex::new(Sink { file: None, lost: 0 });

/// How long a reader of the log that lags behind is waited for, in milliseconds. Whoever logs must go on.
const PATIENCE_MS: u8 = 100;
/// What a pipe takes in one piece, and without waiting where it takes anything (pipe(7), `PIPE_BUF`).
const PIECE: usize = 4096;

/// Where lines go.
struct Sink {
    /// `None` is the standard error stream.
    file: Option<File>,
    /// How many lines were not taken since the last one that was.
    lost: u64,
}

/// Opens the log: `file`, or the standard error stream. A further call in a process closes what was open before.
///
/// # Errors
/// Where the file can't be opened for appending; nothing has changed then.
pub fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(open).transpose()?;
    let gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    SINK.lock().unwrap_or_else(PoisonError::into_inner).file = file;
    let target = Target::Pipe(Box::new(Log));
    let logger = Builder::new().filter_level(LevelFilter::Trace).target(target).format(line).build();
    // An error here means that this process logs already.
    let _ = log::set_boxed_logger(Box::new(Gated(logger)));
    log::set_max_level(level);
    drop(gate);
    Ok(())
}

/// A logger that is used by one thread at a time, behind [`GATE`].
struct Gated(env_logger::Logger);

impl log::Log for Gated {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // Outside the gate: to tell an exception of Python's takes the interpreter's lock, and a thread that forks holds that
        // one while it waits for the gate.
        let text = record.args().to_string();
        let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.log(&Record::builder().metadata(record.metadata().clone()).args(format_args!("{text}")).build());
    }

    fn flush(&self) {}
}

thread_local! {
    /// The gate, while this thread forks.
    static HELD: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

/// Waits until no other thread writes a line, and keeps all from writing until [`release_after_fork`]. To be called by the
/// thread that forks, right before.
pub fn hold_for_fork() {
    let gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    // A thread that is ending has no such place any more, and forks without the gate.
    let _ = HELD.try_with(|held| held.set(Some(gate)));
}

/// Undoes [`hold_for_fork`], in the same thread, in both processes. Async-signal-safe.
pub fn release_after_fork() {
    drop(HELD.try_with(Cell::take));
}

/// Opens a log file for appending, making it where it is missing.
///
/// # Errors
/// The errno of open(2).
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Writes the line at once, so that lines of several processes do not mix.
fn line(buffer: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> io::Result<()> {
    let level = match record.level() {
        log::Level::Warn => "WARNING",
        log::Level::Trace => "DEBUG",
        level => level.as_str(),
    };
    writeln!(buffer, "{} [{level}] {}", stamp(), record.args())
}

fn stamp() -> String {
    format!("[{}] [{}]", tapster_sys::stamp::local(), std::process::id())
}

/// Passes each line on to what is open at the time.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sink = &mut *SINK.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut sink.file {
            Some(file) => write_or_lose(file, bytes, &mut sink.lost),
            None => write_or_lose(&mut io::stderr(), bytes, &mut sink.lost),
        }?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line, or counts it as lost where it is not taken in time; the next line that is taken says how many were.
fn write_or_lose(to: &mut (impl Write + AsFd), line: &[u8], lost: &mut u64) -> io::Result<()> {
    // Waited for once: a reader that is stuck costs one wait, and not one for each line.
    let patience = if *lost == 0 { PATIENCE_MS } else { 0 };
    if *lost > 0 {
        let said = format!("\n{} [WARNING] {lost} lines are missing here: the log was not read in time\n", stamp());
        if !write_if_taken(to, said.as_bytes(), patience)? {
            *lost += 1;
            return Ok(());
        }
        *lost = 0;
    }
    if !write_if_taken(to, line, patience)? {
        *lost += 1;
    }
    Ok(())
}

/// Answers whether all was taken.
fn write_if_taken(to: &mut (impl Write + AsFd), mut bytes: &[u8], patience: u8) -> io::Result<bool> {
    // A file takes all at once, and whole: so lines of several processes do not mix.
    let is_file = fstat(to.as_fd()).is_ok_and(|stat| stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits());
    let piece = if is_file { bytes.len() } else { PIECE };
    while !bytes.is_empty() {
        match poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(patience)) {
            Ok(0) => return Ok(false),
            Err(Errno::EINTR) => continue,
            // Where polling fails, writing says why.
            Ok(_) | Err(_) => {}
        }
        match to.write(&bytes[..bytes.len().min(piece)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A stream that does not block, which another process has filled meanwhile.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_reader_that_is_stuck_holds_up_nobody_and_is_told_how_much_it_missed() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let (mut lost, line, begun) = (0, [b'x'; 8000], Instant::now());
        for _ in 0..100 {
            write_or_lose(&mut writer, &line, &mut lost).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!((85..100).contains(&lost), "{lost}");
        let (mut taken, missing) = (vec![0; 65_536], lost);
        while lost > 0 {
            let read = reader.read(&mut taken).unwrap();
            assert!(read > 0);
            write_or_lose(&mut writer, b"again\n", &mut lost).unwrap();
        }
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("lines are missing here") && rest.ends_with("again\n"), "{missing}: {rest}");
    }
}
