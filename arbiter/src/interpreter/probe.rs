//! Asks an interpreter what it is, by running it for a moment.
//!
//! Its file name can't be trusted (a version manager's `python3` is a script that starts another), nor can its version be
//! told from the outside.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long an interpreter may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read.
const MOST_BYTES: u64 = 64 * 1024;

/// The most bytes of a complaint that are quoted.
const MOST_QUOTED: usize = 200;

/// Bytes, one line a field: file names need not be text. The library is the one that is mapped, if there is one: the build's
/// own figures name libraries that are not there.
const QUESTION: &str = "\
import os, sys
libpython = b''
with open('/proc/self/maps', 'rb') as maps:
    for line in maps:
        path = line.rstrip(b'\\n').split(None, 5)[5:]
        if path and os.path.basename(path[0]).startswith(b'libpython3.') and b'.so' in path[0]:
            if not os.path.basename(path[0]).startswith(b'libpython3.so'):
                libpython = path[0]
                break
version = '.'.join(str(number) for number in sys.version_info[:3])
texts = [sys.implementation.name, version, getattr(sys, 'abiflags', '')]
os.write(1, b'\\n'.join([text.encode() for text in texts] + [os.fsencode(sys.executable), libpython, b'']))
";

/// What an interpreter says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `cpython`, `pypy`, ….
    pub(super) implementation: String,
    /// Major, minor, micro.
    pub(super) version: [u32; 3],
    /// A letter for each peculiarity of the build; `t` is for free threading.
    pub(super) abi_flags: String,
    /// Its `sys.executable`.
    pub(super) executable: PathBuf,
    /// The shared library it runs from.
    pub(super) libpython: Option<PathBuf>,
}

/// Asks the interpreter at `path`; a failure is the rest of a sentence about it.
pub(super) fn ask(path: &Path) -> Result<Answer, String> {
    let mut command = Command::new(path);
    // Isolated and without `site`: no user's file runs, and nothing is imported that is not needed.
    command.args(["-I", "-S", "-c", QUESTION]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tapster_sys::lifeline::end_with_parent(&mut command);
    let mut child = command.spawn().map_err(|error| format!("can't be run: {error}"))?;
    let start = Instant::now();
    let answer = read(&mut child, start);
    while answer.is_ok() && start.elapsed() < PATIENCE && matches!(child.try_wait(), Ok(None)) {
        // It has closed its output, so this is a matter of a moment.
        std::thread::sleep(Duration::from_millis(1));
    }
    // Fails where it has ended, as it should have.
    let _ = child.kill();
    let status = child.wait().map_err(|error| format!("can't be waited for: {error}"))?;
    let answer = answer.map_err(|error| format!("did not answer: {error}"))?;
    parse(&answer).ok_or_else(|| {
        let mut complaint = String::new();
        let read = child.stderr.take().map(|stderr| stderr.take(MOST_BYTES).read_to_string(&mut complaint));
        drop(read);
        let mut lines = complaint.lines().map(str::trim).filter(|line| !line.is_empty());
        // A traceback's last line says what happened; of other programs mostly the first does.
        let complaint = if complaint.contains("Traceback") { lines.next_back() } else { lines.next() };
        let complaint = complaint.unwrap_or("nothing");
        let complaint = &complaint[..complaint.floor_char_boundary(MOST_QUOTED)];
        format!("is no Python 3.10 or newer that runs here: it ended with {status} and said: {complaint}")
    })
}

/// Reads until the interpreter closes its output.
fn read(child: &mut Child, start: Instant) -> io::Result<Vec<u8>> {
    let Some(mut output) = child.stdout.take() else { return Ok(Vec::new()) };
    let mut answer = Vec::new();
    loop {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) => {
                let seconds = PATIENCE.as_secs();
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing for {seconds} s")));
            }
            result => result.map(drop)?,
        }
        let mut part = [0; 4096];
        match output.read(&mut part)? {
            0 => return Ok(answer),
            length => answer.extend_from_slice(&part[..length]),
        }
        if answer.len() as u64 > MOST_BYTES {
            return Err(io::Error::other("it says too much"));
        }
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let mut lines = answer.split(|&byte| byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next()?).ok();
    let (implementation, version, abi_flags) = (text()?.to_owned(), text()?.to_owned(), text()?.to_owned());
    let mut numbers = version.split('.').map(str::parse);
    let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
    let mut path = || Some(PathBuf::from(OsString::from_vec(lines.next()?.to_vec())));
    let (executable, libpython) = (path()?, path()?);
    // The closing newline: without it the answer was cut short.
    lines.next()?;
    let libpython = Some(libpython).filter(|path| !path.as_os_str().is_empty());
    executable.is_absolute().then_some(Answer { implementation, version, abi_flags, executable, libpython })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let answer = b"cpython\n3.12.1\n\n/venv/bin/python\n/usr/lib/libpython3.12.so.1.0\n";
        let parsed = parse(answer).unwrap();
        assert_eq!((parsed.version, parsed.executable.to_str()), ([3, 12, 1], Some("/venv/bin/python")));
        assert!(parsed.libpython.is_some());
        for cut in 0..answer.len() {
            assert_eq!(parse(&answer[..cut]), None, "cut at {cut}");
        }
        assert!(parse(b"cpython\n3.11.2\n\n/usr/bin/python3\n\n").unwrap().libpython.is_none());
    }

    #[test]
    fn what_is_no_python_is_quoted() {
        assert!(ask(Path::new("/bin/false")).unwrap_err().contains("exit status: 1"));
        assert!(ask(Path::new("/etc/passwd")).unwrap_err().contains("can't be run"));
        let reason = ask(Path::new("/bin/ls")).unwrap_err();
        assert!(reason.contains("said:"), "{reason}");
    }
}
