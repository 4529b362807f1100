//! The allocator's memory, seen from the system.
//!
//! It decides nothing about when. Called by the worker, and by the template before it forks.

/// Gives back to the system what the C library's allocator holds and nobody uses. Its own thresholds grow with the largest
/// block that was ever freed, so that one burst of large bodies would otherwise stay in the process for good. A matter of
/// milliseconds; does nothing where the C library has no such call.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called by any thread at any time; it moves no block that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The largest gap that is filled, in bytes: what is larger is as good to a child as fresh memory.
#[cfg(target_env = "gnu")]
const LARGEST_GAP: usize = 2040;
/// The most that is taken in all, in bytes.
#[cfg(target_env = "gnu")]
const MOST_IN_GAPS: usize = 1 << 20;
/// More than any gap has, and less than what would be a mapping of its own.
#[cfg(target_env = "gnu")]
const BEHIND_ALL: usize = 120 * 1024;

/// Takes the free gaps between the blocks of the C library's allocator, for ever. A process that is forked then finds room for
/// what is its own behind them, in one piece. In the gaps it would copy a whole page of what it shares for each few bytes,
/// which loading an application leaves hundreds of. Takes half a millisecond; does nothing with another C library than
/// glibc, and little of anything with another allocator in its place.
pub fn fill_gaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc(3) and free(3) alone: a block is never read or written here, and freed once, if it is. Addresses are only
    // compared, as numbers.
    unsafe {
        let behind = libc::malloc(BEHIND_ALL);
        let mut taken = 0;
        // An allocator's blocks are sixteen bytes apart, eight of which it keeps. The largest first, so that what is left of a
        // gap is filled by what follows.
        for size in (24..=LARGEST_GAP).rev().step_by(16) {
            while taken < MOST_IN_GAPS {
                let block = libc::malloc(size);
                if block.is_null() || block.addr() > behind.addr() {
                    libc::free(block);
                    break;
                }
                taken += size;
            }
        }
        libc::free(behind);
    }
}
