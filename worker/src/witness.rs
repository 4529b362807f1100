//! What Python was doing when a request took too long, and the exception that asks it to stop.
//!
//! Both need the interpreter's lock, which the application may not give away for long. So a thread of its own waits for it,
//! started when it is first needed. It touches no connection; the reactor has answered the client by then.

use std::ffi::c_ulong;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::sys::signal::SigSet;
use tapster_python::{Python, calm, interrupt, stacks};

use crate::clock::{Seldom, monotonic};
use crate::deadlines::Millis;

/// Which request each application thread is at.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    /// The request's ticket; 0 for none. Changed with the interpreter's lock held, so that whoever holds it can rely on it.
    ticket: AtomicU64,
    /// The thread, as Python knows it.
    ident: AtomicU64,
    /// The exception has been sent to it, for the request that it is at.
    interrupted: AtomicBool,
}

impl Mark {
    /// The thread is this one.
    pub(crate) fn introduce(&self) {
        self.ident.store(tapster_python::thread_ident(), Relaxed);
    }

    /// Whether that is so.
    pub(crate) fn is_this_thread(&self) -> bool {
        self.ident() == tapster_python::thread_ident()
    }

    /// The thread takes up a request.
    #[inline]
    pub(crate) fn begin(&self, _py: Python<'_>, ticket: u64) {
        self.ticket.store(ticket, Relaxed);
    }

    /// The thread, which is this one, has done with it. An exception that has not been raised by now would hit the next request.
    #[inline]
    pub(crate) fn end(&self, py: Python<'_>) {
        self.ticket.store(0, Relaxed);
        if self.interrupted.load(Relaxed) {
            self.interrupted.store(false, Relaxed);
            calm(py);
        }
    }

    /// Whether the thread is at that request.
    fn is_at(&self, ticket: u64) -> bool {
        self.ticket.load(Relaxed) == ticket
    }

    fn interrupt(&self, py: Python<'_>, ticket: u64) {
        if self.is_at(ticket) {
            self.interrupted.store(true, Relaxed);
            interrupt(py, self.ident());
        }
    }

    fn ident(&self) -> c_ulong {
        self.ident.load(Relaxed)
    }
}

/// A request that has taken too long.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) thread: usize,
    pub(crate) ticket: u64,
    pub(crate) request: String,
}

/// The thread that looks, once there is one.
#[derive(Debug)]
pub(crate) struct Witness {
    marks: Arc<[Mark]>,
    looking: Mutex<Option<(Sender<Overdue>, JoinHandle<()>)>>,
    /// Requests that it has been called for and not seen.
    unseen: Arc<AtomicUsize>,
}

impl Witness {
    /// For the threads with these marks.
    pub(crate) fn new(marks: Arc<[Mark]>) -> Self {
        Self { marks, looking: Mutex::new(None), unseen: Arc::default() }
    }

    /// Has the stack of its thread logged, and now and then those of all threads; and the thread interrupted.
    ///
    /// # Errors
    /// Where the thread can't be started.
    pub(crate) fn call(&self, overdue: Overdue) -> io::Result<()> {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, _) = match &mut *looking {
            Some(looking) => looking,
            none => {
                let (sender, receiver) = channel();
                let (marks, unseen) = (Arc::clone(&self.marks), Arc::clone(&self.unseen));
                let look = move || look(&marks, &receiver, &unseen);
                let thread = Builder::new().name("tapster-witness".into()).spawn(look)?;
                none.insert((sender, thread))
            }
        };
        self.unseen.fetch_add(1, Relaxed);
        // It listens for as long as there is a sender.
        let _ = sender.send(overdue);
        Ok(())
    }

    /// Whether it waits for the interpreter's lock, which somebody does not give away for as long as `patience`. Not to be called
    /// by a thread that holds it.
    pub(crate) fn is_kept_waiting(&self, patience: Duration) -> bool {
        let until = tapster_sys::stamp::monotonic() + patience;
        while self.unseen.load(Relaxed) > 0 {
            if tapster_sys::stamp::monotonic() > until {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Ends the thread, and waits for that: none may wait for the interpreter's lock when the interpreter ends. Not to be called
    /// by a thread that holds it.
    pub(crate) fn dismiss(&self) {
        let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, thread)) = looking {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn look(marks: &[Mark], overdue: &Receiver<Overdue>, unseen: &AtomicUsize) {
    // Signals are the main thread's and the poll's.
    let _ = SigSet::all().thread_block();
    let mut diary = Diary::default();
    while let Ok(first) = overdue.recv() {
        Python::attach(|py| {
            // With those that have become late while the lock was long in coming.
            let mut late: Vec<_> = std::iter::once(first).chain(overdue.try_iter()).collect();
            unseen.fetch_sub(late.len(), Relaxed);
            late.retain(|each| marks.get(each.thread).is_some_and(|mark| mark.is_at(each.ticket)));
            if late.is_empty() {
                return;
            }
            diary.tell(py, marks, &late);
            for Overdue { thread, ticket, .. } in late {
                marks[thread].interrupt(py, ticket);
            }
        });
    }
}

/// What is logged of late requests: the stacks of their own threads for each, those of all threads now and then.
#[derive(Default)]
struct Diary {
    whole: Seldom,
    /// When the stacks of all threads were logged.
    told: Millis,
}

impl Diary {
    /// The most requests that the first line names. Each is named with its thread as well, and has a line of its own.
    const MOST_NAMED: usize = 10;

    fn tell(&mut self, py: Python<'_>, marks: &[Mark], late: &[Overdue]) {
        let now = monotonic();
        let whole = self.whole.is_time(now);
        let elsewhere = if whole {
            self.told = now;
            String::new()
        } else {
            let [since, seldom] = [now - self.told, Seldom::SILENCE].map(Duration::from_millis);
            format!(" (the stacks of all threads were logged {since:?} ago; that is done at most every {seldom:?})")
        };
        let threads: Vec<_> = late.iter().map(|each| (marks[each.thread].ident(), each.request.as_str())).collect();
        let stacks = stacks(py, &threads, whole);
        log::error!("What Python is doing while {} late{elsewhere}:\n{stacks}", subject(late));
    }
}

/// The requests as the subject of a sentence, with its verb.
fn subject(late: &[Overdue]) -> String {
    let named: Vec<_> = late.iter().take(Diary::MOST_NAMED).map(|each| each.request.as_str()).collect();
    match (named.as_slice(), late.len() - named.len()) {
        ([one], 0) => format!("{one} is"),
        ([before @ .., last], 0) => format!("{} and {last} are", before.join(", ")),
        (_, more) => format!("{} and {more} more are", named.join(", ")),
    }
}
