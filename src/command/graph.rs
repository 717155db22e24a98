//! `nsplay graph`.

use std::io;

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::graph::Graph;
use crate::json;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Member, Request};
use crate::ui;

/// Prints the picture of a lab.
pub fn run(options: &cli::Graph, project: Option<&Name>) -> Result<u8, Failure> {
    let lab = super::lab(&options.lab, project)?;
    let members = running(&RunDir::new(&lab.name));
    if options.json {
        return ui::json(&json::Graph::of(&lab, members.as_deref()));
    }
    let graph = Graph::of(&lab, members.as_deref());
    ui::data(&match options.form {
        cli::GraphForm { dot: true, .. } => graph.dot(),
        cli::GraphForm { mermaid: true, .. } => graph.mermaid(),
        cli::GraphForm { svg: true, .. } => graph.svg(),
        cli::GraphForm { .. } => graph.text(&ui::by_state()),
    });
    Ok(0)
}

/// The members of the lab if it runs and may be asked.
fn running(dir: &RunDir) -> Option<Vec<Member>> {
    let client = match Client::ask(dir, &Request::Ps) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            ui::status("lab runs as root, who is shown what state its members are in");
            return None;
        }
        asked => asked.ok()?,
    };
    client.members().ok()
}
