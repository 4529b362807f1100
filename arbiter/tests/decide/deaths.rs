//! Deaths once the server is up: everything is replaced, nothing ends the server, and nothing is retried without a pause.

use std::time::Duration;

use log::Level;
use tapster::action::Action;
use tapster::event::{End, Event};
use tapster::fleet::Child;
use tapster_ipc::{ExitCode, Report};

use crate::world::{SIGKILL, SIGSEGV, World};

#[test]
fn a_worker_that_dies_is_replaced_at_once_and_the_log_says_how() {
    let table = [
        (SIGSEGV, "killed by SIGSEGV"),
        (SIGKILL, "killed by SIGKILL (not sent by the arbiter)"),
        (End::Killed { signal: 9, out_of_memory: true }, "out of memory"),
        (End::Killed { signal: 40, out_of_memory: false }, "killed by signal 40"),
        (End::Status(3), "exited with status 3"),
        (End::Status(0), "exited with status 0"),
    ];
    for (end, words) in table {
        let mut world = World::up(2);
        world.exits(Child::Worker(1), end);
        assert!(world.has_logged(Level::Error, words), "{words}");
        assert_eq!(world.forks, [(1, 1)].into());
        world.all_ready();
        assert_eq!(world.fleet.ready(), 2);
    }
}

#[test]
fn a_worker_that_dies_young_again_and_again_is_replaced_ever_more_slowly() {
    let mut world = World::up(1);
    let mut waits = Vec::new();
    for _ in 0..5 {
        world.exits(Child::Worker(0), SIGSEGV);
        let died = world.now;
        while world.forks.is_empty() {
            world.pass(Duration::from_millis(50));
        }
        waits.push((world.now - died).as_millis());
        world.all_ready();
    }
    assert_eq!(waits, [0, 100, 200, 400, 800]);
    world.pass(Duration::from_secs(100));
    world.exits(Child::Worker(0), SIGSEGV);
    assert_eq!(world.forks.len(), 1, "one that has lived is replaced at once");
}

#[test]
fn workers_that_cannot_boot_once_the_server_is_up_are_retried_with_pauses_for_ever() {
    let mut world = World::up(2);
    world.exits(Child::Worker(1), SIGSEGV);
    let mut trials = 0;
    for _ in 0..600 {
        for slot in world.all_forked() {
            trials += 1;
            world.boot_failed(Child::Worker(slot), ExitCode::AppImport);
            world.exits(Child::Worker(slot), End::Status(3));
        }
        world.pass(Duration::from_millis(500));
    }
    assert!((10..=20).contains(&trials), "{trials} trials in 5 minutes");
    assert_eq!((world.exit, world.serving(1)), (None, 1));
    world.pass(Duration::from_secs(30));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
    world.pass(Duration::from_secs(5));
    world.exits(Child::Worker(1), SIGSEGV);
    assert_eq!(world.forks.len(), 1, "all is forgotten");
}

#[test]
fn while_it_is_doubtful_whether_workers_boot_one_tries_before_all_do() {
    let mut world = World::up(4);
    for slot in 0..3 {
        world.exits(Child::Worker(slot), SIGSEGV);
    }
    for slot in world.all_forked() {
        world.exits(Child::Worker(slot), SIGSEGV);
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.forks.len(), 1);
    let slot = world.all_forked()[0];
    world.ready(slot);
    assert_eq!(world.forks.len(), 2, "and then the others");
}

#[test]
fn a_template_that_dies_is_replaced_and_its_workers_go_on() {
    let mut world = World::up(2);
    world.exits(Child::Template(1), SIGKILL);
    assert!(world.has_logged(Level::Error, "Template died"));
    world.pass(Duration::from_millis(100));
    assert!(world.has_done(&Action::SpawnTemplate { generation: 1 }));
    assert_eq!(world.serving(1), 2);
    world.template_ready(1);
    assert!(world.forks.is_empty(), "nothing is missing");
    world.exits(Child::Worker(0), SIGSEGV);
    assert_eq!(world.forks.len(), 1);
}

#[test]
fn a_template_whose_code_is_broken_by_now_is_retried_and_its_workers_go_on() {
    let mut world = World::up(2);
    world.exits(Child::Template(1), SIGKILL);
    for _ in 0..100 {
        world.pass(Duration::from_secs(1));
        if world.fleet.process(Child::Template(1)).is_some() {
            world.boot_failed(Child::Template(1), ExitCode::AppImport);
            world.exits(Child::Template(1), End::Status(3));
        }
    }
    assert!(world.has_logged(Level::Error, "Template can't start"));
    assert_eq!((world.exit, world.serving(1)), (None, 2));
    world.pass(Duration::from_secs(30));
    world.template_ready(1);
    world.exits(Child::Worker(0), SIGSEGV);
    world.pass(Duration::from_secs(30));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn forks_that_a_dead_template_owes_are_ordered_from_the_next_one() {
    let mut world = World::up(3);
    world.exits(Child::Worker(0), SIGSEGV);
    world.exits(Child::Worker(1), SIGSEGV);
    assert_eq!(world.forks.len(), 2);
    world.exits(Child::Template(1), SIGKILL);
    assert!(world.has_done(&Action::Discard { child: Child::Worker(0) }), "what it forked unsaid sees the end");
    world.pass(Duration::from_secs(1));
    world.template_ready(1);
    world.all_ready();
    assert_eq!(world.fleet.ready(), 3);
}

#[test]
fn a_fork_that_fails_is_retried() {
    let mut world = World::up(2);
    world.exits(Child::Worker(0), SIGSEGV);
    world.forks.clear();
    world.report(Child::Template(1), Report::ForkFailed { slot: 0, reason: "too many processes".into() });
    assert!(world.has_logged(Level::Error, "too many processes"));
    world.pass(Duration::from_millis(100));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn gossip_is_said_counted_and_passed_over() {
    let mut world = World::up(1);
    for _ in 0..1000 {
        world.happens(Event::Gossip { from: Child::Worker(0), what: "3 bytes of kind 99".into() });
    }
    assert_eq!(world.fleet.gossip, 1000);
    assert!(world.logged().len() < 20, "the log is not flooded");
    assert_eq!(world.fleet.ready(), 1);
    world.take();
    let strange = [
        (Child::Template(1), Report::WorkerReady),
        (Child::Worker(0), Report::TemplateReady { python: "3".into() }),
        (Child::Worker(0), Report::Forked { slot: 0, pid: 1 }),
        (Child::Template(1), Report::Forked { slot: 0, pid: 1 }),
        (Child::Template(1), Report::ForkFailed { slot: 77, reason: String::new() }),
    ];
    for (from, report) in strange {
        world.report(from, report);
    }
    assert_eq!((world.fleet.gossip, world.fleet.ready()), (1005, 1));
}

#[test]
fn a_closed_channel_is_mostly_a_death_and_otherwise_becomes_one() {
    let mut world = World::up(1);
    world.happens(Event::Closed { from: Child::Worker(0) });
    assert!(world.logged().is_empty(), "the kernel will say more");
    world.pass(Duration::from_secs(2));
    assert!(world.has_been_killed(Child::Worker(0)));
    assert!(world.has_logged(Level::Error, "channel"));
    world.reap_killed();
    world.pass(Duration::from_secs(1));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 1);
}

#[test]
fn a_worker_that_retires_may_close_its_channel() {
    let mut world = World::up(1);
    world.signal(nix::sys::signal::Signal::SIGTERM);
    world.happens(Event::Closed { from: Child::Worker(0) });
    world.pass(Duration::from_secs(19));
    assert!(!world.has_been_killed(Child::Worker(0)));
}

#[test]
fn the_log_says_for_how_long_nothing_is_started_after_what_has_failed_and_once_for_each_wait() {
    let mut world = World::up(4);
    let said = |world: &mut World, text: &str| {
        let lines = world.logged().into_iter().filter(|line| line.contains("the next trial in")).count();
        assert!(lines <= 1 && (lines == 0) == text.is_empty(), "{:?}", world.logged());
        assert!(text.is_empty() || world.has_logged(Level::Warn, text), "{:?}", world.logged());
        world.take();
    };
    world.exits(Child::Worker(0), SIGSEGV);
    said(&mut world, "");
    world.all_ready();
    world.exits(Child::Worker(0), SIGSEGV);
    said(
        &mut world,
        "Processes of generation 1 ended soon after they were ready, 1 in a row: the next trial in 100 ms",
    );
    world.pass(Duration::from_millis(100));
    for slot in world.all_forked() {
        world.exits(Child::Worker(slot), SIGSEGV);
    }
    said(&mut world, "Processes of generation 1 failed to boot, 1 in a row: the next trial in 100 ms");
    world.pass(Duration::from_millis(100));
    for slot in world.all_forked() {
        world.exits(Child::Worker(slot), SIGSEGV);
    }
    said(&mut world, "failed to boot, 2 in a row: the next trial in 200 ms");
}

#[test]
fn what_did_not_stop_in_time_is_said_with_the_time_that_it_had() {
    use nix::sys::signal::Signal::{SIGINT, SIGTERM, SIGTTOU};
    for (signal, text) in
        [(SIGTTOU, "graceful_timeout = 20 s"), (SIGTERM, "graceful_timeout = 20 s"), (SIGINT, "a quick stop")]
    {
        let mut world = World::up(2);
        world.signal(signal);
        world.pass(Duration::from_secs(22));
        assert!(world.has_logged(Level::Warn, &format!("it did not stop in time ({text})")), "{signal}");
    }
}
