//! `nsplay power`.

use crate::cli::{self, PowerOrder};
use crate::client::Client;
use crate::error::Failure;
use crate::json;
use crate::lab::Name;
use crate::node::Order;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Gives a node an order, waits until it is carried out, and prints the node's power.
pub fn run(options: &cli::Power, lab: &Name) -> Result<u8, Failure> {
    let order = match options.order {
        PowerOrder::Status => None,
        PowerOrder::On => Some(Order::On),
        PowerOrder::Off => Some(Order::Off),
        PowerOrder::Cycle => Some(Order::Cycle),
        PowerOrder::Reset => Some(Order::Reset),
        PowerOrder::Soft => Some(Order::Soft),
        PowerOrder::Diag => Some(Order::Diag),
    };
    let node = options.node.clone();
    let request = Request::Power { node, order };
    let mut printed = Ok(0);
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| {
        let Reply::Power { power } = reply else {
            return;
        };
        if options.json {
            let node = options.node.clone();
            printed = ui::json(&json::Power { node, order, power });
            return;
        }
        ui::data(&format!("{}: {power}\n", options.node));
    })?;
    printed
}
