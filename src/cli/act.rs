//! The options of the verbs that change a running lab.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::lab::Name;
use crate::node::shape;

/// `nsplay boot`.
#[derive(Args, Debug)]
pub struct Boot {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// What it boots from first; `none` for the order of the lab file
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<BootChoice>,
    /// Only at its next start
    #[arg(long, requires = "device")]
    pub once: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a node can be told to boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BootChoice {
    /// PXE
    Network,
    /// The disk
    Disk,
    /// The CD
    Cdrom,
    /// Nothing but what the lab file says
    None,
}

/// `nsplay shell`.
#[derive(Args, Debug)]
pub struct Shell {
    /// The member, or `fabric` for the network between them
    #[arg(value_parser = Name::new, default_value = "fabric")]
    pub member: Name,
}

/// `nsplay media`.
#[derive(Args, Debug)]
pub struct Media {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// What is to become of it; without it, print what is in the drive
    pub deed: Option<MediaDeed>,
    /// The image to insert, a file of yours that the lab need not see
    #[arg(value_name = "ISO", required_if_eq("deed", "insert"))]
    pub iso: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done to a CD drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MediaDeed {
    /// Put an image into it, in place of what is in it; it stays over power cycles, until `down`
    Insert,
    /// Leave it empty
    Eject,
}

/// `nsplay link`.
#[derive(Args, Debug)]
pub struct Link {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// What the link is to be, until it is told otherwise; without it, print what it is
    pub state: Option<LinkState>,
    /// Which of its network cards; without it a change is for the first
    #[arg(long, value_name = "N")]
    pub nic: Option<usize>,
    /// How much comes through to the node in a second, such as 512kbit, 10mbit or 1gbit
    #[arg(long, value_name = "RATE", value_parser = shape::rate, conflicts_with = "state")]
    pub rate: Option<u64>,
    /// How many of the packets to the node are lost, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = shape::loss, conflicts_with = "state")]
    pub loss: Option<u8>,
    /// How much later packets come to the node, such as 50ms
    #[arg(long, value_name = "TIME", value_parser = shape::delay, conflicts_with = "state")]
    pub delay: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a link can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LinkState {
    /// Plug the cable in
    Up,
    /// Pull it
    Down,
    /// Let everything pass at once again, after --rate, --loss and --delay
    Clear,
}
