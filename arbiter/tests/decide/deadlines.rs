//! What takes too long: boots, forks, workers that have come to a halt.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::action::Action;
use tapster::event::Event;
use tapster::fleet::{Child, Fleet, Limits};
use tapster_ipc::ExitCode;

use crate::world::{SIGKILL, SIGSEGV, World, limits};

fn tick(world: &mut World, busy: &[(u32, Duration)]) {
    world.happens(Event::Tick { busy: busy.to_vec() });
}

#[test]
fn a_worker_at_a_halt_for_a_second_longer_than_it_may_be_stuck_is_aborted_then_killed_and_replaced_at_once() {
    let mut world = World::up(2);
    let since = world.now - Duration::from_secs(36);
    let pid = world.fleet.process(Child::Worker(1)).unwrap().pid;
    tick(&mut world, &[(0, since + Duration::from_secs(1)), (1, since)]);
    let said =
        "the whole process has been at a halt for 36 s, limits timeout = 30 s, timeout_grace = 5 s; it is killed and";
    assert!(world.has_logged(Level::Error, &format!("WORKER TIMEOUT (pid: {pid}, slot: 1): {said} replaced")));
    assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGABRT }));
    assert_eq!(world.forks.len(), 1, "replaced at once, into another slot");
    assert!(!world.has_been_killed(Child::Worker(1)));
    tick(&mut world, &[(1, since)]);
    world.pass(Duration::from_secs(1));
    assert!(world.has_been_killed(Child::Worker(1)));
    world.reap_killed();
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn without_a_timeout_nothing_is_watched() {
    let mut world = World::up(1);
    assert_eq!(world.fleet.watched(), [(0, Duration::from_secs(36))]);
    world.reload = Ok(Limits { timeout: None, ..limits(1) });
    world.signal(Signal::SIGHUP);
    world.template_ready(2);
    world.all_ready();
    world.settle();
    assert!(world.fleet.watched().is_empty());
    tick(&mut world, &[(1, Duration::ZERO)]);
    assert_eq!(world.fleet.ready(), 1);
}

#[test]
fn what_hangs_at_the_first_start_is_killed_and_not_tried_again() {
    let mut in_the_worker = World::new(1);
    in_the_worker.template_ready(1);
    in_the_worker.all_forked();
    for mut world in [World::new(1), in_the_worker] {
        world.pass(Duration::from_secs(60));
        assert!(world.has_logged(Level::Error, "not ready within boot_timeout"));
        assert!(world.has_logged(Level::Error, "the server ends"));
        world.settle();
        assert_eq!(world.exit, Some(ExitCode::AppImport));
    }
}

#[test]
fn a_worker_that_hangs_once_the_server_is_up_is_tried_again() {
    let mut world = World::up(2);
    world.exits(Child::Worker(0), SIGSEGV);
    world.all_forked();
    world.pass(Duration::from_secs(60));
    world.pass(Duration::from_secs(1));
    assert!(world.has_been_killed(Child::Worker(0)));
    world.reap_killed();
    world.pass(Duration::from_secs(1));
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn a_worker_that_retires_may_not_come_to_a_halt_either() {
    for signal in [Signal::SIGTTOU, Signal::SIGHUP, Signal::SIGTERM] {
        let mut world = World::up_with(Limits { graceful: Duration::from_secs(3600), ..limits(2) });
        let slot = 0;
        world.signal(signal);
        world.template_ready(2);
        world.all_ready();
        assert!(world.retired().contains(&slot), "{signal}");
        assert!(world.fleet.watched().contains(&(slot, Duration::from_secs(36))), "{signal}");
        let (pid, since) = (world.fleet.process(Child::Worker(slot)).unwrap().pid, world.now);
        world.take();
        world.now += Duration::from_secs(36);
        tick(&mut world, &[(slot, since)]);
        assert!(world.has_logged(Level::Error, "WORKER TIMEOUT"), "{signal}");
        assert!(
            world.has_logged(Level::Error, "it is killed") && !world.has_logged(Level::Error, "replaced"),
            "{signal}"
        );
        assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGABRT }), "{signal}");
        world.take();
        tick(&mut world, &[(slot, since)]);
        assert!(world.logged().is_empty(), "{signal}: said once");
        world.pass(Duration::from_secs(1));
        assert!(world.has_been_killed(Child::Worker(slot)), "{signal}");
    }
}

#[test]
fn the_time_to_boot_counts_from_the_fork() {
    let mut world = World::up(1);
    world.exits(Child::Worker(0), SIGSEGV);
    world.pass(Duration::from_secs(9));
    world.all_forked();
    world.pass(Duration::from_secs(59));
    assert!(!world.has_logged(Level::Error, "not ready within boot_timeout"));
    world.pass(Duration::from_secs(1));
    assert!(world.has_logged(Level::Error, "not ready within boot_timeout = 60 s"));
    world.pass(Duration::from_secs(1));
    assert!(world.has_been_killed(Child::Worker(0)));
}

#[test]
fn after_a_halt_of_the_arbiter_nobody_is_late_whose_word_waits_to_be_heard() {
    let mut world = World::new(2);
    world.template_ready(1);
    world.all_forked();
    world.now += Duration::from_secs(3600);
    world.ready(0);
    world.ready(1);
    world.pass(Duration::ZERO);
    assert_eq!(world.fleet.ready(), 2);
    // And who has said nothing by then is.
    let mut world = World::new(2);
    world.template_ready(1);
    world.all_forked();
    world.now += Duration::from_secs(3600);
    world.ready(0);
    world.pass(Duration::ZERO);
    assert!(world.has_logged(Level::Error, "not ready within boot_timeout = 60 s"));
}

#[test]
fn a_template_that_does_not_answer_the_order_to_fork_is_replaced() {
    let mut world = World::up(2);
    world.exits(Child::Worker(0), SIGSEGV);
    world.pass(Duration::from_secs(10));
    assert!(world.has_been_killed(Child::Template(1)));
    assert!(world.has_logged(Level::Error, "did not answer the order to fork"));
    world.reap_killed();
    world.pass(Duration::from_secs(1));
    world.template_ready(1);
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn without_a_boot_timeout_a_start_may_take_for_ever() {
    let mut world = World::new(1);
    world.fleet = Fleet::new(Limits { boot: None, ..limits(1) });
    tick(&mut world, &[]);
    world.pass(Duration::from_secs(100_000));
    assert!(world.fleet.process(Child::Template(1)).is_some());
    assert!(!world.has_been_killed(Child::Template(1)));
}

#[test]
fn one_that_says_it_cannot_start_but_stays_is_killed() {
    let mut world = World::up(1);
    world.exits(Child::Worker(0), SIGSEGV);
    world.all_forked();
    world.boot_failed(Child::Worker(0), ExitCode::AppImport);
    world.pass(Duration::from_secs(2));
    assert!(world.has_been_killed(Child::Worker(0)));
}

#[test]
fn a_workers_own_timer_is_not_taken_for_a_strangers_kill() {
    let mut world = World::up(1);
    world.signal(Signal::SIGTERM);
    world.pass(Duration::from_millis(21_950));
    world.exits(Child::Worker(0), SIGKILL);
    assert!(world.has_logged(Level::Warn, "did not stop in time"));
    assert!(!world.logged().iter().any(|line| line.contains("not sent by the arbiter")));
}

#[test]
fn a_server_in_which_nothing_is_due_sleeps() {
    let world = World::up(4);
    assert_eq!(world.fleet.next_deadline(world.now), None);
}
