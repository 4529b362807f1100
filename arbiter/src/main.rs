//! The program `tapster`: does what the command line asks for, and exits with a status that says how it went.
//!
//! All that serving takes is in the library; here is only what a terminal sees.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tapster::{check, run};
use tapster_config::{Invocation, Sources, load};

fn main() -> ExitCode {
    let sources = match Sources::of_process() {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("tapster: the working directory can't be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    let exit = match load(&sources) {
        Ok(Invocation::Serve(settings)) => run::serve(*settings, sources),
        Ok(Invocation::CheckConfig(settings)) => check::check(&settings),
        Ok(Invocation::PrintConfig(settings)) => return print(&settings.to_toml()),
        Ok(Invocation::Help(text) | Invocation::Version(text)) => return print(&text),
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(errors.exit_code());
        }
    };
    ExitCode::from(exit.status())
}

/// Prints a text; a reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
