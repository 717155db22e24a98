//! Says why a node does not boot, with what only the lab can see: the files that are served, and
//! the screen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::control::Desk;
use crate::journal;
use crate::lab::{Lab, Name};
use crate::node::{Link, Power, screen};
use crate::progress::tracker::{Missing, Protocol};
use crate::progress::why::{About, Answer, why};
use crate::service::{dnsmasq, httpd};

/// A picture takes 20 ms; a QEMU that was stopped never answers.
const PICTURE_WITHIN: Duration = Duration::from_secs(3);

/// How many files are looked at for one that is like another.
const MOST_FILES: usize = 5000;

/// Why `node` does not boot; none for no node of the lab.
pub async fn answer(desk: &Desk, name: &Name) -> Option<Answer> {
    let plan = desk.lab.plan();
    let node = plan.lab.nodes.iter().find(|node| node.name == *name)?;
    let boot = desk.lab.0.stages.boot(name)?;
    let machine = desk.lab.0.servers.node(name);
    let screen = async {
        let qmp = machine.as_ref()?.monitor().await.ok()?;
        screen::text(&qmp, name).await.ok().flatten()
    };
    let screen = timeout(PICTURE_WITHIN, screen).await.ok().flatten();
    let shape = |nic: usize| Some((nic, machine.as_ref()?.shape(nic - 1)?));
    let shapes = (1..=node.nics().count()).filter_map(shape).collect();
    let is_out = |nic: &usize| machine.as_ref().map(|on| on.link(nic - 1)) == Some(Link::Down);
    let cables_out = (1..=node.nics().count()).filter(is_out).collect();
    Some(why(
        &boot,
        &About {
            lab: &plan.lab,
            node,
            tries: machine
                .as_ref()
                .map_or_else(Vec::new, |machine| machine.chassis().borrow().tries.clone()),
            cables_out,
            shapes,
            medium: machine.as_ref().and_then(|machine| machine.medium()),
            power: machine.map_or(Power::Off, |machine| machine.power()),
            screen,
            nearest: &|missing| nearest(&plan.lab, missing),
            now: journal::now(),
        },
    ))
}

/// The file below a server's root whose name is most like the missing one's, as it is asked for.
fn nearest(lab: &Lab, missing: &Missing) -> Option<String> {
    let root = match missing.protocol {
        Protocol::Http => httpd::root(lab.web.as_ref().filter(|web| web.name == missing.server)?),
        Protocol::Tftp => dnsmasq::root(
            lab.dhcp_servers()
                .find(|dhcp| dhcp.name == missing.server)?,
        ),
    };
    let asked = missing.path.split('?').next()?;
    let asked = match missing.protocol {
        Protocol::Http => asked,
        Protocol::Tftp => asked.strip_prefix(root.to_str()?).unwrap_or(asked),
    };
    let asked = asked.trim_start_matches('/');
    let files = files(&root);
    let paths = files
        .iter()
        .filter_map(|file| file.strip_prefix(&root).ok()?.to_str());
    let near = paths.max_by(|a, b| likeness(asked, a).total_cmp(&likeness(asked, b)))?;
    /// Less is no likeness: `a` and `z` have 0, `boot.ipex` and `boot.ipxe` have 0.97.
    const LEAST: f64 = 0.75;
    (likeness(asked, near) >= LEAST).then(|| match missing.protocol {
        Protocol::Http => format!("/{near}"),
        Protocol::Tftp => near.to_owned(),
    })
}

/// How like each other two paths are, from 0 to 1: the name counts more than its folder.
fn likeness(asked: &str, there: &str) -> f64 {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let names = strsim::jaro_winkler(&name(asked), &name(there));
    // Of two of one name, the one in the likelier folder.
    names * 0.9 + strsim::jaro_winkler(asked, there) * 0.1
}

/// The files below a folder, links followed: that is how a lab's views are made.
fn files(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if found.len() + folders.len() >= MOST_FILES {
                return found;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}
