//! Address ranges: dhcp-range for IPv4 and IPv6.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::argument::{Argument, Fields, condition_fields, conditional, joined};
use crate::{Condition, LeaseTime, Tag, ValueError};

const KIND: &str = "a DHCP range";

/// A range of either family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// DHCPv4.
    V4(Range4),
    /// DHCPv6 and router advertisements.
    V6(Range6),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool4 {
    Until(Ipv4Addr),
    Static,
    Proxy,
}

/// A DHCPv4 range: a pool, a subnet with reservations only, or a proxied subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range4 {
    set: Option<Tag>,
    when: Vec<Condition>,
    start: Ipv4Addr,
    pool: Pool4,
    netmask: Option<Ipv4Addr>,
    broadcast: Option<Ipv4Addr>,
    lease: Option<LeaseTime>,
}
conditional!(Range4);

impl Range4 {
    fn with(start: Ipv4Addr, pool: Pool4) -> Self {
        Self {
            set: None,
            when: Vec::new(),
            start,
            pool,
            netmask: None,
            broadcast: None,
            lease: None,
        }
    }

    /// Hands out the addresses `start` to `end`, both included.
    ///
    /// # Errors
    /// Refuses an `end` below `start`; dnsmasq would swap them without saying so.
    pub fn new(start: Ipv4Addr, end: Ipv4Addr) -> Result<Self, ValueError> {
        if end < start {
            return Err(ValueError::new(
                KIND,
                &format!("{start},{end}"),
                "it ends before it starts",
            ));
        }
        Ok(Self::with(start, Pool4::Until(end)))
    }

    /// Serves the subnet of `network`, but only hosts with a reservation.
    pub fn reservations_only(network: Ipv4Addr) -> Self {
        Self::with(network, Pool4::Static)
    }

    /// Adds PXE information to another server's DHCP on the subnet of `network` (ProxyDHCP).
    pub fn proxy(network: Ipv4Addr) -> Self {
        Self::with(network, Pool4::Proxy)
    }

    /// Sets the tag `tag` for clients of this range.
    pub fn set(mut self, tag: Tag) -> Self {
        self.set = Some(tag);
        self
    }

    /// Sets the subnet mask; without it dnsmasq takes the interface's.
    ///
    /// # Errors
    /// Refuses a mask with holes, and one that puts start and end in different
    /// subnets (dnsmasq: "inconsistent DHCP range").
    pub fn netmask(mut self, netmask: Ipv4Addr) -> Result<Self, ValueError> {
        let bits = u32::from(netmask);
        let wrong = |reason: &str| Err(ValueError::new("a netmask", &netmask.to_string(), reason));
        if bits == 0 || bits.leading_ones() + bits.trailing_zeros() != 32 {
            return wrong("its bits are not ones followed by zeros, as in `255.255.255.0`");
        }
        if let Pool4::Until(end) = self.pool
            && u32::from(self.start) & bits != u32::from(end) & bits
        {
            return wrong("the range's start and end are in different subnets");
        }
        self.netmask = Some(netmask);
        Ok(self)
    }

    /// Sets the broadcast address.
    ///
    /// # Errors
    /// Needs the netmask first: dnsmasq tells the two by their order.
    pub fn broadcast(mut self, broadcast: Ipv4Addr) -> Result<Self, ValueError> {
        if self.netmask.is_none() {
            return Err(ValueError::new(
                "a broadcast address",
                &broadcast.to_string(),
                "set the netmask before it",
            ));
        }
        self.broadcast = Some(broadcast);
        Ok(self)
    }

    /// Sets how long leases last; dnsmasq's default is one hour.
    pub fn lease(mut self, lease: LeaseTime) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Returns the first address, or the network of a range without a pool.
    pub fn start(&self) -> Ipv4Addr {
        self.start
    }

    /// Returns the last address, `None` without a pool.
    pub fn end(&self) -> Option<Ipv4Addr> {
        match self.pool {
            Pool4::Until(end) => Some(end),
            Pool4::Static | Pool4::Proxy => None,
        }
    }

    fn read(start: Ipv4Addr, fields: &mut Fields<'_>) -> Result<Self, ValueError> {
        let mut range = match fields.need(KIND)? {
            "static" => Self::reservations_only(start),
            "proxy" => Self::proxy(start),
            end => Self::new(start, Ipv4Addr::read(end)?)?,
        };
        let dotted = |field: &str| field.parse::<Ipv4Addr>().ok();
        if let Some(netmask) = fields.next_if(dotted) {
            range = range.netmask(netmask)?;
            if let Some(broadcast) = fields.next_if(dotted) {
                range = range.broadcast(broadcast)?;
            }
        }
        range.lease = fields.next().map(str::parse).transpose()?;
        Ok(range)
    }

    fn fields(&self) -> Vec<String> {
        let pool = match self.pool {
            Pool4::Until(end) => end.to_string(),
            Pool4::Static => "static".into(),
            Pool4::Proxy => "proxy".into(),
        };
        let mut fields = vec![self.start.to_string(), pool];
        fields.extend(self.netmask.map(|mask| mask.to_string()));
        fields.extend(self.broadcast.map(|address| address.to_string()));
        fields.extend(self.lease.map(|lease| lease.to_string()));
        fields
    }
}

/// What the router advertisements of an IPv6 range do besides announcing the prefix (RFC 4861).
///
/// dnsmasq sends them when `enable-ra` is set, or when a range has one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RaMode {
    /// Advertises, without DHCPv6.
    RaOnly,
    /// Lets clients make addresses of their own (the A bit).
    Slaac,
    /// Guesses the DNS names of such addresses from DHCPv4 leases.
    RaNames,
    /// DHCPv6 for options only (the O bit).
    RaStateless,
    /// Puts the router's address in the place of the prefix (mobile IPv6).
    RaAdvrouter,
    /// Clears the L bit: the prefix is not on the link.
    OffLink,
}

const RA_MODES: [(RaMode, &str); 6] = [
    (RaMode::RaOnly, "ra-only"),
    (RaMode::Slaac, "slaac"),
    (RaMode::RaNames, "ra-names"),
    (RaMode::RaStateless, "ra-stateless"),
    (RaMode::RaAdvrouter, "ra-advrouter"),
    (RaMode::OffLink, "off-link"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool6 {
    None,
    Until(Ipv6Addr),
    Static,
}

/// How long the addresses of an IPv6 range last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime6 {
    /// Preferred and valid for this long.
    For(LeaseTime),
    /// Valid, but not for new connections: preferred lifetime zero.
    Deprecated,
}

impl From<LeaseTime> for Lifetime6 {
    fn from(lease: LeaseTime) -> Self {
        Self::For(lease)
    }
}

/// An IPv6 range: a DHCPv6 pool, reservations only, or a prefix to advertise.
///
/// `constructor:` ranges, whose prefix comes from an interface, are not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range6 {
    set: Option<Tag>,
    when: Vec<Condition>,
    start: Ipv6Addr,
    pool: Pool6,
    modes: BTreeSet<RaMode>,
    prefix: u8,
    lifetime: Option<Lifetime6>,
}
conditional!(Range6);

impl Range6 {
    fn with(start: Ipv6Addr, pool: Pool6, prefix: u8) -> Result<Self, ValueError> {
        if !(64..=128).contains(&prefix) {
            return Err(ValueError::new(
                "a prefix length",
                &prefix.to_string(),
                "dnsmasq takes 64 to 128",
            ));
        }
        Ok(Self {
            set: None,
            when: Vec::new(),
            start,
            pool,
            modes: BTreeSet::new(),
            prefix,
            lifetime: None,
        })
    }

    /// Hands out the addresses `start` to `end`, both included, by DHCPv6.
    ///
    /// # Errors
    /// Refuses a `prefix` outside 64 to 128, ends in different prefixes, and an end before the start.
    pub fn new(start: Ipv6Addr, end: Ipv6Addr, prefix: u8) -> Result<Self, ValueError> {
        let range = Self::with(start, Pool6::Until(end), prefix)?;
        let wrong = |reason: &str| {
            Err(ValueError::new(
                KIND,
                &format!("{start},{end},{prefix}"),
                reason,
            ))
        };
        if end < start {
            return wrong("it ends before it starts");
        }
        if (u128::from(start) ^ u128::from(end)).leading_zeros() < u32::from(prefix) {
            return wrong("start and end have different prefixes");
        }
        Ok(range)
    }

    /// Serves the prefix of `network`, but only hosts with a reservation.
    ///
    /// # Errors
    /// Refuses a `prefix` outside 64 to 128.
    pub fn reservations_only(network: Ipv6Addr, prefix: u8) -> Result<Self, ValueError> {
        Self::with(network, Pool6::Static, prefix)
    }

    /// Advertises the /64 of `network` in the given mode, without a DHCPv6 pool.
    pub fn advertise(network: Ipv6Addr, mode: RaMode) -> Self {
        let modes = BTreeSet::from([mode]);
        Self {
            set: None,
            when: Vec::new(),
            start: network,
            pool: Pool6::None,
            modes,
            prefix: 64,
            lifetime: None,
        }
    }

    /// Adds a mode of router advertisement.
    ///
    /// # Errors
    /// Refuses prefixes longer than 64 with all modes but [`RaMode::OffLink`]:
    /// "prefix length must be exactly 64 for RA subnets".
    pub fn mode(mut self, mode: RaMode) -> Result<Self, ValueError> {
        if self.prefix > 64 && mode != RaMode::OffLink {
            return Err(ValueError::new(
                "a prefix length",
                &self.prefix.to_string(),
                "router advertisements need 64",
            ));
        }
        self.modes.insert(mode);
        Ok(self)
    }

    /// Sets the tag `tag` for clients of this range.
    pub fn set(mut self, tag: Tag) -> Self {
        self.set = Some(tag);
        self
    }

    /// Sets how long addresses last; dnsmasq's default is one day.
    pub fn lifetime(mut self, lifetime: impl Into<Lifetime6>) -> Self {
        self.lifetime = Some(lifetime.into());
        self
    }

    fn read(start: Ipv6Addr, fields: &mut Fields<'_>) -> Result<Self, ValueError> {
        let mut pool = match fields.next_if(|field| field.parse().ok()) {
            Some(end) => Pool6::Until(end),
            None => Pool6::None,
        };
        let mut modes = Vec::new();
        loop {
            let mode = |field: &str| {
                RA_MODES
                    .iter()
                    .find(|(_, name)| *name == field)
                    .map(|(mode, _)| *mode)
            };
            if let Some(mode) = fields.next_if(mode) {
                modes.push(mode);
            } else if pool == Pool6::None
                && fields
                    .next_if(|field| (field == "static").then_some(()))
                    .is_some()
            {
                pool = Pool6::Static;
            } else {
                break;
            }
        }
        if let Some(field) = fields
            .peek()
            .filter(|field| field.starts_with("constructor:"))
        {
            return Err(ValueError::new(
                KIND,
                field,
                "constructors are not supported; write the prefix itself",
            ));
        }
        let prefix = fields
            .next_if(|field| u8::read(field).ok().filter(|prefix| *prefix <= 128))
            .unwrap_or(64);
        let mut range = match (pool, modes.first()) {
            (Pool6::Until(end), _) => Self::new(start, end, prefix)?,
            (Pool6::Static, _) => Self::reservations_only(start, prefix)?,
            (Pool6::None, Some(_)) => Self::with(start, Pool6::None, prefix)?,
            (Pool6::None, None) => {
                return Err(ValueError::new(
                    KIND,
                    &start.to_string(),
                    "add an end, `static`, `ra-only` or `slaac`",
                ));
            }
        };
        for mode in modes {
            range = range.mode(mode)?;
        }
        range.lifetime = match fields.next() {
            None => None,
            Some("deprecated") => Some(Lifetime6::Deprecated),
            Some(lease) => Some(Lifetime6::For(lease.parse()?)),
        };
        Ok(range)
    }

    fn fields(&self) -> Vec<String> {
        let mut fields = vec![self.start.to_string()];
        match self.pool {
            Pool6::Until(end) => fields.push(end.to_string()),
            Pool6::Static => fields.push("static".into()),
            Pool6::None => {}
        }
        fields.extend(
            RA_MODES
                .iter()
                .filter(|(mode, _)| self.modes.contains(mode))
                .map(|(_, name)| (*name).to_owned()),
        );
        fields.push(self.prefix.to_string());
        match self.lifetime {
            Some(Lifetime6::For(lease)) => fields.push(lease.to_string()),
            Some(Lifetime6::Deprecated) => fields.push("deprecated".into()),
            None => {}
        }
        fields
    }
}

impl Argument for Range {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let mut set = None;
        let mut when = Vec::new();
        loop {
            if let Some(tag) = fields.next_if(|field| field.strip_prefix("tag:")) {
                when.push(tag.parse()?);
            } else if let Some(tag) = fields.next_if(|field| field.strip_prefix("set:")) {
                if set.is_some() {
                    return Err(ValueError::new(KIND, raw, "a range sets one tag only"));
                }
                set = Some(Tag::new(tag)?);
            } else {
                break;
            }
        }
        let start = fields.need(KIND)?;
        let range = if let Ok(start) = start.parse::<Ipv4Addr>() {
            Self::V4(Range4 {
                set,
                when,
                ..Range4::read(start, &mut fields)?
            })
        } else {
            let start = start.parse().map_err(|_| {
                ValueError::new(
                    KIND,
                    start,
                    "it starts with an address, after `set:` and `tag:`",
                )
            })?;
            Self::V6(Range6 {
                set,
                when,
                ..Range6::read(start, &mut fields)?
            })
        };
        fields.end(KIND)?;
        Ok(range)
    }

    fn write(&self) -> String {
        let (set, when, fields) = match self {
            Self::V4(range) => (&range.set, &range.when, range.fields()),
            Self::V6(range) => (&range.set, &range.when, range.fields()),
        };
        let set = set.iter().map(|tag| format!("set:{tag}"));
        joined(set.chain(condition_fields(when)).chain(fields))
    }
}
