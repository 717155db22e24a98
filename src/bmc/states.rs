//! The states of discrete sensors (IPMI 2.0, table 42-3), and which of them are true of a node.

use crate::lab::profile::Discrete;
use crate::node::Power;

/// What IPMI has to say of a kind of discrete sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The sensor's type (table 42-3).
    pub sensor_type: u8,
    /// What it is a part of (table 43-13).
    pub entity: u8,
    /// Its states: the offset, and the word for it.
    pub states: &'static [(u8, &'static str)],
    /// Whether it can be read; one that cannot only reports events.
    pub readable: bool,
    /// Whether the end of a state is an event too. A system that leaves one ACPI state enters
    /// another, and that is event enough.
    pub ends: bool,
}

/// The ACPI states S0/G0 and S5/G2, by their offsets.
const WORKING: u8 = 0;
const SOFT_OFF: u8 = 5;

/// What `kind` is in IPMI.
#[must_use]
pub fn kind(kind: Discrete) -> Kind {
    let (sensor_type, entity, states, readable): (_, _, &[_], _) = match kind {
        Discrete::PowerSupply => (
            0x08,
            0x0a,
            &[
                (0, "presence"),
                (1, "failure"),
                (2, "predictive-failure"),
                (3, "input-lost"),
                (6, "configuration-error"),
            ],
            true,
        ),
        Discrete::PowerUnit => (
            0x09,
            0x13,
            &[
                (0, "off"),
                (1, "cycle"),
                (3, "interlock"),
                (4, "input-lost"),
                (5, "soft-control-failure"),
                (6, "failure"),
                (7, "predictive-failure"),
            ],
            true,
        ),
        Discrete::AcpiPower => (
            0x22,
            0x17,
            &[
                (0, "working"),
                (1, "sleeping-s1"),
                (3, "sleeping-s3"),
                (4, "suspended"),
                (5, "soft-off"),
                (7, "mechanical-off"),
            ],
            true,
        ),
        Discrete::Processor => (
            0x07,
            0x03,
            &[
                (0, "ierr"),
                (1, "thermal-trip"),
                (2, "frb1-failure"),
                (5, "configuration-error"),
                (7, "presence"),
                (8, "disabled"),
                (10, "throttled"),
            ],
            true,
        ),
        Discrete::Memory => (
            0x0c,
            0x20,
            &[
                (0, "correctable-ecc"),
                (1, "uncorrectable-ecc"),
                (2, "parity"),
                (4, "disabled"),
                (5, "correctable-ecc-limit"),
                (6, "presence"),
                (7, "configuration-error"),
            ],
            true,
        ),
        Discrete::DriveBay => (
            0x0d,
            0x1a,
            &[
                (0, "presence"),
                (1, "fault"),
                (2, "predictive-failure"),
                (7, "rebuild"),
            ],
            true,
        ),
        Discrete::Intrusion => (
            0x05,
            0x17,
            &[
                (0, "chassis-open"),
                (1, "drive-bay-open"),
                (4, "lan-leash-lost"),
            ],
            true,
        ),
        Discrete::Firmware => (
            0x0f,
            0x22,
            &[(0, "error"), (1, "hang"), (2, "progress")],
            false,
        ),
        Discrete::OsBoot => (
            0x1f,
            0x23,
            &[
                (0, "a-boot"),
                (1, "c-boot"),
                (2, "pxe-boot"),
                (3, "diagnostic-boot"),
                (4, "cd-rom-boot"),
                (5, "rom-boot"),
                (6, "boot"),
            ],
            false,
        ),
    };
    Kind {
        sensor_type,
        entity,
        states,
        readable,
        ends: kind != Discrete::AcpiPower,
    }
}

/// The states that are true when nobody pretends otherwise, one bit each.
#[must_use]
pub fn natural(kind: Discrete, power: Power, failed: bool) -> u16 {
    match (kind, power) {
        (Discrete::AcpiPower, Power::On) => 1 << WORKING,
        (Discrete::AcpiPower, Power::Off) => 1 << SOFT_OFF,
        (Discrete::PowerUnit, Power::On) => 0,
        // Off, and whether the machine failed.
        (Discrete::PowerUnit, Power::Off) => 1 | u16::from(failed) << 6,
        (Discrete::PowerSupply | Discrete::DriveBay, _) => 1,
        (Discrete::Processor, _) => 1 << 7,
        (Discrete::Memory, _) => 1 << 6,
        (Discrete::Intrusion | Discrete::Firmware | Discrete::OsBoot, _) => 0,
    }
}

/// All states of a kind, one bit each.
#[must_use]
pub fn all(kind: Kind) -> u16 {
    kind.states.iter().map(|(offset, _)| 1 << offset).sum()
}

/// The states whose end is an event, one bit each.
#[must_use]
pub fn ending(kind: Kind) -> u16 {
    if kind.ends { all(kind) } else { 0 }
}

/// The words for the states that are set.
#[must_use]
pub fn words(kind: Kind, bits: u16) -> Vec<&'static str> {
    let set = kind.states.iter().filter(|(n, _)| bits & 1 << n != 0);
    set.map(|(_, word)| *word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_that_is_ever_true_has_a_word() {
        for discrete in Discrete::ALL {
            for power in [Power::On, Power::Off] {
                let bits = natural(discrete, power, true);
                assert_eq!(bits & !all(kind(discrete)), 0, "{discrete}");
            }
        }
    }
}
