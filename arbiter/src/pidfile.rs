//! The file that names the arbiter's pid while it runs.
//!
//! Written whole or not at all, never over the file of a server that runs, and removed only while it is still ours.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The file; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes this process's pid.
    ///
    /// # Errors
    /// A sentence for the log: the file names another process that runs, or can't be written.
    pub(crate) fn write(path: &Path) -> Result<Self, String> {
        if let Some(pid) = named_by(path).filter(|&pid| pid != own_pid() && runs(pid)) {
            let path = path.display();
            return Err(format!(
                "the pid file {path} names process {pid}, which runs: stop that server first, or remove the file if \
                 process {pid} is something else"
            ));
        }
        let written = replace(path, &format!("{}\n", std::process::id()));
        written.map_err(|error| format!("can't write the pid file {}: {error}", path.display()))?;
        Ok(Self(path.into()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if named_by(&self.0) == Some(own_pid()) {
            // It may be in a directory that is no longer writable; the next start sees that the pid is stale.
            let _ = fs::remove_file(&self.0);
        }
    }
}

fn named_by(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn own_pid() -> i32 {
    Pid::this().as_raw()
}

fn runs(pid: i32) -> bool {
    pid > 0 && !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::File::create(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lives_as_long_as_its_value_and_a_running_process_keeps_its_own() {
        let path = std::env::temp_dir().join(format!("tapster-pidfile-{}", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        assert!(Pidfile::write(&path).unwrap_err().contains("names process 1, which runs"));
        fs::write(&path, "garbage").unwrap();
        let pidfile = Pidfile::write(&path).unwrap();
        assert_eq!(named_by(&path), Some(own_pid()));
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_another_server_has_taken_over_stays() {
        let path = std::env::temp_dir().join(format!("tapster-pidfile-taken-{}", std::process::id()));
        let pidfile = Pidfile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert_eq!(named_by(&path), Some(1));
        fs::remove_file(&path).unwrap();
    }
}
