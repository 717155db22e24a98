//! `nsplay boot`.

use crate::cli::{self, BootChoice};
use crate::client::Client;
use crate::error::Failure;
use crate::json;
use crate::lab::Name;
use crate::node::boot::Choice;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{BootChange, Reply, Request};
use crate::ui;

/// Sets what a node boots from, as its BMC does, and prints what it boots from next.
pub fn run(options: &cli::Boot, lab: &Name) -> Result<u8, Failure> {
    let change = options.device.map(|device| BootChange {
        choice: match device {
            BootChoice::Network => Some(Choice::Network),
            BootChoice::Disk => Some(Choice::Disk),
            BootChoice::Cdrom => Some(Choice::Cdrom),
            BootChoice::None => None,
        },
        once: options.once,
    });
    let node = options.node.clone();
    let request = Request::Boot { node, change };
    let mut printed = Ok(0);
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| {
        let Reply::Boot { order, chosen } = reply else {
            return;
        };
        if options.json {
            let node = options.node.clone();
            printed = ui::json(&json::Boot {
                node,
                order,
                chosen,
            });
            return;
        }
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        let chosen = chosen.unwrap_or_else(|| "as the lab file says".to_owned());
        ui::data(&format!(
            "{}: {} ({chosen})\n",
            options.node,
            order.join(", ")
        ));
    })?;
    printed
}
