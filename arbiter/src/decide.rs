//! What to do about an event: one function, without I/O and without a clock, so that every case is a line in a table test.
//!
//! An event edits what is wanted or what is known of the fleet (`signals`, `stops`, `reloads`, `reports`, `stuck`, `halted`,
//! `deaths`); then whatever is late is ended (`deadlines`), whatever has served long enough is marked (`recycling`), a new
//! generation that has shown that it works is relied on (`reports`), `converge` makes the fleet follow what is wanted, and a
//! reload that is over is concluded (`reloads`). Called by `run`, for each event in turn.

mod changes;
mod converge;
mod deadlines;
mod deaths;
mod failures;
mod halted;
mod recycling;
mod reloads;
mod reopen;
mod reports;
mod scale;
mod signals;
mod status;
mod stops;
mod stuck;
mod turn;
mod upgrade;

use std::time::Duration;

use crate::action::Action;
use crate::event::Event;
use crate::fleet::Fleet;
use turn::Turn;
pub(crate) use turn::words;

/// Takes `event`, which happened at `now`, into the fleet, and returns what is to be done, in order.
///
/// Who is late is looked for by ticks alone: the loop brings one when it has heard all that was said before. An arbiter that was
/// itself at a halt would otherwise take those for late whose word it has not read yet.
pub fn decide(fleet: &mut Fleet, event: Event, now: Duration) -> Vec<Action> {
    let is_tick = matches!(event, Event::Tick { .. });
    let mut turn = Turn::new(fleet, now);
    match event {
        Event::Signal { signal, sender } => turn.signal(signal, sender.as_ref()),
        Event::Resize { by, sender } => turn.resize_by(by, sender.as_ref()),
        Event::Spawned { generation, pid } => turn.spawned(generation, pid),
        Event::SpawnFailed { generation, reason } => turn.spawn_failed(generation, &reason),
        Event::Report { from, report } => turn.report(from, report),
        Event::Gossip { from, what } => turn.gossip(from, &what),
        Event::Closed { from } => turn.closed(from),
        Event::Exited { pid, end } => turn.exited(pid, end),
        Event::Stopped { pid, signal } => turn.stopped(pid, signal),
        Event::Continued { pid } => turn.continued(pid),
        Event::SettingsLoaded { limits } => turn.settings_loaded(limits),
        Event::SettingsRefused { reason } => turn.settings_refused(&reason),
        Event::Launched { pid } => turn.launched(pid),
        Event::LaunchFailed { reason } => turn.launch_failed(&reason),
        Event::SuccessorUp { keeps_all } => turn.successor_up(keeps_all),
        Event::SuccessorLacks => turn.successor_lacks(),
        Event::NamedMain => turn.act(Action::BecomeMain),
        Event::PredecessorGone => turn.predecessor_gone(),
        Event::Measured { sizes } => turn.measured(&sizes),
        Event::Load { busy, waiting } => turn.load(busy, waiting),
        Event::Tick { busy } => turn.tick(&busy),
    }
    turn.stop_as_announced();
    if is_tick {
        turn.end_halted();
        turn.expire();
        turn.expire_successor();
    }
    turn.outlive();
    turn.prove();
    turn.report_up();
    turn.tell_setback();
    turn.converge();
    turn.follow_up();
    turn.tell_status();
    turn.actions
}
