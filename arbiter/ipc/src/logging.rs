//! The form of a log line, the same whichever process writes it: `[2026-11-20 18:35:00 +0000] [4711] [INFO] text`.
//!
//! The executable and the worker library each have a `log` of their own, so each process calls this once after it starts.
//!
//! A line is written behind a gate, which a process with threads holds while one of them forks
//! ([`hold_for_fork`]): a thread that was writing does not exist in the new process, and could not give its locks back.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use env_logger::{Builder, Target};
use log::{LevelFilter, Metadata, Record};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{dup3, write};

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
    file: Option<LogFile>,
    /// How many lines were not taken since the last one that was.
    lost: u64,
}

/// A file that is logged to.
struct LogFile {
    file: OwnedFd,
    path: PathBuf,
    /// What makes it this file: its device and its number there. The application may close descriptors that are not its own, and
    /// the next one that is opened gets the number.
    identity: (u64, u64),
}

impl LogFile {
    fn of(file: File, path: &Path) -> io::Result<Self> {
        Ok(Self { identity: identity(file.as_fd())?, file: file.into(), path: path.to_owned() })
    }

    /// Puts the file that is at the path now in the place of this one, under the same number.
    fn reopen(&mut self) -> io::Result<()> {
        let new = open(&self.path)?;
        let identity_now = identity(new.as_fd())?;
        if identity(self.file.as_fd()).is_ok_and(|found| found == self.identity) {
            // At once for all threads, whoever is writing.
            dup3(&new, &mut self.file, OFlag::O_CLOEXEC)?;
        } else {
            // The descriptor is somebody else's by now, or nobody's.
            let _ = std::mem::replace(&mut self.file, new.into()).into_raw_fd();
        }
        self.identity = identity_now;
        Ok(())
    }
}

fn identity(file: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

impl AsFd for LogFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(write(&self.file, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens the log: `file`, or the standard error stream. A further call in a process closes what was open before.
///
/// # Errors
/// Where the file can't be opened for appending; nothing has changed then.
pub fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(|path| LogFile::of(open(path)?, path)).transpose()?;
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

/// Opens the log's file anew, which has been moved away; answers its path, or `None` where the log is the standard error stream. The
/// descriptor keeps its number, so whoever else writes to it follows ([`descriptor`]).
///
/// # Errors
/// Where the file can't be opened, with its path; the log then stays where it is.
pub fn reopen() -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    let sink = &mut *SINK.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(file) = &mut sink.file else { return Ok(None) };
    match file.reopen() {
        Ok(()) => Ok(Some(file.path.clone())),
        Err(error) => Err((file.path.clone(), error)),
    }
}

/// The descriptor of the log's file, for others in this process that write there; `None` where the log is the standard error
/// stream. It stays open and stays the log's, unless the application closes it.
#[must_use]
pub fn descriptor() -> Option<RawFd> {
    let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    SINK.lock().unwrap_or_else(PoisonError::into_inner).file.as_ref().map(|file| file.file.as_raw_fd())
}

/// Another descriptor of the log's file, for a process that is to complain there; `None` where the log is the standard error
/// stream.
///
/// # Errors
/// The errno of fcntl(2).
pub fn duplicate() -> io::Result<Option<OwnedFd>> {
    let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    let sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    sink.file.as_ref().map(|file| file.file.try_clone()).transpose()
}

/// Whether the last line that was to be written is not in the log.
#[must_use]
pub fn has_lost() -> bool {
    let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    SINK.lock().unwrap_or_else(PoisonError::into_inner).lost > 0
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
/// The errno of open(2) or fcntl(2); `ENXIO` where it is a pipe that nobody reads.
pub fn open(path: &Path) -> io::Result<File> {
    // A pipe that nobody reads is an error, and nothing to wait for: whoever opens the log serves, or supervises.
    let file = OpenOptions::new().append(true).create(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    // For what else writes there, and does not know of streams that do not block: Python's `faulthandler`.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
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
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line, or counts it as lost where it is not taken in time, or can't be written, as on a full disk; the next line that
/// is taken says how many were.
fn write_or_lose(to: &mut (impl Write + AsFd), line: &[u8], lost: &mut u64) {
    // Waited for once: a reader that is stuck costs one wait, and not one for each line.
    let patience = if *lost == 0 { PATIENCE_MS } else { 0 };
    if *lost > 0 {
        let said = format!(
            "\n{} [WARNING] {lost} lines are missing here: the log was not read in time, or could not be written\n",
            stamp()
        );
        if !write_if_taken(to, said.as_bytes(), patience).unwrap_or(false) {
            *lost += 1;
            return;
        }
        *lost = 0;
    }
    if !write_if_taken(to, line, patience).unwrap_or(false) {
        *lost += 1;
    }
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
    fn a_file_that_is_opened_anew_keeps_its_number_and_loses_nothing() {
        let folder = std::env::temp_dir().join(format!("tapster-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, moved) = (folder.join("log"), folder.join("log.1"));
        let mut file = LogFile::of(open(&path).unwrap(), &path).unwrap();
        let number = file.file.as_raw_fd();
        file.write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        assert_eq!(file.file.as_raw_fd(), number);
        file.write_all(b"three\n").unwrap();
        std::fs::rename(&path, folder.join("log.2")).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(file.reopen().is_err(), "a folder is there now");
        file.write_all(b"four\n").unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!((read("log.1").as_str(), read("log.2").as_str()), ("one\ntwo\n", "three\nfour\n"));
        // The application has closed the log's descriptor, and opened a file of its own, which got the number.
        std::fs::remove_dir(&path).unwrap();
        let own = File::create(folder.join("own")).unwrap();
        dup3(&own, &mut file.file, OFlag::O_CLOEXEC).unwrap();
        file.reopen().unwrap();
        assert_ne!(file.file.as_raw_fd(), number);
        file.write_all(b"five\n").unwrap();
        assert_eq!((read("log").as_str(), read("own").as_str()), ("five\n", ""));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("tapster-log-pipe-{}", std::process::id()));
        let mut file = LogFile::of(open(&path).unwrap(), &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(file.reopen().unwrap_err().raw_os_error(), Some(Errno::ENXIO as i32));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_reader_that_is_stuck_holds_up_nobody_and_is_told_how_much_it_missed() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let (mut lost, line, begun) = (0, [b'x'; 8000], Instant::now());
        for _ in 0..100 {
            write_or_lose(&mut writer, &line, &mut lost);
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!((85..100).contains(&lost), "{lost}");
        let (mut taken, missing) = (vec![0; 65_536], lost);
        while lost > 0 {
            let read = reader.read(&mut taken).unwrap();
            assert!(read > 0);
            write_or_lose(&mut writer, b"again\n", &mut lost);
        }
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("lines are missing here") && rest.ends_with("again\n"), "{missing}: {rest}");
    }
}
