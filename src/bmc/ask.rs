//! What `nsplay bmc` asks of a BMC, and what it is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::Fault;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// A sensor shows something from now on, until it is cleared.
    Set {
        /// Its name.
        sensor: String,
        /// A value, two of them as `FROM..TO`, or words for states with commas between.
        value: String,
        /// How long the way from one value to the other takes, in milliseconds.
        over_ms: Option<u64>,
    },
    /// An entry of the event log, as a sensor makes it.
    Event {
        /// Its name.
        sensor: String,
        /// The word for a state or a threshold, or its offset.
        event: String,
        /// Whether it begins; else it ends.
        asserted: bool,
    },
    /// An entry of the event log, byte for byte.
    Raw {
        /// The 13 bytes after the record's type, as 26 hexadecimal digits.
        bytes: String,
    },
    /// The BMC has a fault from now on.
    Fault {
        /// The fault; none asks which there are.
        fault: Option<Fault>,
        /// How long, in milliseconds; none until it is cleared.
        lasts_ms: Option<u64>,
    },
    /// Everything that was pretended ends.
    Clear,
    /// What every sensor shows.
    Sensors,
}

/// What a sensor shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Its type, as a profile spells it.
    pub kind: String,
    /// Its value in its unit, or the words for its states; none for one that only reports events.
    pub value: Option<String>,
    /// The unit of a value.
    pub unit: Option<String>,
    /// The threshold that is crossed, the worst of them.
    pub crossed: Option<String>,
    /// Whether it shows what it was told to.
    pub held: bool,
}
