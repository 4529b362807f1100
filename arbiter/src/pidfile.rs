//! The file that names the arbiter's pid while it runs.
//!
//! Who has it, has it locked (flock(2)), until the end of its process: a file that nobody has locked is stale, whatever process has
//! got its number since, and is replaced; one that is locked is left alone. The file appears whole, and goes only while it is
//! still ours. Called by `run` and `perform`; a reload does not touch it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How often the file may change hands while it is looked at.
const TRIALS: u32 = 100;

/// The file, locked; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    /// Where it goes once the server before this one has gone.
    later: Option<PathBuf>,
    lock: Flock<File>,
    /// Whether the one that comes after this server takes the path over.
    is_left: bool,
}

impl Pidfile {
    /// Writes this process's pid.
    ///
    /// # Errors
    /// A sentence for the log: another server has the file, or it can't be written.
    pub(crate) fn write(path: &Path) -> Result<Self, String> {
        let unfinished = with_suffix(path, &format!(".{}", std::process::id()));
        let written = Self::place(&unfinished, path);
        // Under its own name it is another link by now, or nobody's.
        let _ = fs::remove_file(&unfinished);
        written
    }

    /// Writes this process's pid to `PATH.2`, beside the file of the server whose place it is to take.
    ///
    /// # Errors
    /// As [`Pidfile::write`].
    pub(crate) fn write_second(path: &Path) -> Result<Self, String> {
        let mut second = Self::write(&with_suffix(path, ".2"))?;
        second.later = Some(path.into());
        Ok(second)
    }

    fn place(unfinished: &Path, path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the pid file {} can't be written: {error}", path.display());
        let lock = make(unfinished).map_err(failed)?;
        let mut trials = 0..TRIALS;
        while trials.next().is_some() {
            // Linked, not renamed: so of two servers that start at once one finds the other's file.
            match fs::hard_link(unfinished, path) {
                Ok(()) => return Ok(Self { path: path.into(), later: None, lock, is_left: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            let Some(stale) = lock_stale(path)? else { continue };
            fs::rename(unfinished, path).map_err(failed)?;
            let named = named_by(&stale);
            log::info!("The pid file {} was left behind by {named}, and is replaced", path.display());
            return Ok(Self { path: path.into(), later: None, lock, is_left: false });
        }
        Err(failed(io::Error::other("other servers take it and leave it again and again")))
    }

    /// The path that the file has, or will have once the server before this one has gone.
    #[must_use]
    pub(crate) fn final_path(&self) -> &Path {
        self.later.as_deref().unwrap_or(&self.path)
    }

    /// Leaves the path to the server that takes this one's place: it puts its own file there.
    pub(crate) fn leave(&mut self) {
        self.is_left = true;
    }

    /// Takes the path of the server before, which had that pid and has gone.
    ///
    /// # Errors
    /// A sentence for the log: yet another server has it, or it can't be renamed.
    pub(crate) fn succeed(&mut self, predecessor: i32) -> Result<(), String> {
        let Some(later) = self.later.take() else { return Ok(()) };
        let named = fs::read_to_string(&later).ok().and_then(|text| text.trim().parse().ok());
        // Of one that was killed the kernel may give up the lock a moment after the channel.
        let is_free = if named == Some(predecessor) { Ok(None) } else { lock_stale(&later) };
        let renamed = is_free.and_then(|_stale| {
            fs::rename(&self.path, &later)
                .map_err(|error| format!("{} can't be renamed to {}: {error}", self.path.display(), later.display()))
        });
        if renamed.is_ok() {
            self.path = later;
        }
        renamed
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if !self.is_left && is_at(&self.lock, &self.path) {
            // It may be in a directory that is no longer writable; the next start sees that the file is stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that nobody else has seen, locked, with this process's pid.
fn make(path: &Path) -> io::Result<Flock<File>> {
    match fs::remove_file(path) {
        // Of a process that had the same number once.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))?;
    lock.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    Ok(lock)
}

/// Locks the file that a server has left behind, so that nobody else replaces it meanwhile. `None` where it is gone, or another
/// is in its place.
fn lock_stale(path: &Path) -> Result<Option<Flock<File>>, String> {
    let failed = |error: io::Error| format!("the pid file {} can't be read: {error}", path.display());
    let file =
        match OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(is_at(&lock, path).then_some(lock)),
        Err((file, Errno::EWOULDBLOCK)) => Err(format!(
            "the pid file {} is that of {}, a server that runs: stop that one first, or give this one another `pid`",
            path.display(),
            named_by(&file)
        )),
        Err((_, errno)) => Err(failed(errno.into())),
    }
}

/// Whether the path is still this file's.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let own = file.metadata().map(identity).ok();
    own.is_some() && own == fs::symlink_metadata(path).map(identity).ok()
}

/// The process that a file names, in words.
fn named_by(file: &File) -> String {
    let mut text = String::new();
    // No more than a pid takes: somebody may have named a file of another kind.
    let read = io::Read::read_to_string(&mut io::Read::take(file, 32), &mut text);
    match read.ok().and_then(|_| text.trim().parse::<i32>().ok()) {
        Some(pid) => format!("process {pid}"),
        None => "no process that it names".into(),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tapster-pidfile-{name}-{}", std::process::id()))
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn own() -> String {
        format!("{}\n", std::process::id())
    }

    #[test]
    fn the_file_lives_as_long_as_its_value() {
        let path = scratch("life");
        let pidfile = Pidfile::write(&path).unwrap();
        assert_eq!(text(&path), own());
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn what_nobody_has_locked_is_replaced_though_its_number_is_another_process() {
        let path = scratch("stale");
        for stale in ["1\n", "garbage", "", "4194999\n"] {
            fs::write(&path, stale).unwrap();
            drop(Pidfile::write(&path).unwrap());
            assert!(!path.exists(), "{stale:?}");
        }
    }

    #[test]
    fn what_a_server_has_is_left_alone_and_the_error_names_it() {
        let path = scratch("held");
        let first = Pidfile::write(&path).unwrap();
        let error = Pidfile::write(&path).unwrap_err();
        assert!(error.contains(&format!("process {}, a server that runs", std::process::id())), "{error}");
        assert_eq!(text(&path), own());
        drop(first);
        drop(Pidfile::write(&path).unwrap());
    }

    #[test]
    fn of_many_that_start_at_once_one_gets_it_and_nothing_is_left_beside_it() {
        let folder = scratch("at-once");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("pid");
        for stale in [true, false] {
            if stale {
                fs::write(&path, "1\n").unwrap();
            }
            // Threads of one process have one pid, so each takes the name that its process would.
            let start = |number: u32| {
                let path = path.clone();
                std::thread::spawn(move || Pidfile::place(&with_suffix(&path, &format!(".{number}")), &path))
            };
            let started: Vec<_> = (0..8).map(start).collect();
            let results: Vec<_> = started.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
            assert!(path.exists());
            drop(results);
            assert!(!path.exists());
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_somebody_has_put_in_its_place_stays() {
        let path = scratch("taken");
        let pidfile = Pidfile::write(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert_eq!(text(&path), "1\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_second_file_takes_the_place_of_the_first_once_that_is_nobodys() {
        let path = scratch("second");
        let second_path = with_suffix(&path, ".2");
        let mut first = Pidfile::write(&path).unwrap();
        let mut second = Pidfile::write_second(&path).unwrap();
        assert_eq!((second.final_path(), text(&second_path)), (path.as_path(), own()));
        first.leave();
        drop(first);
        assert!(path.exists(), "there is no moment without a file");
        second.succeed(1).unwrap();
        assert!(path.exists() && !second_path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_the_server_before_is_taken_though_its_lock_is_not_gone_yet() {
        let path = scratch("killed");
        let mut second = Pidfile::write_second(&path).unwrap();
        let first = Pidfile::write(&path).unwrap();
        second.succeed(i32::try_from(std::process::id()).unwrap()).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second's");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_third_servers_file_is_not_taken_over() {
        let path = scratch("third");
        let mut second = Pidfile::write_second(&path).unwrap();
        let third = Pidfile::write(&path).unwrap();
        assert!(second.succeed(1).unwrap_err().contains("a server that runs"));
        drop(second);
        assert!(path.exists() && !with_suffix(&path, ".2").exists());
        drop(third);
    }
}
