//! `nsplay inspect`.

use std::io;

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::inspect::Inspection;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Prints what a node is: from the running lab, or from the lab file when there is none.
pub fn run(options: &cli::Inspect, project: Option<&Name>) -> Result<u8, Failure> {
    let name = project.cloned().unwrap_or_else(Name::default);
    let inspection = match options.lab.files.is_empty() {
        true => running(&RunDir::new(&name), &options.node)?,
        false => None,
    };
    let inspection = match inspection {
        Some(inspection) => inspection,
        None => from_file(options, project)?,
    };
    if options.json {
        let json = serde_json::to_string_pretty(&inspection)
            .map_err(|error| Failure::failed(error.to_string()))?;
        ui::data(&format!("{json}\n"));
    } else {
        ui::data(&inspection.to_string());
    }
    Ok(0)
}

/// What the lab itself says; none when it is not up, or somebody else's.
fn running(dir: &RunDir, node: &Name) -> Result<Option<Inspection>, Failure> {
    let node = node.clone();
    let client = match Client::ask(dir, &Request::Inspect { node }) {
        Ok(client) => client,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => return Ok(None),
            _ => return Err(Failure::io("reach the lab", &error)),
        },
    };
    let mut found = None;
    client.replies(|reply| {
        if let Reply::Inspection(inspection) = reply {
            found = Some(*inspection);
        }
    })?;
    Ok(found)
}

fn from_file(options: &cli::Inspect, project: Option<&Name>) -> Result<Inspection, Failure> {
    let lab = super::lab(&options.lab, project)?;
    let found = lab.nodes.iter().find(|node| node.name == options.node);
    let node = found.ok_or_else(|| {
        let names: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
        Failure::refused(
            format!("no node `{}` in lab `{}`", options.node, lab.name),
            format!("its nodes: {}", names.join(", ")),
        )
    })?;
    Ok(Inspection::of(&lab, node, None))
}
