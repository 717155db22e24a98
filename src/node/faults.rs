//! Faults that a BMC is told to have, so that software can be tested against them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Power on, off, cycle and reset are accepted, and nothing happens.
    StuckPower,
    /// The boot device that is set reads back, and is not booted from.
    IgnoredBootDevice,
}

/// Spelled as on the command line and in a lab file: `slow=500ms`, `loss=30%`.
const EXAMPLES: &str = "unreachable, slow=500ms, loss=30%, sessions-full, cold-reset, stuck-power, \
                        ignored-boot-device";

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault `{0}`; there are {EXAMPLES}")]
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("unreachable"),
            Self::Slow(ms) => write!(f, "slow={ms}ms"),
            Self::Loss(percent) => write!(f, "loss={percent}%"),
            Self::SessionsFull => f.write_str("sessions-full"),
            Self::ColdReset => f.write_str("cold-reset"),
            Self::StuckPower => f.write_str("stuck-power"),
            Self::IgnoredBootDevice => f.write_str("ignored-boot-device"),
        }
    }
}

/// The faults that a BMC has now, at most one of each kind.
#[derive(Debug, Default)]
pub struct Faults {
    active: BTreeMap<Kind, (Fault, Option<Instant>)>,
    /// The state of the generator that decides which datagrams are lost.
    dice: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unreachable,
    Slow,
    Loss,
    SessionsFull,
    ColdReset,
    StuckPower,
    IgnoredBootDevice,
}

impl Fault {
    fn kind(self) -> Kind {
        match self {
            Self::Unreachable => Kind::Unreachable,
            Self::Slow(_) => Kind::Slow,
            Self::Loss(_) => Kind::Loss,
            Self::SessionsFull => Kind::SessionsFull,
            Self::ColdReset => Kind::ColdReset,
            Self::StuckPower => Kind::StuckPower,
            Self::IgnoredBootDevice => Kind::IgnoredBootDevice,
        }
    }
}

impl Faults {
    /// Begins a fault, which ends by itself after `lasts`, if that is given.
    pub fn begin(&mut self, fault: Fault, lasts: Option<Duration>) {
        let until = lasts.map(|lasts| Instant::now() + lasts);
        self.active.insert(fault.kind(), (fault, until));
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.active.clear();
    }

    /// The faults that there are now.
    #[must_use]
    pub fn now(&self) -> Vec<Fault> {
        let now = Instant::now();
        let lasting = |(_, until): &&(Fault, Option<Instant>)| until.is_none_or(|end| now < end);
        let active = self.active.values().filter(lasting);
        active.map(|(fault, _)| *fault).collect()
    }

    /// Whether there is this fault now.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.now().contains(&fault)
    }

    /// How much later a datagram goes on; none when it is lost.
    pub fn delay(&mut self) -> Option<Duration> {
        let mut delay = Duration::ZERO;
        for fault in self.now() {
            match fault {
                Fault::Unreachable | Fault::ColdReset => return None,
                Fault::Loss(percent) if self.roll() < u64::from(percent) => return None,
                Fault::Slow(ms) => delay = Duration::from_millis(ms.into()),
                Fault::Loss(_)
                | Fault::SessionsFull
                | Fault::StuckPower
                | Fault::IgnoredBootDevice => {}
            }
        }
        Some(delay)
    }

    /// A number below 100. The sequence is the same each time, so that a failure can be repeated
    /// (Knuth's MMIX generator, of which the upper bits are good).
    fn roll(&mut self) -> u64 {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        const STEP: u64 = 1_442_695_040_888_963_407;
        self.dice = self.dice.wrapping_mul(FACTOR).wrapping_add(STEP);
        (self.dice >> 33) % 100
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

    #[test]
    fn loss_loses_about_as_much_as_it_says() {
        let mut faults = Faults::default();
        faults.begin(Fault::Loss(30), None);
        let lost = (0..1000).filter(|_| faults.delay().is_none()).count();
        assert!((250..350).contains(&lost), "{lost} of 1000");
    }

    #[test]
    fn a_fault_ends_by_itself_or_by_being_cleared() {
        let mut faults = Faults::default();
        faults.begin(Fault::Unreachable, Some(Duration::ZERO));
        assert_eq!(faults.now(), []);
        faults.begin(Fault::Slow(5), None);
        faults.begin(Fault::Slow(7), None);
        assert_eq!(faults.delay(), Some(Duration::from_millis(7)));
        faults.clear();
        assert_eq!(faults.delay(), Some(Duration::ZERO));
    }
}
