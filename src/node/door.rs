//! The doors to a node: through which an order comes.

use std::fmt;

/// Which door an order came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The BMC, over IPMI.
    Bmc,
    /// The BMC's watchdog, which nobody fed.
    Watchdog,
    /// `nsplay power`.
    Cli,
    /// The lab itself, coming up.
    Lab,
    /// The mains, which fail and come back.
    Mains,
    /// An order that waited for the guest long enough.
    Patience,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bmc => "the BMC",
            Self::Watchdog => "the watchdog",
            Self::Cli => "nsplay power",
            Self::Lab => "nsplay up",
            Self::Mains => "the mains",
            Self::Patience => "a soft power-off that took too long",
        })
    }
}
