//! How bytes arrive: at which sizes of what has come a parser is asked.
//!
//! Every list ends with all of the bytes.

use std::fmt::Debug;

use tapster_wire::Reject;

/// After how many bytes to look, for `size` bytes that come in one piece.
#[must_use]
pub fn whole(size: usize) -> Vec<usize> {
    vec![size]
}

/// The same for bytes that come one by one; those of long inputs come by the few, for the time it takes.
#[must_use]
pub fn trickled(size: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = (0..size).step_by(1 + size / 1024).collect();
    ends.push(size);
    ends
}

/// The same for pieces of various sizes, which `seed` decides.
#[must_use]
pub fn pieces(size: usize, seed: u8) -> Vec<usize> {
    let mut state = u32::from(seed);
    let mut ends = Vec::new();
    let mut end = 0;
    while end < size {
        ends.push(end);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let largest = [2, 5, 17, 90][(state >> 30) as usize];
        end += 1 + ((state >> 16) % largest) as usize;
    }
    ends.push(size);
    ends
}

/// While bytes come, "need more" until there is enough for a verdict, and from then on that one, whatever comes behind.
/// `parse` is asked for the verdict on the first so many of `size` bytes, and `verdict` is that on all of them.
pub fn verdict_comes_once<T: PartialEq + Debug>(
    size: usize,
    verdict: &Result<Option<T>, Reject>,
    mut parse: impl FnMut(usize) -> Result<Option<T>, Reject>,
) {
    let mut is_given = false;
    for end in trickled(size) {
        let so_far = parse(end);
        if is_given || so_far != Ok(None) {
            assert_eq!(&so_far, verdict, "the verdict on the first {end} bytes, and on all");
            is_given = true;
        }
    }
}
