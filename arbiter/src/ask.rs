//! The program `tapsterctl`: asks a server at its control socket, prints the answer, and returns the status to exit with.
//!
//! Knows nothing of what it asks for but the words; `control` is the other end. Called by `bin/tapsterctl.rs`.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use tapster_config::{ControlCommand, ControlInvocation, ControlRequest, Sources, load_control};
use tapster_sys::stamp;

use crate::control::protocol::{ABSENT, DONE, FAILED, Line, USAGE, line, reply_line};

/// How long the server may take to accept, and to answer what takes no time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is tried to connect to a server whose queue is full.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest line of an answer, in bytes.
const MOST_BYTES: usize = 1 << 24;

/// Does what the command line asks for, and returns the status to exit with.
#[must_use]
pub fn ask(sources: &Sources) -> u8 {
    match load_control(sources) {
        Ok(ControlInvocation::Ask(request)) => match answer(&request) {
            Ok(exit) => exit,
            Err((exit, reason)) => {
                complain(&reason);
                exit
            }
        },
        Ok(ControlInvocation::Help(text) | ControlInvocation::Version(text)) => {
            print(&text);
            DONE
        }
        Err(errors) => {
            let _ = writeln!(io::stderr(), "{errors}");
            USAGE
        }
    }
}

/// A status to exit with, and why.
type Failure = (u8, String);

/// Asks, prints the answer, and returns its status.
fn answer(request: &ControlRequest) -> Result<u8, Failure> {
    let waits =
        matches!(request.command, ControlCommand::Reload { wait: true } | ControlCommand::Stop { wait: true, .. });
    let limit = request.timeout.or((!waits).then_some(PATIENCE));
    let deadline = limit.map(|limit| stamp::monotonic().saturating_add(limit));
    let late = || (FAILED, format!("not over within {} s: it goes on, and `tapsterctl status` tells how", secs(limit)));
    let mut stream = reach(&request.socket, deadline).map_err(|error| absent(&request.socket, &error))?;
    // A server that closes at once has said why.
    let _ = stream.write_all(line(request.command).as_bytes());
    let mut reader = Reader { stream: &mut stream, deadline, bytes: Vec::new() };
    let mut is_complaint = false;
    let exit = loop {
        let next = reader.line().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
            _ => (FAILED, format!("the answer can't be read: {error}")),
        })?;
        let Some(text) = next else {
            return Err((FAILED, "the server has gone before it had answered".to_owned()));
        };
        match reply_line(&text) {
            Line::Says(text) => print(text),
            Line::Complains(text) if is_complaint => {
                let _ = writeln!(io::stderr(), "{text}");
            }
            Line::Complains(text) => {
                is_complaint = true;
                complain(text);
            }
            Line::Exit(exit) => break exit,
            Line::Unknown => {}
        }
    };
    if matches!(request.command, ControlCommand::Stop { wait: true, .. }) && exit == DONE {
        // The end of the connection is the end of the process.
        while let Ok(Some(_)) = reader.line() {}
    }
    Ok(exit)
}

fn secs(limit: Option<Duration>) -> f64 {
    limit.unwrap_or_default().as_secs_f64()
}

/// Connects, also to a server at which many others do.
fn reach(path: &Path, deadline: Option<Duration>) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let end = deadline.unwrap_or(Duration::MAX).min(stamp::monotonic().saturating_add(PATIENCE));
    // Not blocking: connecting would wait for as long as the server's queue is full.
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Err(Errno::EAGAIN) if stamp::monotonic() < end => std::thread::sleep(PAUSE),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(()) => break,
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn absent(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::NotFound => "the socket is not there: no server runs with this control_socket",
        ErrorKind::ConnectionRefused => "nobody listens: the server that made the socket is gone",
        ErrorKind::PermissionDenied => "run tapsterctl as root, or as the user that the server runs as",
        ErrorKind::WouldBlock => "too many others wait for the server's answer, or it has come to a halt",
        _ => "is it a control_socket?",
    };
    (ABSENT, format!("no server answers at {}: {error}; {advice}", path.display()))
}

/// Reads an answer line by line.
struct Reader<'s> {
    stream: &'s mut UnixStream,
    deadline: Option<Duration>,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    /// The next line without its end; `None` where there is none any more.
    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.bytes.len() > MOST_BYTES {
                return Err(io::Error::other("it has a line without an end"));
            }
            if let Some(deadline) = self.deadline {
                let left = deadline.saturating_sub(stamp::monotonic());
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                self.stream.set_read_timeout(Some(left))?;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.bytes.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes a line to the standard output. A reader that has seen enough is no failure.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "tapsterctl: {what}");
}
