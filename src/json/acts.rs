//! What was done to members, as JSON.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::lab::{BootDevice, Fault, LinkName, Name};
use crate::node::{self, Order};
use crate::supervisor::protocol::{Deed, Linked, Member};

/// A member that was started, stopped or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ordered {
    /// The member.
    pub member: Name,
    /// What it was told.
    pub order: Deed,
    /// What it is now; a node is there twice, as a machine and as its BMC.
    pub now: Vec<Member>,
}

/// A node's power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Power {
    /// The node.
    pub node: Name,
    /// What it was told; none when it was only asked.
    pub order: Option<Order>,
    /// Its power now.
    pub power: node::Power,
}

/// What a node boots from at its next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Boot {
    /// The node.
    pub node: Name,
    /// Where its firmware looks, in this order.
    pub order: Vec<BootDevice>,
    /// What of that somebody has chosen, for people; none when it is as the lab file says.
    pub chosen: Option<String>,
}

/// The links of a node's network cards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Links {
    /// The node.
    pub node: Name,
    /// Those that were asked for, or the one that was changed.
    pub links: Vec<Linked>,
}

/// What is in a node's CD drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Media {
    /// The node.
    pub node: Name,
    /// The image, as who inserted it names it; none for an empty drive.
    pub medium: Option<PathBuf>,
}

/// What somebody waited for, and has come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waited {
    /// The lab.
    pub lab: Name,
    /// The goal, as `--for` spells it.
    pub goal: String,
    /// The nodes that were named; none for all.
    pub nodes: Vec<Name>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a screen shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Screenshot {
    /// The node.
    pub node: Name,
    /// The PNG that was written.
    pub file: Option<PathBuf>,
    /// The lines of a screen in text mode, where they were asked for.
    pub lines: Option<Vec<String>>,
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Keys {
    /// The node.
    pub node: Name,
    /// How often a key was pressed.
    pub presses: usize,
}

/// Where a node's screen is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Vnc {
    /// The node.
    pub node: Name,
    /// Where the host has its VNC server.
    pub address: SocketAddr,
}

/// This host on a network of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attached {
    /// The lab.
    pub lab: Name,
    /// The network.
    pub network: Name,
    /// The host's address there.
    pub address: Ipv4Addr,
    /// The host's link.
    pub link: LinkName,
}

/// This host off networks of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Detached {
    /// The lab.
    pub lab: Name,
    /// The networks that it was on.
    pub networks: Vec<Name>,
}

/// What a BMC was told, or the faults that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bmc {
    /// The node.
    pub node: Name,
    /// What was done.
    #[serde(flatten)]
    pub act: BmcAct,
}

/// What was done to a BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum BmcAct {
    /// A sensor shows something from now on.
    Set {
        /// The sensor.
        sensor: String,
        /// What it shows, as it was told.
        value: String,
        /// How long the way to it takes, in milliseconds.
        over_ms: Option<u64>,
    },
    /// An event is in the log.
    Event {
        /// The sensor; none for one that was given byte for byte.
        sensor: Option<String>,
        /// The event, or its bytes.
        event: String,
        /// Whether it begins; else it ends.
        asserted: bool,
    },
    /// A fault begins.
    Fault {
        /// The fault, as the command line spells it.
        fault: Fault,
        /// How long it lasts, in milliseconds; none until it is cleared.
        lasts_ms: Option<u64>,
    },
    /// Nothing: these are the faults that it has.
    Faults {
        /// In the order in which they began.
        faults: Vec<Fault>,
    },
    /// Everything that was set is over, and all faults.
    Clear,
}

/// Packets that were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Captured {
    /// The file.
    pub file: PathBuf,
    /// The links, as `capture` names them.
    pub links: Vec<String>,
    /// How many packets are in it.
    pub packets: u64,
    /// How many came too fast to be written.
    pub lost: u64,
}

impl Document for Ordered {
    const NAME: &'static str = "order";
}

impl Document for Power {
    const NAME: &'static str = "power";
}

impl Document for Boot {
    const NAME: &'static str = "boot";
}

impl Document for Links {
    const NAME: &'static str = "link";
}

impl Document for Media {
    const NAME: &'static str = "media";
}

impl Document for Waited {
    const NAME: &'static str = "wait";
}

impl Document for Screenshot {
    const NAME: &'static str = "screenshot";
}

impl Document for Keys {
    const NAME: &'static str = "keys";
}

impl Document for Vnc {
    const NAME: &'static str = "vnc";
}

impl Document for Attached {
    const NAME: &'static str = "attach";
}

impl Document for Detached {
    const NAME: &'static str = "detach";
}

impl Document for Bmc {
    const NAME: &'static str = "bmc";
}

impl Document for Captured {
    const NAME: &'static str = "capture";
}
