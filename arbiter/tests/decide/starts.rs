//! The first start, and the failures that end a server which has never been up.

use std::time::Duration;

use log::Level;
use tapster::action::{Action, Notice};
use tapster::event::{End, Event};
use tapster::fleet::{Child, Phase};
use tapster_ipc::{ExitCode, Order, Report};

use crate::world::{CLEAN, SIGKILL, SIGSEGV, World};

#[test]
fn all_workers_are_forked_at_once_and_the_first_that_is_ready_makes_the_server_ready() {
    let mut world = World::new(3);
    assert!(world.forks.is_empty(), "no template is ready");
    world.template_ready(1);
    assert_eq!(world.forks.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    world.all_forked();
    assert!(!world.has_notified(Notice::Ready));
    world.ready(1);
    assert!(world.has_notified(Notice::Ready));
    assert_eq!(world.fleet.phase, Phase::Up { proven: 1 });
    world.take();
    world.ready(0);
    assert!(!world.has_notified(Notice::Ready), "once is enough");
}

#[test]
fn many_workers_are_forked_a_few_at_a_time() {
    let mut world = World::new(100);
    world.template_ready(1);
    assert_eq!(world.forks.len(), 16);
    world.forked(0);
    assert_eq!(world.forks.len(), 16);
    world.ready(0);
    world.all_ready();
    assert_eq!(world.serving(1), 100);
}

#[test]
fn a_worker_that_cannot_import_the_app_ends_the_server_with_its_status() {
    for exit in [ExitCode::AppImport, ExitCode::AppMissing, ExitCode::Failed] {
        let mut world = World::new(2);
        world.template_ready(1);
        world.all_forked();
        world.boot_failed(Child::Worker(0), exit);
        world.boot_failed(Child::Worker(1), exit);
        let reports = world.logged().into_iter().filter(|line| line.contains("Traceback")).count();
        assert_eq!(reports, 2, "the second only at debug level");
        assert!(world.has_logged(Level::Debug, "Traceback"));
        assert_eq!(world.exit, None, "children are left");
        world.settle();
        assert_eq!(world.exit, Some(exit));
    }
}

#[test]
fn a_template_that_cannot_start_ends_the_server_with_its_status() {
    let mut world = World::new(2);
    world.boot_failed(Child::Template(1), ExitCode::AppMissing);
    assert!(world.has_done(&Action::CloseListeners { at_once: true }));
    world.exits(Child::Template(1), End::Status(4));
    assert_eq!(world.exit, Some(ExitCode::AppMissing));
}

#[test]
fn a_template_that_dies_is_tried_three_times_before_the_server_ends() {
    let mut world = World::new(2);
    for trial in 1..=3 {
        assert_eq!(world.exit, None, "trial {trial}");
        world.exits(Child::Template(1), SIGSEGV);
        if trial < 3 {
            assert!(world.fleet.process(Child::Template(1)).is_none(), "not at once");
            world.pass(Duration::from_secs(1));
        }
    }
    assert!(world.has_logged(Level::Error, "killed by SIGSEGV"));
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn workers_that_die_while_booting_are_tried_three_times_before_the_server_ends() {
    let mut world = World::new(1);
    world.template_ready(1);
    for trial in 1..=3 {
        assert_eq!(world.forks.len(), 1, "trial {trial}");
        world.all_forked();
        world.exits(Child::Worker(0), SIGKILL);
        assert!(world.forks.is_empty(), "not at once");
        if trial < 3 {
            world.pass(Duration::from_secs(1));
        }
    }
    assert!(world.has_logged(Level::Error, "killed by SIGKILL (not sent by the arbiter)"));
    assert!(world.has_logged(Level::Error, "the server ends"));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn a_template_is_not_killed_in_the_midst_of_forks_and_what_it_forks_is() {
    let mut world = World::new(3);
    world.template_ready(1);
    world.forked(0);
    world.boot_failed(Child::Worker(0), ExitCode::AppImport);
    assert!(!world.has_been_killed(Child::Template(1)));
    assert_eq!(world.told(|order| *order == Order::Quit), [Child::Template(1)]);
    world.all_forked();
    assert!(world.has_been_killed(Child::Worker(1)) && world.has_been_killed(Child::Worker(2)));
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::AppImport));
}

#[test]
fn a_system_that_has_no_process_left_ends_the_server() {
    let mut world = World::new(1);
    world.template_ready(1);
    for _ in 0..3 {
        let slot = *world.forks.keys().next().unwrap();
        world.forks.clear();
        world.report(Child::Template(1), Report::ForkFailed { slot, reason: "too many processes".into() });
        world.pass(Duration::from_secs(1));
    }
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Failed));

    let mut world = World::new(1);
    world.can_spawn = false;
    world.exits(Child::Template(1), SIGSEGV);
    let mut passed = 0;
    while world.exit.is_none() && passed < 100 {
        world.now += Duration::from_millis(100);
        world.happens(Event::Tick { busy: Vec::new() });
        passed += 1;
    }
    assert_eq!(world.exit, Some(ExitCode::Failed));
}

#[test]
fn a_worker_that_speaks_and_dies_before_its_template_has_named_it_is_known_all_the_same() {
    let mut world = World::new(1);
    world.template_ready(1);
    world.happens(Event::Exited { pid: 4711, end: CLEAN });
    world.forks.clear();
    world.take();
    world.report(Child::Template(1), Report::Forked { slot: 0, pid: 4711 });
    let attended = world.take();
    let heard = attended.iter().position(|action| *action == Action::Attend { slot: 0 });
    let replayed = attended.iter().position(|action| matches!(action, Action::Replay(_)));
    assert!(heard.is_some() && heard < replayed, "its last words come first: {attended:?}");
    assert!(world.fleet.process(Child::Worker(0)).is_none(), "its death was heard");
}

#[test]
fn orphans_of_the_app_are_reaped_without_a_word_above_debug() {
    let mut world = World::up(1);
    world.happens(Event::Exited { pid: 31_000, end: SIGSEGV });
    assert!(world.has_logged(Level::Debug, "31000"));
    assert_eq!(world.logged().len(), 1);
}
