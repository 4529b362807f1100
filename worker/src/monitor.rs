//! The thread that sees to everybody's bytes and deadlines while all others are in the application.
//!
//! It sleeps while calls are short, and while nothing runs. It never attaches to the interpreter, so nothing that an
//! application does can hold it up. Started by `crew`.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::Builder;

use nix::sys::signal::SigSet;
use tapster_ipc::ExitCode;

use crate::crew::OnPanic;
use crate::reactor::{Baton, Next, Reactor};

/// Starts it, for the rest of the process's life.
pub(crate) fn start(baton: Arc<Baton>) -> io::Result<()> {
    Builder::new().name("tapster-monitor".into()).spawn(move || watch(&baton)).map(drop)
}

fn watch(baton: &Baton) {
    let _on_panic = OnPanic;
    // Signals are the main thread's and the poll's.
    let _ = SigSet::all().thread_block();
    loop {
        if mind(baton, baton.take_late()).is_break() {
            return;
        }
    }
}

/// Keeps the reactor going until an application thread can have it.
fn mind(baton: &Baton, mut reactor: Box<Reactor>) -> ControlFlow<()> {
    loop {
        reactor = match baton.offer(reactor) {
            Some(reactor) => reactor,
            None => return ControlFlow::Continue(()),
        };
        let over = match reactor.next(None) {
            Next::Over(exit) => Some(exit),
            // It runs none; and while all threads are busy it is given none.
            Next::Run(job) => {
                reactor.turn_away(job);
                None
            }
            Next::Signal => {
                reactor.forget_signal();
                baton.pass_signal_on();
                None
            }
            Next::Wait => match reactor.wait() {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    log::error!("the worker can't go on: {error}");
                    Some(ExitCode::Failed)
                }
                Ok(()) | Err(_) => None,
            },
        };
        if let Some(exit) = over {
            reactor.end(exit);
            return ControlFlow::Break(());
        }
    }
}
