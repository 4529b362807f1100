//! The worker's loop: poll, move connections on, mind deadlines, hear the arbiter.
//!
//! The reactor is one value that one thread owns. It decides nothing about requests, which are the connections' matter, but
//! which connection goes where there are too many; and nothing about its own life, which is the arbiter's: it ends when it
//! has been told to, or when the arbiter is gone.
//!
//! It never parses, and never calls the application but through a connection. Made and run by `worker`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::Signal;
use slab::Slab;
use tapster_ipc::channel::ChildChannel;
use tapster_ipc::{ExitCode, Order, ReceiveError, Report, Scoreboard, Slot};
use tapster_python::{Application, LoadError, Peer, Python};
use tapster_sys::lifeline::Deadman;

use crate::clock::{Seldom, millis};
use crate::connection::Connection;
use crate::deadlines::{Deadlines, Millis, NEVER};
use crate::life::{Context, failed};
use crate::listeners::{Address, Listeners};
use crate::signals::StopSignals;
use crate::socket::Socket;
use crate::state::Verdict;
use crate::tools::{Tools, TurnToRun};
use crate::worker::FINALISATION;

const CHANNEL: usize = 0;
const SIGNALS: usize = 1;
const LISTENERS: usize = 2;
/// Connections' tokens are their keys plus this.
const CONNECTIONS: usize = 1 << 16;
const EVENTS_AT_ONCE: usize = 256;
/// Memory is given back to the system no more often than this, in milliseconds.
const TRIM_EVERY: Millis = 1_000;

/// The loop and all that it owns.
pub(crate) struct Reactor {
    poll: Poll,
    events: Events,
    connections: Slab<Connection>,
    deadlines: Deadlines,
    /// Connections that can go on without an event.
    ready: VecDeque<Listed>,
    /// Connections whose requests wait for their turn to run.
    queued: VecDeque<Listed>,
    listeners: Listeners,
    tools: Tools,
    signals: StopSignals,
    channel: Option<ChildChannel>,
    deadman: Deadman,
    graceful: Duration,
    life: Life,
    /// More connections than this are not held.
    most_connections: usize,
    /// How many of them could be closed for another.
    spare: usize,
    full_notices: Seldom,
    /// When memory may be given back to the system, at the earliest.
    trims_at: Millis,
}

/// A connection in a list. Of entries that it has left behind, none counts: it is `listed` by the newest.
#[derive(Debug, Clone, Copy)]
struct Listed {
    key: usize,
    /// A later connection of the same key has another.
    serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving,
    /// Finishing what is running; over at the latest then.
    Retiring {
        until: Millis,
    },
    /// Over as soon as the loop comes round.
    Over,
}

impl Reactor {
    /// A reactor over the context's listeners, with the application loaded.
    pub(crate) fn new(py: Python<'_>, context: Context, slot: u32, app: Application) -> Result<Self, LoadError> {
        let Context { settings, scoreboard, listeners, mount_point, .. } = context;
        let system = |error: io::Error| failed("can't set up the worker", &error);
        let listeners = Listeners::new(listeners, siblings(&scoreboard, slot, settings.workers)).map_err(system)?;
        let board = scoreboard.slot(slot).ok_or_else(|| failed("no such slot on the scoreboard", &slot))?;
        let tools = Tools::new(py, &settings, board, listeners.addresses(), &mount_point, app)?;
        Ok(Self {
            poll: Poll::new().map_err(system)?,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            connections: Slab::new(),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            queued: VecDeque::new(),
            listeners,
            tools,
            signals: StopSignals::new().map_err(system)?,
            channel: None,
            deadman: Deadman::new().map_err(system)?,
            graceful: settings.graceful_timeout,
            life: Life::Serving,
            most_connections: settings.worker_connections as usize,
            trims_at: 0,
            spare: 0,
            full_notices: Seldom::default(),
        })
    }

    /// Begins to serve, hears the arbiter's orders from now on, and tells it so.
    pub(crate) fn attach(&mut self, channel: ChildChannel) -> Result<(), (ChildChannel, io::Error)> {
        let begin = || -> io::Result<()> {
            channel.set_nonblocking()?;
            let registry = self.poll.registry();
            registry.register(&mut SourceFd(&channel.as_raw_fd()), Token(CHANNEL), Interest::READABLE)?;
            let signals = self.signals.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&signals), Token(SIGNALS), Interest::READABLE)?;
            channel.send(&Report::WorkerReady)
        };
        match begin() {
            Ok(()) => {
                self.channel = Some(channel);
                Ok(())
            }
            Err(error) => Err((channel, error)),
        }
    }

    /// Serves until told to stop, and answers the exit status.
    pub(crate) fn run(&mut self, py: Python<'_>) -> ExitCode {
        let mut exit = ExitCode::Stopped;
        while !self.is_over() {
            if let Err(error) = self.turn(py) {
                log::error!("the worker can't go on: {error}");
                exit = ExitCode::Failed;
                break;
            }
        }
        self.tools.board.busy(tapster_sys::stamp::monotonic());
        let mut cut_off = 0;
        for (key, connection) in &mut self.connections {
            cut_off += u32::from(connection.drop_everything(py, key, &mut self.tools));
            connection.say_goodbye();
        }
        self.tools.refusals.sum_up();
        if cut_off > 0 {
            log::warn!("requests that were cut off by the worker's end: {cut_off}");
        }
        exit
    }

    fn is_over(&self) -> bool {
        match self.life {
            Life::Serving => false,
            Life::Retiring { until } => self.connections.is_empty() || self.tools.clock.now >= until,
            Life::Over => true,
        }
    }

    /// One round: everything that can be done now, once.
    fn turn(&mut self, py: Python<'_>) -> io::Result<()> {
        let now = self.tools.clock.now;
        let has_room = self.has_room();
        if !has_room && self.life == Life::Serving && self.full_notices.is_time(now) {
            let most = self.most_connections;
            log::warn!("the worker has worker_connections = {most} connections, none of them idle: new ones wait");
        }
        let accepting = self.life == Life::Serving
            && self.tools.turn == TurnToRun::Free
            && has_room
            && self.listeners.can_accept(now);
        self.listeners.arm(&self.poll, LISTENERS, accepting && self.listeners.opens_at(now).is_none())?;
        self.tools.board.set_accepting(accepting);
        self.wait(py)?;

        // Out of the reactor while its own fields are worked on.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            self.react(py, event);
        }
        self.events = events;

        for _ in 0..self.ready.len() {
            if let Some(listed) = self.ready.pop_front() {
                self.take_up(py, listed);
            }
        }
        while self.tools.turn == TurnToRun::Free
            && let Some(listed) = self.queued.pop_front()
        {
            self.take_up(py, listed);
        }
        self.mind_deadlines(py);
        self.tidy_up();
        Ok(())
    }

    /// What is done once in a while.
    #[inline]
    fn tidy_up(&mut self) {
        let now = self.tools.clock.now;
        if self.tools.refusals.due <= now {
            self.tools.refusals.sum_up();
        }
        if self.tools.storage.has_slack() && now >= self.trims_at {
            self.trims_at = now + TRIM_EVERY;
            self.tools.storage.give_slack_back();
        }
    }

    /// Sleeps until something happens. The interpreter's lock is free meanwhile.
    fn wait(&mut self, py: Python<'_>) -> io::Result<()> {
        let timeout = self.timeout();
        let (poll, events, board) = (&mut self.poll, &mut self.events, self.tools.board);
        board.idle();
        let polled = py.detach(|| {
            let polled = poll.poll(events, timeout);
            // Before the interpreter's lock is had again: a thread that never gives it back must not go unnoticed.
            board.busy(tapster_sys::stamp::monotonic());
            polled
        });
        self.tools.clock.look();
        match polled {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                // The application's own signal handlers run here, if it has any.
                if let Err(error) = py.check_signals() {
                    log::error!("a signal handler of the application raised: {error}");
                }
                Ok(())
            }
            other => other,
        }
    }

    fn timeout(&mut self) -> Option<Duration> {
        // A turn that a deadline has freed is somebody's.
        let turn_is_wanted = self.tools.turn == TurnToRun::Free && !self.queued.is_empty();
        if !self.ready.is_empty() || turn_is_wanted {
            return Some(Duration::ZERO);
        }
        let now = self.tools.clock.now;
        let connections = &self.connections;
        let mut until = self.deadlines.next(|key| connections.get(key).map(|found| &found.deadline));
        if let Life::Retiring { until: end } = self.life {
            until = until.min(end);
        }
        if self.life == Life::Serving
            && let Some(opens) = self.listeners.opens_at(now)
        {
            until = until.min(opens);
        }
        until = until.min(self.tools.refusals.due);
        if self.tools.storage.has_slack() {
            until = until.min(self.trims_at);
        }
        // A millisecond more, since the clock's are cut off: waking early would only mean to wait again.
        (until != NEVER).then(|| Duration::from_millis(until.saturating_sub(now) + 1))
    }

    #[inline]
    fn react(&mut self, py: Python<'_>, event: &Event) {
        match event.token().0 {
            CHANNEL => self.hear_arbiter(py),
            SIGNALS => self.hear_signals(py),
            token if token >= CONNECTIONS => {
                let key = token - CONNECTIONS;
                let Some(connection) = self.connections.get_mut(key) else { return };
                if event.is_readable() {
                    connection.note_readable(event.is_read_closed());
                }
                // One that is listed has its turn when the list comes to it.
                if !connection.listed {
                    self.advance(py, key);
                }
            }
            token => self.accept(py, token - LISTENERS, self.listeners.accepts_at_once()),
        }
    }

    /// Goes on with a connection that was listed, unless it is gone and its key another's.
    fn take_up(&mut self, py: Python<'_>, listed: Listed) {
        if let Some(connection) = self.connections.get_mut(listed.key)
            && connection.deadline.serial() == listed.serial
            && connection.listed
        {
            connection.listed = false;
            self.advance(py, listed.key);
        }
    }

    #[inline]
    fn advance(&mut self, py: Python<'_>, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_spare = connection.spare_since().is_some();
        let verdict = connection.advance(py, key, &mut self.tools);
        self.follow(py, key, was_spare, verdict);
    }

    /// Does what a connection's step has come to, before which it was spare or not.
    #[inline]
    fn follow(&mut self, py: Python<'_>, key: usize, was_spare: bool, verdict: Verdict) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.spare = self.spare + usize::from(connection.spare_since().is_some()) - usize::from(was_spare);
        match verdict {
            Verdict::Wait => self.deadlines.watch(key, &mut connection.deadline),
            Verdict::Again | Verdict::AwaitTurn => {
                self.deadlines.watch(key, &mut connection.deadline);
                if !connection.listed {
                    connection.listed = true;
                    let list = if verdict == Verdict::Again { &mut self.ready } else { &mut self.queued };
                    list.push_back(Listed { key, serial: connection.deadline.serial() });
                }
            }
            Verdict::Close => self.drop_connection(py, key),
        }
    }

    fn drop_connection(&mut self, py: Python<'_>, key: usize) {
        if let Some(mut connection) = self.connections.try_remove(key) {
            self.spare -= usize::from(connection.spare_since().is_some());
            connection.drop_everything(py, key, &mut self.tools);
            connection.say_goodbye();
            self.tools.board.set_connections(self.connections.len());
            self.tools.habit.note_end(connection.requests);
            // Closing the socket takes it out of the poll, unless the application has forked a process that holds it too;
            // then what the poll still tells of it finds another connection of the key, or none, and does no harm.
        }
    }

    fn accept(&mut self, py: Python<'_>, listener: usize, most: usize) {
        let now = self.tools.clock.now;
        for _ in 0..most {
            // A worker that retires takes what nobody else would, however many that are.
            if self.life == Life::Serving && !self.has_room() {
                return;
            }
            let Some((socket, address)) = self.listeners.accept(listener, now) else {
                if self.listeners.is_starved(now) && self.make_room(py) {
                    self.listeners.try_again();
                    continue;
                }
                return;
            };
            if self.life == Life::Serving && self.connections.len() >= self.most_connections {
                self.make_room(py);
            }
            self.add_connection(py, socket, listener, address);
            let count = self.connections.len();
            self.tools.board.set_connections(count);
            // Where connections come and go with each request, their numbers say nothing.
            let share = if self.tools.habit.is_to_stay() { count } else { 0 };
            if let Err(error) = self.listeners.yield_to_siblings(&self.poll, share, now) {
                log::error!("can't stop listening for a moment: {error}");
            }
        }
    }

    /// Whether one connection more can be held, be it in the place of one that is spare.
    fn has_room(&self) -> bool {
        self.connections.len() < self.most_connections || self.spare > 0
    }

    /// Closes the connection that has been spare for longest, and tells whether there was one. One whose next request is in
    /// its socket already is not, and is taken up instead.
    #[cold]
    fn make_room(&mut self, py: Python<'_>) -> bool {
        loop {
            let spare = self.connections.iter_mut().filter(|(_, connection)| !connection.listed);
            let spare = spare.filter_map(|(key, connection)| Some((connection.spare_since()?, key)));
            let Some((_, key)) = spare.min() else { return false };
            let Some(connection) = self.connections.get_mut(key) else { return false };
            if !connection.has_news() {
                self.drop_connection(py, key);
                return true;
            }
            connection.listed = true;
            self.ready.push_back(Listed { key, serial: connection.deadline.serial() });
        }
    }

    fn add_connection(&mut self, py: Python<'_>, mut socket: Socket, listener: usize, address: Address) {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let interests = Interest::READABLE | Interest::WRITABLE;
        match (self.poll.registry().register(&mut socket, Token(key + CONNECTIONS), interests), Peer::new(py, address))
        {
            (Ok(()), Ok(peer)) => {
                let deadline = self.deadlines.issue();
                let standing = self.tools.proxies.standing(address.map(|(ip, _)| ip));
                let connection = Connection::new(socket, listener, peer, standing, deadline, &self.tools);
                let connection = entry.insert(connection);
                self.deadlines.watch(key, &mut connection.deadline);
            }
            (Err(error), _) => log::error!("can't poll a connection: {error}"),
            (_, Err(error)) => log::error!("can't describe a connection to Python: {error}"),
        }
    }

    fn mind_deadlines(&mut self, py: Python<'_>) {
        let now = self.tools.clock.now;
        while let Some(key) =
            self.deadlines.due(now, |key| self.connections.get_mut(key).map(|found| &mut found.deadline))
        {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let (was_spare, mut verdict) = (connection.spare_since().is_some(), Verdict::Wait);
            if connection.deadline.at <= now {
                // Whatever list it stands in, what comes of this decides where it belongs; an entry that is left behind is
                // passed over.
                connection.listed = false;
                verdict = connection.late(py, key, &mut self.tools);
            }
            self.follow(py, key, was_spare, verdict);
        }
    }

    fn hear_signals(&mut self, py: Python<'_>) {
        match self.signals.take() {
            Some(Signal::SIGQUIT) => {
                self.arm_deadman(Duration::ZERO);
                self.life = Life::Over;
            }
            Some(_) => self.retire(py, self.graceful, false),
            None => {}
        }
    }

    fn hear_arbiter(&mut self, py: Python<'_>) {
        while let Some(channel) = &self.channel {
            match channel.receive() {
                Ok((Order::Retire { within_ms, drain }, _)) => {
                    self.retire(py, Duration::from_millis(within_ms.into()), drain);
                }
                Ok((Order::Quit, _)) => {
                    self.arm_deadman(Duration::ZERO);
                    self.life = Life::Over;
                }
                Ok((other, _)) => log::warn!("an order that a worker does not expect: {other:?}"),
                Err(ReceiveError::Gossip(what)) => log::warn!("the arbiter sent what is no order: {what}"),
                Err(ReceiveError::Empty) => return,
                Err(ReceiveError::Closed) => {
                    self.channel = None;
                    if self.life == Life::Serving {
                        log::error!("the arbiter is gone; finishing what is running");
                    }
                    self.retire(py, self.graceful, true);
                }
            }
        }
    }

    /// Takes no more connections, but first, with `drain`, those that nobody else would take; ends when the rest is done.
    fn retire(&mut self, py: Python<'_>, within: Duration, drain: bool) {
        self.tools.clock.look();
        let now = self.tools.clock.now;
        self.arm_deadman(within);
        if self.life != Life::Serving {
            return;
        }
        self.life = Life::Retiring { until: now + millis(within) };
        self.tools.retiring = true;
        if drain {
            for listener in 0..self.listeners.count() {
                self.accept(py, listener, usize::MAX);
            }
            if let Some(Err(error)) = self.channel.as_ref().map(|channel| channel.send(&Report::Drained)) {
                log::debug!("the arbiter is not there to hear that no connection waits: {error}");
            }
        }
        if let Err(error) = self.listeners.arm(&self.poll, LISTENERS, false) {
            log::error!("can't stop listening: {error}");
        }
        self.listeners.close();
        for (key, connection) in &mut self.connections {
            connection.hurry(now);
            self.deadlines.watch(key, &mut connection.deadline);
        }
    }

    fn arm_deadman(&mut self, within: Duration) {
        if let Err(error) = self.deadman.arm(within + FINALISATION) {
            log::error!("can't set the timer that ends a worker that is stuck: {error}");
        }
    }
}

/// Where the workers of this generation, and of the one before while it retires, may sit.
fn siblings(scoreboard: &Scoreboard, own: u32, workers: u32) -> Vec<Slot> {
    let seats = workers.saturating_mul(2).saturating_add(8);
    (0..seats).filter(|&seat| seat != own).map_while(|seat| scoreboard.slot(seat)).collect()
}
