//! The command `tokbind`: Token Binding from the command line. Its manual is docs/tokbind.md.
#![forbid(unsafe_code)]

mod command;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong arguments end here, with clap's words and exit code 2.
    let arguments = command::Arguments::parse();
    match command::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command::output::error(&failure.to_string());
            failure.exit_code()
        }
    }
}
