//! Whatever happens, in whatever order: after every decision the server serves with as many workers as it could
//! ([`crate::serving`]), no slot is given twice, nothing is killed twice (`world`), and when calm returns, all is as it should be.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR2, SIGWINCH};
use proptest::collection::vec;
use proptest::prelude::*;
use tapster::action::Action;
use tapster::event::{End, Event};
use tapster::fleet::{Child, Limits};
use tapster::process::Life;
use tapster::scale::{EVERY, Rules};
use tapster::succession::Predecessor;
use tapster_ipc::{ExitCode, Report};

use crate::world::{CLEAN, PROBATION, SIGKILL, SIGSEGV, World, limits};

const MIB: u64 = 1 << 20;
const RULES: Rules = Rules {
    min: 1,
    max: 1,
    target: 70,
    window: Duration::from_secs(2),
    cooldown: Duration::from_secs(10),
    step: 2,
    burst: Some(Duration::from_secs(1)),
};

/// One thing that happens. The numbers choose among whom it can happen to, which may be nobody.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "a run has a hundred of them")]
enum Step {
    Signal(Signal),
    Deploy(Result<Limits, ()>),
    TemplateReady(usize),
    Forked(usize),
    ForkFails(usize),
    WorkerReady(usize),
    BootFails(usize),
    Dies(usize, End),
    Ends(usize),
    Reaped,
    GoesDeaf(usize),
    WornOut(usize),
    Measured(usize, u64),
    Stuck(usize, u32),
    SaysItEnds(usize),
    Halts(usize),
    GoesOn(usize),
    Load(u32, u32),
    SuccessorUp(bool),
    SuccessorEnds(End),
    PredecessorGone,
    Busy(usize, u64),
    Time(u64),
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let time = |seconds: u64| Duration::from_secs(seconds);
    (1_u32..6, 1_u32..4, 0_u32..2, any::<[bool; 6]>()).prop_map(
        move |(
            workers,
            reload_batch,
            threads,
            [boots_for_ever, is_drained, has_lifetime, has_memory, scales, hurries],
        )| Limits {
            scale: scales.then_some(Rules { max: workers, ..RULES }),
            probation: if hurries { Duration::ZERO } else { PROBATION },
            reload_batch,
            threads: 1 + threads * 7,
            boot: (!boots_for_ever).then_some(time(60)),
            drain_delay: if is_drained { time(5) } else { Duration::ZERO },
            max_lifetime: has_lifetime.then_some(time(40)),
            max_lifetime_jitter: time(10),
            max_memory: has_memory.then_some(100 * MIB),
            max_memory_hard: has_memory.then_some(200 * MIB),
            ..limits(workers)
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = || 0_usize..8;
    let end = prop_oneof![Just(SIGSEGV), Just(SIGKILL), Just(CLEAN), Just(End::Status(1))];
    prop_oneof![
        4 => Just(Step::Signal(SIGHUP)),
        4 => prop_oneof![Just(SIGTTIN), Just(SIGTTOU)].prop_map(Step::Signal),
        1 => Just(Step::Signal(SIGWINCH)),
        1 => prop_oneof![6 => Just(Step::Time(1)), 1 => Just(Step::Signal(SIGTERM)), 1 => Just(Step::Signal(SIGINT)), 1 => Just(Step::Signal(SIGQUIT))],
        1 => Just(Step::Signal(SIGUSR2)),
        1 => any::<bool>().prop_map(Step::SuccessorUp),
        1 => prop_oneof![Just(SIGSEGV), Just(CLEAN)].prop_map(Step::SuccessorEnds),
        1 => Just(Step::PredecessorGone),
        2 => (who(), prop_oneof![Just(1_u64), Just(36), Just(100)]).prop_map(|(who, seconds)| Step::Busy(who, seconds)),
        2 => prop_oneof![3 => any_limits().prop_map(|limits| Step::Deploy(Ok(limits))), 1 => Just(Step::Deploy(Err(())))],
        8 => who().prop_map(Step::TemplateReady),
        12 => who().prop_map(Step::Forked),
        1 => who().prop_map(Step::ForkFails),
        12 => who().prop_map(Step::WorkerReady),
        1 => who().prop_map(Step::BootFails),
        4 => (who(), end).prop_map(|(who, end)| Step::Dies(who, end)),
        4 => who().prop_map(Step::Ends),
        3 => Just(Step::Reaped),
        1 => who().prop_map(Step::GoesDeaf),
        3 => who().prop_map(Step::WornOut),
        2 => (who(), 50_u64..300).prop_map(|(who, size)| Step::Measured(who, size)),
        2 => (who(), 0_u32..3).prop_map(|(who, running)| Step::Stuck(who, running)),
        1 => who().prop_map(Step::SaysItEnds),
        2 => who().prop_map(Step::Halts),
        1 => who().prop_map(Step::GoesOn),
        3 => (0_u32..20, 0_u32..3).prop_map(|(busy, waiting)| Step::Load(busy, waiting)),
        8 => prop_oneof![Just(10_u64), Just(300), Just(1000), Just(5000), Just(30_000)].prop_map(Step::Time),
    ]
}

/// One of those for whom it holds.
fn one_of(world: &World, number: usize, is: impl Fn(&Child, &Life) -> bool) -> Option<Child> {
    let holds =
        |child: &Child| world.fleet.process(*child).is_some_and(|process| process.hears() && is(child, &process.life));
    let all: Vec<_> = world.fleet.children().into_iter().filter(holds).collect();
    (!all.is_empty()).then(|| all[number % all.len()])
}

fn booting(life: &Life) -> bool {
    matches!(life, Life::Booting { .. })
}

fn worker(child: &Child) -> bool {
    matches!(child, Child::Worker(_))
}

fn serving(child: &Child, life: &Life) -> bool {
    worker(child) && matches!(life, Life::Ready { .. })
}

#[expect(clippy::too_many_lines, reason = "a line or two for each step")]
fn take(world: &mut World, step: Step) -> Option<()> {
    match step {
        Step::Signal(signal) => world.signal(signal),
        Step::Deploy(found) => world.reload = found.map_err(|()| "tapster.toml:1:1".to_owned()),
        Step::TemplateReady(number) => {
            let child = one_of(world, number, |child, life| !worker(child) && booting(life))?;
            world.report(child, Report::TemplateReady { python: "3.12.1".into() });
        }
        Step::Forked(number) => {
            let slot = *world.forks.keys().nth(number % world.forks.len().max(1))?;
            world.forked(slot);
        }
        Step::ForkFails(number) => {
            let (&slot, &generation) = world.forks.iter().nth(number % world.forks.len().max(1))?;
            world.forks.remove(&slot);
            world.report(Child::Template(generation), Report::ForkFailed { slot, reason: "no memory".into() });
        }
        Step::WorkerReady(number) => {
            let child = one_of(world, number, |child, life| worker(child) && booting(life))?;
            world.report(child, Report::WorkerReady);
        }
        Step::BootFails(number) => {
            let child = one_of(world, number, |_, life| booting(life))?;
            world.boot_failed(child, ExitCode::AppImport);
        }
        Step::Dies(number, end) => {
            let child = one_of(world, number, |_, life| !matches!(life, Life::Killed { .. }))?;
            world.exits(child, end);
        }
        Step::Ends(number) => {
            let child = one_of(world, number, |_, life| matches!(life, Life::Ending { .. }))?;
            world.exits(child, CLEAN);
        }
        Step::Reaped => world.reap_killed(),
        Step::GoesDeaf(number) => {
            let from = one_of(world, number, |_, _| true)?;
            world.happens(Event::Closed { from });
        }
        Step::WornOut(number) => {
            let child = one_of(world, number, serving)?;
            world.report(child, Report::WornOut { requests: 50 });
        }
        Step::Measured(number, size) => {
            let Child::Worker(slot) = one_of(world, number, |child, _| worker(child))? else { return None };
            world.happens(Event::Measured { sizes: vec![(slot, size * MIB)] });
        }
        Step::Stuck(number, running) => {
            let child = one_of(world, number, serving)?;
            world.report(child, Report::Stuck { spent_ms: 40_000, running, request: "GET / HTTP/1.1".into() });
        }
        Step::SaysItEnds(number) => {
            let child = one_of(world, number, serving)?;
            world.report(child, Report::Ending { within_ms: 2000, left: 0 });
        }
        Step::Halts(number) => {
            let child = one_of(world, number, |_, _| true)?;
            world.halts(child, Signal::SIGSTOP);
        }
        Step::GoesOn(number) => {
            let child = one_of(world, number, |_, _| true)?;
            world.goes_on(child);
        }
        Step::Load(busy, waiting) => {
            for _ in 0..30 {
                world.now += EVERY;
                world.happens(Event::Load { busy, waiting });
            }
        }
        Step::SuccessorUp(keeps_all) => {
            world.fleet.successor?;
            world.happens(Event::SuccessorUp { keeps_all });
        }
        Step::SuccessorEnds(end) => {
            let pid = world.fleet.successor?.pid;
            world.successor_ends(pid, end);
        }
        Step::PredecessorGone => world.happens(Event::PredecessorGone),
        Step::Busy(number, seconds) => {
            let watched = world.fleet.watched();
            let (slot, _) = *watched.get(number % watched.len().max(1))?;
            let since = world.now - Duration::from_secs(seconds);
            world.happens(Event::Tick { busy: vec![(slot, since)] });
        }
        Step::Time(millis) => world.pass(Duration::from_millis(millis)),
    }
    Some(())
}

/// Nothing boots any more, for long enough that everything that could be given up has been.
fn nothing_boots(world: &mut World) {
    for _ in 0..30 {
        for generation in 1..=world.fleet.newest {
            world.template_ready(generation);
        }
        world.all_forked();
        while let Some(child) = one_of(world, 0, |child, life| worker(child) && booting(life)) {
            world.boot_failed(child, ExitCode::AppImport);
        }
        for _ in 0..5 {
            if world.exit.is_none() {
                world.settle();
            }
            if world.exit.is_none() {
                world.pass(Duration::from_secs(1));
            }
        }
        if world.exit.is_some() {
            return;
        }
    }
}

/// The reloads that have begun and not been concluded, as the actions say it; none is concluded twice.
#[derive(Default)]
struct Pending(BTreeSet<u64>);

impl Pending {
    fn take(&mut self, world: &mut World) {
        for action in world.take() {
            match action {
                Action::LoadSettings { reload } => assert!(self.0.insert(reload), "{reload} begins twice"),
                Action::Conclude { reload: Some(reload), .. } => assert!(self.0.remove(&reload), "{reload} ends twice"),
                _ => {}
            }
        }
    }
}

/// Nothing bad happens any more, for long enough that every wait is over; and no other server is there.
fn calm(world: &mut World) {
    if let Some(successor) = world.fleet.successor {
        world.successor_ends(successor.pid, CLEAN);
    }
    if world.exit.is_none() {
        world.happens(Event::PredecessorGone);
    }
    if world.exit.is_some() {
        return;
    }
    world.reload = Ok(Limits { max_lifetime: None, ..world.fleet.generations[&world.fleet.target].limits });
    for _ in 0..12 {
        world.calm();
        if world.exit.is_some() {
            return;
        }
        world.pass(Duration::from_secs(31));
        if world.exit.is_some() {
            return;
        }
    }
    // A lifetime may have ended just now.
    world.calm();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn capacity_is_kept_whatever_happens_and_returns_with_calm(
        first in any_limits(), is_up in any::<bool>(), is_second in any::<bool>(), ends_badly in any::<bool>(), steps in vec(any_step(), 1..120),
    ) {
        let mut world = if is_up { World::up_with(first) } else { World::started(first) };
        world.fleet.predecessor = is_second.then_some(Predecessor { pid: 40, knows: false });
        let mut pending = Pending::default();
        for step in steps {
            if world.exit.is_none() {
                take(&mut world, step);
                pending.take(&mut world);
            }
        }
        if world.exit.is_none() && ends_badly {
            nothing_boots(&mut world);
            pending.take(&mut world);
            prop_assert!(pending.0.is_empty(), "nobody waits for ever: {:?} in {:?}", pending.0, world.fleet);
        }
        if world.exit.is_none() {
            calm(&mut world);
        }
        pending.take(&mut world);
        prop_assert!(pending.0.is_empty(), "every reload is concluded: {:?}", pending.0);
        if world.exit.is_none() {
            let fleet = &world.fleet;
            let wanted = fleet.desired(fleet.target);
            prop_assert_eq!(fleet.proven(), Some(fleet.target), "the newest generation serves: {:?}", fleet);
            prop_assert_eq!((world.serving(fleet.target), fleet.ready()), (wanted, wanted), "{:?}", fleet);
            prop_assert_eq!(fleet.workers.len(), wanted, "and nobody else is there: {:?}", fleet);
            prop_assert_eq!((fleet.generations.len(), fleet.reloads.under_way.len(), fleet.reloads.waiting), (1, 0, 0));
        }
    }
}
