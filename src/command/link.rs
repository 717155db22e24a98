//! `nsplay link`.

use serde_json::json;

use crate::cli::{self, LinkState};
use crate::client::Client;
use crate::error::Failure;
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
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| {
        let Reply::Links { links } = reply else {
            return;
        };
        if options.json {
            let links = links
                .iter()
                .map(|(nic, link)| json!({ "nic": nic, "link": link }));
            let links: Vec<_> = links.collect();
            return ui::json_line(&json!({ "node": options.node, "links": links }));
        }
        for (nic, link) in links {
            ui::data(&format!("{}: network card {nic} is {link}\n", options.node));
        }
    })?;
    Ok(0)
}
