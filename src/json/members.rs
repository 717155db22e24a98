//! What members are and do, as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, time};
use crate::bmc::ask::Reading;
use crate::event::Event;
use crate::host::usage::Cost;
use crate::inspect::{Inspection, Service};
use crate::lab::Name;
use crate::progress::timeline::Timeline;
use crate::progress::why::Answer;
use crate::supervisor::protocol::Member;

/// The members of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ps {
    /// The lab.
    pub lab: Name,
    /// In the order of the lab file; a node is there twice, as a machine and as its BMC.
    pub members: Vec<Member>,
}

/// What the programs of a lab cost.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Top {
    /// The lab.
    pub lab: Name,
    /// Each program of each member; `lab` is the name of the supervisor's own.
    pub programs: Vec<Cost>,
}

/// What the sensors of a BMC show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sensors {
    /// The node.
    pub node: Name,
    /// In the order of their numbers.
    pub sensors: Vec<Reading>,
}

/// A packet that passed a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Packet {
    /// When.
    #[serde(with = "time")]
    #[schemars(with = "time::Time")]
    pub at: u64,
    /// The link, as `capture` names it.
    pub link: String,
    /// How long it was.
    pub length_bytes: usize,
    /// What it was, for people.
    pub text: String,
}

impl Document for Ps {
    const NAME: &'static str = "ps";
}

impl Document for Top {
    const NAME: &'static str = "top";
}

impl Document for Event {
    const NAME: &'static str = "event";
}

impl Document for Timeline {
    const NAME: &'static str = "timeline";
}

impl Document for Answer {
    const NAME: &'static str = "why";
}

impl Document for Inspection {
    const NAME: &'static str = "node";
}

impl Document for Service {
    const NAME: &'static str = "service";
}

impl Document for Sensors {
    const NAME: &'static str = "sensors";
}

impl Document for Packet {
    const NAME: &'static str = "packet";
}
