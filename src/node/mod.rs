//! Nodes: virtual servers, each owned by one state machine.
//!
//! IPMI, the CLI and the guest itself are doors to that one machine, so they
//! cannot disagree. [`power`] is the machine, [`qemu`] the command line,
//! [`qmp`] the monitor, [`console`] what the guest prints and reads, [`serial`]
//! QEMU's end of that, [`chassis`] what the BMC remembers, [`boot`] what it was
//! told to boot, [`smbios`] what the guest reads of its hardware, [`storage`] its
//! files, [`tpm`] its TPM, [`shape`] what its links do to packets, [`screen`] what it shows, and
//! [`keys`] what is typed.

pub mod boot;
pub mod chassis;
pub mod console;
mod door;
pub mod faults;
mod host;
pub mod keys;
pub mod memory;
pub mod power;
pub mod qemu;
pub mod qmp;
pub mod screen;
pub mod serial;
pub mod shape;
pub mod smbios;
pub mod storage;
pub mod tpm;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a node is powered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Its QEMU process runs.
    On,
    /// There is no QEMU process.
    Off,
}

/// Whether the cable of a network card is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// It is.
    Up,
    /// It is pulled: no packet passes, and the card has no carrier.
    Down,
}

/// What a node can be told (IPMI 2.0, section 28.3, Chassis Control).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Power up; nothing when it is on.
    On,
    /// Power down at once; nothing when it is off.
    Off,
    /// Power down, then up; refused when it is off.
    Cycle,
    /// Hard reset; refused when it is off.
    Reset,
    /// Press the power button (ACPI), which the guest may ignore; refused when it is off.
    Soft,
    /// Diagnostic interrupt (NMI); refused when it is off.
    Diag,
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Cycle => "cycle",
            Self::Reset => "reset",
            Self::Soft => "soft",
            Self::Diag => "diag",
        })
    }
}
