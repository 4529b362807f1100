//! The table: what each signal does in each phase, whatever state the fleet is in.

use nix::sys::signal::Signal;
use tapster::action::Action;
use tapster::fleet::{Child, Manner, Phase};

use crate::phases::{EVERY, PHASES};
use crate::world::{SIGSEGV, World};

/// What a signal has done, in a word. The most that it has.
fn effect(world: &mut World, signal: Signal) -> &'static str {
    let is_paused = world.fleet.is_paused;
    let waiting = world.fleet.reloads.waiting;
    let announced = world.fleet.stops_at;
    let workers = |world: &World| world.fleet.generations[&world.fleet.target].workers();
    let wanted = workers(world);
    world.take();
    world.signal(signal);
    let (after, is_at_once) =
        (workers(world), matches!(world.fleet.phase, Phase::Stopping { manner: Manner::AtOnce, .. }));
    match () {
        () if world.has_begun_a_reload() => "loads",
        () if world.has_done(&Action::CloseListeners { at_once: false }) => "stops",
        () if world.has_done(&Action::CloseListeners { at_once: true }) => "quick",
        () if world.has_done(&Action::RefuseConnections) && is_at_once => "kills",
        () if world.has_done(&Action::RefuseConnections) => "quick",
        () if world.fleet.stops_at != announced => "drains",
        () if world.fleet.reloads.waiting > waiting => "later",
        () if world.fleet.is_paused != is_paused => "pauses",
        () if world.launched().is_some() => "upgrades",
        () if world.has_reopened() => "reopens",
        () if after > wanted => "more",
        () if after < wanted => "fewer",
        () if world.logged().len() == 1 => "says",
        () => "nothing",
    }
}

/// The columns are those of [`EVERY`].
#[rustfmt::skip]
const TABLE: [(&str, [&str; 9]); 11] = [
    //                     HUP      TERM     INT      QUIT     TTIN    TTOU     USR1       USR2        WINCH
    ("template boots",   ["loads", "stops", "quick", "quick", "more", "fewer", "reopens", "says",     "says"]),
    ("workers boot",     ["loads", "stops", "quick", "quick", "more", "fewer", "reopens", "says",     "says"]),
    ("up",               ["loads", "stops", "quick", "quick", "more", "fewer", "reopens", "upgrades", "pauses"]),
    ("reloading",        ["later", "stops", "quick", "quick", "more", "fewer", "reopens", "upgrades", "pauses"]),
    ("on probation",     ["later", "stops", "quick", "quick", "more", "fewer", "reopens", "upgrades", "pauses"]),
    ("rolling",          ["later", "stops", "quick", "quick", "more", "fewer", "reopens", "upgrades", "pauses"]),
    ("paused",           ["loads", "stops", "quick", "quick", "more", "fewer", "reopens", "upgrades", "says"]),
    ("draining",         ["says",  "stops", "quick", "quick", "says", "says",  "reopens", "says",     "says"]),
    ("stopping",         ["says",  "says",  "quick", "quick", "says", "says",  "reopens", "says",     "says"]),
    ("stopping quickly", ["says",  "says",  "kills", "kills", "says", "says",  "reopens", "says",     "says"]),
    ("stopping at once", ["says",  "says",  "says",  "says",  "says", "says",  "reopens", "says",     "says"]),
];

/// Something that happens to the fleet before the signal comes.
type Mishap = (&'static str, fn(&mut World));

const MISHAPS: [Mishap; 5] = [
    ("all is well", |_| ()),
    ("a worker has died", |world| die(world, Child::Worker(1))),
    ("all workers have died", |world| (0..3).for_each(|slot| die(world, Child::Worker(slot)))),
    ("the template has died", |world| die(world, Child::Template(1))),
    ("the new template has died", |world| die(world, Child::Template(2))),
];

fn die(world: &mut World, child: Child) {
    if world.exit.is_none() && world.fleet.process(child).is_some() {
        world.exits(child, SIGSEGV);
    }
}

#[test]
fn every_signal_in_every_phase_whatever_has_happened_to_the_fleet() {
    for ((phase, make), (name, row)) in PHASES.into_iter().zip(TABLE) {
        assert_eq!(phase, name);
        for (signal, expected) in EVERY.into_iter().zip(row) {
            for (mishap, happen) in MISHAPS {
                let mut world = make();
                happen(&mut world);
                if world.exit.is_none() {
                    // With its last old worker, a reload that rolls has come to its end.
                    let is_over = expected == "later" && world.fleet.reloads.under_way.is_empty();
                    let expected = if is_over { "loads" } else { expected };
                    assert_eq!(effect(&mut world, signal), expected, "{signal}, {phase}, {mishap}");
                }
            }
        }
    }
}
