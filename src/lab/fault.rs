//! Faults that a BMC can be told to have, so that software can be tested against them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Fault {
    /// No request reaches the BMC over the network.
    Unreachable,
    /// Each answer comes this much later, in milliseconds.
    Slow(u32),
    /// So many of a hundred datagrams are lost, each way.
    Loss(u8),
    /// No session can be opened; those that are open go on.
    SessionsFull,
    /// The BMC restarts, and is away until the fault's end.
    ColdReset,
    /// The mains fail: the machine loses its power and the BMC is away. At the fault's end both come
    /// back, the machine if its power restore policy says so.
    PowerLoss,
    /// Power on, off, cycle and reset are accepted, and nothing happens.
    StuckPower,
    /// The boot device that is set reads back, and is not booted from.
    IgnoredBootDevice,
}

/// All of them, as they are spelled on the command line and in a lab file.
pub const EXAMPLES: &str = "unreachable, slow=500ms, loss=30%, sessions-full, cold-reset, power-loss, \
                        stuck-power, ignored-boot-device";

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault is spelled `{0}`; there are {EXAMPLES}")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let (kind, value) = match text.split_once('=') {
            Some((kind, value)) => (kind, Some(value)),
            None => (text, None),
        };
        Ok(match (kind, value) {
            ("unreachable", None) => Self::Unreachable,
            ("sessions-full", None) => Self::SessionsFull,
            ("cold-reset", None) => Self::ColdReset,
            ("power-loss", None) => Self::PowerLoss,
            ("stuck-power", None) => Self::StuckPower,
            ("ignored-boot-device", None) => Self::IgnoredBootDevice,
            ("slow", Some(value)) => {
                let (digits, per_unit) = match value.strip_suffix("ms") {
                    Some(digits) => (digits, 1),
                    None => (value.strip_suffix('s').ok_or_else(unknown)?, 1000),
                };
                let number: u32 = digits.parse().map_err(|_| unknown())?;
                Self::Slow(number.checked_mul(per_unit).ok_or_else(unknown)?)
            }
            ("loss", Some(value)) => {
                let digits = value.strip_suffix('%').ok_or_else(unknown)?;
                let percent = digits.parse().ok().filter(|percent| *percent <= 100);
                Self::Loss(percent.ok_or_else(unknown)?)
            }
            _ => return Err(unknown()),
        })
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl TryFrom<String> for Fault {
    type Error = UnknownFault;

    fn try_from(text: String) -> Result<Self, UnknownFault> {
        text.parse()
    }
}

impl Fault {
    /// Whether the two are of one kind, so that a BMC has only one of them at a time.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("unreachable"),
            Self::Slow(ms) => write!(f, "slow={ms}ms"),
            Self::Loss(percent) => write!(f, "loss={percent}%"),
            Self::SessionsFull => f.write_str("sessions-full"),
            Self::ColdReset => f.write_str("cold-reset"),
            Self::PowerLoss => f.write_str("power-loss"),
            Self::StuckPower => f.write_str("stuck-power"),
            Self::IgnoredBootDevice => f.write_str("ignored-boot-device"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_they_are_written() {
        for text in EXAMPLES.split(", ") {
            let fault: Fault = text.trim().parse().unwrap();
            assert_eq!(fault.to_string(), text.trim());
        }
        assert_eq!("slow=2s".parse(), Ok(Fault::Slow(2000)));
        for text in [
            "",
            "slow",
            "slow=5",
            "loss=101%",
            "loss=-1%",
            "gone",
            "unreachable=1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
