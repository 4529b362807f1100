//! Workers that have served long enough, or have grown too large: another is ready before they retire, one at a time.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal::{SIGHUP, SIGTERM, SIGTTOU, SIGWINCH};
use tapster::event::Event;
use tapster::fleet::{Child, Limits};
use tapster_ipc::{ExitCode, Report};

use crate::world::{CLEAN, PROBATION, SIGSEGV, World, limits};

const MIB: u64 = 1 << 20;
const HOUR: Duration = Duration::from_secs(3600);

/// A server whose workers are to serve 50 requests, and to have at most 100 MiB, and never 200.
fn limited(workers: u32) -> World {
    World::up_with(bounded(workers))
}

fn bounded(workers: u32) -> Limits {
    Limits { max_requests: Some(50), max_memory: Some(100 * MIB), max_memory_hard: Some(200 * MIB), ..limits(workers) }
}

fn worn_out(world: &mut World, slot: u32) {
    world.report(Child::Worker(slot), Report::WornOut { requests: 53 });
}

fn measured(world: &mut World, sizes: &[(u32, u64)]) {
    let sizes = sizes.iter().map(|&(slot, size)| (slot, size * MIB)).collect();
    world.happens(Event::Measured { sizes });
}

/// All that has been told to retire ends, but nothing else happens.
fn retired_end(world: &mut World) {
    for slot in world.retired() {
        if world.fleet.process(Child::Worker(slot)).is_some() {
            world.exits(Child::Worker(slot), CLEAN);
        }
    }
    world.take();
}

#[test]
fn a_worn_worker_serves_until_another_is_ready_and_the_log_says_why_it_retires() {
    type Wear = (fn(&mut World), &'static str);
    let table: [Wear; 2] = [
        (|world| worn_out(world, 1), "it has served 53 requests, max_requests = 50"),
        (|world| measured(world, &[(0, 99), (1, 101)]), "it has 101 MiB of memory, max_memory = 100 MiB"),
    ];
    for (wear, why) in table {
        let mut world = limited(2);
        wear(&mut world);
        wear(&mut world);
        assert_eq!((world.forks.len(), world.fleet.ready()), (1, 2), "{why}");
        world.forked(2);
        assert_eq!((world.retired(), world.fleet.ready()), (vec![], 2), "{why}");
        world.ready(2);
        assert_eq!(world.retired(), [1]);
        assert!(world.has_logged(Level::Info, &format!("{why}, and another worker serves in its place")));
        world.exits(Child::Worker(1), CLEAN);
        world.pass(HOUR);
        assert_eq!((world.fleet.ready(), world.forks.len(), world.retired()), (2, 0, vec![1]), "{why}");
        assert!(!world.logged().iter().any(|line| line.contains("too low")), "{why}");
    }
}

#[test]
fn of_several_one_is_replaced_after_the_other_and_the_next_when_the_one_before_has_gone() {
    let mut world = limited(4);
    for slot in [2, 0, 3] {
        worn_out(&mut world, slot);
        world.pass(Duration::from_millis(1));
    }
    for slot in [2, 0, 3] {
        assert_eq!(world.forks.len(), 1, "one at a time");
        world.all_ready();
        assert_eq!(world.retired(), [slot], "in the order in which they were worn");
        assert_eq!((world.fleet.ready(), world.forks.len()), (4, 0));
        world.pass(Duration::from_secs(5));
        assert_eq!(world.forks.len(), 0, "it has requests to finish");
        retired_end(&mut world);
    }
    world.settle();
    assert_eq!((world.fleet.ready(), world.forks.len()), (4, 0));
}

#[test]
fn a_lifetime_ends_at_its_time_and_not_for_all_at_once() {
    let lifetimes = Limits { max_lifetime: Some(HOUR), max_lifetime_jitter: HOUR, ..limits(3) };
    let mut world = World::up_with(lifetimes);
    let started = world.now;
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let next = world.fleet.next_deadline(world.now).expect("a lifetime is due");
        world.pass(next - world.now);
        assert_eq!(world.forks.len(), 1);
        ends.push(world.now - started);
        world.all_ready();
        assert!(world.has_logged(Level::Info, ", max_lifetime = 3600 s, and another worker serves in its place"));
        retired_end(&mut world);
    }
    assert!(ends.iter().all(|end| (HOUR - Duration::from_secs(60)..HOUR * 2).contains(end)), "{ends:?}");
    assert!(ends[0] != ends[1] && ends[1] != ends[2], "{ends:?}");
}

#[test]
fn a_worker_above_the_hard_limit_is_killed_with_the_figures_and_replaced_at_once() {
    let mut world = limited(2);
    measured(&mut world, &[(0, 50), (1, 201)]);
    assert!(world.has_been_killed(Child::Worker(1)) && !world.has_been_killed(Child::Worker(0)));
    assert!(world.has_logged(Level::Error, "it has 201 MiB of memory, max_memory_hard = 200 MiB"));
    assert_eq!(world.forks.len(), 1);
    measured(&mut world, &[(1, 201)]);
    world.reap_killed();
    assert!(world.has_logged(Level::Info, "it had more memory than max_memory_hard"));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn a_worker_that_retires_may_not_pass_the_hard_limit_either_and_what_is_gone_is_nobody() {
    let mut world = limited(2);
    world.signal(SIGTTOU);
    measured(&mut world, &[(0, 300), (77, 300)]);
    assert!(world.has_been_killed(Child::Worker(0)));
    world.reap_killed();
    assert_eq!((world.fleet.ready(), world.forks.len()), (1, 0));
}

#[test]
fn a_limit_that_new_workers_reach_at_once_replaces_them_ever_more_rarely_and_is_named() {
    type Wear = (fn(&mut World, u32), &'static str);
    let table: [Wear; 2] = [(worn_out, "max_requests"), (|world, slot| measured(world, &[(slot, 150)]), "max_memory")];
    for (wear, setting) in table {
        let mut world = limited(4);
        let (mut replaced, until) = (0, world.now + Duration::from_secs(600));
        while world.now < until {
            for slot in world.fleet.slots_of(1, tapster::fleet::Worker::is_ready) {
                wear(&mut world, slot);
            }
            replaced += world.forks.len();
            world.all_ready();
            retired_end(&mut world);
            assert_eq!(world.fleet.ready(), 4, "{setting}");
            world.pass(Duration::from_millis(100));
        }
        // Two for each wait: the next one leaves before the first is known to be no better.
        assert!((20..=60).contains(&replaced), "{setting}: {replaced} in ten minutes");
    }
    let mut world = limited(1);
    for _ in 0..3 {
        let slot = world.fleet.slots_of(1, tapster::fleet::Worker::is_ready)[0];
        measured(&mut world, &[(slot, 150)]);
        world.pass(Duration::from_secs(1));
        world.all_ready();
        world.settle();
    }
    assert!(world.has_logged(Level::Warn, "replaced in 200 ms at the earliest, for max_memory seems to be too low"));
}

#[test]
fn new_code_that_needs_more_than_the_hard_limit_is_given_up() {
    for is_booting in [true, false] {
        let mut world = limited(2);
        world.signal(SIGHUP);
        world.template_ready(2);
        for _ in 0..3 {
            let slot = world.all_forked()[0];
            if !is_booting {
                world.ready(slot);
            }
            measured(&mut world, &[(slot, 300)]);
            world.reap_killed();
            world.pass(Duration::from_secs(1));
        }
        world.settle();
        assert_eq!((world.fleet.target, world.serving(1), world.fleet.generations.len()), (1, 2, 1));
    }
}

#[test]
fn a_hard_limit_that_workers_pass_at_once_does_not_become_a_loop() {
    let mut world = limited(1);
    let (mut kills, until) = (0, world.now + Duration::from_secs(300));
    while world.now < until {
        world.all_ready();
        for slot in world.fleet.slots_of(1, tapster::fleet::Worker::is_ready) {
            measured(&mut world, &[(slot, 300)]);
            kills += 1;
        }
        world.reap_killed();
        world.pass(Duration::from_millis(100));
    }
    assert!(kills <= 20, "{kills} in five minutes");
    assert!(world.has_logged(Level::Warn, "ended soon after they were ready"));
}

#[test]
fn nothing_is_recycled_during_a_reload_which_takes_worn_workers_first() {
    let mut world = limited(3);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    worn_out(&mut world, 2);
    assert!(world.forks.is_empty());
    world.proves(3);
    assert_eq!(world.retired(), [2], "the youngest, but worn");
    worn_out(&mut world, 3);
    assert_eq!(world.forks.len(), 1, "only what the reload itself asks for");
    world.all_ready();
    assert_eq!(world.concluded(), [Ok(2)]);
    world.calm();
    assert_eq!((world.serving(2), world.fleet.ready()), (3, 3));
    assert!(world.retired().contains(&3), "after it, the worn one of the new generation is replaced");
}

#[test]
fn a_replacement_on_its_way_is_not_ended_by_a_hup() {
    let mut world = limited(2);
    worn_out(&mut world, 0);
    world.all_forked();
    world.signal(SIGHUP);
    assert!(!world.has_been_killed(Child::Worker(2)));
    world.ready(2);
    assert_eq!(world.retired(), [0]);
    world.calm();
    assert_eq!((world.serving(2), world.fleet.ready()), (2, 2));
}

#[test]
fn a_stuck_worker_does_not_wait_until_another_is_recycled() {
    let mut world = World::up_with(Limits { threads: 8, ..bounded(3) });
    let stuck = |world: &mut World, slot| {
        world.report(Child::Worker(slot), Report::Stuck { spent_ms: 40_000, running: 3, request: "GET /".into() });
    };
    worn_out(&mut world, 0);
    stuck(&mut world, 1);
    assert_eq!(world.forks.len(), 2);
    stuck(&mut world, 0);
    assert_eq!(world.forks.len(), 2, "the same worker");
    world.calm();
    assert_eq!((world.fleet.ready(), world.fleet.workers.len()), (3, 3));
}

#[test]
fn fewer_workers_are_the_fresh_ones() {
    let mut world = limited(3);
    world.signal(SIGHUP);
    worn_out(&mut world, 1);
    world.signal(SIGTTOU);
    assert_eq!(world.retired(), [1]);
    world.calm();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn a_worn_worker_serves_on_where_no_other_can_start() {
    let mut world = limited(2);
    worn_out(&mut world, 0);
    for _ in 0..20 {
        for slot in world.all_forked() {
            world.boot_failed(Child::Worker(slot), ExitCode::AppImport);
            world.settle();
        }
        world.pass(Duration::from_secs(10));
    }
    assert_eq!((world.serving(1), world.retired()), (2, vec![]));
    world.pass(Duration::from_secs(30));
    world.calm();
    assert!(world.retired().contains(&0));
}

#[test]
fn a_worn_worker_that_dies_before_its_replacement_is_ready_is_replaced_once() {
    let mut world = limited(2);
    worn_out(&mut world, 0);
    world.forked(2);
    world.exits(Child::Worker(0), SIGSEGV);
    assert!(world.forks.is_empty() && !world.has_been_killed(Child::Worker(2)));
    world.ready(2);
    assert_eq!((world.fleet.ready(), world.retired()), (2, vec![]));
}

#[test]
fn nothing_is_recycled_while_the_server_is_about_to_stop_or_has_no_workers() {
    let mut draining = World::up_with(Limits { drain_delay: HOUR, ..bounded(2) });
    draining.signal(SIGTERM);
    worn_out(&mut draining, 0);
    assert_eq!((draining.forks.len(), draining.fleet.ready()), (0, 2));
    let mut paused = limited(2);
    worn_out(&mut paused, 0);
    paused.all_forked();
    paused.signal(SIGWINCH);
    assert!(paused.has_been_killed(Child::Worker(2)));
    paused.calm();
    assert_eq!((paused.fleet.ready(), paused.forks.len()), (0, 0));
    paused.signal(SIGHUP);
    paused.calm();
    assert_eq!(paused.fleet.ready(), 2);
}

#[test]
fn only_a_worker_that_serves_can_be_worn() {
    let mut world = World::new(1);
    world.template_ready(1);
    world.all_forked();
    worn_out(&mut world, 0);
    world.report(Child::Template(1), Report::WornOut { requests: 1 });
    worn_out(&mut world, 7);
    assert_eq!(world.fleet.gossip, 3);
    world.ready(0);
    world.pass(PROBATION);
    world.signal(SIGTERM);
    worn_out(&mut world, 0);
    assert_eq!((world.fleet.gossip, world.forks.len()), (3, 0), "one that retires may say so");
}
