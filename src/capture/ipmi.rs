//! RMCP datagrams in a few words (ASF 2.0, section 3.2; IPMI 2.0, section 13).

/// Commands of IPMI that clients send (appendix G): network function, command, name.
const COMMANDS: &[(u8, u8, &str)] = &[
    (0x00, 0x00, "Get Chassis Capabilities"),
    (0x00, 0x01, "Get Chassis Status"),
    (0x00, 0x02, "Chassis Control"),
    (0x00, 0x04, "Chassis Identify"),
    (0x00, 0x08, "Set System Boot Options"),
    (0x00, 0x09, "Get System Boot Options"),
    (0x04, 0x2d, "Get Sensor Reading"),
    (0x06, 0x01, "Get Device ID"),
    (0x06, 0x37, "Get System GUID"),
    (0x06, 0x38, "Get Channel Authentication Capabilities"),
    (0x06, 0x39, "Get Session Challenge"),
    (0x06, 0x3a, "Activate Session"),
    (0x06, 0x3b, "Set Session Privilege Level"),
    (0x06, 0x3c, "Close Session"),
    (0x06, 0x54, "Get Channel Cipher Suites"),
    (0x0a, 0x11, "Read FRU Data"),
    (0x0a, 0x23, "Get SDR"),
    (0x0a, 0x43, "Get SEL Entry"),
    (0x0c, 0x02, "Get LAN Configuration"),
];

/// Payloads of RMCP+ (table 13-16).
const PAYLOADS: &[(u8, &str)] = &[
    (0x01, "SOL"),
    (0x10, "Open Session"),
    (0x11, "Open Session answer"),
    (0x12, "RAKP 1"),
    (0x13, "RAKP 2"),
    (0x14, "RAKP 3"),
    (0x15, "RAKP 4"),
];

/// What a datagram says; none for what is no RMCP.
pub fn words(datagram: &[u8]) -> Option<String> {
    let [6, _, sequence, class, rest @ ..] = datagram else {
        return None;
    };
    // Bit 7 is an acknowledgement's.
    if class & 0x80 != 0 {
        return Some(format!("RMCP ack of {sequence}"));
    }
    match class & 0x1f {
        6 => Some(match rest.get(4) {
            Some(0x80) => "RMCP ping".to_owned(),
            Some(0x40) => "RMCP pong".to_owned(),
            Some(other) => format!("RMCP ASF message {other:#04x}"),
            None => "RMCP ASF".to_owned(),
        }),
        7 => Some(format!("RMCP {}", session(rest))),
        other => Some(format!("RMCP class {other}")),
    }
}

/// What is in a session's packet, from its authentication type on.
fn session(packet: &[u8]) -> String {
    match packet {
        [6, kind, ..] => {
            let (kind, encrypted) = (kind & 0x3f, kind & 0x80 != 0);
            if let Some((_, name)) = PAYLOADS.iter().find(|(known, _)| *known == kind) {
                return format!("IPMI 2.0 {name}");
            }
            match packet.get(12..) {
                Some(message) if !encrypted => format!("IPMI 2.0 {}", self::message(message)),
                _ => "IPMI 2.0, encrypted".to_owned(),
            }
        }
        [authentication, rest @ ..] => {
            // Sequence and session number, then the code of authentication, then the length.
            let code = if *authentication == 0 { 0 } else { 16 };
            let message = rest.get(8 + code + 1..).unwrap_or_default();
            format!("IPMI {}", self::message(message))
        }
        [] => "IPMI".to_owned(),
    }
}

/// What a message says (section 13.8).
fn message(message: &[u8]) -> String {
    let [_, function, _, _, _, command, rest @ ..] = message else {
        return "message".to_owned();
    };
    let function = function >> 2;
    let (asked, answer) = (function & !1, function & 1 == 1);
    let of = |known: &&(u8, u8, &str)| (known.0, known.1) == (asked, *command);
    let name = match COMMANDS.iter().find(of) {
        Some((_, _, name)) => (*name).to_owned(),
        None => format!("{asked:#04x} {command:#04x}"),
    };
    match (answer, rest.first()) {
        (true, Some(0)) => format!("{name}: ok"),
        (true, Some(code)) => format!("{name}: completion code {code:#04x}"),
        _ => name,
    }
}
