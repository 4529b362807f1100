//! Samples as a table gives them, whatever the policy orders: which number it comes to, and when.

use std::time::Duration;

use tapster::scale::{Cause, Change, EVERY, Policy, Rules, Sample};

use crate::RULES;

/// Samples follow one another, each with the number that was ordered before.
pub(crate) struct Trace {
    pub(crate) policy: Policy,
    pub(crate) rules: Rules,
    pub(crate) threads: u32,
    pub(crate) planned: u32,
    /// How many of them are ready; `None` is all.
    pub(crate) ready: Option<u32>,
    pub(crate) now: Duration,
    pub(crate) changes: Vec<(Duration, Change)>,
}

impl Trace {
    pub(crate) fn new(planned: u32) -> Self {
        let (policy, now) = (Policy::default(), Duration::from_secs(1000));
        Self { policy, rules: RULES, threads: 1, planned, ready: None, now, changes: Vec::new() }
    }

    /// One sample. Answers the change that it brings.
    pub(crate) fn observe(&mut self, busy: u32, waiting: u32) -> Option<Change> {
        self.now += EVERY;
        let ready = self.ready.unwrap_or(self.planned);
        let sample = Sample { planned: self.planned, ready, threads: self.threads, busy, waiting };
        let change = self.policy.observe(self.now, &self.rules, sample)?;
        assert!((self.rules.min..=self.rules.max).contains(&change.workers), "{change:?}");
        self.planned = change.workers;
        self.changes.push((self.now, change));
        Some(change)
    }

    /// The same load for so long. Answers the number there is then.
    pub(crate) fn pass(&mut self, seconds: f64, busy: u32, waiting: u32) -> u32 {
        for _ in 0..samples(seconds) {
            self.observe(busy, waiting);
        }
        self.planned
    }

    /// A load in threads that lies between two whole numbers: it changes between them as often as that takes.
    pub(crate) fn average(&mut self, seconds: f64, busy: f64) -> u32 {
        let mut rest = 0.0;
        for _ in 0..samples(seconds) {
            rest += busy;
            let now = rest.floor();
            rest -= now;
            self.observe(now as u32, 0);
        }
        self.planned
    }

    fn numbers(&self) -> Vec<u32> {
        self.changes.iter().map(|(_, change)| change.workers).collect()
    }
}

fn samples(seconds: f64) -> usize {
    (seconds / EVERY.as_secs_f64()).round() as usize
}

#[test]
fn a_steady_load_gets_as_many_workers_as_bring_it_to_the_target() {
    #[rustfmt::skip]
    let table = [
        // threads a worker, at first, threads at work; in the end
        (1, 1, 0.0,  1),
        (1, 1, 0.69, 1),
        (1, 1, 0.75, 2),
        (1, 2, 1.39, 2),
        (1, 2, 1.45, 3),
        (1, 1, 20.0, 8),
        (4, 1, 2.7,  1),
        (4, 1, 2.9,  2),
        (4, 2, 5.5,  2),
        (4, 2, 5.7,  3),
        // Fewer only where the rest is at most at four fifths of the target.
        (1, 8, 0.0,  1),
        (1, 2, 0.5,  1),
        (1, 2, 0.6,  2),
        (1, 4, 1.64, 3),
        (1, 4, 1.75, 4),
        (4, 2, 2.2,  1),
        (4, 2, 2.3,  2),
    ];
    for row @ (threads, first, busy, last) in table {
        let mut trace = Trace { threads, ..Trace::new(first) };
        assert_eq!(trace.average(900.0, busy), last, "{row:?}");
        let changes = trace.changes.len();
        assert_eq!((trace.average(900.0, busy), trace.changes.len()), (last, changes), "it stays: {row:?}");
    }
}

#[test]
fn nothing_is_decided_before_the_window_is_covered() {
    let mut trace = Trace::new(1);
    assert_eq!(trace.pass(10.0, 1, 0), 1);
    assert_eq!(trace.pass(0.1, 1, 0), 2);
    let (_, change) = trace.changes[0];
    assert_eq!(change.cause, Cause::Load { busy: 100, over: RULES.window });
}

#[test]
fn a_short_spike_without_a_queue_changes_nothing() {
    let mut trace = Trace::new(2);
    trace.pass(20.0, 1, 0);
    trace.pass(3.0, 2, 0);
    assert_eq!(trace.pass(20.0, 1, 0), 2);
    assert!(trace.changes.is_empty());
}

#[test]
fn a_burst_is_met_at_once_and_several_at_a_time() {
    #[rustfmt::skip]
    let table = [
        // at first, waiting; ordered
        (1,    1,    2),
        (1,    3,    4),
        (1, 1000,    5),
        (4,    4,    8),
        (6, 1000,    8),
    ];
    for row @ (first, waiting, ordered) in table {
        let mut trace = Trace::new(first);
        trace.pass(5.0, 0, 0);
        assert_eq!(trace.pass(1.0, first, waiting), first, "not yet: {row:?}");
        assert_eq!(trace.pass(0.1, first, waiting), ordered, "{row:?}");
        assert_eq!(trace.changes[0].1.cause, Cause::Burst { waiting });
    }
}

#[test]
fn a_burst_is_every_thread_busy_while_as_much_waits_without_a_break() {
    let burst = |planned, threads, samples: &[(u32, u32)]| {
        let mut trace = Trace { threads, ..Trace::new(planned) };
        // A busy window would be a reason of its own.
        trace.rules.window = Duration::from_secs(600);
        for _ in 0..100 {
            samples.iter().for_each(|&(busy, waiting)| _ = trace.observe(busy, waiting));
        }
        trace.planned > planned
    };
    assert!(burst(2, 1, &[(2, 2)]));
    assert!(!burst(2, 1, &[(2, 1)]), "less waits than runs");
    assert!(!burst(2, 1, &[(1, 5)]), "one is free, and will take what waits");
    assert!(!burst(2, 1, &[(2, 5), (2, 5), (2, 5), (2, 1)]), "less waits in between");
    assert!(!burst(2, 1, &[(2, 5), (2, 5), (2, 5), (1, 5)]), "one is free in between");
    assert!(burst(5, 8, &[(40, 50), (38, 40)]), "of many threads one is always between two requests");
    assert!(!burst(5, 8, &[(37, 50)]));
}

#[test]
fn without_bursts_the_window_alone_decides() {
    let mut trace = Trace::new(1);
    trace.rules.burst = None;
    assert_eq!(trace.pass(10.0, 1, 50), 1);
    assert_eq!(trace.pass(0.1, 1, 50), 2);
}

#[test]
fn no_more_is_ordered_before_what_was_ordered_is_ready() {
    let mut trace = Trace::new(2);
    trace.pass(1.1, 2, 100);
    assert_eq!(trace.numbers(), [6]);
    for ready in [2, 3, 5] {
        trace.ready = Some(ready);
        assert_eq!(trace.pass(600.0, ready, 100), 6, "{ready} are ready, the others boot or fail");
    }
    trace.ready = None;
    assert_eq!(trace.pass(1.1, 6, 100), 8);
    assert_eq!(trace.pass(600.0, 8, 100), 8);
}

#[test]
fn workers_that_are_not_ready_are_no_reason_to_retire_another() {
    let mut trace = Trace { ready: Some(1), ..Trace::new(3) };
    assert_eq!(trace.pass(300.0, 1, 0), 3, "the one that serves is busy all the time");
    // It would be enough alone: those that can't boot are wanted no more.
    assert_eq!(trace.average(300.0, 0.3), 1);
}

#[test]
fn a_server_of_which_nobody_is_ready_is_not_taken_for_an_idle_one() {
    let mut trace = Trace::new(4);
    trace.pass(60.0, 0, 0);
    trace.ready = Some(0);
    assert_eq!(trace.pass(600.0, 0, 9), 4);
}

#[test]
fn one_at_a_time_retires_after_the_cool_down_and_the_next_after_another() {
    let mut trace = Trace::new(4);
    trace.pass(400.0, 0, 0);
    assert_eq!(trace.numbers(), [3, 2, 1]);
    let times: Vec<_> = trace.changes.iter().map(|(at, _)| at.as_secs_f64() - 1000.0).collect();
    let cool = |from: f64, to: f64| (60.0..60.5).contains(&(to - from));
    assert!(cool(10.0, times[0]) && cool(times[0], times[1]) && cool(times[1], times[2]), "{times:?}");
}

#[test]
fn a_load_that_comes_back_within_the_cool_down_keeps_the_workers() {
    let mut trace = Trace::new(2);
    for _ in 0..20 {
        trace.pass(50.0, 0, 0);
        trace.pass(10.0, 2, 0);
    }
    assert!(trace.planned >= 2 && trace.changes.iter().all(|(_, change)| change.workers > 2), "{:?}", trace.changes);
}

#[test]
fn each_worker_that_is_missed_soon_makes_the_next_wait_longer_up_to_sixteen_times() {
    let mut trace = Trace::new(2);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let begun = trace.now;
        while trace.planned > 1 {
            trace.observe(0, 0);
        }
        waits.push((trace.now - begun).as_secs());
        assert_eq!(trace.pass(1.1, 1, 1), 2, "it is missed at once");
    }
    let long = |wait: u64| wait..wait + 12;
    assert!(
        [60, 120, 240, 480, 960, 960].iter().zip(&waits).all(|(wait, waited)| long(*wait).contains(waited)),
        "{waits:?}"
    );
}

#[test]
fn what_goes_well_makes_the_wait_shorter_again() {
    let mut trace = Trace::new(2);
    trace.pass(80.0, 0, 0);
    trace.pass(1.1, 1, 1);
    assert_eq!(trace.numbers(), [1, 2]);
    let wait = |trace: &mut Trace| {
        let begun = trace.now;
        while trace.observe(0, 0).is_none() {}
        (trace.now - begun).as_secs()
    };
    assert!((120..135).contains(&wait(&mut trace)));
    // Nobody misses it for half an hour, and then another is wanted.
    trace.pass(1900.0, 0, 0);
    trace.pass(1.1, 1, 1);
    assert!((60..75).contains(&wait(&mut trace)));
}

#[test]
fn a_pause_begins_a_new_window_and_so_does_a_gap() {
    let mut trace = Trace::new(1);
    trace.pass(9.0, 1, 0);
    trace.policy.pause();
    assert_eq!(trace.pass(10.0, 1, 0), 1);
    assert_eq!(trace.pass(0.1, 1, 0), 2);
    let mut trace = Trace::new(1);
    trace.pass(9.0, 1, 0);
    trace.now += Duration::from_secs(3);
    assert_eq!(trace.pass(10.0, 1, 0), 1);
    assert_eq!(trace.pass(0.1, 1, 0), 2);
    trace.pass(0.9, 2, 2);
    trace.policy.pause();
    assert_eq!(trace.pass(0.9, 2, 2), 2, "a burst begins anew too");
}

#[test]
fn that_no_more_are_to_be_had_is_said_once_a_minute() {
    let mut trace = Trace::new(8);
    let mut said = 0;
    for _ in 0..samples(150.0) {
        trace.observe(8, 9);
        let sample = Sample { planned: 8, ready: 8, threads: 1, busy: 8, waiting: 9 };
        said += u32::from(trace.policy.is_exhausted(trace.now, &trace.rules, sample));
    }
    assert_eq!((said, trace.planned), (3, 8));
    let mut below = Trace::new(7);
    below.pass(1.0, 7, 9);
    let sample = Sample { planned: 7, ready: 7, threads: 1, busy: 7, waiting: 9 };
    assert!(!below.policy.is_exhausted(below.now + EVERY, &RULES, sample), "there is one left");
}
