//! `nsplay link`.

use crate::cli::{self, LinkState};
use crate::client::Client;
use crate::error::Failure;
use crate::json::{Cable, Links};
use crate::lab::Name;
use crate::node::Link;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Pulls or plugs the cable of a node's network card, and prints what cables are.
pub fn run(options: &cli::Link, lab: &Name) -> Result<u8, Failure> {
    let request = Request::Link {
        node: options.node.clone(),
        nic: options.nic,
        change: options.state.map(|state| match state {
            LinkState::Up => Link::Up,
            LinkState::Down => Link::Down,
        }),
    };
    let mut printed = Ok(0);
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| {
        let Reply::Links { links } = reply else {
            return;
        };
        if options.json {
            let node = options.node.clone();
            let links = links.into_iter().map(|(nic, link)| Cable { nic, link });
            let links = links.collect();
            printed = ui::json(&Links { node, links });
            return;
        }
        for (nic, link) in links {
            ui::data(&format!("{}: network card {nic} is {link}\n", options.node));
        }
    })?;
    printed
}
