//! The form of a log line, the same whichever process writes it: `[2026-11-20 18:35:00 +0000] [4711] [INFO] text`.
//!
//! The executable and the worker library each have a `log` of their own, so each process calls this once after it starts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use env_logger::{Builder, Target};
use log::LevelFilter;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

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
    SINK.lock().unwrap_or_else(PoisonError::into_inner).file = file;
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
