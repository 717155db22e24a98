//! The control protocol: JSON lines over the lab's control socket.
//!
//! A client sends one [`Request`]; the supervisor answers with [`Reply`]s,
//! of which [`Reply::Done`] or [`Reply::Refused`] is the last. Behind a
//! [`Reply::Console`] come no replies but the console.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bmc::ask::{Ask, Reading};
use crate::diff::{Amiss, Edit};
use crate::event::Event;
use crate::inspect::{Inspection, Service};
use crate::lab::{BootDevice, Fault, LinkName, Name, Stage};
use crate::node::boot::Choice;
use crate::node::keys::Press;
use crate::node::shape::Shape;
use crate::node::{Link, Order, Power};
use crate::plan::Plan;
use crate::progress::goal::Goal;
use crate::progress::why::Answer;
use crate::service::sshd_keys::Keys;

/// What a client asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// All events from the lab's start on; the answer ends once it is up, or with the lab.
    Up {
        /// Whether the lab lives only as long as this connection.
        hold: bool,
    },
    /// The members and their states.
    Ps,
    /// Events until now.
    Logs {
        /// Whether to go on with those to come.
        follow: bool,
    },
    /// An order to a node; the answer comes when it has been carried out.
    Power {
        /// The node.
        node: Name,
        /// The order; none asks for the state.
        order: Option<Order>,
    },
    /// What a node boots from.
    Boot {
        /// The node.
        node: Name,
        /// What it is to be from now on; none asks what it is.
        change: Option<BootChange>,
    },
    /// The links of a node's network cards.
    Link {
        /// The node.
        node: Name,
        /// Which card, counted from 1; none is all, or the first where there is a change.
        nic: Option<usize>,
        /// What it is to be; none asks what it is.
        change: Option<LinkChange>,
    },
    /// What is in a node's CD drive. With an image to insert, its descriptor follows
    /// [`Reply::GoOn`].
    Media {
        /// The node.
        node: Name,
        /// What is to become of it; none only asks.
        change: Option<MediaChange>,
    },
    /// An order to a member; the answer comes when it has been carried out.
    Order {
        /// The member.
        member: Name,
        /// The order.
        deed: Deed,
    },
    /// Something of a node's BMC.
    Bmc {
        /// The node.
        node: Name,
        /// What.
        #[serde(flatten)]
        ask: Ask,
    },
    /// What a member is.
    Inspect {
        /// The member.
        member: Name,
    },
    /// A node's console: after [`Reply::Console`] the connection carries its bytes, both ways.
    Console {
        /// The node; none is the only one.
        node: Option<Name>,
        /// Only what is kept of the past, all of it; then the connection ends.
        #[serde(default)]
        past: bool,
    },
    /// That something comes about; the answer comes when it has, or when it was too long.
    Wait {
        /// The nodes that it is about; none for all.
        nodes: Vec<Name>,
        /// What.
        goal: Goal,
        /// How long, in milliseconds.
        within_ms: u64,
    },
    /// The host on a network.
    Attach {
        /// The network; none is the main one.
        network: Option<Name>,
    },
    /// The host off a network.
    Detach {
        /// The network; none is all.
        network: Option<Name>,
    },
    /// Why a node does not boot.
    Why {
        /// The node.
        node: Name,
    },
    /// A look at a node's screen; the answer is [`Reply::Picture`] or [`Reply::Text`].
    Screen {
        /// The node.
        node: Name,
        /// Whether its text is wanted, and not a picture.
        text: bool,
    },
    /// Keys for a node's keyboard.
    Keys {
        /// The node.
        node: Name,
        /// Which, one after the other.
        keys: Vec<Press>,
    },
    /// What the lab is, once it is up: for who wants to change it.
    Running,
    /// The lab as another plan. After [`Reply::GoOn`] so many descriptors follow: a file that
    /// holds the plan, then what [`change`](super::change) says.
    Change {
        /// Which state of the lab the change was made for.
        revision: u64,
        /// How many follow.
        descriptors: usize,
    },
    /// The end of the lab.
    Down {
        /// Who or what asks for it.
        by: String,
    },
}

/// A change of what a node boots from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootChange {
    /// What comes first; none is the order of the lab file.
    pub choice: Option<Choice>,
    /// Whether it is for the next start only.
    pub once: bool,
}

/// A change of a network card's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkChange {
    /// Its cable is this.
    Cable(Link),
    /// This becomes of packets on their way to it; what is left open stays as it is.
    Shape(Shape),
    /// Everything passes.
    Clear,
}

/// The link of a network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Linked {
    /// The card, counted from 1.
    pub nic: usize,
    /// What its cable is.
    pub link: Link,
    /// What becomes of packets on their way to it; none when all pass at once.
    pub shape: Option<Shape>,
}

/// A change of what is in a CD drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaChange {
    /// Nothing is in it.
    Eject,
    /// An image is in it.
    Insert {
        /// Where it is for who has opened it.
        path: PathBuf,
    },
}

/// What a member can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Start what is stopped; nothing when it runs.
    Start,
    /// Stop what runs; nothing when it is stopped.
    Stop,
    /// Stop it, then start it.
    Restart,
}

impl fmt::Display for Deed {
    /// The command that gives the order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Start => "nsplay start",
            Self::Stop => "nsplay stop",
            Self::Restart => "nsplay restart",
        })
    }
}

/// What the supervisor answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Something that happened.
    Event(Event),
    /// The members.
    Members {
        /// In the order of the lab file.
        members: Vec<Member>,
    },
    /// A node's power.
    Power {
        /// What it is.
        power: Power,
    },
    /// What a node boots from at its next start.
    Boot {
        /// Where its firmware looks, in this order.
        order: Vec<BootDevice>,
        /// What of that somebody has chosen, if anything.
        chosen: Option<String>,
    },
    /// The links of network cards.
    Links {
        /// Those that were asked for.
        links: Vec<Linked>,
    },
    /// What is in a CD drive.
    Media {
        /// The path of the image, for who has opened it; none for an empty drive.
        medium: Option<PathBuf>,
    },
    /// What the sensors of a BMC show.
    Sensors {
        /// In the order of their numbers.
        readings: Vec<Reading>,
    },
    /// The faults that a BMC has.
    Faults {
        /// In the order in which they began.
        faults: Vec<Fault>,
    },
    /// Why a node does not boot.
    Why(Box<Answer>),
    /// What a screen shows. The points follow the line: three bytes for each.
    Picture {
        /// Points in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The lines that a screen shows.
    Text {
        /// From the top, without blanks at their ends.
        lines: Vec<String>,
    },
    /// What a node is.
    Inspection(Box<Inspection>),
    /// What a service is.
    Service(Box<Service>),
    /// The console follows.
    Console {
        /// The node.
        node: Name,
    },
    /// The nodes that there are, instead of the one that was asked for.
    Nodes {
        /// In the order of their names.
        nodes: Vec<Name>,
    },
    /// The host is on a network.
    Attached {
        /// Its address there.
        address: Ipv4Addr,
        /// Its link.
        link: LinkName,
    },
    /// The host is off networks that it was on.
    Detached {
        /// Which.
        networks: Vec<Name>,
    },
    /// What the lab is.
    Running(Box<Snapshot>),
    /// The descriptors are awaited.
    GoOn,
    /// The lab has become another since it was looked at; nothing was touched.
    Stale,
    /// The lab was changed.
    Changed {
        /// What of it was done, and what was not.
        outcomes: Vec<Outcome>,
    },
    /// It is done.
    Done,
    /// What was asked for is not there, or cannot be so; nothing was done.
    Unknown {
        /// What, and what there is.
        message: String,
    },
    /// It cannot be done.
    Refused {
        /// Why.
        message: String,
    },
}

/// A lab at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counts its changes.
    pub revision: u64,
    /// What it is.
    pub plan: Plan,
    /// The keys that are part of it.
    pub keys: Keys,
    /// What of it is not as its plan says.
    pub amiss: Amiss,
}

/// What became of a part of a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The part.
    pub edit: Edit,
    /// Why it was not done; none if it was.
    pub failed: Option<String>,
}

/// A member of a lab, for `ps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// What it runs: `dnsmasq`, `lighttpd`, `qemu`.
    #[serde(rename = "runs")]
    pub what: String,
    /// What state it is in.
    pub state: State,
    /// Its process as the lab numbers it; none for one that does not answer, and for QEMU.
    pub pid: Option<i32>,
    /// Its address.
    pub address: Ipv4Addr,
    /// When it came into that state, in milliseconds after 1970-01-01 UTC.
    #[serde(with = "crate::json::time")]
    #[schemars(with = "crate::json::time::Time")]
    pub since: u64,
    /// How often it had to be started again.
    pub restarts: u32,
    /// Where the host reaches it.
    pub published: Vec<SocketAddr>,
    /// Whether its identify light shines.
    pub identify: bool,
    /// How far a node's boot has come; none for what is no node, or was never on.
    pub stage: Option<Stage>,
}

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Started, but has not answered yet.
    Starting,
    /// Answers.
    Ready,
    /// Ended, and is about to be started again.
    #[serde(rename = "restarting")]
    Waiting,
    /// It ended, and is not started again.
    Ended,
    /// It was stopped, until it is told to start.
    Stopped,
    /// A node that is on.
    On,
    /// A node that is off.
    Off,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Waiting => "restarting",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
