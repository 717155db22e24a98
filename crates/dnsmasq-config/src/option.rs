//! DHCP options: which one, inside what, holding what. Sending and matching them is for
//! [`DhcpOption`] and [`Match`](crate::Match).

use std::fmt;

use crate::argument::{Argument, Fields, condition_fields, conditional, joined};
use crate::option_table::{Kind, Known, V4, V6};
use crate::option_value::OptionValue;
use crate::{Condition, Text, ValueError, quote};

const KIND: &str = "a DHCP option";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Number4(u8),
    Name4(&'static Known),
    Number6(u16),
    Name6(&'static Known),
}

/// Which option, by number or by dnsmasq's name for it (`dnsmasq --help dhcp`, `dhcp6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionId(Id);

impl OptionId {
    /// The DHCPv4 option `number`, 1 to 254.
    ///
    /// # Errors
    /// Refuses 0 and 255, which are padding and end (RFC 2132, section 3).
    pub fn v4(number: u8) -> Result<Self, ValueError> {
        if matches!(number, 0 | 255) {
            return Err(ValueError::new(
                KIND,
                &number.to_string(),
                "options have the numbers 1 to 254",
            ));
        }
        Ok(Self(Id::Number4(number)))
    }

    /// The DHCPv4 option of that name, such as `router` or `client-arch`.
    ///
    /// # Errors
    /// Refuses names that dnsmasq 2.90 does not know.
    pub fn named(name: &str) -> Result<Self, ValueError> {
        find(V4, name, "dnsmasq --help dhcp").map(|known| Self(Id::Name4(known)))
    }

    /// The DHCPv6 option `number`, from 1.
    ///
    /// # Errors
    /// Refuses 0.
    pub fn v6(number: u16) -> Result<Self, ValueError> {
        if number == 0 {
            return Err(ValueError::new(
                KIND,
                "option6:0",
                "options have the numbers 1 to 65535",
            ));
        }
        Ok(Self(Id::Number6(number)))
    }

    /// The DHCPv6 option of that name, such as `bootfile-url`.
    ///
    /// # Errors
    /// Refuses names that dnsmasq 2.90 does not know.
    pub fn named6(name: &str) -> Result<Self, ValueError> {
        find(V6, name, "dnsmasq --help dhcp6").map(|known| Self(Id::Name6(known)))
    }

    pub(crate) fn is_v6(self) -> bool {
        matches!(self.0, Id::Number6(_) | Id::Name6(_))
    }

    fn known(self) -> Option<&'static Known> {
        let (table, number) = match self.0 {
            Id::Name4(known) | Id::Name6(known) => return Some(known),
            Id::Number4(number) => (V4, u16::from(number)),
            Id::Number6(number) => (V6, number),
        };
        table.iter().find(|known| known.number == number)
    }

    fn is_internal(self) -> bool {
        matches!(self.0, Id::Name4(known) | Id::Name6(known) if known.internal)
    }

    /// Reads a field, `None` if it is something else (a tag, an encapsulation).
    pub(crate) fn read(field: &str) -> Option<Result<Self, ValueError>> {
        if let Some(name) = field.strip_prefix("option:") {
            return Some(Self::named(name));
        }
        if let Some(name) = field.strip_prefix("option6:") {
            return Some(match name.chars().all(|c| c.is_ascii_digit()) {
                true => u16::read(name).and_then(Self::v6),
                false => Self::named6(name),
            });
        }
        let digits = field.chars().all(|c| c.is_ascii_digit());
        digits.then(|| u8::read(field).and_then(Self::v4))
    }

    pub(crate) fn write(self) -> String {
        match self.0 {
            Id::Number4(number) => number.to_string(),
            Id::Name4(known) => format!("option:{}", known.name),
            Id::Number6(number) => format!("option6:{number}"),
            Id::Name6(known) => format!("option6:{}", known.name),
        }
    }
}

fn find(table: &'static [Known], name: &str, list: &str) -> Result<&'static Known, ValueError> {
    let known = table
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| {
        ValueError::new(
            KIND,
            name,
            format!("dnsmasq has no option of that name (`{list}` lists them); use its number"),
        )
    })
}

/// Inside which option another one travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encapsulation {
    /// Inside the DHCPv4 option of this number, as iPXE wants in 175.
    Option(u8),
    /// Inside option 43, for clients whose vendor class starts with this text.
    Vendor(Text),
    /// Inside option 125 (DHCPv6: 17), for this IANA enterprise number (RFC 3925).
    Enterprise(u32),
}

impl Encapsulation {
    fn read(field: &str) -> Option<Result<Self, ValueError>> {
        if let Some(number) = field.strip_prefix("encap:") {
            Some(u8::read(number).map(Self::Option))
        } else if let Some(class) = field.strip_prefix("vendor:") {
            Some(Text::read(class).map(Self::Vendor))
        } else {
            let number = field.strip_prefix("vi-encap:")?;
            Some(u32::read(number).map(Self::Enterprise))
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Option(number) => format!("encap:{number}"),
            Self::Vendor(class) => format!("vendor:{}", quote::text(class.as_str())),
            Self::Enterprise(number) => format!("vi-encap:{number}"),
        }
    }

    /// Bytes left for the value: 255 less the headers (dnsmasq 2.90).
    fn room(this: Option<&Self>) -> usize {
        match this {
            None => 255,
            Some(Self::Option(_) | Self::Vendor(_)) => 253,
            Some(Self::Enterprise(_)) => 250,
        }
    }
}

/// An option together with a value that it can hold.
pub(crate) fn fitting(
    id: OptionId,
    inside: Option<&Encapsulation>,
    value: &OptionValue,
) -> Result<(), ValueError> {
    let written = || format!("{},{}", id.write(), value.write().unwrap_or_default());
    let wrong = |reason: &str| Err(ValueError::new(KIND, &written(), reason));
    let kind = kind_of(id, inside);
    match inside {
        Some(_) if matches!(id.0, Id::Name4(_) | Id::Name6(_)) => {
            return wrong("an encapsulated option has a number, not a name");
        }
        Some(Encapsulation::Option(_) | Encapsulation::Vendor(_)) if id.is_v6() => {
            return wrong("DHCPv6 options can be encapsulated by enterprise number only");
        }
        _ => {}
    }
    if let Some(reason) = value.misfit(kind, id.is_v6()) {
        return wrong(reason);
    }
    let room = Encapsulation::room(inside);
    if value.length() > room && !id.is_v6() {
        return wrong(&format!(
            "{} bytes, the option holds {room}",
            value.length()
        ));
    }
    Ok(())
}

fn kind_of(id: OptionId, inside: Option<&Encapsulation>) -> Kind {
    /// An NTP server (RFC 5908), which dnsmasq takes for one inside another option too (2.90).
    const NTP_SERVER: Id = Id::Number6(56);

    match inside {
        Some(_) if id.0 != NTP_SERVER => Kind::Any,
        _ => id.known().map_or(Kind::Any, |known| known.kind),
    }
}

/// Reads the value after `id`.
pub(crate) fn read_value(
    raw: Option<&str>,
    id: OptionId,
    inside: Option<&Encapsulation>,
) -> Result<OptionValue, ValueError> {
    match raw {
        None | Some("") => Ok(OptionValue::Empty),
        Some(raw) => OptionValue::read(raw, kind_of(id, inside), id.is_v6()),
    }
}

/// An option to send (dhcp-option, dhcp-option-force).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpOption {
    when: Vec<Condition>,
    inside: Option<Encapsulation>,
    id: OptionId,
    value: OptionValue,
}
conditional!(DhcpOption);

impl DhcpOption {
    /// Sends `value` in the option `id`.
    ///
    /// # Errors
    /// Refuses values that the option cannot hold, and options that dnsmasq sets itself.
    pub fn new(id: OptionId, value: OptionValue) -> Result<Self, ValueError> {
        Self::checked(id, None, value)
    }

    /// Sends `value` in the option `id` inside another option: `encap:175,176,1b`.
    ///
    /// # Errors
    /// Refuses option names, and what does not fit.
    pub fn encapsulated(
        inside: Encapsulation,
        id: OptionId,
        value: OptionValue,
    ) -> Result<Self, ValueError> {
        Self::checked(id, Some(inside), value)
    }

    fn checked(
        id: OptionId,
        inside: Option<Encapsulation>,
        value: OptionValue,
    ) -> Result<Self, ValueError> {
        if id.is_internal() {
            return Err(ValueError::new(
                KIND,
                &id.write(),
                "dnsmasq sets it by itself",
            ));
        }
        fitting(id, inside.as_ref(), &value)?;
        Ok(Self {
            when: Vec::new(),
            inside,
            id,
            value,
        })
    }
}

impl fmt::Display for DhcpOption {
    /// Writes what stands after `dhcp-option=`: a line of a file in `dhcp-optsdir` or `dhcp-optsfile`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write())
    }
}

impl Argument for DhcpOption {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let mut when = Vec::new();
        let mut inside = None;
        let id = loop {
            let field = fields.need(KIND)?;
            if let Some(found) = Encapsulation::read(field) {
                if inside.replace(found?).is_some() {
                    return Err(ValueError::new(KIND, raw, "it is encapsulated twice"));
                }
            } else if field.starts_with("tag:") {
                when.push(field.parse()?);
            } else if let Some(id) = OptionId::read(field) {
                break id?;
            } else {
                return Err(ValueError::new(
                    KIND,
                    field,
                    "write a number, `option:NAME` or `option6:NAME`, and conditions as `tag:NAME`",
                ));
            }
        };
        let value = read_value(fields.rest(), id, inside.as_ref())?;
        Ok(Self {
            when,
            ..Self::checked(id, inside, value)?
        })
    }

    fn write(&self) -> String {
        let mut fields = condition_fields(&self.when);
        fields.extend(self.inside.as_ref().map(Encapsulation::write));
        fields.push(self.id.write());
        fields.extend(self.value.write());
        joined(fields)
    }
}
