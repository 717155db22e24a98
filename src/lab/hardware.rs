//! What a node is made of beside its processors and memory, and what it boots from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spelled;

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

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// Its size in MiB; none for one that is as large as its base.
    pub size_mib: Option<u64>,
    /// How it is connected.
    pub bus: DiskBus,
    /// Whether the next run of the lab finds on it what this one wrote.
    pub keep: bool,
    /// What is on it before anything was written.
    pub base: Option<Base>,
}

impl Disk {
    /// A disk as a node has it without being told how.
    #[must_use]
    pub fn usual(size_mib: u64) -> Self {
        Self {
            size_mib: Some(size_mib),
            bus: DiskBus::Ahci,
            keep: true,
            base: None,
        }
    }
}

/// An image that a disk starts from, and that nothing is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Base {
    /// The file, absolute.
    pub file: PathBuf,
    /// Its format, which nobody guesses.
    pub format: ImageFormat,
}

/// How a disk is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// SATA, on the chipset's own controller.
    Ahci,
    /// virtio-blk.
    Virtio,
    /// NVMe.
    Nvme,
    /// SCSI, on a virtio-scsi controller.
    Scsi,
}

/// The formats of a disk image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// The disk's bytes, and nothing else.
    Raw,
    /// QEMU's own.
    Qcow2,
}

/// A kernel that is started without a boot loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// The kernel, absolute.
    pub file: PathBuf,
    /// Its initial file system, absolute.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub cmdline: String,
}

/// A TPM 2, by its interface to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tpm {
    /// Command Response Buffer.
    Crb,
    /// TPM Interface Specification, as older ones have it.
    Tis,
}

/// How long UEFI's variables live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UefiVars {
    /// From one run of the lab to the next.
    Keep,
    /// As long as the lab is up.
    Fresh,
}

spelled!(DiskBus { Ahci => "ahci", Virtio => "virtio", Nvme => "nvme", Scsi => "scsi" });
spelled!(ImageFormat { Raw => "raw", Qcow2 => "qcow2" });
spelled!(Tpm { Crb => "crb", Tis => "tis" });
spelled!(UefiVars { Keep => "keep", Fresh => "fresh" });

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
