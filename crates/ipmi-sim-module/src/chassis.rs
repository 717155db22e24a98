//! IPMI bytes to questions for the node, its answers to IPMI bytes.
//!
//! Sections and tables are those of the IPMI specification 2.0, revision 1.1.
//! How a question travels is [`link`](crate::link)'s job; here it is a closure,
//! so that every command can be tested without a socket or an ipmi_sim.

use std::time::{Duration, Instant};

use crate::boot::BootOptions;
use crate::protocol::{
    Completion, Identify, Light, Policy, Power, Request, bytes, power_on_hours, restart_cause,
};

/// Network functions: the numbers of the request.
pub(crate) const CHASSIS: u8 = 0x00;
pub(crate) const APP: u8 = 0x06;

pub(crate) const TRANSPORT: u8 = 0x0c;

/// The commands answered here, as (network function, command).
pub(crate) const COMMANDS: [(u8, u8); 18] = [
    (CHASSIS, GET_CAPABILITIES),
    (CHASSIS, GET_STATUS),
    (CHASSIS, CONTROL),
    (CHASSIS, IDENTIFY),
    (CHASSIS, SET_RESTORE_POLICY),
    (CHASSIS, GET_RESTART_CAUSE),
    (CHASSIS, SET_BOOT_OPTIONS),
    (CHASSIS, GET_BOOT_OPTIONS),
    (CHASSIS, GET_POWER_ON_HOURS),
    (APP, GET_SYSTEM_GUID),
    (APP, GET_PAYLOAD_SUPPORT),
    (APP, COLD_RESET),
    (APP, WARM_RESET),
    (APP, GET_SELF_TEST_RESULTS),
    (TRANSPORT, SET_LAN_CONFIGURATION),
    (TRANSPORT, GET_LAN_CONFIGURATION),
    (TRANSPORT, SET_SOL_CONFIGURATION),
    (TRANSPORT, GET_SOL_CONFIGURATION),
];

const GET_CAPABILITIES: u8 = 0x00;
const GET_STATUS: u8 = 0x01;
const CONTROL: u8 = 0x02;
const IDENTIFY: u8 = 0x04;
const SET_RESTORE_POLICY: u8 = 0x06;
const GET_RESTART_CAUSE: u8 = 0x07;
const SET_BOOT_OPTIONS: u8 = 0x08;
const GET_BOOT_OPTIONS: u8 = 0x09;
const GET_POWER_ON_HOURS: u8 = 0x0f;
const GET_PAYLOAD_SUPPORT: u8 = 0x4e;

/// Commands that the node answers itself, byte for byte.
const COLD_RESET: u8 = 0x02;
const WARM_RESET: u8 = 0x03;
const GET_SELF_TEST_RESULTS: u8 = 0x04;
/// ipmi_sim answers it on the LAN itself, and only there.
const GET_SYSTEM_GUID: u8 = 0x37;
const SET_LAN_CONFIGURATION: u8 = 0x01;
const GET_LAN_CONFIGURATION: u8 = 0x02;
const SET_SOL_CONFIGURATION: u8 = 0x21;
const GET_SOL_CONFIGURATION: u8 = 0x22;

/// The address of the BMC on its IPMB; all of a lab node's devices are there.
const BMC_ADDRESS: u8 = 0x20;

/// The channel that lan.conf's `startlan 1` makes.
const LAN_CHANNEL: u8 = 1;
const PRESENT_CHANNEL: u8 = 0x0e;

/// A request as ipmi_sim hands it over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) netfn: u8,
    pub(crate) command: u8,
    /// The channel it came in on.
    pub(crate) channel: u8,
    /// Its session and its sequence number there, which a repeated request repeats.
    pub(crate) session: u32,
    pub(crate) sequence: u8,
    pub(crate) data: &'a [u8],
}

/// What the node answers: a payload, or why there is none.
pub(crate) type Answer = Result<String, Completion>;

/// The chassis device: the little that a BMC may forget when it restarts.
#[derive(Debug, Default)]
pub(crate) struct Chassis {
    boot: BootOptions,
    controlled: Option<Controlled>,
}

/// The last Chassis Control of a session, and what was answered.
///
/// A client whose answer was lost sends the same request again (section 6.12.4): it must not act
/// twice.
#[derive(Debug)]
struct Controlled {
    session: u32,
    sequence: u8,
    data: Vec<u8>,
    until: Instant,
    response: Vec<u8>,
}

/// How long clients repeat a request: ipmitool and freeipmi give up within 20 s. By then the six
/// bits of the sequence number may have come round in a busy session.
const REPEATED_WITHIN: Duration = Duration::from_secs(20);

impl Chassis {
    /// Returns the response to `message`, completion code first.
    ///
    /// `ask` puts a question to the node and is called at most once.
    pub(crate) fn respond(
        &mut self,
        message: Message<'_>,
        ask: impl FnOnce(Request<'_>) -> Answer,
    ) -> Vec<u8> {
        let is_control = (message.netfn, message.command) == (CHASSIS, CONTROL);
        if is_control && let Some(response) = self.repeated(message) {
            return response;
        }
        let response = match self.payload(message, ask) {
            Ok(mut payload) => {
                payload.insert(0, 0x00);
                payload
            }
            Err(Completion(code)) => vec![code],
        };
        if is_control {
            self.controlled = Some(Controlled {
                session: message.session,
                sequence: message.sequence,
                data: message.data.to_vec(),
                until: Instant::now() + REPEATED_WITHIN,
                response: response.clone(),
            });
        }
        response
    }

    /// What was answered to this very Chassis Control; only a session numbers its requests.
    fn repeated(&self, message: Message<'_>) -> Option<Vec<u8>> {
        let last = self.controlled.as_ref()?;
        let same = message.session != 0
            && (last.session, last.sequence) == (message.session, message.sequence)
            && last.data == message.data
            && Instant::now() < last.until;
        same.then(|| last.response.clone())
    }

    fn payload(
        &mut self,
        message: Message<'_>,
        ask: impl FnOnce(Request<'_>) -> Answer,
    ) -> Result<Vec<u8>, Completion> {
        let data = message.data;
        match (message.netfn, message.command) {
            (CHASSIS, GET_CAPABILITIES) => capabilities(data),
            (CHASSIS, GET_STATUS) => status(data, ask),
            (CHASSIS, CONTROL) => control(data, ask),
            (CHASSIS, IDENTIFY) => identify(data, ask),
            (CHASSIS, SET_RESTORE_POLICY) => restore_policy(data, ask),
            (CHASSIS, GET_RESTART_CAUSE) => {
                let [] = exactly(data)?;
                Ok(restart_cause(&ask(Request::RestartCause)?)?.to_vec())
            }
            (CHASSIS, SET_BOOT_OPTIONS) => self.boot.set(data, Instant::now(), ask),
            (CHASSIS, GET_BOOT_OPTIONS) => self.boot.get(data, Instant::now(), ask),
            (CHASSIS, GET_POWER_ON_HOURS) => {
                let [] = exactly(data)?;
                let (minutes, counter) = power_on_hours(&ask(Request::PowerOnHours)?)?;
                let [a, b, c, d] = counter.to_le_bytes();
                Ok(vec![minutes, a, b, c, d])
            }
            (APP, GET_PAYLOAD_SUPPORT) => payload_support(data, message.channel),
            (APP, COLD_RESET | WARM_RESET | GET_SELF_TEST_RESULTS | GET_SYSTEM_GUID)
            | (TRANSPORT, _) => bytes(&ask(Request::Ipmi(message))?),
            _ => Err(Completion::INVALID_COMMAND),
        }
    }
}

pub(crate) fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], Completion> {
    data.try_into().map_err(|_| Completion::LENGTH)
}

/// 28.1: a diagnostic interrupt (NMI) is provided; intrusion sensor, front
/// panel lockout and power interlock are not.
fn capabilities(data: &[u8]) -> Result<Vec<u8>, Completion> {
    let [] = exactly(data)?;
    let (fru, sdr, sel, system) = (BMC_ADDRESS, BMC_ADDRESS, BMC_ADDRESS, BMC_ADDRESS);
    Ok(vec![0x04, fru, sdr, sel, system])
}

/// 28.2. The optional fourth byte is left out: a node has no front panel.
fn status(data: &[u8], ask: impl FnOnce(Request<'_>) -> Answer) -> Result<Vec<u8>, Completion> {
    const IDENTIFY_SUPPORTED: u8 = 0x40;

    let [] = exactly(data)?;
    let status: crate::protocol::Status = ask(Request::Status)?.parse()?;
    let policy = match status.policy {
        Some(Policy::AlwaysOff) => 0b00,
        Some(Policy::Previous) => 0b01,
        Some(Policy::AlwaysOn) => 0b10,
        None => 0b11,
    };
    let light = match status.identify {
        Light::Off => 0b00,
        Light::Timed => 0b01,
        Light::Force => 0b10,
    };
    let power = u8::from(status.on) | policy << 5;
    Ok(vec![power, status.event, IDENTIFY_SUPPORTED | light << 4])
}

/// 28.3.
fn control(data: &[u8], ask: impl FnOnce(Request<'_>) -> Answer) -> Result<Vec<u8>, Completion> {
    let [byte] = exactly(data)?;
    let power = match byte & 0x0f {
        0 => Power::Off,
        1 => Power::On,
        2 => Power::Cycle,
        3 => Power::Reset,
        4 => Power::Diag,
        5 => Power::Soft,
        _ => return Err(Completion::INVALID_DATA),
    };
    ask(Request::Power(power))?;
    Ok(vec![])
}

/// 28.5: interval and force flag may both be missing.
fn identify(data: &[u8], ask: impl FnOnce(Request<'_>) -> Answer) -> Result<Vec<u8>, Completion> {
    const DEFAULT_SECONDS: u8 = 15;

    let identify = match *data {
        [_, force] if force & 0x01 != 0 => Identify::Force,
        [0] | [0, _] => Identify::Off,
        [seconds] | [seconds, _] => Identify::Seconds(seconds),
        [] => Identify::Seconds(DEFAULT_SECONDS),
        _ => return Err(Completion::LENGTH),
    };
    ask(Request::Identify(identify))?;
    Ok(vec![])
}

/// 28.8. Code 3 changes nothing and only asks which policies there are.
fn restore_policy(
    data: &[u8],
    ask: impl FnOnce(Request<'_>) -> Answer,
) -> Result<Vec<u8>, Completion> {
    const ALL_SUPPORTED: u8 = 0b111;

    let [byte] = exactly(data)?;
    let policy = match byte & 0x07 {
        0 => Policy::AlwaysOff,
        1 => Policy::Previous,
        2 => Policy::AlwaysOn,
        3 => return Ok(vec![ALL_SUPPORTED]),
        _ => return Err(Completion::INVALID_DATA),
    };
    ask(Request::Policy(policy))?;
    Ok(vec![ALL_SUPPORTED])
}

/// 24.8: IPMI messages and SOL, and the session set-up types 10h to 15h.
///
/// 2.0.33 looks a channel up in a table without looking whether it is there:
/// asked for "the present channel" it dies of a null pointer.
fn payload_support(data: &[u8], present: u8) -> Result<Vec<u8>, Completion> {
    let [byte] = exactly(data)?;
    let channel = match byte & 0x0f {
        PRESENT_CHANNEL => present,
        channel => channel,
    };
    if channel != LAN_CHANNEL {
        return Err(Completion::INVALID_DATA);
    }
    Ok(vec![0b0000_0011, 0, 0b0011_1111, 0, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{BOOT_FLAGS, INFO_ACKNOWLEDGE, SET_IN_PROGRESS, VALID_BIT_CLEARING};

    /// Sends one chassis command to a node that answers `answer`; returns the
    /// question and the response.
    fn send(chassis: &mut Chassis, command: u8, data: &[u8], answer: &str) -> (String, Vec<u8>) {
        let message = Message {
            netfn: CHASSIS,
            command,
            channel: LAN_CHANNEL,
            session: 0,
            sequence: 0,
            data,
        };
        let mut question = String::new();
        let response = chassis.respond(message, |request| {
            question = request.to_string();
            Ok(answer.to_owned())
        });
        (question, response)
    }

    fn once(command: u8, data: &[u8], answer: &str) -> (String, Vec<u8>) {
        send(&mut Chassis::default(), command, data, answer)
    }

    /// A command that must be answered without the node.
    fn alone(chassis: &mut Chassis, command: u8, data: &[u8]) -> Vec<u8> {
        let (question, response) = send(chassis, command, data, "");
        assert_eq!(question, "", "the node was asked");
        response
    }

    #[test]
    fn status_bits_are_those_of_table_28_3() {
        let (question, response) = once(
            GET_STATUS,
            &[],
            "on policy=always-on event=ipmi identify=force",
        );
        assert_eq!(question, "power status");
        assert_eq!(response, [0, 0x41, 0x10, 0x60]);
        assert_eq!(once(GET_STATUS, &[], "off").1, [0, 0x60, 0x00, 0x40]);
        assert_eq!(once(GET_STATUS, &[], "what?").1, [0xff]);
    }

    #[test]
    fn control_codes_become_words() {
        for (code, word) in ["off", "on", "cycle", "reset", "diag", "soft"]
            .iter()
            .enumerate()
        {
            let (question, response) = once(CONTROL, &[code as u8], "");
            assert_eq!(question, format!("power {word}"));
            assert_eq!(response, [0]);
        }
        let mut chassis = Chassis::default();
        assert_eq!(alone(&mut chassis, CONTROL, &[6]), [0xcc]);
        assert_eq!(alone(&mut chassis, CONTROL, &[]), [0xc7]);
        assert_eq!(alone(&mut chassis, CONTROL, &[1, 1]), [0xc7]);
    }

    #[test]
    fn the_nodes_completion_code_reaches_the_client() {
        let message = Message {
            netfn: CHASSIS,
            command: CONTROL,
            channel: 1,
            session: 0,
            sequence: 0,
            data: &[2],
        };
        let response = Chassis::default().respond(message, |_| Err(Completion(0xd5)));
        assert_eq!(response, [0xd5]);
    }

    #[test]
    fn a_repeated_request_of_a_session_acts_once() {
        let control = |chassis: &mut Chassis, session, sequence, code| {
            let message = Message {
                netfn: CHASSIS,
                command: CONTROL,
                channel: LAN_CHANNEL,
                session,
                sequence,
                data: &[code],
            };
            let mut asked = false;
            let response = chassis.respond(message, |_| {
                asked = true;
                Ok(String::new())
            });
            assert_eq!(response, [0]);
            asked
        };
        let mut chassis = Chassis::default();
        assert!(control(&mut chassis, 8, 3, 2));
        assert!(!control(&mut chassis, 8, 3, 2), "a cycle acted twice");
        assert!(control(&mut chassis, 8, 4, 2));
        assert!(control(&mut chassis, 6, 4, 2));
        assert!(control(&mut chassis, 6, 4, 0));
        // In band nothing is repeated, and nothing numbered.
        assert!(control(&mut chassis, 0, 0, 0));
        assert!(control(&mut chassis, 0, 0, 0));
    }

    #[test]
    fn identify_knows_its_default_force_and_off() {
        assert_eq!(once(IDENTIFY, &[], "").0, "identify 15");
        assert_eq!(once(IDENTIFY, &[5], "").0, "identify 5");
        assert_eq!(once(IDENTIFY, &[5, 0], "").0, "identify 5");
        assert_eq!(once(IDENTIFY, &[0, 1], "").0, "identify force");
        assert_eq!(once(IDENTIFY, &[0], "").0, "identify off");
        assert_eq!(
            once(IDENTIFY, &[0, 0], ""),
            ("identify off".to_owned(), vec![0])
        );
        assert_eq!(alone(&mut Chassis::default(), IDENTIFY, &[0, 0, 0]), [0xc7]);
    }

    #[test]
    fn policy_is_set_or_only_listed() {
        let (question, response) = once(SET_RESTORE_POLICY, &[2], "");
        assert_eq!(
            (question.as_str(), &response[..]),
            ("policy always-on", &[0, 7][..])
        );
        assert_eq!(
            alone(&mut Chassis::default(), SET_RESTORE_POLICY, &[3]),
            [0, 7]
        );
        assert_eq!(
            alone(&mut Chassis::default(), SET_RESTORE_POLICY, &[4]),
            [0xcc]
        );
    }

    #[test]
    fn counters_and_causes_are_passed_on() {
        assert_eq!(
            once(GET_POWER_ON_HOURS, &[], "60 258").1,
            [0, 60, 2, 1, 0, 0]
        );
        assert_eq!(once(GET_RESTART_CAUSE, &[], "01 01").1, [0, 1, 1]);
        assert_eq!(once(GET_RESTART_CAUSE, &[], "07").1, [0, 7, 0]);
    }

    #[test]
    fn boot_flags_go_through_untouched() {
        let mut chassis = Chassis::default();
        let set = [BOOT_FLAGS, 0xe0, 0x04, 0, 0, 0];
        let (question, response) = send(&mut chassis, SET_BOOT_OPTIONS, &set, "");
        assert_eq!(
            (question.as_str(), &response[..]),
            ("boot set e004000000", &[0][..])
        );
        let (question, response) = send(
            &mut chassis,
            GET_BOOT_OPTIONS,
            &[BOOT_FLAGS, 0, 0],
            "e004000000",
        );
        assert_eq!(question, "boot get");
        assert_eq!(response, [0, 1, 5, 0xe0, 0x04, 0, 0, 0]);
    }

    #[test]
    fn what_clears_the_boot_flags_is_the_nodes() {
        let mut chassis = Chassis::default();
        let set = [VALID_BIT_CLEARING, 0xe8];
        let (question, response) = send(&mut chassis, SET_BOOT_OPTIONS, &set, "");
        assert_eq!(
            (question.as_str(), &response[..]),
            ("boot clearing 08", &[0][..])
        );
        let get = [VALID_BIT_CLEARING, 0, 0];
        let (question, response) = send(&mut chassis, GET_BOOT_OPTIONS, &get, "1f");
        assert_eq!(question, "boot clearing");
        assert_eq!(response, [0, 1, 3, 0x1f]);
        let (_, response) = send(&mut chassis, GET_BOOT_OPTIONS, &get, "what?");
        assert_eq!(response, [0xff]);
    }

    #[test]
    fn a_locked_parameter_keeps_its_value_and_says_so() {
        let mut chassis = Chassis::default();
        assert_eq!(
            alone(&mut chassis, SET_BOOT_OPTIONS, &[0x80 | BOOT_FLAGS]),
            [0]
        );
        let (_, response) = send(
            &mut chassis,
            GET_BOOT_OPTIONS,
            &[BOOT_FLAGS, 0, 0],
            "8004000000",
        );
        assert_eq!(response[..3], [0, 1, 0x85]);
        assert_eq!(alone(&mut chassis, SET_BOOT_OPTIONS, &[BOOT_FLAGS]), [0]);
        let (_, response) = send(
            &mut chassis,
            GET_BOOT_OPTIONS,
            &[BOOT_FLAGS, 0, 0],
            "8004000000",
        );
        assert_eq!(response[..3], [0, 1, 0x05]);
    }

    #[test]
    fn the_handshake_parameters_are_kept_here() {
        let mut chassis = Chassis::default();
        let mut set = |data: &[u8]| alone(&mut chassis, SET_BOOT_OPTIONS, data);
        assert_eq!(set(&[SET_IN_PROGRESS, 1]), [0]);
        assert_eq!(set(&[SET_IN_PROGRESS, 1]), [0x81]);
        assert_eq!(set(&[SET_IN_PROGRESS, 3]), [0xcc]);
        assert_eq!(set(&[INFO_ACKNOWLEDGE, 0x03, 0x03]), [0]);
        assert_eq!(set(&[INFO_ACKNOWLEDGE, 0x01, 0x00]), [0]);
        let mut get = |parameter| alone(&mut chassis, GET_BOOT_OPTIONS, &[parameter, 0, 0]);
        assert_eq!(get(SET_IN_PROGRESS), [0, 1, 0, 1]);
        assert_eq!(get(INFO_ACKNOWLEDGE), [0, 1, 4, 0, 0x02]);
        assert_eq!(
            alone(&mut chassis, SET_BOOT_OPTIONS, &[SET_IN_PROGRESS, 0]),
            [0]
        );
        assert_eq!(
            alone(&mut chassis, SET_BOOT_OPTIONS, &[SET_IN_PROGRESS, 1]),
            [0]
        );
    }

    #[test]
    fn other_boot_parameters_are_unsupported_and_lengths_are_checked() {
        let mut chassis = Chassis::default();
        for parameter in [1, 2, 6, 7, 8, 0x7f] {
            assert_eq!(
                alone(&mut chassis, SET_BOOT_OPTIONS, &[parameter, 0]),
                [0x80]
            );
            assert_eq!(
                alone(&mut chassis, GET_BOOT_OPTIONS, &[parameter, 0, 0]),
                [0x80]
            );
        }
        assert_eq!(alone(&mut chassis, SET_BOOT_OPTIONS, &[]), [0xc7]);
        assert_eq!(
            alone(&mut chassis, SET_BOOT_OPTIONS, &[BOOT_FLAGS, 0xe0]),
            [0xc7]
        );
        assert_eq!(alone(&mut chassis, GET_BOOT_OPTIONS, &[BOOT_FLAGS]), [0xc7]);
    }

    #[test]
    fn payload_support_is_for_the_lan_channel_only() {
        let ask = |channel, data: &[u8]| {
            let message = Message {
                netfn: APP,
                command: GET_PAYLOAD_SUPPORT,
                channel,
                session: 0,
                sequence: 0,
                data,
            };
            Chassis::default().respond(message, |_| Err(Completion::UNSPECIFIED))
        };
        let supported = [0, 0x03, 0, 0x3f, 0, 0, 0, 0, 0];
        assert_eq!(ask(LAN_CHANNEL, &[0x01]), supported);
        assert_eq!(ask(LAN_CHANNEL, &[0x0e]), supported);
        assert_eq!(
            ask(0x0f, &[0x0e]),
            [0xcc],
            "the system interface has no payloads"
        );
        assert_eq!(ask(LAN_CHANNEL, &[0x07]), [0xcc]);
        assert_eq!(ask(LAN_CHANNEL, &[]), [0xc7]);
    }

    #[test]
    fn no_short_or_long_request_makes_a_panic() {
        let mut chassis = Chassis::default();
        for (netfn, command) in COMMANDS {
            for length in 0..20 {
                for fill in [0x00, 0x05, 0xff] {
                    let data = vec![fill; length];
                    let message = Message {
                        netfn,
                        command,
                        channel: 0xff,
                        session: 0,
                        sequence: 0,
                        data: &data,
                    };
                    let response = chassis.respond(message, |_| Ok(String::new()));
                    assert!((1..=10).contains(&response.len()));
                }
            }
        }
    }
}
