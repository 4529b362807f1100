//! The worker's loop: poll, move connections on, mind deadlines, hear the arbiter.
//!
//! The reactor is one value that one thread owns at a time; which, is the [`Baton`]'s to say. It decides nothing about requests,
//! which are the connections' matter, but which connection goes where there are too many; and nothing about its own life, which is
//! the arbiter's: it ends when it has been told to, or when the arbiter is gone.
//!
//! It never parses, never calls the application and never needs the interpreter: a request that is to go there is handed out
//! as a [`Job`]. Made by `crew`, kept going by `crew` and `monitor`.

mod end;
mod gate;
mod orders;
mod requests;
mod seats;

pub(crate) use gate::siblings;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use tapster_config::Settings;
use tapster_ipc::channel::ChildChannel;
use tapster_ipc::{ExitCode, Report};
pub(crate) use tapster_sharing::baton::MAIN;
use tapster_sharing::wear;
use tapster_sys::lifeline::Deadman;

use crate::clock::Seldom;
use crate::common::Common;
use crate::deadlines::{Deadlines, Millis, NEVER};
use crate::job::{Done, Job};
use crate::listeners::Listeners;
use crate::lost;
use crate::seat::Seat;
use crate::signals::StopSignals;
use crate::tools::Tools;

const CHANNEL: usize = 0;
const SIGNALS: usize = 1;
/// The token of what wakes a poll.
pub(crate) const WAKER: Token = Token(2);
const LISTENERS: usize = 3;
/// The token of an event that is over: no connection has that key.
const NOBODY: usize = usize::MAX;
const EVENTS_AT_ONCE: usize = 256;
/// Memory is given back to the system no more often than this, in milliseconds.
const TRIM_EVERY: Millis = 1_000;

/// Where the reactor is left, and what comes back while another thread has it.
pub(crate) type Baton = tapster_sharing::baton::Baton<Box<Reactor>, Done>;

/// The loop and all that it owns.
pub(crate) struct Reactor {
    poll: Poll,
    events: Events,
    /// How far the round has come.
    stage: Stage,
    /// What the poll has told.
    happened: Vec<Happening>,
    seats: Slab<Seat>,
    deadlines: Deadlines,
    /// Connections that can go on without an event.
    ready: VecDeque<Listed>,
    /// Connections whose requests wait for a free thread.
    queued: VecDeque<Listed>,
    /// Requests that other threads have brought back.
    returned: VecDeque<Done>,
    /// A request that a step has made ready to run.
    job: Option<Job>,
    /// Requests that have been in the application.
    tickets: u64,
    /// How many of the requests in the application have no deadline any more.
    stuck: usize,
    /// The thread that has the reactor.
    thread: usize,
    baton: Arc<Baton>,
    listeners: Listeners,
    tools: Tools,
    signals: StopSignals,
    /// A handler of the application's for a signal is to run.
    has_signal: bool,
    channel: Option<ChildChannel>,
    deadman: Deadman,
    /// When the process must be gone.
    ends_by: Millis,
    graceful: Duration,
    life: Life,
    /// More connections than this are not held.
    most_connections: usize,
    /// How many of them could be closed for another.
    spare: usize,
    /// Workers come with the load, and are to have their share of it.
    spreads: bool,
    full_notices: Seldom,
    /// When memory may be given back to the system, at the earliest.
    trims_at: Millis,
    /// After so many requests the arbiter is told that the worker has served enough.
    worn_at: u64,
}

/// What the reactor's owner is to do next.
pub(crate) enum Next {
    /// Run this request, and leave the reactor to others meanwhile.
    Run(Job),
    /// Call [`Reactor::wait`]: nothing can be done before something happens.
    Wait,
    /// Call [`Reactor::forget_signal`], and have the main thread run the application's signal handlers.
    Signal,
    /// Call [`Reactor::end`]: the worker is to end with this status.
    Over(ExitCode),
}

/// What is done in each round, in this order.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// What the poll has told, from that place on.
    Events(usize),
    /// So many connections of the list.
    Ready(usize),
    Queued,
    Deadlines,
    /// Everything that can be done now has been, once.
    Over,
}

/// An event.
#[derive(Debug, Clone, Copy)]
struct Happening {
    token: usize,
    readable: bool,
    hung_up: bool,
    gone: bool,
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
    /// As long as the arbiter does not know that it could serve, it takes nothing: it may be killed as one that boots.
    Waiting,
    Serving,
    /// Finishing what is running; over at the latest then.
    Retiring {
        until: Millis,
        /// Nothing is waited for but requests that are there.
        quick: bool,
    },
}

impl Reactor {
    /// A reactor over these listeners.
    pub(crate) fn new(
        settings: &Settings,
        poll: Poll,
        listeners: Listeners,
        common: Arc<Common>,
        baton: Arc<Baton>,
    ) -> io::Result<Self> {
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            stage: Stage::Over,
            happened: Vec::with_capacity(EVENTS_AT_ONCE),
            seats: Slab::new(),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            queued: VecDeque::new(),
            returned: VecDeque::new(),
            job: None,
            tickets: 0,
            stuck: 0,
            thread: 0,
            baton,
            listeners,
            tools: Tools::new(settings, common),
            signals: StopSignals::new()?,
            has_signal: false,
            channel: None,
            deadman: Deadman::new()?,
            ends_by: NEVER,
            graceful: settings.graceful_timeout,
            life: Life::Waiting,
            most_connections: settings.worker_connections as usize,
            trims_at: 0,
            spare: 0,
            spreads: settings.workers.is_range(),
            full_notices: Seldom::default(),
            worn_at: wear::limit(settings.max_requests, settings.max_requests_jitter),
        })
    }

    /// Tells the arbiter that the worker could serve, and hears its orders from now on; the order to serve among them.
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

    /// Does what can be done, until there is something that its owner must do. `thread` is the owner's number, if it is an
    /// application thread. It never blocks.
    pub(crate) fn next(&mut self, thread: Option<usize>) -> Next {
        self.tools.turns.open = thread.is_some();
        self.thread = thread.unwrap_or_default();
        if self.baton.has_done() {
            self.returned.extend(self.baton.take_done());
        }
        loop {
            if self.job.is_some()
                && let Some(job) = self.job.take()
            {
                return Next::Run(job);
            }
            if let Some(done) = self.returned.pop_front() {
                self.complete(done);
                continue;
            }
            match self.stage {
                Stage::Events(place) => {
                    if let Some(&event) = self.happened.get(place) {
                        self.stage = Stage::Events(place + 1);
                        self.react(event);
                    } else {
                        self.stage = Stage::Ready(self.ready.len());
                    }
                }
                Stage::Ready(left) => match (left.checked_sub(1), self.ready.pop_front()) {
                    (Some(left), Some(listed)) => {
                        self.stage = Stage::Ready(left);
                        self.take_up(listed);
                    }
                    (None, Some(later)) => {
                        self.ready.push_front(later);
                        self.stage = Stage::Queued;
                    }
                    (_, None) => self.stage = Stage::Queued,
                },
                Stage::Queued => match self.next_queued() {
                    Some(listed) => self.take_up(listed),
                    None => self.stage = Stage::Deadlines,
                },
                Stage::Deadlines => {
                    if !self.mind_deadline() {
                        self.tidy_up();
                        self.stage = Stage::Over;
                    }
                }
                Stage::Over if self.is_over() => return Next::Over(ExitCode::Stopped),
                Stage::Over if self.has_signal => return Next::Signal,
                Stage::Over => return Next::Wait,
            }
        }
    }

    /// Where Python is to write of signals that it notes, so that the poll ends: one that comes just before the poll sleeps does
    /// not interrupt it.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    pub(crate) fn signal_waker(&self) -> io::Result<OwnedFd> {
        self.signals.waker()
    }

    /// The application's signal handlers are being run.
    pub(crate) fn forget_signal(&mut self) {
        self.has_signal = false;
    }

    /// The connection that has waited for longest, if a thread is free for it.
    fn next_queued(&mut self) -> Option<Listed> {
        if self.tools.turns.is_wanted() { self.queued.pop_front() } else { None }
    }

    /// The time, as of the last look at the clock.
    pub(crate) fn now(&self) -> Millis {
        self.tools.clock.now
    }

    /// Whether calls usually wait for so long that an idle thread should have the reactor meanwhile.
    pub(crate) fn calls_tend_to_wait(&self) -> bool {
        self.tools.turns.tend_to_wait()
    }

    /// A thread brings a request back from the application; what comes of it is done by [`Reactor::next`].
    #[inline]
    pub(crate) fn bring_back(&mut self, done: Done) {
        self.returned.push_back(done);
    }

    /// Whether no request is in the application.
    pub(crate) fn is_alone(&self) -> bool {
        self.tools.turns.running() <= self.returned.len()
    }

    /// What is done once in a while.
    #[inline]
    fn tidy_up(&mut self) {
        let now = self.tools.clock.now;
        if self.tools.refusals.due <= now {
            self.tools.refusals.sum_up();
        }
        let seats = &self.seats;
        self.deadlines.forget_left_behind(seats.len(), |key| seats.get(key).map(Seat::deadline));
        let storage = &self.tools.common.storage;
        if storage.has_slack() && now >= self.trims_at {
            self.trims_at = now + TRIM_EVERY;
            storage.give_slack_back();
        }
    }

    /// Sleeps until something happens, with the gate open if another connection could be served.
    ///
    /// # Errors
    /// `Interrupted` by a signal; else where epoll fails.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        let now = self.tools.clock.now;
        let has_room = self.has_room();
        if !has_room && self.life == Life::Serving && self.full_notices.is_time(now) {
            let most = self.most_connections;
            log::warn!("the worker has worker_connections = {most} connections, none of them idle: new ones wait");
        }
        let accepting =
            self.life == Life::Serving && self.tools.turns.is_free() && has_room && self.listeners.can_accept(now);
        self.listeners.arm(&self.poll, LISTENERS, accepting && self.listeners.opens_at(now).is_none())?;
        let board = self.tools.common.board;
        board.set_accepting(accepting);
        let timeout = self.timeout();
        // While a request runs that has a deadline, the poll ends by then: one that does not is a process at a halt.
        if self.tools.turns.running() == self.stuck {
            board.idle();
        } else {
            board.busy(Duration::from_millis(now));
        }
        let polled = self.poll.poll(&mut self.events, timeout);
        // Before anything else: a loop that never comes back here must not go unnoticed.
        board.busy(tapster_sys::stamp::monotonic());
        self.tools.clock.look();
        self.happened.clear();
        if polled.is_ok() {
            self.happened.extend(self.events.iter().map(Happening::of));
        }
        self.stage = Stage::Events(0);
        polled.map_err(|error| lost::explained(lost::EPOLL, self.poll.as_raw_fd(), error))
    }

    fn timeout(&mut self) -> Option<Duration> {
        // A thread that a deadline has freed is somebody's.
        if !self.ready.is_empty() || self.tools.turns.is_wanted() {
            return Some(Duration::ZERO);
        }
        let now = self.tools.clock.now;
        let seats = &self.seats;
        let mut until = self.deadlines.next(|key| seats.get(key).map(Seat::deadline));
        if let Life::Retiring { until: end, .. } = self.life {
            until = until.min(end);
        }
        if self.life == Life::Serving
            && let Some(opens) = self.listeners.opens_at(now)
        {
            until = until.min(opens);
        }
        until = until.min(self.tools.refusals.due);
        if self.tools.common.storage.has_slack() {
            until = until.min(self.trims_at);
        }
        // A millisecond more, since the clock's are cut off: waking early would only mean to wait again.
        (until != NEVER).then(|| Duration::from_millis(until.saturating_sub(now) + 1))
    }
}

impl Happening {
    fn of(event: &Event) -> Self {
        let (readable, hung_up, gone) = (event.is_readable(), event.is_read_closed(), event.is_write_closed());
        Self { token: event.token().0, readable, hung_up, gone }
    }
}
