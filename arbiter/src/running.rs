//! Names the requests that a worker was running, for the line in the log that tells of its death or halt.
//!
//! Pure; called by `perform`, which reads them off the scoreboard.

use std::time::Duration;

use tapster_ipc::Running;

use crate::decide::words;

/// So many are named.
const NAMED: usize = 5;

/// What follows the line: nothing, where no request was running. `running` has the oldest first.
#[must_use]
pub(crate) fn clause(running: &[Running], now: Duration) -> String {
    let name = |one: &Running| format!("{one} (for {})", words(now.saturating_sub(one.since)));
    let named: Vec<_> = running.iter().take(NAMED).map(name).collect();
    let more = running.len() - named.len();
    match named.split_last() {
        None => String::new(),
        Some(_) if more > 0 => format!("; it was running {} and {more} more", named.join(", ")),
        Some((last, [])) => format!("; it was running {last}"),
        Some((last, before)) => format!("; it was running {} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tapster_ipc::Scoreboard;

    use super::*;

    #[test]
    fn five_requests_are_named_and_the_others_counted() {
        let board = Scoreboard::create().unwrap();
        let slot = board.slot(0).unwrap();
        slot.use_records(7);
        let mut told = Vec::new();
        for thread in 0..7 {
            let now = Duration::from_millis(20_000);
            told.push(clause(&slot.running(), now));
            slot.begin_request(thread, 7_700 + 1_000 * thread as u64, format!("GET /{thread}").as_bytes());
        }
        assert_eq!(told[0], "");
        assert_eq!(told[1], "; it was running GET /0 (for 12.3 s)");
        assert_eq!(told[2], "; it was running GET /0 (for 12.3 s) and GET /1 (for 11.3 s)");
        assert!(told[5].ends_with("GET /3 (for 9.3 s) and GET /4 (for 8.3 s)"), "{}", told[5]);
        assert!(told[6].ends_with(", GET /4 (for 8.3 s) and 1 more"), "{}", told[6]);
    }
}
