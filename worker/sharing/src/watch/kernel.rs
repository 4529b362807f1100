//! The kernel's word on folders, by a library that panics where the application has closed its descriptors.
//!
//! Such a panic ends nothing here and is no line of the log: whoever asks hears that there is no word any more. Used by `watch`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;
use std::thread;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};

/// As the library calls its thread.
const ITS_THREAD: &str = "notify-rs inotify loop";

thread_local! {
    /// Whether this thread is in a call of the library's.
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

/// What is heard.
pub(super) enum Heard {
    /// Something has been written, or has come or gone.
    Happened(notify::Result<Event>),
    /// Nothing will be heard any more.
    NoMore,
}

/// The library, as long as it works.
pub(super) struct Kernel(Option<RecommendedWatcher>);

impl Kernel {
    /// Starts the library's thread, with no folder yet.
    ///
    /// # Errors
    /// Where the system has no descriptor left for it, or no instance of inotify.
    pub(super) fn new(ear: impl Fn(Heard) + Send + 'static) -> notify::Result<Self> {
        static QUIETED: Once = Once::new();
        QUIETED.call_once(quieten);
        let listener = Listener(ear);
        let handler = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, |event| !is_mere_look(event)) {
                listener.tell(Heard::Happened(event));
            }
        };
        RecommendedWatcher::new(handler, Config::default()).map(|watcher| Self(Some(watcher)))
    }

    /// Whether it has come to a halt.
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_none()
    }

    /// Has the kernel tell of what happens in this folder, though not of what happens in those below it.
    ///
    /// # Errors
    /// Where the kernel does not, and where it has come to a halt.
    pub(super) fn watch(&mut self, folder: &Path) -> notify::Result<()> {
        self.ask(|watcher| watcher.watch(folder, RecursiveMode::NonRecursive))
    }

    /// Takes that back. Where it fails the folder itself is gone.
    pub(super) fn unwatch(&mut self, folder: &Path) {
        let _ = self.ask(|watcher| watcher.unwatch(folder));
    }

    fn ask(&mut self, call: impl FnOnce(&mut RecommendedWatcher) -> notify::Result<()>) -> notify::Result<()> {
        let lost = || notify::Error::generic("its descriptors have been closed");
        let Some(watcher) = &mut self.0 else { return Err(lost()) };
        asking(|| call(watcher)).unwrap_or_else(|| {
            // Its end would only panic again.
            std::mem::forget(self.0.take());
            Err(lost())
        })
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let watcher = self.0.take();
        asking(move || drop(watcher));
    }
}

/// What the library's thread has of ours; gone with that.
struct Listener<F: Fn(Heard)>(F);

impl<F: Fn(Heard)> Listener<F> {
    fn tell(&self, heard: Heard) {
        (self.0)(heard);
    }
}

impl<F: Fn(Heard)> Drop for Listener<F> {
    fn drop(&mut self) {
        self.tell(Heard::NoMore);
    }
}

/// A call of the library's. `None` where it has panicked.
fn asking<T>(call: impl FnOnce() -> T) -> Option<T> {
    IS_ASKING.set(true);
    let answer = catch_unwind(AssertUnwindSafe(call)).ok();
    IS_ASKING.set(false);
    answer
}

/// Has the library's panics pass without their text. All others are told as before.
fn quieten() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if IS_ASKING.get() || thread::current().name() == Some(ITS_THREAD) {
            log::debug!("reload does not hear of changes any more: {:?}", panic.payload_as_str());
        } else {
            before(panic);
        }
    }));
}

/// Whether nothing was written. A folder's files are opened again and again, by whoever looks for a change among others.
fn is_mere_look(event: &Event) -> bool {
    matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
}
