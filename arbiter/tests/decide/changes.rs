//! Auto-reload: what workers tell of changed files.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::fleet::{Child, Limits};
use tapster_ipc::Report;

use crate::world::{World, is_reload, limits};

/// A server whose workers watch the application's files.
fn watching(workers: u32) -> World {
    World::up_with(Limits { probation: Duration::ZERO, ..limits(workers) })
}

/// The worker tells of a change so long before now.
fn changes(world: &mut World, slot: u32, ago: Duration) {
    let at_ms = u64::try_from((world.now - ago).as_millis()).unwrap();
    world.report(Child::Worker(slot), Report::Changed { path: "/srv/app/views.py".into(), at_ms });
}

const MOMENT: Duration = Duration::from_millis(100);

#[test]
fn a_change_loads_the_code_anew_once_for_all_workers_that_tell_of_it() {
    let mut world = watching(3);
    for slot in 0..3 {
        changes(&mut world, slot, MOMENT);
        world.pass(Duration::from_millis(10));
    }
    let loads = world.take().into_iter().filter(is_reload).count();
    assert_eq!((loads, world.fleet.target), (1, 2));
}

#[test]
fn the_log_says_what_has_changed() {
    let mut world = watching(1);
    changes(&mut world, 0, MOMENT);
    assert!(world.has_logged(Level::Info, "/srv/app/views.py has changed: loading"), "{:?}", world.logged());
}

#[test]
fn a_change_while_the_last_one_is_being_loaded_is_another() {
    let mut world = watching(2);
    changes(&mut world, 0, MOMENT);
    world.pass(Duration::from_secs(1));
    changes(&mut world, 1, MOMENT);
    assert_eq!(world.fleet.newest, 3);
}

#[test]
fn nobody_waits_for_a_new_worker_to_prove_itself() {
    let mut world = watching(1);
    changes(&mut world, 0, MOMENT);
    world.template_ready(2);
    let slots = world.all_forked();
    world.ready(slots[0]);
    assert_eq!(world.fleet.proven(), Some(2));
    assert_eq!(world.retired(), [0]);
}

#[test]
fn a_worker_that_is_on_its_way_out_and_a_server_that_is_have_nothing_to_load() {
    let mut world = watching(1);
    changes(&mut world, 0, MOMENT);
    world.template_ready(2);
    let slots = world.all_forked();
    world.ready(slots[0]);
    world.pass(Duration::from_secs(1));
    changes(&mut world, 0, Duration::ZERO);
    assert_eq!(world.fleet.newest, 2, "it has been replaced");
    world.signal(Signal::SIGTERM);
    changes(&mut world, slots[0], Duration::ZERO);
    assert_eq!(world.fleet.newest, 2);
}
