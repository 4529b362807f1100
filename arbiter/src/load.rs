//! Settings become what a generation needs: addresses are bound, the log can be opened.
//!
//! Used for the start and for each reload; changes nothing of what is there, so that a failure has no effects.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use log::LevelFilter;
use tapster_config::{Invocation, LogLevel, LogTarget, Settings, Sources};
use tapster_ipc::logging;
use tapster_sys::fds::Inherited;

use crate::fleet::{EARLY, Limits};
use crate::identity::Identity;
use crate::listeners::{Listener, Patience, open_all};
use crate::scale::Rules;

/// A generation's settings, and what was opened for them.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// In the order of the `bind` setting.
    pub listeners: Vec<Rc<Listener>>,
    /// As whom the application runs.
    pub identity: Identity,
}

/// Reads the settings anew for a reload, and opens what they name. `open` are the listeners there are.
///
/// # Errors
/// All that is wrong, for the log.
pub(crate) fn reload(sources: &Sources, open: &[Rc<Listener>], inherited: &mut Inherited) -> Result<Loaded, String> {
    match tapster_config::load(sources) {
        Ok(Invocation::Serve(settings)) => load(*settings, open, Patience::RELOAD, inherited),
        // The command line is the one that the server was started with, which asked for serving.
        Ok(_) => Err("the command line no longer asks for a server".into()),
        Err(errors) => Err(errors.to_string()),
    }
}

/// Opens what the settings name.
///
/// # Errors
/// What can't be opened, and why.
pub(crate) fn load(
    settings: Settings,
    open: &[Rc<Listener>],
    patience: Patience,
    inherited: &mut Inherited,
) -> Result<Loaded, String> {
    let identity = Identity::of(&settings)?;
    if let Some(path) = log_file(&settings) {
        let file = logging::open(path).map_err(|error| format!("can't open the log {}: {error}", path.display()))?;
        let given = identity.give(&file, path);
        given.map_err(|error| format!("can't make the log {} that of `user`: {error}", path.display()))?;
    }
    let listeners = open_all(&settings.bind, settings.backlog, open, patience, inherited);
    Ok(Loaded { listeners: listeners.map_err(|error| error.to_string())?, settings, identity })
}

/// Has this process log as the settings say.
///
/// # Errors
/// Where the log can't be opened, and why.
pub(crate) fn start_log(settings: &Settings) -> Result<(), String> {
    let level = match settings.log_level {
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Warning => LevelFilter::Warn,
        LogLevel::Error | LogLevel::Critical => LevelFilter::Error,
    };
    let file = log_file(settings);
    let name = || file.unwrap_or(Path::new("-")).display();
    logging::start(level, file).map_err(|error| format!("can't open the log {}: {error}", name()))
}

/// What the settings ask of the fleet.
#[must_use]
pub(crate) fn limits(settings: &Settings) -> Limits {
    let unless_zero = |time: Duration| Some(time).filter(|time| !time.is_zero());
    Limits {
        workers: settings.workers.max,
        scale: settings.workers.is_range().then(|| rules(settings)),
        threads: settings.threads,
        timeout: unless_zero(settings.timeout),
        grace: settings.timeout_grace,
        boot: unless_zero(settings.boot_timeout),
        graceful: settings.graceful_timeout,
        reload_batch: settings.reload_batch,
        drain_delay: settings.drain_delay,
        // A developer waits for it.
        probation: if settings.reload { Duration::ZERO } else { EARLY },
        // That takes those of before to tell.
        leaves_addresses: false,
        max_lifetime: unless_zero(settings.max_lifetime),
        max_lifetime_jitter: settings.max_lifetime_jitter,
        max_requests: Some(settings.max_requests).filter(|&limit| limit > 0),
        max_memory: Some(settings.max_memory).filter(|&limit| limit > 0),
        max_memory_hard: Some(settings.max_memory_hard).filter(|&limit| limit > 0),
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        min: settings.workers.min,
        max: settings.workers.max,
        target: settings.scale_target,
        window: settings.scale_window,
        cooldown: settings.scale_cooldown,
        step: settings.scale_step,
        burst: Some(settings.scale_burst).filter(|burst| !burst.is_zero()),
    }
}

/// The file that is logged to; `None` is the standard error stream.
pub(crate) fn log_file(settings: &Settings) -> Option<&Path> {
    match &settings.error_logfile {
        LogTarget::File(path) => Some(path),
        LogTarget::Stderr => None,
    }
}
