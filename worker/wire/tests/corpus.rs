//! The saved inputs of the fuzz targets as plain tests, so that they run wherever the tests do.

// Test support is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/fuzz/src/lib.rs"]
mod checks;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use checks::TARGETS;
use tapster_wire::Reason;

/// Reasons that no parser gives: the last resort that must never be needed, what only a clock can tell, and what only
/// the connection's owner knows.
const NOT_OF_PARSERS: &[Reason] = &[
    Reason::Malformed,
    Reason::HeadTimeout,
    Reason::BodyTimeout,
    Reason::BodyRate,
    Reason::Busy,
    Reason::QueueFull,
    Reason::Timeout,
    Reason::Storage,
    Reason::ProxyForbidden,
];

/// The most that the inputs of all targets may take, in bytes, and the most files a target.
const MOST_BYTES: u64 = 500 << 10;
const MOST_FILES: usize = 300;

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Every saved input of a target: its file's name and its bytes.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("corpus/{target}");
    let names = names_in(&folder);
    names.into_iter().map(|name| (name.clone(), fs::read(fuzz_folder().join(&folder).join(name)).unwrap())).collect()
}

/// Runs them all, and returns the rules that they broke. What is said where a property does not hold goes to the test's
/// output. An input whose name is `refused-`, a reason and perhaps a dash and more must be refused for that reason.
fn run(target: &str) -> BTreeSet<&'static str> {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let mut broken = Vec::new();
    let mut reasons = BTreeSet::new();
    for (name, input) in inputs(target) {
        let Ok(seen) = catch_unwind(|| check(&input)) else {
            broken.push(name);
            continue;
        };
        let seen: Vec<&str> = seen.into_iter().map(Reason::name).collect();
        if let Some(expected) = name.strip_prefix("refused-") {
            assert_eq!(seen, [expected.split('-').next().unwrap()], "{target}/{name}");
        }
        reasons.extend(seen);
    }
    assert!(broken.is_empty(), "of tests/fuzz/corpus/{target}: {broken:?}");
    reasons
}

#[test]
fn every_target_has_a_check_and_a_corpus_within_bounds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in("corpus"), names);
    assert_eq!(names_in("fuzz_targets"), names.iter().map(|name| format!("{name}.rs")).collect());
    let mut bytes = 0;
    for (name, _) in TARGETS {
        let inputs = inputs(name);
        assert!((10..=MOST_FILES).contains(&inputs.len()), "{name} has {} inputs", inputs.len());
        bytes += inputs.iter().map(|(_, input)| input.len() as u64).sum::<u64>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes in all");
}

#[test]
fn every_rule_that_a_parser_knows_is_broken_by_a_saved_input() {
    let seen: BTreeSet<&str> = TARGETS.iter().flat_map(|(name, _)| run(name)).collect();
    let known = Reason::ALL.iter().filter(|reason| !NOT_OF_PARSERS.contains(reason)).map(|reason| reason.name());
    assert_eq!(seen, known.collect());
}

#[test]
fn saved_chunked_bodies_hold() {
    run("chunked");
}

#[test]
fn saved_forwarded_fields_hold() {
    run("forwarded");
}

#[test]
fn saved_heads_hold() {
    run("head");
}

#[test]
fn saved_prefaces_hold() {
    run("preface");
}

#[test]
fn saved_replies_hold() {
    run("reply_fields");
}

#[test]
fn saved_streams_hold() {
    run("stream");
}
