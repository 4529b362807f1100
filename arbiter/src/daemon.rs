//! The setting `daemon`: the server goes on in the background, and the command that started it waits until it is ready.
//!
//! One fork, at the start, while there is nothing yet that two processes could not both have. The server is the command's child
//! until it is ready, so that its exit status is known, and the death of the command ends it. Called by `run`; the streams of
//! what the server starts are `door`'s.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getppid, setsid};
use tapster_config::Settings;
use tapster_ipc::ExitCode;
use tapster_sys::fork::{Side, exit_now, single_threaded};
use tapster_sys::lifeline;

use crate::complain;
use crate::load::log_file;

/// The most bytes of the log that the command prints.
const MOST_PRINTED: usize = 8192;

/// Which of the two processes this is now.
#[derive(Debug)]
pub(crate) enum Detached {
    /// The server.
    Server(Background),
    /// The command, after the server is ready or has ended, with the status to exit with.
    Command(ExitCode),
}

/// A server that the command waits for.
#[derive(Debug)]
pub(crate) struct Background {
    command: PipeWriter,
}

/// Forks. Returns at once in the server, and in the command when that may return.
///
/// # Errors
/// A sentence for the terminal: this process can't be left, or the errno of pipe(2) or fork(2).
pub(crate) fn detach(settings: &Settings) -> Result<Detached, String> {
    if std::process::id() == 1 {
        return Err("daemon: this is process 1, with whose end a container ends: leave the setting out".into());
    }
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        complain(
            "daemon is set, and a service manager waits (NOTIFY_SOCKET): Type=notify is for a server without `daemon`",
        );
    }
    let log = Log::now(log_file(settings));
    let failed = |error: io::Error| format!("daemon: can't go into the background: {error}");
    let (server, command) = io::pipe().map_err(failed)?;
    let this = Pid::this();
    match single_threaded().map_err(failed)? {
        Side::Child => {
            drop(server);
            leave_terminal(this).map_err(failed)?;
            Ok(Detached::Server(Background { command }))
        }
        Side::Parent { pid } => {
            drop(command);
            Ok(Detached::Command(wait_for(pid, server, &log)))
        }
    }
}

/// A session without a terminal, from which no signal of a terminal comes; that of the command is what ends it instead.
fn leave_terminal(command: Pid) -> io::Result<()> {
    setsid()?;
    dup2_stdin(File::open("/dev/null")?)?;
    lifeline::on_parent_death(Signal::SIGTERM)?;
    if getppid() != command {
        exit_now(ExitCode::Failed.status().into());
    }
    Ok(())
}

impl Background {
    /// The server is ready: it leaves the terminal's streams, and the command returns.
    ///
    /// # Errors
    /// The errno of open(2), dup2(2) or prctl(2).
    pub(crate) fn ready(mut self) -> io::Result<()> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        lifeline::outlive_parent()?;
        // It fails where the command has been killed in this moment: the signal for that is on its way.
        let _ = self.command.write_all(b"+");
        Ok(())
    }
}

/// A successor's standard error stream is the log of the server before it, which has had to say no more than why it can't start.
/// With the log open, the stream would only hold that file when it is rotated.
///
/// # Errors
/// The errno of open(2) or dup2(2).
pub(crate) fn leave_stderr() -> io::Result<()> {
    Ok(dup2_stderr(File::options().write(true).open("/dev/null")?)?)
}

/// Waits until the server is ready, or else for its end, which is told.
fn wait_for(pid: i32, mut server: PipeReader, log: &Log) -> ExitCode {
    if server.read_exact(&mut [0]).is_ok() {
        return ExitCode::Stopped;
    }
    let end = loop {
        match waitpid(Pid::from_raw(pid), None) {
            Err(Errno::EINTR) => {}
            end => break end,
        }
    };
    let (exit, how) = match end {
        // It was told to stop, and did; it is not there, though, and that is what was asked for.
        Ok(WaitStatus::Exited(_, 0)) => (ExitCode::Failed, "it was stopped".to_owned()),
        Ok(WaitStatus::Exited(_, status)) => {
            (ExitCode::of_status(u8::try_from(status).unwrap_or(1)), format!("exit status {status}"))
        }
        Ok(WaitStatus::Signaled(_, signal, _)) => (ExitCode::Failed, format!("killed by {signal}")),
        other => (ExitCode::Failed, format!("{other:?}")),
    };
    complain(&format!("the server has ended before it was ready: {how}{}", log.since()));
    exit
}

/// The log file, and how long it was before the server began to write.
struct Log {
    path: Option<PathBuf>,
    length: u64,
}

impl Log {
    fn now(path: Option<&Path>) -> Self {
        let length = path.and_then(|path| path.metadata().ok()).map_or(0, |found| found.len());
        Self { path: path.map(Path::to_path_buf), length }
    }

    /// What the log has to say about it, from the first error on, as the rest of a message.
    fn since(&self) -> String {
        let Some(path) = &self.path else { return String::new() };
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(self.length))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        match errors(&text) {
            "" => format!("; its log is {}", path.display()),
            told => format!("; from {}:\n{}", path.display(), told.trim_end()),
        }
    }
}

/// The lines from the first error on, or all; the last of them, where they are many.
fn errors(log: &str) -> &str {
    let begin = log.find("[ERROR]").map_or(0, |at| log[..at].rfind('\n').map_or(0, |end| end + 1));
    let told = &log[begin..];
    &told[told.ceil_char_boundary(told.len().saturating_sub(MOST_PRINTED))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_log_begins_with_the_first_error() {
        assert_eq!(errors("[INFO] a\n[t] [ERROR] b\nTraceback\n[INFO] c\n"), "[t] [ERROR] b\nTraceback\n[INFO] c\n");
        assert_eq!(errors("[ERROR] b"), "[ERROR] b");
        assert_eq!(errors("nothing bad\n"), "nothing bad\n");
        assert_eq!(errors(""), "");
        let long = format!("[ERROR] {}", "ä".repeat(MOST_PRINTED));
        assert!(errors(&long).len() <= MOST_PRINTED && errors(&long).ends_with('ä'));
    }
}
