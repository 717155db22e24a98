//! The words that the module and the node exchange.
//!
//! One datagram per message, ASCII, no newline, over a `SOCK_SEQPACKET` pair.
//! The module asks, the node answers; one question is open at a time.
//!
//! ```text
//! question   <seq> <verb> [<argument>...]
//! answer     <seq> ok [<payload>]
//!            <seq> error <completion code, two hex digits>
//! ```
//!
//! `<seq>` is a decimal u32 that counts up and wraps; the answer repeats it.
//! An answer that comes too late is recognised by it and dropped. Words are
//! separated by one space.
//!
//! | verb | argument | payload of `ok` |
//! |---|---|---|
//! | `power status` | | `on` or `off`, then any of `policy=`, `event=`, `identify=`; see [`Status`] |
//! | `power` | `off` `on` `cycle` `reset` `diag` `soft` | |
//! | `identify` | seconds 1-255, `force`, or `off` | |
//! | `policy` | `always-off` `previous` `always-on` | |
//! | `restart-cause` | | the cause, two hex digits (IPMI 2.0 table 28-11), and optionally the channel, two hex digits |
//! | `poh` | | minutes per count (1-255) and the counter (u32), decimal; best `1 <minutes>`: freeipmi 1.6.10 shows `60 5` as 0 hours |
//! | `boot get` | | the five bytes of the boot flags, ten hex digits (table 28-14, parameter 5) |
//! | `boot set` | the same ten hex digits | |
//! | `boot clearing` | nothing, or parameter 3, two hex digits, to set it | without an argument: parameter 3, two hex digits |
//! | `ipmi` | network function, command and channel, two hex digits each, then the data in hex digits | the response in hex digits, without its completion code |
//! | `watchdog armed` | | |
//! | `watchdog status` | | `armed`, or `idle` when the machine has been switched or reset since |
//! | `watchdog` | `reset` `off` `cycle` `nmi`: it has run out, or is about to | `error d5` when it is idle |
//! | `sol` | `on` once a session has activated SOL, `off` once it has deactivated it | |
//!
//! A node that can't do what is asked answers `error`: `d5` not in this state
//! (a cycle of a node that is off), `cc` never, `c0` busy, `ff` unspecified.
//! The module itself answers `c3` for a node that is silent for 500 ms and
//! `ff` for one that is gone or talks nonsense. The question of a client that
//! was told `c3` may still be carried out: every verb must stand repeating.
//!
//! Numbers start again with every ipmi_sim, so each one gets a new socketpair.

use std::fmt;
use std::str::FromStr;

use crate::chassis::Message;
use crate::watchdog;

/// A completion code other than 00h, by the names of IPMI 2.0 table 5-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion(pub(crate) u8);

impl Completion {
    /// Boot options: the parameter is not supported (28.12).
    pub(crate) const PARAMETER_UNSUPPORTED: Self = Self(0x80);
    /// Boot options: another party has claimed the parameters (28.12).
    pub(crate) const SET_IN_PROGRESS: Self = Self(0x81);
    /// Invalid command.
    pub(crate) const INVALID_COMMAND: Self = Self(0xc1);
    /// Timeout while processing the command; the response is unavailable.
    pub(crate) const TIMEOUT: Self = Self(0xc3);
    /// Request data length invalid.
    pub(crate) const LENGTH: Self = Self(0xc7);
    /// Invalid data field in the request.
    pub(crate) const INVALID_DATA: Self = Self(0xcc);
    /// Unspecified error.
    pub(crate) const UNSPECIFIED: Self = Self(0xff);
}

/// What Chassis Control can ask for, in the order of its codes 0 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    Off,
    On,
    Cycle,
    Reset,
    Diag,
    Soft,
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Cycle => "cycle",
            Self::Reset => "reset",
            Self::Diag => "diag",
            Self::Soft => "soft",
        })
    }
}

/// How long the identify light is asked to shine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identify {
    Off,
    Seconds(u8),
    Force,
}

impl fmt::Display for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Seconds(seconds) => seconds.fmt(f),
            Self::Force => f.write_str("force"),
        }
    }
}

/// What the node does when mains power comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    AlwaysOff,
    Previous,
    AlwaysOn,
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

impl FromStr for Policy {
    type Err = Completion;

    fn from_str(word: &str) -> Result<Self, Completion> {
        match word {
            "always-off" => Ok(Self::AlwaysOff),
            "previous" => Ok(Self::Previous),
            "always-on" => Ok(Self::AlwaysOn),
            _ => Err(Completion::UNSPECIFIED),
        }
    }
}

/// The five bytes of boot options parameter 5 (IPMI 2.0 table 28-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootFlags(pub(crate) [u8; 5]);

impl fmt::Display for BootFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for BootFlags {
    type Err = Completion;

    fn from_str(word: &str) -> Result<Self, Completion> {
        // from_str_radix takes a sign: ten hex digits are checked for first.
        if word.len() != 10 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Completion::UNSPECIFIED);
        }
        let value = u64::from_str_radix(word, 16).map_err(|_| Completion::UNSPECIFIED)?;
        let [_, _, _, flags @ ..] = value.to_be_bytes();
        Ok(Self(flags))
    }
}

/// A question for the node; its `Display` is the wire text without the number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    Status,
    Power(Power),
    Identify(Identify),
    Policy(Policy),
    RestartCause,
    PowerOnHours,
    BootGet,
    BootSet(BootFlags),
    BootClearingGet,
    BootClearingSet(u8),
    Ipmi(Message<'a>),
    Watchdog(watchdog::Order),
    /// Whether a session has SOL.
    Sol(bool),
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("power status"),
            Self::Power(power) => write!(f, "power {power}"),
            Self::Identify(identify) => write!(f, "identify {identify}"),
            Self::Policy(policy) => write!(f, "policy {policy}"),
            Self::RestartCause => f.write_str("restart-cause"),
            Self::PowerOnHours => f.write_str("poh"),
            Self::BootGet => f.write_str("boot get"),
            Self::BootSet(flags) => write!(f, "boot set {flags}"),
            Self::BootClearingGet => f.write_str("boot clearing"),
            Self::BootClearingSet(bits) => write!(f, "boot clearing {bits:02x}"),
            Self::Ipmi(message) => {
                let (netfn, command) = (message.netfn, message.command);
                write!(f, "ipmi {netfn:02x} {command:02x} {:02x} ", message.channel)?;
                message
                    .data
                    .iter()
                    .try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Watchdog(order) => write!(f, "watchdog {order}"),
            Self::Sol(active) => f.write_str(if *active { "sol on" } else { "sol off" }),
        }
    }
}

/// Returns what `datagram` answers to question `seq`: the payload of its `ok`,
/// or its completion code. `None`: it answers an older question.
pub(crate) fn answer(seq: u32, datagram: &[u8]) -> Option<Result<&str, Completion>> {
    let garbled = Some(Err(Completion::UNSPECIFIED));
    let Ok(text) = std::str::from_utf8(datagram) else {
        return garbled;
    };
    let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
    match number.parse::<u32>() {
        Ok(number) if number == seq => {}
        Ok(_) => return None,
        Err(_) => return garbled,
    }
    let (word, payload) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "ok" => Some(Ok(payload)),
        "error" => match u8::from_str_radix(payload, 16) {
            // 00h would read as success, and reserved codes as anything.
            Ok(code) if code >= 0x80 => Some(Err(Completion(code))),
            _ => garbled,
        },
        _ => garbled,
    }
}

/// The payload of `power status`, as `on policy=always-on event=ipmi identify=off`.
///
/// - `policy=always-off|previous|always-on`; without it: unknown.
/// - `event=` how power last came or went: `none`, or a comma list of
///   `ac-failed` `overload` `interlock` `fault` `ipmi` (switched on by IPMI).
/// - `identify=off|timed|force`; without it: off.
///
/// A key that is not known is skipped, so that a newer node can say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) on: bool,
    pub(crate) policy: Option<Policy>,
    /// The bits of the last power event as Get Chassis Status wants them.
    pub(crate) event: u8,
    pub(crate) identify: Light,
}

/// The state of the identify light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Light {
    Off,
    Timed,
    Force,
}

impl FromStr for Status {
    type Err = Completion;

    fn from_str(payload: &str) -> Result<Self, Completion> {
        let mut words = payload.split_ascii_whitespace();
        let mut status = Self {
            on: match words.next() {
                Some("on") => true,
                Some("off") => false,
                _ => return Err(Completion::UNSPECIFIED),
            },
            policy: None,
            event: 0,
            identify: Light::Off,
        };
        for word in words {
            match word.split_once('=') {
                Some(("policy", policy)) => status.policy = Some(policy.parse()?),
                Some(("event", events)) => status.event = event_bits(events)?,
                Some(("identify", light)) => {
                    status.identify = match light {
                        "off" => Light::Off,
                        "timed" => Light::Timed,
                        "force" => Light::Force,
                        _ => return Err(Completion::UNSPECIFIED),
                    }
                }
                _ => {}
            }
        }
        Ok(status)
    }
}

fn event_bits(events: &str) -> Result<u8, Completion> {
    events.split(',').try_fold(0, |bits, event| {
        Ok(bits
            | match event {
                "none" => 0x00,
                "ac-failed" => 0x01,
                "overload" => 0x02,
                "interlock" => 0x04,
                "fault" => 0x08,
                "ipmi" => 0x10,
                _ => return Err(Completion::UNSPECIFIED),
            })
    })
}

/// Returns cause and channel from the payload of `restart-cause`.
///
/// Without a channel it is 0, as for a restart that no IPMI command caused.
pub(crate) fn restart_cause(payload: &str) -> Result<[u8; 2], Completion> {
    let byte = |word| u8::from_str_radix(word, 16).map_err(|_| Completion::UNSPECIFIED);
    let (cause, channel) = payload.split_once(' ').unwrap_or((payload, "0"));
    Ok([byte(cause)?, byte(channel)?])
}

/// Returns the bytes that a payload of hex digits says.
pub(crate) fn bytes(payload: &str) -> Result<Vec<u8>, Completion> {
    let digits = payload.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Completion::UNSPECIFIED);
    }
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.ok_or(Completion::UNSPECIFIED)
}

/// Returns minutes per count and the counter from the payload of `poh`.
pub(crate) fn power_on_hours(payload: &str) -> Result<(u8, u32), Completion> {
    let (minutes, counter) = payload.split_once(' ').ok_or(Completion::UNSPECIFIED)?;
    match (minutes.parse(), counter.parse()) {
        // Readers multiply by the minutes and divide by 60: 0 means nothing.
        (Ok(minutes), Ok(counter)) if minutes != 0 => Ok((minutes, counter)),
        _ => Err(Completion::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_the_protocol_says() {
        let text = |request: Request<'_>| request.to_string();
        assert_eq!(text(Request::Status), "power status");
        assert_eq!(text(Request::Power(Power::Cycle)), "power cycle");
        assert_eq!(
            text(Request::Identify(Identify::Seconds(15))),
            "identify 15"
        );
        assert_eq!(text(Request::Identify(Identify::Force)), "identify force");
        assert_eq!(text(Request::Identify(Identify::Off)), "identify off");
        assert_eq!(text(Request::Policy(Policy::Previous)), "policy previous");
        assert_eq!(text(Request::BootGet), "boot get");
        let flags = BootFlags([0xe0, 0x04, 0, 0, 0]);
        assert_eq!(text(Request::BootSet(flags)), "boot set e004000000");
        assert_eq!(text(Request::BootClearingGet), "boot clearing");
        assert_eq!(text(Request::BootClearingSet(8)), "boot clearing 08");
    }

    #[test]
    fn an_answer_to_an_older_question_is_no_answer() {
        assert_eq!(answer(8, b"7 ok on"), None);
        assert_eq!(
            answer(8, b"8 ok on identify=off"),
            Some(Ok("on identify=off"))
        );
        assert_eq!(answer(8, b"8 ok"), Some(Ok("")));
    }

    #[test]
    fn an_error_carries_its_completion_code_but_never_success() {
        assert_eq!(answer(1, b"1 error d5"), Some(Err(Completion(0xd5))));
        for nonsense in [
            "1 error 00",
            "1 error",
            "1 error zz",
            "1",
            "1 yes",
            "",
            "x ok",
            "-1 ok",
        ] {
            let found = answer(1, nonsense.as_bytes());
            assert_eq!(found, Some(Err(Completion::UNSPECIFIED)), "{nonsense:?}");
        }
        assert_eq!(answer(1, &[0xff, 0xfe]), Some(Err(Completion::UNSPECIFIED)));
    }

    #[test]
    fn status_takes_what_it_knows_and_skips_what_it_does_not() {
        let full = "on policy=previous event=ac-failed,ipmi identify=timed fan=slow";
        assert_eq!(
            full.parse(),
            Ok(Status {
                on: true,
                policy: Some(Policy::Previous),
                event: 0x11,
                identify: Light::Timed
            })
        );
        let bare = Status {
            on: false,
            policy: None,
            event: 0,
            identify: Light::Off,
        };
        assert_eq!("off".parse(), Ok(bare));
        for nonsense in [
            "",
            "maybe",
            "on policy=never",
            "on event=",
            "on identify=blink",
        ] {
            assert_eq!(
                nonsense.parse::<Status>(),
                Err(Completion::UNSPECIFIED),
                "{nonsense:?}"
            );
        }
    }

    #[test]
    fn boot_flags_are_ten_hex_digits_and_nothing_else() {
        assert_eq!("e004000001".parse(), Ok(BootFlags([0xe0, 0x04, 0, 0, 1])));
        for nonsense in ["", "e0", "+004000001", "e004000001 ", "g004000001"] {
            assert!(nonsense.parse::<BootFlags>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn small_payloads_are_read_or_refused() {
        assert_eq!(restart_cause("0b"), Ok([0x0b, 0]));
        assert_eq!(restart_cause("01 0f"), Ok([0x01, 0x0f]));
        assert!(restart_cause("").is_err());
        assert_eq!(bytes("01ff"), Ok(vec![0x01, 0xff]));
        assert_eq!(bytes(""), Ok(vec![]));
        assert!(bytes("01f").is_err() && bytes("+1").is_err());
        assert_eq!(power_on_hours("60 1234"), Ok((60, 1234)));
        for nonsense in ["", "60", "0 5", "256 1", "60 4294967296"] {
            assert!(power_on_hours(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
