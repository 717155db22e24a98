//! `nsplay link`.

use crate::cli::{self, LinkState};
use crate::client::Client;
use crate::error::Failure;
use crate::json::Links;
use crate::lab::Name;
use crate::node::Link;
use crate::node::shape::Shape;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{LinkChange, Linked, Reply, Request};
use crate::ui;

/// Changes the link of a node's network card, and prints what links are.
pub fn run(options: &cli::Link, lab: &Name) -> Result<u8, Failure> {
    let request = Request::Link {
        node: options.node.clone(),
        nic: options.nic,
        change: change(options),
    };
    let mut printed = Ok(0);
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| {
        let Reply::Links { links } = reply else {
            return;
        };
        if options.json {
            let node = options.node.clone();
            printed = ui::json(&Links { node, links });
            return;
        }
        for Linked { nic, link, shape } in links {
            let shape = shape.map_or_else(String::new, |shape| format!(", {shape}"));
            ui::data(&format!(
                "{}: network card {nic} is {link}{shape}\n",
                options.node
            ));
        }
    })?;
    printed
}

fn change(options: &cli::Link) -> Option<LinkChange> {
    let shape = Shape {
        rate_bits_per_second: options.rate,
        loss_percent: options.loss,
        delay_ms: options.delay,
    };
    match options.state {
        Some(LinkState::Up) => Some(LinkChange::Cable(Link::Up)),
        Some(LinkState::Down) => Some(LinkChange::Cable(Link::Down)),
        Some(LinkState::Clear) => Some(LinkChange::Clear),
        None => (shape != Shape::default()).then_some(LinkChange::Shape(shape)),
    }
}
