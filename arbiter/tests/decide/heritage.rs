//! With how many workers a new server begins that is to take another's place: no fewer than that has, as far as its settings
//! allow.

use std::time::Duration;

use nix::sys::signal::Signal::{SIGTTIN, SIGTTOU, SIGUSR2, SIGWINCH};
use tapster::event::Event;
use tapster::fleet::{Fleet, Limits};
use tapster::scale::{EVERY, Rules};
use tapster_ipc::succession::Staff;

use crate::world::{World, limits};

fn between(min: u32, max: u32) -> Limits {
    let rules = Rules {
        min,
        max,
        target: 70,
        window: Duration::from_secs(10),
        cooldown: Duration::from_secs(60),
        step: 2,
        burst: Some(Duration::from_secs(1)),
    };
    Limits { scale: Some(rules), ..limits(max) }
}

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
    for _ in 0..110 {
        world.now += EVERY;
        world.happens(Event::Load { busy: 1, waiting: 0 });
    }
    assert_eq!(passed_on(&mut world), (4, 0, 2), "one more than the least");
}

/// How many workers a server of these limits begins with, and what it says of that.
fn begins(limits: Limits, (workers, shift, wanted): (u32, i32, u32)) -> (usize, String) {
    let mut fleet = Fleet::new(limits);
    let text = fleet.succeed(40, Some(Staff { workers, shift, wanted }));
    (fleet.desired(1), text.unwrap_or_default())
}

#[test]
fn a_new_server_begins_with_them_as_far_as_its_settings_allow() {
    #[rustfmt::skip]
    let table = [
        // its settings,  the old one's staff;  its workers, what it says
        (limits(2),       (2, 0, 2),            2, ""),
        (limits(3),       (2, 0, 2),            3, ""),
        (limits(2),       (2, 3, 5),            5, "5 workers remain wanted, as signals have asked; workers = 2"),
        (limits(2),       (2, -1, 1),           1, "1 worker remains wanted, as signals have asked; workers = 2"),
        (limits(3),       (2, 3, 5),            3, "workers = 3, no longer 2: what signals have asked for (5 workers) is forgotten"),
        (between(1, 8),   (8, 0, 5),            5, "5 workers to begin with, as the server before this one has"),
        (between(1, 8),   (8, 0, 1),            1, ""),
        (between(1, 4),   (8, 0, 6),            4, "4 workers to begin with, as the server before this one has"),
        (between(3, 4),   (8, 0, 2),            3, ""),
        (between(1, 8),   (6, 0, 6),            6, "6 workers to begin with, as the server before this one has"),
        (limits(2),       (8, 0, 6),            2, ""),
    ];
    for (limits, staff, workers, text) in table {
        assert_eq!(begins(limits, staff), (workers, text.to_owned()), "{staff:?} to {limits:?}");
    }
}

#[test]
fn a_server_before_that_does_not_say_changes_nothing() {
    let mut fleet = Fleet::new(between(2, 4));
    assert_eq!((fleet.succeed(40, None), fleet.desired(1)), (None, 2));
    assert_eq!(fleet.predecessor.map(|predecessor| (predecessor.pid, predecessor.knows)), Some((40, false)));
}

#[test]
fn a_new_server_says_that_it_serves_only_with_as_many_workers_as_the_old_one_has() {
    let mut world = World::new(1);
    world.fleet.succeed(40, Some(Staff { workers: 1, shift: 2, wanted: 3 }));
    world.template_ready(1);
    assert_eq!(world.all_forked(), [0, 1, 2]);
    let has_said = |world: &World| world.has_done(&tapster::action::Action::ReportUp);
    world.ready(0);
    world.ready(1);
    assert!(!has_said(&world));
    world.ready(2);
    assert!(has_said(&world));
}
