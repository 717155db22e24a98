//! What single nodes boot that have something of their own to boot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dnsmasq_config::{Boot, BootFile, Directive, Host, Tag, ValueError};

use super::{DnsmasqError, target_url};
use crate::image::boot_entries;
use crate::lab::{Firmware, Lab, Name, NetworkBoot, Node};

/// Which of what a node boots is its own, and not what any client of its kind gets.
#[derive(Clone, Copy)]
pub(super) struct Own {
    /// What its firmware loads.
    pub(super) file: bool,
    /// What iPXE runs on it.
    pub(super) script: bool,
}

/// The tags of nodes that have a file or a script of their own.
pub(super) const FILE: &str = "own-file";
pub(super) const SCRIPT: &str = "own-script";

impl Own {
    pub(super) fn of(node: &Node, scripts: &BTreeSet<Name>) -> Self {
        Self {
            file: node.netboot.file.is_some(),
            script: scripts.contains(&node.name) || Self::is_rom(node),
        }
    }

    /// Whether the iPXE in the card's ROM stands in for a BIOS's own PXE: it is sent to the boot
    /// file and never to a script.
    fn is_rom(node: &Node) -> bool {
        node.netboot.by == NetworkBoot::Pxe && node.firmware == Firmware::Bios
    }

    /// Marks the node's reservation.
    pub(super) fn mark(self, mut host: Host, node: &Node) -> Result<Host, ValueError> {
        for (own, tag) in [(self.file, FILE), (self.script, SCRIPT)] {
            if own {
                host = host.set(Tag::new(tag)?);
            }
        }
        match self.file || self.script {
            true => Ok(host.set(tag_of(node)?)),
            false => Ok(host),
        }
    }
}

/// The tag that is one node's alone.
fn tag_of(node: &Node) -> Result<Tag, ValueError> {
    Tag::new(format!("node-{}", node.name))
}

/// Where a node's own script is served.
#[must_use]
pub fn script(node: &Name) -> PathBuf {
    Path::new(boot_entries::FOLDER).join(format!("node/{node}.ipxe"))
}

/// What the nodes boot that have something of their own to boot.
pub(super) fn boot(lab: &Lab, scripts: &BTreeSet<Name>) -> Result<Vec<Directive>, DnsmasqError> {
    let (ipxe, http) = (Tag::new("ipxe")?, Tag::new("efi64http")?);
    let web = lab.web.as_ref().map(|web| web.address);
    let file = |name: &str| BootFile::new(name).map(Boot::new);
    let mut directives = Vec::new();
    for node in &lab.nodes {
        let tag = tag_of(node)?;
        if let Some(name) = &node.netboot.file {
            let own = match node.netboot.by {
                NetworkBoot::Http => file(&target_url(name, web))?.when(http.clone()),
                NetworkBoot::Pxe | NetworkBoot::Ipxe => file(name)?,
            };
            directives.push(match Own::is_rom(node) {
                true => own.when(tag.clone()).into(),
                false => own.when(!ipxe.clone()).when(tag.clone()).into(),
            });
        }
        if scripts.contains(&node.name) && !Own::is_rom(node) {
            let script = target_url(&script(&node.name).display().to_string(), web);
            directives.push(file(&script)?.when(ipxe.clone()).when(tag).into());
        }
    }
    Ok(directives)
}
