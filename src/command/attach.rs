//! `nsplay attach` and `nsplay detach`.

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::json::{Attached, Detached};
use crate::lab::{Name, network};
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Puts the host on a network of the lab, and prints its address there.
pub fn attach(options: &cli::Way, lab: &Name) -> Result<u8, Failure> {
    let network = options.network.clone();
    let dir = RunDir::new(lab);
    if dir.places().user.is_some() && dir.exists() {
        return Err(Failure::refused(
            format!(
                "lab `{lab}` was made without root, and only root may put this host on a network"
            ),
            "`nsplay exec fabric -- CMD` runs a command of this host inside the lab's network",
        ));
    }
    let mut printed = Ok(0);
    Client::to_lab(&dir, &Request::Attach { network })?.replies(|reply| {
        let Reply::Attached { address, link } = reply else {
            return;
        };
        if !options.json {
            return ui::data(&format!("{address} {link}\n"));
        }
        let network = options.network.clone().unwrap_or_else(network::main);
        printed = ui::json(&Attached {
            lab: lab.clone(),
            network,
            address,
            link,
        });
    })?;
    printed
}

/// Takes the host off a network of the lab, or off all.
pub fn detach(options: &cli::Way, lab: &Name) -> Result<u8, Failure> {
    let network = options.network.clone();
    let mut printed = Ok(0);
    Client::to_lab(&RunDir::new(lab), &Request::Detach { network })?.replies(|reply| {
        let Reply::Detached { networks } = reply else {
            return;
        };
        if options.json {
            let lab = lab.clone();
            printed = ui::json(&Detached { lab, networks });
        } else if networks.is_empty() {
            ui::status("this host was on no such network");
        }
    })?;
    printed
}
