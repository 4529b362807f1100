//! How many workers the load asks for: the policy behind `workers = { min, max }`.
//!
//! Pure: samples in, a new number out, now and then. It does no I/O, reads no clock, starts and ends nothing. `decide` feeds it
//! and makes the fleet follow; docs/scaling.md tells users what it does, and `arbiter/tests/scale` simulates servers under it.
//!
//! - **More**, when the average over the window is above the target: as many as bring it back there.
//! - **More at once**, when for the length of a burst every thread has been busy and as much has waited as ran.
//! - **One fewer**, when for the length of the cool-down the rest would have stayed clearly below the target.
//! - Nothing is ordered while what was ordered is not ready, be it that boots take long or that they fail.

use std::collections::VecDeque;
use std::time::Duration;

/// How often a sample is taken. The shortest burst that can be told from a coincidence is a few of these.
pub const EVERY: Duration = Duration::from_millis(100);

/// What was not watched for so long is not known: a new window begins.
const GAP: Duration = Duration::from_secs(1);
/// Of the target, in per cent: so busy at most would those be that are left when one retires. The rest is the gap between
/// growing and shrinking in which nothing changes.
const MARGIN: u64 = 80;
/// So many samples in a row a burst has at least, however short it may be.
const BURST_SAMPLES: u32 = 3;
/// From so much on, in per cent, all threads count as busy: of many one is always just between two requests.
const ALL: u64 = 95;
/// Each worker that is missed soon after it was retired doubles the cool-down, so often at most.
const MOST_PENALTY: u32 = 4;
/// So many cool-downs, as the settings have them, without a worker that was missed take one doubling back.
const FORGIVEN_AFTER: u32 = 32;
/// What waits is logged at the most so often when there is no worker left to start.
const EXHAUSTED_EVERY: Duration = Duration::from_secs(60);

/// What the settings say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// There are never fewer workers.
    pub min: u32,
    /// There are never more.
    pub max: u32,
    /// How busy their threads are to be, in per cent.
    pub target: u32,
    /// Over what time the load is averaged.
    pub window: Duration,
    /// For how long fewer must have been enough before one retires.
    pub cooldown: Duration,
    /// The most that are started at once.
    pub step: u32,
    /// How long every thread may be busy while as much waits as runs; `None` is for ever.
    pub burst: Option<Duration>,
}

/// What is going on at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many workers there are to be: the last number ordered.
    pub planned: u32,
    /// How many of them are ready. What boots serves nobody yet.
    pub ready: u32,
    /// How many threads each has.
    pub threads: u32,
    /// How many threads of those that are ready are at work.
    pub busy: u32,
    /// How many connections and requests wait for one.
    pub waiting: u32,
}

/// Another number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// How many there are to be from now on.
    pub workers: u32,
    /// Why.
    pub cause: Cause,
}

/// Why the number changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The average over a time was above or below what is wanted.
    Load {
        /// The average, in per cent of the threads of the workers that were ready.
        busy: u32,
        /// That time.
        over: Duration,
    },
    /// Every thread was busy for the length of a burst, and so many waited all the time.
    Burst {
        /// How many.
        waiting: u32,
    },
}

/// What a fleet knows of its load, and what follows from that.
#[derive(Debug, Clone, Default)]
pub struct Scaled {
    /// How many workers there are to be. Of each generation that follows the load, its own range bounds it.
    pub workers: u32,
    /// What has been seen.
    pub policy: Policy,
    /// How busy the workers were when the status last told it, in per cent, and when that was.
    pub shown: Option<(Duration, u32)>,
}

/// What has been seen so far.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The samples of the window, oldest first.
    seen: VecDeque<Seen>,
    /// What they make together.
    sums: Sums,
    burst: Option<Burst>,
    /// Since when one fewer would have been enough, all the time.
    calm: Option<Duration>,
    /// When a worker was last retired.
    shrunk: Option<Duration>,
    /// How often the cool-down is doubled, and since when nothing has changed that.
    penalty: (u32, Duration),
    /// When it was last said that there are no more workers to be had.
    exhausted: Option<Duration>,
}

/// Every thread has been busy while as much waited as ran.
#[derive(Debug, Clone, Copy)]
struct Burst {
    since: Duration,
    /// How many samples have said so.
    count: u32,
    /// The fewest that waited in any sample of the burst's second half: this queue stands, while what is above it comes and goes
    /// with the requests.
    standing: u32,
}

/// A sample that counts.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Duration,
    busy: u32,
    capacity: u32,
}

/// What samples make together.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    busy: u64,
    capacity: u64,
    count: u64,
}

impl Policy {
    /// Takes a sample in, and says whether there are to be more or fewer workers. The number ordered is expected to be in the
    /// next sample.
    pub fn observe(&mut self, now: Duration, rules: &Rules, sample: Sample) -> Option<Change> {
        let capacity = sample.ready.saturating_mul(sample.threads);
        if capacity == 0 {
            // Nobody is there to be busy, which is not the same as nothing to do.
            (self.burst, self.calm) = (None, None);
            return None;
        }
        let sample = Sample { busy: sample.busy.min(capacity), ..sample };
        self.remember(now, rules.window, Seen { at: now, busy: sample.busy, capacity });
        self.note_burst(now, rules, sample, capacity);
        self.note_calm(now, rules, sample);
        self.forgive(now, rules);
        let change = self.growth(now, rules, sample).or_else(|| self.shrinking(now, rules, sample))?;
        self.follow(now, rules, change.workers > sample.planned);
        Some(change)
    }

    /// The load is not to be judged for a while. What was seen before does not count after it, but what was learned does.
    pub fn pause(&mut self) {
        self.seen.clear();
        self.sums = Sums::default();
        (self.burst, self.calm) = (None, None);
    }

    /// How busy the ready workers' threads were over the window, in per cent; `None` before anything was seen.
    #[must_use]
    pub fn busy(&self) -> Option<u32> {
        (self.sums.count > 0).then(|| self.sums.per_cent())
    }

    /// Whether it is to be said at `now` that more workers are needed than there may be: there is a burst, and it has gone
    /// on for as long as one has to.
    pub fn is_exhausted(&mut self, now: Duration, rules: &Rules, sample: Sample) -> bool {
        let is_news = self.exhausted.is_none_or(|before| before.saturating_add(EXHAUSTED_EVERY) <= now);
        let is_so = is_news && sample.planned >= rules.max && self.full_burst(now, rules).is_some();
        if is_so {
            self.exhausted = Some(now);
        }
        is_so
    }

    fn remember(&mut self, now: Duration, window: Duration, seen: Seen) {
        if self.seen.back().is_some_and(|last| last.at.saturating_add(GAP) < now) {
            self.pause();
        }
        self.seen.push_back(seen);
        self.sums.add(seen);
        // One that is as old as the window stays: that the window is covered is known by it.
        while self.seen.get(1).is_some_and(|second| second.at.saturating_add(window) <= now) {
            if let Some(old) = self.seen.pop_front() {
                self.sums.subtract(old);
            }
        }
    }

    fn note_burst(&mut self, now: Duration, rules: &Rules, sample: Sample, capacity: u32) {
        let is_all = |count: u32| u64::from(count) * 100 >= u64::from(capacity) * ALL;
        // A shorter queue is gone by itself before a worker could have booted, more often than not.
        let is_met = is_all(sample.busy) && is_all(sample.waiting) && sample.ready >= sample.planned;
        self.burst = match self.burst {
            _ if !is_met => None,
            Some(Burst { since, count, standing }) => {
                // While the queue has only begun to grow, its length says nothing yet.
                let is_young = rules.burst.is_none_or(|length| now.saturating_sub(since) <= length / 2);
                let standing = if is_young { sample.waiting } else { standing.min(sample.waiting) };
                Some(Burst { since, count: count.saturating_add(1), standing })
            }
            None => Some(Burst { since: now, count: 1, standing: sample.waiting }),
        };
    }

    fn note_calm(&mut self, now: Duration, rules: &Rules, sample: Sample) {
        // Those that are not ready yet would be no help, and what they will take over is not known.
        let left = sample.planned.saturating_sub(1).min(sample.ready);
        let room = u64::from(left) * u64::from(sample.threads);
        let is_enough = |sums: Sums| sums.busy * 100 * 100 < sums.count * room * u64::from(rules.target) * MARGIN;
        let is_calm = self.window(now, rules).is_some_and(is_enough);
        self.calm = if is_calm { self.calm.or(Some(now)) } else { None };
    }

    fn growth(&self, now: Duration, rules: &Rules, sample: Sample) -> Option<Change> {
        // What is missing is on its way, or can't be had: ordering more would not bring it sooner.
        if sample.ready < sample.planned || sample.planned >= rules.max {
            return None;
        }
        let most = sample.planned.saturating_add(rules.step).min(rules.max);
        if let Some(Burst { standing: waiting, .. }) = self.full_burst(now, rules) {
            let all = sample.busy.saturating_add(waiting).div_ceil(sample.threads);
            let workers = all.clamp(sample.planned + 1, most);
            return Some(Change { workers, cause: Cause::Burst { waiting } });
        }
        let sums = self.window(now, rules)?;
        let room = sums.count * u64::from(sample.threads) * u64::from(rules.target);
        let wanted = u32::try_from((sums.busy * 100).div_ceil(room)).unwrap_or(u32::MAX).min(most);
        let cause = Cause::Load { busy: sums.per_cent(), over: rules.window };
        (wanted > sample.planned).then_some(Change { workers: wanted, cause })
    }

    fn shrinking(&self, now: Duration, rules: &Rules, sample: Sample) -> Option<Change> {
        let is_cool = self.calm.is_some_and(|since| since.saturating_add(self.cooldown(rules)) <= now);
        if !is_cool || sample.planned <= rules.min {
            return None;
        }
        let cause = Cause::Load { busy: self.busy()?, over: rules.window };
        Some(Change { workers: sample.planned - 1, cause })
    }

    /// Learns from a change, and begins to wait anew.
    fn follow(&mut self, now: Duration, rules: &Rules, grows: bool) {
        if grows && self.shrunk.is_some_and(|shrunk| shrunk.saturating_add(self.cooldown(rules)) >= now) {
            self.penalty = ((self.penalty.0 + 1).min(MOST_PENALTY), now);
        }
        self.shrunk = if grows { None } else { Some(now) };
        self.burst = None;
        self.calm = None;
    }

    /// Takes a doubling of the cool-down back, if it is time to.
    fn forgive(&mut self, now: Duration, rules: &Rules) {
        let (doublings, since) = self.penalty;
        if doublings > 0 && since.saturating_add(rules.cooldown.saturating_mul(FORGIVEN_AFTER)) <= now {
            self.penalty = (doublings - 1, now);
        }
    }

    fn cooldown(&self, rules: &Rules) -> Duration {
        rules.cooldown.saturating_mul(1 << self.penalty.0)
    }

    /// What has gone on for as long as a burst has to.
    fn full_burst(&self, now: Duration, rules: &Rules) -> Option<Burst> {
        let length = rules.burst?;
        self.burst.filter(|burst| burst.count >= BURST_SAMPLES && burst.since.saturating_add(length) <= now)
    }

    /// The window's sums, once it is covered.
    fn window(&self, now: Duration, rules: &Rules) -> Option<Sums> {
        let is_covered = self.seen.front().is_some_and(|first| first.at.saturating_add(rules.window) <= now);
        is_covered.then_some(self.sums)
    }
}

impl Sums {
    fn add(&mut self, seen: Seen) {
        self.busy += u64::from(seen.busy);
        self.capacity += u64::from(seen.capacity);
        self.count += 1;
    }

    fn subtract(&mut self, seen: Seen) {
        self.busy -= u64::from(seen.busy);
        self.capacity -= u64::from(seen.capacity);
        self.count -= 1;
    }

    fn per_cent(self) -> u32 {
        u32::try_from(self.busy * 100 / self.capacity.max(1)).unwrap_or(100)
    }
}
