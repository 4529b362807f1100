//! What each deed does wherever the reactor is: a table.

use std::os::fd::{AsFd, BorrowedFd};
use std::slice;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Poll};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::{Baton, MAIN, MOMENT, Millis, Received, Whereabouts};
use super::baton;
use crate::clock::monotonic;
use tapster_ipc::ExitCode;

/// Where the reactor is. Where it is parked, it has been since [`SINCE`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Held,
    Parked,
    Offered(usize),
    Over,
}

use At::{Held, Offered, Over, Parked};

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    /// `leave`, for itself.
    Park,
    /// `leave`, for another.
    HandOver,
    Offer,
    ComeBack(usize),
    BringBack(usize),
    Arrive(usize),
    GoAway(usize),
    /// One look of `wait`.
    Receive(usize),
    /// The monitor's, within the moment.
    LookSoon,
    /// The monitor's, after it.
    LookLate,
    TakeDone,
    PassSignalOn,
    End,
}

use Deed::{
    Arrive, BringBack, ComeBack, End, GoAway, HandOver, LookLate, LookSoon, Offer, Park, PassSignalOn, Receive,
    TakeDone,
};

/// What the thread gets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gets {
    Nothing,
    Reactor,
    /// And its own request, still in its hands.
    ReactorAndRequest,
    /// What others have left.
    Requests,
    EndOfWorker,
}

use Gets::{EndOfWorker, Nothing, Reactor, ReactorAndRequest, Requests};

const SINCE: Millis = 1_000;
/// When a thread that goes away does so.
const LATER: Millis = 2_000;
const THREADS: usize = 3;
/// The request that is brought back.
const OWN: u32 = 8;

/// Where the reactor is, who is idle, the deed; what its thread gets, where the reactor is then, who is idle, who is woken.
type Row = (At, &'static [usize], Deed, Gets, At, &'static [usize], &'static str);

/// Thread 1 is the one that the reactor may be offered to.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Leaving it. Only who has the reactor can.
    (Held,       &[],     Park,         Nothing,           Parked,     &[],     "timer"),
    (Held,       &[1],    Park,         Nothing,           Parked,     &[1],    "timer"),
    (Held,       &[],     HandOver,     Nothing,           Parked,     &[],     "timer"),
    (Held,       &[1],    HandOver,     Nothing,           Offered(1), &[],     "1"),
    (Held,       &[2, 1], HandOver,     Nothing,           Offered(1), &[2],    "1"),
    (Held,       &[],     Offer,        Reactor,           Held,       &[],     ""),
    (Held,       &[1],    Offer,        Nothing,           Offered(1), &[],     "1"),
    (Held,       &[2, 1], Offer,        Nothing,           Offered(1), &[2],    "1"),
    // Out of the application.
    (Held,       &[],     ComeBack(2),  Nothing,           Held,       &[2],    "poll"),
    (Held,       &[1],    ComeBack(2),  Nothing,           Held,       &[1, 2], "poll"),
    (Parked,     &[],     ComeBack(2),  Reactor,           Held,       &[],     ""),
    (Parked,     &[1],    ComeBack(2),  Reactor,           Held,       &[1],    ""),
    (Offered(1), &[],     ComeBack(2),  Nothing,           Offered(1), &[2],    "poll"),
    (Over,       &[],     ComeBack(2),  Nothing,           Over,       &[2],    "poll"),
    (Held,       &[],     BringBack(2), Nothing,           Held,       &[2],    "poll"),
    (Held,       &[1],    BringBack(2), Nothing,           Held,       &[1, 2], "poll"),
    (Parked,     &[],     BringBack(2), ReactorAndRequest, Held,       &[],     ""),
    (Parked,     &[1],    BringBack(2), ReactorAndRequest, Held,       &[1],    ""),
    (Offered(1), &[],     BringBack(2), Nothing,           Offered(1), &[2],    "poll"),
    (Over,       &[],     BringBack(2), Nothing,           Over,       &[2],    "poll"),
    // Idle for the first time.
    (Held,       &[],     Arrive(2),    Nothing,           Held,       &[2],    ""),
    (Parked,     &[],     Arrive(2),    Nothing,           Parked,     &[2],    ""),
    (Offered(1), &[],     Arrive(2),    Nothing,           Offered(1), &[2],    ""),
    (Over,       &[],     Arrive(2),    Nothing,           Over,       &[2],    ""),
    // Idle no more.
    (Held,       &[1, 2], GoAway(1),    Nothing,           Held,       &[2],    ""),
    (Parked,     &[1, 2], GoAway(1),    Nothing,           Parked,     &[2],    ""),
    (Offered(1), &[2],    GoAway(1),    Nothing,           Parked,     &[2],    "timer"),
    (Offered(1), &[2],    GoAway(2),    Nothing,           Offered(1), &[],     ""),
    (Over,       &[1, 2], GoAway(1),    Nothing,           Over,       &[2],    ""),
    // Waiting.
    (Held,       &[1],    Receive(1),   Nothing,           Held,       &[1],    ""),
    (Parked,     &[1],    Receive(1),   Nothing,           Parked,     &[1],    ""),
    (Offered(1), &[2],    Receive(1),   Reactor,           Held,       &[2],    ""),
    (Offered(1), &[2],    Receive(2),   Nothing,           Offered(1), &[2],    ""),
    (Over,       &[1],    Receive(1),   EndOfWorker,       Over,       &[1],    ""),
    // The monitor.
    (Held,       &[],     LookSoon,     Nothing,           Held,       &[],     ""),
    (Parked,     &[1],    LookSoon,     Nothing,           Parked,     &[1],    "timer"),
    (Offered(1), &[],     LookSoon,     Nothing,           Offered(1), &[],     ""),
    (Over,       &[],     LookSoon,     Nothing,           Over,       &[],     ""),
    (Held,       &[],     LookLate,     Nothing,           Held,       &[],     ""),
    (Parked,     &[1],    LookLate,     Reactor,           Held,       &[1],    ""),
    (Offered(1), &[],     LookLate,     Nothing,           Offered(1), &[],     ""),
    (Over,       &[],     LookLate,     Nothing,           Over,       &[],     ""),
    // What changes nothing of whose the reactor is.
    (Held,       &[1],    TakeDone,     Requests,          Held,       &[1],    ""),
    (Parked,     &[1],    TakeDone,     Requests,          Parked,     &[1],    ""),
    (Offered(1), &[2],    TakeDone,     Requests,          Offered(1), &[2],    ""),
    (Over,       &[1],    TakeDone,     Requests,          Over,       &[1],    ""),
    (Held,       &[1],    PassSignalOn, Nothing,           Held,       &[1],    "0"),
    (Parked,     &[1],    PassSignalOn, Nothing,           Parked,     &[1],    "0"),
    (Offered(1), &[2],    PassSignalOn, Nothing,           Offered(1), &[2],    "0"),
    (Over,       &[1],    PassSignalOn, Nothing,           Over,       &[1],    "0"),
    // The end.
    (Held,       &[1],    End,          Nothing,           Over,       &[1],    "0 1 2"),
    (Parked,     &[1],    End,          Nothing,           Over,       &[1],    "0 1 2"),
    (Offered(1), &[],     End,          Nothing,           Over,       &[],     "0 1 2"),
    (Over,       &[],     End,          Nothing,           Over,       &[],     "0 1 2"),
];

#[test]
fn each_deed_does_what_the_table_says() {
    for row in TABLE {
        // No request is lost, whether others have been left before or not.
        play(row, &[]);
        play(row, &[7, 6]);
    }
}

fn play(row: &Row, earlier: &[u32]) {
    let &(at, idle, deed, gets, then, idle_then, woken) = row;
    let mut stage = Stage::at(at, idle);
    stage.baton.place().done.extend_from_slice(earlier);
    stage.baton.has_done.store(!earlier.is_empty(), Ordering::Relaxed);
    let (taken, left) = match (deed, gets) {
        (TakeDone, _) => (earlier.to_vec(), vec![]),
        (BringBack(_), Nothing) => (vec![], [earlier, &[OWN]].concat()),
        _ => (vec![], earlier.to_vec()),
    };
    assert_eq!((stage.act(deed), &stage.taken), (gets, &taken), "what {row:?} gives");
    let place = stage.baton.place();
    assert_eq!((whereabouts(&place.reactor), &*place.idle), (then, idle_then), "where {row:?} leads");
    assert_eq!((&place.done, stage.baton.has_done()), (&left, !left.is_empty()), "which requests {row:?} leaves");
    drop(place);
    assert_eq!(stage.woken(), woken, "whom {row:?} wakes");
}

#[test]
fn the_table_has_every_deed_wherever_the_reactor_is() {
    let of_owners = [Park, HandOver, Offer];
    let of_all =
        [ComeBack(0), BringBack(0), Arrive(0), GoAway(0), Receive(0), LookSoon, LookLate, TakeDone, PassSignalOn, End];
    let kind = std::mem::discriminant::<Deed>;
    let has = |at, deed| TABLE.iter().any(|row| row.0 == at && kind(&row.2) == kind(&deed));
    for deed in of_owners {
        assert!(has(Held, deed), "{deed:?}");
    }
    for at in [Held, Parked, Offered(1), Over] {
        for deed in of_all {
            assert!(has(at, deed), "{deed:?} where it is {at:?}");
        }
    }
}

#[test]
fn a_timer_that_is_set_is_not_set_again_for_each_call() {
    let mut stage = Stage::at(Held, &[]);
    stage.act(Park);
    stage.baton.timer.unset().unwrap();
    assert_eq!(stage.act(ComeBack(2)), Reactor);
    stage.act(Park);
    assert_eq!(stage.woken(), "");
    // It has run out, found the reactor late, and is free to be set again.
    assert_eq!(stage.act(LookLate), Reactor);
    stage.act(Park);
    assert_eq!(stage.woken(), "timer");
}

#[test]
fn a_reactor_is_late_after_a_moment_and_not_before() {
    for (now, is_late) in [(SINCE - 1, false), (SINCE, false), (SINCE + MOMENT, false), (SINCE + MOMENT + 1, true)] {
        let stage = Stage::at(Parked, &[]);
        assert_eq!(stage.baton.look(now).is_some(), is_late, "at {now}");
    }
}

#[test]
fn a_reactor_whose_thread_goes_away_is_parked_from_then_on() {
    let mut stage = Stage::at(Offered(1), &[]);
    stage.act(GoAway(1));
    assert!(stage.baton.look(LATER + MOMENT).is_none());
    assert!(stage.baton.look(LATER + MOMENT + 1).is_some());
}

#[test]
fn a_look_at_a_reactor_that_is_not_late_does_not_begin_its_moment_anew() {
    let stage = Stage::at(Parked, &[]);
    assert!(stage.baton.look(SINCE + MOMENT).is_none());
    assert!(stage.baton.look(SINCE + MOMENT + 1).is_some());
}

#[test]
fn the_monitor_takes_a_reactor_that_has_been_left_for_long() {
    let (baton, _poll) = baton::<Dummy, u32>(1);
    baton.leave(Dummy, monotonic(), true);
    baton.take_late();
}

#[test]
fn a_wait_ends_with_the_reactor_a_signal_or_the_end() {
    let stage = Stage::at(Held, &[1, MAIN]);
    assert!(stage.baton.offer(Dummy).is_none());
    assert!(matches!(stage.baton.wait(MAIN), Received::Reactor(Dummy)));
    // Of what it was woken for it has nothing left; a signal ends the wait all the same, and once.
    stage.baton.pass_signal_on();
    assert!(matches!(stage.baton.wait(MAIN), Received::Signal));
    stage.baton.arrive(MAIN);
    assert!(stage.baton.offer(Dummy).is_none());
    assert!(matches!(stage.baton.wait(MAIN), Received::Reactor(Dummy)));
    stage.baton.end(ExitCode::Stopped);
    assert!(matches!(stage.baton.wait(MAIN), Received::Over(ExitCode::Stopped)));
    assert!(matches!(stage.baton.wait(1), Received::Over(ExitCode::Stopped)));
}

#[test]
fn who_is_given_the_reactor_and_a_signal_has_the_reactor_first_and_the_signal_later() {
    let stage = Stage::at(Held, &[MAIN]);
    assert!(stage.baton.offer(Dummy).is_none());
    stage.baton.pass_signal_on();
    assert!(matches!(stage.baton.wait(MAIN), Received::Reactor(Dummy)));
    assert!(matches!(stage.baton.wait(MAIN), Received::Signal));
}

/// The one reactor of each test. It can't be copied, so where one comes out, none is left.
#[derive(Debug)]
struct Dummy;

/// A baton that has been brought to where a row begins.
struct Stage {
    baton: Baton<Dummy, u32>,
    poll: Poll,
    /// The reactor, where somebody has it.
    held: Option<Dummy>,
    /// What [`TakeDone`] has given.
    taken: Vec<u32>,
}

impl Stage {
    fn at(at: At, idle: &[usize]) -> Self {
        let (baton, poll) = baton(THREADS);
        let mut held = None;
        let mut place = baton.place();
        place.reactor = match at {
            Held => {
                held = Some(Dummy);
                Whereabouts::Held
            }
            Parked => Whereabouts::Parked(Dummy, SINCE),
            Offered(thread) => Whereabouts::Offered(Dummy, thread),
            Over => Whereabouts::Over(ExitCode::Stopped),
        };
        place.idle.extend_from_slice(idle);
        drop(place);
        Self { baton, poll, held, taken: Vec::new() }
    }

    fn act(&mut self, deed: Deed) -> Gets {
        let baton = &self.baton;
        let mut own = || self.held.take().unwrap();
        let reactor = match deed {
            Park => return nothing(|| baton.leave(own(), SINCE, false)),
            HandOver => return nothing(|| baton.leave(own(), SINCE, true)),
            Arrive(thread) => return nothing(|| baton.arrive(thread)),
            GoAway(thread) => return nothing(|| baton.go_away(thread, LATER)),
            PassSignalOn => return nothing(|| baton.pass_signal_on()),
            End => return nothing(|| baton.end(ExitCode::Stopped)),
            TakeDone => {
                self.taken = baton.take_done();
                return Requests;
            }
            Offer => baton.offer(own()),
            ComeBack(thread) => baton.come_back(thread),
            BringBack(thread) => match baton.bring_back(thread, OWN) {
                Some((reactor, OWN)) => {
                    self.held = Some(reactor);
                    return ReactorAndRequest;
                }
                Some((_, other)) => panic!("it has another request in its hands: {other}"),
                None => None,
            },
            Receive(thread) => match baton.receive(thread) {
                Some(Received::Over(ExitCode::Stopped)) => return EndOfWorker,
                Some(Received::Over(_) | Received::Signal) => panic!("there was no signal, and no such end"),
                Some(Received::Reactor(reactor)) => Some(reactor),
                None => None,
            },
            LookSoon => baton.look(SINCE + MOMENT),
            LookLate => baton.look(SINCE + MOMENT + 1),
        };
        if reactor.is_none() {
            return Nothing;
        }
        self.held = reactor;
        Reactor
    }

    /// Who has been woken: threads, by number; the poll, and so the monitor's timer.
    fn woken(&mut self) -> String {
        let threads = self.baton.wakes.iter().enumerate();
        let mut all: Vec<_> =
            threads.filter(|(_, wake)| is_readable(wake.as_fd())).map(|(thread, _)| thread.to_string()).collect();
        let mut events = Events::with_capacity(1);
        self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        if !events.is_empty() {
            all.push("poll".into());
        }
        // It may have run out already.
        if self.baton.timer.get().unwrap().is_some() || is_readable(self.baton.timer.as_fd()) {
            all.push("timer".into());
        }
        all.join(" ")
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    poll(slice::from_mut(&mut PollFd::new(fd, PollFlags::POLLIN)), PollTimeout::ZERO).unwrap() > 0
}

fn nothing(deed: impl FnOnce()) -> Gets {
    deed();
    Nothing
}

fn whereabouts<R>(reactor: &Whereabouts<R>) -> At {
    match reactor {
        Whereabouts::Held => Held,
        Whereabouts::Parked(..) => Parked,
        Whereabouts::Offered(_, thread) => Offered(*thread),
        Whereabouts::Over(_) => Over,
    }
}
