//! The `nsplay` command: parse, run, exit code.

use std::process::ExitCode;

use nsplay::cli::Command;
use nsplay::{command, examples, json, supervisor, ui};

fn main() -> ExitCode {
    let (cli, json) = examples::parse();
    if cli.quiet {
        ui::be_quiet();
    }
    let level = if cli.verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::WARN
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
    let done = match &cli.command {
        Command::Supervise { handover } => {
            return match supervisor::main(*handover) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    ui::error(&format!("cannot start the supervisor: {error}"));
                    ExitCode::FAILURE
                }
            };
        }
        command => command::run(command, cli.project.as_ref()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            ui::failure(&failure);
            if json {
                // It has been told; who takes JSON and has gone is no error.
                let _ = ui::json_line(&json::Error::from(&failure));
            }
            ExitCode::from(failure.code)
        }
    }
}
