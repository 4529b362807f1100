//! Measures the memory of workers for which there is a limit (`max_memory`, `max_memory_hard`), from `/proc/PID/smaps_rollup`.
//!
//! One worker at a time, so that the arbiter is never kept long from what it supervises: the kernel goes through all pages of the
//! process, which takes milliseconds. What a size means is `decide`'s. Called by `run`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use tapster_config::{MemoryMeasure, Settings};

use crate::event::Event;
use crate::fleet::Fleet;

/// Who is measured, and when.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// When each was measured last, by slot and pid.
    seen: BTreeMap<(u32, i32), Duration>,
    /// When any was.
    looked: Duration,
    has_complained: bool,
}

/// A worker that is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    slot: u32,
    pid: i32,
    measure: MemoryMeasure,
    every: Duration,
}

/// The workers that are to be measured: those that serve, of generations that have a limit.
pub(crate) fn subjects<'s>(fleet: &Fleet, settings: impl Fn(u64) -> Option<&'s Settings>) -> Vec<Subject> {
    let subject = |(&slot, worker): (&u32, &crate::fleet::Worker)| {
        let settings = settings(worker.generation).filter(|its| its.max_memory > 0 || its.max_memory_hard > 0)?;
        let pid = worker.process().filter(|_| worker.is_ready())?.pid;
        Some(Subject { slot, pid, measure: settings.memory_measure, every: settings.memory_interval })
    };
    fleet.workers.iter().filter_map(subject).collect()
}

impl Gauge {
    /// When one of them is to be measured next; `None` where there are none. The measurements are spread over the interval.
    pub(crate) fn due(&self, subjects: &[Subject]) -> Option<Duration> {
        let every = subjects.iter().map(|subject| subject.every).min()?;
        Some(self.looked.saturating_add(every / u32::try_from(subjects.len()).unwrap_or(u32::MAX)))
    }

    /// Measures the one that has not been for longest, if it is time.
    pub(crate) fn look(&mut self, subjects: &[Subject], now: Duration) -> Option<Event> {
        let subject = self.next(subjects, now)?;
        match read(Path::new("/proc"), subject.pid, subject.measure) {
            Ok(size) => Some(Event::Measured { sizes: vec![(subject.slot, size?)] }),
            Err(error) => {
                self.complain(subject.pid, &error);
                None
            }
        }
    }

    /// Whose turn it is.
    fn next(&mut self, subjects: &[Subject], now: Duration) -> Option<Subject> {
        if self.due(subjects)? > now {
            return None;
        }
        self.seen.retain(|key, _| subjects.iter().any(|subject| (subject.slot, subject.pid) == *key));
        let seen = |subject: &&Subject| self.seen.get(&(subject.slot, subject.pid));
        let next = *subjects.iter().min_by_key(seen)?;
        self.seen.insert((next.slot, next.pid), now);
        self.looked = now;
        Some(next)
    }

    fn complain(&mut self, pid: i32, error: &io::Error) {
        if std::mem::replace(&mut self.has_complained, true) {
            return;
        }
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => {
                " (the workers run as another user: give the arbiter CAP_SYS_PTRACE, as by CapabilityBoundingSet= and \
                 AmbientCapabilities= in a systemd unit)"
            }
            _ => "",
        };
        log::warn!(
            "The memory of workers can't be measured, so max_memory and max_memory_hard do nothing: \
             /proc/{pid}/smaps_rollup: {error}{advice}"
        );
    }
}

/// How many bytes a process has; `None` where there is no such process any more.
fn read(proc: &Path, pid: i32, measure: MemoryMeasure) -> io::Result<Option<u64>> {
    let folder = proc.join(pid.to_string());
    match fs::read_to_string(folder.join("smaps_rollup")) {
        // One that has died and has not been reaped has no memory.
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => size(&text, measure).map(Some).ok_or_else(|| io::Error::other("no figures in it")),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many bytes a process has of which this is the `smaps_rollup` (proc_pid_smaps(5)), what is swapped out of it included.
fn size(rollup: &str, measure: MemoryMeasure) -> Option<u64> {
    let kilobytes = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()
    };
    let resident = match measure {
        MemoryMeasure::Pss => kilobytes("Pss")?,
        MemoryMeasure::Uss => kilobytes("Private_Clean")?.saturating_add(kilobytes("Private_Dirty")?),
    };
    resident.saturating_add(kilobytes("SwapPss").unwrap_or(0)).checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "55cfea6aa000-7ffe59dff000 ---p 00000000 00:00 0                          [rollup]
Rss:               10692 kB
Pss:                5022 kB
Pss_Dirty:          1504 kB
Pss_Anon:           1504 kB
Shared_Clean:       6788 kB
Shared_Dirty:          0 kB
Private_Clean:      2400 kB
Private_Dirty:      1504 kB
Referenced:        10692 kB
Swap:                200 kB
SwapPss:             100 kB
Locked:                0 kB
";

    #[test]
    fn sizes_are_those_of_the_measure_with_what_is_swapped_out() {
        assert_eq!(size(ROLLUP, MemoryMeasure::Pss), Some(5122 * 1024));
        assert_eq!(size(ROLLUP, MemoryMeasure::Uss), Some((2400 + 1504 + 100) * 1024));
        assert_eq!(size("Pss: 7 kB\n", MemoryMeasure::Pss), Some(7 * 1024), "a kernel without swap");
        for text in ["", "Pss:\n", "Pss: kB\n", "Pss: -1 kB\n", "Pss: 18446744073709551615 kB\n", "Pss_Anon: 1 kB\n"] {
            assert_eq!(size(text, MemoryMeasure::Pss), None, "{text:?}");
        }
        assert_eq!(size("Private_Dirty: 7 kB\n", MemoryMeasure::Uss), None);
    }

    #[test]
    fn a_process_measures_itself_and_one_that_is_gone_has_nothing() {
        let own = i32::try_from(std::process::id()).unwrap();
        let [pss, uss] = MemoryMeasure::ALL.map(|measure| read(Path::new("/proc"), own, measure).unwrap().unwrap());
        // One after the other, while other tests run in this process.
        assert!([uss, pss].iter().all(|size| (1 << 16..1 << 40).contains(size)), "{uss} {pss}");
        assert_eq!(read(Path::new("/proc"), i32::MAX, MemoryMeasure::Pss).unwrap(), None);
    }

    #[test]
    fn workers_take_turns_spread_over_the_interval() {
        let at = Duration::from_millis;
        let subject = |slot, pid| Subject { slot, pid, measure: MemoryMeasure::Pss, every: at(6000) };
        let mut workers = vec![subject(0, 7), subject(1, 8), subject(2, 9)];
        let mut gauge = Gauge::default();
        assert_eq!(gauge.due(&[]), None);
        let mut turns = Vec::new();
        for now in (100_000..112_000).step_by(500) {
            if now == 106_000 {
                workers[1] = subject(1, 10);
            }
            turns.extend(gauge.next(&workers, at(now)).map(|next| (now, next.pid)));
        }
        // The newcomer, which nobody has measured, comes first.
        let expected = [(100_000, 7), (102_000, 8), (104_000, 9), (106_000, 10), (108_000, 7), (110_000, 9)];
        assert_eq!(turns, expected);
        assert_eq!(gauge.due(&workers), Some(at(112_000)));
        assert_eq!(gauge.seen.len(), 3, "those that are gone are forgotten");
    }
}
