//! Tapster's settings: defaults, a TOML file, the environment and the command line become one checked [`Settings`].
//!
//! It reads the settings file, and asks the system how many CPUs there are and whether named directories exist; it
//! never binds, forks, changes directory, or keeps anything between two calls. The arbiter calls [`load`] at its
//! start and again on each reload, prints what an [`Invocation`] asks for, and hands the settings to its children as
//! [`Settings::to_toml`]; they read them back by [`Settings::from_toml`].
//!
//! A setting is one item in `items/`: its field, flags, default, documentation and what a reload does with it.

#![forbid(unsafe_code)]

#[macro_use]
mod items;
mod settings;

mod allowed_ips;
mod bind;
mod cli;
mod contradictions;
mod control;
mod cpus;
mod docs;
mod environment;
mod errors;
mod expand;
mod file;
mod foreign;
mod help;
mod kinds;
mod layers;
mod node;
mod sources;
mod value;
mod warmup;
mod words;
mod workers;

pub use allowed_ips::AllowedIps;
pub use bind::Bind;
pub use control::{ControlCommand, ControlInvocation, ControlRequest, load_control, worker_change};
pub use docs::{configuration_page, example_file};
pub use errors::Errors;
pub use kinds::{LogTarget, MOST_WORKERS};
pub use layers::load;
pub use settings::Settings;
pub use sources::Sources;
pub use warmup::Warmup;
pub use words::{ForwardedHeader, HeaderMap, HopByHop, LogLevel, MemoryMeasure, ProxyProtocol};
pub use workers::Workers;

/// What the command line asks the program to do. Texts have no newline at their end.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// Run the server.
    Serve(Box<Settings>),
    /// `--check-config`: say whether the settings are good, and whether the application can be loaded.
    CheckConfig(Box<Settings>),
    /// `--print-config`: print the settings as TOML. The application may be missing (`wsgi_app` is then empty).
    PrintConfig(Box<Settings>),
    /// `--help`: print this text.
    Help(String),
    /// `--version`: print this text.
    Version(String),
}
