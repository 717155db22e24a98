//! `nsplay why`.

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Prints where a boot stands or died, and what to do.
pub fn run(options: &cli::Why, lab: &Name) -> Result<u8, Failure> {
    let node = options.node.clone();
    let mut answer = None;
    Client::to_lab(&RunDir::new(lab), &Request::Why { node })?.replies(|reply| {
        if let Reply::Why(told) = reply {
            answer = Some(*told);
        }
    })?;
    match answer {
        Some(answer) if options.json => ui::json(&answer),
        Some(answer) => {
            ui::data(&answer.to_string());
            Ok(0)
        }
        None => Err(Failure::failed("the lab ended")),
    }
}
