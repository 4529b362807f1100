//! Stops that follow one another: after a while, gracefully, quickly, at once.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR2, SIGWINCH};
use tapster::action::{Action, Notice};
use tapster::event::Event;
use tapster::fleet::{Child, Limits, Manner, Phase};
use tapster_ipc::{ExitCode, Order};

use crate::phases::{stopping, up, workers_boot};
use crate::world::{CLEAN, SIGSEGV, World, limits};

const DELAY: Duration = Duration::from_secs(15);

fn patient(workers: u32) -> World {
    World::up_with(Limits { drain_delay: DELAY, ..limits(workers) })
}

#[test]
fn term_twice_says_so_and_int_makes_it_quick() {
    let mut world = stopping();
    world.take();
    world.signal(SIGTERM);
    assert!(world.has_logged(Level::Info, "the server is stopping already, after the running requests"));
    assert_eq!(world.take().len(), 1);
    world.signal(SIGINT);
    assert_eq!(world.told(|order| *order == Order::Quit).len(), 3);
    world.pass(Duration::from_secs(4));
    assert!(world.has_been_killed(Child::Worker(0)));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn a_second_int_or_quit_kills_everything_at_once() {
    for (first, second) in [(SIGINT, SIGINT), (SIGINT, SIGQUIT), (SIGQUIT, SIGINT)] {
        for is_graceful_before in [false, true] {
            let mut world = up();
            if is_graceful_before {
                world.signal(SIGTERM);
            }
            world.signal(first);
            world.pass(Duration::from_millis(250));
            world.signal(second);
            assert!(world.has_logged(Level::Warn, "again, so everything is killed at once (workers left: 2)"));
            for child in [Child::Template(1), Child::Worker(0), Child::Worker(1)] {
                assert!(world.has_been_killed(child), "{child:?}");
            }
            world.signal(second);
            world.reap_killed();
            assert_eq!(world.exit, Some(ExitCode::Stopped));
        }
    }
}

#[test]
fn a_signal_that_comes_twice_within_a_moment_is_one() {
    let mut world = up();
    world.signal(SIGINT);
    world.take();
    world.pass(Duration::from_millis(249));
    world.signal(SIGINT);
    assert!(!world.has_been_killed(Child::Worker(0)));
    assert!(world.has_logged(Level::Debug, "taken for the same signal"));
}

#[test]
fn a_stop_that_is_delivered_twice_keeps_its_drain_delay() {
    let mut world = patient(2);
    world.signal(SIGTERM);
    world.take();
    world.pass(Duration::from_millis(249));
    world.signal(SIGTERM);
    assert!(world.has_logged(Level::Debug, "taken for the same signal"));
    assert_eq!((world.fleet.phase, world.fleet.ready()), (Phase::Up { proven: 1 }, 2));
    world.pass(Duration::from_millis(1));
    world.signal(SIGTERM);
    assert!(matches!(world.fleet.phase, Phase::Stopping { manner: Manner::Graceful, .. }), "a second one counts");
    let mut world = patient(2);
    world.signal(SIGTERM);
    world.signal(SIGINT);
    assert!(matches!(world.fleet.phase, Phase::Stopping { manner: Manner::Quick, .. }), "and so does another one");
}

#[test]
fn a_worker_that_is_forked_after_everything_was_killed_is_killed_too() {
    let mut world = workers_boot();
    world.signal(SIGINT);
    world.pass(Duration::from_secs(1));
    world.signal(SIGINT);
    world.forked(1);
    assert!(world.has_been_killed(Child::Worker(1)));
    world.reap_killed();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn a_boot_that_failed_ends_with_its_status_however_often_one_asks() {
    let mut world = workers_boot();
    world.boot_failed(Child::Worker(0), ExitCode::AppImport);
    world.pass(Duration::from_secs(1));
    world.signal(SIGINT);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn with_a_drain_delay_term_lets_the_server_serve_on_and_then_stops_it() {
    let mut world = patient(2);
    world.signal(SIGTERM);
    assert!(world.has_logged(Level::Info, "serving on for drain_delay = 15 s, then stopping"));
    assert!(world.has_notified(Notice::Stopping) && world.fleet.status.contains("stopping after drain_delay"));
    assert_eq!(world.told(|order| *order == Order::LetGo), [Child::Worker(0), Child::Worker(1)]);
    assert!(!world.has_done(&Action::CloseListeners { at_once: false }) && world.retired().is_empty());
    world.take();
    world.exits(Child::Worker(1), SIGSEGV);
    world.all_ready();
    assert_eq!(world.told(|order| *order == Order::LetGo), [Child::Worker(1)], "what becomes ready later too");
    assert_eq!(world.fleet.ready(), 2);
    assert_eq!(world.fleet.next_deadline(world.now).map(|due| due <= world.now + DELAY), Some(true));
    world.pass(Duration::from_millis(14_999));
    assert_eq!(world.fleet.ready(), 2);
    world.pass(Duration::from_millis(1));
    assert!(world.has_logged(Level::Info, "drain_delay is over: stopping after the running requests, within 20 s"));
    assert!(world.has_done(&Action::CloseListeners { at_once: false }));
    assert!(!world.has_notified(Notice::Stopping), "once is enough");
    assert_eq!(world.told(|order| matches!(order, Order::Retire { drain: true, .. })).len(), 2);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn a_second_signal_ends_the_drain_delay() {
    for (signal, manner) in [(SIGTERM, Manner::Graceful), (SIGINT, Manner::Quick), (SIGQUIT, Manner::Quick)] {
        let mut world = patient(1);
        world.signal(SIGTERM);
        world.take();
        world.pass(Duration::from_millis(250));
        world.signal(signal);
        let since = world.now;
        assert_eq!(world.fleet.phase, Phase::Stopping { manner, since, exit: ExitCode::Stopped }, "{signal}");
        assert!(!world.has_notified(Notice::Stopping));
        world.pass(DELAY + DELAY);
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped));
    }
}

#[test]
fn what_changes_the_server_is_refused_during_the_drain_delay() {
    for signal in [SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH] {
        let mut world = patient(2);
        world.signal(SIGTERM);
        world.take();
        world.signal(signal);
        assert!(world.has_logged(Level::Info, "ignored, the server is stopping"), "{signal}");
        assert!(world.has_done(&Action::Refuse("the server is stopping".into())), "whoever asks is told");
        assert_eq!(world.concluded().len(), usize::from(signal == SIGHUP));
        assert_eq!((world.fleet.desired(1), world.forks.len(), world.fleet.ready()), (2, 0, 2), "{signal}");
    }
}

#[test]
fn a_reload_that_is_not_proven_when_the_drain_delay_begins_is_over() {
    let mut world = patient(2);
    world.signal(SIGHUP);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.signal(SIGTERM);
    assert_eq!(world.concluded(), [Err("the server stops".into()), Err("the server stops".into())]);
    assert!(world.has_been_killed(Child::Worker(2)));
    world.reap_killed();
    world.pass(Duration::from_secs(10));
    assert_eq!((world.serving(1), world.fleet.target), (2, 1));
}

#[test]
fn a_reload_that_rolls_goes_on_rolling_in_the_drain_delay() {
    let mut world = patient(3);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.proves(3);
    world.signal(SIGTERM);
    world.all_ready();
    let told = vec![Err("the server stops".into())];
    assert_eq!((world.serving(1), world.serving(2), world.concluded()), (0, 3, told));
    world.pass(DELAY);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn a_hup_that_was_to_follow_does_not_begin_in_the_drain_delay() {
    let mut world = patient(2);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.proves(2);
    world.signal(SIGHUP);
    world.take();
    world.signal(SIGTERM);
    assert_eq!(world.concluded(), [Err("the server stops".into()), Err("the server stops".into())]);
    world.all_ready();
    assert_eq!((world.serving(2), world.concluded().len()), (2, 2), "what rolls, goes on");
    assert!(!world.has_begun_a_reload());
}

#[test]
fn the_drain_delay_is_kept_while_workers_that_died_are_being_replaced() {
    let mut world = patient(1);
    world.exits(Child::Worker(0), SIGSEGV);
    world.signal(SIGTERM);
    assert!(world.has_logged(Level::Info, "serving on for drain_delay = 15 s, then stopping"));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 1);
    world.pass(DELAY);
    assert!(world.has_logged(Level::Info, "drain_delay is over") && world.retired() == [0]);
}

#[test]
fn a_new_server_that_boots_ends_when_the_stop_is_announced_since_it_could_be_up_before_the_delay_is_over() {
    let mut world = patient(2);
    world.signal(SIGUSR2);
    let pid = world.fleet.successor.expect("it has been started").pid;
    world.signal(SIGTERM);
    assert!(world.has_done(&Action::Kill { pid, signal: SIGTERM }) && world.has_done(&Action::Disinherit));
    world.happens(Event::SuccessorUp { keeps_all: true });
    world.successor_ends(pid, CLEAN);
    world.pass(DELAY);
    assert!(world.has_logged(Level::Info, "drain_delay is over: stopping") && world.has_notified(Notice::Stopping));
}

#[test]
fn nobody_is_waited_for_where_no_worker_serves() {
    let mut booting = World::new(1);
    booting.reload = Ok(Limits { drain_delay: DELAY, ..limits(1) });
    booting.signal(SIGHUP);
    let mut paused = patient(2);
    paused.signal(SIGWINCH);
    for mut world in [booting, paused] {
        world.signal(SIGTERM);
        assert!(world.has_done(&Action::CloseListeners { at_once: false }));
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped));
    }
}
