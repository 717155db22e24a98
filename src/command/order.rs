//! `nsplay start`, `stop` and `restart`.

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Deed, Request};

/// Gives a member an order, and waits until it is carried out.
pub fn run(options: &cli::OneMember, deed: Deed, lab: &Name) -> Result<u8, Failure> {
    let member = options.member.clone();
    let request = Request::Order { member, deed };
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|_| {})?;
    Ok(0)
}
