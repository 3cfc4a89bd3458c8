//! `recoup`: parse the command line, call the command, exit with its code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    recoup::cli::main()
}
