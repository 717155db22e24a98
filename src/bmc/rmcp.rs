//! RMCP packets as far as the front reads and writes them: requests outside of any session
//! (IPMI 2.0, sections 13.1 to 13.24).

use super::parameters::{LAN_CHANNEL, check_channel};

/// The port-independent beginning: RMCP version 1.0, no acknowledge, class IPMI (section 13.1.3).
const RMCP: [u8; 4] = [0x06, 0x00, 0xff, 0x07];

/// The authentication type that says RMCP+ (table 13-8).
const RMCP_PLUS: u8 = 0x06;

/// Payload types (table 13-16).
const IPMI_MESSAGE: u8 = 0x00;
const OPEN_SESSION_REQUEST: u8 = 0x10;
const OPEN_SESSION_RESPONSE: u8 = 0x11;
const RAKP_1: u8 = 0x12;
const RAKP_2: u8 = 0x13;

/// How long a header is: RMCP's and that of an IPMI 1.5 or 2.0 session without authentication.
const HEADER_1_5: usize = 14;
const HEADER_2_0: usize = 16;

/// The network function of application requests, and its commands that need no session.
const APP: u8 = 0x06;
const GET_SESSION_CHALLENGE: u8 = 0x39;
const GET_CHANNEL_CIPHER_SUITES: u8 = 0x54;

/// Status codes of RMCP+ (table 13-15).
const INSUFFICIENT_RESOURCES: u8 = 0x01;
const UNAUTHORIZED_PRIVILEGE: u8 = 0x09;
const NO_CIPHER_SUITE: u8 = 0x11;

/// Completion code: out of space (table 5-2); stock ipmi_sim says it for a full session table.
const OUT_OF_SPACE: u8 = 0xc4;

/// A cipher suite: its number, and its algorithms for authentication, integrity and
/// confidentiality (table 22-19).
type Suite = (u8, [u8; 3]);

/// The cipher suites that the BMC offers: RAKP-HMAC-SHA1 with more and more beside it.
///
/// Suite 0 authenticates nobody. Suites 6 to 14 are of MD5 or RC4, and 17 is
/// unknown to ipmi_sim 2.0.33.
const SUITES: [Suite; 3] = [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1])];

/// What a datagram is to the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Get Channel Cipher Suites outside of a session (section 22.15).
    CipherSuites(Request<'a>),
    /// Get Session Challenge: the beginning of an IPMI 1.5 session (section 22.16).
    Challenge(Request<'a>),
    /// Open Session: the beginning of an RMCP+ session (section 13.17).
    Open(OpenSession),
    /// RAKP Message 1: who wants which privilege level in a session that is being opened
    /// (section 13.20).
    Rakp1(Rakp1<'a>),
    /// Part of an IPMI 1.5 session, and says that it is authenticated by nothing.
    Unauthenticated,
    /// Anything else.
    Other,
}

/// A request outside of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Whether it came as RMCP+ packs it.
    plus: bool,
    /// Address, sequence number and unit of who asks, which go back.
    requester: u8,
    sequence_and_unit: u8,
    command: u8,
    data: &'a [u8],
}

/// An Open Session request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    tag: u8,
    console: [u8; 4],
    algorithms: [u8; 3],
}

/// A RAKP Message 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp1<'a> {
    tag: u8,
    /// The BMC's number of the session.
    pub session: [u8; 4],
    /// The privilege level that is asked for (table 13-11).
    pub level: u8,
    /// The user's name.
    pub user: &'a [u8],
}

/// Reads a datagram of a client; never fails, for what it does not know is for ipmi_sim to judge.
#[must_use]
pub fn read(datagram: &[u8]) -> Packet<'_> {
    if datagram.get(..4) != Some(&RMCP) {
        return Packet::Other;
    }
    if datagram.get(4) == Some(&RMCP_PLUS) {
        return read_2_0(datagram).unwrap_or(Packet::Other);
    }
    read_1_5(datagram).unwrap_or(Packet::Other)
}

fn read_1_5(datagram: &[u8]) -> Option<Packet<'_>> {
    const NO_AUTHENTICATION: u8 = 0;

    if *datagram.get(4)? != NO_AUTHENTICATION {
        return None;
    }
    if datagram.get(9..13)? != [0; 4] {
        return Some(Packet::Unauthenticated);
    }
    let length = usize::from(*datagram.get(13)?);
    message(datagram.get(HEADER_1_5..HEADER_1_5 + length)?, false)
}

fn read_2_0(datagram: &[u8]) -> Option<Packet<'_>> {
    let (payload_type, session) = (*datagram.get(5)?, datagram.get(6..10)?);
    let length = u16::from_le_bytes(datagram.get(14..16)?.try_into().ok()?);
    let payload = datagram.get(HEADER_2_0..HEADER_2_0 + usize::from(length))?;
    match payload_type {
        IPMI_MESSAGE if session == [0; 4] => message(payload, true),
        OPEN_SESSION_REQUEST => Some(Packet::Open(OpenSession {
            tag: *payload.first()?,
            console: payload.get(4..8)?.try_into().ok()?,
            algorithms: [
                algorithm(payload, 8, 0)?,
                algorithm(payload, 16, 1)?,
                algorithm(payload, 24, 2)?,
            ],
        })),
        RAKP_1 => Some(Packet::Rakp1(Rakp1 {
            tag: *payload.first()?,
            session: payload.get(4..8)?.try_into().ok()?,
            level: payload.get(24)? & 0x0f,
            user: payload.get(28..28 + usize::from(*payload.get(27)?))?,
        })),
        _ => None,
    }
}

/// The algorithm of one of the three payloads of table 13-9, each of eight bytes.
fn algorithm(payload: &[u8], at: usize, kind: u8) -> Option<u8> {
    let [found, _, _, length, algorithm, ..] = payload.get(at..at + 8)? else {
        return None;
    };
    // A length of zero leaves the choice to the BMC, which then takes its best.
    match (*found == kind, *length) {
        (false, _) => None,
        (true, 0) => Some(1),
        (true, _) => Some(algorithm & 0x3f),
    }
}

/// Reads an IPMI message (table 13-8, from the responder's address on).
fn message(message: &[u8], plus: bool) -> Option<Packet<'_>> {
    let [
        _,
        function,
        _,
        requester,
        sequence_and_unit,
        command,
        data @ ..,
        _,
    ] = message
    else {
        return None;
    };
    let request = Request {
        plus,
        requester: *requester,
        sequence_and_unit: *sequence_and_unit,
        command: *command,
        data,
    };
    match (function >> 2, *command) {
        (APP, GET_CHANNEL_CIPHER_SUITES) => Some(Packet::CipherSuites(request)),
        (APP, GET_SESSION_CHALLENGE) => Some(Packet::Challenge(request)),
        _ => None,
    }
}

impl Request<'_> {
    /// The answer to Get Channel Cipher Suites: the list's part that was asked for.
    #[must_use]
    pub fn cipher_suites(&self) -> Vec<u8> {
        match cipher_suites(LAN_CHANNEL, self.data) {
            Ok(answer) => self.answer(&[&[0x00][..], &answer].concat()),
            Err(code) => self.answer(&[code]),
        }
    }

    /// The answer of a BMC that has no room for another session.
    #[must_use]
    pub fn no_session_left(&self) -> Vec<u8> {
        self.answer(&[OUT_OF_SPACE])
    }

    fn answer(&self, data: &[u8]) -> Vec<u8> {
        const BMC: u8 = 0x20;
        const APP_RESPONSE: u8 = (APP + 1) << 2;

        let unit = self.sequence_and_unit & 0x03;
        let head = [self.requester, APP_RESPONSE | unit];
        let mut body = vec![BMC, self.sequence_and_unit & !0x03, self.command];
        body.extend(data);
        let mut message = [&head[..], &[checksum(&head)], &body].concat();
        message.push(checksum(&body));
        match self.plus {
            true => packed(IPMI_MESSAGE, &message),
            false => {
                let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
                let session = [0, 0, 0, 0, 0, 0, 0, 0, 0, length];
                [&RMCP[..], &session, &message].concat()
            }
        }
    }
}

impl OpenSession {
    /// Whether the BMC offers the cipher suite that is asked for.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        SUITES.iter().any(|(_, suite)| *suite == self.algorithms)
    }

    /// The answer to a client whose cipher suite is not offered.
    #[must_use]
    pub fn no_cipher_suite(&self) -> Vec<u8> {
        self.refusal(NO_CIPHER_SUITE)
    }

    /// The answer of a BMC that has no room for another session.
    #[must_use]
    pub fn no_session_left(&self) -> Vec<u8> {
        self.refusal(INSUFFICIENT_RESOURCES)
    }

    /// Table 13-10: a response that is no success ends after the console's session number.
    fn refusal(&self, status: u8) -> Vec<u8> {
        let payload = [&[self.tag, status, 0, 0][..], &self.console].concat();
        packed(OPEN_SESSION_RESPONSE, &payload)
    }
}

impl Rakp1<'_> {
    /// The answer to a user who may not have the level that was asked for; `console` is the
    /// client's number of the session.
    #[must_use]
    pub fn too_high(&self, console: [u8; 4]) -> Vec<u8> {
        let payload = [&[self.tag, UNAUTHORIZED_PRIVILEGE, 0, 0][..], &console].concat();
        packed(RAKP_2, &payload)
    }
}

/// The numbers of a session that ipmi_sim has just agreed to open: its own, and the client's.
#[must_use]
pub fn opened(datagram: &[u8]) -> Option<([u8; 4], [u8; 4])> {
    let payload = open_session_response(datagram)?;
    let number = |at: usize| payload.get(at..at + 4)?.try_into().ok();
    Some((number(8)?, number(4)?))
}

/// The payload of an Open Session response that is a success.
fn open_session_response(datagram: &[u8]) -> Option<&[u8]> {
    let is_response = datagram.get(..4) == Some(&RMCP)
        && datagram.get(4) == Some(&RMCP_PLUS)
        && datagram.get(5) == Some(&OPEN_SESSION_RESPONSE);
    let payload = datagram.get(HEADER_2_0..).filter(|_| is_response)?;
    (payload.get(1) == Some(&0)).then_some(payload)
}

/// Answers Get Channel Cipher Suites that came in on `channel`, without the completion code.
///
/// # Errors
/// The completion code.
pub fn cipher_suites(channel: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
    const LENGTH_INVALID: u8 = 0xc7;
    /// So many bytes of the list go into one answer.
    const PART: usize = 16;

    let &[about, _payload_type, index] = data else {
        return Err(LENGTH_INVALID);
    };
    check_channel(about, channel)?;
    let list = match index & 0x80 {
        0 => algorithms(),
        _ => records(),
    };
    let part = list.chunks(PART).nth(usize::from(index & 0x3f));
    Ok([&[LAN_CHANNEL], part.unwrap_or_default()].concat())
}

/// The numbers of the cipher suites that the BMC offers.
#[must_use]
pub fn suite_numbers() -> Vec<u8> {
    SUITES.iter().map(|(number, _)| *number).collect()
}

/// All records of the cipher suites (table 22-18).
fn records() -> Vec<u8> {
    const STANDARD: u8 = 0xc0;
    const INTEGRITY: u8 = 0x40;
    const CONFIDENTIALITY: u8 = 0x80;

    let record = |(number, [authentication, integrity, confidentiality]): Suite| {
        [
            STANDARD,
            number,
            authentication,
            INTEGRITY | integrity,
            CONFIDENTIALITY | confidentiality,
        ]
    };
    SUITES.into_iter().flat_map(record).collect()
}

/// The algorithms, each once, instead of the suites that they make.
fn algorithms() -> Vec<u8> {
    vec![0x01, 0x40, 0x41, 0x80, 0x81]
}

/// A payload in an RMCP+ packet outside of any session.
fn packed(payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let session = [RMCP_PLUS, payload_type, 0, 0, 0, 0, 0, 0, 0, 0];
    [&RMCP[..], &session, &length.to_le_bytes(), payload].concat()
}

/// The two's complement of the sum (section 13.8).
fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}
