//! The command line of `tapsterctl`: what to ask of which server.
//!
//! Finds the control socket where the server finds it, in the settings file and the environment, and needs no other setting
//! to be right: a server must be told to stop even while its settings are being written. Never opens the socket. Called by
//! the arbiter's library for the program `tapsterctl`; [`ControlCommand`] is also what the server reads requests into.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::errors::{Errors, Fault};
use crate::kinds::{DAY, Kind, Time};
use crate::layers;
use crate::node::Node;
use crate::sources::Sources;

/// The most workers that one request adds or takes away.
const MOST_AT_ONCE: u32 = 100;

/// What the command line of `tapsterctl` asks the program to do. Texts have no newline at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlInvocation {
    /// Ask a server.
    Ask(ControlRequest),
    /// `--help`: print this text.
    Help(String),
    /// `--version`: print this text.
    Version(String),
}

/// What to ask of which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRequest {
    /// Where the server listens for it.
    pub socket: PathBuf,
    /// What it is asked.
    pub command: ControlCommand,
    /// How long its answer is waited for; `None` is for as long as it takes.
    pub timeout: Option<Duration>,
}

/// What a running server can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlCommand {
    /// How it is.
    Status {
        /// As JSON.
        json: bool,
    },
    /// Load settings and application anew: HUP.
    Reload {
        /// Answer when that is over.
        wait: bool,
    },
    /// End: TERM, or QUIT.
    Stop {
        /// Without waiting long for running requests.
        quick: bool,
        /// Answer when that is over.
        wait: bool,
    },
    /// So many workers more, or fewer: TTIN, TTOU.
    Workers {
        /// How many; never 0.
        by: i32,
    },
    /// Open the logs anew: USR1.
    Reopen,
    /// Start the program anew, and hand over to it: USR2.
    Upgrade,
}

/// The number of workers that `text` asks to add (`+2`) or to take away (`-1`).
///
/// # Errors
/// What it must be, as the rest of a sentence.
pub fn worker_change(text: &str) -> Result<i32, String> {
    let number = text.strip_prefix(['+', '-']).and_then(|_| text.parse::<i32>().ok());
    number
        .filter(|by| (1..=MOST_AT_ONCE).contains(&by.unsigned_abs()))
        .ok_or_else(|| format!("must be +1 to +{MOST_AT_ONCE} or -1 to -{MOST_AT_ONCE}, not {text:?}"))
}

/// Reads the command line of `tapsterctl`, and finds the socket.
///
/// # Errors
/// What is wrong with the command line; that no socket is named; what is wrong with the settings, where that leaves open which
/// socket is meant.
pub fn load_control(sources: &Sources) -> Result<ControlInvocation, Errors> {
    let matches = match command().try_get_matches_from(&sources.args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(ControlInvocation::Help(error.render().to_string().trim_end().to_owned()));
        }
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            return Ok(ControlInvocation::Version(format!("tapsterctl {}", env!("CARGO_PKG_VERSION"))));
        }
        Err(error) => return Err(fault(&error).into()),
    };
    let (command, timeout) = asked(&matches)?;
    let given = |id: &str| matches.get_one::<String>(id).filter(|text| !text.is_empty());
    let socket = match given("socket") {
        Some(path) => sources.cwd.join(path),
        None => layers::control_socket(sources, given("config").map(String::as_str))?.ok_or_else(nowhere)?,
    };
    Ok(ControlInvocation::Ask(ControlRequest { socket, command, timeout }))
}

fn nowhere() -> Fault {
    Fault::usage("no control socket is named").hint(
        "name it by --socket PATH, or as `control_socket` in the tapster.toml of the working directory, or in \
         TAPSTER_CONTROL_SOCKET; a server has one only if its settings name it"
            .to_owned(),
    )
}

fn asked(matches: &ArgMatches) -> Result<(ControlCommand, Option<Duration>), Fault> {
    let (name, of) = matches.subcommand().unwrap_or(("status", matches));
    let waits = |of: &ArgMatches| !of.get_flag("no-wait");
    Ok(match name {
        "reload" => (ControlCommand::Reload { wait: waits(of) }, timeout(of)?),
        "stop" => (ControlCommand::Stop { quick: of.get_flag("quick"), wait: waits(of) }, timeout(of)?),
        "workers" => {
            let by = of.get_one::<String>("change").map_or("", String::as_str);
            let by = worker_change(by).map_err(|says| Fault::usage(format!("the change of workers {says}")))?;
            (ControlCommand::Workers { by }, None)
        }
        "reopen" => (ControlCommand::Reopen, None),
        "upgrade" => (ControlCommand::Upgrade, None),
        _ => (ControlCommand::Status { json: of.get_flag("json") }, None),
    })
}

fn timeout(of: &ArgMatches) -> Result<Option<Duration>, Fault> {
    let Some(text) = of.get_one::<String>("timeout") else { return Ok(None) };
    let kind = Time { min: 1, max: DAY };
    let says = |says: String| Fault::usage(format!("--timeout {says}"));
    kind.read(&Node::text(text)).map(Some).map_err(|mut faults| says(faults.swap_remove(0).says))
}

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let timeout = || {
        Arg::new("timeout")
            .long("timeout")
            .value_name("DURATION")
            .help("How long to wait: 30, 30s, 2m [default: for ever]")
    };
    let no_wait = || flag("no-wait", "Return as soon as the server has been told");
    let path = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name).long(name).short(short).value_name("PATH").help(help).global(true)
    };
    Command::new("tapsterctl")
        .bin_name("tapsterctl")
        .about("Asks a running Tapster for its status, or tells it to reload, to stop and the like.")
        .after_help(FOOT)
        .no_binary_name(true)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .arg(path("socket", 's', "The server's control_socket [default: as the settings say]"))
        .arg(path("config", 'c', "The server's settings file [default: tapster.toml here]"))
        .subcommand(Command::new("status").about("Print how the server is").arg(flag("json", "As JSON, on one line")))
        .subcommand(
            Command::new("reload")
                .about("Load settings and code anew (HUP); return when they serve, or have failed and why")
                .arg(no_wait())
                .arg(timeout()),
        )
        .subcommand(
            Command::new("stop")
                .about("Stop after the running requests (TERM); return when the server has ended")
                .arg(flag("quick", "Cut off what takes long (INT)"))
                .arg(no_wait())
                .arg(timeout()),
        )
        .subcommand(
            Command::new("workers").about("Have more workers (+1: TTIN) or fewer (-1: TTOU)").arg(
                Arg::new("change").value_name("CHANGE").required(true).allow_hyphen_values(true).help("+1, -1, +2 …"),
            ),
        )
        .subcommand(Command::new("reopen").about("Open the log files anew (USR1)"))
        .subcommand(Command::new("upgrade").about("Start the program anew beside this one (USR2)"))
}

const FOOT: &str = "\
Exit status: 0 done, 1 failed (the reason is printed), 2 wrong command line or settings, 3 no server at the socket.";

/// The parser's error, as those of `tapster` are.
fn fault(error: &clap::Error) -> Fault {
    let rendered = error.render().to_string();
    let mut lines = rendered.lines();
    let first = lines.next().unwrap_or_default();
    // What ends so goes on in the lines below.
    let says =
        if first.ends_with(':') { &format!("{first} {}", lines.next().unwrap_or_default().trim()) } else { first };
    let hint = "`tapsterctl --help` lists the commands".to_owned();
    Fault::usage(says.strip_prefix("error: ").unwrap_or(says)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Result<ControlInvocation, Errors> {
        let args = args.iter().map(Into::into).collect();
        load_control(&Sources { args, env: [].into(), cwd: "/no/such/directory".into(), passed: Vec::new() })
    }

    fn asks(args: &[&str]) -> ControlCommand {
        match of(&[&["-s", "x.sock"], args].concat()) {
            Ok(ControlInvocation::Ask(request)) => {
                assert_eq!(request.socket, PathBuf::from("/no/such/directory/x.sock"));
                request.command
            }
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn each_command_is_understood() {
        let table: [(&[&str], ControlCommand); 10] = [
            (&["status"], ControlCommand::Status { json: false }),
            (&["status", "--json"], ControlCommand::Status { json: true }),
            (&["reload"], ControlCommand::Reload { wait: true }),
            (&["reload", "--no-wait"], ControlCommand::Reload { wait: false }),
            (&["stop", "--quick"], ControlCommand::Stop { quick: true, wait: true }),
            (&["stop", "--no-wait"], ControlCommand::Stop { quick: false, wait: false }),
            (&["workers", "+2"], ControlCommand::Workers { by: 2 }),
            (&["workers", "-1"], ControlCommand::Workers { by: -1 }),
            (&["reopen"], ControlCommand::Reopen),
            (&["upgrade"], ControlCommand::Upgrade),
        ];
        for (args, command) in table {
            assert_eq!(asks(args), command, "{args:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_command_line_is_usage_and_says_so() {
        let table: [(&[&str], &str); 9] = [
            (&[], "requires a subcommand"),
            (&["relaod"], "relaod"),
            (&["status", "--xml"], "--xml"),
            (&["workers"], "CHANGE"),
            (&["workers", "2"], "must be +1 to +100 or -1 to -100, not \"2\""),
            (&["workers", "+0"], "must be +1"),
            (&["workers", "-101"], "must be +1"),
            (&["reload", "--timeout", "soon"], "--timeout must be a duration"),
            (&["status", "-s", ""], "no control socket is named"),
        ];
        for (args, says) in table {
            let errors = of(args).unwrap_err();
            assert!(errors.is_usage() && errors.to_string().contains(says), "{args:?}: {errors}");
        }
    }

    #[test]
    fn help_names_each_command_and_version_the_program() {
        let Ok(ControlInvocation::Help(text)) = of(&["--help"]) else { panic!("no help") };
        for name in ["status", "reload", "stop", "workers", "reopen", "upgrade", "--socket", "--config"] {
            assert!(text.contains(name), "{name} is missing:\n{text}");
        }
        assert!(matches!(of(&["-V"]), Ok(ControlInvocation::Version(text)) if text.starts_with("tapsterctl ")));
        assert!(matches!(of(&["reload", "--help"]), Ok(ControlInvocation::Help(text)) if text.contains("--no-wait")));
    }
}
