//! Addresses: the defaults that move with the subnet, and who stands in whose way.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::report::Notes;
use super::walk::{At, Item, Read};
use crate::lab::Name;

/// The first address that nodes and the user's own services get by default, counted from the subnet's.
const FIRST_NODE: u32 = 5;

/// The subnet and what has been given out of it.
pub(super) struct Addresses<'a> {
    notes: &'a Notes<'a>,
    /// How messages name the network, its DHCP server, and the tables that say of both.
    words: Words,
    subnet: Item<Ipv4Net>,
    claims: Vec<Claim>,
    pool: Option<Item<Range>>,
    bmcs: Option<Item<Range>>,
}

/// First and last address.
type Range = (Ipv4Addr, Ipv4Addr);

struct Words {
    network: String,
    table: String,
    dhcp: String,
    dhcp_table: String,
}

/// A member that gets an address.
pub(super) struct Claimant {
    /// How messages name it: ``node `a` ``.
    pub(super) who: String,
    /// The byte of its name.
    pub(super) at: usize,
    /// What the file gives it.
    pub(super) address: Read<Ipv4Addr>,
    /// Whether it is a BMC, for which the network may have a range.
    pub(super) is_bmc: bool,
}

/// An address that somebody has.
struct Claim {
    /// How a message about it starts: ``node `a`: address``.
    what: String,
    /// How others name it: ``node `a` ``.
    who: String,
    address: Ipv4Addr,
    at: At,
    /// Whether it has it by DHCP, so that it may lie in the pool.
    leased: bool,
}

impl<'a> Addresses<'a> {
    /// The addresses of the network called `name`, or of the main one.
    pub(super) fn of(subnet: Item<Ipv4Net>, name: Option<&Name>, notes: &'a Notes<'a>) -> Self {
        let words = match name {
            None => ["network", "[network]", "service `dhcp`", "[dhcp]"].map(str::to_owned),
            Some(name) => [
                format!("network `{name}`"),
                format!("[network.{name}]"),
                format!("service `dhcp-{name}`"),
                format!("[network.{name}.dhcp]"),
            ],
        };
        let [network, table, dhcp, dhcp_table] = words;
        Self {
            notes,
            words: Words {
                network,
                table,
                dhcp,
                dhcp_table,
            },
            subnet,
            claims: Vec::new(),
            pool: None,
            bmcs: None,
        }
    }

    pub(super) fn gateway(&mut self, read: Read<Ipv4Addr>) -> Ipv4Addr {
        let what = format!("{}: gateway", self.words.network);
        self.fixed(&what, "the gateway", read, 1)
    }

    /// The range that BMCs get their addresses from, if the file gives one.
    pub(super) fn bmcs(&mut self, read: Read<Range>) -> Option<Range> {
        let mut bmcs = match read {
            Read::Absent => return None,
            Read::Bad => return None,
            Read::Given(value, at) => Item {
                value,
                at: At::File(at),
            },
        };
        let (first, last) = bmcs.value;
        let hosts = self.hosts();
        if self.known() && !(hosts.0 <= first && last <= hosts.1) {
            let message = format!(
                "{}: bmcs {first}-{last} leaves the subnet {}",
                self.words.network, self.subnet.value
            );
            let hint = format!("use addresses from {} to {}", hosts.0, hosts.1);
            self.notes.add(bmcs.at.byte(), message, Some(hint));
            bmcs.at = At::Bad;
        }
        self.bmcs = Some(bmcs);
        Some(bmcs.value)
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
    pub(super) fn pool(&mut self, read: Read<Range>) -> Range {
        let default = self.default_pool();
        let mut pool = read.or(default);
        let (first, last) = pool.value;
        let hosts = self.hosts();
        if self.known() && !(hosts.0 <= first && last <= hosts.1) {
            let message = format!(
                "{}: pool {first}-{last} leaves the subnet {}",
                self.words.dhcp, self.subnet.value
            );
            let hint = format!("write pool = \"{}-{}\"", default.0, default.1);
            self.notes.add(pool.at.byte(), message, Some(hint));
            pool.at = At::Bad;
        }
        self.pool = Some(pool);
        pool.value
    }

    /// Takes the address that DHCP keeps for a network card, `card` for others.
    pub(super) fn reserve(&mut self, who: &str, card: &str, item: Item<Ipv4Addr>) -> Ipv4Addr {
        let address = self.claim(&format!("{who}: ip"), card, item);
        if let Some(claim) = self.claims.last_mut() {
            claim.leased = true;
        }
        address
    }

    /// The addresses of all these members, in their order: the file's, or the lowest
    /// free ones from the fifth of the subnet on.
    pub(super) fn hand_out(&mut self, members: Vec<Claimant>) -> Vec<Ipv4Addr> {
        // What the file gives is taken before anything is handed out.
        let given: Vec<_> = members
            .into_iter()
            .map(|member| match member.address {
                Read::Absent => (member, None),
                Read::Bad => (member, Some(Ipv4Addr::UNSPECIFIED)),
                Read::Given(value, byte) => {
                    let at = At::File(byte);
                    let who = &member.who;
                    let address = self.claim(&format!("{who}: address"), who, Item { value, at });
                    (member, Some(address))
                }
            })
            .collect();
        given
            .into_iter()
            .map(|(member, given)| given.unwrap_or_else(|| self.free(&member)))
            .collect()
    }

    fn free(&mut self, member: &Claimant) -> Ipv4Addr {
        let who = &member.who;
        let found = match self.bmcs.map(|bmcs| bmcs.value) {
            Some((first, last)) if member.is_bmc => {
                self.next_free(first.into()).filter(|free| *free <= last)
            }
            bmcs => {
                // What BMCs have a range for stays theirs.
                let found = self.next_free(self.nth(FIRST_NODE).into());
                match (found, bmcs) {
                    (Some(free), Some((first, last))) if first <= free && free <= last => {
                        self.next_free(u32::from(last).saturating_add(1))
                    }
                    (found, _) => found,
                }
            }
        };
        let Some(address) = found else {
            let wrong = [self.pool.map(|pool| pool.at), self.bmcs.map(|bmcs| bmcs.at)];
            if self.known() && !wrong.contains(&Some(At::Bad)) {
                let (among, widen) = match self.bmcs.map(|bmcs| bmcs.value) {
                    Some((first, last)) if member.is_bmc => (
                        format!("bmcs {first}-{last}"),
                        "widen that range".to_owned(),
                    ),
                    _ => (
                        self.subnet.value.to_string(),
                        format!(
                            "shrink {} pool, or widen {} subnet",
                            self.words.dhcp_table, self.words.table
                        ),
                    ),
                };
                let message = format!("{who}: no address is left in {among} for it");
                let hint = format!("give it an address, or {widen}");
                self.notes.add(Some(member.at), message, Some(hint));
            }
            return Ipv4Addr::UNSPECIFIED;
        };
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
            leased: false,
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
            self.bmcs_beside_pool();
        }
    }

    /// Notes a range of BMCs that DHCP gives out too.
    fn bmcs_beside_pool(&self) {
        let (Some(bmcs), Some(pool)) = (self.bmcs, self.pool) else {
            return;
        };
        let ((first, last), (from_pool, to_pool)) = (bmcs.value, pool.value);
        let apart = last < from_pool || to_pool < first;
        if apart || bmcs.at == At::Bad || pool.at == At::Bad {
            return;
        }
        let message = format!(
            "{}: bmcs {first}-{last} overlaps the pool {from_pool}-{to_pool} of {} ({})",
            self.words.network,
            self.words.dhcp,
            from(self.notes, pool.at)
        );
        let hint = "leave to DHCP what is DHCP's: end one before the other begins";
        self.notes
            .add(bmcs.at.byte(), message, Some(hint.to_owned()));
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
            .filter(|claim| !claim.leased)
            .filter(|claim| first <= claim.address && claim.address <= last)
            .collect();
        match at {
            At::Bad => {}
            At::Default => {
                for claim in covered {
                    let message = format!(
                        "{} {} lies in the default pool {first}-{last} of {}",
                        claim.what, claim.address, self.words.dhcp
                    );
                    let table = &self.words.dhcp_table;
                    let (a, b) = self.gap(first, last).unwrap_or(value);
                    let hint = match self.next_free(u32::from(self.nth(1))) {
                        Some(free) => format!("{free} is free; or set {table} pool = \"{a}-{b}\""),
                        None => format!("set {table} pool = \"{a}-{b}\""),
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
                    "{}: pool {first}-{last} covers {}",
                    self.words.dhcp,
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
