//! Notices that files change, for development: a thread that waits for the kernel to tell of it, and then looks at them.
//!
//! It needs no interpreter, and tells of a change once the file system has been quiet for a moment, since editors save in several
//! steps. What a change means is its maker's to say. Used by the worker where `reload` is on.

mod files;
mod kernel;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, SystemTime};

use nix::sys::signal::SigSet;
use notify::Event;
use notify::event::{EventKind, ModifyKind};
use tapster_sys::stamp::monotonic;

use files::Files;
use kernel::{Heard, Kernel};

/// For so long nothing must happen before the files are looked at.
const QUIET: Duration = Duration::from_millis(100);
/// But where it goes on happening, no later than this after the first.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the files are looked at where the kernel can't tell of all.
const POLL: Duration = Duration::from_secs(1);

/// The thread, until [`Watch::end`].
#[derive(Debug)]
pub struct Watch {
    sender: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What is called with the path of a file that has changed and when that was, on the clock of `tapster_sys::stamp::monotonic`.
pub type Tell = Box<dyn FnMut(&Path, Duration) + Send>;

enum Message {
    Heard(Heard),
    Add { paths: Vec<PathBuf>, since: SystemTime },
    End,
}

impl Watch {
    /// Starts to watch `paths`, which were read at some time after `since`, and what `extra` names: files, or folders with all
    /// that is in them. No change is missed from then on.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(paths: Vec<PathBuf>, since: SystemTime, extra: Vec<PathBuf>, tell: Tell) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let (ready, wait) = channel();
        let events = sender.clone();
        let thread = Builder::new().name("tapster-watch".into()).spawn(move || {
            // Signals are the main thread's; so in the thread that the library starts.
            let _ = SigSet::all().thread_block();
            let mut watcher = Watching::new(extra, events, tell);
            watcher.add(paths, since);
            let _ = ready.send(());
            watcher.run(&receiver);
        })?;
        // It fails where the thread has panicked, which the log tells.
        let _ = wait.recv();
        Ok(Self { sender, thread: Mutex::new(Some(thread)) })
    }

    /// Watches these too, which were read at some time after `since`.
    pub fn add(&self, paths: Vec<PathBuf>, since: SystemTime) {
        let _ = self.sender.send(Message::Add { paths, since });
    }

    /// Ends the thread, and waits for that.
    pub fn end(&self) {
        let _ = self.sender.send(Message::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Watching {
    files: Files,
    /// None where the system has none left.
    kernel: Option<Kernel>,
    /// The folders that the kernel tells of, each with what tells it from another of that name.
    watched: BTreeMap<PathBuf, Identity>,
    /// Whether there are folders of which it does not.
    is_blind: bool,
    tell: Tell,
}

type Identity = (u64, u64);

/// A burst of events.
#[derive(Clone, Copy)]
struct Burst {
    first: Duration,
    last: Duration,
}

impl Burst {
    fn now() -> Self {
        let now = monotonic();
        Self { first: now, last: now }
    }
}

impl Watching {
    fn new(extra: Vec<PathBuf>, events: Sender<Message>, tell: Tell) -> Self {
        let ear = move |heard| drop(events.send(Message::Heard(heard)));
        let (kernel, is_blind) = match Kernel::new(ear) {
            Ok(kernel) => (Some(kernel), false),
            Err(error) => {
                log::warn!(
                    "reload looks at all files each second, since the kernel can't tell of changes: {error}{LIMITS}"
                );
                (None, true)
            }
        };
        Self { files: Files::new(extra), kernel, watched: BTreeMap::new(), is_blind, tell }
    }

    fn run(&mut self, receiver: &Receiver<Message>) {
        // What has changed between the first look and the first watch has been told by nobody.
        let mut burst = Some(Burst::now());
        loop {
            let patience = match burst {
                Some(Burst { first, last }) => (last + QUIET).min(first + PATIENCE).saturating_sub(monotonic()),
                None if self.is_blind => POLL,
                // Nothing is due.
                None => Duration::from_secs(3600),
            };
            match receiver.recv_timeout(patience) {
                Ok(Message::Heard(Heard::Happened(Ok(event)))) => {
                    if self.concerns(&event) {
                        let now = Burst::now();
                        burst = Some(Burst { first: burst.unwrap_or(now).first, ..now });
                    }
                }
                Ok(Message::Heard(Heard::Happened(Err(error)))) => {
                    log::debug!("reload may not hear of a change: {error}");
                }
                Ok(Message::Heard(Heard::NoMore)) => self.lose(),
                Ok(Message::Add { paths, since }) => {
                    self.add(paths, since);
                    // As at the beginning.
                    burst.get_or_insert_with(Burst::now);
                }
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let last = burst.take().map_or_else(monotonic, |burst| burst.last);
                    self.look(last);
                }
            }
        }
    }

    fn add(&mut self, paths: Vec<PathBuf>, since: SystemTime) {
        if let Some((path, age)) = self.files.add(paths, since) {
            (self.tell)(&path, monotonic().saturating_sub(age));
        }
        self.follow();
    }

    /// Looks at all files, after something has happened at `last`.
    fn look(&mut self, last: Duration) {
        // First, since what is changed after a look has to be told by the kernel.
        self.follow();
        if let Some(path) = self.files.look() {
            (self.tell)(&path, last);
        }
    }

    /// Has the kernel tell of the folders that there are now.
    fn follow(&mut self) {
        let Some(kernel) = &mut self.kernel else { return };
        let wanted = self.files.folders();
        let gone: Vec<_> = self.watched.keys().filter(|folder| !wanted.contains(*folder)).cloned().collect();
        for folder in gone {
            self.watched.remove(&folder);
            kernel.unwatch(&folder);
        }
        let mut failure = None;
        for folder in wanted {
            let Some(identity) = identity(&folder) else { continue };
            match self.watched.get(&folder) {
                Some(known) if *known == identity => continue,
                Some(_) => kernel.unwatch(&folder),
                None => {}
            }
            match kernel.watch(&folder) {
                Ok(()) => drop(self.watched.insert(folder, identity)),
                Err(error) => failure = Some(error),
            }
        }
        if kernel.is_lost() {
            return self.lose();
        }
        if let Some(error) = &failure
            && !self.is_blind
        {
            log::warn!(
                "reload looks at all files each second, since the kernel can't tell of all changes: {error}{LIMITS}"
            );
        }
        self.is_blind = failure.is_some();
    }

    /// Goes on without the kernel.
    fn lose(&mut self) {
        if self.kernel.take().is_some() {
            log::warn!(
                "reload looks at all files each second, since the descriptors by which the kernel told of changes have been \
                 closed by the application (os.closerange, for example)"
            );
            self.is_blind = true;
        }
    }

    /// Whether the files have to be looked at.
    fn concerns(&mut self, event: &Event) -> bool {
        let moved = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        let concerns = event.need_rescan() || event.paths.iter().any(|path| self.files.concerns(path, moved));
        if moved && concerns && !matches!(event.kind, EventKind::Access(_) | EventKind::Create(_)) {
            // The library may have dropped its watch with the folder's old name.
            for path in &event.paths {
                self.watched.retain(|folder, _| !folder.starts_with(path));
            }
        }
        concerns
    }
}

/// What to do where inotify is at its end.
const LIMITS: &str = " (fs.inotify.max_user_watches and fs.inotify.max_user_instances are its limits)";

fn identity(folder: &Path) -> Option<Identity> {
    folder.metadata().ok().map(|data| (data.dev(), data.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Longer than anything takes on a machine that is not at its end.
    const DEADLINE: Duration = Duration::from_secs(20);

    struct World {
        folder: TempDir,
        watch: Watch,
        told: Receiver<PathBuf>,
    }

    impl World {
        fn new(names: &[&str]) -> Self {
            let folder = TempDir::new().unwrap();
            let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
            for path in &paths {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "1").unwrap();
            }
            let (sender, told) = channel();
            let tell = move |path: &Path, _| sender.send(path.to_owned()).unwrap();
            let soon = SystemTime::now() + DEADLINE;
            let watch = Watch::start(paths, soon, Vec::new(), Box::new(tell)).unwrap();
            Self { folder, watch, told }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn expect(&self, name: &str) {
            assert_eq!(self.told.recv_timeout(DEADLINE), Ok(self.path(name)));
        }
    }

    #[test]
    fn each_way_to_save_is_noticed_once() {
        let world = World::new(&["a.py"]);
        let (path, beside) = (world.path("a.py"), world.path("a.py~"));
        fs::write(&path, "12").unwrap();
        world.expect("a.py");
        fs::write(&beside, "123").unwrap();
        fs::rename(&beside, &path).unwrap();
        world.expect("a.py");
        fs::remove_file(&path).unwrap();
        world.expect("a.py");
        fs::write(&path, "1234").unwrap();
        world.expect("a.py");
        world.watch.end();
        assert_eq!(world.told.try_iter().count(), 0);
    }

    #[test]
    fn what_is_added_later_is_watched_from_then_on() {
        let world = World::new(&["a.py"]);
        let late = world.path("late/b.py");
        fs::create_dir(late.parent().unwrap()).unwrap();
        fs::write(&late, "1").unwrap();
        world.watch.add(vec![late.clone()], SystemTime::UNIX_EPOCH);
        world.expect("late/b.py");
        fs::write(&late, "12").unwrap();
        world.expect("late/b.py");
        world.watch.end();
    }

    #[test]
    fn a_folder_that_goes_away_and_comes_back_is_watched_as_before() {
        let world = World::new(&["pkg/a.py", "b.py"]);
        fs::rename(world.path("pkg"), world.path("other")).unwrap();
        world.expect("pkg/a.py");
        fs::rename(world.path("other"), world.path("pkg")).unwrap();
        world.expect("pkg/a.py");
        fs::write(world.path("pkg/a.py"), "12").unwrap();
        world.expect("pkg/a.py");
        fs::remove_dir_all(world.path("pkg")).unwrap();
        world.expect("pkg/a.py");
        fs::create_dir(world.path("pkg")).unwrap();
        fs::write(world.path("pkg/a.py"), "123").unwrap();
        world.expect("pkg/a.py");
        world.watch.end();
    }

    #[test]
    fn other_files_are_nobodys_concern() {
        let world = World::new(&["a.py"]);
        fs::write(world.path("b.py"), "1").unwrap();
        fs::create_dir(world.path("__pycache__")).unwrap();
        fs::write(world.path("__pycache__/a.pyc"), "1").unwrap();
        // Had they been told of, it would have been before this.
        fs::write(world.path("a.py"), "12").unwrap();
        world.expect("a.py");
        world.watch.end();
        assert_eq!(world.told.try_iter().count(), 0);
    }
}
