//! What a BMC remembers of its chassis, whether ipmi_sim lives or not (IPMI 2.0, section 28).

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::boot::{Boot, BootOptions};
use super::faults::Faults;
use super::memory::Kept;
use crate::lab::{BootDevice, Fault, Node};

/// The parameters and states of the chassis commands.
#[derive(Debug)]
pub struct Chassis {
    /// What it was told about booting.
    pub boot: BootOptions,
    /// Where its firmware looks since its last start, in this order; nowhere where it was given a
    /// kernel.
    pub tries: Vec<BootDevice>,
    /// What happens when power comes back.
    pub policy: Policy,
    /// Whether a client has set the policy; else it is the lab file's `power`.
    policy_is_set: bool,
    /// Whether the machine was on at last.
    pub was_on: bool,
    /// What last switched the power (table 28-3, last power event).
    pub last_event: LastEvent,
    /// Why the machine last started (table 28-11).
    pub restart_cause: u8,
    /// Whether the machine as it runs now has fed its BMC's watchdog.
    pub watchdog_armed: bool,
    /// Until when the chassis shows itself.
    pub identify: Identify,
    /// Minutes of power before the present power-on.
    pub minutes_before: u64,
    /// When the present power-on began.
    pub on_since: Option<Instant>,
    /// What it is told to do wrong.
    pub faults: Faults,
}

/// The power restore policy (table 28-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Stay off.
    AlwaysOff,
    /// As it was.
    Previous,
    /// Come on.
    AlwaysOn,
}

/// What last switched the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastEvent {
    /// Nothing of note.
    None,
    /// An IPMI command switched it on.
    Command,
    /// The mains failed.
    AcFailed,
    /// The machine failed.
    Fault,
}

/// Whether the chassis shows itself (table 28-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// It does not.
    Off,
    /// It does until then.
    Until(Instant),
    /// It does until told otherwise.
    Forced,
}

impl Default for Chassis {
    fn default() -> Self {
        Self {
            boot: BootOptions::new([0; 5]),
            tries: Vec::new(),
            policy: Policy::AlwaysOff,
            policy_is_set: false,
            was_on: false,
            last_event: LastEvent::None,
            restart_cause: 0,
            watchdog_armed: false,
            identify: Identify::Off,
            minutes_before: 0,
            on_since: None,
            faults: Faults::default(),
        }
    }
}

impl Chassis {
    /// The chassis of a machine whose lab file says `power_on`, and whose BMC remembers `kept`.
    #[must_use]
    pub fn new(power_on: bool, kept: Option<Kept>) -> Self {
        let kept = kept.unwrap_or_default();
        let usual = if power_on {
            Policy::AlwaysOn
        } else {
            Policy::AlwaysOff
        };
        Self {
            boot: BootOptions::new(kept.boot_flags),
            policy: kept.policy.unwrap_or(usual),
            policy_is_set: kept.policy.is_some(),
            was_on: kept.was_on,
            minutes_before: kept.minutes_on,
            ..Self::default()
        }
    }

    /// What of it outlasts the lab.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            policy: self.policy_is_set.then_some(self.policy),
            boot_flags: self.boot.flags(Instant::now()),
            minutes_on: self.minutes_on(),
            was_on: self.was_on,
        }
    }

    /// Sets the power restore policy, which from now on goes before the lab file's.
    pub fn set_policy(&mut self, policy: Policy) {
        (self.policy, self.policy_is_set) = (policy, true);
    }

    /// The lab file says something else of the machine's power now; a client's policy goes before.
    pub fn usually(&mut self, power_on: bool) {
        if !self.policy_is_set {
            self.policy = match power_on {
                true => Policy::AlwaysOn,
                false => Policy::AlwaysOff,
            };
        }
    }

    /// Whether the machine comes on with the mains.
    #[must_use]
    pub fn comes_on(&self) -> bool {
        match self.policy {
            Policy::AlwaysOff => false,
            Policy::Previous => self.was_on,
            Policy::AlwaysOn => true,
        }
    }

    /// What the next start of `node` does.
    #[must_use]
    pub fn next_boot(&self, node: &Node) -> Boot {
        if self.faults.has(Fault::IgnoredBootDevice) {
            return Boot::usual(node);
        }
        self.boot.next(node, Instant::now())
    }

    /// A start has done what [`next_boot`](Self::next_boot) said.
    pub fn booted(&mut self, boot: &Boot) {
        self.tries = match boot.kernel {
            true => Vec::new(),
            false => boot.order.clone(),
        };
        if !self.faults.has(Fault::IgnoredBootDevice) {
            self.boot.spend();
        }
    }

    /// Whether a machine that was started as `boot` says has to be made anew for its next start.
    #[must_use]
    pub fn outgrows(&self, boot: &Boot, node: &Node) -> bool {
        self.boot.waits(Instant::now()) || !boot.serves(&self.next_boot(node))
    }

    /// Whether the chassis shows itself now.
    #[must_use]
    pub fn identifies(&self) -> Identify {
        match self.identify {
            Identify::Until(end) if end <= Instant::now() => Identify::Off,
            other => other,
        }
    }

    /// How long the machine has had power, in minutes.
    #[must_use]
    pub fn minutes_on(&self) -> u64 {
        self.minutes_before + self.on_since.map_or(0, |on| on.elapsed().as_secs() / 60)
    }

    /// The machine starts again, for the reason that `cause` says (table 28-11). Its firmware
    /// stops the watchdog, which was meant for the system that ran before.
    pub fn restarts(&mut self, cause: u8) {
        self.restart_cause = cause;
        self.watchdog_armed = false;
    }

    /// Counts the present power-on in, and ends it.
    pub fn off(&mut self) {
        self.watchdog_armed = false;
        self.minutes_before = self.minutes_on();
        self.on_since = None;
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlwaysOff => "always-off",
            Self::Previous => "previous",
            Self::AlwaysOn => "always-on",
        })
    }
}
