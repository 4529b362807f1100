//! The child's way from the fork into Python: the door by dlopen where the interpreter has a shared library, by exec where
//! it has none.
//!
//! Everything here runs in the forked child and returns to nobody. What fails is reported over the channel, and ends the
//! child. The log is not used: it is the arbiter's.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdout};
use tapster_config::Settings;
use tapster_ipc::channel::ChildChannel;
use tapster_ipc::{ExitCode, Report, logging};
use tapster_sys::fork::exit_now;
use tapster_sys::interpreter::{c_string, run};
use tapster_sys::{environment, fds, lifeline, signals};

use crate::interpreter::{Interpreter, find};
use crate::load::log_file;
use crate::spawn::Recipe;
use crate::systemd;

/// The file name of the worker library.
const LIBRARY: &str = "lib_tapster.so";
/// What Python runs where the worker library is built in.
const BUILT_IN: &str = "import sys, _tapster; sys.exit(_tapster.main(int(sys.argv[1])))";
/// What Python runs where it has to load the worker library first. Its name is not the module's, so it is loaded by path.
const BY_PATH: &str = "\
import sys, importlib.machinery, importlib.util
spec = importlib.util.spec_from_file_location('_tapster', loader=importlib.machinery.ExtensionFileLoader(
    '_tapster', sys.argv[2]))
_tapster = importlib.util.module_from_spec(spec)
sys.modules['_tapster'] = _tapster
spec.loader.exec_module(_tapster)
sys.exit(_tapster.main(int(sys.argv[1])))
";

/// Becomes the template.
pub(crate) fn enter(channel: ChildChannel, recipe: &Recipe<'_>, arbiter: i32) -> ! {
    // A panic must not unwind into the arbiter's frames, which would go on as a second arbiter.
    let failure = match catch_unwind(AssertUnwindSafe(|| become_python(&channel, recipe, arbiter))) {
        Ok(Ok(status)) => std::process::exit(status),
        Ok(Err(failure)) => failure,
        Err(_) => "the process panicked before Python was started".to_owned(),
    };
    // Where the arbiter is gone, nobody is left to tell.
    let _ = channel.send(&Report::BootFailed { exit: ExitCode::Failed, report: failure });
    std::mem::forget(channel);
    exit_now(ExitCode::Failed.status().into())
}

fn become_python(channel: &ChildChannel, recipe: &Recipe<'_>, arbiter: i32) -> Result<i32, String> {
    let (number, settings) = (channel.as_raw_fd(), recipe.settings);
    prepare(number, recipe, arbiter)?;
    let chdir = settings.chdir.display();
    std::env::set_current_dir(&settings.chdir).map_err(|error| format!("can't change to chdir = {chdir}: {error}"))?;
    let environment = environment::remove_all(systemd::VARIABLES)
        .and_then(|()| environment::set_all(recipe.identity.variables()))
        .and_then(|()| environment::set_all(&settings.env));
    environment.map_err(|error| format!("can't set the variables of env: {error}"))?;

    let library = worker_library()?;
    let interpreter = find(settings.python.as_deref())?;
    match &interpreter.libpython {
        Some(libpython) => {
            let arguments = [interpreter.executable.as_os_str(), OsStr::new("-c"), OsStr::new(BUILT_IN)];
            let number = OsString::from(number.to_string());
            let arguments: Vec<CString> = arguments.into_iter().chain([number.as_os_str()]).map(c_string).collect();
            run(libpython, &library, &arguments).map_err(|error| error.to_string())
        }
        None => Err(exec(channel, &interpreter, &library)),
    }
}

/// Leaves behind what is the arbiter's: its handlers, its descriptors, and whom it runs as.
fn prepare(channel: i32, recipe: &Recipe<'_>, arbiter: i32) -> Result<(), String> {
    let failed = |error: io::Error| format!("can't prepare the template's process: {error}");
    signals::reset_dispositions();
    signals::unblock_all().map_err(failed)?;
    fds::close_all_but(channel).map_err(failed)?;
    recipe.identity.assume().map_err(|error| {
        let Settings { user, group, .. } = recipe.settings;
        let (user, group) = (user.as_deref().unwrap_or("(not set)"), group.as_deref().unwrap_or("(not set)"));
        format!("the application can't run as user = {user}, group = {group}: {error}")
    })?;
    if let Some(log) = log_file(recipe.settings).filter(|_| recipe.is_daemon) {
        // Python's last words, and those of C code, go nowhere else.
        let opened = logging::open(log).and_then(|log| Ok((dup2_stdout(&log)?, dup2_stderr(&log)?)));
        opened.map_err(|error| format!("can't open error_logfile {}: {error}", log.display()))?;
    }
    // After that: who becomes another user loses it.
    lifeline::on_parent_death(Signal::SIGKILL).map_err(failed)?;
    if nix::unistd::getppid().as_raw() != arbiter {
        exit_now(ExitCode::Failed.status().into());
    }
    Ok(())
}

/// Replaces this process by the interpreter, and returns only the reason why it could not.
fn exec(channel: &ChildChannel, interpreter: &Interpreter, library: &Path) -> String {
    if let Err(error) = channel.keep_across_exec() {
        return format!("can't pass the channel on: {error}");
    }
    let executable = interpreter.executable.as_path();
    let mut command = Command::new(executable);
    command.args(["-c", BY_PATH, &channel.as_raw_fd().to_string()]).arg(library);
    format!("can't run {}: {}", executable.display(), command.exec())
}

/// The worker library that belongs to this executable.
fn worker_library() -> Result<PathBuf, String> {
    let executable = executable().map_err(|error| format!("can't tell where the tapster executable is: {error}"))?;
    let folder = executable.parent().unwrap_or(Path::new("/"));
    let places = [folder.join(LIBRARY), folder.join("../lib/tapster").join(LIBRARY)];
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let places = places.map(|place| place.display().to_string()).join(" nor at ");
        format!(
            "the worker library is neither at {places}, or can't be read there by the user that the application runs as: \
             install it beside the tapster executable"
        )
    })
}

/// Where this program's file is, or was before a newer one took its place.
pub(crate) fn executable() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    Ok(path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map_or_else(|| path.clone(), PathBuf::from))
}
