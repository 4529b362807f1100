//! Tells a service manager how the server is (sd_notify(3)), where there is one: `NOTIFY_SOCKET` names its socket.
//!
//! Never fails the server, and never waits long for a manager that does not read: a library that sends in blocking mode
//! would stop the whole arbiter there. Called by `perform` with what `decide` has to tell, and by `run` once a turn of its loop.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use tapster_sys::stamp;

use crate::action::Notice;

/// The variables by which a service manager speaks to the process that it starts, and to no child of it.
pub(crate) const VARIABLES: &[&str] =
    &["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// How long a manager may take to make room for what changes the unit's state.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long the manager is asked to wait on, each time, and how often: well before that is over.
const GRANT: Duration = Duration::from_secs(30);
const RENEWED: Duration = Duration::from_secs(5);

/// This server as a service manager sees it: a unit whose main process speaks to it.
#[derive(Debug)]
pub(crate) struct Service {
    line: Option<Line>,
    /// Whether this process speaks for the unit. Until then what there is to say is kept.
    is_main: bool,
    is_ready: bool,
    status: Option<String>,
    /// How often the manager is to hear that the loop turns: twice as often as it asks for.
    watchdog: Option<Duration>,
    next_beat: Duration,
    next_grant: Duration,
}

/// The way to the manager. One socket for all messages: without a descriptor left, a server that says nothing would be taken for
/// one that hangs.
#[derive(Debug)]
struct Line {
    name: OsString,
    address: SocketAddr,
    socket: UnixDatagram,
}

impl Service {
    /// What the environment says of a manager. Says nothing itself before [`Service::become_main`].
    #[must_use]
    pub(crate) fn of_process() -> Self {
        let line = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()).and_then(|name| {
            let opened = Line::open(name.clone());
            opened.inspect_err(|error| log::warn!("NOTIFY_SOCKET = {name:?} can't be used: {error}")).ok()
        });
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
        let watchdog = watchdog.filter(|_| line.is_some());
        let (next_beat, next_grant) = (Duration::ZERO, Duration::ZERO);
        Self { line, is_main: false, is_ready: false, status: None, watchdog, next_beat, next_grant }
    }

    /// From now on this process speaks for the unit, and says at once what it has kept. To say so again changes nothing.
    pub(crate) fn become_main(&mut self) {
        if std::mem::replace(&mut self.is_main, true) {
            return;
        }
        // Whoever spoke before may have been about to.
        (self.next_beat, self.next_grant) = (Duration::ZERO, Duration::ZERO);
        if shares_pids() {
            // A script that started this process may be what the manager takes for the service.
            self.say(&format!("MAINPID={}", std::process::id()), Duration::ZERO);
        }
        if let Some(status) = self.status.take() {
            self.notify(&Notice::Status(status));
        }
        if self.is_ready {
            self.notify(&Notice::Ready);
        }
    }

    /// Passes a notice on. The manager listens to one process only: while there are two servers, to the older one, until that
    /// has named the other.
    pub(crate) fn notify(&mut self, notice: &Notice) {
        match notice {
            Notice::Ready => self.is_ready = true,
            Notice::Reloading | Notice::Stopping => self.is_ready = false,
            Notice::Status(status) if !self.is_main => self.status = Some(status.clone()),
            Notice::Status(_) | Notice::MainPid(_) => {}
        }
        if !matches!(notice, Notice::Status(_)) {
            // Another wait begins for the manager, of which it has granted nothing yet.
            self.next_grant = Duration::ZERO;
        }
        let patience = if matches!(notice, Notice::Status(_)) { Duration::ZERO } else { PATIENCE };
        self.say(&message(notice, stamp::monotonic()), patience);
        self.is_main &= !matches!(notice, Notice::MainPid(_));
    }

    /// The loop has come round, at `now`: says so where a watchdog wants to hear it. `takes_long` is whether the server is
    /// booting, reloading or stopping, and keeps its own time: then the manager is asked not to lose patience.
    pub(crate) fn turn(&mut self, takes_long: bool, now: Duration) {
        if let Some(interval) = self.watchdog.filter(|_| self.next_beat <= now) {
            self.next_beat = now.saturating_add(interval);
            self.say("WATCHDOG=1", Duration::ZERO);
        }
        if takes_long && self.next_grant <= now {
            self.next_grant = now.saturating_add(RENEWED);
            self.say(&format!("EXTEND_TIMEOUT_USEC={}", GRANT.as_micros()), Duration::ZERO);
        }
    }

    /// When the loop must have come round again.
    #[must_use]
    pub(crate) fn next_turn(&self, takes_long: bool) -> Option<Duration> {
        self.line.as_ref().filter(|_| self.is_main)?;
        let beat = self.watchdog.map(|_| self.next_beat);
        beat.into_iter().chain(takes_long.then_some(self.next_grant)).min()
    }

    fn say(&self, message: &str, patience: Duration) {
        let Some(line) = self.line.as_ref().filter(|_| self.is_main) else { return };
        if let Err(error) = line.send(message, patience) {
            let level = if patience.is_zero() { log::Level::Debug } else { log::Level::Warn };
            log::log!(
                level,
                "The service manager can't be told {message:?} (NOTIFY_SOCKET = {:?}): {error}",
                line.name
            );
        }
    }
}

impl Line {
    fn open(name: OsString) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { name, address, socket })
    }

    /// Sends a message, and waits so long for room.
    fn send(&self, message: &str, patience: Duration) -> io::Result<()> {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        if patience.is_zero() || !sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return sent.map(drop);
        }
        // Polling a socket that is not connected would not tell of its reader; sending in blocking mode waits for it.
        self.socket.set_nonblocking(false)?;
        let sent = self.send_within(message, patience);
        self.socket.set_nonblocking(true)?;
        sent
    }

    fn send_within(&self, message: &str, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_write_timeout(Some(left))?;
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                // A signal came, as for each child that ends; with a time limit the kernel does not go on by itself.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }
}

/// Half of the time that the manager asks for in WATCHDOG_USEC, if that is meant for this process (sd_watchdog_enabled(3)).
fn watchdog(microseconds: Option<String>, pid: Option<String>, own_pid: u32) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    let time = microseconds?.parse().ok().filter(|&time: &u64| is_meant && time > 0)?;
    Some(Duration::from_micros(time) / 2)
}

/// Whether the manager is systemd and knows processes by the same numbers: a container has numbers of its own, which would name
/// another process outside.
fn shares_pids() -> bool {
    std::fs::read_to_string("/proc/1/comm").is_ok_and(|name| name.trim_end() == "systemd")
}

fn message(notice: &Notice, now: Duration) -> String {
    match notice {
        Notice::Ready => "READY=1".into(),
        // The time tells the manager which of several reloads a later READY=1 answers.
        Notice::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()),
        Notice::Stopping => "STOPPING=1".into(),
        Notice::MainPid(pid) => format!("MAINPID={pid}"),
        Notice::Status(status) => format!("STATUS={}", status.replace('\n', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager that is listening, and the server's way to it.
    fn manager(name: &str) -> (UnixDatagram, Service) {
        let name = format!("@tapster-notify-{name}-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name[1..]).unwrap()).unwrap();
        manager.set_nonblocking(true).unwrap();
        let line = Some(Line::open(name.into()).unwrap());
        let (watchdog, next_beat, next_grant) = (Some(Duration::from_secs(2)), Duration::ZERO, Duration::ZERO);
        (manager, Service { line, is_main: true, is_ready: false, status: None, watchdog, next_beat, next_grant })
    }

    /// All that has been said, but for who is the main process.
    fn said(manager: &UnixDatagram) -> Vec<String> {
        let (mut buffer, mut said) = ([0; 256], Vec::new());
        while let Ok(length) = manager.recv(&mut buffer) {
            said.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        said.retain(|text| !text.starts_with("MAINPID="));
        said
    }

    #[test]
    fn each_notice_has_the_words_that_the_manager_knows() {
        let now = Duration::from_micros(12_345_678);
        assert_eq!(message(&Notice::Ready, now), "READY=1");
        assert_eq!(message(&Notice::MainPid(4711), now), "MAINPID=4711");
        assert_eq!(message(&Notice::Reloading, now), "RELOADING=1\nMONOTONIC_USEC=12345678");
        assert_eq!(message(&Notice::Status("a\nREADY=1".into()), now), "STATUS=a READY=1");
    }

    #[test]
    fn the_watchdog_is_told_at_half_its_time_and_only_the_one_that_is_meant() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(watchdog(text("30000000"), None, 7), Some(Duration::from_secs(15)));
        assert_eq!(watchdog(text("30000000"), text("7"), 7), Some(Duration::from_secs(15)));
        assert_eq!(watchdog(text("30000000"), text("8"), 7), None);
        assert_eq!(watchdog(text("0"), None, 7), None);
        assert_eq!(watchdog(text("soon"), None, 7), None);
        assert_eq!(watchdog(None, text("7"), 7), None);
    }

    #[test]
    fn a_loop_that_turns_says_so_when_it_is_time_and_asks_for_more_only_while_something_takes_long() {
        let (manager, mut service) = manager("turns");
        let at = Duration::from_secs;
        service.turn(false, at(10));
        service.turn(false, at(11));
        assert_eq!(said(&manager), ["WATCHDOG=1"]);
        assert_eq!(service.next_turn(false), Some(at(12)));
        service.turn(true, at(12));
        assert_eq!(said(&manager), ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=30000000"]);
        assert_eq!(service.next_turn(true), Some(at(14)), "the next beat");
        service.turn(true, at(16));
        assert_eq!(said(&manager), ["WATCHDOG=1"]);
        service.turn(true, at(17));
        assert_eq!(said(&manager), ["EXTEND_TIMEOUT_USEC=30000000"]);
        service.notify(&Notice::Stopping);
        service.turn(true, at(17));
        assert_eq!(said(&manager), ["STOPPING=1", "EXTEND_TIMEOUT_USEC=30000000"], "for the stop, at once");
    }

    #[test]
    fn what_is_not_the_main_process_keeps_what_it_has_to_say_until_it_is() {
        let (manager, mut service) = manager("silent");
        service.is_main = false;
        service.notify(&Notice::Ready);
        service.notify(&Notice::Status("one".into()));
        service.notify(&Notice::Status("two".into()));
        service.turn(true, Duration::from_secs(1));
        assert_eq!(service.next_turn(true), None);
        assert!(said(&manager).is_empty());
        service.become_main();
        assert_eq!(said(&manager), ["STATUS=two", "READY=1"]);
        service.turn(false, Duration::from_secs(1));
        assert_eq!(said(&manager), ["WATCHDOG=1"], "at once, whenever the last one would have been due");
        service.become_main();
        assert!(said(&manager).is_empty());
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nobody() {
        let (manager, service) = manager("full");
        let line = service.line.unwrap();
        let mut sent = 0_u32;
        while line.send("STATUS=x", Duration::ZERO).is_ok() {
            sent += 1;
            assert!(sent < 100_000);
        }
        assert!(line.send("READY=1", Duration::from_millis(20)).is_err());
        assert_eq!(manager.recv(&mut [0; 64]).unwrap(), "STATUS=x".len());
        line.send("READY=1", Duration::from_millis(20)).unwrap();
    }
}
