//! Temporary files without a name: gone when they are closed, however the process ends.
//!
//! What is kept in them is `body`'s and `outgoing`'s business.

use std::fs::File;
use std::io;
use std::path::Path;

/// A new one in `folder`, or in the system's folder for temporary files (`$TMPDIR`, else `/tmp`).
pub(crate) fn file(folder: Option<&Path>) -> io::Result<File> {
    match folder {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    }
}
