//! Invents inputs for `forwarded::check`; see there for their form.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| drop(tapster_wire_fuzz::forwarded::check(input)));
