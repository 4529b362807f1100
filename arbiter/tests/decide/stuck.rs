//! Requests whose thread does not come back: their worker is replaced first where others run in it, and killed where none can.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::action::Action;
use tapster::fleet::{Child, Limits};
use tapster_ipc::{ExitCode, Order, Report};

use crate::world::{CLEAN, SIGSEGV, World, limits};

/// A server with workers of eight threads each.
fn threaded(workers: u32) -> World {
    World::up_with(Limits { threads: 8, ..limits(workers) })
}

fn stuck(world: &mut World, slot: u32, running: u32) {
    let request = "GET /report HTTP/1.1".into();
    world.report(Child::Worker(slot), Report::Stuck { spent_ms: 35_100, running, request });
}

fn pid(world: &World, slot: u32) -> i32 {
    world.fleet.process(Child::Worker(slot)).unwrap().pid
}

#[test]
fn a_worker_with_one_thread_in_which_a_request_is_stuck_is_aborted_killed_and_replaced_at_once() {
    let mut world = World::up(2);
    let pid = pid(&world, 1);
    stuck(&mut world, 1, 0);
    let line = format!(
        "WORKER TIMEOUT (pid: {pid}, slot: 1): GET /report HTTP/1.1 has been in the application for 35.1 s, and its thread \
         does not come back, limits timeout = 30 s, timeout_grace = 5 s; the worker is killed and replaced"
    );
    assert_eq!(world.logged(), [line]);
    assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGABRT }));
    assert_eq!(world.forks.len(), 1, "replaced at once, into another slot");
    assert!(!world.has_been_killed(Child::Worker(1)), "Python shows its stacks first");
    world.pass(Duration::from_secs(1));
    assert!(world.has_been_killed(Child::Worker(1)));
    world.reap_killed();
    world.all_ready();
    assert_eq!((world.fleet.ready(), world.retired()), (2, vec![]));
}

#[test]
fn where_others_run_a_replacement_is_ready_before_the_worker_retires() {
    let mut world = threaded(2);
    stuck(&mut world, 0, 3);
    assert!(
        world.has_logged(
            Level::Error,
            "goes on until another one serves in its place (other requests running in it: 3)"
        )
    );
    assert_eq!(world.forks, [(2, 1)].into());
    world.forked(2);
    assert_eq!((world.retired(), world.fleet.ready()), (vec![], 2));
    world.ready(2);
    let retire = Order::Retire { within_ms: 20_000, drain: false };
    assert_eq!(world.told(|order| *order == retire), [Child::Worker(0)]);
    assert!(world.has_logged(Level::Info, "a request is stuck in it"));
    assert!(world.forks.is_empty());
    world.take();
    world.pass(Duration::from_secs(22));
    assert!(world.has_been_killed(Child::Worker(0)), "graceful_timeout is over, and the moment for Python's own end");
    assert!(world.has_logged(Level::Warn, "it did not stop in time"));
    world.settle();
    assert_eq!((world.serving(1), world.forks.len()), (2, 0));
}

#[test]
fn the_stuck_worker_retires_and_not_an_older_one() {
    let mut world = threaded(4);
    world.exits(Child::Worker(2), SIGSEGV);
    world.all_ready();
    world.take();
    stuck(&mut world, 2, 1);
    world.all_ready();
    assert_eq!(world.retired(), [2], "the youngest");
}

#[test]
fn a_worker_with_idle_threads_is_no_different_from_one_whose_threads_are_busy() {
    let mut world = threaded(1);
    stuck(&mut world, 0, 0);
    assert_eq!((world.forks.len(), world.fleet.ready()), (1, 1));
    world.all_ready();
    assert_eq!(world.retired(), [0]);
}

#[test]
fn several_stuck_workers_are_replaced_each_by_one() {
    let mut world = threaded(4);
    for slot in [1, 3, 0] {
        stuck(&mut world, slot, 1);
    }
    assert_eq!(world.forks.len(), 3);
    let mut gone = Vec::new();
    for slot in world.all_forked() {
        world.take();
        world.ready(slot);
        assert_eq!(world.fleet.ready(), 4, "never below capacity");
        gone.extend(world.retired());
    }
    gone.sort_unstable();
    assert_eq!(gone, [0, 1, 3]);
    world.settle();
    assert_eq!((world.serving(1), world.forks.len()), (4, 0));
}

#[test]
fn a_second_request_that_is_stuck_in_a_worker_is_only_logged() {
    let mut world = threaded(2);
    stuck(&mut world, 0, 3);
    world.take();
    stuck(&mut world, 0, 2);
    assert!(world.has_logged(Level::Error, "the worker is being replaced already"));
    assert_eq!((world.take().len(), world.forks.len()), (1, 1));
    world.all_ready();
    assert_eq!(world.retired(), [0]);
    world.take();
    stuck(&mut world, 0, 1);
    assert!(world.has_logged(Level::Error, "the worker retires already, and is killed unless it ends within 22 s"));
    assert_eq!((world.take().len(), world.forks.len()), (1, 0));
}

#[test]
fn a_stuck_worker_that_dies_before_its_replacement_is_ready_is_replaced_once() {
    let mut world = threaded(2);
    stuck(&mut world, 0, 3);
    world.forked(2);
    world.exits(Child::Worker(0), SIGSEGV);
    assert!(world.forks.is_empty(), "there is one on its way");
    world.ready(2);
    assert_eq!((world.serving(1), world.retired()), (2, vec![]));
}

#[test]
fn a_stuck_worker_serves_on_while_its_replacement_fails_to_boot() {
    let mut world = threaded(2);
    stuck(&mut world, 0, 3);
    for _ in 0..20 {
        for slot in world.all_forked() {
            world.boot_failed(Child::Worker(slot), ExitCode::AppImport);
            world.exits(Child::Worker(slot), CLEAN);
        }
        assert_eq!((world.serving(1), world.retired(), world.exit), (2, vec![], None));
        world.pass(Duration::from_secs(5));
    }
    world.pass(Duration::from_secs(30));
    world.all_ready();
    assert_eq!((world.retired(), world.serving(1)), (vec![0], 2));
}

#[test]
fn a_worker_that_is_stuck_during_a_reload_is_replaced_from_its_own_template() {
    let mut world = threaded(4);
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    assert_eq!(world.all_forked(), [4], "the new generation's first");
    stuck(&mut world, 1, 3);
    assert_eq!(world.forks, [(5, 1)].into());
    world.forked(5);
    world.ready(5);
    assert_eq!((world.retired(), world.serving(1)), (vec![1], 4));
    world.boot_failed(Child::Worker(4), ExitCode::AppImport);
    world.settle();
    assert_eq!((world.serving(1), world.fleet.generations.len(), world.forks.len()), (4, 1, 0));
}

#[test]
fn a_reload_that_is_faster_than_the_replacement_retires_the_stuck_worker_first() {
    let mut world = threaded(4);
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    world.all_forked();
    stuck(&mut world, 3, 3);
    world.forked(5);
    world.proves(4);
    assert_eq!(world.retired(), [3]);
    assert!(world.has_been_killed(Child::Worker(5)), "the old generation's replacement is no longer needed");
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(2), world.fleet.ready(), world.fleet.generations.len()), (4, 4, 1));
}

#[test]
fn a_worker_that_is_stuck_while_the_new_generation_rolls_out_changes_nothing_for_it() {
    for stuck_slot in [1, 4] {
        let mut world = threaded(4);
        world.signal(Signal::SIGHUP);
        world.template_ready(2);
        world.all_forked();
        world.proves(4);
        stuck(&mut world, stuck_slot, 3);
        while let Some(slot) = world.forks.keys().next().copied() {
            world.forked(slot);
            world.ready(slot);
            assert!(world.fleet.ready() >= 4, "slot {stuck_slot}");
        }
        world.settle();
        assert_eq!((world.serving(1), world.serving(2)), (0, 4), "slot {stuck_slot}");
        assert!(!world.fleet.workers.contains_key(&stuck_slot), "slot {stuck_slot}");
    }
}

#[test]
fn a_new_generations_first_worker_that_is_stuck_does_not_keep_the_old_one_in_place() {
    let mut world = threaded(2);
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    assert_eq!(world.all_forked(), [2]);
    world.ready(2);
    stuck(&mut world, 2, 0);
    world.pass(Duration::from_secs(1));
    world.all_ready();
    world.settle();
    assert_eq!((world.serving(1), world.serving(2)), (0, 2));
    assert!(!world.fleet.workers.contains_key(&2));
}

#[test]
fn fewer_workers_may_be_wanted_while_one_is_stuck() {
    let mut world = threaded(3);
    stuck(&mut world, 1, 3);
    world.all_forked();
    world.signal(Signal::SIGTTOU);
    assert!(world.has_been_killed(Child::Worker(3)), "its replacement is none any more");
    assert_eq!(world.retired(), [1]);
    world.settle();
    assert_eq!((world.serving(1), world.forks.len()), (2, 0));
}

#[test]
fn a_worker_with_one_thread_that_is_to_retire_is_killed_when_its_last_request_is_stuck() {
    for signal in [Signal::SIGTTOU, Signal::SIGHUP, Signal::SIGTERM] {
        let mut world = World::up_with(Limits { graceful: Duration::from_secs(3600), ..limits(2) });
        world.signal(signal);
        world.template_ready(2);
        world.all_ready();
        assert!(world.retired().contains(&0), "{signal}");
        let forks = world.forks.len();
        world.take();
        stuck(&mut world, 0, 0);
        assert!(world.has_logged(Level::Error, "the worker, which was to retire, is killed"), "{signal}");
        assert_eq!(world.forks.len(), forks, "{signal}: nothing takes its place");
        world.pass(Duration::from_secs(1));
        assert!(world.has_been_killed(Child::Worker(0)), "{signal}");
        world.take();
        stuck(&mut world, 0, 0);
        assert!(world.has_logged(Level::Error, "the worker is being ended already"), "{signal}");
        assert_eq!(world.take().len(), 1, "{signal}");
    }
}

#[test]
fn a_stop_gives_a_stuck_worker_no_more_time_than_others_and_replaces_nothing() {
    let mut world = threaded(2);
    stuck(&mut world, 0, 3);
    world.all_forked();
    world.signal(Signal::SIGTERM);
    assert!(world.has_been_killed(Child::Worker(2)), "the replacement was booting");
    stuck(&mut world, 0, 2);
    world.exits(Child::Template(1), CLEAN);
    world.pass(Duration::from_secs(22));
    assert!(world.has_been_killed(Child::Worker(0)));
    world.settle();
    assert_eq!((world.exit, world.forks.len()), (Some(ExitCode::Stopped), 0));
}

#[test]
fn only_a_worker_that_serves_or_did_can_have_a_request() {
    let mut world = World::new(1);
    world.template_ready(1);
    world.all_forked();
    stuck(&mut world, 0, 0);
    assert_eq!(world.fleet.gossip, 1);
    world.report(Child::Template(1), Report::Stuck { spent_ms: 1, running: 0, request: "GET / HTTP/1.1".into() });
    assert_eq!(world.fleet.gossip, 2);
    stuck(&mut world, 7, 0);
    world.ready(0);
    assert_eq!((world.fleet.ready(), world.forks.len()), (1, 0));
}
