//! Processes that a signal has stopped, and that go on or don't.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::action::Action;
use tapster::event::Event;
use tapster::fleet::{Child, Limits};

use crate::world::{World, limits};

/// As long as `limits` let a worker be at a halt.
const HALT: Duration = Duration::from_secs(36);
const MOMENT: Duration = Duration::from_millis(100);

#[test]
fn a_worker_that_is_stopped_is_said_at_once_and_aborted_killed_and_replaced_after_as_long_as_one_may_be_at_a_halt() {
    for signal in [Signal::SIGSTOP, Signal::SIGTSTP] {
        let mut world = World::up(2);
        let pid = world.fleet.process(Child::Worker(1)).unwrap().pid;
        world.halts(Child::Worker(1), signal);
        let said = format!(
            "Worker has been stopped by {signal} (slot: 1, pid: {pid}, generation: 1): it serves nobody until SIGCONT; it is \
             killed unless that comes within 36 s"
        );
        assert!(world.has_logged(Level::Warn, &said), "{:?}", world.logged());
        assert_eq!(world.fleet.next_deadline(world.now), Some(world.now + HALT));
        world.take();
        world.pass(HALT - MOMENT);
        assert_eq!((world.take(), world.forks.len()), (Vec::new(), 0), "nobody else does anything until then");
        world.pass(MOMENT);
        let said =
            format!("WORKER TIMEOUT (pid: {pid}, slot: 1): the whole process has been at a halt for 36 s, stopped");
        assert!(world.has_logged(Level::Error, &said), "{:?}", world.logged());
        assert!(world.has_logged(Level::Error, "it is killed and replaced"));
        assert!(world.has_done(&Action::Kill { pid, signal: Signal::SIGABRT }));
        assert_eq!(world.forks.len(), 1);
        world.take();
        world.pass(Duration::from_secs(1));
        assert!(world.has_been_killed(Child::Worker(1)));
        assert!(!world.has_logged(Level::Error, "WORKER TIMEOUT"), "it is said once");
        world.reap_killed();
        world.all_ready();
        assert_eq!(world.fleet.ready(), 2);
    }
}

#[test]
fn a_worker_that_goes_on_in_time_serves_on_and_has_all_the_time_again_when_it_is_stopped_anew() {
    let mut world = World::up(1);
    world.halts(Child::Worker(0), Signal::SIGSTOP);
    world.pass(HALT - MOMENT);
    world.goes_on(Child::Worker(0));
    assert!(world.has_logged(Level::Info, "Worker goes on (slot: 0"), "{:?}", world.logged());
    assert!(world.has_logged(Level::Info, "it had been stopped for 35.9 s"), "{:?}", world.logged());
    assert_eq!(world.fleet.next_deadline(world.now), None);
    world.pass(HALT);
    world.halts(Child::Worker(0), Signal::SIGSTOP);
    world.pass(HALT - MOMENT);
    assert_eq!(world.fleet.ready(), 1);
    world.pass(MOMENT);
    assert_eq!((world.fleet.ready(), world.forks.len()), (0, 1));
}

#[test]
fn what_goes_on_without_a_stop_that_was_heard_of_or_is_nobody_known_is_nothing_to_speak_of() {
    let mut world = World::up(1);
    world.goes_on(Child::Worker(0));
    world.happens(Event::Stopped { pid: 7, signal: Signal::SIGSTOP as i32 });
    world.happens(Event::Continued { pid: 7 });
    assert_eq!(world.take(), Vec::new());
}

#[test]
fn without_a_timeout_a_stopped_worker_is_only_said() {
    let mut world = World::up_with(Limits { timeout: None, ..limits(1) });
    world.halts(Child::Worker(0), Signal::SIGSTOP);
    assert!(world.has_logged(Level::Warn, "however long that takes (timeout = 0)"), "{:?}", world.logged());
    assert_eq!(world.fleet.next_deadline(world.now), None);
    world.pass(Duration::from_secs(3600));
    assert_eq!((world.fleet.ready(), world.forks.len()), (1, 0));
}

#[test]
fn a_template_that_is_stopped_is_said_and_killed_only_once_it_is_needed() {
    let mut world = World::up(1);
    world.halts(Child::Template(1), Signal::SIGSTOP);
    assert!(world.has_logged(Level::Warn, "Template has been stopped by SIGSTOP (pid: "), "{:?}", world.logged());
    assert!(world.has_logged(Level::Warn, "it forks no worker until SIGCONT"));
    world.pass(Duration::from_secs(3600));
    assert!(!world.has_been_killed(Child::Template(1)));
    world.goes_on(Child::Template(1));
    assert!(world.has_logged(Level::Info, "Template goes on"));
    world.halts(Child::Template(1), Signal::SIGSTOP);
    world.signal(Signal::SIGTTIN);
    world.pass(Duration::from_secs(30));
    assert!(world.has_been_killed(Child::Template(1)), "it has not answered the order to fork");
}

#[test]
fn a_stopped_worker_that_boots_or_ends_has_the_time_that_it_had() {
    let mut booting = World::new(1);
    booting.template_ready(1);
    booting.all_forked();
    booting.halts(Child::Worker(0), Signal::SIGSTOP);
    assert!(booting.has_logged(Level::Warn, "it is at a halt until SIGCONT"));
    booting.pass(Duration::from_secs(59));
    assert!(!booting.has_logged(Level::Error, "TIMEOUT"));
    booting.pass(Duration::from_secs(1));
    assert!(booting.has_logged(Level::Error, "not ready within boot_timeout"));

    let mut retiring = World::up(2);
    retiring.signal(Signal::SIGTTOU);
    let slot = retiring.retired()[0];
    retiring.halts(Child::Worker(slot), Signal::SIGSTOP);
    retiring.pass(Duration::from_secs(23));
    assert!(retiring.has_been_killed(Child::Worker(slot)), "graceful_timeout is over first");
    retiring.reap_killed();
    assert_eq!((retiring.fleet.ready(), retiring.forks.len()), (1, 0));
}
