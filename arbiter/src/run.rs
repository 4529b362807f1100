//! The server from its start to its end: prepares, then loops over events until nothing is left.
//!
//! The order of the preparations is that of what must be undone if a later one fails. Called by `main`.

use std::collections::VecDeque;
use std::time::Duration;

use tapster_config::{Settings, Sources};
use tapster_ipc::{ExitCode, Slot, logging};
use tapster_sys::fds::Inherited;
use tapster_sys::{lifeline, signals, stamp};

use crate::activation;
use crate::complain;
use crate::control::Control;
use crate::daemon::{self, Background, Detached};
use crate::decide::decide;
use crate::event::Event;
use crate::event_loop::EventLoop;
use crate::fleet::{Fleet, Phase};
use crate::identity::Identity;
use crate::listeners::Patience;
use crate::load;
use crate::memory::{self, Gauge};
use crate::perform::Stage;
use crate::pidfile::Pidfile;
use crate::scale;
use crate::succession::Successor;
use crate::upgrade::Heritage;

/// Serves until told to stop, and returns the status to exit with. What goes wrong is logged. `inherited` is what the
/// process was started with, and `heritage` what it has of the server whose place it is to take.
#[must_use]
pub fn serve(settings: Settings, sources: Sources, inherited: Inherited, heritage: Option<Heritage>) -> ExitCode {
    signals::survive_file_size_limit();
    // A successor is in the background already, where the server before it is.
    let detaches = settings.daemon && heritage.is_none();
    let background = match detaches.then(|| daemon::detach(&settings)).transpose() {
        Ok(Some(Detached::Command(exit))) => return exit,
        Ok(Some(Detached::Server(background))) => Some(background),
        Ok(None) => None,
        Err(reason) => {
            complain(&reason);
            return ExitCode::Failed;
        }
    };
    if let Err(reason) = load::start_log(&settings) {
        complain(&reason);
        return ExitCode::Failed;
    }
    if settings.daemon
        && heritage.is_some()
        && let Err(error) = daemon::leave_stderr()
    {
        log::error!("The standard error stream can't be left: {error}");
    }
    match start_and_supervise(settings, sources, inherited, background, heritage) {
        Ok(exit) => exit,
        Err(reason) => {
            log::error!("{reason}");
            if logging::has_lost() {
                complain(&format!("{reason} (the log can't be written)"));
            }
            ExitCode::Failed
        }
    }
}

fn start_and_supervise(
    settings: Settings,
    sources: Sources,
    mut inherited: Inherited,
    background: Option<Background>,
    heritage: Option<Heritage>,
) -> Result<ExitCode, String> {
    log::info!("Starting tapster {}", env!("CARGO_PKG_VERSION"));
    if settings.reload {
        log::warn!("reload is on, which is for development: whoever asks is shown the application's errors");
    }
    let system = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    // Signals first: from here on one ends the server in order, and leaves no file behind.
    let mut event_loop = EventLoop::new().map_err(system("can't take over the signals"))?;
    signals::unblock_all().map_err(system("can't unblock the signals"))?;
    // Before there is anything that others see, of a server that can't be.
    Identity::of(&settings)?;
    let write = if heritage.is_some() { Pidfile::write_second } else { Pidfile::write };
    let pidfile = settings.pid.as_deref().map(write).transpose()?;
    lifeline::adopt_orphans().map_err(system("can't become the workers' adopter (PR_SET_CHILD_SUBREAPER)"))?;
    if let Some(path) = &settings.control_socket {
        event_loop.open_control(path, heritage.is_some())?;
    }
    let limits = load::limits(&settings);
    activation::tell(&settings, &sources, &inherited);
    let mut fleet = Fleet::new(limits);
    let open = heritage.as_ref().map(Heritage::listeners).unwrap_or_default();
    let loaded = load::load(settings, open, Patience::START, &mut inherited)?;
    let is_alone = heritage.is_none();
    if let Some(heritage) = heritage {
        log::info!("Taking the place of pid {}, at {} of its sockets", heritage.pid(), heritage.kept());
        for text in fleet.succeed(heritage.pid(), heritage.staff()) {
            log::info!("{text}");
        }
        event_loop
            .succession
            .attend(heritage)
            .map_err(system("can't poll the channel to the server before this one"))?;
    }
    let mut stage = Stage::new(sources, inherited, loaded, pidfile).map_err(system("can't make the scoreboard"))?;
    stage.background = background;
    if is_alone {
        stage.service.become_main();
    }
    let exit = supervise(&mut fleet, &mut stage, &mut event_loop).map_err(system("can't wait for events"));
    if fleet.successor.is_some_and(Successor::is_up) {
        stage.leave_pid_file(&event_loop.succession);
    }
    drop(stage);
    log::info!("Tapster has stopped");
    // Last of all: the end of the channel tells a successor that nothing of this server's is left.
    drop(event_loop);
    exit
}

fn supervise(fleet: &mut Fleet, stage: &mut Stage, event_loop: &mut EventLoop) -> std::io::Result<ExitCode> {
    let mut events = VecDeque::from([Event::Tick { busy: Vec::new() }]);
    let (mut ticked, mut sampled) = (Duration::ZERO, Duration::ZERO);
    let mut gauge = Gauge::default();
    loop {
        while let Some(event) = events.pop_front() {
            if !matches!(event, Event::Load { .. }) {
                log::debug!("{event:?}");
            }
            event_loop.control.iter_mut().for_each(|control| control.hand_over(&event));
            let (is_tick, now) = (matches!(event, Event::Tick { .. }), stamp::monotonic());
            let actions = decide(fleet, event, now);
            ticked = if is_tick { now } else { ticked };
            event_loop.control.iter_mut().for_each(|control| control.follow(&actions, now));
            let mut outcome = stage.perform(actions, &mut event_loop.channels, &mut event_loop.succession);
            if let Some(exit) = outcome.exit {
                event_loop.control.iter_mut().for_each(Control::say_farewell);
                return Ok(exit);
            }
            outcome.events.append(&mut events);
            events = outcome.events;
        }
        let (now, watched, takes_long) = (stamp::monotonic(), fleet.watched(), takes_long(fleet));
        stage.service.turn(takes_long, now);
        let look = next_look(stage, &watched, now);
        let sample = fleet.follows_load().then(|| sampled.saturating_add(scale::EVERY));
        let subjects = memory::subjects(fleet, |generation| stage.settings(generation));
        let turn = stage.service.next_turn(takes_long);
        let mut due = [look, sample, turn, gauge.due(&subjects)].into_iter().flatten().min();
        if let Some(control) = &mut event_loop.control {
            control.answer(fleet, stage.scoreboard(), now);
            due = due.into_iter().chain(control.next_deadline()).min();
        }
        events = event_loop.wait(longest_wait(fleet, due, ticked, now))?;
        let now = stamp::monotonic();
        if sample.is_some_and(|sample| sample <= now) {
            sampled = now;
            events.push_back(load(stage, fleet));
        }
        let due = fleet.next_deadline(ticked).into_iter().chain(look).min();
        if events.is_empty() || due.is_some_and(|due| due <= now) {
            // Behind all that has been said by now.
            events.push_back(Event::Tick { busy: busy(stage, &watched) });
        }
        events.extend(gauge.look(&subjects, stamp::monotonic()));
    }
}

/// Whether the server is on its way from one state to another, which has a limit that the arbiter itself sees to. A boot that may
/// take for ever has none: then it is for the service manager to lose patience.
fn takes_long(fleet: &Fleet) -> bool {
    let boots_in_time = || fleet.generations.get(&fleet.target).is_some_and(|target| target.limits.boot.is_some());
    match fleet.phase {
        Phase::Starting => boots_in_time(),
        // A stop that has been announced has begun for the manager.
        Phase::Up { .. } => fleet.stops_at.is_some() || fleet.is_reloading() && boots_in_time(),
        Phase::Stopping { .. } => true,
    }
}

/// How long nothing is due, at most. What has fallen due since `ticked`, when the last tick was, is waited for no longer; what was
/// due before has been decided on, and is not looked at again.
fn longest_wait(fleet: &Fleet, look: Option<Duration>, ticked: Duration, now: Duration) -> Option<Duration> {
    let next = fleet.next_deadline(ticked).into_iter().chain(look).min();
    next.map(|next| next.saturating_sub(now))
}

/// When a worker may have been at one thing for too long. One that is idle now has all of its time before it.
fn next_look(stage: &Stage, watched: &[(u32, Duration)], now: Duration) -> Option<Duration> {
    let since = |slot| stage.scoreboard().slot(slot).and_then(Slot::busy_since).unwrap_or(now);
    watched.iter().map(|&(slot, limit)| since(slot).saturating_add(limit)).min()
}

/// Which of the workers are at something, and since when.
fn busy(stage: &Stage, watched: &[(u32, Duration)]) -> Vec<(u32, Duration)> {
    let since = |&(slot, _): &(u32, Duration)| Some((slot, stage.scoreboard().slot(slot)?.busy_since()?));
    watched.iter().filter_map(since).collect()
}

/// What the load is just now.
fn load(stage: &Stage, fleet: &Fleet) -> Event {
    let slots = || fleet.sampled().into_iter().filter_map(|slot| stage.scoreboard().slot(slot));
    let busy = slots().map(Slot::busy_threads).fold(0, u32::saturating_add);
    let waiting = slots().map(Slot::waiting).fold(stage.unaccepted(fleet.target), u32::saturating_add);
    Event::Load { busy, waiting }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Limits;

    #[test]
    fn what_fell_due_while_actions_were_carried_out_is_not_slept_over() {
        let at = Duration::from_secs;
        let limits = Limits { grace: at(5), boot: Some(at(5)), graceful: at(30), probation: at(1), ..Limits::BLANK };
        let mut fleet = Fleet::new(limits);
        for event in [Event::Tick { busy: Vec::new() }, Event::Spawned { generation: 1, pid: 7 }] {
            decide(&mut fleet, event, at(100));
        }
        assert_eq!(longest_wait(&fleet, None, at(100), at(101)), Some(at(4)));
        assert_eq!(
            longest_wait(&fleet, None, at(100), at(109)),
            Some(Duration::ZERO),
            "overdue, and not yet looked at"
        );
        decide(&mut fleet, Event::Tick { busy: Vec::new() }, at(110));
        assert_eq!(
            longest_wait(&fleet, None, at(110), at(110)),
            Some(Duration::from_millis(100)),
            "it has been killed"
        );
        decide(&mut fleet, Event::Tick { busy: Vec::new() }, at(111));
        assert_eq!(longest_wait(&fleet, None, at(111), at(112)), None, "no spinning");
    }
}
