//! The application threads: the main thread, and as many more as `threads` says.
//!
//! Whoever has the reactor polls and, when a request is complete, leaves the reactor in `baton` and takes the request into the
//! application. Nothing here knows connections. Made and run by `worker`.

use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use mio::{Poll, Waker};
use tapster_config::Settings;
use tapster_ipc::ExitCode;
use tapster_python::{
    Application, Caller, HopByHop, LoadError, Python, run_exit_functions, run_signal_handlers, run_worker_exit,
    start_thread, wake_on_signals,
};
use tapster_sharing::baton::Received;

use crate::common::Common;
use crate::job::Job;
use crate::life::{Context, failed};
use crate::listeners::Listeners;
use crate::monitor;
use crate::reactor::{Baton, MAIN, Next, Reactor, WAKER, siblings};
use crate::sentinel::Sentinel;
use crate::slow_end;

/// How long threads that have been told to end may take, when the worker ends.
const LAST_STEPS: Duration = Duration::from_millis(500);
/// Why threads may not start that could.
const PATCHED: &str = "if something has replaced Python's threading, such as gevent's monkey patching, set threads = 1";
/// How long the threads may take to start.
const FIRST_STEPS: Duration = Duration::from_secs(10);

/// The threads of a worker, and what they have in common.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    threads: usize,
}

struct Shared {
    common: Arc<Common>,
    baton: Arc<Baton>,
    application: Arc<Application>,
    hop_by_hop: HopByHop,
    /// Watches the application's files, where that is wanted.
    sentinel: Option<Sentinel>,
    /// Threads beside the main one that have not ended.
    alive: Mutex<usize>,
    ended: Condvar,
}

/// One application thread.
pub(crate) struct Player {
    number: usize,
    common: Arc<Common>,
    pub(crate) caller: Caller,
}

impl Player {
    fn new(py: Python<'_>, number: usize, shared: &Shared) -> Result<Self, LoadError> {
        let common = Arc::clone(&shared.common);
        common.marks[number].introduce();
        let caller = Caller::new(py, Arc::clone(&shared.application), shared.hop_by_hop)
            .map_err(|error| failed("can't set up the interpreter for requests", &error))?;
        Ok(Self { number, common, caller })
    }

    /// It takes up the request of that ticket.
    #[inline]
    pub(crate) fn begin(&self, py: Python<'_>, ticket: u64) {
        self.common.marks[self.number].begin(py, ticket);
    }

    /// It has done with it.
    #[inline]
    pub(crate) fn end(&self, py: Python<'_>) {
        self.common.marks[self.number].end(py);
    }
}

impl Crew {
    /// The crew of a worker that sits at `slot`, with its threads started, and the reactor that it is to serve.
    pub(crate) fn assemble(
        py: Python<'_>,
        context: Context,
        slot: u32,
        application: Application,
        sentinel: Option<Sentinel>,
    ) -> Result<(Self, Box<Reactor>), LoadError> {
        let Context { settings, scoreboard, listeners, mount_point, .. } = context;
        let system = |error| failed("can't set up the worker", &error);
        let threads = settings.threads as usize;
        let board = scoreboard.slot(slot).ok_or_else(|| failed("no such slot on the scoreboard", &slot))?;
        board.use_records(threads);
        let listeners = Listeners::new(listeners, siblings(&scoreboard, slot, settings.workers.max)).map_err(system)?;
        let poll = Poll::new().map_err(system)?;
        let registry = poll.registry().try_clone().map_err(system)?;
        let common = Arc::new(Common::new(py, &settings, board, listeners.addresses(), &mount_point, registry)?);
        let waker = Waker::new(poll.registry(), WAKER).map_err(system)?;
        let baton = Arc::new(Baton::new(threads, waker).map_err(system)?);
        let reactor =
            Reactor::new(&settings, poll, listeners, Arc::clone(&common), Arc::clone(&baton)).map_err(system)?;
        let shared = Arc::new(Shared {
            common,
            baton,
            application: Arc::new(application),
            hop_by_hop: hop_by_hop(&settings),
            sentinel,
            alive: Mutex::new(0),
            ended: Condvar::new(),
        });
        let crew = Self { shared, threads };
        // An application that has set a descriptor of its own knows why: it is the one that hears of signals.
        match reactor.signal_waker().map_err(Into::into).and_then(|waker| wake_on_signals(py, waker)) {
            Ok(()) => {}
            Err(error) => log::warn!("a signal that the application handles may be heard late: {error}"),
        }
        crew.start(py)?;
        Ok((crew, Box::new(reactor)))
    }

    fn start(&self, py: Python<'_>) -> Result<(), LoadError> {
        let shared = &self.shared;
        shared.common.marks[MAIN].introduce();
        monitor::start(Arc::clone(&shared.baton)).map_err(|error| failed("can't start a thread", &error))?;
        for number in 1..self.threads {
            let shared = Arc::clone(shared);
            *shared.alive() += 1;
            start_thread(py, &format!("tapster-{number}"), move |py| live(py, number, &shared)).map_err(|error| {
                let what = format!("can't start thread {number} of threads = {}", self.threads);
                failed(&what, &format!("{error}; {PATCHED}"))
            })?;
        }
        let until = tapster_sys::stamp::monotonic() + FIRST_STEPS;
        // Without them nobody could take the reactor from the first call.
        while shared.baton.idle() + 1 < self.threads {
            if tapster_sys::stamp::monotonic() > until || *shared.alive() + 1 < self.threads {
                return Err(failed(
                    "the application's threads did not start",
                    &format!("threads = {}; {PATCHED}", self.threads),
                ));
            }
            py.detach(|| std::thread::sleep(Duration::from_micros(200)));
        }
        Ok(())
    }

    /// Serves, with this thread as the main one, until told to stop.
    pub(crate) fn serve(self, py: Python<'_>, reactor: Box<Reactor>) -> ExitCode {
        let _on_panic = OnPanic;
        let shared = &self.shared;
        let exit = match Player::new(py, MAIN, shared) {
            Ok(player) => shared.play(py, player, Some(reactor)),
            Err(failure) => {
                log::error!("{failure}");
                shared.baton.end(ExitCode::Failed);
                ExitCode::Failed
            }
        };
        slow_end::watch(py);
        let stuck = py.detach(|| {
            if let Some(sentinel) = &shared.sentinel {
                sentinel.dismiss();
            }
            shared.await_ends()
        });
        run_worker_exit(py);
        if stuck > 0 {
            // The interpreter can't be finalised under a thread that may come back to it.
            run_exit_functions(py);
            tapster_sys::fork::exit_now(exit.status().into());
        }
        py.detach(|| shared.common.witness.dismiss());
        exit
    }
}

/// As the setting has it.
pub(crate) fn hop_by_hop(settings: &Settings) -> HopByHop {
    match settings.hop_by_hop_headers {
        tapster_config::HopByHop::Refuse => HopByHop::Refuse,
        tapster_config::HopByHop::Drop => HopByHop::Drop,
    }
}

/// The life of a thread beside the main one.
fn live(py: Python<'_>, number: usize, shared: &Shared) {
    let _ending = Ending(shared);
    if shared.common.marks[MAIN].is_this_thread() {
        // Something has replaced `threading`, and runs this where it was to be started. `start` says so.
        return;
    }
    match Player::new(py, number, shared) {
        Ok(player) => {
            shared.baton.arrive(number);
            shared.play(py, player, None);
        }
        Err(failure) => log::error!("{failure}"),
    }
}

/// Tells the main thread of a thread's end, however it ends.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        drop(OnPanic);
        *self.0.alive() -= 1;
        self.0.ended.notify_all();
    }
}

/// Ends the worker where a thread of it panics: its request, and maybe the reactor, are lost with it, and another worker will do
/// better.
pub(crate) struct OnPanic;

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!("a thread of this worker panicked, which is a defect of Tapster; the worker ends");
            tapster_sys::fork::exit_now(ExitCode::Failed.status().into());
        }
    }
}

impl Shared {
    fn alive(&self) -> std::sync::MutexGuard<'_, usize> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the threads beside the main one to end. Answers how many have not.
    fn await_ends(&self) -> usize {
        let waited = self.ended.wait_timeout_while(self.alive(), LAST_STEPS, |alive| *alive > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Polls and runs requests until the worker ends. `reactor` is the thread's, if any; else it waits for its turn.
    fn play(&self, py: Python<'_>, mut player: Player, mut reactor: Option<Box<Reactor>>) -> ExitCode {
        let player = &mut player;
        py.detach(|| {
            loop {
                let Some(mut held) = reactor.take() else {
                    match self.baton.wait(player.number) {
                        Received::Reactor(received) => reactor = Some(received),
                        Received::Signal => {
                            self.baton.go_away(player.number, crate::clock::monotonic());
                            reactor = self.hear_signals(player);
                        }
                        Received::Over(exit) => return exit,
                    }
                    continue;
                };
                let over = match held.next(Some(player.number)) {
                    Next::Run(job) => {
                        reactor = self.run(player, held, job);
                        continue;
                    }
                    Next::Over(exit) => Some(exit),
                    Next::Signal => {
                        held.forget_signal();
                        reactor = self.leave_for_signals(held, player);
                        continue;
                    }
                    // It has taken the reactor before it has looked at what it was woken for.
                    Next::Wait if player.number == MAIN && self.baton.take_signal() => {
                        reactor = self.leave_for_signals(held, player);
                        continue;
                    }
                    Next::Wait => match held.wait() {
                        Ok(()) => None,
                        Err(error) if error.kind() == ErrorKind::Interrupted => {
                            reactor = self.leave_for_signals(held, player);
                            continue;
                        }
                        Err(error) => {
                            log::error!("the worker can't go on: {error}");
                            Some(ExitCode::Failed)
                        }
                    },
                };
                if let Some(exit) = over {
                    held.end(exit);
                    return exit;
                }
                reactor = Some(held);
            }
        })
    }

    /// Runs a request, and those that follow while the reactor has more at once. `None` where another thread has the reactor now.
    fn run(&self, player: &mut Player, reactor: Box<Reactor>, mut job: Job) -> Option<Box<Reactor>> {
        // First of all, since the interpreter's lock may be long in coming.
        self.leave(reactor);
        Python::attach(|py| {
            loop {
                let done = job.run(py, player, &self.common);
                if let Some(sentinel) = &self.sentinel {
                    sentinel.look(py);
                }
                let (mut held, done) = self.baton.bring_back(player.number, done)?;
                held.bring_back(done);
                // While others run too, they want the lock more than this thread wants to save a change of it.
                if !held.is_alone() {
                    return Some(held);
                }
                match held.next(Some(player.number)) {
                    Next::Run(next) => {
                        self.leave(held);
                        job = next;
                    }
                    Next::Wait | Next::Signal | Next::Over(_) => return Some(held),
                }
            }
        })
    }

    #[inline]
    fn leave(&self, reactor: Box<Reactor>) {
        let (now, offered) = (reactor.now(), reactor.calls_tend_to_wait());
        self.baton.leave(reactor, now, offered);
    }

    /// A signal has come while this thread has the reactor. A handler may take long, and needs the interpreter's lock.
    fn leave_for_signals(&self, reactor: Box<Reactor>, player: &Player) -> Option<Box<Reactor>> {
        let now = reactor.now();
        self.baton.leave(reactor, now, false);
        self.hear_signals(player)
    }

    /// A signal has come to this thread, which has left the reactor: the application's own handlers run, in the main thread as
    /// Python has it.
    fn hear_signals(&self, player: &Player) -> Option<Box<Reactor>> {
        if player.number == MAIN {
            Python::attach(run_signal_handlers);
        } else {
            self.baton.pass_signal_on();
        }
        self.baton.come_back(player.number)
    }
}
