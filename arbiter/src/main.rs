//! The program `tapster`: does what the command line asks for, and exits with a status that says how it went.
//!
//! All that serving takes is in the library; here is only what a terminal sees.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use tapster::upgrade::Heritage;
use tapster::{activation, check, complain, run};
use tapster_config::{Invocation, Sources, load};
use tapster_sys::fds::Inherited;

fn main() -> ExitCode {
    // First of all: what is opened later was not inherited.
    let mut inherited = Inherited::of_process();
    let heritage = match Heritage::of_process(&mut inherited) {
        Ok(heritage) => heritage,
        Err(reason) => {
            complain(&reason);
            return ExitCode::FAILURE;
        }
    };
    let mut sources = match Sources::of_process() {
        Ok(sources) => sources,
        Err(error) => {
            complain(&format!("the working directory can't be read: {error}"));
            return ExitCode::FAILURE;
        }
    };
    activation::take_note(&mut sources, &mut inherited);
    let exit = match load(&sources) {
        Ok(Invocation::Serve(settings)) => run::serve(*settings, sources, inherited, heritage),
        Ok(Invocation::CheckConfig(settings)) => check::check(&settings),
        Ok(Invocation::PrintConfig(settings)) => return print(&settings.to_file()),
        Ok(Invocation::Help(text) | Invocation::Version(text)) => return print(&text),
        Err(errors) => {
            // A reader that is gone is no reason to panic.
            let _ = writeln!(std::io::stderr(), "{errors}");
            return ExitCode::from(errors.exit_code());
        }
    };
    ExitCode::from(exit.status())
}

/// Prints a text; a reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
