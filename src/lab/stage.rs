//! Boot stages: how far a node has come on its way from power-on to a system that answers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spelled;

/// How far a node has come, in the order in which a boot goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It was switched on, or reset.
    Powered,
    /// Its firmware has printed something.
    Firmware,
    /// It has asked for an address.
    Discover,
    /// It was offered one.
    Offer,
    /// It has one.
    Ack,
    /// It has loaded a file over TFTP.
    Tftp,
    /// iPXE has its address, and goes on.
    Ipxe,
    /// It has loaded a file over HTTP.
    Http,
    /// A kernel runs.
    Kernel,
    /// The first programs of a system run.
    Userland,
    /// Somebody could log in on its serial line.
    Login,
    /// An installer has done its work.
    Installed,
    /// Its SSH server answers.
    Up,
    /// It is off.
    Off,
    /// Its kernel panicked, or its QEMU failed.
    Crashed,
}

impl Stage {
    /// Whether it is an end of a boot, and not a place on its way.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            Self::Off | Self::Crashed => true,
            Self::Powered
            | Self::Firmware
            | Self::Discover
            | Self::Offer
            | Self::Ack
            | Self::Tftp
            | Self::Ipxe
            | Self::Http
            | Self::Kernel
            | Self::Userland
            | Self::Login
            | Self::Installed
            | Self::Up => false,
        }
    }
}

spelled!(Stage {
    Powered => "powered",
    Firmware => "firmware",
    Discover => "discover",
    Offer => "offer",
    Ack => "ack",
    Tftp => "tftp",
    Ipxe => "ipxe",
    Http => "http",
    Kernel => "kernel",
    Userland => "userland",
    Login => "login",
    Installed => "installed",
    Up => "up",
    Off => "off",
    Crashed => "crashed",
});

/// A word that is no stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no boot stage `{0}`; there are: {all}", all = Stage::ALL.map(|stage| stage.to_string()).join(", "))]
pub struct NoStage(String);

impl std::str::FromStr for Stage {
    type Err = NoStage;

    fn from_str(text: &str) -> Result<Self, NoStage> {
        let mut all = Self::ALL.into_iter();
        all.find(|stage| stage.to_string() == text)
            .ok_or_else(|| NoStage(text.to_owned()))
    }
}
