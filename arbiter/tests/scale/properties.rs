//! What holds for any load.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tapster::scale::{EVERY, Policy, Rules, Sample};

use crate::RULES;
use crate::traces::Trace;

fn rules() -> impl Strategy<Value = Rules> {
    let ranges = (1..6_u32, 0..8_u32, 10..=95_u32, 1..20_u64, 1..90_u64, 1..6_u32, prop::option::of(1..3_000_u64));
    ranges.prop_map(|(min, more, target, window, cooldown, step, burst)| Rules {
        min,
        max: min + more,
        target,
        window: Duration::from_secs(window),
        cooldown: Duration::from_secs(cooldown),
        step,
        burst: burst.map(Duration::from_millis),
    })
}

/// How many of the workers are ready, in per cent, how many threads at work in per cent of theirs, what waits, and for how many
/// samples that is so.
fn phases() -> impl Strategy<Value = Vec<(u32, u32, u32, usize)>> {
    vec((0..=100_u32, 0..=130_u32, 0..50_u32, 1..400_usize), 1..12)
}

/// Plays phases, and calls `each` with every sample and the time.
fn play(
    rules: &Rules,
    threads: u32,
    phases: &[(u32, u32, u32, usize)],
    mut each: impl FnMut(&Policy, Duration, Sample),
) {
    let (mut policy, mut now, mut planned) = (Policy::default(), Duration::from_secs(5), rules.min);
    for &(ready, busy, waiting, samples) in phases {
        for _ in 0..samples {
            now += EVERY;
            let ready = (planned * ready).div_ceil(100);
            let sample = Sample { planned, ready, threads, busy: ready * threads * busy / 100, waiting };
            each(&policy, now, sample);
            if let Some(change) = policy.observe(now, rules, sample) {
                planned = change.workers;
            }
        }
    }
}

/// What the policy, as it is, would have after this sample.
fn after(policy: &Policy, now: Duration, rules: &Rules, sample: Sample) -> u32 {
    policy.clone().observe(now, rules, sample).map_or(sample.planned, |change| change.workers)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_number_stays_in_its_range_and_moves_by_few(rules in rules(), threads in 1..9_u32, phases in phases()) {
        play(&rules, threads, &phases, |policy, now, sample| {
            let number = after(policy, now, &rules, sample);
            assert!((rules.min..=rules.max).contains(&number));
            assert!(number + 1 >= sample.planned, "more than one retires");
            assert!(number <= sample.planned + rules.step, "more than a step is started");
            assert!(number <= sample.planned || sample.ready >= sample.planned, "more before what was ordered is ready");
        });
    }

    #[test]
    fn more_load_never_leads_to_fewer_workers(rules in rules(), threads in 1..9_u32, phases in phases(), busy in 0..9_u32, waiting in 0..9_u32) {
        play(&rules, threads, &phases, |policy, now, sample| {
            let heavier = Sample { busy: sample.busy + busy, waiting: sample.waiting + waiting, ..sample };
            assert!(after(policy, now, &rules, heavier) >= after(policy, now, &rules, sample));
        });
    }

    #[test]
    fn a_constant_load_converges_and_stays(target in 10..=95_u32, threads in 1..5_u32, first in 1..9_u32, load in 0..40_u32) {
        let settled = |load: u32| {
            let rules = Rules { target, ..RULES };
            let mut trace = Trace { rules, threads, ..Trace::new(first) };
            // Longer than any cool-down of each of the workers takes.
            trace.average(1500.0, f64::from(load) / 4.0);
            let changes = trace.changes.len();
            trace.average(600.0, f64::from(load) / 4.0);
            assert_eq!(trace.changes.len(), changes, "{:?}", trace.changes);
            trace.planned
        };
        prop_assert!(settled(load) <= settled(load + 1), "more load, fewer workers");
    }
}
