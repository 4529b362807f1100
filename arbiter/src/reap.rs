//! Collects the ends of child processes, adopted orphans among them, and hears which were stopped or go on.
//!
//! Called by the event loop when SIGCHLD has come. What that means is `decide`'s.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tapster_sys::stamp;
use tapster_sys::wait::{Change, Ended, change};

use crate::event::{End, Event};

/// A kill for want of memory that the kernel has counted is looked for among the deaths of this long: where several die, the
/// counts may come before all of the deaths do. Later it was a process that is none of ours, such as one that an application
/// has started.
const MOMENT: Duration = Duration::from_secs(2);

/// Reaps, and remembers how often the kernel has killed for want of memory.
#[derive(Debug)]
pub(crate) struct Reaper {
    memory_events: Option<PathBuf>,
    /// What the kernel had counted when that was looked at last.
    counted: u64,
    /// So many of those kills have not been told of, the last of which was seen then.
    untold: u64,
    seen: Duration,
}

impl Reaper {
    /// Finds where the kernel counts what it kills in this control group, if there is anything to read.
    #[must_use]
    pub(crate) fn new() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::over(memory_events(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo")))
    }

    fn over(memory_events: Option<PathBuf>) -> Self {
        let counted = memory_events.as_deref().and_then(kills).unwrap_or(0);
        Self { memory_events, counted, untold: 0, seen: Duration::ZERO }
    }

    /// Reaps every child that has ended, and hears which of the others were stopped or go on.
    pub(crate) fn reap_all(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        // An error means that there is no child at all.
        while let Ok(Some((pid, change))) = change() {
            events.push(match change {
                Change::Ended(ended) => Event::Exited { pid, end: self.end(ended) },
                Change::Stopped(signal) => Event::Stopped { pid, signal },
                Change::Continued => Event::Continued { pid },
            });
        }
        events
    }

    fn end(&mut self, ended: Ended) -> End {
        match ended {
            Ended::Status(status) => End::Status(status),
            Ended::Signal(signal) => {
                End::Killed { signal, out_of_memory: self.was_out_of_memory(signal, stamp::monotonic()) }
            }
        }
    }

    fn was_out_of_memory(&mut self, signal: i32, now: Duration) -> bool {
        let Some(path) = self.memory_events.as_deref().filter(|_| signal == Signal::SIGKILL as i32) else {
            return false;
        };
        // What can't be read now, for want of a descriptor, must not look like fewer kills, and the next ones like new.
        let Some(counted) = kills(path) else { return false };
        let before = std::mem::replace(&mut self.counted, counted);
        if counted > before {
            (self.untold, self.seen) = (counted - before, now);
        } else if now.saturating_sub(self.seen) > MOMENT {
            self.untold = 0;
        }
        let was = self.untold > 0;
        self.untold = self.untold.saturating_sub(1);
        was
    }
}

impl Default for Reaper {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the kernel counts what it kills for want of memory, for the process whose `/proc/PID/cgroup` and `mountinfo` these are:
/// of cgroup v2 `memory.events`, which has what the groups below it count too, and of v1 `memory.oom_control`, which has not.
/// Whichever group's limit was hit, the kernel counts in the victim's.
fn memory_events(groups: &str, mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): id parent device root mount-point options [tags] - type source options.
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, mount_point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        let has_memory = |list: &str| list.split(',').any(|word| word == "memory");
        let (file, is_it): (_, &dyn Fn(&str) -> bool) = match kind {
            "cgroup2" => ("memory.events", &|controllers| controllers.is_empty()),
            "cgroup" if has_memory(options) => ("memory.oom_control", &has_memory),
            _ => return None,
        };
        let group = groups.lines().find_map(|line| {
            let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
            is_it(controllers).then_some(group)
        })?;
        // A container may see its own group alone: that is what is mounted then.
        let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        let path = Path::new(mount_point).join(below).join(file);
        path.exists().then_some(path)
    })
}

/// How many processes of the group the kernel has killed for want of memory; `None` where that can't be read.
fn kills(path: &Path) -> Option<u64> {
    let events = fs::read_to_string(path).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGKILL: i32 = Signal::SIGKILL as i32;

    /// A folder of this process's own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tapster-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_groups_file_is_found_in_either_hierarchy_and_however_it_is_mounted() {
        let folder = Folder::new("control-groups");
        let place = |below: &str, file: &str| {
            fs::create_dir_all(folder.0.join(below)).unwrap();
            fs::write(folder.0.join(below).join(file), "oom_kill 0\n").unwrap();
            folder.0.join(below).join(file)
        };
        let (v2, v1) = (place("v2/a/b", "memory.events"), place("v1/a/b", "memory.oom_control"));
        let (own_v2, own_v1) = (place("own2", "memory.events"), place("own1", "memory.oom_control"));
        let mount = |root: &str, at: &str, kind: &str, options: &str| {
            format!("31 23 0:28 {root} {}/{at} rw,relatime shared:4 - {kind} cgroup {options}\n", folder.0.display())
        };
        let (unified, legacy) = ("0::/a/b\n", "9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/\n");
        let cpu = mount("/", "v1", "cgroup", "rw,cpu");
        let table = [
            (unified, mount("/", "v2", "cgroup2", "rw"), Some(&v2)),
            (unified, mount("/a/b", "own2", "cgroup2", "rw"), Some(&own_v2)),
            ("0::/\n", mount("/", "own2", "cgroup2", "rw"), Some(&own_v2)),
            (legacy, mount("/", "v1", "cgroup", "rw,cpu,memory"), Some(&v1)),
            (legacy, mount("/a", "v1/a", "cgroup", "rw,cpu,memory"), Some(&v1)),
            (legacy, mount("/a/b", "own1", "cgroup", "rw,memory"), Some(&own_v1)),
            // A hybrid, where the unified hierarchy is there and counts no memory.
            (legacy, mount("/", "none", "cgroup2", "rw") + &cpu + &mount("/", "v1", "cgroup", "rw,memory"), Some(&v1)),
            (unified, mount("/", "none", "cgroup2", "rw"), None),
            (legacy, cpu.clone(), None),
            ("", mount("/", "v2", "cgroup2", "rw"), None),
            (unified, "nonsense\n - \n".into(), None),
        ];
        for (groups, mounts, expected) in table {
            assert_eq!(memory_events(groups, &mounts).as_ref(), expected, "{groups}{mounts}");
        }
    }

    #[test]
    fn the_kernels_count_is_found_among_the_others() {
        let folder = Folder::new("memory-events");
        let path = folder.0.join("memory.events");
        let count = |kills: u32| {
            fs::write(&path, format!("low 0\nhigh 0\nmax 7\noom 3\noom_kill {kills}\noom_group_kill 0\n")).unwrap();
        };
        count(1);
        let (mut reaper, at) = (Reaper::over(Some(path.clone())), Duration::from_secs);
        assert!(!reaper.was_out_of_memory(SIGKILL, at(100)), "that one was before");
        count(2);
        assert!(!reaper.was_out_of_memory(Signal::SIGSEGV as i32, at(100)));
        assert!(reaper.was_out_of_memory(SIGKILL, at(100)));
        assert!(!reaper.was_out_of_memory(SIGKILL, at(100)), "told once");
        count(4);
        assert!(reaper.was_out_of_memory(SIGKILL, at(200)));
        assert!(reaper.was_out_of_memory(SIGKILL, at(201)), "counted before its death was seen");
        count(6);
        assert!(reaper.was_out_of_memory(SIGKILL, at(300)));
        assert!(!reaper.was_out_of_memory(SIGKILL, at(310)), "the other one was none of ours");
        fs::remove_file(&path).unwrap();
        assert!(!reaper.was_out_of_memory(SIGKILL, at(320)));
        assert_eq!(reaper.counted, 6, "what can't be read changes nothing");
    }
}
