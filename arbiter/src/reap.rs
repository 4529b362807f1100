//! Collects the ends of child processes, adopted orphans among them.
//!
//! Called by the event loop when SIGCHLD has come. What an end means is `decide`'s.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tapster_sys::wait::{Ended, reap};

use crate::event::{End, Event};

/// Reaps, and remembers how often the kernel has killed for want of memory.
#[derive(Debug)]
pub(crate) struct Reaper {
    memory_events: Option<PathBuf>,
    out_of_memory: u64,
}

impl Reaper {
    /// Finds the control group's memory events (cgroup v2), if there are any to read.
    #[must_use]
    pub(crate) fn new() -> Self {
        let memory_events = fs::read_to_string("/proc/self/cgroup").ok().and_then(|groups| memory_events(&groups));
        let out_of_memory = memory_events.as_deref().map_or(0, kills);
        Self { memory_events, out_of_memory }
    }

    /// Reaps every child that has ended.
    pub(crate) fn reap_all(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        // An error means that there is no child at all.
        while let Ok(Some((pid, ended))) = reap() {
            let end = match ended {
                Ended::Status(status) => End::Status(status),
                Ended::Signal(signal) => End::Killed { signal, out_of_memory: self.was_out_of_memory(signal) },
            };
            events.push(Event::Exited { pid, end });
        }
        events
    }

    fn was_out_of_memory(&mut self, signal: i32) -> bool {
        let Some(path) = self.memory_events.as_deref().filter(|_| signal == Signal::SIGKILL as i32) else {
            return false;
        };
        let before = std::mem::replace(&mut self.out_of_memory, kills(path));
        self.out_of_memory > before
    }
}

impl Default for Reaper {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the memory events are of the process whose `/proc/PID/cgroup` this is.
fn memory_events(groups: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = Path::new("/sys/fs/cgroup").join(group).join("memory.events");
    path.exists().then_some(path)
}

/// How many processes of the group the kernel has killed for want of memory.
fn kills(path: &Path) -> u64 {
    let events = fs::read_to_string(path).unwrap_or_default();
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unified_control_group_has_memory_events() {
        assert_eq!(memory_events("1:name=systemd:/x\n"), None);
        assert_eq!(memory_events("0::/no/such/group\n"), None);
    }

    #[test]
    fn the_kernels_count_is_found_among_the_others() {
        let path = std::env::temp_dir().join(format!("tapster-memory-events-{}", std::process::id()));
        fs::write(&path, "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n").unwrap();
        let mut reaper = Reaper { memory_events: Some(path.clone()), out_of_memory: 1 };
        assert!(!reaper.was_out_of_memory(Signal::SIGSEGV as i32));
        assert!(reaper.was_out_of_memory(Signal::SIGKILL as i32));
        assert!(!reaper.was_out_of_memory(Signal::SIGKILL as i32), "told once");
        fs::remove_file(&path).unwrap();
    }
}
