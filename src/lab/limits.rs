//! Limits: how much of the host a lab may take, and each of its members.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Name;
use super::profile::Thousandths;

/// What a member has when the lab file does not say: as podman gives a container. More than any of
/// nsplay's programs needs, and what stops a fork bomb.
pub const PIDS: u32 = 2048;

/// What QEMU needs beside its guest's memory, at the least, in MiB.
pub const QEMU_MIB: u64 = 64;

/// How much something may take; none of what it may take without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Memory, files in a tmpfs and what the kernel holds for it included, in MiB.
    pub memory_mib: Option<u64>,
    /// Time of processors, in thousandths of one.
    pub millicpus: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// The limits of a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lots {
    /// Those of the lab as a whole.
    pub lab: Limits,
    /// Those of its members.
    pub members: BTreeMap<Name, Limits>,
}

impl Limits {
    /// What a member has when the lab file does not say.
    pub const MEMBER: Self = Self {
        memory_mib: None,
        millicpus: None,
        pids: Some(PIDS),
    };

    /// The limit of processors as a number of them.
    #[must_use]
    pub fn cpus(&self) -> Option<Thousandths> {
        self.millicpus.map(|cpus| Thousandths(cpus.into()))
    }
}

impl Lots {
    /// The limits of a member.
    #[must_use]
    pub fn of(&self, member: &Name) -> Limits {
        let found = self.members.get(member).or_else(|| {
            // The DHCP servers of all networks are told of in `[dhcp]`.
            let mut members = self.members.iter();
            let main = members.find(|(name, _)| name.as_str() == "dhcp");
            main.filter(|_| member.as_str().starts_with("dhcp-"))
                .map(|(_, limits)| limits)
        });
        found.copied().unwrap_or(Limits::MEMBER)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_mib.map(|mib| format!("{mib} MiB of memory"));
        let cpus = self.cpus().map(|cpus| format!("{cpus} processors"));
        let pids = self.pids.map(|pids| format!("{pids} processes"));
        let all: Vec<_> = [memory, cpus, pids].into_iter().flatten().collect();
        match all.as_slice() {
            [] => f.write_str("none"),
            all => f.write_str(&all.join(", ")),
        }
    }
}
