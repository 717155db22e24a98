//! How a node boots over the network.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Firmware, Name, Node, spelled};

/// How a node boots over the network, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netboot {
    /// What of the node asks for something to boot.
    pub by: NetworkBoot,
    /// What its firmware loads in place of the lab's iPXE: a path below the TFTP root, or with
    /// [`NetworkBoot::Http`] below the web root, or a URL.
    pub file: Option<String>,
    /// The script that iPXE runs on it, in place of the lab's menu.
    pub script: Option<String>,
}

/// What of a node asks the network for something to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkBoot {
    /// The iPXE in its network card's ROM.
    Ipxe,
    /// PXE as the firmware has it, over TFTP.
    Pxe,
    /// UEFI HTTP boot.
    Http,
}

spelled!(NetworkBoot { Ipxe => "ipxe", Pxe => "pxe", Http => "http" });

impl Netboot {
    /// Whether UEFI's own network stack boots, with the driver that it has for the card.
    #[must_use]
    pub fn is_by_uefi(&self, firmware: Firmware) -> bool {
        match (self.by, firmware) {
            (NetworkBoot::Ipxe, _) | (_, Firmware::Bios) => false,
            (NetworkBoot::Pxe | NetworkBoot::Http, Firmware::Uefi) => true,
        }
    }
}

/// Where below a web root a node's own script is, if the user has one there.
#[must_use]
pub fn script_file(node: &Name) -> String {
    format!("node/{node}.ipxe")
}

/// The script that iPXE runs on `node`: what it may want to know, then `rest`.
///
/// `server` is the web server as a node reaches it.
#[must_use]
pub fn script(node: &Node, server: impl fmt::Display, rest: &str) -> String {
    let mut script = format!(
        "#!ipxe\n\
         set nsplay-server {server}\n\
         set nsplay-node {}\n\
         set nsplay-bmc {}\n\
         set nsplay-mac {}\n\
         set nsplay-uuid {}\n",
        node.name, node.address, node.nic.mac, node.identity.uuid
    );
    if let Some(ip) = node.nic.ip {
        script += &format!("set nsplay-ip {ip}\n");
    }
    script += rest;
    if !script.ends_with('\n') {
        script.push('\n');
    }
    script
}
