//! `nsplay ps`.

use crate::client::Client;
use crate::error::Failure;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Prints the members as a table.
pub fn run(lab: &Name) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    Client::to_lab(&dir, &Request::Ps)?.replies(|reply| {
        if let Reply::Members { members } = reply {
            ui::members(&members);
        }
    })?;
    Ok(0)
}
