//! The words of the control socket, for both of its ends: requests and replies as lines. See [`crate::control`].
//!
//! Pure; knows neither what is done about a request nor who may make it.

use tapster_config::{ControlCommand, worker_change};

/// The longest request, in bytes, with its line end.
pub(crate) const MOST_BYTES: usize = 256;
/// The exit status of what was done.
pub(crate) const DONE: u8 = 0;
/// The exit status of what failed.
pub(crate) const FAILED: u8 = 1;
/// The exit status of a request that is none.
pub(crate) const USAGE: u8 = 2;
/// The exit status where there is no server, or none that answers this user.
pub(crate) const ABSENT: u8 = 3;

/// The commands there are.
const COMMANDS: &str = "status [json], reload [no-wait], stop [quick] [no-wait], workers CHANGE, reopen, upgrade";

/// The request's line, with its end.
#[must_use]
pub(crate) fn line(command: ControlCommand) -> String {
    let flag = |is_set: bool, flag: &'static str| if is_set { flag } else { "" };
    let line = match command {
        ControlCommand::Status { json } => format!("status{}", flag(json, " json")),
        ControlCommand::Reload { wait } => format!("reload{}", flag(!wait, " no-wait")),
        ControlCommand::Stop { quick, wait } => format!("stop{}{}", flag(quick, " quick"), flag(!wait, " no-wait")),
        ControlCommand::Workers { by } => format!("workers {by:+}"),
        ControlCommand::Reopen => "reopen".to_owned(),
        ControlCommand::Upgrade => "upgrade".to_owned(),
    };
    line + "\n"
}

/// Reads a request's line.
///
/// # Errors
/// What is wrong with it, and what there is instead.
pub(crate) fn parse(line: &[u8]) -> Result<ControlCommand, String> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let mut rest: Vec<&str> = words.collect();
    let mut has = |flag: &str| {
        let position = rest.iter().position(|word| *word == flag);
        position.map(|position| rest.remove(position)).is_some()
    };
    let command = match name {
        "status" => ControlCommand::Status { json: has("json") },
        "reload" => ControlCommand::Reload { wait: !has("no-wait") },
        "stop" => ControlCommand::Stop { quick: has("quick"), wait: !has("no-wait") },
        "workers" => {
            let change = if rest.is_empty() { "" } else { rest.remove(0) };
            let by = worker_change(change).map_err(|says| format!("the change of workers {}", short(&says)))?;
            ControlCommand::Workers { by }
        }
        "reopen" => ControlCommand::Reopen,
        "upgrade" => ControlCommand::Upgrade,
        _ => return Err(format!("{} is not a command; there are: {COMMANDS}", short(&format!("{name:?}")))),
    };
    match rest.first() {
        None => Ok(command),
        Some(word) => {
            let word = short(&format!("{word:?}"));
            Err(format!("{name} does not know {word}; there are: {COMMANDS}"))
        }
    }
}

/// The beginning of what a client has sent.
fn short(text: &str) -> String {
    const MOST: usize = 100;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain("…".chars()).collect() }
}

/// A reply: what there is to say, and the status to exit with.
#[must_use]
pub(crate) fn reply(exit: u8, text: &str) -> String {
    let mark = if exit == DONE { '>' } else { '!' };
    let mut reply = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        reply.extend([mark, ' ']);
        reply.push_str(line);
        reply.push('\n');
    }
    reply + &format!("exit {exit}\n")
}

/// One line of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'l> {
    /// Something that was asked for.
    Says(&'l str),
    /// Why what was asked for is not so.
    Complains(&'l str),
    /// The last line, with the status.
    Exit(u8),
    /// None that this version knows.
    Unknown,
}

/// Reads a line of a reply, which has no end any more.
#[must_use]
pub(crate) fn reply_line(line: &str) -> Line<'_> {
    if let Some(says) = line.strip_prefix("> ") {
        Line::Says(says)
    } else if let Some(complains) = line.strip_prefix("! ") {
        Line::Complains(complains)
    } else if let Some(exit) = line.strip_prefix("exit ").and_then(|exit| exit.parse().ok()) {
        Line::Exit(exit)
    } else {
        Line::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_survives_the_way() {
        let mut commands = vec![ControlCommand::Reopen, ControlCommand::Upgrade];
        commands.extend([1, -1, 100].map(|by| ControlCommand::Workers { by }));
        for first in [false, true] {
            commands.extend([ControlCommand::Status { json: first }, ControlCommand::Reload { wait: first }]);
            commands.extend([false, true].map(|wait| ControlCommand::Stop { quick: first, wait }));
        }
        for command in commands {
            let line = line(command);
            assert!(line.len() <= MOST_BYTES && line.ends_with('\n'));
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_no_request_is_told_what_there_is() {
        let table: [(&[u8], &str); 8] = [
            (b"\n", "\"\" is not a command; there are: status [json], reload"),
            (b"STATUS\n", "\"STATUS\" is not a command"),
            (b"status xml\n", "status does not know \"xml\""),
            (b"reopen reopen\n", "reopen does not know \"reopen\""),
            (b"workers\n", "must be +1 to +100"),
            (b"workers +1 -1\n", "workers does not know \"-1\""),
            (b"workers 99999999999999999999\n", "must be +1 to +100"),
            (b"\xff\x00\x1b[2J\n", "is not a command"),
        ];
        for (line, says) in table {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line:?}: {error}");
            assert!(!error.contains(['\n', '\x1b', '\0']), "{error:?}");
        }
        assert!(parse(&[b'x'; MOST_BYTES]).unwrap_err().len() < 300, "and not all of it is sent back");
    }

    #[test]
    fn a_reply_is_read_line_by_line_and_one_of_a_later_version_too() {
        let lines = |reply: &str| reply.lines().map(|line| format!("{:?}", reply_line(line))).collect::<Vec<_>>();
        assert_eq!(lines(&reply(DONE, "a\n\nexit 7")), [r#"Says("a")"#, r#"Says("")"#, r#"Says("exit 7")"#, "Exit(0)"]);
        assert_eq!(lines(&reply(FAILED, "no\n  why")), [r#"Complains("no")"#, r#"Complains("  why")"#, "Exit(1)"]);
        assert_eq!(lines(&reply(DONE, "")), ["Exit(0)"]);
        assert_eq!(lines("? later\nexit soon\nexit 300\n"), ["Unknown", "Unknown", "Unknown"]);
    }
}
