//! The upgrade of the program: each signal with a successor that is up and one that is not, and with a predecessor.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::{self, *};
use tapster::action::{Action, Notice};
use tapster::event::{End, Event};
use tapster::fleet::{Child, Limits, Manner, Phase};
use tapster::succession::{Predecessor, Successor};
use tapster_ipc::{ExitCode, Order};

use crate::world::{CLEAN, SIGKILL, World, limits};

const STOPS: [Signal; 3] = [SIGTERM, SIGINT, SIGQUIT];
const OLD: i32 = 40;

/// A server with a successor, and the pid of that.
type Make = fn() -> (World, i32);

/// A server that has been sent USR2, and the pid of the new one, which boots.
fn launched() -> (World, i32) {
    let mut world = World::up(2);
    world.signal(SIGUSR2);
    assert!(world.launched().is_some());
    let pid = world.fleet.successor.expect("it has been started").pid;
    world.take();
    (world, pid)
}

fn beside(keeps_all: bool) -> (World, i32) {
    let (mut world, pid) = launched();
    world.happens(Event::SuccessorUp { keeps_all });
    assert!(world.has_logged(Level::Info, &format!("serves beside this one (pid: {pid})")));
    world.take();
    (world, pid)
}

/// A new server whose predecessor lives.
fn new_server() -> World {
    let mut world = World::new(2);
    world.fleet.predecessor = Some(Predecessor { pid: OLD, knows: false });
    world
}

fn new_server_up() -> World {
    let mut world = new_server();
    world.template_ready(1);
    world.all_ready();
    world
}

/// Whether the server stops so, to end with 0.
fn stops(world: &World, manner: Manner) -> bool {
    matches!(world.fleet.phase, Phase::Stopping { manner: of, exit: ExitCode::Stopped, .. } if of == manner)
}

fn ends(world: &mut World, pid: i32, end: End) {
    world.happens(Event::Exited { pid, end });
}

#[test]
fn a_signal_that_stops_hands_over_to_a_successor_that_is_up_and_takes_one_along_that_is_not() {
    for signal in STOPS {
        let (mut world, pid) = beside(true);
        world.signal(signal);
        assert!(stops(&world, Manner::Graceful), "{signal}");
        assert!(world.has_logged(Level::Info, &format!("hands over to pid {pid}")), "{signal}");
        assert!(world.has_notified(Notice::MainPid(pid)) && !world.has_notified(Notice::Stopping), "{signal}");
        let retire = Order::Retire { within_ms: 20_000, drain: false };
        assert_eq!(world.told(|order| *order == retire), [Child::Worker(0), Child::Worker(1)], "{signal}");
        assert!(!world.has_done(&Action::Disinherit) && !world.has_done(&Action::CloseListeners { at_once: true }));
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped), "{signal}: the new one is not waited for");

        let (mut world, pid) = launched();
        if signal == SIGQUIT {
            world.signal(SIGQUIT);
            world.pass(Duration::from_secs(1));
            assert!(!world.has_done(&Action::Disinherit), "it waits, until there is another");
        }
        world.signal(signal);
        let gentle = if signal == SIGTERM { SIGTERM } else { SIGQUIT };
        assert!(world.has_done(&Action::Kill { pid, signal: gentle }), "{signal}");
        assert!(world.has_notified(Notice::Stopping), "{signal}");
        let actions = world.take();
        let at = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).expect("it is done");
        let closed = at(|action| matches!(action, Action::CloseListeners { .. }));
        assert!(at(|action| *action == Action::Disinherit) < closed, "{signal}: what is closed is this server's own");
        world.settle();
        assert_eq!(world.exit, None, "{signal}: the new one has not ended");
        ends(&mut world, pid, CLEAN);
        assert_eq!(world.exit, Some(ExitCode::Stopped), "{signal}");
    }
}

#[test]
fn quit_before_the_new_server_is_up_hands_over_as_soon_as_it_is() {
    for keeps_all in [true, false] {
        let (mut world, pid) = launched();
        world.signal(SIGQUIT);
        let text =
            format!("SIGQUIT received: the new server (pid: {pid}) is not ready yet, and this server hands over to it");
        assert!(world.has_logged(Level::Info, &text), "{:?}", world.logged());
        world.take();
        world.signal(SIGQUIT);
        assert!(world.has_logged(Level::Debug, "taken for the same signal"), "it was delivered twice");
        world.exits(Child::Worker(0), SIGKILL);
        world.all_ready();
        world.pass(Duration::from_secs(3600));
        assert_eq!((world.fleet.ready(), world.retired(), world.exit), (2, Vec::new(), None), "it serves until then");
        world.take();
        world.happens(Event::SuccessorUp { keeps_all });
        assert!(stops(&world, Manner::Graceful));
        assert!(world.has_logged(Level::Info, "it takes over now, as QUIT has asked"), "{:?}", world.logged());
        assert!(world.has_logged(Level::Info, &format!("this server hands over to pid {pid}")));
        assert!(world.has_notified(Notice::MainPid(pid)) && !world.has_notified(Notice::Stopping));
        assert_eq!(world.told(|order| *order == Order::Retire { within_ms: 20_000, drain: !keeps_all }).len(), 2);
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped));
    }
}

#[test]
fn a_successor_that_dies_before_it_can_take_over_voids_the_quit() {
    for end in [End::Status(3), CLEAN] {
        let (mut world, pid) = launched();
        world.signal(SIGQUIT);
        ends(&mut world, pid, end);
        let level = if end == CLEAN { Level::Warn } else { Level::Error };
        assert!(world.has_logged(level, "this one goes on, and the QUIT"), "{:?}", world.logged());
        assert_eq!((world.fleet.successor, world.fleet.ready()), (None, 2));
        world.take();
        world.signal(SIGUSR2);
        world.happens(Event::SuccessorUp { keeps_all: true });
        assert_eq!((world.fleet.ready(), world.retired()), (2, Vec::new()), "the next one waits for a QUIT of its own");
    }
}

#[test]
fn a_second_signal_while_the_successor_is_awaited_ends_both() {
    for signal in STOPS {
        let (mut world, pid) = launched();
        world.signal(SIGQUIT);
        world.pass(Duration::from_secs(1));
        world.take();
        world.signal(signal);
        let gentle = if signal == SIGTERM { SIGTERM } else { SIGQUIT };
        assert!(world.has_done(&Action::Kill { pid, signal: gentle }), "{signal}");
        assert!(world.has_notified(Notice::Stopping) && world.has_done(&Action::Disinherit), "{signal}");
        world.settle();
        ends(&mut world, pid, CLEAN);
        assert_eq!(world.exit, Some(ExitCode::Stopped), "{signal}");
    }
    // And a stop that has been announced is only hastened.
    let (mut world, pid) = launched();
    world.fleet.stops_at = Some(world.now + Duration::from_secs(5));
    world.signal(SIGQUIT);
    assert!(world.has_done(&Action::Kill { pid, signal: SIGQUIT }));
}

#[test]
fn other_signals_do_what_they_do_without_a_successor() {
    for make in [launched, || beside(true)] {
        let (mut world, pid) = make();
        world.signal(SIGTTIN);
        world.all_ready();
        assert_eq!(world.fleet.ready(), 3);
        world.signal(SIGHUP);
        world.template_ready(2);
        world.all_ready();
        world.settle();
        assert_eq!((world.serving(1), world.fleet.proven()), (0, Some(2)));
        assert_eq!(world.fleet.successor.map(|successor| successor.pid), Some(pid));
    }
}

#[test]
fn a_second_upgrade_is_refused_and_the_refusal_names_the_pid() {
    let table: [(Make, &str); 2] = [
        (launched, "refused, a new server (pid: PID) is on its way"),
        (|| beside(true), "refused, the new server (pid: PID) runs beside this one"),
    ];
    for (make, text) in table {
        let (mut world, pid) = make();
        world.signal(SIGUSR2);
        assert!(world.has_logged(Level::Warn, &text.replace("PID", &pid.to_string())), "{:?}", world.logged());
        assert!(world.launched().is_none());
    }
    let mut world = new_server_up();
    world.signal(SIGUSR2);
    assert!(world.has_logged(Level::Warn, &format!("the one before it (pid: {OLD})")));
    assert!(world.launched().is_none());
}

#[test]
fn no_upgrade_is_begun_before_the_server_is_up_or_while_it_stops() {
    let mut world = World::new(2);
    world.signal(SIGUSR2);
    assert!(world.has_logged(Level::Warn, "refused, no worker has been ready yet"));
    let mut stopping = World::up(2);
    stopping.signal(SIGTERM);
    stopping.signal(SIGUSR2);
    assert!(stopping.has_logged(Level::Info, "SIGUSR2 received: ignored, the server is stopping"));
    assert!(world.launched().is_none() && stopping.launched().is_none());
}

#[test]
fn an_upgrade_that_can_not_be_begun_changes_nothing() {
    let mut world = World::up(2);
    world.can_spawn = false;
    world.signal(SIGUSR2);
    assert!(world.has_logged(Level::Error, "No new server is started, and this one goes on: no memory"));
    let is_refusal = |action: &Action| matches!(action, Action::Refuse(reason) if reason.ends_with("no memory"));
    assert!(world.take().iter().any(is_refusal), "whoever asks is told");
    assert_eq!((world.fleet.successor, world.fleet.ready()), (None, 2));
    world.can_spawn = true;
    world.signal(SIGUSR2);
    assert!(world.fleet.successor.is_some());
}

#[test]
fn a_successor_that_dies_or_is_sent_away_leaves_this_server_as_it_was() {
    let table: [(Make, End, Level, &str); 5] = [
        (
            launched,
            End::Status(3),
            Level::Error,
            "died before it was ready (pid: PID): exited with status 3; this one goes on",
        ),
        (
            launched,
            CLEAN,
            Level::Warn,
            "has ended before it was ready (pid: PID): exited with status 0; this one goes on",
        ),
        (
            || beside(true),
            SIGKILL,
            Level::Error,
            "died (pid: PID): killed by SIGKILL (not sent by the arbiter); this one",
        ),
        (|| beside(true), CLEAN, Level::Warn, "has ended (pid: PID): exited with status 0; this one goes on"),
        (|| beside(false), End::Status(1), Level::Error, "died (pid: PID): exited with status 1; this one goes on"),
    ];
    for (make, end, level, text) in table {
        let (mut world, pid) = make();
        ends(&mut world, pid, end);
        assert!(world.has_logged(level, &text.replace("PID", &pid.to_string())), "{:?}", world.logged());
        assert!(world.has_done(&Action::Disinherit));
        assert_eq!((world.fleet.successor, world.fleet.ready()), (None, 2));
        world.take();
        world.signal(SIGTERM);
        assert_eq!(world.told(|order| *order == Order::Retire { within_ms: 20_000, drain: true }).len(), 2);
        assert!(world.has_notified(Notice::Stopping));
    }
}

#[test]
fn one_that_dies_after_the_hand_over_is_said_and_holds_nobody_up() {
    let (mut world, pid) = beside(true);
    world.signal(SIGQUIT);
    ends(&mut world, pid, SIGKILL);
    assert!(world.has_logged(Level::Error, "this one had handed over to it already, and ends"));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn what_waits_at_an_address_that_the_successor_lacks_is_accepted_before_the_end() {
    let (mut world, _) = beside(false);
    world.signal(SIGQUIT);
    assert_eq!(world.told(|order| *order == Order::Retire { within_ms: 20_000, drain: true }).len(), 2);
}

#[test]
fn a_second_signal_hastens_the_end_and_not_the_first() {
    let (mut world, _) = beside(true);
    world.signal(SIGINT);
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(1)]);
    world.take();
    world.pass(Duration::from_millis(249));
    world.signal(SIGINT);
    assert!(world.told(|order| *order == Order::Quit).is_empty(), "it was delivered twice");
    world.pass(Duration::from_millis(1));
    world.signal(SIGINT);
    assert_eq!(world.told(|order| *order == Order::Quit).len(), 3);
    assert!(!world.has_notified(Notice::Stopping));
    world.pass(Duration::from_secs(5));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn the_quit_that_the_successor_has_been_called_by_may_be_delivered_twice() {
    let (mut world, _) = launched();
    world.signal(SIGQUIT);
    world.happens(Event::SuccessorUp { keeps_all: true });
    world.pass(Duration::from_millis(2));
    world.signal(SIGQUIT);
    assert!(stops(&world, Manner::Graceful));
}

#[test]
fn an_unfinished_successor_that_does_not_end_is_killed_and_a_second_signal_hastens_that() {
    let (mut world, pid) = launched();
    world.signal(SIGTERM);
    world.happens(Event::SuccessorUp { keeps_all: true });
    assert!(world.fleet.successor.is_some_and(Successor::is_ending), "too late");
    world.settle();
    world.pass(Duration::from_millis(22_900));
    assert!(!world.has_done(&Action::Kill { pid, signal: Signal::SIGKILL }));
    world.pass(Duration::from_millis(200));
    assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGKILL }));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));

    let (mut world, pid) = launched();
    world.signal(SIGTERM);
    world.signal(SIGQUIT);
    assert!(world.has_done(&Action::Kill { pid, signal: SIGQUIT }));
    world.settle();
    world.pass(Duration::from_millis(8100));
    assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGKILL }));
}

#[test]
fn a_successor_that_is_killed_at_once_is_killed_once() {
    let (mut world, pid) = launched();
    for _ in 0..2 {
        world.signal(SIGINT);
        world.pass(Duration::from_millis(250));
    }
    assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGKILL }));
    world.take();
    world.pass(Duration::from_secs(60));
    assert!(!world.has_done(&Action::Kill { pid, signal: Signal::SIGKILL }));
    world.reap_killed();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn the_new_server_tells_the_old_one_once_that_it_serves() {
    let mut world = new_server();
    assert!(!world.has_done(&Action::ReportUp));
    world.template_ready(1);
    world.forked(0);
    world.forked(1);
    assert!(!world.has_done(&Action::ReportUp));
    world.ready(1);
    assert!(!world.has_done(&Action::ReportUp), "the old one's end would leave one worker of two");
    world.ready(0);
    assert!(world.has_done(&Action::ReportUp));
    world.take();
    world.exits(Child::Worker(0), SIGKILL);
    world.all_ready();
    assert!(!world.has_done(&Action::ReportUp));
}

#[test]
fn a_new_server_whose_other_workers_do_not_boot_says_that_it_serves_all_the_same() {
    let fails: [fn(&mut World); 3] = [
        |world| world.boot_failed(Child::Worker(0), ExitCode::AppImport),
        |world| world.exits(Child::Worker(0), SIGKILL),
        |world| world.pass(Duration::from_secs(60)),
    ];
    for fail in fails {
        let mut world = new_server();
        world.template_ready(1);
        world.forked(0);
        world.forked(1);
        world.ready(1);
        assert!(!world.has_done(&Action::ReportUp));
        fail(&mut world);
        assert!(world.has_done(&Action::ReportUp));
    }
    let mut world = World::started(Limits { boot: None, ..limits(2) });
    world.fleet.predecessor = Some(Predecessor { pid: OLD, knows: false });
    world.template_ready(1);
    world.forked(0);
    world.ready(0);
    assert!(world.has_done(&Action::ReportUp), "the other one may boot for ever");
}

#[test]
fn any_stop_of_the_new_server_is_a_graceful_one_while_the_old_one_lives() {
    for signal in STOPS {
        let mut world = new_server_up();
        world.signal(signal);
        assert!(stops(&world, Manner::Graceful), "{signal}");
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped), "{signal}");
    }
    let mut world = new_server();
    world.signal(SIGQUIT);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped), "one that boots ends too");
}

#[test]
fn the_new_server_takes_over_when_the_old_one_has_gone() {
    let mut world = new_server_up();
    world.take();
    world.happens(Event::PredecessorGone);
    assert!(world.has_done(&Action::TakeOver { predecessor: OLD }));
    world.take();
    world.signal(SIGUSR2);
    assert!(world.launched().is_some(), "it may be upgraded itself now");
}

#[test]
fn an_old_server_that_goes_before_the_new_one_is_up_leaves_it_to_boot_alone() {
    let mut world = new_server();
    world.happens(Event::PredecessorGone);
    assert!(world.has_done(&Action::TakeOver { predecessor: OLD }));
    assert!(!world.has_notified(Notice::Ready));
    world.template_ready(1);
    world.all_ready();
    assert!(world.has_notified(Notice::Ready) && !world.has_done(&Action::ReportUp));
    world.signal(SIGQUIT);
    assert!(stops(&world, Manner::Quick));
}

#[test]
fn a_reload_that_opens_an_address_which_the_new_server_lacks_has_the_queues_emptied_at_the_hand_over() {
    let (mut world, _) = beside(true);
    world.happens(Event::SuccessorLacks);
    world.signal(SIGQUIT);
    assert_eq!(world.told(|order| matches!(order, Order::Retire { drain: true, .. })).len(), 2);
}

#[test]
fn the_new_server_speaks_to_the_service_manager_from_when_the_old_one_has_named_it() {
    let mut world = new_server_up();
    assert!(!world.has_done(&Action::BecomeMain));
    world.happens(Event::NamedMain);
    assert!(world.has_done(&Action::BecomeMain));
    let took_over = Action::TakeOver { predecessor: OLD };
    assert!(!world.has_done(&took_over), "the old one still has its pid file");
    world.happens(Event::PredecessorGone);
    assert!(world.has_done(&took_over));
}
