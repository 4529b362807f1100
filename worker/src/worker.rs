//! A worker's beginning and end: the application is loaded, its threads and the reactor made and run.
//!
//! It serves nothing itself. Called by `life`, in the process that a template has forked.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::getppid;
use tapster_ipc::message::FINALISATION;
use tapster_ipc::{ExitCode, Report};
use tapster_python::{Application, Interpreter, LoadError, Python, run_post_fork};
use tapster_sys::lifeline;

use crate::crew::Crew;
use crate::life::{Context, failed};
use crate::reactor::Reactor;
use crate::sentinel::Sentinel;
use crate::template::Born;
use crate::warmup;

/// Runs the worker and answers its exit status.
pub(crate) fn run(py: Python<'_>, context: Context, born: Born) -> ExitCode {
    match prepare(py, context, born) {
        Ok((crew, reactor)) => crew.serve(py, reactor),
        Err((channel, failure)) => {
            let exit = ExitCode::of_status(failure.status);
            // An arbiter that is gone, or that wants no worker any more, needs no report.
            if channel.send(&Report::BootFailed { exit, report: failure.report.clone() }).is_err() {
                log::debug!("the arbiter did not take the report that the worker can't start: {}", failure.report);
            }
            exit
        }
    }
}

fn prepare(
    py: Python<'_>,
    context: Context,
    born: Born,
) -> Result<(Crew, Box<Reactor>), (tapster_ipc::channel::ChildChannel, LoadError)> {
    let Born { slot, channel, application } = born;
    let assembled = stay_with_arbiter(&context)
        .and_then(|()| {
            let _ = lifeline::rename_process(c"tapster-worker");
            allow_open_files(context.settings.worker_connections);
            Interpreter::of(py).collect_garbage(true);
            if context.settings.reload {
                load_or_explain(py, &context, application)
            } else {
                load(py, &context, slot, application)
            }
        })
        .and_then(|application| {
            let sentinel =
                context.settings.reload.then(|| Sentinel::start(py, &context.settings, &application, &channel));
            Crew::assemble(py, context, slot, application, sentinel.flatten())
        });
    match assembled {
        Ok((crew, mut reactor)) => match reactor.attach(channel) {
            Ok(()) => Ok((crew, reactor)),
            Err((channel, error)) => Err((channel, failed("can't listen to the arbiter", &error))),
        },
        Err(failure) => Err((channel, failure)),
    }
}

/// Does what the template, which may have `preloaded` the application, has not.
fn load(
    py: Python<'_>,
    context: &Context,
    slot: u32,
    preloaded: Option<Application>,
) -> Result<Application, LoadError> {
    if let Some(application) = preloaded {
        return run_post_fork(py).map(|()| application);
    }
    let application = Application::load(py, &context.settings.wsgi_app)?;
    run_post_fork(py)?;
    warmup::run(py, context, &application, Some(slot))?;
    Ok(application)
}

/// The same for development: what the application does wrong is what it answers, and does not keep the worker from serving.
fn load_or_explain(
    py: Python<'_>,
    context: &Context,
    preloaded: Option<Application>,
) -> Result<Application, LoadError> {
    let application = match preloaded {
        Some(application) => application,
        None => Application::load_or_explain(py, &context.settings.wsgi_app)?,
    };
    match application.explains() {
        // What it has registered may need the rest of it.
        Some(_) => Ok(application),
        None => match run_post_fork(py) {
            Ok(()) => Ok(application),
            Err(failure) => application.explain(py, failure),
        },
    }
}

/// Files that a worker has open beside its connections and what it keeps for them: the application's, mostly.
const OTHER_FILES: u64 = 512;

/// Sees to it that the limit of open files goes with `worker_connections`, each of which may have a temporary file too. Only
/// as far as needed: programs that an application starts may go through all numbers that the limit allows.
fn allow_open_files(connections: u32) {
    let (least, enough) = (u64::from(connections) + OTHER_FILES, 2 * u64::from(connections) + OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = enough.min(hard);
    let limit = if soft < raised && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() { raised } else { soft };
    if limit < least {
        log::warn!(
            "worker_connections = {connections} can't be had with at most {limit} open files: raise that limit to {enough} \
             (ulimit -n; LimitNOFILE= in a systemd unit), or lower worker_connections"
        );
    }
}

/// Ties this process's life to the arbiter's, whose death also closes the channel: that is when the reactor retires.
fn stay_with_arbiter(context: &Context) -> Result<(), LoadError> {
    let within = context.settings.graceful_timeout + FINALISATION;
    lifeline::outlive_parent_by(within).map_err(|error| failed("can't watch the arbiter", &error))?;
    if getppid().as_raw() != context.boot.arbiter {
        return Err(failed("the arbiter is gone", &"nobody supervises this worker"));
    }
    Ok(())
}
