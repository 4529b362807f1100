//! What the arbiter and its children say to each other: messages, the scoreboard's layout, exit codes, the log's form.
//!
//! Both sides are compiled from this one crate, into the executable and into the worker library, so neither can drift from
//! the other. Nothing here decides what to do about a message.
#![forbid(unsafe_code)]

pub mod channel;
pub mod exit;
pub mod logging;
pub mod message;
pub mod running;
pub mod scoreboard;
pub mod succession;

pub use channel::{Channel, ReceiveError};
pub use exit::ExitCode;
pub use message::{Boot, Order, Report};
pub use running::Running;
pub use scoreboard::{Scoreboard, Slot};
