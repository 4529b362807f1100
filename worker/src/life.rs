//! From the door to the exit status: a process becomes a template, and perhaps, by a fork, a worker.
//!
//! Entered once by the interpreter, through `_tapster.main`. What goes wrong before there is anything to serve is reported
//! to the arbiter, which alone decides what it means.

use std::io;
use std::os::fd::OwnedFd;

use log::LevelFilter;
use tapster_config::{LogLevel, LogTarget, Settings};
use tapster_ipc::channel::ChildChannel;
use tapster_ipc::message::VERSION;
use tapster_ipc::{Boot, ExitCode, Order, ReceiveError, Report, Scoreboard, logging};
use tapster_python::{Interpreter, LoadError, Python, call_last, install_module, note_foreign_fork, provide};
use tapster_sys::fork::Around;

use crate::template::{self, Born};
use crate::{signals, slow_end, worker};

/// What a template knows, and its workers after it.
pub(crate) struct Context {
    pub(crate) boot: Boot,
    pub(crate) settings: Settings,
    pub(crate) scoreboard: Scoreboard,
    /// In the order of `boot.listeners`.
    pub(crate) listeners: Vec<OwnedFd>,
    /// Where the environment says that the application is mounted; may be empty.
    pub(crate) mount_point: String,
}

/// What `_tapster.main(channel)` does; answers the process's exit status.
pub(crate) fn main(py: Python<'_>, channel: i32) -> u8 {
    let channel = match tapster_sys::fds::adopt(channel) {
        Ok(socket) => ChildChannel::of(socket),
        Err(error) => {
            eprintln!("tapster: descriptor {channel} is no channel to an arbiter: {error}");
            return ExitCode::Failed.status();
        }
    };
    let exit = match live(py, &channel) {
        Ok(Lived::Stopped) => ExitCode::Stopped,
        Ok(Lived::Worker(context, born)) => {
            // The template's channel is the template's; its frames have been left, so that generations of forks do not nest.
            drop(channel);
            worker::run(py, *context, born)
        }
        Err(failure) => {
            let exit = ExitCode::of_status(failure.status);
            // An arbiter that is gone needs no report.
            let _ = channel.send(&Report::BootFailed { exit, report: failure.report });
            exit
        }
    };
    exit.status()
}

/// What a template's life has led to.
enum Lived {
    /// Its end.
    Stopped,
    /// A worker's, in the process that it forked.
    Worker(Box<Context>, Born),
}

fn live(py: Python<'_>, channel: &ChildChannel) -> Result<Lived, LoadError> {
    signals::ignore_what_is_meant_for_the_arbiter().map_err(|error| failed("can't handle signals", &error))?;
    let Some(context) = receive_boot(channel)? else { return Ok(Lived::Stopped) };
    let settings = &context.settings;
    start_log(settings)?;
    watch_forks().map_err(|error| failed("can't watch for forks", &error))?;
    Interpreter::of(py)
        .prepare(&settings.chdir, &settings.pythonpath, &["tapster", &settings.wsgi_app])
        .and_then(|()| Interpreter::of(py).print_stacks_on_fatal_signals(logging::descriptor()))
        .and_then(|()| install_module(py))
        .and_then(|()| provide(py))
        // Before the application registers functions of its own, which then come first.
        .and_then(|()| call_last(py, slow_end::dismiss))
        .map_err(|error| failed("can't prepare the interpreter", &error))?;
    Ok(match template::run(py, &context, channel)? {
        Some(born) => Lived::Worker(Box::new(context), born),
        None => Lived::Stopped,
    })
}

/// Waits for the first order; `None` where the arbiter is gone or wants nothing.
fn receive_boot(channel: &ChildChannel) -> Result<Option<Context>, LoadError> {
    loop {
        match channel.receive() {
            Ok((Order::Boot(boot), mut fds)) if fds.len() == boot.listeners.len() + 1 => {
                let settings = Settings::from_toml(&boot.settings)
                    .map_err(|errors| failed("the arbiter sent settings that can't be read", &errors))?;
                let listeners = fds.split_off(1);
                let scoreboard = fds.pop().map_or_else(|| Err(io::ErrorKind::NotFound.into()), Scoreboard::open);
                let scoreboard = scoreboard.map_err(|error| failed("can't open the scoreboard", &error))?;
                let mount_point = mount_point()?;
                return Ok(Some(Context { boot, settings, scoreboard, listeners, mount_point }));
            }
            Ok((Order::Foreign { version }, _)) => return Err(foreign(&format!("the server is version {version}"))),
            // The first order is all that this one waits for: without it nothing else will ever come.
            Err(ReceiveError::Gossip(what)) => {
                return Err(foreign(&format!("the server's first order can't be read, {what}")));
            }
            Ok((Order::Quit, _)) | Err(ReceiveError::Closed | ReceiveError::Empty) => return Ok(None),
            Ok((other, fds)) => {
                log::warn!("an order that a template does not expect: {other:?} with {} fds", fds.len());
            }
        }
    }
}

/// The two files are not of one version: one of them was replaced while the server ran.
fn foreign(server: &str) -> LoadError {
    let report = format!(
        "the worker library (lib_tapster.so) is version {VERSION}, and {server}: finish the upgrade (USR2 to the server), or put \
         the library back that belongs to the server's own version"
    );
    LoadError { status: ExitCode::Failed.status(), report }
}

/// Where the environment says that the application is mounted.
fn mount_point() -> Result<String, LoadError> {
    let Some(path) = std::env::var_os("SCRIPT_NAME") else { return Ok(String::new()) };
    match path.into_string() {
        Ok(path) if path.is_empty() || path.starts_with('/') => Ok(path),
        path => Err(failed(
            "the environment variable SCRIPT_NAME is not where an application can be mounted",
            &format!(
                "{:?} is not a text that begins with a slash (unset it, or set it to a path such as /app)",
                path.map_or_else(|path| path, Into::into)
            ),
        )),
    }
}

fn start_log(settings: &Settings) -> Result<(), LoadError> {
    let level = match settings.log_level {
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Warning => LevelFilter::Warn,
        LogLevel::Error | LogLevel::Critical => LevelFilter::Error,
    };
    let file = match &settings.error_logfile {
        LogTarget::Stderr => None,
        LogTarget::File(path) => Some(path.as_path()),
    };
    logging::start(level, file).map_err(|error| failed("can't open error_logfile", &error))
}

/// Opens the log's file anew, which has been moved away. What Python writes there follows: it has the same descriptor.
pub(crate) fn reopen_log() {
    match logging::reopen() {
        Ok(Some(path)) => log::debug!("the log {} has been opened anew", path.display()),
        Ok(None) => log::debug!("the log is the standard error stream, which can't be opened anew"),
        Err((path, error)) => {
            log::error!(
                "the log {} can't be opened anew, and goes on in the file that it had: {error}",
                path.display()
            );
        }
    }
}

/// Sees to it that a process that the application forks is none of the server's: it knows what it is, signals have their usual
/// effect there, and it finds the log's locks free.
fn watch_forks() -> io::Result<()> {
    let around = Around {
        before: logging::hold_for_fork,
        in_foreign_child: note_foreign_fork,
        after: logging::release_after_fork,
    };
    tapster_sys::fork::watch(around, signals::MEANT_FOR_THE_ARBITER)
}

/// A failure that is neither the application's nor the client's.
pub(crate) fn failed(what: &str, error: &dyn std::fmt::Display) -> LoadError {
    LoadError { status: ExitCode::Failed.status(), report: format!("{what}: {error}") }
}
