//! The log is opened anew by all who write there.

use nix::sys::signal::Signal::{SIGHUP, SIGTERM, SIGUSR1};
use tapster::action::Action;
use tapster::fleet::{Child, Phase};
use tapster_ipc::Order;

use crate::world::{SIGSEGV, World};

#[test]
fn usr1_opens_the_arbiters_log_first_and_then_those_of_all_children() {
    let mut world = World::up(2);
    world.signal(SIGUSR1);
    let actions = world.take();
    assert_eq!(actions[0], Action::Reopen { by: "SIGUSR1 received".into() });
    let told = |child| Action::Tell { child, order: Order::Reopen };
    assert_eq!(actions[1..], [Child::Template(1), Child::Worker(0), Child::Worker(1)].map(told));
}

#[test]
fn usr1_reaches_both_generations_and_those_that_boot_or_end_or_are_being_forked() {
    let mut world = World::up(2);
    world.signal(SIGHUP);
    world.template_ready(2);
    world.exits(Child::Worker(1), SIGSEGV);
    world.take();
    world.signal(SIGUSR1);
    let expected = [Child::Template(1), Child::Template(2), Child::Worker(0), Child::Worker(1), Child::Worker(2)];
    let mut told = world.told(|order| *order == Order::Reopen);
    told.sort();
    assert_eq!(told, expected);
    world.signal(SIGTERM);
    world.take();
    world.signal(SIGUSR1);
    assert!(world.told(|order| *order == Order::Reopen).contains(&Child::Worker(0)));
    assert!(matches!(world.fleet.phase, Phase::Stopping { .. }), "it changes nothing");
}
