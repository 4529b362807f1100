//! What the arbiter can do: all that `decide` ever asks of the world.
//!
//! Plain values; `perform` maps each to the mechanism that carries it out, and tests read them. Nothing here acts.

use log::Level;
use nix::sys::signal::Signal;
use tapster_ipc::succession::Staff;
use tapster_ipc::{ExitCode, Order};

use crate::event::Event;
use crate::fleet::Child;

/// One thing to do. Actions are carried out in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write a line to the log.
    Log(Level, String),
    /// Write a line to the log about a worker, and behind it what is known of the requests that it was running.
    LogRunning {
        /// How severe.
        level: Level,
        /// The line.
        text: String,
        /// The worker's place, which has not been given to another yet.
        slot: u32,
    },
    /// Open the arbiter's own log anew, where it is a file.
    Reopen {
        /// The signal that asks for it, and its sender.
        by: String,
    },
    /// Start the template of a generation. Answered by [`Event::Spawned`] or [`Event::SpawnFailed`], before anything else.
    SpawnTemplate {
        /// Whose.
        generation: u64,
    },
    /// Have a template fork a worker: clear its slot, make its channel, send the order.
    Fork {
        /// Whose template.
        generation: u64,
        /// The worker's place.
        slot: u32,
    },
    /// Hear what a worker says, which has waited in its channel until its pid was known.
    Attend {
        /// The worker's place.
        slot: u32,
    },
    /// Hand this event in again, behind what the actions before it have brought.
    Replay(Event),
    /// Send an order.
    Tell {
        /// To whom.
        child: Child,
        /// Which.
        order: Order,
    },
    /// Send a signal to a process that has not been reaped.
    Kill {
        /// Its pid.
        pid: i32,
        /// Which signal.
        signal: Signal,
    },
    /// Close the arbiter's end of a channel.
    Discard {
        /// Whose.
        child: Child,
    },
    /// Read the settings anew and bind what they name. Answered by [`Event::SettingsLoaded`] or
    /// [`Event::SettingsRefused`], before anything else.
    LoadSettings {
        /// The number of the reload that begins so.
        reload: u64,
    },
    /// The settings just loaded are this generation's.
    Adopt {
        /// Whose they are now.
        generation: u64,
    },
    /// This generation serves: what its settings say of the arbiter itself holds from now on.
    Follow {
        /// Whose settings.
        generation: u64,
    },
    /// No process of this generation is left: drop its settings, and the listeners that no other generation names.
    Forget {
        /// Which.
        generation: u64,
    },
    /// A reload is over: the number of the generation that serves now, or why the one before goes on. For whoever waits for it.
    /// Each has one conclusion: one that begins at once, one that follows another (whoever asked for one meanwhile waits for
    /// the same), and one that is refused since the server stops, which is told at once.
    Conclude {
        /// The number of the reload; `None` of one that does not begin.
        reload: Option<u64>,
        /// What came of it.
        outcome: Result<u64, String>,
    },
    /// What was asked for is not done, and why, which the log has too. For whoever asked.
    Refuse(String),
    /// Remove the listeners' paths; with `at_once` close them too. Otherwise they stay until what waits in their queues has
    /// been accepted.
    CloseListeners {
        /// Whether nobody will accept what waits.
        at_once: bool,
    },
    /// Have the listeners refuse connections, in whichever process they are still open, and close them.
    RefuseConnections,
    /// Likewise those that only generations before this one name, which no worker accepts at any more.
    LeaveAddresses {
        /// The generation that serves alone.
        generation: u64,
    },
    /// Start this program anew, as a server that is to take this one's place, with all its listeners. Answered by
    /// [`Event::Launched`] or [`Event::LaunchFailed`], before anything else.
    Upgrade {
        /// How many workers it is to begin with.
        staff: Staff,
    },
    /// The listeners are this server's alone again: the successor has ended, or is to.
    Disinherit,
    /// Tell the predecessor that this server serves.
    ReportUp,
    /// Speak to the service manager from now on: the predecessor has told it to listen to this server.
    BecomeMain,
    /// The predecessor has gone: its pid file, its listeners and the service manager's ear are this server's now.
    TakeOver {
        /// The pid that it had.
        predecessor: i32,
    },
    /// Tell the service manager.
    Notify(Notice),
    /// End the arbiter.
    Exit(ExitCode),
}

/// What a service manager is told (sd_notify(3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server serves, or serves again what it should after a reload.
    Ready,
    /// A reload has begun.
    Reloading,
    /// The server is about to end.
    Stopping,
    /// Another process is the service's main one from now on, and the only one that is listened to. It is told so as well.
    MainPid(i32),
    /// One line for `systemctl status`.
    Status(String),
}
