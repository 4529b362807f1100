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
