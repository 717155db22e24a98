//! Addresses: the defaults that move with the subnet, and who stands in whose way.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::report::Notes;
use super::walk::{At, Item, Read};

/// The first address that nodes and the user's own services get by default, counted from the subnet's.
const FIRST_NODE: u32 = 5;

/// The subnet and what has been given out of it.
pub(super) struct Addresses<'a> {
    notes: &'a Notes<'a>,
    subnet: Item<Ipv4Net>,
    claims: Vec<Claim>,
    pool: Option<Item<(Ipv4Addr, Ipv4Addr)>>,
}

/// An address that somebody has.
struct Claim {
    /// How a message about it starts: ``node `a`: address``.
    what: String,
    /// How others name it: ``node `a` ``.
    who: String,
    address: Ipv4Addr,
    at: At,
}

impl<'a> Addresses<'a> {
    pub(super) fn of(subnet: Item<Ipv4Net>, notes: &'a Notes<'a>) -> Self {
        Self {
            notes,
            subnet,
            claims: Vec::new(),
            pool: None,
        }
    }

    pub(super) fn gateway(&mut self, read: Read<Ipv4Addr>) -> Ipv4Addr {
        self.fixed("network: gateway", "the gateway", read, 1)
    }

    /// The address of a service: the `nth` of the subnet if the file gives none.
    pub(super) fn service(&mut self, who: &str, read: Read<Ipv4Addr>, nth: u32) -> Ipv4Addr {
        self.fixed(&format!("{who}: address"), who, read, nth)
    }

    fn fixed(&mut self, what: &str, who: &str, read: Read<Ipv4Addr>, nth: u32) -> Ipv4Addr {
        let default = self.nth(nth);
        self.claim(what, who, read.or(default))
    }

    /// The range that DHCP gives out.
    pub(super) fn pool(&mut self, read: Read<(Ipv4Addr, Ipv4Addr)>) -> (Ipv4Addr, Ipv4Addr) {
        let default = self.default_pool();
        let mut pool = read.or(default);
        let (first, last) = pool.value;
        let hosts = self.hosts();
        if self.known() && !(hosts.0 <= first && last <= hosts.1) {
            let message = format!(
                "service `dhcp`: pool {first}-{last} leaves the subnet {}",
                self.subnet.value
            );
            let hint = format!("write pool = \"{}-{}\"", default.0, default.1);
            self.notes.add(pool.at.byte(), message, Some(hint));
            pool.at = At::Bad;
        }
        self.pool = Some(pool);
        pool.value
    }

    /// The addresses of all these members, in their order: the file's, or the lowest
    /// free ones from the fifth of the subnet on.
    pub(super) fn hand_out(
        &mut self,
        members: Vec<(String, usize, Read<Ipv4Addr>)>,
    ) -> Vec<Ipv4Addr> {
        // What the file gives is taken before anything is handed out.
        let given: Vec<_> = members
            .into_iter()
            .map(|(who, at, read)| match read {
                Read::Absent => (who, at, None),
                Read::Bad => (who, at, Some(Ipv4Addr::UNSPECIFIED)),
                Read::Given(value, byte) => {
                    let at_byte = At::File(byte);
                    let item = Item { value, at: at_byte };
                    let address = self.claim(&format!("{who}: address"), &who, item);
                    (who, at, Some(address))
                }
            })
            .collect();
        let mut next = u32::from(self.nth(FIRST_NODE));
        given
            .into_iter()
            .map(|(who, at, given)| given.unwrap_or_else(|| self.free(&who, at, &mut next)))
            .collect()
    }

    fn free(&mut self, who: &str, at: usize, next: &mut u32) -> Ipv4Addr {
        let Some(address) = self.next_free(*next) else {
            if self.known() && self.pool.is_none_or(|pool| pool.at != At::Bad) {
                let message = format!("{who}: no address is left in {} for it", self.subnet.value);
                let hint = "give it an address, or shrink [dhcp] pool, or widen [network] subnet";
                self.notes.add(Some(at), message, Some(hint.to_owned()));
            }
            return Ipv4Addr::UNSPECIFIED;
        };
        *next = u32::from(address) + 1;
        let item = Item {
            value: address,
            at: At::Default,
        };
        self.claim(&format!("{who}: address"), who, item)
    }

    /// The lowest address from `from` on that nobody has and DHCP does not give out.
    fn next_free(&self, from: u32) -> Option<Ipv4Addr> {
        let last = u32::from(self.hosts().1);
        let mut candidate = from;
        while candidate <= last {
            let address = Ipv4Addr::from(candidate);
            match self.pool.map(|pool| pool.value) {
                Some((first, last)) if first <= address && address <= last => {
                    candidate = u32::from(last).checked_add(1)?;
                }
                _ if self.claims.iter().any(|claim| claim.address == address) => candidate += 1,
                _ => return Some(address),
            }
        }
        None
    }

    fn claim(&mut self, what: &str, who: &str, item: Item<Ipv4Addr>) -> Ipv4Addr {
        let at = match item.at {
            At::Default if !self.known() => At::Bad,
            at => at,
        };
        self.claims.push(Claim {
            what: what.to_owned(),
            who: who.to_owned(),
            address: item.value,
            at,
        });
        item.value
    }

    /// Notes who is outside the subnet, has another's address, or one of the pool.
    pub(super) fn check(mut self) {
        self.claims.retain(|claim| claim.at != At::Bad);
        // Defaults first, so that a clash is told where the file can be changed.
        self.claims.sort_by_key(|claim| claim.at.byte());
        for (n, claim) in self.claims.iter().enumerate() {
            let clash = self.claims[..n]
                .iter()
                .find(|other| other.address == claim.address);
            if let Some(other) = clash {
                self.taken(claim, other);
            } else if self.known() {
                self.outside(claim);
            }
        }
        if self.known() {
            self.covered();
        }
    }

    fn taken(&self, claim: &Claim, other: &Claim) {
        let message = format!(
            "{} {} is taken by {} ({})",
            claim.what,
            claim.address,
            other.who,
            from(self.notes, other.at)
        );
        let free = self.known().then(|| self.next_free(u32::from(self.nth(1))));
        let hint = free.flatten().map(|free| format!("{free} is free"));
        self.notes.add(claim.at.byte(), message, hint);
    }

    fn outside(&self, claim: &Claim) {
        let Claim { what, address, .. } = claim;
        let net = self.subnet.value;
        let (first, last) = self.hosts();
        let what_is_wrong = if !net.contains(address) {
            format!("is outside the subnet {net}")
        } else if *address == net.network() {
            format!("is the network address of {net}")
        } else if *address == net.broadcast() {
            format!("is the broadcast address of {net}")
        } else {
            return;
        };
        let message = format!("{what} {address} {what_is_wrong}");
        let hint = format!("use one from {first} to {last}");
        self.notes.add(claim.at.byte(), message, Some(hint));
    }

    /// Notes the addresses that somebody has and DHCP would give to others.
    fn covered(&self) {
        let Some(Item { value, at }) = self.pool else {
            return;
        };
        let (first, last) = value;
        let covered: Vec<_> = self
            .claims
            .iter()
            .filter(|claim| first <= claim.address && claim.address <= last)
            .collect();
        match at {
            At::Bad => {}
            At::Default => {
                for claim in covered {
                    let message = format!(
                        "{} {} lies in the default pool {first}-{last} of service `dhcp`",
                        claim.what, claim.address
                    );
                    let (a, b) = self.gap(first, last).unwrap_or(value);
                    let hint = match self.next_free(u32::from(self.nth(1))) {
                        Some(free) => format!("{free} is free; or set [dhcp] pool = \"{a}-{b}\""),
                        None => format!("set [dhcp] pool = \"{a}-{b}\""),
                    };
                    self.notes.add(claim.at.byte(), message, Some(hint));
                }
            }
            At::File(_) if covered.is_empty() => {}
            At::File(byte) => {
                let list: Vec<_> = covered
                    .iter()
                    .map(|claim| {
                        let from = from(self.notes, claim.at);
                        format!("{} of {} ({from})", claim.address, claim.who)
                    })
                    .collect();
                let message = format!(
                    "service `dhcp`: pool {first}-{last} covers {}",
                    list.join(" and ")
                );
                let hosts = self.hosts();
                let gap = self
                    .gap(first, last)
                    .or_else(|| self.gap(hosts.0, hosts.1))
                    .map(|(a, b)| format!("write pool = \"{a}-{b}\", which nobody has"));
                self.notes.add(Some(byte), message, gap);
            }
        }
    }

    /// The longest run within `first` to `last` in which nobody has an address.
    fn gap(&self, first: Ipv4Addr, last: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (first, last) = (u64::from(u32::from(first)), u64::from(u32::from(last)));
        let mut taken: Vec<u64> = self
            .claims
            .iter()
            .map(|claim| u64::from(u32::from(claim.address)))
            .filter(|address| (first..=last).contains(address))
            .collect();
        taken.sort_unstable();
        let starts = std::iter::once(first).chain(taken.iter().map(|address| address + 1));
        let ends = taken.iter().copied().chain([last + 1]);
        let (start, end) = starts.zip(ends).max_by_key(|(a, b)| b.saturating_sub(*a))?;
        let address = |n: u64| u32::try_from(n).ok().map(Ipv4Addr::from);
        (start < end).then_some((address(start)?, address(end - 1)?))
    }

    /// `.100` to `.200` where the subnet has room for them, else its upper
    /// half, of which a /29 has only `.6` to spare.
    fn default_pool(&self) -> (Ipv4Addr, Ipv4Addr) {
        if self.subnet.value.prefix_len() <= 24 {
            return (self.nth(100), self.nth(200));
        }
        let half = 1 << (31 - self.subnet.value.prefix_len());
        (self.nth(half.max(FIRST_NODE + 1)), self.hosts().1)
    }

    fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet.value.network()) + n)
    }

    /// First and last address that a host can have.
    fn hosts(&self) -> (Ipv4Addr, Ipv4Addr) {
        let last = u32::from(self.subnet.value.broadcast()) - 1;
        (self.nth(1), Ipv4Addr::from(last))
    }

    /// Whether the subnet is the one that is meant; else nothing can be said
    /// about who is in it.
    fn known(&self) -> bool {
        self.subnet.at != At::Bad
    }
}

/// Where the other side of a clash is from.
pub(super) fn from(notes: &Notes, at: At) -> String {
    match at.byte() {
        Some(byte) => notes.place(byte).to_string(),
        None => "its default".to_owned(),
    }
}
