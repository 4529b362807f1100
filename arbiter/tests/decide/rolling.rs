//! How a reload goes from its proof to its conclusion, and what becomes of a HUP that comes meanwhile.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM};
use tapster::action::{Action, Notice};
use tapster::fleet::{Child, Limits, Worker};
use tapster_ipc::{ExitCode, Order, Report};

use crate::world::{SIGSEGV, World, limits};

/// A reload whose new generation is proven by the worker in the slot behind the old ones.
fn rolling(limits: Limits) -> World {
    let mut world = World::up_with(limits);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.proves(limits.workers);
    world
}

fn status(text: &str) -> Notice {
    Notice::Status(text.to_owned())
}

#[test]
fn with_a_batch_so_many_are_started_at_a_time() {
    for (batch, most) in [(1, 1), (2, 2), (3, 3), (9, 5)] {
        let mut world = rolling(Limits { reload_batch: batch, ..limits(6) });
        let mut seen = Vec::new();
        while let Some(slot) = world.forks.keys().next().copied() {
            seen.push(world.fleet.slots_of(2, Worker::is_starting).len());
            world.forked(slot);
            assert_eq!(world.fleet.ready(), 6, "batch {batch}");
            world.ready(slot);
        }
        assert_eq!((seen.len(), seen.iter().max()), (5, Some(&most)), "batch {batch}");
        world.settle();
        assert_eq!((world.serving(1), world.serving(2)), (0, 6), "batch {batch}");
    }
}

#[test]
fn what_an_old_worker_leaves_behind_is_started_at_once_and_besides_the_batch() {
    let mut world = rolling(limits(4));
    assert_eq!(world.forks.len(), 1);
    world.exits(Child::Worker(2), SIGSEGV);
    assert_eq!(world.forks.len(), 2);
    world.exits(Child::Worker(3), SIGSEGV);
    assert_eq!(world.forks.len(), 3);
    world.calm();
    assert_eq!((world.serving(1), world.serving(2)), (0, 4));
}

#[test]
fn more_workers_that_the_new_settings_ask_for_are_started_at_once() {
    let mut world = World::up(2);
    world.reload = Ok(limits(6));
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.proves(2);
    // Two old ones serve and one new one: three are missing, and one takes the place of the next old one.
    assert_eq!((world.retired().len(), world.forks.len()), (0, 4));
    world.calm();
    assert_eq!((world.serving(1), world.serving(2)), (0, 6));
}

#[test]
fn fewer_workers_retire_the_old_ones_at_once_down_to_the_new_number() {
    let mut world = World::up(6);
    world.reload = Ok(limits(2));
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world.proves(6);
    assert_eq!((world.retired().len(), world.fleet.ready(), world.forks.len()), (5, 2, 1));
    world.calm();
    assert_eq!((world.serving(1), world.serving(2)), (0, 2));
}

#[test]
fn a_reload_is_concluded_once_the_new_generation_serves_alone() {
    let mut world = rolling(limits(3));
    assert!(world.concluded().is_empty(), "two old ones serve");
    let slot = world.all_forked()[0];
    world.ready(slot);
    assert!(world.concluded().is_empty(), "one old one serves");
    let slot = world.all_forked()[0];
    world.ready(slot);
    assert_eq!(world.concluded(), [Ok(2)], "the last one retires, and may take its time");
    world.calm();
    assert_eq!(world.concluded(), [Ok(2)], "once");
}

#[test]
fn every_reload_is_concluded_and_the_status_keeps_why_it_failed_until_the_next_one_begins() {
    let refused = |world: &mut World| {
        world.reload = Err("tapster.toml:3:1: unknown key\nand another".into());
        world.signal(SIGHUP);
    };
    let broken = |world: &mut World| {
        world.signal(SIGHUP);
        world.boot_failed(Child::Template(2), ExitCode::AppImport);
    };
    let dying = |world: &mut World| {
        world.signal(SIGHUP);
        for _ in 0..3 {
            world.exits(Child::Template(2), SIGSEGV);
            world.pass(Duration::from_secs(1));
        }
    };
    let hanging = |world: &mut World| {
        world.signal(SIGHUP);
        world.pass(Duration::from_secs(62));
    };
    type Failure = (fn(&mut World), &'static str, &'static str);
    let table: [Failure; 4] = [
        (refused, "tapster.toml:3:1: unknown key\nand another", "tapster.toml:3:1: unknown key"),
        (broken, "no module named site\nTraceback", "no module named site"),
        (
            dying,
            "generation 2 failed to boot: after 3 trials; the last: killed by SIGSEGV",
            "generation 2 failed to boot: after 3 trials; the last: killed by SIGSEGV",
        ),
        (
            hanging,
            "generation 2 failed to boot: it was not ready within boot_timeout",
            "generation 2 failed to boot: it was not ready within boot_timeout",
        ),
    ];
    for (fail, reason, line) in table {
        let mut world = World::up(2);
        fail(&mut world);
        assert_eq!(world.concluded(), [Err(reason.to_owned())]);
        assert!(
            world.has_notified(status(&format!(
                "workers ready: 2; reload failed ({line}); generation 1 goes on serving"
            )))
        );
        world.calm();
        world.pass(Duration::from_secs(1000));
        assert!(world.fleet.status.contains(line), "it stays: {}", world.fleet.status);
        world.take();
        world.reload = Ok(limits(2));
        world.signal(SIGHUP);
        assert!(!world.fleet.status.contains("failed"), "{}", world.fleet.status);
        world.calm();
        assert_eq!(world.concluded(), [Ok(world.fleet.newest)]);
        assert_eq!(world.fleet.status, format!("workers ready: 2, generation {}", world.fleet.newest));
    }
}

#[test]
fn a_hup_during_a_reload_is_taken_up_after_it_and_several_as_one() {
    let booting = || {
        let mut world = World::up(3);
        world.signal(SIGHUP);
        world.template_ready(2);
        world.all_forked();
        world
    };
    for (phase, mut world) in [("booting", booting()), ("rolling", rolling(limits(3)))] {
        world.take();
        for _ in 0..3 {
            world.signal(SIGHUP);
        }
        assert!(world.has_logged(Level::Info, "a reload is under way, and another one follows it"), "{phase}");
        assert!(world.has_notified(Notice::Reloading), "{phase}: the service manager waits for this one too");
        assert!(!world.has_begun_a_reload(), "{phase}");
        assert_eq!((world.fleet.newest, world.fleet.target), (2, 2), "{phase}: it goes on");
        world.calm();
        assert_eq!(world.concluded(), [Ok(2), Ok(3)], "{phase}");
        assert!(world.has_logged(Level::Info, "asked for during the last one (3 times)"), "{phase}");
        assert_eq!((world.serving(3), world.fleet.ready(), world.fleet.newest), (3, 3, 3), "{phase}");
    }
}

#[test]
fn the_service_manager_is_told_ready_only_for_the_last_of_several_reloads() {
    let mut world = World::up(1);
    world.signal(SIGHUP);
    world.signal(SIGHUP);
    world.take();
    world.template_ready(2);
    world.all_ready();
    assert_eq!(world.concluded(), [Ok(2)]);
    assert!(!world.has_notified(Notice::Ready) && world.has_notified(Notice::Reloading));
    world.calm();
    assert!(world.has_notified(Notice::Ready));
}

#[test]
fn a_hup_during_one_that_fails_is_taken_up_when_that_is_rolled_back() {
    let mut world = World::up(2);
    world.signal(SIGHUP);
    world.signal(SIGHUP);
    world.boot_failed(Child::Template(2), ExitCode::AppImport);
    assert!(!world.has_notified(Notice::Ready), "another one is under way");
    assert_eq!(world.fleet.target, 3);
    world.calm();
    assert_eq!(world.concluded().len(), 2);
    assert_eq!((world.serving(3), world.fleet.ready()), (2, 2));
}

#[test]
fn a_reload_that_may_boot_for_ever_is_not_waited_for() {
    let mut world = World::up_with(Limits { boot: None, ..limits(2) });
    world.signal(SIGHUP);
    world.signal(SIGHUP);
    assert_eq!(world.concluded(), [Err("generation 2 gave way to generation 3 before it was ready".into())]);
    world.reload = Err("tapster.toml:1:1".into());
    world.signal(SIGHUP);
    assert_eq!(world.concluded().len(), 2, "the settings are refused");
    assert_eq!(world.concluded_numbers(), [Some(1), Some(3)], "which ends the reload that read them");
    assert_eq!(world.fleet.target, 3, "and the one before goes on");
    world.calm();
    assert_eq!(
        (world.concluded()[2..].to_vec(), world.concluded_numbers()[2..].to_vec()),
        (vec![Ok(3)], vec![Some(2)])
    );
}

#[test]
fn a_reload_of_a_server_that_was_never_up_is_concluded_too() {
    let mut world = World::new(2);
    world.signal(SIGHUP);
    world.reap_killed();
    assert!(world.concluded().is_empty());
    world.calm();
    assert_eq!(world.concluded(), [Ok(2)]);

    let mut world = World::new(2);
    world.signal(SIGHUP);
    world.boot_failed(Child::Template(2), ExitCode::AppImport);
    assert_eq!(world.concluded(), [Err("no module named site\nTraceback".into())]);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn a_stop_concludes_what_is_under_way_and_what_was_to_follow() {
    for signal in [SIGTERM, SIGINT] {
        let mut world = rolling(limits(2));
        world.signal(SIGHUP);
        world.signal(SIGHUP);
        world.signal(signal);
        assert_eq!(world.concluded(), [Err("the server stops".into()), Err("the server stops".into())], "{signal}");
        world.signal(SIGHUP);
        assert_eq!(world.concluded().len(), 3, "{signal}: and who asks now is told");
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::Stopped));
    }
}

#[test]
fn a_new_worker_that_dies_young_while_the_reload_rolls_takes_no_old_one_with_it() {
    let mut world = rolling(limits(4));
    for _ in 0..5 {
        for slot in world.all_forked() {
            world.exits(Child::Worker(slot), SIGSEGV);
            assert_eq!(world.fleet.ready(), 4);
        }
        world.pass(Duration::from_secs(10));
    }
    assert_eq!((world.serving(1), world.serving(2)), (3, 1));
    let reason = "generation 2 serves, but not alone: after 3 trials; the last: killed by SIGSEGV";
    assert_eq!(world.concluded(), [Err(reason.into())], "nobody waits for what may never be, and is told once");
    assert!(world.has_logged(
        Level::Error,
        &format!("The reload is not complete, and is given up while trials go on: {reason}")
    ));
    assert!(world.fleet.status.contains(reason), "{}", world.fleet.status);
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(1)]);
    world.take();
    world.calm();
    assert_eq!((world.serving(1), world.serving(2)), (0, 4));
    assert!(world.has_logged(Level::Info, "The reload is complete after all: generation 2 serves alone"));
    assert_eq!((world.fleet.status.as_str(), world.concluded()), ("workers ready: 4, generation 2", vec![]));
}

#[test]
fn a_hup_is_taken_up_when_the_reload_before_it_rolls_and_does_not_get_on() {
    let fails: [fn(&mut World, u32); 3] = [
        |world, slot| world.boot_failed(Child::Worker(slot), ExitCode::AppImport),
        |world, slot| world.exits(Child::Worker(slot), SIGSEGV),
        |world, _| world.pass(Duration::from_secs(60)),
    ];
    for fail in fails {
        for is_asked_before in [true, false] {
            let mut world = rolling(limits(4));
            if is_asked_before {
                world.signal(SIGHUP);
            }
            for _ in 0..3 {
                let slot = world.all_forked()[0];
                fail(&mut world, slot);
                world.pass(Duration::from_secs(2));
                world.settle();
            }
            if !is_asked_before {
                world.signal(SIGHUP);
            }
            assert_eq!((world.concluded().len(), world.fleet.newest, world.fleet.ready()), (1, 3, 4));
            assert!(world.concluded()[0].as_ref().is_err_and(|reason| reason.starts_with("generation 2 serves, but")));
            world.calm();
            assert_eq!((world.concluded()[1..].to_vec(), world.serving(3)), (vec![Ok(3)], 4));
            assert_eq!(world.fleet.status, "workers ready: 4, generation 3");
        }
    }
}

#[test]
fn one_that_rolls_and_may_boot_for_ever_is_not_waited_for() {
    let mut world = rolling(Limits { boot: None, ..limits(4) });
    world.all_forked();
    world.signal(SIGHUP);
    assert_eq!(world.concluded(), [Err("generation 2 gave way to generation 3 before it served alone".into())]);
    world.calm();
    assert_eq!((world.concluded()[1..].to_vec(), world.serving(3), world.fleet.ready()), (vec![Ok(3)], 4, 4));
}

#[test]
fn old_workers_accept_what_waits_at_an_address_that_is_left_and_nobody_is_taken_in_after_the_last() {
    for leaves_addresses in [false, true] {
        let mut world = World::up(2);
        world.reload = Ok(Limits { leaves_addresses, ..limits(2) });
        world.signal(SIGHUP);
        world.template_ready(2);
        world.all_forked();
        world.proves(2);
        let retired = |world: &World| {
            world.told(|order| matches!(order, Order::Retire { drain, .. } if *drain == leaves_addresses))
        };
        assert_eq!(retired(&world), [Child::Worker(0)]);
        world.report(Child::Worker(0), Report::Drained);
        let left = Action::LeaveAddresses { generation: 2 };
        assert!(!world.has_done(&left), "another old worker accepts there");
        world.all_ready();
        assert_eq!(retired(&world), [Child::Worker(0), Child::Worker(1)]);
        assert_eq!(world.concluded(), [Ok(2)]);
        assert!(!world.has_done(&left), "somebody may wait");
        world.report(Child::Worker(1), Report::Drained);
        assert_eq!(world.has_done(&left), leaves_addresses);
    }
}
