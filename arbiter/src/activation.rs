//! Sockets that a service manager has opened and passes to the process that it starts (sd_listen_fds(3)).
//!
//! Reads the variables that say so, and tells the log what became of the sockets; `listeners` takes them. Called by `main`, before
//! anything is opened, and by `run`.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use tapster_config::{Bind, Settings, Sources};
use tapster_sys::fds::Inherited;

/// The first passed socket's descriptor.
const FIRST: RawFd = 3;
/// More are not believed in.
const MOST: RawFd = 1024;

/// Finds what was passed to this process, names it in `inherited`, and has it listened at where no source of settings says
/// otherwise.
pub fn take_note(sources: &mut Sources, inherited: &mut Inherited) {
    let passed = passed(&sources.env, std::process::id());
    sources.passed = passed.iter().map(|(number, _)| Bind::Fd(*number)).collect();
    inherited.name(passed);
}

/// The sockets passed to the process with this pid, with their names.
fn passed(env: &BTreeMap<String, String>, pid: u32) -> Vec<(RawFd, String)> {
    let number = |name: &str| env.get(name)?.trim().parse::<i64>().ok();
    if number("LISTEN_PID") != Some(pid.into()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).unwrap_or(0).clamp(0, MOST);
    let names = env.get("LISTEN_FDNAMES").map(String::as_str).unwrap_or_default();
    // What systemd calls a descriptor that has no name.
    let names = names.split(':').map(|name| if name.is_empty() { "unknown" } else { name });
    let names = names.chain(std::iter::repeat("unknown"));
    (FIRST..FIRST + count).zip(names).map(|(number, name)| (number, name.to_owned())).collect()
}

/// Says what becomes of the sockets that were passed, and of those that were passed to somebody else.
pub(crate) fn tell(settings: &Settings, sources: &Sources, inherited: &Inherited) {
    if let (Some(pid), true) = (sources.env.get("LISTEN_PID"), sources.passed.is_empty()) {
        log::warn!(
            "LISTEN_FDS is set, but for process {pid} and not for this one: no socket is taken from it. Where a script starts \
             tapster, it has to do so by `exec`"
        );
    }
    let shown = |found: Vec<&(RawFd, String)>| {
        found.iter().map(|(number, name)| format!("fd://{number} ({name})")).collect::<Vec<_>>().join(", ")
    };
    let is_bound = |(number, name): &&(RawFd, String)| {
        settings.bind.iter().any(|bind| match bind {
            Bind::Fd(bound) => bound == number,
            Bind::Passed(bound) => bound == name,
            Bind::Tcp { .. } | Bind::Unix { .. } | Bind::Abstract { .. } => false,
        })
    };
    let (bound, unbound): (Vec<_>, Vec<_>) = inherited.names().iter().partition(is_bound);
    if !bound.is_empty() {
        log::info!("The service manager has passed {}", shown(bound));
    }
    if !unbound.is_empty() {
        log::warn!("Nobody will accept what comes in at {}, which was passed and is not in `bind`", shown(unbound));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Vec<(RawFd, String)> {
        passed(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), 7)
    }

    fn named(names: &[(RawFd, &str)]) -> Vec<(RawFd, String)> {
        names.iter().map(|(number, name)| (*number, (*name).to_owned())).collect()
    }

    #[test]
    fn what_is_passed_to_this_process_has_a_number_and_a_name() {
        let all = [("LISTEN_PID", "7"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "web:admin")];
        assert_eq!(found(&all), named(&[(3, "web"), (4, "admin"), (5, "unknown")]));
        assert_eq!(found(&all[..2]), named(&[(3, "unknown"), (4, "unknown"), (5, "unknown")]));
    }

    #[test]
    fn what_is_meant_for_another_process_or_nonsense_is_nothing() {
        for (pid, count) in [("8", "1"), ("", "1"), ("7", ""), ("7", "-1"), ("7", "many"), ("x", "1")] {
            assert_eq!(found(&[("LISTEN_PID", pid), ("LISTEN_FDS", count)]), []);
        }
        assert_eq!(found(&[("LISTEN_FDS", "1")]), []);
        assert_eq!(found(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "99999999")]).len(), 1024);
    }
}
