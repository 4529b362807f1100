//! The template: a started interpreter, with the application in it where `preload` says so, that forks workers on order.
//!
//! Single-threaded, because only the thread that forks exists in the child. It serves nothing. Called by `life`.

use std::os::fd::OwnedFd;

use tapster_ipc::channel::ChildChannel;
use tapster_ipc::{Order, ReceiveError, Report};
use tapster_python::{Application, Interpreter, LoadError, Python, around_fork, run_post_fork, share_standard_library};
use tapster_sys::fork::{Side, adopted_by};
use tapster_sys::lifeline;

use crate::life::{Context, reopen_log};
use crate::warmup;

/// What a worker is born with, beside the context.
pub(crate) struct Born {
    pub(crate) slot: u32,
    pub(crate) channel: ChildChannel,
    /// The application, where the template had it.
    pub(crate) application: Option<Application>,
}

/// Forks workers until told to stop, or until the arbiter is gone. In each worker it answers what that is born with.
pub(crate) fn run(py: Python<'_>, context: &Context, channel: &ChildChannel) -> Result<Option<Born>, LoadError> {
    let interpreter = Interpreter::of(py);
    let _ = lifeline::rename_process(c"tapster-templat");
    // A collection would touch, and so copy, what its children share; the workers turn it on.
    interpreter.collect_garbage(false);
    if !context.settings.preload && !context.boot.check && context.settings.workers.max > 1 {
        match share_standard_library(py) {
            Ok(true) => tapster_sys::memory::fill_gaps(),
            Ok(false) => log::debug!(
                "workers share less of the standard library: a module of the application's has the name of one of its"
            ),
            Err(error) => log::warn!("workers will share less of the standard library: {error}"),
        }
    }
    let mut application = None;
    if context.settings.preload || context.boot.check {
        let spec = &context.settings.wsgi_app;
        let loaded = if context.settings.reload && !context.boot.check {
            Application::load_or_explain(py, spec)?
        } else {
            Application::load(py, spec)?
        };
        if context.boot.check && !context.settings.preload && !context.settings.warmup.is_empty() {
            // What a worker would do in between.
            run_post_fork(py)?;
        }
        warmup::run(py, context, &loaded, if context.boot.check { Some(0) } else { None })?;
        application = Some(loaded);
        tapster_sys::memory::fill_gaps();
        let threads = interpreter.other_threads();
        if !threads.is_empty() && !context.boot.check {
            let names = threads.join(", ");
            log::warn!("preloading the application started threads, which do not exist in the workers: {names}");
        }
    }
    if channel.send(&Report::TemplateReady { python: interpreter.version() }).is_err() {
        return Ok(None);
    }
    loop {
        // Without the interpreter's lock, for the threads that preloading may have started.
        match py.detach(|| channel.receive()) {
            Ok((Order::Fork { slot }, fds)) => {
                let Some(end) = fds.into_iter().next() else {
                    let reason = "the order to fork brought no channel".to_owned();
                    let _ = channel.send(&Report::ForkFailed { slot, reason });
                    continue;
                };
                if let Some(born) = fork_worker(py, context, channel, slot, end) {
                    return Ok(Some(Born { application: application.take(), ..born }));
                }
            }
            Ok((Order::Reopen, _)) => reopen_log(),
            Ok((Order::Quit, _)) | Err(ReceiveError::Closed | ReceiveError::Empty) => return Ok(None),
            Ok((other, _)) => log::warn!("an order that a template does not expect: {other:?}"),
            Err(ReceiveError::Gossip(what)) => log::warn!("the arbiter sent what is no order: {what}"),
        }
    }
}

/// Forks; `None` in the template, what the worker is born with in the worker.
fn fork_worker(py: Python<'_>, context: &Context, channel: &ChildChannel, slot: u32, end: OwnedFd) -> Option<Born> {
    Interpreter::of(py).flush_streams();
    if let Err(error) = Interpreter::of(py).freeze_garbage_collector() {
        log::warn!("gc.freeze() failed, so workers will share less memory: {error}");
    }
    let forked = around_fork(py, || adopted_by(context.boot.arbiter), |side| matches!(side, Ok(Side::Child)));
    let report = match forked {
        Ok(Side::Child) => return Some(Born { slot, channel: ChildChannel::of(end), application: None }),
        Ok(Side::Parent { pid }) => Report::Forked { slot, pid },
        Err(error) => Report::ForkFailed { slot, reason: error.to_string() },
    };
    if channel.send(&report).is_err() {
        log::warn!("the arbiter did not take the report {report:?}");
    }
    None
}
