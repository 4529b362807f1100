//! How the fleet follows its load: the number that the policy orders is started and retired as any other, and when it is not
//! asked at all. What it orders when is `tests/scale`'s.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::action::{Action, Notice};
use tapster::event::Event;
use tapster::fleet::{Child, Limits};
use tapster::scale::{EVERY, Rules};
use tapster_ipc::ExitCode;

use crate::world::{SIGKILL, World, limits};

const RULES: Rules = Rules {
    min: 1,
    max: 4,
    target: 70,
    window: Duration::from_secs(10),
    cooldown: Duration::from_secs(60),
    step: 2,
    burst: Some(Duration::from_secs(1)),
};

pub(crate) fn between(min: u32, max: u32) -> Limits {
    Limits { scale: Some(Rules { min, max, ..RULES }), ..limits(max) }
}

fn up() -> World {
    World::up_with(between(1, 4))
}

/// The load is looked at for so long.
pub(crate) fn load(world: &mut World, seconds: u32, busy: u32, waiting: u32) {
    for _ in 0..seconds * 10 {
        world.now += EVERY;
        world.happens(Event::Load { busy, waiting });
    }
}

fn workers(world: &World) -> usize {
    world.fleet.desired(world.fleet.target)
}

#[test]
fn a_server_starts_with_the_least_workers() {
    let world = World::up_with(between(2, 4));
    assert_eq!((world.serving(1), workers(&world)), (2, 2));
    assert!(world.fleet.follows_load());
    assert!(!World::up(2).fleet.follows_load(), "a fixed number follows nothing");
}

#[test]
fn a_load_above_the_target_brings_another_worker_and_says_why() {
    let mut world = up();
    load(&mut world, 11, 1, 0);
    assert_eq!((workers(&world), world.forks.len()), (2, 1));
    assert!(world.has_logged(Level::Info, "2 workers, no longer 1: 100 % busy over 10 s"));
    world.all_ready();
    assert_eq!(world.serving(1), 2);
}

#[test]
fn a_burst_brings_several_at_once_and_no_more_until_they_are_ready() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    assert_eq!((workers(&world), world.forks.len()), (3, 2));
    assert!(world.has_logged(Level::Info, "3 workers, no longer 1: all busy, and 17 wait"));
    let booting = world.all_forked();
    load(&mut world, 30, 1, 17);
    assert_eq!((workers(&world), world.forks.len()), (3, 0), "they boot");
    booting.into_iter().for_each(|slot| world.ready(slot));
    load(&mut world, 2, 3, 17);
    assert_eq!(workers(&world), 4);
    world.all_ready();
    world.take();
    load(&mut world, 2, 4, 17);
    assert!(world.has_logged(Level::Warn, "All 4 workers are busy and 17 wait, and 4 is the most that workers allows"));
}

#[test]
fn boots_that_fail_are_throttled_and_bring_no_further_orders() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    for _ in 0..5 {
        for slot in world.all_forked() {
            world.boot_failed(Child::Worker(slot), ExitCode::AppImport);
        }
        world.settle();
        load(&mut world, 1, 1, 17);
        world.pass(Duration::from_secs(5));
    }
    assert_eq!((workers(&world), world.serving(1)), (3, 1));
    assert!(world.forks.len() <= 1, "one at a time is tried");
}

#[test]
fn what_is_too_much_retires_one_by_one() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    world.all_ready();
    world.take();
    load(&mut world, 71, 0, 0);
    assert_eq!((workers(&world), world.serving(1)), (2, 2));
    assert!(world.has_logged(Level::Info, "2 workers, no longer 3: "));
    assert!(world.has_logged(Level::Info, "fewer workers are wanted"));
    load(&mut world, 61, 0, 0);
    assert_eq!((workers(&world), world.serving(1)), (1, 1));
    load(&mut world, 600, 0, 0);
    assert_eq!((workers(&world), world.serving(1)), (1, 1));
}

#[test]
fn a_worker_that_dies_is_replaced_and_changes_no_number() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    world.all_ready();
    world.pass(Duration::from_secs(5));
    world.exits(Child::Worker(1), SIGKILL);
    world.all_ready();
    assert_eq!((workers(&world), world.serving(1)), (3, 3));
}

#[test]
fn a_reload_keeps_the_number_within_its_own_range() {
    #[rustfmt::skip]
    let table = [
        // the new settings; how many workers there are then, of 3
        (between(1, 8), 3),
        (between(4, 8), 4),
        (between(1, 2), 2),
        (limits(6),     6),
    ];
    for (settings, number) in table {
        let mut world = up();
        load(&mut world, 2, 1, 17);
        world.all_ready();
        assert_eq!(workers(&world), 3);
        world.reload = Ok(settings);
        world.signal(Signal::SIGHUP);
        world.template_ready(2);
        world.all_ready();
        world.settle();
        assert_eq!((workers(&world), world.serving(1), world.serving(2)), (number, 0, number), "{settings:?}");
    }
}

#[test]
fn a_fixed_number_is_where_a_range_goes_on_from() {
    let mut world = World::up(3);
    world.reload = Ok(between(1, 4));
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    world.all_ready();
    world.settle();
    assert_eq!((workers(&world), world.serving(2)), (3, 3));
}

#[test]
fn a_number_that_a_range_has_brought_down_is_forgotten() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    world.all_ready();
    for (generation, most) in [(2, 2), (3, 4)] {
        world.reload = Ok(between(1, most));
        world.signal(Signal::SIGHUP);
        world.template_ready(generation);
        world.all_ready();
        world.settle();
        assert_eq!((workers(&world), world.serving(generation)), (2, 2));
    }
}

#[test]
fn while_a_reload_rolls_the_load_is_not_heeded() {
    let mut world = up();
    world.signal(Signal::SIGHUP);
    load(&mut world, 30, 1, 17);
    assert_eq!(workers(&world), 1, "the first of the new generation boots");
    world.template_ready(2);
    world.all_ready();
    world.settle();
    load(&mut world, 1, 1, 17);
    assert_eq!(workers(&world), 1, "what was seen before does not count");
    load(&mut world, 1, 1, 17);
    assert_eq!(workers(&world), 3);
}

#[test]
fn a_reload_that_fails_leaves_the_number_as_it_was() {
    let mut world = up();
    load(&mut world, 2, 1, 17);
    world.all_ready();
    world.reload = Ok(between(1, 2));
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    let slot = world.all_forked()[0];
    world.boot_failed(Child::Worker(slot), ExitCode::AppImport);
    world.settle();
    assert_eq!((workers(&world), world.serving(1)), (3, 3));
}

#[test]
fn a_server_that_starts_or_stops_does_not_look_at_its_load() {
    let mut world = World::started(between(1, 4));
    assert!(!world.fleet.follows_load());
    load(&mut world, 20, 1, 17);
    assert_eq!(workers(&world), 1);
    let mut world = up();
    world.signal(Signal::SIGTERM);
    assert!(!world.fleet.follows_load());
    load(&mut world, 2, 1, 17);
    assert!(world.forks.is_empty());
}

#[test]
fn the_status_tells_the_number_the_range_and_how_busy_they_are() {
    let mut world = up();
    world.take();
    load(&mut world, 6, 0, 0);
    let told = |world: &mut World| {
        let actions = world.take();
        let status = |action: &Action| match action {
            Action::Notify(Notice::Status(text)) => Some(text.clone()),
            _ => None,
        };
        actions.iter().filter_map(status).collect::<Vec<_>>()
    };
    let first = told(&mut world);
    assert_eq!(first, ["workers ready: 1, generation 1; 1 of 1-4 wanted, 0 % busy"]);
    load(&mut world, 12, 1, 0);
    let later = told(&mut world);
    assert!(later.last().unwrap().starts_with("workers ready: 1, generation 1; 2 of 1-4 wanted, "), "{later:?}");
    assert!(later.len() <= 4, "not at each look: {later:?}");
}
