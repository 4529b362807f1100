//! The control socket: answers how the server is, and hands what it is told to `decide` as the event that means the same.
//!
//! Decides nothing itself, starts and ends nothing, and never blocks: one loop serves its clients and supervises. Whatever a
//! client does, it costs at most one of [`MOST_CLIENTS`] places, 256 bytes of request and a deadline. Called by the event loop
//! and by `run`, which tells it what is done and has it answer before each wait.
//!
//! # Protocol
//!
//! A Unix stream socket, one request a connection. Who connects must be root or the user that the server runs as
//! (`SO_PEERCRED`). The request is one line of at most 256 bytes, a command with its words:
//!
//! ```text
//! status [json]
//! reload [no-wait]
//! stop [quick] [no-wait]
//! workers +N | -N
//! reopen
//! upgrade
//! ```
//!
//! The reply is any number of lines `> …`, which say what was asked for, or `! …`, which say why it is not so, then one line
//! `exit N` with the status to exit with: 0 done, 1 failed, 2 no such request, 3 not for this user. Then the server closes the
//! connection. Readers pass over lines that begin otherwise. Without `no-wait` the reply to `reload` comes when the reload is
//! over, and the one to `stop` when the server ends.

mod client;
mod json;
pub(crate) mod protocol;
mod status;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use tapster_config::ControlCommand;
use tapster_ipc::Scoreboard;
use tapster_sys::stamp;

use crate::action::Action;
use crate::event::{Event, Sender};
use crate::event_loop::named;
use crate::fleet::{Fleet, Phase};
use crate::listeners::{Listener, Patience, open_private};
use client::{Client, State, Wait};
use protocol::{ABSENT, DONE, FAILED, reply};
use status::Status;

/// The event loop's tokens from here on are the control socket's.
pub(crate) const FIRST_TOKEN: usize = 1 << 30;
/// The most clients at once. More wait in the kernel's queue, until one is done or late.
const MOST_CLIENTS: usize = 16;
/// How many may wait in that queue.
const BACKLOG: u32 = 64;
/// When accepting is tried again that has failed for want of something.
const PAUSE: Duration = Duration::from_secs(1);
/// How often taking over a path is tried again at which somebody listens yet.
const MOVES: u32 = 10;
/// Of so many clients of other users, each is logged; later ones rarely.
const REFUSALS_LOGGED: u64 = 10;

/// The control socket, and its clients.
#[derive(Debug)]
pub(crate) struct Control {
    /// Keeps the path until the end.
    listener: Listener,
    /// The path that it is to have once the server before this one has gone.
    later: Option<PathBuf>,
    /// When it is moved there, and how often that may yet fail: of a server that was killed the kernel closes one thing after the
    /// other.
    moves: Option<(Duration, u32)>,
    queue: UnixListener,
    registry: Registry,
    clients: BTreeMap<Token, Client>,
    next_token: usize,
    /// When the queue is looked at again, where not all of it was taken.
    look_again: Option<Duration>,
    refusals: u64,
    started: Duration,
    /// The client whose request is being decided on, if it is one's.
    asking: Option<Token>,
    /// When the last reload was over, and what came of it.
    last_reload: Option<(Duration, Result<u64, String>)>,
}

impl Control {
    /// Listens at `path`; beside another server, whose place this one is to take, at `PATH.2`. `registry` is the event loop's.
    ///
    /// # Errors
    /// A sentence for the log: why that is not possible.
    pub(crate) fn open(path: &Path, is_second: bool, registry: Registry) -> Result<Self, String> {
        let own = if is_second { beside(path) } else { path.into() };
        let listener = open_private(&own, BACKLOG, Patience::START).map_err(|error| error.to_string())?;
        let system = |error: io::Error| error.to_string();
        let queue = UnixListener::from(listener.as_fd().try_clone_to_owned().map_err(system)?);
        let token = Token(FIRST_TOKEN);
        registry.register(&mut SourceFd(&queue.as_raw_fd()), token, Interest::READABLE).map_err(system)?;
        Ok(Self {
            listener,
            later: is_second.then(|| path.into()),
            moves: None,
            queue,
            registry,
            clients: BTreeMap::new(),
            next_token: FIRST_TOKEN + 1,
            look_again: None,
            refusals: 0,
            started: stamp::monotonic(),
            asking: None,
            last_reload: None,
        })
    }

    /// Takes the path of the server before this one, which has gone.
    fn take_over(&mut self, now: Duration) {
        let Some((_, trials)) = self.moves.take_if(|(due, _)| *due <= now) else { return };
        match self.later.as_deref().map(|path| self.listener.move_to(path)) {
            Some(Err(error)) if error.is_in_use() && trials > 0 => {
                self.moves = Some((now.saturating_add(PAUSE), trials - 1));
            }
            Some(Err(error)) => log::error!("The control socket stays at {}: {error}", self.listener.url()),
            Some(Ok(())) | None => self.later = None,
        }
    }

    /// Takes in what polling has brought, and returns what it asks for.
    pub(crate) fn hear(&mut self, event: &Readiness) -> Vec<Event> {
        let now = stamp::monotonic();
        if event.token() == Token(FIRST_TOKEN) {
            self.accept(now);
            return Vec::new();
        }
        let Some(client) = self.clients.get_mut(&event.token()) else { return Vec::new() };
        let mut asked = None;
        if event.is_readable()
            && let Some(command) = client.read(now)
        {
            log::debug!("The control socket is asked: {command:?}, by {:?}", client.sender);
            asked = meaning(command, client.sender.as_ref());
        }
        if event.is_writable() {
            client.write();
        }
        // One that only has nothing more to send still waits for its answer.
        if event.is_write_closed() {
            client.state = State::Over;
        }
        asked.into_iter().collect()
    }

    /// Sees what is about to be decided on, and whose request it is: only a reload that begins from then on is the one that a
    /// client has asked for, and only what is refused then has been refused to it.
    pub(crate) fn hand_over(&mut self, event: &Event) {
        match event {
            Event::Signal { .. } | Event::Resize { .. } => {}
            // What an upgrade has brought about, before anything else.
            Event::LaunchFailed { .. } => return,
            _ => {
                self.asking = None;
                return;
            }
        }
        let asked = |client: &Client| match client.state {
            State::Waiting(Wait::Decision(command)) => Some(command),
            _ => None,
        };
        let is_its = |client: &Client| {
            asked(client).and_then(|command| meaning(command, client.sender.as_ref())).as_ref() == Some(event)
        };
        let next = self.clients.iter_mut().find(|(_, client)| is_its(client));
        self.asking = next.map(|(token, client)| {
            client.state = State::Waiting(match asked(client) {
                Some(command) if command != (ControlCommand::Reload { wait: true }) => Wait::Decided(command),
                _ => Wait::Reload,
            });
            *token
        });
    }

    /// Sees what is about to be done, at `now`, and tells those who wait for it.
    pub(crate) fn follow(&mut self, actions: &[Action], now: Duration) {
        for action in actions {
            match action {
                Action::LoadSettings { reload } => self.begin_reload(*reload),
                Action::Conclude { reload, outcome } => self.end_reload(*reload, outcome, now),
                Action::Refuse(reason) => self.refuse(reason),
                Action::TakeOver { .. } => self.moves = Some((now, MOVES)),
                _ => {}
            }
        }
    }

    /// Answers whoever need not wait, once all that has happened has been decided on. Gives up those who are late, and accepts
    /// those for whom there was no room.
    pub(crate) fn answer(&mut self, fleet: &Fleet, scoreboard: &Scoreboard, now: Duration) {
        self.take_over(now);
        let is_stopping = matches!(fleet.phase, Phase::Stopping { .. });
        for client in self.clients.values_mut() {
            client.pass_on(now);
            match client.state {
                State::Waiting(Wait::Decision(ControlCommand::Status { json })) => {
                    let last = self.last_reload.as_ref();
                    let last = last.map(|(when, outcome)| (now.saturating_sub(*when), outcome));
                    let status = Status::of(fleet, scoreboard, now, now.saturating_sub(self.started), last);
                    let text = if json { status.json() } else { status.text() };
                    client.answer(&reply(DONE, &text), now);
                }
                State::Waiting(Wait::Decided(command)) => settle(client, command, fleet, now),
                State::Waiting(Wait::Reload | Wait::ReloadEnd(_)) if is_stopping => {
                    client.answer(&reply(FAILED, "the server is stopping"), now);
                }
                _ => {}
            }
            if client.deadline <= now {
                give_up(client, now);
            }
        }
        self.clients.retain(|_, client| !matches!(client.state, State::Over));
        if self.look_again.is_some_and(|time| time <= now) && self.clients.len() < MOST_CLIENTS {
            self.accept(now);
        }
    }

    /// When [`Control::answer`] is to be called, whatever else happens.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let look_again = self.look_again.filter(|_| self.clients.len() < MOST_CLIENTS);
        let moves = self.moves.map(|(due, _)| due);
        self.clients.values().map(|client| client.deadline).chain(look_again).chain(moves).min()
    }

    /// The server ends now, after what has been decided last: tells everybody who waits, whether for that or for something else.
    pub(crate) fn say_farewell(&mut self) {
        let now = stamp::monotonic();
        for client in self.clients.values_mut() {
            client.pass_on(now);
            match client.state {
                State::Waiting(Wait::End | Wait::Decided(ControlCommand::Stop { .. })) => {
                    client.answer(&reply(DONE, "Tapster has stopped"), now);
                }
                State::Waiting(_) => client.answer(&reply(FAILED, "the server has stopped"), now),
                State::Reading(_) | State::Concluded(_) | State::Sending { .. } | State::Over => {}
            }
        }
    }

    fn accept(&mut self, now: Duration) {
        while self.clients.len() < MOST_CLIENTS {
            match self.queue.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = self.admit(stream, now) {
                        log::warn!("A client of the control socket can't be served: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.look_again = None;
                    return;
                }
                Err(error) => {
                    log::warn!("The control socket can't accept: {error}");
                    self.look_again = Some(now.saturating_add(PAUSE));
                    return;
                }
            }
        }
        self.look_again = Some(now);
    }

    /// Takes a client in, if it is one that may ask.
    fn admit(&mut self, stream: UnixStream, now: Duration) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let peer = getsockopt(&stream, sockopt::PeerCredentials)?;
        let sender = Some(peer.pid()).filter(|&pid| pid > 0).map(named);
        let (uid, own) = (peer.uid(), geteuid().as_raw());
        let mut client = Client::new(stream, sender, now);
        if uid != 0 && uid != own {
            self.say_refusal(uid, client.sender.as_ref());
            client.answer(
                &reply(ABSENT, &format!("this server answers root and the user {own}, not the user {uid}")),
                now,
            );
            return Ok(());
        }
        let token = Token(self.next_token);
        // None comes twice, so that what polling has brought of one client is never taken for another's.
        self.next_token += 1;
        client.register(&self.registry, token)?;
        self.clients.insert(token, client);
        Ok(())
    }

    fn say_refusal(&mut self, uid: u32, sender: Option<&Sender>) {
        self.refusals += 1;
        let count = self.refusals;
        if count <= REFUSALS_LOGGED || count.is_power_of_two() {
            let who = sender.map_or_else(|| "a process".to_owned(), ToString::to_string);
            log::warn!("The control socket does not answer the user {uid}, {who} ({count} so far)");
        }
    }

    /// What has been decided on last is not done.
    fn refuse(&mut self, reason: &str) {
        if let Some(client) = self.asking.take().and_then(|token| self.clients.get_mut(&token)) {
            client.state = State::Concluded(reply(FAILED, reason));
        }
    }

    /// The reload of this number begins: whoever asked for one before waits for its end.
    fn begin_reload(&mut self, reload: u64) {
        for client in self.clients.values_mut() {
            if let State::Waiting(Wait::Reload) = client.state {
                client.state = State::Waiting(Wait::ReloadEnd(reload));
            }
        }
    }

    /// The reload of this number is over; or none begins, and those who wait for one wait in vain.
    fn end_reload(&mut self, reload: Option<u64>, outcome: &Result<u64, String>, now: Duration) {
        let over = reload.map_or(Wait::Reload, Wait::ReloadEnd);
        let answer = match outcome {
            Ok(generation) => reply(DONE, &format!("generation {generation} serves")),
            Err(reason) => reply(FAILED, reason),
        };
        for client in self.clients.values_mut() {
            if matches!(client.state, State::Waiting(wait) if wait == over) {
                client.state = State::Concluded(answer.clone());
            }
        }
        self.last_reload = Some((now, outcome.clone()));
    }
}

/// Where a second server has its socket.
fn beside(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".2");
    path.into()
}

/// The event that means the same as the command: a signal, for all but the number of workers.
fn meaning(command: ControlCommand, sender: Option<&Sender>) -> Option<Event> {
    let sender = sender.cloned();
    let signal = match command {
        ControlCommand::Status { .. } => return None,
        ControlCommand::Workers { by } => return Some(Event::Resize { by, sender }),
        ControlCommand::Reload { .. } => Signal::SIGHUP,
        ControlCommand::Stop { quick: false, .. } => Signal::SIGTERM,
        // Not QUIT: that one would wait for a new server that boots.
        ControlCommand::Stop { quick: true, .. } => Signal::SIGINT,
        ControlCommand::Reopen => Signal::SIGUSR1,
        ControlCommand::Upgrade => Signal::SIGUSR2,
    };
    Some(Event::Signal { signal, sender })
}

/// What has been asked for has been decided on and not been refused: answers, or has the client wait for its end.
fn settle(client: &mut Client, command: ControlCommand, fleet: &Fleet, now: Duration) {
    match command {
        ControlCommand::Stop { wait: true, .. } => client.state = State::Waiting(Wait::End),
        ControlCommand::Stop { wait: false, .. } => client.answer(&reply(DONE, "the server is stopping"), now),
        ControlCommand::Workers { .. } => {
            let workers = fleet.desired(fleet.target);
            client.answer(&reply(DONE, &format!("workers wanted: {workers}")), now);
        }
        ControlCommand::Reload { .. }
        | ControlCommand::Reopen
        | ControlCommand::Upgrade
        | ControlCommand::Status { .. } => {
            client.answer(&reply(DONE, "asked for; the log says what becomes of it"), now);
        }
    }
}

/// A client is late, or has waited for as long as one may.
fn give_up(client: &mut Client, now: Duration) {
    match client.state {
        State::Waiting(_) => client.answer(&reply(FAILED, "not over yet: ask for the status"), now),
        State::Reading(_) | State::Concluded(_) | State::Sending { .. } | State::Over => client.state = State::Over,
    }
}

#[cfg(test)]
mod tests;
