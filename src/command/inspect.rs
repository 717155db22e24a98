//! `nsplay inspect`.

use std::io;

use crate::cli;
use crate::client::Client;
use crate::error::{Failure, no_such};
use crate::inspect::{Inspection, Service};
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// What a member is.
enum Found {
    Node(Box<Inspection>),
    Service(Box<Service>),
}

/// Prints what a member is: from the running lab, or from the lab file when there is none.
pub fn run(options: &cli::Inspect, project: Option<&Name>) -> Result<u8, Failure> {
    let name = project.cloned().unwrap_or_else(Name::default);
    let found = match options.lab.files.is_empty() {
        true => running(&RunDir::new(&name), &options.member)?,
        false => None,
    };
    let found = match found {
        Some(found) => found,
        None => from_file(options, project)?,
    };
    match &found {
        Found::Node(node) if options.json => ui::json(&**node),
        Found::Service(service) if options.json => ui::json(&**service),
        Found::Node(node) => {
            ui::data(&node.to_string());
            Ok(0)
        }
        Found::Service(service) => {
            ui::data(&service.to_string());
            Ok(0)
        }
    }
}

/// What the lab itself says; none when it is not up, or somebody else's.
fn running(dir: &RunDir, member: &Name) -> Result<Option<Found>, Failure> {
    let member = member.clone();
    let client = match Client::ask(dir, &Request::Inspect { member }) {
        Ok(client) => client,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => return Ok(None),
            _ => return Err(Failure::io("reach the lab", &error)),
        },
    };
    let mut found = None;
    client.replies(|reply| {
        if let Reply::Inspection(node) = reply {
            found = Some(Found::Node(node));
        } else if let Reply::Service(service) = reply {
            found = Some(Found::Service(service));
        }
    })?;
    Ok(found)
}

fn from_file(options: &cli::Inspect, project: Option<&Name>) -> Result<Found, Failure> {
    let (lab, member) = (super::lab(&options.lab, project)?, &options.member);
    if let Some(node) = lab.nodes.iter().find(|node| node.name == *member) {
        let node = Inspection::of(&lab, node, None, None);
        return Ok(Found::Node(Box::new(node)));
    }
    let names = lab.members();
    if !names.contains(&member) {
        return Err(Failure::unknown(no_such("member", member, names)));
    }
    let plan = super::plan::of(&options.lab, project)?;
    let service = Service::of(&plan, member, None);
    let service = service.ok_or_else(|| Failure::failed(format!("`{member}` runs nothing")))?;
    Ok(Found::Service(Box::new(service)))
}
