//! What is kept for slow clients, in memory or in temporary files: where, and how much in all.
//!
//! Files have no name: they are gone when they are closed, however the process ends. What is kept in them is `body`'s and
//! `outgoing`'s business.

use std::fs::File;
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;

use crate::budget::{Budget, Share};
use crate::clock::{Seldom, millis};

/// What bodies and replies of one worker may take of its memory together, in bytes; the rest goes to files.
const IN_MEMORY: u64 = 64 * 1024 * 1024;
/// So many bytes that have been freed are worth giving back to the system.
const WORTH_WHILE: u64 = 4 * 1024 * 1024;

/// A worker's store.
#[derive(Debug)]
pub(crate) struct Storage {
    /// The system's folder for temporary files (`$TMPDIR`, else `/tmp`) where none is set.
    folder: Option<PathBuf>,
    pub(crate) memory: Budget,
    disk: Budget,
    complaints: Mutex<Seldom>,
}

impl Storage {
    /// With files in `folder` that hold at most `on_disk` bytes together; 0 for no limit.
    pub(crate) fn new(folder: Option<PathBuf>, on_disk: u64) -> Self {
        let disk = Budget::new(if on_disk == 0 { u64::MAX } else { on_disk });
        Self { folder, memory: Budget::new(IN_MEMORY), disk, complaints: Mutex::default() }
    }

    /// Reports that something can't be kept in a file, if that has not just been reported.
    pub(crate) fn complain(&self, what: &str, error: &io::Error) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.is_time(millis(tapster_sys::stamp::monotonic())) {
            let see = match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EMFILE | Errno::ENFILE) => "the limit of open files: ulimit -n, LimitNOFILE=",
                Some(_) => "tmp_upload_dir",
                None => "tmp_upload_limit",
            };
            log::error!("can't keep {what} in a temporary file: {error} (see {see})");
        }
    }

    /// Whether so much memory has been freed that the allocator may hold a lot that nobody needs.
    #[inline]
    pub(crate) fn has_slack(&self) -> bool {
        let peak = self.memory.peak();
        peak >= WORTH_WHILE && self.memory.taken() <= peak / 4
    }

    /// Has the allocator give it back.
    #[cold]
    pub(crate) fn give_slack_back(&self) {
        self.memory.forget_peak();
        tapster_sys::memory::trim();
    }

    /// A new file.
    pub(crate) fn file(&self) -> io::Result<TemporaryFile> {
        let file = match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder)?,
            None => tempfile::tempfile()?,
        };
        let file = tapster_sys::fds::apart_from_standard_streams(file.into())?.into();
        Ok(TemporaryFile { file, end: 0, share: self.disk.share() })
    }
}

/// A file without a name.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    file: File,
    end: u64,
    share: Share,
}

impl TemporaryFile {
    /// Writes behind what is there, all or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if !self.share.resize(end) {
            return Err(io::Error::new(ErrorKind::StorageFull, "tmp_upload_limit is reached"));
        }
        // What a failed write leaves behind the end is written over.
        self.file.write_all_at(bytes, self.end)?;
        self.end = end;
        Ok(())
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.end
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Another handle of it, at its beginning.
    pub(crate) fn reopened(&mut self) -> io::Result<File> {
        self.file.rewind()?;
        self.file.try_clone()
    }
}
