//! Reservations: dhcp-host.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::argument::{Argument, conditional, joined};
use crate::value::{LeaseTime, MacPattern};
use crate::{Condition, Hostname, Tag, Text, ValueError, quote};

const KIND: &str = "a reservation";

/// The DHCP client identifier of a host (RFC 2132, section 9.14; a DUID for DHCPv6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(Id);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Ignored,
    Bytes(Vec<u8>),
    Text(Text),
}

impl ClientId {
    /// Ignores the client identifier: the MAC address alone decides.
    pub const IGNORED: Self = Self(Id::Ignored);

    /// The identifier in bytes, 2 to 128 of them.
    ///
    /// # Errors
    /// Refuses other lengths; one byte alone cannot be written in dnsmasq's syntax.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        if !(2..=128).contains(&bytes.len()) {
            return Err(ValueError::new(
                "a client identifier",
                &quote::hex(&bytes),
                "it has 2 to 128 bytes",
            ));
        }
        Ok(Self(Id::Bytes(bytes)))
    }

    /// The identifier as text.
    ///
    /// # Errors
    /// Refuses a `*` in front, which means "ignore the identifier".
    pub fn text(text: Text) -> Result<Self, ValueError> {
        if text.as_str().starts_with('*') {
            return Err(ValueError::new(
                "a client identifier",
                text.as_str(),
                "`*` at its start means any; write it as bytes",
            ));
        }
        Ok(Self(Id::Text(text)))
    }

    fn read(raw: &str) -> Result<Self, ValueError> {
        if raw == "*" {
            Ok(Self::IGNORED)
        } else if raw.contains(':') {
            Self::bytes(quote::parse_hex(raw)?)
        } else {
            Self::text(Text::read(raw)?)
        }
    }

    fn write(&self) -> String {
        match &self.0 {
            Id::Ignored => "id:*".into(),
            Id::Bytes(bytes) => format!("id:{}", quote::hex(bytes)),
            // Unquoted, a colon would make it hexadecimal.
            Id::Text(text) => format!("id:{}", quote::quoted(text.as_str())),
        }
    }
}

/// What dnsmasq knows about one host: who it is, and what it gets.
///
/// Made from the first thing that identifies it: [`Host::mac`], [`Host::id`], [`Host::name`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    macs: Vec<MacPattern>,
    id: Option<ClientId>,
    set: Vec<Tag>,
    when: Vec<Condition>,
    address: Option<Ipv4Addr>,
    addresses6: Vec<Ipv6Addr>,
    hostname: Option<Hostname>,
    lease: Option<LeaseTime>,
    ignore: bool,
}
conditional!(Host);

impl Host {
    /// The host with this MAC address, or hosts with this pattern.
    pub fn mac(mac: impl Into<MacPattern>) -> Self {
        Self {
            macs: vec![mac.into()],
            ..Self::default()
        }
    }

    /// The host that sends this client identifier.
    pub fn id(id: ClientId) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// The host that calls itself `hostname`.
    pub fn name(hostname: Hostname) -> Self {
        Self {
            hostname: Some(hostname),
            ..Self::default()
        }
    }

    /// Adds another MAC address; the host uses one at a time.
    pub fn or_mac(mut self, mac: impl Into<MacPattern>) -> Self {
        self.macs.push(mac.into());
        self
    }

    /// Sets or replaces the client identifier.
    pub fn client_id(mut self, id: ClientId) -> Self {
        self.id = Some(id);
        self
    }

    /// Reserves an IPv4 address.
    pub fn address(mut self, address: Ipv4Addr) -> Self {
        self.address = Some(address);
        self
    }

    /// Reserves an IPv6 address; `::5` stands for that host part in every prefix.
    pub fn address6(mut self, address: Ipv6Addr) -> Self {
        self.addresses6.push(address);
        self
    }

    /// Gives the host a name.
    pub fn hostname(mut self, hostname: Hostname) -> Self {
        self.hostname = Some(hostname);
        self
    }

    /// Sets how long the host's lease lasts.
    pub fn lease(mut self, lease: LeaseTime) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets the tag `tag` for the host, besides `known`.
    pub fn set(mut self, tag: Tag) -> Self {
        self.set.push(tag);
        self
    }

    /// Never answers the host.
    pub fn ignore(mut self) -> Self {
        self.ignore = true;
        self
    }

    /// Returns the reserved IPv4 address.
    pub fn reserved(&self) -> Option<Ipv4Addr> {
        self.address
    }
}

impl fmt::Display for Host {
    /// Writes what stands after `dhcp-host=`: a line of a file in `dhcp-hostsdir` or `dhcp-hostsfile`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write())
    }
}

fn set_once<T>(place: &mut Option<T>, value: T, raw: &str, what: &str) -> Result<(), ValueError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ValueError::new(
            KIND,
            raw,
            format!("it has two {what}; keep one"),
        )),
    }
}

impl Argument for Host {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut host = Self::default();
        for field in quote::fields(raw).filter(|field| !field.is_empty()) {
            let is_id = field
                .get(..3)
                .is_some_and(|start| start.eq_ignore_ascii_case("id:"));
            if let Some(id) = field.get(3..).filter(|_| is_id) {
                set_once(&mut host.id, ClientId::read(id)?, raw, "client identifiers")?;
            } else if let Some(tag) = field.strip_prefix("set:") {
                host.set.push(Tag::new(tag)?);
            } else if field.starts_with("tag:") {
                host.when.push(field.parse()?);
            } else if let Some(address) = field
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                host.addresses6.push(Ipv6Addr::read(address)?);
            } else if field.contains(':') {
                host.macs.push(MacPattern::read(field)?);
            } else if let Ok(address) = field.parse() {
                set_once(&mut host.address, address, raw, "IPv4 addresses")?;
            } else if field == "ignore" {
                host.ignore = true;
            } else if field == "infinite"
                || field.starts_with(|c: char| c.is_ascii_digit()) && Hostname::new(field).is_err()
            {
                set_once(&mut host.lease, field.parse()?, raw, "lease times")?;
            } else {
                set_once(
                    &mut host.hostname,
                    Hostname::read(field)?,
                    raw,
                    "host names",
                )?;
            }
        }
        if host.macs.is_empty() && host.id.is_none() && host.hostname.is_none() {
            return Err(ValueError::new(
                KIND,
                raw,
                "nothing says which host; add a MAC address, `id:` or a name",
            ));
        }
        Ok(host)
    }

    fn write(&self) -> String {
        let mut fields: Vec<String> = self.macs.iter().map(MacPattern::write).collect();
        fields.extend(self.id.as_ref().map(ClientId::write));
        fields.extend(self.set.iter().map(|tag| format!("set:{tag}")));
        fields.extend(self.when.iter().map(Condition::to_string));
        fields.extend(self.hostname.as_ref().map(Hostname::to_string));
        fields.extend(self.address.map(|address| address.to_string()));
        fields.extend(self.addresses6.iter().map(|address| format!("[{address}]")));
        fields.extend(self.lease.map(|lease| lease.to_string()));
        fields.extend(self.ignore.then(|| "ignore".to_owned()));
        joined(fields)
    }
}
