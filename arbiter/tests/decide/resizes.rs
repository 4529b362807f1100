//! TTIN and TTOU, which change the number of workers, and WINCH, which sends them away.

use log::Level;
use nix::sys::signal::Signal::{SIGHUP, SIGTERM, SIGTTIN, SIGTTOU, SIGWINCH};
use tapster::action::Action;
use tapster::event::Event;
use tapster::fleet::Child;
use tapster_ipc::{ExitCode, Order};

use crate::phases::up;
use crate::world::{SIGSEGV, limits};

#[test]
fn ttin_and_ttou_change_the_number_of_workers_by_one() {
    let mut world = up();
    world.signal(SIGTTIN);
    world.all_ready();
    assert_eq!(world.fleet.ready(), 3);
    world.take();
    world.signal(SIGTTOU);
    assert_eq!(world.retired(), [0], "the oldest goes");
    world.signal(SIGTTOU);
    world.signal(SIGTTOU);
    assert!(world.has_logged(Level::Info, "which is the limit"));
    world.settle();
    assert_eq!(world.fleet.ready(), 1);
}

#[test]
fn so_many_at_once_are_one_order_and_one_line() {
    let mut world = up();
    for (by, wanted, text) in
        [(3, 5, "SIGTTIN received, 3 times: 5 workers, no longer 2"), (-100, 1, "1 worker, no longer 5")]
    {
        world.take();
        world.happens(Event::Resize { by, sender: None });
        let lines = world.logged().into_iter().filter(|line| line.contains("SIGTT")).count();
        assert!(world.has_logged(Level::Info, text), "{:?}", world.logged());
        world.calm();
        assert_eq!((lines, world.fleet.ready()), (1, wanted));
    }
}

#[test]
fn hup_keeps_what_ttin_and_ttou_have_asked_for() {
    for (signal, wanted, remain) in [(SIGTTIN, 3, "3 workers remain"), (SIGTTOU, 1, "1 worker remains")] {
        let mut world = up();
        world.signal(signal);
        world.calm();
        world.take();
        world.signal(SIGHUP);
        let text = format!("{remain} wanted, as signals have asked; workers = 2");
        assert!(world.has_logged(Level::Info, &text), "{:?}", world.logged());
        world.calm();
        assert_eq!((world.serving(2), world.fleet.ready()), (wanted, wanted), "{signal}");
    }
}

#[test]
fn a_number_that_has_changed_in_the_settings_counts_and_the_log_says_so() {
    let mut world = up();
    world.signal(SIGTTIN);
    world.calm();
    world.reload = Ok(limits(5));
    world.take();
    world.signal(SIGHUP);
    let text = "workers = 5, no longer 2: what signals have asked for (3 workers) is forgotten";
    assert!(world.has_logged(Level::Info, text));
    world.calm();
    assert_eq!(world.fleet.ready(), 5);
    world.reload = Ok(limits(2));
    world.signal(SIGHUP);
    world.calm();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn a_reload_that_fails_forgets_nothing() {
    let mut world = up();
    world.signal(SIGTTIN);
    world.calm();
    world.reload = Ok(limits(5));
    world.signal(SIGHUP);
    world.boot_failed(Child::Template(2), ExitCode::AppImport);
    world.exits(Child::Worker(0), SIGSEGV);
    world.calm();
    assert_eq!(world.fleet.ready(), 3);
}

#[test]
fn a_shift_at_the_limit_does_not_add_up() {
    let mut world = up();
    (0..9).for_each(|_| world.signal(SIGTTOU));
    world.signal(SIGTTIN);
    world.calm();
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn winch_retires_all_workers_and_hup_brings_them_back() {
    let mut world = up();
    world.signal(SIGWINCH);
    assert_eq!(world.retired(), [0, 1]);
    assert!(world.has_logged(Level::Warn, "all workers retire, until SIGHUP brings them back"));
    world.settle();
    assert!(world.fleet.status.contains("paused by SIGWINCH"), "{}", world.fleet.status);
    assert!(world.fleet.process(Child::Template(1)).is_some(), "its template stays");
    world.take();
    world.signal(SIGHUP);
    assert_eq!(world.forks.len(), 2, "the old ones at once, from the template that is there");
    world.all_ready();
    assert_eq!(world.fleet.ready(), 2);
    world.calm();
    assert_eq!((world.serving(2), world.concluded()), (2, vec![Ok(2)]));
}

#[test]
fn a_hup_that_fails_brings_the_workers_back_too() {
    for has_bad_settings in [false, true] {
        let mut world = up();
        world.signal(SIGWINCH);
        world.settle();
        if has_bad_settings {
            world.reload = Err("tapster.toml:1:1".into());
        }
        world.signal(SIGHUP);
        if !has_bad_settings {
            world.boot_failed(Child::Template(2), ExitCode::AppImport);
        }
        world.calm();
        assert_eq!((world.serving(1), world.fleet.ready()), (2, 2));
        assert!(world.concluded()[0].is_err());
    }
}

#[test]
fn a_server_without_workers_takes_orders_and_ends() {
    let mut world = up();
    world.signal(SIGWINCH);
    world.settle();
    world.signal(SIGTTIN);
    assert!(world.has_logged(Level::Info, "3 workers, no longer 2, once SIGHUP brings them back"));
    assert!(world.forks.is_empty());
    world.exits(Child::Template(1), SIGSEGV);
    world.pass(std::time::Duration::from_secs(1));
    assert!(world.has_done(&Action::SpawnTemplate { generation: 1 }), "which is replaced");
    world.signal(SIGHUP);
    world.calm();
    assert_eq!(world.fleet.ready(), 3);
    world.signal(SIGWINCH);
    world.settle();
    world.signal(SIGTERM);
    world.settle();
    assert_eq!(world.exit, Some(ExitCode::Stopped));
}

#[test]
fn winch_during_a_reload_leaves_none_of_either_generation() {
    let booting = || {
        let mut world = up();
        world.signal(SIGHUP);
        world.template_ready(2);
        world
    };
    let on_probation = || {
        let mut world = booting();
        let slot = world.all_forked()[0];
        world.ready(slot);
        world
    };
    for mut world in [booting(), on_probation()] {
        world.signal(SIGWINCH);
        world.calm();
        assert_eq!((world.fleet.ready(), world.fleet.workers.len(), world.concluded()), (0, 0, vec![Ok(2)]));
        world.signal(SIGHUP);
        world.calm();
        assert_eq!(world.serving(3), 2);
    }
}

#[test]
fn winch_from_outside_of_the_container_may_be_a_terminals_and_is_ignored() {
    let mut world = up();
    world.happens(Event::Signal { signal: SIGWINCH, sender: None });
    assert!(world.has_logged(Level::Info, "ignored, for it may be no more than a terminal's change of size"));
    assert_eq!(world.fleet.ready(), 2);
}

#[test]
fn a_worker_that_is_no_longer_wanted_when_it_says_that_it_is_ready_never_serves() {
    let mut world = up();
    world.signal(SIGTTIN);
    let slot = world.all_forked()[0];
    world.signal(SIGTTOU);
    assert!(world.has_been_killed(Child::Worker(slot)));
    world.ready(slot);
    let told_to_serve = |order: &Order| *order == Order::Serve;
    assert_eq!((world.fleet.ready(), world.told(told_to_serve)), (2, vec![]));
    world.settle();
    world.signal(SIGTTIN);
    world.all_ready();
    assert_eq!(world.told(told_to_serve), [Child::Worker(slot)], "another one does");
}
