//! The phases of a server's life, each as a world that is in it.

use std::time::Duration;

use nix::sys::signal::Signal::{self, *};
use tapster::fleet::Limits;

use crate::world::{World, limits};

/// The signals that ask for something.
pub(crate) const EVERY: [Signal; 9] = [SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH];

fn template_boots() -> World {
    World::new(2)
}

pub(crate) fn workers_boot() -> World {
    let mut world = World::new(2);
    world.template_ready(1);
    world.forked(0);
    world
}

pub(crate) fn up() -> World {
    World::up(2)
}

fn reloading() -> World {
    let mut world = World::up(2);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.all_forked();
    world
}

fn rolling() -> World {
    let mut world = reloading();
    world.proves(2);
    world
}

pub(crate) fn stopping() -> World {
    let mut world = World::up(2);
    world.signal(SIGTERM);
    world.pass(Duration::from_millis(250));
    world
}

pub(crate) fn stopping_quickly() -> World {
    let mut world = World::up(2);
    world.signal(SIGINT);
    world.pass(Duration::from_millis(250));
    world
}

fn stopping_at_once() -> World {
    let mut world = stopping_quickly();
    world.signal(SIGINT);
    world.pass(Duration::from_millis(250));
    world
}

fn on_probation() -> World {
    let mut world = reloading();
    world.ready(2);
    world
}

fn paused() -> World {
    let mut world = up();
    world.signal(SIGWINCH);
    world.settle();
    world
}

fn draining() -> World {
    let mut world = World::up_with(Limits { drain_delay: Duration::from_secs(15), ..limits(2) });
    world.signal(SIGTERM);
    world.pass(Duration::from_millis(250));
    world
}

/// A phase by its name, and a world that is in it.
type Named = (&'static str, fn() -> World);

/// Every phase; those that end in nothing but the server's end come last.
pub(crate) const PHASES: [Named; 11] = [
    ("template boots", template_boots),
    ("workers boot", workers_boot),
    ("up", up),
    ("reloading", reloading),
    ("on probation", on_probation),
    ("rolling", rolling),
    ("paused", paused),
    ("draining", draining),
    ("stopping", stopping),
    ("stopping quickly", stopping_quickly),
    ("stopping at once", stopping_at_once),
];
