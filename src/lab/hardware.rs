//! What a node is made of beside its processors and memory, and what it boots from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Something that firmware can boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum BootDevice {
    /// PXE over a NIC, by its number from 1.
    Network(u8),
    /// A disk, by its number from 1.
    Disk(u8),
    /// The CD drive.
    Cdrom,
}

/// A text that names no [`BootDevice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing to boot from")]
pub struct NotBootable(String);

impl BootDevice {
    /// How its number among those of its kind is left out: the first disk is `disk`.
    fn of(kind: &str, number: u8) -> Option<Self> {
        match (kind, number) {
            ("network", number) => Some(Self::Network(number)),
            ("disk", number) => Some(Self::Disk(number)),
            ("cdrom", 1) => Some(Self::Cdrom),
            _ => None,
        }
    }
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(1) => f.pad("network"),
            Self::Network(number) => f.pad(&format!("network{number}")),
            Self::Disk(1) => f.pad("disk"),
            Self::Disk(number) => f.pad(&format!("disk{number}")),
            Self::Cdrom => f.pad("cdrom"),
        }
    }
}

impl FromStr for BootDevice {
    type Err = NotBootable;

    fn from_str(text: &str) -> Result<Self, NotBootable> {
        let digits = text.find(|c: char| c.is_ascii_digit());
        let (kind, number) = text.split_at(digits.unwrap_or(text.len()));
        let number = match number {
            "" => Some(1),
            // One spelling for each: the first one has no number, and no number starts with a zero.
            number => number
                .parse()
                .ok()
                .filter(|n: &u8| *n > 1 && n.to_string() == number),
        };
        number
            .and_then(|number| Self::of(kind, number))
            .ok_or_else(|| NotBootable(text.to_owned()))
    }
}

impl From<BootDevice> for String {
    fn from(device: BootDevice) -> Self {
        device.to_string()
    }
}

impl TryFrom<String> for BootDevice {
    type Error = NotBootable;

    fn try_from(text: String) -> Result<Self, NotBootable> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_device_has_one_spelling() {
        for (text, device) in [
            ("network", BootDevice::Network(1)),
            ("network2", BootDevice::Network(2)),
            ("disk", BootDevice::Disk(1)),
            ("disk16", BootDevice::Disk(16)),
            ("cdrom", BootDevice::Cdrom),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        for bad in [
            "", "disk1", "disk0", "disk02", "disk256", "disk-2", "disk2a", "cdrom2", "floppy", "2",
            "Disk",
        ] {
            assert!(bad.parse::<BootDevice>().is_err(), "{bad}");
        }
    }
}
