//! Profiles: what a kind of server says of itself, and what its BMC measures.
//!
//! How a profile is spelled is [`file`](super::file)'s; the bytes that IPMI
//! and SMBIOS make of it are [`bmc`](crate::bmc)'s and [`node`](crate::node)'s.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mac, Name};

/// A kind of server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name: that of its file.
    pub name: Name,
    /// Who made the server.
    pub manufacturer: String,
    /// What the server is called.
    pub product: String,
    /// The part or model number of the server.
    pub part_number: String,
    /// The version of the product.
    pub version: String,
    /// The chassis.
    pub chassis: ChassisPart,
    /// The board.
    pub board: BoardPart,
    /// What Get Device ID says (IPMI 2.0, section 20.1).
    pub bmc: Controller,
    /// What SMBIOS says of the firmware.
    pub bios: BiosPart,
    /// What the BMC measures and watches, in the order of their numbers.
    pub sensors: Vec<Sensor>,
}

/// The chassis of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChassisPart {
    /// Its form, as SMBIOS numbers it (DSP0134, table 17): 23 is a rack mount chassis.
    pub form: u8,
    /// Its part number.
    pub part_number: String,
}

/// The board of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardPart {
    /// Who made it.
    pub manufacturer: String,
    /// What it is called.
    pub product: String,
    /// Its part number.
    pub part_number: String,
}

/// A management controller, as Get Device ID shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// The IANA enterprise number of who made it, 20 bits.
    pub manufacturer_id: u32,
    /// The maker's number for the product.
    pub product_id: u16,
    /// The firmware's version: major, 0 to 127, and minor, 0 to 99.
    pub firmware: (u8, u8),
}

/// The firmware of a server, for its users to read; what runs is QEMU's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BiosPart {
    /// Who made it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// When it was released: `MM/DD/YYYY`.
    pub date: String,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensor {
    /// Its number, 1 to 254; 0 is the watchdog's.
    pub number: u8,
    /// Its name, 2 to 16 bytes (IPMI 2.0, section 43.1, ID string).
    pub name: String,
    /// What it tells.
    pub kind: SensorKind,
}

/// What a sensor tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SensorKind {
    /// A value.
    Analog(Analog),
    /// Which of its states are.
    Discrete(Discrete),
}

/// A sensor with a value; all values are in thousandths of its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analog {
    /// What it measures.
    pub quantity: Quantity,
    /// What one count of its 8 bits is worth.
    pub step: i64,
    /// What it shows when the node is on.
    pub on: i64,
    /// What it shows when the node is off.
    pub off: i64,
    /// How far it strays from that while the node is on.
    pub jitter: i64,
    /// From the lowest to the highest, in the order of IPMI: lower non-critical, lower critical,
    /// lower non-recoverable, upper non-critical, upper critical, upper non-recoverable.
    pub thresholds: [Option<i64>; 6],
}

impl Analog {
    /// The thresholds that `value` crosses, in the order of [`thresholds`](Self::thresholds).
    #[must_use]
    pub fn crossed(&self, value: i64) -> [bool; 6] {
        let mut crossed = [false; 6];
        for (n, threshold) in self.thresholds.iter().enumerate() {
            crossed[n] = threshold.is_some_and(|limit| match n {
                0..3 => value <= limit,
                _ => value >= limit,
            });
        }
        crossed
    }

    /// The highest value that its 8 bits can show.
    #[must_use]
    pub fn most(&self) -> i64 {
        self.step * 255
    }

    /// `value` in the sensor's 8 bits, as near as they come to it.
    #[must_use]
    pub fn raw(&self, value: i64) -> u8 {
        let counts = (value + self.step / 2) / self.step;
        u8::try_from(counts.clamp(0, 255)).unwrap_or(u8::MAX)
    }
}

/// What an analog sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Degrees Celsius.
    Temperature,
    /// Revolutions a minute.
    Fan,
    /// Volts.
    Voltage,
    /// Amperes.
    Current,
    /// Watts.
    Power,
}

impl Quantity {
    /// The unit, as people write it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Temperature => "degrees C",
            Self::Fan => "RPM",
            Self::Voltage => "Volts",
            Self::Current => "Amps",
            Self::Power => "Watts",
        }
    }
}

/// What a discrete sensor watches; its states are those of IPMI 2.0, table 42-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discrete {
    /// A power supply.
    PowerSupply,
    /// The power of the whole.
    PowerUnit,
    /// The ACPI state of the system.
    AcpiPower,
    /// A processor.
    Processor,
    /// Memory.
    Memory,
    /// A bay for a drive.
    DriveBay,
    /// The chassis as something that can be opened.
    Intrusion,
    /// How far the firmware has come: events only.
    Firmware,
    /// What has been booted: events only.
    OsBoot,
}

super::spelled!(Quantity {
    Temperature => "temperature",
    Fan => "fan",
    Voltage => "voltage",
    Current => "current",
    Power => "power",
});
super::spelled!(Discrete {
    PowerSupply => "power-supply",
    PowerUnit => "power-unit",
    AcpiPower => "acpi-power",
    Processor => "processor",
    Memory => "memory",
    DriveBay => "drive-bay",
    Intrusion => "intrusion",
    Firmware => "firmware",
    OsBoot => "os-boot",
});

/// What tells one server from another of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Who made it.
    pub manufacturer: String,
    /// What it is called.
    pub product: String,
    /// Its part or model number.
    pub part_number: String,
    /// Its serial number.
    pub serial: String,
    /// What its owner calls it.
    pub asset_tag: String,
    /// Its UUID (RFC 9562), lower-case: SMBIOS's, and the GUID of its BMC.
    pub uuid: String,
}

/// The serial number of a node for which the file gives none, the same in every run.
#[must_use]
pub fn serial(lab: &Name, node: &Name) -> String {
    let [_, digits @ ..] = Mac::derived(&format!("{lab}/{node}/serial")).octets();
    digits.iter().fold("NSP".to_owned(), |serial, byte| {
        format!("{serial}{byte:02X}")
    })
}

/// A node's UUID, derived from the lab's and the node's name so that it is the same in every run.
#[must_use]
pub fn uuid(lab: &Name, node: &Name) -> String {
    let half = |part: &str| Mac::derived(&format!("{lab}/{node}/uuid/{part}")).octets();
    let ([_, a, b, c, d, e], [_, f, g, h, i, j]) = (half("a"), half("b"));
    let [_, k, l, m, n, o] = half("c");
    // Made of names, as version 5 is; of another hash, for which RFC 9562 has version 8. But
    // ipmitool 1.8.19 tells the byte order of a GUID by a version from 1 to 5.
    format!(
        "{a:02x}{b:02x}{c:02x}{d:02x}-{e:02x}{f:02x}-5{:x}{g:02x}-8{:x}{h:02x}-{i:02x}{j:02x}{k:02x}{l:02x}{m:02x}{n:02x}",
        g >> 4,
        o >> 4,
    )
}

/// Thousandths as a decimal number: `12.06`, `-0.5`, `3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thousandths(pub i64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs();
        let text = format!("{sign}{}.{:03}", whole / 1000, whole % 1000);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_and_uuids_are_stable_and_differ_between_labs_and_nodes() {
        let name = |text| Name::new(text).unwrap();
        let one = (name("default"), name("node1"));
        assert_eq!(serial(&one.0, &one.1), serial(&one.0, &one.1));
        assert_ne!(serial(&one.0, &one.1), serial(&one.0, &name("node2")));
        assert_ne!(serial(&one.0, &one.1), serial(&name("other"), &one.1));
        assert_eq!(uuid(&one.0, &one.1).len(), 36);
        assert_ne!(uuid(&one.0, &one.1), uuid(&one.0, &name("node2")));
    }

    #[test]
    fn thousandths_are_written_as_people_write_numbers() {
        let text = |value| Thousandths(value).to_string();
        assert_eq!(text(12_060), "12.06");
        assert_eq!(text(-500), "-0.5");
        assert_eq!(text(3000), "3");
        assert_eq!(text(0), "0");
    }

    #[test]
    fn a_value_is_shown_as_near_as_eight_bits_come_to_it() {
        let fan = Analog {
            quantity: Quantity::Fan,
            step: 100_000,
            on: 0,
            off: 0,
            jitter: 0,
            thresholds: [Some(600_000), None, None, None, Some(20_000_000), None],
        };
        assert_eq!(fan.raw(8_449_000), 84);
        assert_eq!(fan.raw(8_450_000), 85);
        assert_eq!((fan.raw(-5), fan.raw(i64::from(u32::MAX))), (0, 255));
        assert_eq!(
            fan.crossed(600_000),
            [true, false, false, false, false, false]
        );
        assert_eq!(fan.crossed(600_001), [false; 6]);
    }
}
