//! Who has the reactor.
//!
//! The reactor is a value that one thread owns at a time. Before a call into the application its owner leaves it here: *parked*,
//! to be taken back after the call, or *offered* to an idle thread where calls tend to wait. A reactor that is parked for
//! longer than a moment is taken by the monitor, so that no call, however long, holds up anybody's bytes.
//!
//! Nothing here runs requests or polls, or knows what a reactor and a finished request are; the worker's `crew` and `monitor`
//! do.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::Waker;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tapster_ipc::ExitCode;

use crate::clock::monotonic;
use crate::deadlines::Millis;
use crate::lost;

/// The number of the main thread.
pub const MAIN: usize = 0;
/// A reactor that has been parked for longer than this is taken by another thread, in milliseconds.
const MOMENT: Millis = 1;
/// How often the monitor looks while calls follow one another: as often as Python itself takes its lock from a thread that
/// computes (`sys.getswitchinterval()`). Each look costs the thread that serves two changes of context.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where the reactor, an `R`, is left, and those who wait for it. Requests that come out of the application are `D`s.
pub struct Baton<R, D> {
    place: Mutex<Place<R, D>>,
    /// There are requests that other threads have brought back.
    has_done: AtomicBool,
    /// A signal has come for the main thread.
    has_signal: AtomicBool,
    /// Wakes each application thread.
    wakes: Vec<EventFd>,
    /// Wakes the monitor.
    timer: TimerFd,
    /// Wakes whoever polls.
    waker: Waker,
}

struct Place<R, D> {
    reactor: Whereabouts<R>,
    /// Application threads with nothing to do, the last to come the first to go.
    idle: Vec<usize>,
    done: Vec<D>,
    /// The timer is set.
    watched: bool,
}

enum Whereabouts<R> {
    /// A thread has it.
    Held,
    /// Its owner is in the application, since then.
    Parked(R, Millis),
    /// That thread is about to take it.
    Offered(R, usize),
    /// The worker ends with this status.
    Over(ExitCode),
}

/// What waiting for the reactor has led to.
pub enum Received<R> {
    /// It is this thread's now.
    Reactor(R),
    /// A signal has come.
    Signal,
    /// The worker ends.
    Over(ExitCode),
}

impl<R, D> Place<R, D> {
    /// The reactor, if nobody works with it.
    #[inline]
    fn take_parked(&mut self) -> Option<R> {
        match std::mem::replace(&mut self.reactor, Whereabouts::Held) {
            Whereabouts::Parked(reactor, _) => return Some(reactor),
            other => self.reactor = other,
        }
        None
    }
}

impl<R, D> Baton<R, D> {
    /// For so many application threads, of which none is idle yet; `waker` ends a poll of the reactor's. The reactor is in the
    /// caller's hands.
    ///
    /// # Errors
    /// Where the kernel has no more descriptors.
    pub fn new(threads: usize, waker: Waker) -> io::Result<Self> {
        let place = Place { reactor: Whereabouts::Held, idle: Vec::new(), done: Vec::new(), watched: false };
        let wake = |_| EventFd::from_flags(EfdFlags::EFD_CLOEXEC);
        Ok(Self {
            place: Mutex::new(place),
            has_done: AtomicBool::new(false),
            has_signal: AtomicBool::new(false),
            wakes: (0..threads).map(wake).collect::<Result<_, _>>()?,
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?,
            waker,
        })
    }

    /// Nothing that could panic runs under this lock.
    fn place(&self) -> MutexGuard<'_, Place<R, D>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the reactor for the length of a call that begins `now`: to an idle thread at once, if there is one and `offered`.
    #[inline]
    pub fn leave(&self, reactor: R, now: Millis, offered: bool) {
        let mut place = self.place();
        if offered && let Some(thread) = place.idle.pop() {
            place.reactor = Whereabouts::Offered(reactor, thread);
            drop(place);
            self.wake(thread);
            return;
        }
        self.park(place, reactor, now);
    }

    #[inline]
    fn park(&self, mut place: MutexGuard<'_, Place<R, D>>, reactor: R, now: Millis) {
        place.reactor = Whereabouts::Parked(reactor, now);
        if !place.watched {
            self.watch(&mut place);
        }
    }

    /// A thread is free again. It takes the reactor if nobody works with it; else it is idle.
    #[inline]
    pub fn come_back(&self, thread: usize) -> Option<R> {
        let mut place = self.place();
        let reactor = place.take_parked();
        if reactor.is_none() {
            self.rest(place, thread);
        }
        reactor
    }

    /// The same of a thread that brings a request back from the application. With the reactor it has the request still; else
    /// that is left to who works with the reactor.
    #[inline]
    pub fn bring_back(&self, thread: usize, done: D) -> Option<(R, D)> {
        let mut place = self.place();
        if let Some(reactor) = place.take_parked() {
            return Some((reactor, done));
        }
        place.done.push(done);
        self.has_done.store(true, Ordering::Relaxed);
        self.rest(place, thread);
        None
    }

    /// A thread is idle from now on, which whoever polls is to know.
    fn rest(&self, mut place: MutexGuard<'_, Place<R, D>>, thread: usize) {
        place.idle.push(thread);
        drop(place);
        match self.waker.wake() {
            // Its number is mio's secret.
            Err(error) if lost::is_lost(&error) => lost::end("what wakes the worker's poll", -1, &error),
            // Where waking fails for want of memory, the next event brings it to light.
            Ok(()) | Err(_) => {}
        }
    }

    /// An idle thread has something else to do, after which it comes back. A reactor that has just been offered to it is
    /// parked meanwhile.
    pub fn go_away(&self, thread: usize, now: Millis) {
        let mut place = self.place();
        match std::mem::replace(&mut place.reactor, Whereabouts::Held) {
            Whereabouts::Offered(reactor, to) if to == thread => self.park(place, reactor, now),
            other => {
                place.reactor = other;
                place.idle.retain(|&idle| idle != thread);
            }
        }
    }

    /// This application thread has nothing to do yet.
    pub fn arrive(&self, thread: usize) {
        self.place().idle.push(thread);
    }

    /// Waits to be given the reactor, as one that is idle.
    pub fn wait(&self, thread: usize) -> Received<R> {
        loop {
            if let Some(received) = self.receive(thread) {
                return received;
            }
            // What it has been woken for may be an offer that it has taken already.
            let is_interrupted = match self.wakes[thread].read() {
                Ok(_) => false,
                Err(Errno::EINTR) => true,
                Err(error) => self.lose_wake(thread, error),
            };
            if is_interrupted || (thread == MAIN && self.has_signal.swap(false, Ordering::Relaxed)) {
                return Received::Signal;
            }
        }
    }

    /// Whether the main thread, which asks, has been passed a signal since it last heard of one.
    #[inline]
    pub fn take_signal(&self) -> bool {
        self.has_signal.load(Ordering::Relaxed) && self.has_signal.swap(false, Ordering::Relaxed)
    }

    /// A signal has come to another thread than the main one, which is to hear of it.
    pub fn pass_signal_on(&self) {
        self.has_signal.store(true, Ordering::Relaxed);
        self.wake(MAIN);
    }

    fn receive(&self, thread: usize) -> Option<Received<R>> {
        let mut place = self.place();
        match std::mem::replace(&mut place.reactor, Whereabouts::Held) {
            Whereabouts::Offered(reactor, to) if to == thread => return Some(Received::Reactor(reactor)),
            other => place.reactor = other,
        }
        match place.reactor {
            Whereabouts::Over(exit) => Some(Received::Over(exit)),
            _ => None,
        }
    }

    /// Whether other threads have brought requests back.
    #[inline]
    pub fn has_done(&self) -> bool {
        self.has_done.load(Ordering::Relaxed)
    }

    /// What other threads have brought back since the last call.
    pub fn take_done(&self) -> Vec<D> {
        let mut place = self.place();
        self.has_done.store(false, Ordering::Relaxed);
        std::mem::take(&mut place.done)
    }

    /// How many threads wait for the reactor.
    pub fn idle(&self) -> usize {
        self.place().idle.len()
    }

    /// Gives the reactor to an idle thread, if there is one.
    pub fn offer(&self, reactor: R) -> Option<R> {
        let mut place = self.place();
        let Some(thread) = place.idle.pop() else { return Some(reactor) };
        place.reactor = Whereabouts::Offered(reactor, thread);
        drop(place);
        self.wake(thread);
        None
    }

    /// Waits, in the monitor, until the reactor has been parked for more than a moment, and takes it.
    pub fn take_late(&self) -> R {
        loop {
            match self.timer.wait() {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(error) => self.lose_timer(error),
            }
            if let Some(reactor) = self.look(monotonic()) {
                return reactor;
            }
        }
    }

    /// The timer has run out at `now`: takes a reactor that is late, and looks again at one that may be.
    fn look(&self, now: Millis) -> Option<R> {
        let mut place = self.place();
        place.watched = false;
        match std::mem::replace(&mut place.reactor, Whereabouts::Held) {
            Whereabouts::Parked(reactor, since) if now > since + MOMENT => return Some(reactor),
            Whereabouts::Parked(reactor, since) => self.park(place, reactor, since),
            other => place.reactor = other,
        }
        None
    }

    /// The worker ends: whoever waits for the reactor does not any more.
    pub fn end(&self, exit: ExitCode) {
        self.place().reactor = Whereabouts::Over(exit);
        (0..self.wakes.len()).for_each(|thread| self.wake(thread));
    }

    /// Has the monitor look soon.
    fn watch(&self, place: &mut Place<R, D>) {
        let next = Expiration::OneShot(TimeSpec::from_duration(LOOK_EVERY));
        match self.timer.set(next, TimerSetTimeFlags::empty()) {
            Ok(()) => place.watched = true,
            Err(error) => self.lose_timer(error),
        }
    }

    fn wake(&self, thread: usize) {
        // The counter never fills: who is woken empties it.
        if let Err(error) = self.wakes[thread].write(1) {
            self.lose_wake(thread, error);
        }
    }

    #[cold]
    fn lose_wake(&self, thread: usize, error: Errno) -> ! {
        lost::end("what wakes a thread of the worker's", self.wakes[thread].as_fd().as_raw_fd(), &error.into())
    }

    #[cold]
    fn lose_timer(&self, error: Errno) -> ! {
        lost::end("the monitor's timer", self.timer.as_fd().as_raw_fd(), &error.into())
    }
}

#[cfg(test)]
mod tests;
