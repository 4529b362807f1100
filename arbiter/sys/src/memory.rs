//! The allocator's memory, seen from the system.
//!
//! It decides nothing about when. Called by the worker.

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
