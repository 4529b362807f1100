//! With how many workers a new server begins that is to take another's place: no fewer than that has, as far as its settings
//! allow.

use nix::sys::signal::Signal::{SIGHUP, SIGTTIN, SIGTTOU, SIGUSR2, SIGWINCH};
use tapster::action::Action;
use tapster::event::Event;
use tapster::fleet::{Fleet, Limits};
use tapster_ipc::succession::Staff;

use crate::scaling::{between, load};
use crate::world::{CLEAN, World, limits};

/// What a server passes on at USR2.
fn passed_on(world: &mut World) -> (u32, i32, u32) {
    world.signal(SIGUSR2);
    let Staff { workers, shift, wanted } = world.launched().expect("a new server is started");
    (workers, shift, wanted)
}

#[test]
fn a_server_passes_on_what_settings_signals_and_load_have_asked_for() {
    assert_eq!(passed_on(&mut World::up(2)), (2, 0, 2));
    for (signal, staff) in [(SIGTTIN, (2, 1, 3)), (SIGTTOU, (2, -1, 1)), (SIGWINCH, (2, 0, 2))] {
        let mut world = World::up(2);
        world.signal(signal);
        assert_eq!(passed_on(&mut world), staff, "after {signal}");
    }
    let mut world = World::up_with(between(1, 4));
    load(&mut world, 11, 1, 0);
    assert_eq!(passed_on(&mut world), (4, 0, 2), "one more than the least");
    // The new server reads the settings that are being loaded.
    let mut world = World::up(2);
    world.reload = Ok(limits(4));
    world.signal(SIGHUP);
    world.signal(SIGTTIN);
    assert_eq!(passed_on(&mut world), (4, 1, 5));
}

/// How many workers a server of these limits begins with, and what it says of that.
fn begins(limits: Limits, (workers, shift, wanted): (u32, i32, u32)) -> (usize, String) {
    let mut fleet = Fleet::new(limits);
    let texts = fleet.succeed(40, Some(Staff { workers, shift, wanted }));
    (fleet.desired(1), texts.join("; "))
}

#[test]
fn a_new_server_begins_with_them_as_far_as_its_settings_allow() {
    let remain = |what: &str| format!("{what} wanted, as signals have asked; workers = 2");
    let forgotten = |now: u32, before: u32, what: &str| {
        format!("workers = {now}, no longer {before}: what signals have asked for ({what}) is forgotten")
    };
    let begin =
        |own: u32, theirs: u32| format!("Workers to begin with: {own}, since the server before this one has {theirs}");
    let none = String::new;
    #[rustfmt::skip]
    let table = [
        // its settings,  the old one's staff;  its workers, what it says
        (limits(2),       (2, 0, 2),            2, none()),
        (limits(3),       (2, 0, 2),            3, none()),
        (limits(2),       (8, 0, 6),            2, none()),
        (limits(2),       (2, 3, 5),            5, remain("5 workers remain")),
        (limits(2),       (2, -1, 1),           1, remain("1 worker remains")),
        (limits(3),       (2, 3, 5),            3, forgotten(3, 2, "5 workers")),
        (limits(3),       (2, -1, 1),           3, forgotten(3, 2, "1 worker")),
        (between(1, 8),   (8, 0, 5),            5, begin(5, 5)),
        (between(1, 8),   (8, 0, 1),            1, none()),
        (between(1, 4),   (8, 0, 6),            4, begin(4, 6)),
        (between(3, 4),   (8, 0, 2),            3, none()),
        (between(1, 8),   (6, 0, 6),            6, begin(6, 6)),
        (between(1, 2),   (2, 1, 2),            2, remain("at most 3 workers remain")),
        (between(1, 2),   (2, 1, 3),            3, format!("{}; {}", remain("at most 3 workers remain"), begin(3, 3))),
        (between(1, 8),   (6, 1, 7),            7, format!("{}; {}", forgotten(8, 6, "7 workers"), begin(7, 7))),
        // Of a server that says what can't be.
        (limits(2),       (2, i32::MIN, 0),     1, remain("1 worker remains")),
        (limits(2),       (2, i32::MAX, 0),     1024, remain("1024 workers remain")),
        (between(1, 4),   (4, 0, u32::MAX),     4, begin(4, u32::MAX)),
        (between(2, 4),   (0, 0, 0),            2, none()),
    ];
    for (limits, staff, workers, text) in table {
        assert_eq!(begins(limits, staff), (workers, text), "{staff:?} to {limits:?}");
    }
}

#[test]
fn a_server_before_that_does_not_say_changes_nothing() {
    let mut fleet = Fleet::new(between(2, 4));
    assert_eq!((fleet.succeed(40, None), fleet.desired(1)), (vec![], 2));
    assert_eq!(fleet.predecessor.map(|predecessor| (predecessor.pid, predecessor.knows)), Some((40, false)));
}

#[test]
fn a_new_server_says_that_it_serves_only_with_as_many_workers_as_the_old_one_has() {
    let mut world = World::new(1);
    world.fleet.succeed(40, Some(Staff { workers: 1, shift: 2, wanted: 3 }));
    world.template_ready(1);
    assert_eq!(world.all_forked(), [0, 1, 2]);
    let has_said = |world: &World| world.has_done(&Action::ReportUp);
    world.ready(0);
    world.ready(1);
    assert!(!has_said(&world));
    world.ready(2);
    assert!(has_said(&world));
}

/// How many workers are wanted by then where so much is at work for two minutes.
fn after_two_minutes(world: &mut World, busy: u32) -> usize {
    for _ in 0..24 {
        load(world, 5, busy, 0);
        world.all_ready();
    }
    world.fleet.desired(world.fleet.target)
}

#[test]
fn neither_of_two_servers_retires_a_worker_for_want_of_load_and_each_that_is_left_does() {
    // The old one, which has three.
    let mut old = World::up_with(between(1, 4));
    assert_eq!(after_two_minutes(&mut old, 2), 3);
    old.signal(SIGUSR2);
    let pid = old.fleet.successor.expect("it has been started").pid;
    old.happens(Event::SuccessorUp { keeps_all: true });
    assert_eq!(after_two_minutes(&mut old, 0), 3);
    old.successor_ends(pid, CLEAN);
    load(&mut old, 5, 0, 0);
    assert_eq!(old.fleet.desired(1), 3, "what it has seen beside the other one does not count");
    assert!(after_two_minutes(&mut old, 0) < 3);
    // The new one.
    let mut new = World::started(between(1, 4));
    new.fleet.succeed(40, Some(Staff { workers: 4, shift: 0, wanted: 3 }));
    new.template_ready(1);
    new.all_ready();
    assert_eq!(after_two_minutes(&mut new, 0), 3);
    assert_eq!(after_two_minutes(&mut new, 3), 4, "it may grow");
    new.happens(Event::PredecessorGone);
    load(&mut new, 5, 0, 0);
    assert_eq!(new.fleet.desired(1), 4);
    assert!(after_two_minutes(&mut new, 0) < 4);
}
