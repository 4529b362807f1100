//! Who may go into the application, and who waits.
//!
//! Numbers only: how many threads are free, how many requests wait for one, and whether the application tends to wait for
//! other things than the CPU. Kept by the reactor, asked by the worker's `connection`.

use std::time::Duration;

/// The threads of a worker, as far as its reactor has to do with them.
#[derive(Debug)]
pub struct Turns {
    threads: usize,
    /// Requests that are in the application.
    running: usize,
    /// Requests that wait to be.
    waiting: usize,
    /// More than so many may not.
    most_waiting: usize,
    /// The thread that has the reactor can run a request.
    pub open: bool,
    /// How long a call waits for other things than the CPU, on average, in microseconds.
    waits: f32,
    calls: u32,
}

/// Every so many calls one is measured.
const SAMPLE: u32 = 16;
/// The average, in microseconds, from which on another thread may go on with the reactor during a call. Waking it costs some 10.
const LONG: f32 = 50.0;
/// What one call counts at most, in microseconds, so that a very long one is not taken for a habit.
const MOST: f32 = 200.0;

impl Turns {
    /// For so many threads, and at most so many requests that wait.
    pub fn new(threads: usize, most_waiting: usize) -> Self {
        Self { threads, running: 0, waiting: 0, most_waiting, open: true, waits: 0.0, calls: 0 }
    }

    /// Whether there is a thread for another request.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.running < self.threads
    }

    /// Whether a request may go into the application now: one that has waited already, or else if none has.
    #[inline]
    pub fn is_open(&self, has_waited: bool) -> bool {
        self.open && self.is_free() && (has_waited || self.waiting == 0)
    }

    /// How many requests are in the application.
    #[inline]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many requests wait to be.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a request is waiting that could run.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.is_open(true) && self.waiting > 0
    }

    /// A request begins to wait; or may not, where too many do.
    pub fn wait(&mut self) -> bool {
        let has_room = self.waiting < self.most_waiting;
        self.waiting += usize::from(has_room);
        has_room
    }

    /// A request that waited does not any more.
    pub fn stop_waiting(&mut self) {
        self.waiting -= 1;
    }

    /// A request goes into the application. Tells whether its waits are to be measured.
    #[inline]
    pub fn enter(&mut self) -> bool {
        self.running += 1;
        self.calls = self.calls.wrapping_add(1);
        // With one thread nothing would follow from it.
        self.threads > 1 && (self.calls.is_multiple_of(SAMPLE) || self.waits > LONG / 2.0)
    }

    /// A request has come out of the application.
    #[inline]
    pub fn leave(&mut self, waited: Option<Duration>) {
        self.running -= 1;
        if let Some(waited) = waited {
            let micros = (waited.as_secs_f32() * 1e6).min(MOST);
            self.waits += (micros - self.waits) / 8.0;
        }
    }

    /// Whether a call may be expected to wait for so long that another thread should have the reactor meanwhile.
    #[inline]
    pub fn tend_to_wait(&self) -> bool {
        self.waits > LONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two threads and at most three that wait, with so many at work and waiting.
    fn turns(open: bool, running: usize, waiting: usize) -> Turns {
        let mut turns = Turns::new(2, 3);
        turns.open = open;
        (0..running).for_each(|_| _ = turns.enter());
        (0..waiting).for_each(|_| assert!(turns.wait()));
        turns
    }

    #[test]
    fn a_request_goes_in_where_a_thread_is_free_and_none_has_waited_longer() {
        #[rustfmt::skip]
        let table = [
            // open, running, waiting; may one that comes, may one that has waited; is one that waits to be taken up
            (true,   0,       0,       true,               true,                    false),
            (true,   1,       0,       true,               true,                    false),
            (true,   2,       0,       false,              false,                   false),
            (true,   0,       1,       false,              true,                    true),
            (true,   1,       3,       false,              true,                    true),
            (true,   2,       1,       false,              false,                   false),
            (false,  0,       0,       false,              false,                   false),
            (false,  1,       1,       false,              false,                   false),
        ];
        for row @ (open, running, waiting, new, waited, wanted) in table {
            let turns = turns(open, running, waiting);
            assert_eq!(
                (turns.is_open(false), turns.is_open(true), turns.is_wanted()),
                (new, waited, wanted),
                "{row:?}"
            );
            assert_eq!((turns.is_free(), turns.running()), (running < 2, running), "{row:?}");
        }
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut turns = turns(true, 2, 3);
        assert!(!turns.wait());
        turns.stop_waiting();
        assert!(turns.wait());
        assert!(!turns.wait());
        (0..3).for_each(|_| turns.stop_waiting());
        turns.leave(None);
        assert!(turns.is_open(false));
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut turns = turns(true, 2, 1);
        assert!(!turns.is_wanted());
        turns.leave(None);
        assert!(turns.is_wanted());
        assert_eq!(turns.running(), 1);
    }

    /// Calls that wait for so long each; those that are not measured tell nothing. Answers how many were.
    fn call(turns: &mut Turns, times: usize, micros: u64) -> usize {
        let measured = (0..times).filter(|_| {
            let is_measured = turns.enter();
            turns.leave(is_measured.then_some(Duration::from_micros(micros)));
            is_measured
        });
        measured.count()
    }

    #[test]
    fn one_call_of_sixteen_is_measured_and_each_where_the_average_comes_near_what_counts() {
        let mut turns = Turns::new(4, 1);
        assert_eq!(call(&mut turns, 160, 0), 10);
        call(&mut turns, 160, 20);
        assert_eq!(call(&mut turns, 160, 20), 10);
        call(&mut turns, 320, 40);
        assert_eq!(call(&mut turns, 160, 40), 160);
        assert!(!turns.tend_to_wait());
    }

    #[test]
    fn with_one_thread_nothing_is_measured() {
        assert_eq!(call(&mut Turns::new(1, 1), 160, 1_000_000), 0);
    }

    #[test]
    fn calls_tend_to_wait_where_they_wait_for_more_than_fifty_microseconds_on_average() {
        for (micros, tend) in [(0, false), (10, false), (45, false), (55, true), (300, true), (10_000_000, true)] {
            let mut turns = Turns::new(4, 1);
            call(&mut turns, 16 * 100, micros);
            assert_eq!(turns.tend_to_wait(), tend, "calls that wait {micros} µs");
        }
    }

    #[test]
    fn one_long_call_is_no_habit_and_a_habit_is_forgotten() {
        let mut turns = Turns::new(4, 1);
        call(&mut turns, 15, 0);
        assert_eq!(call(&mut turns, 1, 60_000_000), 1);
        assert!(!turns.tend_to_wait());
        call(&mut turns, 16 * 10, 60_000_000);
        assert!(turns.tend_to_wait());
        // However long they were, some short ones outweigh them.
        call(&mut turns, 12, 0);
        assert!(!turns.tend_to_wait());
    }
}
