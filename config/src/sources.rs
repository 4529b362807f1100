//! Where settings come from, as one value: so that a reload reads the same command line again, and tests need no process.
//!
//! Never reads a file. The arbiter makes one at its start and keeps it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The outside world as far as settings are concerned; files apart, [`crate::load`] looks at nothing else.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The command line without the program's name.
    pub args: Vec<OsString>,
    /// The environment. Bytes that are not UTF-8 stand as U+FFFD, which is refused where a setting would use them.
    pub env: BTreeMap<String, String>,
    /// The working directory: `tapster.toml` is looked for in it, and `chdir` starts from it.
    pub cwd: PathBuf,
}

impl Sources {
    /// Collects them from the running process.
    ///
    /// # Errors
    ///
    /// When the working directory was removed or may not be read.
    pub fn of_process() -> std::io::Result<Self> {
        let lossy = |text: OsString| text.to_string_lossy().into_owned();
        Ok(Self {
            args: std::env::args_os().skip(1).collect(),
            env: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
            cwd: std::env::current_dir()?,
        })
    }
}
