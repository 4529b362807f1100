//! What must hold of the wire protocols for any input: one module a wire entry, each with a `check` of one input.
//!
//! A `check` panics where a property does not hold, and tells which rules the input broke. It does no I/O and knows no
//! fuzzer: the targets in `fuzz_targets` call it with invented inputs, and `worker/wire/tests/corpus.rs` and
//! `properties.rs`, which compile this file too, with the saved and with generated ones.

// A check says by a panic that a property does not hold.
#![allow(clippy::expect_used, clippy::panic)]
// Each test file compiles this anew as a module of its own, and none uses all of it.
#![allow(dead_code, unreachable_pub)]

use tapster_wire::Reason;

pub mod arrival;
pub mod settings;

pub mod chunked;
pub mod forwarded;
pub mod head;
pub mod preface;
pub mod reply_fields;
pub mod stream;

/// A check of one input. What it returns are the rules that the input broke.
pub type Check = fn(&[u8]) -> Vec<Reason>;

/// Every target: its name, which is also that of its folder in `corpus`, and its check.
pub const TARGETS: &[(&str, Check)] = &[
    ("chunked", chunked::check),
    ("forwarded", forwarded::check),
    ("head", head::check),
    ("preface", preface::check),
    ("reply_fields", reply_fields::check),
    ("stream", stream::check),
];
