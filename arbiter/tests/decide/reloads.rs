//! The stories of HUP: new code must be ready before old workers go, and whatever fails leaves the old ones serving.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::SIGHUP;
use tapster::action::{Action, Notice};
use tapster::event::{End, Event};
use tapster::fleet::{Child, Limits};
use tapster_ipc::{ExitCode, Order};

use crate::world::{CLEAN, PROBATION, SIGSEGV, World, limits};

/// A reload whose first new worker has been forked, into slot 4.
fn canary_boots() -> World {
    canary_boots_with(limits(4))
}

fn canary_boots_with(limits: Limits) -> World {
    let mut world = World::up_with(limits);
    world.signal(SIGHUP);
    world.template_ready(2);
    assert_eq!(world.all_forked(), [4], "one worker goes first");
    world
}

/// As [`canary_boots`], of a generation that may boot for ever, which the next HUP does not wait for.
fn patient_canary_boots() -> World {
    canary_boots_with(Limits { boot: None, ..limits(4) })
}

#[test]
fn one_new_worker_goes_first_then_one_after_the_other_and_each_that_is_ready_retires_an_old_one() {
    let mut world = canary_boots();
    assert_eq!(world.retired(), [0_u32; 0]);
    world.take();
    world.proves(4);
    assert_eq!(world.retired(), [0], "the oldest");
    assert!(world.has_notified(Notice::Ready));
    assert!(world.has_done(&Action::Follow { generation: 2 }));
    for (slot, gone) in [(5, 1), (6, 2), (7, 3)] {
        assert_eq!(world.forks, [(slot, 2)].into(), "one at a time");
        world.forked(slot);
        world.take();
        assert_eq!(world.fleet.ready(), 4, "never below capacity");
        world.ready(slot);
        assert_eq!(world.retired(), [gone]);
    }
    assert!(world.forks.is_empty());
    world.settle();
    assert_eq!((world.serving(1), world.serving(2)), (0, 4));
    assert!(world.has_done(&Action::Forget { generation: 1 }));
}

#[test]
fn retired_workers_finish_what_runs_but_accept_nothing_more() {
    let mut world = canary_boots();
    world.proves(4);
    let retire = Order::Retire { within_ms: 20_000, drain: false };
    assert_eq!(world.told(|order| *order == retire), [Child::Worker(0)]);
    world.pass(Duration::from_secs(22));
    assert!(world.has_been_killed(Child::Worker(0)), "late");
    assert!(world.has_logged(Level::Warn, "slot: 0"));
}

#[test]
fn the_old_template_quits_as_soon_as_the_new_generation_is_proven() {
    let mut world = canary_boots();
    assert!(world.told(|order| *order == Order::Quit).is_empty());
    world.proves(4);
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(1)]);
}

#[test]
fn refused_settings_change_nothing() {
    let mut world = World::up(2);
    world.reload = Err("tapster.toml:3:1: unknown key".into());
    world.signal(SIGHUP);
    assert!(world.has_logged(Level::Error, "tapster.toml:3:1"));
    assert!(world.has_notified(Notice::Reloading) && world.has_notified(Notice::Ready));
    assert_eq!((world.fleet.target, world.serving(1), world.fleet.generations.len()), (1, 2, 1));
}

#[test]
fn hup_with_broken_app_keeps_old_workers() {
    let mut preloading = World::up(4);
    preloading.signal(SIGHUP);
    let cases = [
        ("in the worker", canary_boots(), Child::Worker(4)),
        ("in the template, preloaded", preloading, Child::Template(2)),
    ];
    for (place, mut world, child) in cases {
        world.boot_failed(child, ExitCode::AppImport);
        assert!(world.has_logged(Level::Error, "Generation 2 failed to boot; generation 1 goes on serving: no module"));
        assert!(world.has_logged(Level::Error, "Traceback"), "{place}: the whole report");
        assert!(world.has_notified(Notice::Ready), "{place}: the reload is over");
        world.settle();
        world.pass(Duration::from_secs(100));
        assert_eq!((world.fleet.target, world.serving(1)), (1, 4), "{place}");
        assert_eq!(world.fleet.generations.len(), 1, "{place}");
        assert!(world.has_done(&Action::Forget { generation: 2 }), "{place}");
        assert!(world.retired().is_empty() && world.exit.is_none(), "{place}");
    }
}

#[test]
fn after_a_failed_reload_the_next_one_works() {
    let mut world = canary_boots();
    world.boot_failed(Child::Worker(4), ExitCode::AppImport);
    world.settle();
    world.signal(SIGHUP);
    world.template_ready(3);
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(3), world.fleet.ready()), (4, 4));
}

#[test]
fn a_new_generation_that_dies_three_times_is_given_up() {
    let mut world = canary_boots();
    for trial in 1..=3 {
        world.exits(Child::Worker(4), SIGSEGV);
        assert_eq!(world.fleet.target, if trial < 3 { 2 } else { 1 }, "trial {trial}");
        world.pass(Duration::from_secs(1));
        world.all_forked();
    }
    assert!(world.has_logged(Level::Error, "Generation 2 failed to boot; generation 1 goes on serving"));
    assert!(world.has_logged(Level::Error, "killed by SIGSEGV"));
    world.settle();
    assert_eq!(world.serving(1), 4);
}

#[test]
fn new_code_that_becomes_ready_and_crashes_never_retires_an_old_worker() {
    let mut world = canary_boots();
    for trial in 1..=3 {
        let slot = *world.fleet.slots_of(2, |_| true).first().unwrap();
        world.ready(slot);
        world.pass(Duration::from_millis(900));
        assert!(!world.has_notified(Notice::Ready), "trial {trial}: not yet proven");
        world.exits(Child::Worker(slot), SIGSEGV);
        assert!(world.forks.is_empty(), "trial {trial}: not at once");
        assert_eq!(world.fleet.target, if trial < 3 { 2 } else { 1 }, "trial {trial}");
        world.pass(Duration::from_secs(1));
        world.all_forked();
    }
    assert!(world.has_logged(Level::Error, "Generation 2 failed to boot; generation 1 goes on serving"));
    assert!(world.has_notified(Notice::Ready), "the reload is over");
    world.settle();
    assert!(world.retired().is_empty());
    assert_eq!((world.serving(1), world.fleet.generations.len()), (4, 1));
}

#[test]
fn a_generation_is_proven_as_soon_as_its_first_worker_has_been_ready_for_a_second() {
    let mut world = canary_boots();
    world.ready(4);
    assert_eq!(world.fleet.next_deadline(world.now), Some(world.now + PROBATION), "the arbiter wakes for it");
    world.pass(Duration::from_millis(999));
    assert!(world.retired().is_empty() && world.forks.is_empty() && !world.has_notified(Notice::Ready));
    world.pass(Duration::from_millis(1));
    assert_eq!((world.retired(), world.forks.len()), (vec![0], 1));
    assert!(world.has_notified(Notice::Ready));
}

#[test]
fn a_first_worker_that_has_closed_its_channel_proves_nothing() {
    let mut world = canary_boots();
    world.ready(4);
    world.happens(Event::Closed { from: Child::Worker(4) });
    world.pass(Duration::from_secs(3));
    assert!(world.has_been_killed(Child::Worker(4)) && world.retired().is_empty());
}

#[test]
fn a_worker_on_probation_leaves_when_its_generation_is_superseded() {
    let mut world = patient_canary_boots();
    world.ready(4);
    world.signal(SIGHUP);
    assert_eq!(world.retired(), [4]);
    world.pass(PROBATION);
    assert_eq!(world.fleet.proven(), Some(1));
    world.template_ready(3);
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(3), world.fleet.generations.len()), (4, 1));
}

#[test]
fn a_new_generation_that_hangs_is_given_up_at_once() {
    let mut in_the_template = World::up(4);
    in_the_template.signal(SIGHUP);
    for mut world in [canary_boots(), in_the_template] {
        world.pass(Duration::from_secs(60));
        assert!(world.has_logged(Level::Error, "not ready within boot_timeout"));
        assert!(world.has_logged(Level::Error, "generation 1 goes on serving"));
        world.settle();
        world.pass(Duration::from_secs(100));
        assert_eq!((world.fleet.target, world.serving(1), world.fleet.generations.len()), (1, 4, 1));
    }
}

#[test]
fn a_server_without_a_free_slot_says_so_once_and_goes_on() {
    use tapster::fleet::{Seat, Worker};
    let mut world = World::up(2);
    for slot in 2..tapster_ipc::scoreboard::MOST_SLOTS {
        // As those are of an older generation that take very long to end.
        let seat = Seat::Forking { deadline: Duration::MAX };
        world.fleet.workers.insert(slot, Worker { generation: 0, worn: None, seat });
    }
    world.signal(nix::sys::signal::Signal::SIGTTIN);
    world.signal(nix::sys::signal::Signal::SIGTTIN);
    let said = world.logged().into_iter().filter(|line| line.contains("No worker can be started")).count();
    assert_eq!((said, world.forks.len()), (1, 0));
    world.fleet.workers.remove(&7);
    world.happens(Event::Tick { busy: Vec::new() });
    assert_eq!(world.forks, [(7, 1)].into());
}

#[test]
fn ttin_during_a_reload_to_fewer_workers_takes_none_from_what_serves() {
    let mut world = World::up(4);
    world.reload = Ok(limits(2));
    world.signal(SIGHUP);
    world.signal(nix::sys::signal::Signal::SIGTTIN);
    assert!(world.retired().is_empty());
    world.boot_failed(Child::Template(2), ExitCode::AppImport);
    world.all_ready();
    assert_eq!(world.serving(1), 5);
    world.settle();
    world.signal(SIGHUP);
    world.signal(nix::sys::signal::Signal::SIGTTIN);
    world.template_ready(3);
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(3), world.fleet.ready()), (3, 3));
}

#[test]
fn a_template_of_the_new_generation_that_dies_three_times_is_given_up() {
    let mut world = World::up(2);
    world.signal(SIGHUP);
    for _ in 0..3 {
        world.exits(Child::Template(2), SIGSEGV);
        world.pass(Duration::from_secs(1));
    }
    world.settle();
    assert_eq!((world.fleet.target, world.serving(1), world.fleet.generations.len()), (1, 2, 1));
}

#[test]
fn a_second_hup_supersedes_the_first_where_that_may_boot_for_ever() {
    let mut world = patient_canary_boots();
    world.signal(SIGHUP);
    assert!(world.has_logged(Level::Info, "Generation 2 gives way to generation 3"));
    assert!(world.has_been_killed(Child::Worker(4)), "it was booting");
    world.ready(4);
    assert_eq!(world.serving(2), 0, "what is killed is not ready any more");
    world.reap_killed();
    world.template_ready(3);
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(1), world.serving(2), world.serving(3)), (0, 0, 4));
    assert_eq!(world.fleet.generations.len(), 1);
}

#[test]
fn a_worker_forked_for_a_superseded_generation_is_killed_when_it_appears() {
    let mut world = World::up_with(Limits { boot: None, ..limits(2) });
    world.signal(SIGHUP);
    world.template_ready(2);
    world.signal(SIGHUP);
    assert!(world.told(|order| *order == Order::Quit).is_empty(), "its template still has an order to answer");
    world.forked(2);
    assert!(world.has_been_killed(Child::Worker(2)));
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(2)]);
}

#[test]
fn a_worker_that_dies_during_a_reload_is_replaced_from_its_own_template() {
    let mut world = canary_boots();
    world.exits(Child::Worker(1), SIGSEGV);
    assert_eq!(world.forks, [(1, 1)].into());
    world.all_ready();
    assert_eq!(world.serving(1), 4);
}

#[test]
fn hup_to_fewer_or_more_workers_never_serves_with_fewer_than_wanted() {
    for (before, after) in [(4, 2), (2, 4), (1, 1), (3, 1)] {
        let mut world = World::up(before);
        world.reload = Ok(limits(after));
        world.signal(SIGHUP);
        world.template_ready(2);
        let least = usize::try_from(before.min(after)).unwrap();
        while let Some(slot) = world.forks.keys().next().copied() {
            world.forked(slot);
            world.proves(slot);
            assert!(world.fleet.ready() >= least, "{before} to {after}");
        }
        world.settle();
        assert_eq!((world.serving(1), world.serving(2)), (0, after as usize), "{before} to {after}");
    }
}

#[test]
fn a_hup_before_the_server_is_up_starts_over() {
    let mut world = World::new(2);
    world.signal(SIGHUP);
    assert!(world.has_been_killed(Child::Template(1)));
    world.reap_killed();
    world.template_ready(2);
    assert_eq!(world.forks.len(), 2, "nothing serves, so nothing goes first");
    world.boot_failed(Child::Template(2), ExitCode::AppImport);
    world.all_forked();
    world.boot_failed(Child::Worker(0), ExitCode::AppImport);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn settings_that_were_loaded_before_a_stop_start_nothing_after_it() {
    let mut world = World::up(1);
    world.signal(nix::sys::signal::Signal::SIGTERM);
    world.happens(Event::SettingsLoaded { limits: limits(5) });
    assert!(!world.has_done(&Action::SpawnTemplate { generation: 2 }));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn a_worker_that_ends_badly_while_it_retires_is_said() {
    let mut world = canary_boots();
    world.proves(4);
    world.take();
    world.exits(Child::Worker(0), End::Status(1));
    assert!(world.has_logged(Level::Warn, "exited with status 1"));
    world.ready(4);
    world.forked(5);
    world.ready(5);
    world.take();
    world.exits(Child::Worker(1), CLEAN);
    assert!(world.has_logged(Level::Info, "a newer generation serves"));
}
