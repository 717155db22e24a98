//! `nsplay start`, `stop` and `restart`.

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::json::Ordered;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Deed, Request};
use crate::ui;

/// Gives a member an order, and waits until it is carried out.
pub fn run(options: &cli::OneMember, deed: Deed, lab: &Name) -> Result<u8, Failure> {
    let (dir, member) = (RunDir::new(lab), options.member.clone());
    let request = Request::Order { member, deed };
    Client::to_lab(&dir, &request)?.replies(|_| {})?;
    if !options.json {
        return Ok(0);
    }
    let mut now = Client::to_lab(&dir, &Request::Ps)?.members()?;
    now.retain(|member| member.name == options.member);
    ui::json(&Ordered {
        member: options.member.clone(),
        order: deed,
        now,
    })
}
