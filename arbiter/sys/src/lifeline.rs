//! What ties the lives of the processes together.
//!
//! The arbiter adopts its grandchildren, a child is told by a signal when its parent dies, and a process that has been
//! told to stop can arm a timer that ends it whatever its Python code does.
//!
//! It ends no process itself, and reaps none. Called by the arbiter, by `door` and by the worker.

use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;

/// Makes this process the parent of descendants whose own parent dies (prctl(2), `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// The errno of prctl(2).
pub fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Has the kernel send `signal` to this process when its parent dies. The caller must look afterwards whether the parent
/// is still the one it expects: it may have died just before.
///
/// # Errors
/// The errno of prctl(2).
pub fn on_parent_death(signal: Signal) -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Some(signal))?)
}

/// Undoes [`on_parent_death`]: this process goes on without its parent.
///
/// # Errors
/// The errno of prctl(2).
pub fn outlive_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(None)?)
}

/// Has the kernel kill the program that `command` starts when the thread that starts it ends.
pub fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| on_parent_death(Signal::SIGKILL)) };
}

/// The name that ps(1) and top(1) show for this process, 15 bytes at most.
///
/// # Errors
/// The errno of prctl(2).
pub fn rename_process(name: &std::ffi::CStr) -> io::Result<()> {
    Ok(prctl::set_name(name)?)
}

/// A one-shot timer that kills this process with SIGKILL: the last word against Python code that never returns.
///
/// It fires in the kernel, so neither the interpreter's lock nor a stuck thread can hold it back.
#[derive(Debug)]
pub struct Deadman(ManuallyDrop<Timer>);

// SAFETY: the identifier of a POSIX timer belongs to the process, not to a thread, and is only ever handed to the kernel.
unsafe impl Send for Deadman {}

impl Deadman {
    /// Makes the timer, disarmed. A timer does not survive fork(2): make it in the process that it is to end.
    ///
    /// # Errors
    /// The errno of timer_create(2).
    pub fn new() -> io::Result<Self> {
        let notify = SigevNotify::SigevSignal { signal: Signal::SIGKILL, si_value: 0 };
        // Never deleted: what it is to end includes whatever runs after its owner is gone.
        Ok(Self(ManuallyDrop::new(Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?)))
    }

    /// Kills this process `after` from now, unless it ends first. Arming again replaces the earlier time.
    ///
    /// # Errors
    /// The errno of timer_settime(2).
    pub fn arm(&mut self, after: Duration) -> io::Result<()> {
        let after = TimeSpec::from_duration(after.max(Duration::from_millis(1)));
        Ok(self.0.set(Expiration::OneShot(after), TimerSetTimeFlags::empty())?)
    }
}

/// Lets this process outlive its parent by at most so long: the parent's death starts a countdown in the kernel that ends
/// even a process that is stuck in Python code. The caller must look afterwards whether the parent is still the one it
/// expects: it may have died just before.
///
/// The death is told by a real-time signal that nothing else uses, because applications handle SIGTERM as they please.
///
/// # Errors
/// The errno of timer_create(2), sigaction(2) or prctl(2).
pub fn outlive_parent_by(at_most: Duration) -> io::Result<()> {
    let signal = libc::SIGRTMAX() - 1;
    let mut event: libc::sigevent = {
        // SAFETY: `sigevent` is plain data, for which all zeroes is a value.
        unsafe { std::mem::zeroed() }
    };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGKILL;
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: both pointers are to live values of the types that timer_create takes.
    if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let at_most = TimeSpec::from_duration(at_most.max(Duration::from_millis(1)));
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let countdown = libc::itimerspec { it_interval: zero, it_value: *at_most.as_ref() };
    let timer = timer as usize;
    // SAFETY: the action makes one call, of a function that is async-signal-safe (signal-safety(7)), on a timer that is
    // never deleted, with a value that the closure owns.
    unsafe {
        signal_hook::low_level::register(signal, move || {
            libc::timer_settime(timer as libc::timer_t, 0, &raw const countdown, std::ptr::null_mut());
        })
    }?;
    // SAFETY: PR_SET_PDEATHSIG takes a signal's number and changes nothing else.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
