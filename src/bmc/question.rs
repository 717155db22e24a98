//! What the module in ipmi_sim's process asks, as it spells it: a line of words.
//!
//! `crates/ipmi-sim-module/src/protocol.rs` says them all; [`control`](super::control) answers.

use std::time::Duration;

use crate::node::Order;
use crate::node::chassis::Policy;

/// Completion codes of IPMI 2.0, table 5-2.
const INVALID_COMMAND: u8 = 0xc1;
const INVALID_DATA: u8 = 0xcc;

/// One question, or order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Get Chassis Status (section 28.2).
    Status,
    /// Chassis Control (section 28.3).
    Power(Order),
    /// What the watchdog does, or whether it is armed.
    Watchdog(Watchdog),
    /// Chassis Identify (section 28.5).
    Identify(Light),
    /// Set Power Restore Policy (section 28.8).
    SetPolicy(Policy),
    /// Get System Restart Cause (section 28.11).
    RestartCause,
    /// Get POH Counter (section 28.14).
    PowerOnHours,
    /// Get System Boot Options, parameter 5, boot flags (section 28.13).
    BootFlags,
    /// Set System Boot Options, parameter 5 (section 28.12).
    SetBootFlags([u8; 5]),
    /// Get System Boot Options, parameter 3, boot flag valid bit clearing.
    BootClearing,
    /// Set System Boot Options, parameter 3.
    SetBootClearing(u8),
    /// Somebody activates SOL, or deactivates it (sections 24.1 and 24.2).
    Sol(bool),
    /// A command that the module passes on as it is.
    Ipmi {
        /// Network function and command (appendix G).
        command: (u8, u8),
        /// The channel that it came over.
        channel: u8,
        /// What stands behind the command.
        data: Vec<u8>,
    },
}

/// What the module's watchdog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// It counts, for the machine that runs now.
    Armed,
    /// It asks whether it does.
    Status,
    /// It has timed out: this is its action (section 27.6).
    Acts(Order),
}

/// For how long the identify light is to shine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Not at all.
    Off,
    /// So long.
    For(Duration),
    /// Until it is switched off.
    On,
}

impl Question {
    /// Reads the words of a question.
    ///
    /// # Errors
    /// The completion code of one that is not known, or makes no sense.
    pub fn read(line: &str) -> Result<Self, u8> {
        let mut words = line.split(' ');
        let (verb, argument) = (words.next().unwrap_or_default(), words.next());
        match (verb, argument) {
            ("power", Some("status")) => Ok(Self::Status),
            ("power", Some(order)) => power(order).map(Self::Power),
            ("watchdog", Some(word)) => watchdog(word).map(Self::Watchdog),
            ("identify", Some(time)) => light(time).map(Self::Identify),
            ("policy", Some(word)) => policy(word).map(Self::SetPolicy),
            ("restart-cause", None) => Ok(Self::RestartCause),
            ("poh", None) => Ok(Self::PowerOnHours),
            ("boot", Some("get")) => Ok(Self::BootFlags),
            ("boot", Some("set")) => {
                let bytes = words.next().and_then(from_hex).ok_or(INVALID_DATA)?;
                let flags = bytes.try_into().map_err(|_| INVALID_DATA)?;
                Ok(Self::SetBootFlags(flags))
            }
            ("boot", Some("clearing")) => match words.next() {
                None => Ok(Self::BootClearing),
                Some(bits) => byte(bits).map(Self::SetBootClearing).ok_or(INVALID_DATA),
            },
            ("sol", Some("on")) => Ok(Self::Sol(true)),
            ("sol", Some("off")) => Ok(Self::Sol(false)),
            ("ipmi", Some(function)) => {
                let mut next = || words.next();
                let numbers = (byte(function), next().and_then(byte), next().and_then(byte));
                let data = next().and_then(from_hex);
                let ((Some(function), Some(command), Some(channel)), Some(data)) = (numbers, data)
                else {
                    return Err(INVALID_DATA);
                };
                Ok(Self::Ipmi {
                    command: (function, command),
                    channel,
                    data,
                })
            }
            _ => Err(INVALID_COMMAND),
        }
    }
}

fn power(word: &str) -> Result<Order, u8> {
    match word {
        "on" => Ok(Order::On),
        "off" => Ok(Order::Off),
        "cycle" => Ok(Order::Cycle),
        "reset" => Ok(Order::Reset),
        "diag" => Ok(Order::Diag),
        "soft" => Ok(Order::Soft),
        _ => Err(INVALID_COMMAND),
    }
}

fn watchdog(word: &str) -> Result<Watchdog, u8> {
    match word {
        "armed" => Ok(Watchdog::Armed),
        "status" => Ok(Watchdog::Status),
        "nmi" => Ok(Watchdog::Acts(Order::Diag)),
        "reset" | "off" | "cycle" => power(word).map(Watchdog::Acts),
        _ => Err(INVALID_COMMAND),
    }
}

fn light(time: &str) -> Result<Light, u8> {
    match time {
        "off" => Ok(Light::Off),
        "force" => Ok(Light::On),
        seconds => {
            let seconds: u8 = seconds.parse().map_err(|_| INVALID_DATA)?;
            Ok(Light::For(Duration::from_secs(seconds.into())))
        }
    }
}

fn policy(word: &str) -> Result<Policy, u8> {
    match word {
        "always-off" => Ok(Policy::AlwaysOff),
        "previous" => Ok(Policy::Previous),
        "always-on" => Ok(Policy::AlwaysOn),
        _ => Err(INVALID_DATA),
    }
}

fn byte(digits: &str) -> Option<u8> {
    u8::from_str_radix(digits, 16).ok()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| byte(std::str::from_utf8(pair).ok()?))
        .collect()
}
