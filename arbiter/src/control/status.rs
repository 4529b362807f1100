//! How the server is, in words and as JSON: a copy of what the arbiter knows at one moment.
//!
//! Looks at the fleet and the scoreboard, changes nothing and does no I/O. Called by [`super::Control`] for `status`.

use std::fmt::Write;
use std::time::Duration;

use tapster_ipc::{Scoreboard, Slot};

use super::json::Object;
use crate::fleet::{Fleet, Phase, Template, Worker};
use crate::process::{Life, Process};
use crate::wear::Wear;

/// How the server is.
#[derive(Debug)]
pub(super) struct Status<'r> {
    /// The arbiter's pid.
    pub(super) pid: u32,
    /// Since when it runs.
    pub(super) uptime: Duration,
    /// `starting`, `up`, `paused`, `reloading` or `stopping`.
    pub(super) phase: &'static str,
    /// The generation that serves, if one does.
    pub(super) serving: Option<u64>,
    /// How many workers there should be.
    pub(super) desired: usize,
    /// How many serve.
    pub(super) ready: usize,
    /// All that there are.
    pub(super) generations: Vec<GenerationStatus>,
    /// By their slots.
    pub(super) workers: Vec<WorkerStatus>,
    /// The last reload that is over: how long ago, and what came of it.
    pub(super) last_reload: Option<(Duration, &'r Result<u64, String>)>,
}

/// How a generation is.
#[derive(Debug)]
pub(super) struct GenerationStatus {
    /// Its number.
    pub(super) number: u64,
    /// Its template's pid, if that runs.
    pub(super) template: Option<i32>,
    /// How far its template is.
    pub(super) state: &'static str,
}

/// How a worker is. Times are how long ago something was.
#[derive(Debug)]
pub(super) struct WorkerStatus {
    pub(super) slot: u32,
    pub(super) pid: Option<i32>,
    pub(super) generation: u64,
    pub(super) state: &'static str,
    /// When it became ready, while it is.
    pub(super) age: Option<Duration>,
    pub(super) requests: u64,
    pub(super) connections: u64,
    /// When its loop began with what it is at.
    pub(super) busy: Option<Duration>,
}

impl<'r> Status<'r> {
    /// The status at `now` of a server that has been there for `uptime`.
    #[must_use]
    pub(super) fn of(
        fleet: &Fleet,
        scoreboard: &Scoreboard,
        now: Duration,
        uptime: Duration,
        last_reload: Option<(Duration, &'r Result<u64, String>)>,
    ) -> Self {
        let generation = |(&number, generation): (&u64, &crate::fleet::Generation)| GenerationStatus {
            number,
            template: generation.template.process().map(|process| process.pid),
            state: template_state(&generation.template),
        };
        let worker = |(&slot, worker): (&u32, &Worker)| worker_status(slot, worker, scoreboard.slot(slot), now);
        Self {
            pid: std::process::id(),
            uptime,
            phase: match fleet.phase {
                Phase::Starting => "starting",
                Phase::Up { .. } if fleet.stops_at.is_some() => "stopping",
                Phase::Up { .. } if fleet.is_paused => "paused",
                Phase::Up { .. } if fleet.reloads.is_loading || !fleet.reloads.under_way.is_empty() => "reloading",
                Phase::Up { .. } => "up",
                Phase::Stopping { .. } => "stopping",
            },
            serving: fleet.proven(),
            desired: if matches!(fleet.phase, Phase::Stopping { .. }) { 0 } else { fleet.desired(fleet.target) },
            ready: fleet.ready(),
            generations: fleet.generations.iter().map(generation).collect(),
            workers: fleet.workers.iter().map(worker).collect(),
            last_reload,
        }
    }

    /// In words, for a terminal.
    #[must_use]
    pub(super) fn text(&self) -> String {
        let mut text = format!("tapster {VERSION} (pid {}), for {}: {}", self.pid, words(self.uptime), self.phase);
        if let Some(serving) = self.serving {
            let _ = write!(text, ", generation {serving} serves");
        }
        let _ = writeln!(text, "\nworkers: {} ready, {} wanted", self.ready, self.desired);
        for GenerationStatus { number, template, state } in &self.generations {
            let pid = template.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let _ = writeln!(text, "generation {number}: template {state}{pid}");
        }
        if let Some((ago, outcome)) = &self.last_reload {
            let outcome = match outcome {
                Ok(generation) => format!("generation {generation} serves"),
                Err(reason) => format!("failed: {reason}"),
            };
            let _ = writeln!(text, "last reload: {} ago, {}", words(*ago), outcome.trim_end());
        }
        let heads = ["SLOT", "PID", "GENERATION", "STATE", "AGE", "REQUESTS", "CONNECTIONS", "BUSY"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(heads).chain(self.workers.iter().map(WorkerStatus::row)).collect();
        let widths: [usize; 8] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text
    }

    /// As JSON, on one line.
    #[must_use]
    pub(super) fn json(&self) -> String {
        let mut object = Object::new();
        object.text("version", VERSION);
        object.number("pid", self.pid);
        object.seconds("uptime", Some(self.uptime));
        object.text("phase", self.phase);
        object.optional("generation", self.serving);
        object.number("workers_desired", self.desired);
        object.number("workers_ready", self.ready);
        object.list("generations", self.generations.iter().map(GenerationStatus::json));
        object.list("workers", self.workers.iter().map(WorkerStatus::json));
        match &self.last_reload {
            None => object.raw("last_reload", "null"),
            Some((ago, outcome)) => {
                let mut reload = Object::new();
                reload.seconds("ago", Some(*ago));
                reload.raw("succeeded", if outcome.is_ok() { "true" } else { "false" });
                reload.optional("generation", outcome.as_ref().ok());
                match outcome {
                    Ok(_) => reload.raw("reason", "null"),
                    Err(reason) => reload.text("reason", reason),
                }
                object.raw("last_reload", &reload.close());
            }
        }
        object.close()
    }
}

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl GenerationStatus {
    fn json(&self) -> String {
        let mut object = Object::new();
        object.number("generation", self.number);
        object.text("template", self.state);
        object.optional("template_pid", self.template);
        object.close()
    }
}

impl WorkerStatus {
    fn row(&self) -> [String; 8] {
        let dash = || "-".to_owned();
        [
            self.slot.to_string(),
            self.pid.map_or_else(dash, |pid| pid.to_string()),
            self.generation.to_string(),
            self.state.to_owned(),
            self.age.map_or_else(dash, words),
            self.requests.to_string(),
            self.connections.to_string(),
            self.busy.map_or_else(dash, words),
        ]
    }

    fn json(&self) -> String {
        let mut object = Object::new();
        object.number("slot", self.slot);
        object.optional("pid", self.pid);
        object.number("generation", self.generation);
        object.text("state", self.state);
        object.seconds("age", self.age);
        object.number("requests", self.requests);
        object.number("connections", self.connections);
        object.seconds("busy", self.busy);
        object.close()
    }
}

fn worker_status(slot: u32, worker: &Worker, board: Option<Slot>, now: Duration) -> WorkerStatus {
    let process = worker.process();
    let age = process.and_then(|process| match process.life {
        Life::Ready { since } => Some(now.saturating_sub(since)),
        Life::Booting { .. } | Life::Ending { .. } | Life::Killed { .. } => None,
    });
    WorkerStatus {
        slot,
        pid: process.map(|process| process.pid),
        generation: worker.generation,
        state: match (process, worker.worn.map(|worn| worn.wear)) {
            (None, _) => "forking",
            (Some(_), Some(Wear::Stuck)) => "stuck",
            (Some(_), Some(_)) if worker.is_ready() => "worn",
            (Some(process), _) => state(process),
        },
        age,
        requests: board.map_or(0, Slot::requests),
        connections: board.map_or(0, Slot::connections),
        busy: board.and_then(Slot::busy_since).map(|since| now.saturating_sub(since)),
    }
}

fn template_state(template: &Template) -> &'static str {
    match template {
        Template::Absent { .. } => "absent",
        Template::Spawning { .. } => "spawning",
        Template::Running(process) => state(process),
        Template::Gone => "gone",
    }
}

fn state(process: &Process) -> &'static str {
    match process.life {
        Life::Booting { .. } => "booting",
        Life::Ready { .. } => "ready",
        Life::Ending { .. } => "ending",
        Life::Killed { .. } => "killed",
    }
}

/// A time as people say it, in its two largest units.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status<'r>(last_reload: Option<(Duration, &'r Result<u64, String>)>) -> Status<'r> {
        let forking = WorkerStatus {
            slot: 1,
            pid: None,
            generation: 2,
            state: "forking",
            age: None,
            requests: 0,
            connections: 0,
            busy: None,
        };
        let ready = WorkerStatus {
            slot: 0,
            pid: Some(4712),
            state: "ready",
            age: Some(Duration::from_secs(61)),
            requests: 1234,
            connections: 5,
            ..forking
        };
        Status {
            pid: 4711,
            uptime: Duration::from_millis(93_784_500),
            phase: "up",
            serving: Some(2),
            desired: 2,
            ready: 1,
            generations: vec![GenerationStatus { number: 2, template: Some(4710), state: "ready" }],
            workers: vec![ready, forking],
            last_reload,
        }
    }

    #[test]
    fn the_words_stand_in_columns_and_give_the_reason_of_a_failure() {
        let failed = Err("SyntaxError:\n  line 1\n".to_owned());
        let text = status(Some((Duration::from_secs(3), &failed))).text();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "tapster {version} (pid 4711), for 1 d 2 h: up, generation 2 serves\n\
                 workers: 1 ready, 2 wanted\n\
                 generation 2: template ready (pid 4710)\n\
                 last reload: 3 s ago, failed: SyntaxError:\n  line 1\n\
                 SLOT  PID   GENERATION  STATE    AGE        REQUESTS  CONNECTIONS  BUSY\n\
                 0     4712  2           ready    1 min 1 s  1234      5            -\n\
                 1     -     2           forking  -          0         0            -\n"
            )
        );
    }

    #[test]
    fn the_json_has_the_same_and_null_where_there_is_nothing() {
        let failed = Err("a \"b\"\n".to_owned());
        let json = status(Some((Duration::from_secs(3), &failed))).json();
        assert!(!json.contains('\n'), "{json}");
        for part in [
            r#""uptime":93784.500,"phase":"up","generation":2,"workers_desired":2,"workers_ready":1"#,
            r#""generations":[{"generation":2,"template":"ready","template_pid":4710}]"#,
            r#"{"slot":1,"pid":null,"generation":2,"state":"forking","age":null,"requests":0,"connections":0,"busy":null}"#,
            r#""last_reload":{"ago":3.000,"succeeded":false,"generation":null,"reason":"a \"b\"\n"}}"#,
        ] {
            assert!(json.contains(part), "{part} in {json}");
        }
        let json = status(Some((Duration::ZERO, &Ok(7)))).json();
        assert!(json.ends_with(r#""succeeded":true,"generation":7,"reason":null}}"#), "{json}");
        assert!(status(None).json().ends_with(r#""last_reload":null}"#));
    }
}
