//! A server of values: requests come at random, wait for a thread and take their time; workers take theirs to boot. The random
//! numbers are the same at each run.

use std::collections::VecDeque;
use std::time::Duration;

use tapster::scale::{EVERY, Policy, Rules, Sample};

/// How finely time is cut.
const STEP: f64 = 0.01;

/// See the module.
pub(crate) struct Server {
    pub(crate) rules: Rules,
    pub(crate) threads: u32,
    /// How long a request is in the application, on average, in seconds.
    pub(crate) service: f64,
    /// How long a worker takes to boot, in seconds.
    pub(crate) boot: f64,
    /// Whether those that boot become ready.
    pub(crate) boots_work: bool,
    /// Whether it is known how many connections wait.
    pub(crate) sees_queue: bool,
    pub(crate) planned: u32,
    policy: Policy,
    random: u64,
    now: f64,
    sampled: f64,
    /// When workers that boot are ready.
    booting: Vec<f64>,
    ready: u32,
    /// When requests that run are done.
    running: Vec<f64>,
    /// When requests that wait came.
    queue: VecDeque<f64>,
    /// Each number of workers, and since when it has been wanted.
    pub(crate) history: Vec<(f64, u32)>,
    /// The longest that a request has waited, in seconds.
    pub(crate) longest_wait: f64,
    /// How many workers have begun to boot at once, at most.
    pub(crate) most_booting: usize,
}

impl Server {
    /// One that is up, with the least workers.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            threads: 1,
            service: 0.05,
            boot: 0.5,
            boots_work: true,
            sees_queue: true,
            planned: rules.min,
            policy: Policy::default(),
            random: 0x2545_f491_4f6c_dd1d,
            now: 0.0,
            sampled: 0.0,
            booting: Vec::new(),
            ready: rules.min,
            running: Vec::new(),
            queue: VecDeque::new(),
            history: vec![(0.0, rules.min)],
            longest_wait: 0.0,
            most_booting: 0,
        }
    }

    /// Runs for so many seconds under a load: `load` says at each time how many threads the requests that come would keep busy
    /// on average.
    pub(crate) fn run(&mut self, seconds: f64, load: impl Fn(f64) -> f64) {
        let begun = self.now;
        while self.now < begun + seconds {
            self.now += STEP;
            self.serve(load(self.now - begun));
            self.boot();
            if self.now >= self.sampled + EVERY.as_secs_f64() {
                self.sampled = self.now;
                self.sample();
            }
        }
    }

    fn serve(&mut self, load: f64) {
        let now = self.now;
        self.running.retain(|end| *end > now);
        let mut next = self.exponential() * self.service / load.max(1e-9);
        while next < STEP {
            self.queue.push_back(now);
            next += self.exponential() * self.service / load;
        }
        let room = (self.ready * self.threads) as usize;
        while self.running.len() < room
            && let Some(came) = self.queue.pop_front()
        {
            self.longest_wait = self.longest_wait.max(now - came);
            let end = now + self.exponential() * self.service;
            self.running.push(end);
        }
    }

    /// Has as many workers as are wanted, but not before they are ready.
    fn boot(&mut self) {
        let (now, works) = (self.now, self.boots_work);
        let done = self.booting.iter().filter(|ready| **ready <= now).count();
        self.booting.retain(|ready| *ready > now);
        self.ready += if works { done as u32 } else { 0 };
        self.ready = self.ready.min(self.planned);
        let missing = self.planned - self.ready;
        self.booting.resize(missing as usize, now + self.boot);
        self.most_booting = self.most_booting.max(missing as usize);
    }

    fn sample(&mut self) {
        let count = |number: usize| number as u32;
        let waiting = if self.sees_queue { count(self.queue.len()) } else { 0 };
        let busy = count(self.running.len()).min(self.ready * self.threads);
        let sample = Sample { planned: self.planned, ready: self.ready, threads: self.threads, busy, waiting };
        if let Some(change) = self.policy.observe(Duration::from_secs_f64(self.now), &self.rules, sample) {
            self.planned = change.workers;
            self.history.push((self.now, change.workers));
        }
    }

    /// The numbers of workers that were wanted at any time between two moments.
    pub(crate) fn between(&self, from: f64, to: f64) -> Vec<u32> {
        let before = self.history.iter().rev().find(|(at, _)| *at <= from).map(|(_, number)| *number);
        let within = self.history.iter().filter(|(at, _)| *at > from && *at <= to).map(|(_, number)| *number);
        before.into_iter().chain(within).collect()
    }

    /// Exponentially distributed around 1.
    fn exponential(&mut self) -> f64 {
        // xorshift64*, of which the upper half is good.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        -((bits as f64 + 1.0) / f64::from(u32::MAX)).min(1.0).ln()
    }
}
