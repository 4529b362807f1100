//! `--check-config`: starts a template that imports the application and says whether that went well. Serves nothing.
//!
//! Binds no address and takes over no signal: one that comes ends this process, and the kernel then ends the template.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tapster_config::Settings;
use tapster_ipc::{Channel, ExitCode, ReceiveError, Report, Scoreboard};
use tapster_sys::{stamp, wait};

use crate::complain;
use crate::event::End;
use crate::identity::Identity;
use crate::load::{self, limits};
use crate::spawn::{Recipe, template};

/// Checks, prints what came out, and returns the status to exit with.
#[must_use]
pub fn check(settings: &Settings) -> ExitCode {
    match load::start_log(settings).map_err(|reason| (ExitCode::Failed, reason)).and_then(|()| import(settings)) {
        Ok(()) => {
            // Whether anybody reads it is not what was asked.
            let _ = writeln!(std::io::stdout(), "The settings and the application are fine.");
            ExitCode::Stopped
        }
        Err((exit, reason)) => {
            complain(reason.trim_end());
            exit
        }
    }
}

fn import(settings: &Settings) -> Result<(), (ExitCode, String)> {
    let failed = |error: std::io::Error| (ExitCode::Failed, format!("the template can't be started: {error}"));
    let identity = Identity::of(settings).map_err(|reason| (ExitCode::Failed, reason))?;
    let scoreboard = Scoreboard::create().map_err(failed)?;
    let (listeners, scoreboard, identity) = (&[], &scoreboard, &identity);
    let recipe = Recipe { generation: 1, settings, listeners, identity, scoreboard, is_daemon: false, check: true };
    let (_pid, channel) = template(&recipe).map_err(failed)?;
    let deadline = limits(settings).boot.map(|boot| stamp::monotonic().saturating_add(boot));
    loop {
        match channel.receive() {
            Ok(Report::TemplateReady { .. }) => return Ok(()),
            Ok(Report::BootFailed { exit, report }) => return Err((exit, report)),
            Ok(_) | Err(ReceiveError::Gossip(_)) => {}
            Err(ReceiveError::Closed) => return Err((ExitCode::AppImport, last_words())),
            Err(ReceiveError::Empty) if is_told(&channel, deadline)? => {}
            Err(ReceiveError::Empty) => return Err((ExitCode::AppImport, too_late(scoreboard))),
        }
    }
}

/// Waits until there is a message; false where the deadline was first.
fn is_told(channel: &Channel, deadline: Option<Duration>) -> Result<bool, (ExitCode, String)> {
    let timeout = match deadline.map(|deadline| deadline.saturating_sub(stamp::monotonic())) {
        None => PollTimeout::NONE,
        Some(left) => PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
    };
    match poll(&mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) => Ok(false),
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(errno) => Err((ExitCode::Failed, format!("can't wait for the template: {errno}"))),
    }
}

/// What was not done in time. In a template that checks, what `warmup` names is run as by the first worker.
fn too_late(scoreboard: &Scoreboard) -> String {
    match scoreboard.slot(0).and_then(|slot| slot.running().into_iter().next()) {
        Some(request) => format!("warmup failed: {request} was not answered within boot_timeout"),
        None => "the application was not imported within boot_timeout".into(),
    }
}

/// How the template ended, which has closed its channel without a word.
fn last_words() -> String {
    let until = stamp::monotonic() + Duration::from_secs(2);
    while stamp::monotonic() < until {
        if let Ok(Some((_, wait::Change::Ended(ended)))) = wait::change() {
            let end = match ended {
                wait::Ended::Status(status) => End::Status(status),
                wait::Ended::Signal(signal) => End::Killed { signal, out_of_memory: false },
            };
            return format!("the process that imports the application ended: {}", end.unasked());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    "the process that imports the application has closed its channel".into()
}
