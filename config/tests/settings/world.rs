//! A directory with a settings file, an environment and a command line, to load settings from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tapster_config::{Errors, Invocation, Settings, Sources, load};

/// The outside world of one test; its directory is gone when dropped.
pub(crate) struct World {
    pub(crate) sources: Sources,
}

impl World {
    /// A directory without a settings file, an empty environment, and the application on the command line.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cwd = std::env::temp_dir().join(format!("tapster-config-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&cwd).unwrap();
        Self { sources: Sources { args: vec!["site:app".into()], env: [].into(), cwd, ..Sources::default() } }
    }

    /// With `tapster.toml`.
    pub(crate) fn file(self, text: &str) -> Self {
        self.named_file("tapster.toml", text.as_bytes())
    }

    /// With any file.
    pub(crate) fn named_file(self, name: &str, bytes: &[u8]) -> Self {
        let path = self.cwd().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// With a variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a whole command line in place of the application alone.
    pub(crate) fn args(mut self, line: &[&str]) -> Self {
        self.sources.args = line.iter().map(OsString::from).collect();
        self
    }

    pub(crate) fn cwd(&self) -> &Path {
        &self.sources.cwd
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.cwd().join(below)
    }

    /// Loads what must be good.
    pub(crate) fn settings(&self) -> Settings {
        match load(&self.sources) {
            Ok(Invocation::Serve(settings)) => *settings,
            other => panic!("no settings to serve by: {other:?}"),
        }
    }

    /// Loads what must be wrong.
    pub(crate) fn errors(&self) -> Errors {
        match load(&self.sources) {
            Err(errors) => errors,
            Ok(invocation) => panic!("nothing was found wrong: {invocation:?}"),
        }
    }

    /// The text of what is wrong.
    pub(crate) fn complaint(&self) -> String {
        self.errors().to_string()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.sources.cwd);
    }
}
