//! How many CPUs this process may use: the fewest of its affinity and of its control groups' quotas, rounded up.
//!
//! `std::thread::available_parallelism` looks at the same, but rounds quotas down: a container with 1.5 CPUs would
//! get one worker. Only reads; called for `workers = "auto"`.

use std::path::{Path, PathBuf};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// At least one.
pub(crate) fn usable() -> u32 {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let quota = quota(&groups, Path::new("/sys/fs/cgroup")).unwrap_or(u32::MAX);
    affinity().min(quota).max(1)
}

/// The CPUs that the scheduler may put this process on.
fn affinity() -> u32 {
    let counted = sched_getaffinity(Pid::from_raw(0)).map(|set| {
        let count = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    });
    // The system refuses where it has more CPUs than the set has room for.
    counted
        .or_else(|_| std::thread::available_parallelism().map(|count| u32::try_from(count.get()).unwrap_or(u32::MAX)))
        .unwrap_or(1)
}

/// The smallest quota of the process's control groups and of those above them, as CPUs rounded up. `groups` is the text
/// of `/proc/self/cgroup`, `root` where control groups are mounted.
fn quota(groups: &str, root: &Path) -> Option<u32> {
    groups.lines().filter_map(|line| group_quota(line, root)).min()
}

/// A line is `number:controllers:path`; version 2 has no controllers there.
fn group_quota(line: &str, root: &Path) -> Option<u32> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    if controllers.is_empty() {
        // With both versions in use, version 2 is mounted one level down.
        return [root.to_path_buf(), root.join("unified")]
            .iter()
            .filter_map(|mount| upwards(mount, path, version_2))
            .min();
    }
    if !controllers.split(',').any(|controller| controller == "cpu") {
        return None;
    }
    ["cpu", controllers, "cpu,cpuacct"].iter().filter_map(|mount| upwards(&root.join(mount), path, version_1)).min()
}

/// The smallest quota from the group up to the mount. In a container, the path may not exist below the mount: the
/// mount then is the container's own group, where the walk ends.
fn upwards(mount: &Path, path: &str, read: fn(&Path) -> Option<u32>) -> Option<u32> {
    let below: PathBuf =
        Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    below.ancestors().filter_map(|group| read(&mount.join(group))).min()
}

/// `cpu.max` holds "quota period", or "max period".
fn version_2(group: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    rounded_up(quota, period)
}

/// `cpu.cfs_quota_us` holds -1 where there is no quota.
fn version_1(group: &Path) -> Option<u32> {
    let quota = std::fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period = std::fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    rounded_up(quota.trim(), period.trim())
}

fn rounded_up(quota: &str, period: &str) -> Option<u32> {
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    if period == 0 { None } else { u32::try_from(quota.div_ceil(period)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files that is gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("tapster-cpus-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_quota_of_one_and_a_half_cpus_is_two() {
        let tree = Tree::new("v2", &[("cpu.max", "max 100000\n"), ("app/cpu.max", "150000 100000\n")]);
        assert_eq!(quota("0::/app\n", &tree.0), Some(2));
    }

    #[test]
    fn the_quota_of_a_group_above_counts() {
        let files = [("a/cpu.max", "100000 100000"), ("a/b/cpu.max", "400000 100000"), ("a/b/c/cpu.max", "max 100000")];
        let tree = Tree::new("above", &files);
        assert_eq!(quota("0::/a/b/c\n", &tree.0), Some(1));
    }

    #[test]
    fn a_container_that_sees_the_hosts_path_finds_its_own_group_at_the_mount() {
        let files = [("cpu,cpuacct/cpu.cfs_quota_us", "250000\n"), ("cpu,cpuacct/cpu.cfs_period_us", "100000\n")];
        let tree = Tree::new("v1", &files);
        let groups = "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/docker/1\n";
        assert_eq!(quota(groups, &tree.0), Some(3));
    }

    #[test]
    fn without_a_quota_there_is_none() {
        let files =
            [("cpu/cpu.cfs_quota_us", "-1\n"), ("cpu/cpu.cfs_period_us", "100000\n"), ("cpu.max", "max 100000")];
        let tree = Tree::new("none", &files);
        assert_eq!(quota("3:cpu:/\n0::/\n", &tree.0), None);
        assert_eq!(quota("", &tree.0), None);
    }

    #[test]
    fn there_is_always_a_cpu_to_use() {
        assert!(usable() >= 1);
    }
}
