//! Memory that several processes share, as a row of atomic words and nothing else.
//!
//! Words, because any bit pattern another process may leave in them is a valid `u64`: a worker gone mad can make a figure
//! wrong, but nothing here unsound.
//!
//! What the words mean is `ipc::scoreboard`'s, its only caller.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::unistd::ftruncate;

/// A mapping of a memfd, never unmapped: it lives as long as the process.
#[derive(Debug)]
pub struct SharedWords {
    words: &'static [AtomicU64],
    memory: OwnedFd,
}

impl SharedWords {
    /// Makes `count` words, all zero, backed by memory that is taken only as it is touched.
    ///
    /// # Errors
    /// The errno of memfd_create(2), ftruncate(2) or mmap(2).
    pub fn create(count: NonZeroUsize) -> io::Result<Self> {
        let memory = memfd_create(c"tapster-scoreboard", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&memory, i64::try_from(count.get() * size_of::<AtomicU64>()).unwrap_or(i64::MAX))?;
        // No process that gets it can take the ground away from under another's mapping.
        let fixed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(fixed))?;
        Self::map(memory, count)
    }

    /// Maps what another process made with [`SharedWords::create`].
    ///
    /// # Errors
    /// The errno of mmap(2); `EINVAL` where the memory is smaller than `count` words.
    pub fn map(memory: OwnedFd, count: NonZeroUsize) -> io::Result<Self> {
        let bytes = NonZeroUsize::saturating_mul(count, NonZeroUsize::new(size_of::<AtomicU64>()).unwrap_or(count));
        let size = nix::sys::stat::fstat(&memory)?.st_size;
        if u64::try_from(size).unwrap_or(0) < bytes.get() as u64 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: a fresh mapping at an address that the kernel chooses overlaps nothing.
        let start: NonNull<std::ffi::c_void> = unsafe {
            mmap(None, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, &memory, 0)
        }?;
        // SAFETY: the mapping is page-aligned, `count` words long, zero-filled by the kernel, never unmapped and never
        // written but through atomics; the file is sealed against shrinking under it.
        let words = unsafe { std::slice::from_raw_parts(start.as_ptr().cast::<AtomicU64>(), count.get()) };
        Ok(Self { words, memory })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }
}

impl AsFd for SharedWords {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}
