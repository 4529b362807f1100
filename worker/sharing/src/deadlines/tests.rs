//! Deadlines, against a model that looks at every connection every time.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens to a worker's connections. A connection is told by its place among those that are there.
#[derive(Debug, Clone)]
enum Event {
    Opens,
    /// Its key is free for another.
    Closes(usize),
    /// Its deadline is moved to so much from now, earlier or later, and watched.
    Moves(usize, Millis),
    /// Its deadline is only moved, which must do where it moves away.
    Puts(usize, Millis),
    /// It has no deadline any more.
    Rests(usize),
    /// So much time passes. Of those that are late one in so many is closed; the others get so much more time.
    Passes(Millis, usize, Millis),
}

fn event() -> impl Strategy<Value = Event> {
    let (which, time) = (0..20_usize, 1..60 as Millis);
    prop_oneof![
        3 => Just(Event::Opens),
        1 => which.clone().prop_map(Event::Closes),
        6 => (which.clone(), time.clone()).prop_map(|(which, time)| Event::Moves(which, time)),
        4 => (which.clone(), time.clone()).prop_map(|(which, time)| Event::Puts(which, time)),
        1 => which.prop_map(Event::Rests),
        4 => (time.clone(), 1..4_usize, time).prop_map(|(by, one_in, more)| Event::Passes(by, one_in, more)),
    ]
}

/// A worker's connections, by key, and its time.
#[derive(Default)]
struct Worker {
    deadlines: Deadlines,
    seats: Vec<Option<Deadline>>,
    now: Millis,
}

impl Worker {
    fn live(&self) -> Vec<usize> {
        (0..self.seats.len()).filter(|&key| self.seats[key].is_some()).collect()
    }

    /// The deadline of one of those that are there.
    fn one(&mut self, which: usize) -> Option<(usize, &mut Deadline)> {
        let live = self.live();
        let key = *live.get(which % live.len().max(1))?;
        Some((key, self.seats[key].as_mut()?))
    }

    /// A new connection takes the first key that is free, as a slab's.
    fn open(&mut self) {
        let deadline = Some(self.deadlines.issue());
        match self.seats.iter_mut().find(|seat| seat.is_none()) {
            Some(seat) => *seat = deadline,
            None => self.seats.push(deadline),
        }
    }

    fn watch(&mut self, key: usize) {
        if let Some(deadline) = &mut self.seats[key] {
            self.deadlines.watch(key, deadline);
        }
    }

    fn next(&mut self) -> Millis {
        let seats = &self.seats;
        self.deadlines.next(|key| seats.get(key)?.as_ref())
    }

    /// Whether the heap has the entry that the connection knows of, if any.
    fn has_entry(&self, key: usize) -> bool {
        self.seats[key].is_none_or(|Deadline { scheduled, serial, .. }| {
            scheduled == NEVER || self.deadlines.heap.iter().any(|&Reverse(entry)| entry == (scheduled, key, serial))
        })
    }

    /// Looks at all that are due, as the reactor does; answers those that were late.
    fn mind(&mut self, one_in: usize, more: Millis) -> Vec<usize> {
        let mut late = Vec::new();
        loop {
            let seats = &mut self.seats;
            let Some(key) = self.deadlines.due(self.now, |key| seats.get_mut(key)?.as_mut()) else { return late };
            let now = self.now;
            if let Some(deadline) = &mut self.seats[key]
                && deadline.at <= now
            {
                late.push(key);
                deadline.at = now + more;
                if late.len().is_multiple_of(one_in) {
                    self.seats[key] = None;
                }
            }
            self.watch(key);
        }
    }

    fn happen(&mut self, event: &Event) {
        let now = self.now;
        match *event {
            Event::Opens => self.open(),
            Event::Closes(which) => {
                if let Some((key, _)) = self.one(which) {
                    self.seats[key] = None;
                }
            }
            Event::Moves(which, time) => {
                if let Some((key, deadline)) = self.one(which) {
                    deadline.at = now + time;
                    self.watch(key);
                }
            }
            Event::Puts(which, time) => {
                if let Some((_, deadline)) = self.one(which) {
                    // One that was not set yet has nothing in the heap that would come due.
                    deadline.at = if deadline.at == NEVER { NEVER } else { deadline.at + time };
                }
            }
            Event::Rests(which) => {
                if let Some((_, deadline)) = self.one(which) {
                    deadline.at = NEVER;
                }
            }
            Event::Passes(by, one_in, more) => {
                self.now += by;
                let is_late = |key: &usize| self.seats[*key].is_some_and(|deadline| deadline.at <= self.now);
                let expected: Vec<_> = self.live().into_iter().filter(is_late).collect();
                let mut late = self.mind(one_in, more);
                late.sort_unstable();
                assert_eq!(late, expected, "who is late at {}", self.now);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_connection_is_late_when_its_deadline_has_passed_and_not_before(events in vec(event(), 0..120)) {
        let mut worker = Worker::default();
        for event in &events {
            worker.happen(event);
            // Who sleeps until then misses nobody, and does not wake for what has been minded already.
            let (next, first) = (worker.next(), worker.seats.iter().flatten().map(|deadline| deadline.at).min());
            prop_assert!(next <= first.unwrap_or(NEVER), "asked again at {next}, where one is due at {first:?}");
            prop_assert!(next > worker.now, "asked again at {next}, which is no later than {}", worker.now);
            let scheduled = worker.seats.iter().flatten().map(|deadline| deadline.scheduled).min();
            prop_assert_eq!(next, scheduled.unwrap_or(NEVER), "asked again for what has been left behind");
            prop_assert!(worker.live().into_iter().all(|key| worker.has_entry(key)));
        }
        worker.seats.clear();
        prop_assert_eq!(worker.next(), NEVER);
    }
}

#[test]
fn requests_within_one_deadlines_length_cost_one_entry() {
    let mut worker = Worker::default();
    worker.open();
    for _ in 0..1_000 {
        worker.now += 1;
        for time in [30_000, 75_000] {
            worker.happen(&Event::Moves(0, time));
        }
    }
    assert_eq!(worker.deadlines.heap.len(), 1);
    assert_eq!(worker.next(), 30_001);
}

#[test]
fn connections_that_are_gone_leave_little_behind_and_those_that_stay_lose_nothing() {
    let mut worker = Worker::default();
    for time in 1..=40 {
        worker.open();
        worker.happen(&Event::Moves(time - 1, 1_000 + time as Millis));
    }
    for time in 1..10_000 {
        worker.open();
        worker.happen(&Event::Moves(40, time));
        worker.happen(&Event::Closes(40));
        let (held, seats) = (worker.live().len(), &worker.seats);
        worker.deadlines.forget_left_behind(held, |key| seats.get(key)?.as_ref());
        assert!(worker.deadlines.heap.len() <= 2 * 40 + LEFT_BEHIND);
    }
    assert!((0..40).all(|key| worker.has_entry(key)));
    worker.now = 1_040;
    assert_eq!(worker.mind(usize::MAX, 1).len(), 40);
}

#[test]
fn a_new_connection_inherits_nothing_from_the_last_of_its_key() {
    let mut worker = Worker::default();
    worker.open();
    worker.happen(&Event::Moves(0, 10));
    worker.happen(&Event::Closes(0));
    worker.open();
    assert_eq!(worker.next(), NEVER);
    worker.happen(&Event::Moves(0, 10));
    assert_eq!(worker.next(), 10);
    worker.now = 10;
    assert_eq!(worker.mind(2, 5), [0]);
    assert_eq!(worker.next(), 15);
}

#[test]
fn no_two_connections_have_the_same_serial() {
    let mut deadlines = Deadlines::default();
    let mut serials: Vec<_> = (0..100).map(|_| deadlines.issue().serial()).collect();
    serials.dedup();
    assert_eq!(serials.len(), 100);
}
