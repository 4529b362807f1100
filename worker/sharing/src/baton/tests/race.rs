//! Many threads with one baton, as `crew` and `monitor` use it: requests that are told by their numbers, and a reactor that
//! only counts them.
//!
//! That nobody has the reactor twice is the compiler's to see to. That it is not lost, and no request with it, shows in that
//! all requests are carried to their end, and all threads to theirs: nobody here waits with a time limit but the test.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use tapster_ipc::ExitCode;

use super::super::{Baton, MAIN, Received};
use super::baton;
use crate::clock::monotonic;

/// How long all of it may take where the machine is very busy. It takes some hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn one_thread_and_the_monitor_carry_all_requests_to_their_end() {
    race(1, 10_000, Manners::default());
}

#[test]
fn several_threads_that_park_carry_all_requests_to_their_end() {
    race(4, 60_000, Manners::default());
}

#[test]
fn several_threads_that_hand_over_carry_all_requests_to_their_end() {
    race(4, 60_000, Manners { hand_over_of_ten: 10, ..Manners::default() });
}

#[test]
fn several_threads_that_do_now_this_now_that_carry_all_requests_to_their_end() {
    race(6, 60_000, Manners { hand_over_of_ten: 5, go_away_of_ten: 3, signals: 0 });
}

#[test]
fn signals_lose_nothing() {
    race(3, 30_000, Manners { hand_over_of_ten: 5, go_away_of_ten: 3, signals: 6_000 });
}

#[test]
fn more_threads_than_requests_all_end() {
    race(16, 3, Manners { hand_over_of_ten: 5, go_away_of_ten: 5, signals: 5 });
}

/// What threads do beside what they must.
#[derive(Debug, Clone, Copy, Default)]
struct Manners {
    /// Of so many calls in ten they expect that they wait.
    hand_over_of_ten: u64,
    /// Of so many waits in ten they go away before and come back.
    go_away_of_ten: u64,
    /// So many signals are passed on.
    signals: u32,
}

/// A request.
type Ticket = u64;

/// What the baton is about.
struct Counter {
    poll: Poll,
    events: Events,
    tickets: Ticket,
    threads: usize,
    /// The next request.
    next: Ticket,
    /// How often each has come back.
    back: Vec<u8>,
    running: usize,
}

enum Next {
    Run(Ticket),
    Wait,
    Over,
}

impl Counter {
    /// As the reactor's: looks at what has been brought back, and tells its owner what to do. The monitor can run none.
    fn next(&mut self, baton: &Baton<Self, Ticket>, can_run: bool) -> Next {
        if baton.has_done() {
            baton.take_done().into_iter().for_each(|ticket| self.complete(ticket));
        }
        if self.next == self.tickets && self.running == 0 {
            return Next::Over;
        }
        if !can_run || self.next == self.tickets || self.running == self.threads {
            return Next::Wait;
        }
        self.next += 1;
        self.running += 1;
        Next::Run(self.next - 1)
    }

    fn complete(&mut self, ticket: Ticket) {
        self.back[usize::try_from(ticket).unwrap()] += 1;
        self.running -= 1;
    }

    /// Sleeps until the baton's waker ends it, for ever if need be.
    fn wait(&mut self) {
        match self.poll.poll(&mut self.events, None) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => panic!("the poll failed: {error}"),
            Ok(()) | Err(_) => {}
        }
    }
}

/// What all threads of a race have in common.
struct Course {
    baton: Baton<Counter, Ticket>,
    manners: Manners,
    /// How often somebody has got the reactor.
    hands: AtomicU64,
    /// How often that was the monitor.
    monitors: AtomicU64,
    /// The last requests, one for each thread: in the application together, unless the monitor has had the reactor before.
    last: Range<Ticket>,
    /// Where it ends, the reactor comes with its counts.
    result: Sender<Counter>,
}

fn race(threads: usize, tickets: Ticket, manners: Manners) {
    let (baton, poll) = baton(threads);
    let back = vec![0; usize::try_from(tickets).unwrap()];
    let counter = Counter { poll, events: Events::with_capacity(4), tickets, threads, next: 0, back, running: 0 };
    let (result, results) = channel();
    let last = tickets.checked_sub(threads as u64).map_or(0..0, |first| first..tickets);
    let (hands, monitors) = (AtomicU64::new(0), AtomicU64::new(0));
    let course = Arc::new(Course { baton, manners, hands, monitors, last, result });
    let (ended, ends) = channel();
    for number in 0..threads {
        let (course, ended) = (Arc::clone(&course), ended.clone());
        thread::spawn(move || ended.send(course.play(number)).unwrap());
    }
    // As the worker's, it is never joined: when all is over it sleeps.
    let (monitor, disturber) = (Arc::clone(&course), Arc::clone(&course));
    thread::spawn(move || monitor.watch());
    assert!(course.baton.offer_when_idle(counter).is_none());
    thread::spawn(move || {
        for _ in 0..manners.signals {
            disturber.baton.pass_signal_on();
            thread::yield_now();
        }
    });
    let until = Instant::now() + PATIENCE;
    let counter = one_of(&results, until, "the reactor and all requests to come out");
    assert!(counter.back.iter().all(|&times| times == 1), "each request comes back once");
    for _ in 0..threads {
        assert_eq!(one_of(&ends, until, "each thread to end"), ExitCode::Stopped);
    }
}

fn one_of<T>(channel: &Receiver<T>, until: Instant, what: &str) -> T {
    let left = until.saturating_duration_since(Instant::now());
    channel.recv_timeout(left).unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

impl Baton<Counter, Ticket> {
    /// Gives the reactor to the first thread that is idle.
    fn offer_when_idle(&self, mut counter: Counter) -> Option<Counter> {
        loop {
            match self.offer(counter) {
                Some(back) => counter = back,
                None => return None,
            }
            thread::yield_now();
        }
    }
}

impl Course {
    /// An application thread, as `crew` has it.
    fn play(&self, number: usize) -> ExitCode {
        let mut dice = Dice(number as u64 + 1);
        let mut held: Option<Counter> = None;
        self.baton.arrive(number);
        loop {
            let Some(mut counter) = held.take() else {
                if dice.of_ten(self.manners.go_away_of_ten) {
                    held = self.excursion(number);
                    continue;
                }
                match self.baton.wait(number) {
                    Received::Reactor(counter) => held = Some(self.got(counter)),
                    Received::Signal => {
                        assert_eq!(number, MAIN, "signals are the main thread's");
                        held = self.excursion(number);
                    }
                    Received::Over(exit) => return exit,
                }
                continue;
            };
            match counter.next(&self.baton, true) {
                Next::Run(ticket) => held = self.run(number, counter, ticket, &mut dice),
                Next::Wait => {
                    counter.wait();
                    held = Some(counter);
                }
                Next::Over => {
                    self.end(counter);
                    return ExitCode::Stopped;
                }
            }
        }
    }

    /// An idle thread has something else to do.
    fn excursion(&self, number: usize) -> Option<Counter> {
        self.baton.go_away(number, monotonic());
        thread::yield_now();
        self.baton.come_back(number).map(|counter| self.got(counter))
    }

    /// A request in the application: most are short, some last until somebody else has the reactor, and the last until the
    /// monitor has had it.
    fn run(&self, number: usize, counter: Counter, ticket: Ticket, dice: &mut Dice) -> Option<Counter> {
        let hands = self.hands.load(SeqCst);
        self.baton.leave(counter, monotonic(), dice.of_ten(self.manners.hand_over_of_ten));
        if self.last.contains(&ticket) {
            await_change(&self.monitors, 0);
        } else if ticket.is_multiple_of(100) {
            await_change(&self.hands, hands);
        } else if dice.of_ten(3) {
            thread::yield_now();
        }
        let (counter, ticket) = self.baton.bring_back(number, ticket)?;
        let mut counter = self.got(counter);
        counter.complete(ticket);
        Some(counter)
    }

    /// The monitor, as `monitor` has it.
    fn watch(&self) {
        loop {
            let mut counter = self.got(self.baton.take_late());
            self.monitors.fetch_add(1, SeqCst);
            loop {
                counter = match self.baton.offer(counter) {
                    Some(counter) => counter,
                    None => break,
                };
                match counter.next(&self.baton, false) {
                    Next::Run(_) => unreachable!("the monitor runs none"),
                    Next::Wait => counter.wait(),
                    Next::Over => return self.end(counter),
                }
            }
        }
    }

    fn got(&self, counter: Counter) -> Counter {
        self.hands.fetch_add(1, SeqCst);
        counter
    }

    fn end(&self, counter: Counter) {
        self.baton.end(ExitCode::Stopped);
        self.result.send(counter).unwrap();
    }
}

fn await_change(count: &AtomicU64, from: u64) {
    let until = Instant::now() + PATIENCE;
    while count.load(SeqCst) == from {
        assert!(Instant::now() < until, "nobody takes the reactor during a long call");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Numbers without a pattern that matters (xorshift), another sequence for each seed, which is not 0.
struct Dice(u64);

impl Dice {
    fn of_ten(&mut self, chances: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 10 < chances
    }
}
