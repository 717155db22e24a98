//! What options hold, and how dnsmasq guesses it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::argument::Argument;
use crate::option_table::Kind;
use crate::value::with_unit;
use crate::{Domain, Seconds, Text, ValueError, quote};

const VALUE: &str = "an option's value";

/// How many bytes a number takes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `1b`: one byte.
    Byte,
    /// `1s`: two bytes.
    Short,
    /// `1i`: four bytes.
    Int,
}

impl Width {
    fn suffix(self) -> char {
        match self {
            Self::Byte => 'b',
            Self::Short => 's',
            Self::Int => 'i',
        }
    }

    fn bytes(self) -> u8 {
        match self {
            Self::Byte => 1,
            Self::Short => 2,
            Self::Int => 4,
        }
    }
}

/// What an option holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Nothing; for some options it means "do not send the default" (`option:router`).
    Empty,
    /// IPv4 addresses.
    Addresses(Vec<Ipv4Addr>),
    /// IPv6 addresses; `::` stands for this machine's own.
    Addresses6(Vec<Ipv6Addr>),
    /// A number; without a width it takes what the option is known to have, or the fewest bytes.
    Number(i64, Option<Width>),
    /// Seconds.
    Time(Seconds),
    /// Bytes, 2 or more (`01:ff`).
    Bytes(Vec<u8>),
    /// Text.
    Text(Text),
    /// Pieces of text (DHCPv6 `bootfile-param`).
    Strings(Vec<Text>),
    /// Domains in DNS format.
    Domains(Vec<Domain>),
}

impl OptionValue {
    /// One byte, `1b`.
    pub fn byte(number: u8) -> Self {
        Self::Number(number.into(), Some(Width::Byte))
    }

    pub(crate) fn write(&self) -> Option<String> {
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
        Some(match self {
            Self::Empty => return None,
            Self::Addresses(addresses) => list(&mut addresses.iter().map(Ipv4Addr::to_string)),
            Self::Addresses6(addresses) => {
                list(&mut addresses.iter().map(|address| format!("[{address}]")))
            }
            Self::Number(number, None) => number.to_string(),
            Self::Number(number, Some(width)) => format!("{number}{}", width.suffix()),
            Self::Time(seconds) => seconds.to_string(),
            Self::Bytes(bytes) => quote::hex(bytes),
            Self::Text(text) => quote::text_not_number(text.as_str()),
            Self::Strings(texts) => list(
                &mut texts
                    .iter()
                    .map(|text| quote::text_not_number(text.as_str())),
            ),
            Self::Domains(domains) => list(
                &mut domains
                    .iter()
                    .map(|domain| quote::text_not_number(domain.as_str())),
            ),
        })
    }

    /// Says why the value cannot be held by an option of this kind.
    pub(crate) fn misfit(&self, kind: Kind, v6: bool) -> Option<&'static str> {
        // dnsmasq 2.90 looks for a width (`5s`) before it looks at the option, and cuts the letter off.
        let first = match self {
            Self::Text(text) => text.as_str(),
            Self::Strings(texts) if texts.len() == 1 => texts.first().map_or("", Text::as_str),
            Self::Domains(domains) if domains.len() == 1 => {
                domains.first().map_or("", Domain::as_str)
            }
            _ => "",
        };
        if matches!(first.trim_start_matches('-'), "s" | "i") {
            return Some("dnsmasq takes the letter for a number's width and drops it");
        }
        match (self, kind) {
            (Self::Empty, _) => None,
            (Self::Addresses(list), _) if list.is_empty() => {
                Some("the list is empty; use `OptionValue::Empty`")
            }
            (Self::Addresses6(list), _) if list.is_empty() => {
                Some("the list is empty; use `OptionValue::Empty`")
            }
            (Self::Domains(list), _) if list.is_empty() => {
                Some("the list is empty; use `OptionValue::Empty`")
            }
            (Self::Strings(list), _) if list.is_empty() => {
                Some("the list is empty; use `OptionValue::Empty`")
            }
            (Self::Addresses(_), Kind::Addresses | Kind::AddressesOrDomains | Kind::Any) if !v6 => {
                None
            }
            (Self::Addresses6(_), Kind::Addresses | Kind::Any) if v6 => None,
            (Self::Number(number, width), Kind::Number(_) | Kind::Any) => {
                let known = match kind {
                    Kind::Number(bytes) => Some(bytes),
                    _ => None,
                };
                if width.is_some_and(|width| known.is_some_and(|bytes| bytes != width.bytes())) {
                    return Some("the option has another width; leave the width out");
                }
                let bits = 8 * width.map(Width::bytes).or(known).unwrap_or(4);
                let fits = (-(1i64 << (bits - 1))..(1i64 << bits)).contains(number);
                (!fits).then_some("the number is too big for its width")
            }
            (Self::Time(_), Kind::Time) => None,
            (Self::Bytes(bytes), Kind::Number(_) | Kind::Any) => (bytes.len() < 2)
                .then_some("one byte is a number, not bytes; use `OptionValue::byte`"),
            (Self::Text(_), Kind::Text | Kind::Any) => None,
            (Self::Strings(_), Kind::Strings) => None,
            (Self::Domains(_), Kind::Domains | Kind::AddressesOrDomains) => None,
            (_, Kind::Addresses) if v6 => Some("the option holds IPv6 addresses, `[fd00::1]`"),
            (_, Kind::Addresses) => Some("the option holds IPv4 addresses, `192.168.25.1`"),
            (_, Kind::AddressesOrDomains) => Some("the option holds addresses or domains"),
            (_, Kind::Text) => Some("the option holds text"),
            (_, Kind::Strings) => Some("the option holds pieces of text"),
            (_, Kind::Domains) => Some("the option holds domains"),
            (_, Kind::Time) => Some("the option holds seconds"),
            (_, Kind::Number(_)) => Some("the option holds a number"),
            (_, Kind::Any) if v6 => {
                Some("the option holds IPv6 addresses, a number, bytes or text")
            }
            (_, Kind::Any) => Some("the option holds IPv4 addresses, a number, bytes or text"),
        }
    }

    /// Returns the most bytes that the value takes on the wire.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Addresses(list) => 4 * list.len(),
            Self::Addresses6(list) => 16 * list.len(),
            Self::Number(..) | Self::Time(_) => 4,
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.as_str().len(),
            Self::Strings(list) => list.iter().map(|text| text.as_str().len() + 2).sum(),
            Self::Domains(list) => list.iter().map(|domain| domain.as_str().len() + 2).sum(),
        }
    }

    /// Reads the value of an option of this kind.
    pub(crate) fn read(raw: &str, kind: Kind, v6: bool) -> Result<Self, ValueError> {
        let number_or_bytes = || match raw.contains(':') {
            true => quote::parse_hex(raw).map(Self::Bytes),
            false => read_number(raw),
        };
        match kind {
            Kind::Text => Text::read(raw).map(Self::Text),
            Kind::Strings => quote::fields(raw)
                .map(Text::read)
                .collect::<Result<_, _>>()
                .map(Self::Strings),
            Kind::Domains => read_domains(raw),
            Kind::Time => match with_unit(raw) {
                Some(seconds) => Seconds::new(seconds).map(Self::Time),
                None => Err(ValueError::new(
                    VALUE,
                    raw,
                    "the option holds a time: `3600`, `1h`",
                )),
            },
            Kind::Addresses => read_addresses(raw, v6),
            Kind::AddressesOrDomains => read_addresses(raw, v6).or_else(|_| read_domains(raw)),
            Kind::Number(_) => number_or_bytes(),
            // From here on dnsmasq guesses, and so must we.
            Kind::Any if quote::has_hidden(raw) => Text::read(raw).map(Self::Text),
            Kind::Any => {
                // Bytes come before addresses: outside brackets `fd00::1` would be three bytes (2.90).
                let hex = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '*';
                if raw.contains(':') && raw.chars().all(hex) {
                    return quote::parse_hex(raw).map(Self::Bytes);
                }
                if let Ok(addresses) = read_addresses(raw, v6) {
                    return Ok(addresses);
                }
                let number = raw.trim_end_matches(['b', 's', 'i']);
                let numeric = number.contains(|c: char| c.is_ascii_digit())
                    && number.chars().all(|c| c.is_ascii_digit() || c == '-');
                if numeric {
                    read_number(raw)
                } else if raw.contains(|c: char| c.is_ascii_digit())
                    && raw
                        .chars()
                        .all(|c| c.is_ascii_digit() || ",./ ".contains(c))
                {
                    Err(ValueError::new(
                        VALUE,
                        raw,
                        "dnsmasq reads it as IPv4 addresses; put text in quotes",
                    ))
                } else {
                    Text::read(raw).map(Self::Text)
                }
            }
        }
    }
}

fn read_addresses(raw: &str, v6: bool) -> Result<OptionValue, ValueError> {
    if !v6 {
        return quote::fields(raw)
            .map(Ipv4Addr::read)
            .collect::<Result<_, _>>()
            .map(OptionValue::Addresses);
    }
    let read = |field: &str| {
        let inner = field
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Ipv6Addr::read(inner.unwrap_or(field))
    };
    quote::fields(raw)
        .map(read)
        .collect::<Result<_, _>>()
        .map(OptionValue::Addresses6)
}

fn read_domains(raw: &str) -> Result<OptionValue, ValueError> {
    quote::fields(raw)
        .map(Domain::read)
        .collect::<Result<_, _>>()
        .map(OptionValue::Domains)
}

fn read_number(raw: &str) -> Result<OptionValue, ValueError> {
    let (digits, width) = match raw.strip_suffix(['b', 's', 'i']) {
        Some(digits) if raw.ends_with('b') => (digits, Some(Width::Byte)),
        Some(digits) if raw.ends_with('s') => (digits, Some(Width::Short)),
        Some(digits) => (digits, Some(Width::Int)),
        None => (raw, None),
    };
    let number = digits.parse().ok().filter(|_| !digits.starts_with('+'));
    number
        .map(|number| OptionValue::Number(number, width))
        .ok_or_else(|| {
            ValueError::new(
                VALUE,
                raw,
                "write a number, `5`, `5b`, `5s`, `5i`, or put text in quotes",
            )
        })
}
