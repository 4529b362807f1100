//! The settings seen from outside: sources in, settings or complaints out.

// All of this is test; the lint's own exception sees only functions marked so, not those they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

mod precedence;
mod recycling;
mod round_trip;

mod bounds;
mod choices;
mod control_socket;
mod headers;
mod trusted_proxies;
mod workers;

mod bad_command_line;
mod bad_environment;
mod bad_file;

mod documents;
