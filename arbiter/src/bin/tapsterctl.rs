//! The program `tapsterctl`: asks a running server at its control socket.
//!
//! All that it does is in the library (`ask`); here is only what a terminal sees.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tapster::ask;
use tapster_config::Sources;

fn main() -> ExitCode {
    match Sources::of_process() {
        Ok(sources) => ExitCode::from(ask::ask(&sources)),
        Err(error) => {
            tapster::complain(&format!("the working directory can't be read: {error}"));
            ExitCode::from(2)
        }
    }
}
