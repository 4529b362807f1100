//! Each signal in each phase.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::*;
use tapster::action::{Action, Notice};
use tapster::event::Event;
use tapster::fleet::{Child, Manner, Phase};
use tapster_ipc::{ExitCode, Order, Report};

use crate::phases::{EVERY, PHASES, stopping, stopping_quickly, up, workers_boot};
use crate::world::CLEAN;

#[test]
fn after_any_signal_in_any_phase_the_server_ends_on_sigterm_with_status_0() {
    for (phase, make) in PHASES {
        for signal in EVERY {
            let mut world = make();
            world.signal(signal);
            if world.exit.is_none() {
                world.signal(SIGTERM);
            }
            if world.exit.is_none() {
                // Deaf templates and workers included: nothing outlives its deadline.
                world.pass(Duration::from_secs(61));
                world.settle();
            }
            assert_eq!(world.exit, Some(ExitCode::Stopped), "{signal} while {phase}");
        }
    }
}

#[test]
fn after_any_signal_that_does_not_stop_the_server_it_serves_in_full() {
    for (phase, make) in PHASES.into_iter().take_while(|(phase, _)| *phase != "draining") {
        for signal in EVERY {
            if matches!(signal, SIGTERM | SIGINT | SIGQUIT) {
                continue;
            }
            let mut world = make();
            world.signal(signal);
            world.calm();
            let newest = world.fleet.newest;
            let is_paused = world.fleet.is_paused;
            assert_eq!(
                is_paused,
                (signal == SIGWINCH && !phase.contains("boot")) || (phase == "paused" && signal != SIGHUP)
            );
            let wanted = match signal {
                _ if is_paused => 0,
                SIGTTIN => 3,
                SIGTTOU => 1,
                _ => 2,
            };
            assert_eq!(world.fleet.ready(), wanted, "{signal} while {phase}");
            assert_eq!(world.serving(newest), wanted, "{signal} while {phase}: of the newest generation");
            assert_eq!(world.fleet.generations.len(), 1, "{signal} while {phase}");
        }
    }
}

#[test]
fn term_lets_workers_finish_and_closes_the_listeners() {
    let mut world = up();
    world.signal(SIGTERM);
    let since = world.now;
    assert_eq!(world.fleet.phase, Phase::Stopping { manner: Manner::Graceful, since, exit: ExitCode::Stopped });
    let retire = Order::Retire { within_ms: 20_000, drain: true };
    assert_eq!(world.told(|order| *order == retire), [Child::Worker(0), Child::Worker(1)]);
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(1)]);
    assert!(world.has_done(&Action::CloseListeners { at_once: false }) && world.has_notified(Notice::Stopping));
    world.exits(Child::Worker(0), CLEAN);
    world.exits(Child::Template(1), CLEAN);
    assert_eq!(world.exit, None);
    world.exits(Child::Worker(1), CLEAN);
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn connections_are_refused_once_a_worker_has_accepted_what_was_waiting() {
    let mut world = up();
    world.happens(Event::Report { from: Child::Worker(0), report: Report::Drained });
    assert!(!world.has_done(&Action::RefuseConnections), "the server goes on");
    world.signal(SIGTERM);
    assert!(!world.has_done(&Action::RefuseConnections), "somebody may be waiting");
    world.happens(Event::Report { from: Child::Worker(0), report: Report::Drained });
    assert!(world.has_done(&Action::RefuseConnections));
}

#[test]
fn a_quick_stop_after_a_graceful_one_waits_for_no_queue() {
    let mut world = up();
    world.signal(SIGTERM);
    world.signal(SIGINT);
    assert!(world.has_done(&Action::RefuseConnections));
}

#[test]
fn a_worker_that_does_not_finish_in_time_is_killed_and_the_log_names_it() {
    let mut world = up();
    world.signal(SIGTERM);
    world.exits(Child::Template(1), CLEAN);
    world.pass(Duration::from_millis(21_900));
    assert!(!world.has_been_killed(Child::Worker(0)), "it has a moment for Python's own end");
    world.pass(Duration::from_millis(200));
    assert!(world.has_been_killed(Child::Worker(0)) && world.has_been_killed(Child::Worker(1)));
    assert!(world.has_logged(Level::Warn, "slot: 0"));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn int_and_quit_stop_soon_and_kill_after_two_seconds_for_requests_and_two_for_the_workers_end() {
    for signal in [SIGINT, SIGQUIT] {
        let mut world = up();
        world.signal(signal);
        assert_eq!(world.told(|order| *order == Order::Quit).len(), 3, "{signal}");
        world.pass(Duration::from_millis(3900));
        assert!(world.has_been_killed(Child::Template(1)) && !world.has_been_killed(Child::Worker(0)));
        world.pass(Duration::from_millis(200));
        assert!(world.has_been_killed(Child::Worker(0)));
    }
}

#[test]
fn what_boots_is_killed_by_a_stop_and_what_is_forked_later_too() {
    let mut world = workers_boot();
    world.signal(SIGTERM);
    assert!(world.has_been_killed(Child::Worker(0)));
    world.forked(1);
    assert!(world.has_been_killed(Child::Worker(1)), "its fork was ordered before the stop");
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn nothing_is_replaced_while_the_server_stops() {
    let mut world = stopping();
    world.take();
    world.exits(Child::Worker(0), crate::world::SIGSEGV);
    world.exits(Child::Template(1), crate::world::SIGSEGV);
    world.pass(Duration::from_secs(1));
    assert!(world.forks.is_empty());
    assert!(!world.has_done(&Action::SpawnTemplate { generation: 1 }));
}

#[test]
fn hup_while_stopping_is_ignored_and_said() {
    for mut world in [stopping(), stopping_quickly()] {
        world.take();
        world.signal(SIGHUP);
        assert!(world.has_logged(Level::Info, "ignored, the server is stopping"));
        assert!(!world.has_begun_a_reload());
    }
}

#[test]
fn the_sender_is_named() {
    use tapster::event::{Event, Sender};
    let mut world = up();
    let sender = Some(Sender { pid: 1, name: "systemd".into() });
    world.happens(Event::Signal { signal: SIGTERM, sender });
    assert!(world.has_logged(Level::Info, "SIGTERM from pid 1 (systemd)"));
}
