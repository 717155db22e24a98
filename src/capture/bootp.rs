//! DHCP messages in a few words (RFC 2131, section 2).

use std::net::Ipv4Addr;

/// Where the options begin: after BOOTP's fields and the magic cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Types of messages (RFC 2132, section 9.6).
const TYPES: [&str; 8] = [
    "Discover", "Offer", "Request", "Decline", "Ack", "Nak", "Release", "Inform",
];

/// What a DHCP message says; none for what is no DHCP message.
pub fn words(message: &[u8]) -> Option<String> {
    if message.get(236..OPTIONS)? != COOKIE {
        return None;
    }
    let options = message.get(OPTIONS..)?;
    let kind = usize::from(*option(options, 53)?.first()?);
    let kind = TYPES.get(kind.checked_sub(1)?)?;
    let mac: Vec<String> = message
        .get(28..34)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mac = mac.join(":");
    let given = address(message.get(16..20)?).filter(|given| !given.is_unspecified());
    let asked = option(options, 50).and_then(address);
    let mut words = match (given, asked) {
        (Some(given), _) => format!("DHCP {kind} {given} to {mac}"),
        (None, Some(asked)) => format!("DHCP {kind} {asked} from {mac}"),
        (None, None) => format!("DHCP {kind} from {mac}"),
    };
    if let Some(class) = option(options, 77).or_else(|| option(options, 60)) {
        words += &format!(", {}", text(class));
    }
    let file = option(options, 67).or_else(|| message.get(108..236));
    let file = file.map(text).unwrap_or_default();
    if !file.is_empty() {
        words += &format!(", boot {file}");
    }
    Some(words)
}

/// The value of an option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            // Padding.
            [0, rest @ ..] => options = rest,
            [code, length, rest @ ..] if *code != 255 => {
                let (value, after) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                options = after;
            }
            _ => return None,
        }
    }
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    Some(Ipv4Addr::from(bytes))
}

/// What is printable of a text up to its first zero.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let printable = bytes.iter().filter(|byte| (b' '..=b'~').contains(byte));
    printable.map(|byte| char::from(*byte)).collect()
}
