//! Makes a template's process: the arbiter's one fork.
//!
//! What the child then does is `door`'s; what it says goes over the channel that comes back. Called by `perform` and `check`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use tapster_config::Settings;
use tapster_ipc::{Boot, Channel, Order, Scoreboard, channel};
use tapster_sys::fork::{Side, single_threaded};
use tapster_sys::signals;

use crate::door;
use crate::identity::Identity;
use crate::listeners::Listener;

/// What a template is made from.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    /// Which generation it starts.
    pub generation: u64,
    /// Its settings.
    pub settings: &'a Settings,
    /// The sockets that its workers accept from.
    pub listeners: &'a [Rc<Listener>],
    /// As whom it runs, and its workers.
    pub identity: &'a Identity,
    /// Where its workers say what they are doing.
    pub scoreboard: &'a Scoreboard,
    /// Whether the server is in the background: then what is printed goes to the log.
    pub is_daemon: bool,
    /// Whether it is only to import the application and say whether that went well.
    pub check: bool,
}

/// Starts a template, and returns its pid and its channel.
///
/// # Errors
/// The errno of socketpair(2), sendmsg(2) or fork(2); `InvalidInput` where the settings are too long for one message.
pub(crate) fn template(recipe: &Recipe<'_>) -> io::Result<(i32, Channel)> {
    let (ours, childs) = channel::pair()?;
    let boot = Boot {
        generation: recipe.generation,
        arbiter: nix::unistd::Pid::this().as_raw(),
        settings: recipe.settings.to_toml(),
        listeners: recipe.listeners.iter().map(|listener| listener.bind().to_string()).collect(),
        check: recipe.check,
    };
    let arbiter = boot.arbiter;
    let listeners = recipe.listeners.iter().map(|listener| listener.as_fd());
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(recipe.scoreboard.as_fd()).chain(listeners).collect();
    // Sent before the fork: what can't be sent is then an error here, and no process.
    ours.send(&Order::Boot(boot), &fds)?;
    // A signal that came between the fork and the reset of dispositions would run the arbiter's handler in the child.
    signals::block_all()?;
    let side = single_threaded();
    if let Ok(Side::Child) = side {
        door::enter(childs, recipe, arbiter);
    }
    signals::unblock_all()?;
    match side? {
        Side::Parent { pid } => Ok((pid, ours)),
        Side::Child => tapster_sys::fork::exit_now(1),
    }
}
