//! Workers that are done with their requests: what their own end may take, and what the log says of one that takes longer.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::event::Event;
use tapster::fleet::{Child, Limits};
use tapster_ipc::Report;

use crate::world::{CLEAN, SIGKILL, World, limits};

const WORKER: Child = Child::Worker(0);

fn ending(world: &mut World, within: u32, left: u32) {
    world.report(WORKER, Report::Ending { within_ms: within, left });
}

#[test]
fn a_worker_that_is_done_with_its_requests_is_at_no_halt_however_long_its_end_takes() {
    let mut world = World::up_with(Limits { graceful: Duration::from_secs(3600), ..limits(1) });
    world.signal(Signal::SIGTERM);
    let since = world.now;
    ending(&mut world, 3_602_000, 0);
    assert!(world.fleet.watched().is_empty());
    world.pass(Duration::from_secs(100));
    world.happens(Event::Tick { busy: vec![(0, since)] });
    assert!(!world.has_logged(Level::Error, "WORKER TIMEOUT"));
    world.pass(Duration::from_secs(3501));
    assert!(!world.has_been_killed(WORKER));
    world.pass(Duration::from_secs(1));
    assert!(world.has_been_killed(WORKER));
}

#[test]
fn one_that_does_not_end_is_killed_and_the_log_says_what_it_may_be() {
    for (left, said) in [
        (0, "it was done with its requests 10 s ago, so a function that is registered with atexit"),
        (2, "it gave its requests up 10 s ago, and 2 had not come back then"),
    ] {
        let mut world = World::up(1);
        world.signal(Signal::SIGTERM);
        world.pass(Duration::from_secs(12));
        ending(&mut world, 10_000, left);
        world.pass(Duration::from_secs(10));
        assert!(world.has_been_killed(WORKER));
        assert!(world.has_logged(Level::Warn, "it did not stop in time") && world.has_logged(Level::Warn, said));
        assert!(world.has_logged(Level::Warn, "the server stops"));
    }
}

#[test]
fn the_same_is_said_where_its_own_timer_is_first() {
    let mut world = World::up(1);
    world.signal(Signal::SIGTERM);
    ending(&mut world, 22_000, 0);
    world.pass(Duration::from_millis(21_950));
    world.exits(WORKER, SIGKILL);
    assert!(world.has_logged(Level::Warn, "it was done with its requests 21.9 s ago"));
}

#[test]
fn one_that_somebody_else_told_to_end_is_replaced_at_once_and_has_its_time() {
    let mut world = World::up(1);
    ending(&mut world, 5_000, 0);
    assert_eq!((world.forks.len(), world.fleet.ready()), (1, 0), "its place is taken by another");
    world.happens(Event::Closed { from: WORKER });
    world.all_ready();
    world.pass(Duration::from_millis(4_900));
    assert!(!world.has_been_killed(WORKER), "a channel that is closed is no reason now");
    world.exits(WORKER, CLEAN);
    assert!(world.has_logged(Level::Warn, "Worker ended"));
    assert!(world.has_logged(Level::Warn, "exited with status 0"));
    assert_eq!((world.fleet.ready(), world.forks.len()), (1, 0));
}

#[test]
fn one_that_ends_by_itself_again_and_again_is_replaced_ever_more_slowly() {
    let mut world = World::up(1);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let slot = *world.fleet.workers.iter().find(|(_, worker)| worker.is_ready()).unwrap().0;
        world.report(Child::Worker(slot), Report::Ending { within_ms: 2000, left: 0 });
        let ended = world.now;
        world.exits(Child::Worker(slot), CLEAN);
        while world.forks.is_empty() {
            world.pass(Duration::from_millis(50));
        }
        waits.push((world.now - ended).as_millis());
        world.all_ready();
    }
    assert_eq!(waits, [0, 100, 200, 400, 800]);
}

#[test]
fn only_a_worker_that_was_ready_can_be_done() {
    let mut world = World::new(1);
    world.template_ready(1);
    world.all_forked();
    ending(&mut world, 2000, 0);
    world.report(Child::Template(1), Report::Ending { within_ms: 2000, left: 0 });
    assert_eq!(world.fleet.gossip, 2);
    world.ready(0);
    assert_eq!(world.fleet.ready(), 1);
}
