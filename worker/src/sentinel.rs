//! Auto-reload, the worker's part: has the files watched that the application is made of, and tells the arbiter of a change.
//!
//! What is to be done about it is the arbiter's to decide. The thread that watches (`tapster_sharing::watch`) needs no
//! interpreter; which files there are is asked by the application's threads, after requests. Started by `worker`, asked and
//! dismissed by `crew`.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime};

use tapster_config::Settings;
use tapster_ipc::Report;
use tapster_ipc::channel::ChildChannel;
use tapster_python::{Application, Python, count_modules, module_files};
use tapster_sharing::watch::{Tell, Watch};

use crate::clock;
use crate::deadlines::Millis;

/// Modules are looked through at least this often while there are requests, in milliseconds; sooner where their number changes.
const LOOK_EVERY: Millis = 1_000;

/// Who watches a worker's files.
pub(crate) struct Sentinel {
    watch: Watch,
    seen: Mutex<Seen>,
}

/// What the last look at the modules has brought.
struct Seen {
    files: HashSet<PathBuf>,
    modules: usize,
    at: Millis,
    /// What is new at the next look has been read since.
    since: SystemTime,
}

impl Sentinel {
    /// Watches what the application has imported so far, what keeps it from being loaded, and what the settings name. `None`
    /// where that can't be done, which the log tells.
    pub(crate) fn start(
        py: Python<'_>,
        settings: &Settings,
        application: &Application,
        channel: &ChildChannel,
    ) -> Option<Self> {
        let loaded_since = application.loaded_since();
        let seen = Seen {
            modules: count_modules(py),
            at: clock::monotonic(),
            since: SystemTime::now(),
            files: module_files(py).into_iter().chain(application.explains().unwrap_or_default().to_vec()).collect(),
        };
        let (files, extra) = (seen.files.iter().cloned().collect(), settings.reload_extra_files.clone());
        let started = py.detach(|| Watch::start(files, loaded_since, extra, tell(channel)?));
        match started {
            Ok(watch) => Some(Self { watch, seen: Mutex::new(seen) }),
            Err(error) => {
                log::error!("reload does nothing: the application's files can't be watched: {error}");
                None
            }
        }
    }

    /// Has those files watched too that have been imported since the last look.
    pub(crate) fn look(&self, py: Python<'_>) {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        let (modules, now) = (count_modules(py), clock::monotonic());
        if modules == seen.modules && now < seen.at + LOOK_EVERY {
            return;
        }
        let since = std::mem::replace(&mut seen.since, SystemTime::now());
        (seen.modules, seen.at) = (modules, now);
        let files: Vec<_> = module_files(py).into_iter().filter(|file| seen.files.insert(file.clone())).collect();
        if !files.is_empty() {
            self.watch.add(files, since);
        }
    }

    /// Ends the watching, and waits for that.
    pub(crate) fn dismiss(&self) {
        self.watch.end();
    }
}

/// Reports a change by a descriptor of the watch's own: the channel is the reactor's.
fn tell(channel: &ChildChannel) -> std::io::Result<Tell> {
    let channel = ChildChannel::of(channel.as_fd().try_clone_to_owned()?);
    Ok(Box::new(move |path: &Path, at: Duration| {
        let report = Report::Changed { path: path.display().to_string(), at_ms: clock::millis(at) };
        // An arbiter that is gone loads nothing.
        if let Err(error) = channel.send(&report) {
            log::debug!("the arbiter did not take the report that {} has changed: {error}", path.display());
        }
    }))
}
