//! `nsplay wait`.

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::Request;

/// Waits until what the options name has come about.
pub fn run(options: &cli::Wait, lab: &Name) -> Result<u8, Failure> {
    let request = Request::Wait {
        nodes: options.nodes.clone(),
        goal: options.goal.clone(),
        within_ms: u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|_| {})?;
    Ok(0)
}
