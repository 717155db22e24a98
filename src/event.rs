//! Events: what happens in a lab, as the log file and the control protocol carry it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::{Fault, Name, Stage};
use crate::node::shape::Shape;
use crate::node::{Link, Power};

/// Something that happened in a lab.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, in milliseconds after 1970-01-01 UTC.
    #[serde(with = "crate::json::time")]
    #[schemars(with = "crate::json::time::Time")]
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A member printed a line.
    Log {
        /// The member.
        member: Name,
        /// The line.
        text: String,
    },
    /// Something that `up` makes has been made.
    Made {
        /// What.
        what: String,
        /// How long it took, in milliseconds.
        #[serde(serialize_with = "crate::json::time::milliseconds")]
        #[schemars(with = "f64")]
        took_ms: f64,
    },
    /// A program answers.
    Ready {
        /// The member.
        member: Name,
        /// The program.
        #[serde(rename = "runs")]
        what: String,
        /// How long after its start, in milliseconds.
        #[serde(serialize_with = "crate::json::time::milliseconds")]
        #[schemars(with = "f64")]
        took_ms: f64,
        /// Its process, as the lab numbers it.
        pid: Option<i32>,
    },
    /// A program ended on its own.
    Exited {
        /// The member.
        member: Name,
        /// The program.
        #[serde(rename = "runs")]
        what: String,
        /// How: `exited with status 1`, `was killed by SIGSEGV`.
        how: String,
        /// The last lines that it printed.
        last: Vec<String>,
        /// When it is started again, in milliseconds; none for never.
        again_ms: Option<u64>,
    },
    /// The kernel killed processes of a member, for want of memory.
    OutOfMemory {
        /// The member.
        member: Name,
        /// How many.
        killed: u64,
        /// Whose memory had ended, as the end of a sentence.
        why: String,
    },
    /// A member's programs were stopped, and stay so until it is started.
    Stopped {
        /// The member.
        member: Name,
        /// Who or what did it.
        by: String,
    },
    /// A member's programs are started, which were stopped or are to be started anew.
    Started {
        /// The member.
        member: Name,
        /// Who or what does it.
        by: String,
    },
    /// A node's power changed.
    Power {
        /// The node.
        node: Name,
        /// What it is now.
        power: Power,
        /// Who or what did it.
        by: String,
    },
    /// A node was reset, and starts again without its power having changed.
    Reset {
        /// The node.
        node: Name,
        /// Who or what did it.
        by: String,
    },
    /// The cable of a node's network card was pulled, or plugged in again.
    Link {
        /// The node.
        node: Name,
        /// Which of its cards, counted from 1.
        nic: usize,
        /// What it is now.
        link: Link,
    },
    /// What becomes of packets on their way to a node's network card was changed.
    Shape {
        /// The node.
        node: Name,
        /// Which of its cards, counted from 1.
        nic: usize,
        /// What slows them down, loses or delays them now; none for nothing.
        shape: Option<Shape>,
    },
    /// What is in a node's CD drive was changed.
    Media {
        /// The node.
        node: Name,
        /// The image that is in it now; none when it is empty.
        medium: Option<PathBuf>,
    },
    /// A node's boot has come to a stage.
    Stage {
        /// The node.
        node: Name,
        /// The stage.
        stage: Stage,
        /// What showed it: a file, an address, a line.
        detail: String,
    },
    /// A node's identify light was switched (IPMI 2.0, section 28.5).
    Identify {
        /// The node.
        node: Name,
        /// Whether it shines.
        on: bool,
    },
    /// A sensor of a node's BMC was told what to show, or is free again.
    Sensor {
        /// The node.
        node: Name,
        /// The sensor.
        sensor: String,
        /// What it does, as the end of a sentence.
        text: String,
    },
    /// A node's BMC has a fault that it was told to have, or has it no more.
    Fault {
        /// The node.
        node: Name,
        /// The fault.
        fault: Fault,
        /// Whether it begins; else it ends.
        on: bool,
        /// How long it lasts, in milliseconds; none until it is cleared.
        lasts_ms: Option<u64>,
    },
    /// All services answer and all nodes that should be on are.
    Up {
        /// How long it took, in milliseconds.
        #[serde(serialize_with = "crate::json::time::milliseconds")]
        #[schemars(with = "f64")]
        took_ms: f64,
    },
    /// The lab cannot come up, or cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// Something worth knowing.
    Note {
        /// What.
        text: String,
    },
    /// The lab is being taken down.
    Down {
        /// Who or what asked for it.
        by: String,
    },
}
