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

use nix::sys::signal::SigSet;
use tapster_python::{Python, calm, interrupt, stacks};

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

    fn interrupt(&self, py: Python<'_>, ticket: u64) {
        if self.ticket.load(Relaxed) == ticket {
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

    /// Has the stacks of all threads logged, and the request's own interrupted.
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

    /// Whether it waits for the interpreter's lock, which somebody does not give away.
    pub(crate) fn is_kept_waiting(&self) -> bool {
        self.unseen.load(Relaxed) > 0
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
    for Overdue { thread, ticket, request } in overdue {
        let Some(mark) = marks.get(thread) else { continue };
        Python::attach(|py| {
            unseen.fetch_sub(1, Relaxed);
            if mark.ticket.load(Relaxed) == ticket {
                log::error!("What Python is doing while {request} is late:\n{}", stacks(py, Some(mark.ident())));
                mark.interrupt(py, ticket);
            }
        });
    }
}
