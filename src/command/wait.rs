//! `nsplay wait`.

use std::time::Instant;

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::json::Waited;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::Request;
use crate::ui;

/// Waits until what the options name has come about.
pub fn run(options: &cli::Wait, lab: &Name) -> Result<u8, Failure> {
    let request = Request::Wait {
        nodes: options.nodes.clone(),
        goal: options.goal.clone(),
        within_ms: u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let began = Instant::now();
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|_| {})?;
    if !options.json {
        return Ok(0);
    }
    ui::json(&Waited {
        lab: lab.clone(),
        goal: options.goal.to_string(),
        nodes: options.nodes.clone(),
        took_ms: began.elapsed().as_millis() as u64,
    })
}
