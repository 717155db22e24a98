//! DNS: upstream servers, fixed answers, names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::argument::{Argument, Fields, joined};
use crate::{Domain, Hostname, InterfaceName, Seconds, ValueError, quote};

/// Which names a server or an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The domain and everything below it.
    Domain(Domain),
    /// Names without a dot (`//`).
    Unqualified,
    /// Every name (`#`).
    Any,
}

impl Scope {
    fn read(field: &str) -> Result<Self, ValueError> {
        match field {
            "" => Ok(Self::Unqualified),
            "#" => Ok(Self::Any),
            domain => Domain::read(domain).map(Self::Domain),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::Unqualified => "",
            Self::Any => "#",
        }
    }
}

/// Splits `/a/b/rest`; without a slash in front all is rest.
fn read_scopes(raw: &str) -> Result<(Vec<Scope>, &str), ValueError> {
    let Some(inner) = raw.strip_prefix('/') else {
        return Ok((Vec::new(), raw));
    };
    let Some((scopes, rest)) = inner.rsplit_once('/') else {
        return Err(ValueError::new(
            "a domain",
            raw,
            "close it with `/`, as in `/example.org/`",
        ));
    };
    let scopes = scopes
        .split('/')
        .map(|scope| Scope::read(scope.trim_matches(' ')))
        .collect::<Result<_, _>>()?;
    Ok((scopes, rest.trim_matches(' ')))
}

fn write_scopes(scopes: &[Scope]) -> String {
    match scopes {
        [] => String::new(),
        scopes => format!(
            "/{}/",
            scopes
                .iter()
                .map(Scope::as_str)
                .collect::<Vec<_>>()
                .join("/")
        ),
    }
}

/// Where questions go (server).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    scopes: Vec<Scope>,
    address: Option<IpAddr>,
    port: Option<u16>,
    interface: Option<InterfaceName>,
}

impl Server {
    /// Asks the server at `address`.
    pub fn new(address: impl Into<IpAddr>) -> Self {
        Self {
            scopes: Vec::new(),
            address: Some(address.into()),
            port: None,
            interface: None,
        }
    }

    /// Asks the servers of resolv.conf, to except `scope` from a wider rule (`/example.org/#`).
    pub fn standard(scope: Scope) -> Self {
        Self {
            scopes: vec![scope],
            address: None,
            port: None,
            interface: None,
        }
    }

    /// Asks it for names in `scope` only; several add up.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }

    /// Sets the UDP and TCP port; 53 otherwise. Without effect on [`Server::standard`].
    pub fn port(mut self, port: u16) -> Self {
        self.port = self.address.map(|_| port);
        self
    }

    /// Asks through this interface. Without effect on [`Server::standard`].
    pub fn interface(mut self, interface: InterfaceName) -> Self {
        self.interface = self.address.map(|_| interface);
        self
    }
}

impl Argument for Server {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let (scopes, target) = read_scopes(raw)?;
        if target == "#" && !scopes.is_empty() {
            return Ok(Self {
                scopes,
                address: None,
                port: None,
                interface: None,
            });
        }
        if target.is_empty() {
            return Err(ValueError::new(
                "a DNS server",
                raw,
                "it has no address; use `local=` for names that are answered here",
            ));
        }
        let (target, interface) = match target.split_once('@') {
            Some((target, interface)) => (target, Some(InterfaceName::read(interface)?)),
            None => (target, None),
        };
        if interface
            .as_ref()
            .is_some_and(|name| name.as_str().parse::<IpAddr>().is_ok())
        {
            return Err(ValueError::new(
                "a DNS server",
                raw,
                "source addresses are not supported; write an interface after `@`",
            ));
        }
        let (address, port) = match target.split_once('#') {
            Some((address, port)) => (address, Some(u16::read(port)?)),
            None => (target, None),
        };
        Ok(Self {
            scopes,
            address: Some(IpAddr::read(address)?),
            port,
            interface,
        })
    }

    fn write(&self) -> String {
        let mut text = write_scopes(&self.scopes);
        match self.address {
            Some(address) => text.push_str(&address.to_string()),
            None => text.push('#'),
        }
        if let Some(port) = self.port {
            text.push_str(&format!("#{port}"));
        }
        if let Some(interface) = &self.interface {
            text.push_str(&format!("@{interface}"));
        }
        text
    }
}

/// What [`Address`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This address.
    Ip(IpAddr),
    /// `0.0.0.0` and `::` (`#`).
    Zero,
    /// No such name (NXDOMAIN).
    NoName,
}

/// A fixed answer for domains and everything below them (address).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scopes: Vec<Scope>,
    answer: Answer,
}

impl Address {
    /// Answers questions for names in `scope`.
    pub fn new(scope: Scope, answer: Answer) -> Self {
        Self {
            scopes: vec![scope],
            answer,
        }
    }

    /// Answers for another scope too.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }
}

impl Argument for Address {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let (scopes, answer) = read_scopes(raw)?;
        if scopes.is_empty() {
            return Err(ValueError::new(
                "a fixed answer",
                raw,
                "name the domain, `/example.org/192.168.25.1`, or `/#/` for all",
            ));
        }
        let answer = match answer {
            "" => Answer::NoName,
            "#" => Answer::Zero,
            address => Answer::Ip(IpAddr::read(address)?),
        };
        Ok(Self { scopes, answer })
    }

    fn write(&self) -> String {
        let scopes = write_scopes(&self.scopes);
        match self.answer {
            Answer::Ip(address) => format!("{scopes}{address}"),
            Answer::Zero => format!("{scopes}#"),
            Answer::NoName => scopes,
        }
    }
}

/// Domains that are answered from hosts and leases, and never forwarded (local).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local(Vec<Scope>);

impl Local {
    /// Keeps names in `scope` here.
    pub fn new(scope: Scope) -> Self {
        Self(vec![scope])
    }

    /// Keeps names in another scope here too.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.0.push(scope);
        self
    }
}

impl Argument for Local {
    fn read(raw: &str) -> Result<Self, ValueError> {
        match read_scopes(raw)? {
            (scopes, "") if !scopes.is_empty() => Ok(Self(scopes)),
            _ => Err(ValueError::new(
                "a local domain",
                raw,
                "write `/example.org/`; an address belongs to `server=`",
            )),
        }
    }

    fn write(&self) -> String {
        write_scopes(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    Everyone,
    Subnet(IpAddr, u8),
    Between(IpAddr, IpAddr),
}

/// The domain of DHCP clients, for all or for those in a range (domain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRule {
    domain: Domain,
    among: Among,
}

impl DomainRule {
    /// The domain of all clients.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            among: Among::Everyone,
        }
    }

    /// The domain of clients in a subnet.
    ///
    /// # Errors
    /// Refuses prefix lengths that the family does not have, and 0: leave the subnet out.
    pub fn subnet(domain: Domain, network: IpAddr, prefix: u8) -> Result<Self, ValueError> {
        let most = if network.is_ipv4() { 32 } else { 128 };
        if !(1..=most).contains(&prefix) {
            return Err(ValueError::new(
                "a prefix length",
                &prefix.to_string(),
                format!("write 1 to {most}"),
            ));
        }
        Ok(Self {
            domain,
            among: Among::Subnet(network, prefix),
        })
    }

    /// The domain of clients with addresses from `first` to `last`.
    ///
    /// # Errors
    /// Refuses two families and a `last` below `first`.
    pub fn between(domain: Domain, first: IpAddr, last: IpAddr) -> Result<Self, ValueError> {
        if first.is_ipv4() != last.is_ipv4() || last < first {
            return Err(ValueError::new(
                "an address range",
                &format!("{first},{last}"),
                "write the lower address first, of one family",
            ));
        }
        Ok(Self {
            domain,
            among: Among::Between(first, last),
        })
    }
}

impl Argument for DomainRule {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let name = fields.need("a domain")?;
        if name == "#" {
            return Err(ValueError::new(
                "a domain",
                raw,
                "reading it from resolv.conf is not supported; write the domain",
            ));
        }
        let domain = Domain::read(name)?;
        let rule = match fields.next() {
            None => Self::new(domain),
            Some(first) => match (first.split_once('/'), fields.next()) {
                (Some((network, prefix)), None) => {
                    Self::subnet(domain, IpAddr::read(network)?, u8::read(prefix)?)?
                }
                (Some(_), Some(extra)) => {
                    return Err(ValueError::new(
                        "a domain",
                        extra,
                        "nothing may follow the subnet here; add `local=` of its own",
                    ));
                }
                (None, last) => Self::between(
                    domain,
                    IpAddr::read(first)?,
                    IpAddr::read(last.unwrap_or(first))?,
                )?,
            },
        };
        fields.end("a domain")?;
        Ok(rule)
    }

    fn write(&self) -> String {
        match self.among {
            Among::Everyone => self.domain.to_string(),
            Among::Subnet(network, prefix) => format!("{},{network}/{prefix}", self.domain),
            Among::Between(first, last) => format!("{},{first},{last}", self.domain),
        }
    }
}

/// A host's names and addresses in DNS (host-record).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRecord {
    names: Vec<Hostname>,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    ttl: Option<Seconds>,
}

impl HostRecord {
    /// Gives `name` an address; the reverse lookup gives `name` back.
    pub fn new(name: Hostname, address: impl Into<IpAddr>) -> Self {
        let record = Self {
            names: vec![name],
            v4: None,
            v6: None,
            ttl: None,
        };
        record.address(address)
    }

    /// Adds another name.
    pub fn alias(mut self, name: Hostname) -> Self {
        self.names.push(name);
        self
    }

    /// Sets the address of its family.
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        match address.into() {
            IpAddr::V4(address) => self.v4 = Some(address),
            IpAddr::V6(address) => self.v6 = Some(address),
        }
        self
    }

    /// Sets the records' time to live.
    pub fn ttl(mut self, ttl: Seconds) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl Argument for HostRecord {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut record = Self {
            names: Vec::new(),
            v4: None,
            v6: None,
            ttl: None,
        };
        for field in quote::fields(raw) {
            if let Ok(address) = field.parse::<IpAddr>() {
                record = record.address(address);
            } else if !field.is_empty() && field.chars().all(|c| c.is_ascii_digit()) {
                record.ttl = Some(Seconds::read(field)?);
            } else {
                record.names.push(Hostname::read(field)?);
            }
        }
        if record.names.is_empty() || record.v4.is_none() && record.v6.is_none() {
            return Err(ValueError::new(
                "a host record",
                raw,
                "write at least a name and an address",
            ));
        }
        Ok(record)
    }

    fn write(&self) -> String {
        let mut fields: Vec<String> = self.names.iter().map(Hostname::to_string).collect();
        fields.extend(self.v4.map(|address| address.to_string()));
        fields.extend(self.v6.map(|address| address.to_string()));
        fields.extend(self.ttl.map(|ttl| ttl.to_string()));
        joined(fields)
    }
}
