//! Networks: `[network]` and `[network.NAME]`, read, checked and spelled.

use std::fmt::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::de::{DeTable, DeValue};

use super::addresses::{Addresses, Claimant, from};
use super::render::quoted;
use super::report::{Notes, shown};
use super::value::{self, spell_duration};
use super::walk::{At, Item, Read, Table, Wrong, either, nearest};
use crate::lab::network::{ETHERNET_MTU, MAIN};
use crate::lab::{Dhcp, Ipv6, Lab, Name, Nat, Network};

/// The keys of `[network]`; its tables are more networks.
pub(super) const NETWORK: &[&str] = &["subnet", "gateway", "bmcs", "mtu", "ipv6", "attach", "nat"];

/// The keys of `[network.NAME]`.
pub(super) const MORE: &[&str] = &[
    "subnet", "gateway", "bmcs", "mtu", "ipv6", "attach", "nat", "dhcp",
];

/// The keys of `[network.NAME.dhcp]`.
pub(super) const MORE_DHCP: &[&str] = &["address", "pool", "lease"];

/// More is no lab but a slip.
const MOST: usize = 16;

/// The member `dhcp-NAME` has a name too.
const MOST_BYTES: usize = Name::MOST - "dhcp-".len();

/// Every host takes packets of the lower end (RFC 791), and no model of NIC more than the upper.
const MTU: (u32, u32) = (576, 9000);

/// The least that IPv6 takes (RFC 8200).
const IPV6_MTU: u16 = 1280;

/// The table of a network.
pub(super) struct NetworkFile {
    pub(super) name: Name,
    /// The byte of its name.
    at: usize,
    subnet: Read<Ipv4Net>,
    gateway: Read<Ipv4Addr>,
    bmcs: Read<(Ipv4Addr, Ipv4Addr)>,
    mtu: Read<u16>,
    ipv6: Read<Ipv6>,
    attach: Read<bool>,
    nat: Read<Nat>,
    dhcp: Option<MoreDhcpFile>,
}

/// The table of DHCP on a network beside the main one.
struct MoreDhcpFile {
    address: Read<Ipv4Addr>,
    pool: Read<(Ipv4Addr, Ipv4Addr)>,
    lease: Read<Duration>,
}

/// The networks of the file: the main one, then the others in its order.
pub(super) fn spell(lab: &Table, notes: &Notes) -> Vec<NetworkFile> {
    let entries = match lab.read_table("network", false) {
        Read::Given(entries, _) => entries,
        Read::Absent | Read::Bad => None,
    };
    let main = Table::within(notes, "network", entries, NETWORK);
    let name = crate::lab::network::main();
    let mut networks = vec![network(&main, name, 0, None)];
    let mut others: Vec<_> = entries.into_iter().flatten().collect();
    others.retain(|(key, _)| !NETWORK.contains(&key.get_ref().as_ref()));
    others.sort_by_key(|(key, _)| key.span().start);
    let mut count = 0;
    for (key, value) in others {
        let (typed, at) = (key.get_ref().as_ref(), key.span().start);
        let Some(table) = value.get_ref().as_table() else {
            main.unknown(key, value.get_ref());
            continue;
        };
        count += 1;
        if count == MOST {
            let message = format!("too many networks: {MOST} is the most, with the main one");
            notes.add(Some(at), message, None);
        }
        let Some(name) = named(typed, at, notes).filter(|_| count < MOST) else {
            continue;
        };
        let scope = format!("network `{name}`");
        let own = Table::open(notes, &scope, Some(table), MORE);
        let dhcp = match own.read_table("dhcp", true) {
            Read::Given(Some(entries), _) => Some(more_dhcp(&name, entries, notes)),
            Read::Given(None, _) | Read::Absent | Read::Bad => None,
        };
        networks.push(network(&own, name, at, dhcp));
    }
    networks
}

fn named(typed: &str, at: usize, notes: &Notes) -> Option<Name> {
    let shown = shown(typed);
    if typed == MAIN {
        let message = format!("network `{MAIN}`: this is the name of the lab's main network");
        let hint = "write its keys in [network]".to_owned();
        notes.add(Some(at), message, Some(hint));
        return None;
    }
    let name = Name::new(typed).ok();
    let name = name.filter(|name| name.as_str().len() <= MOST_BYTES);
    if name.is_none() {
        let message = format!(
            "network `{shown}`: a name has 1 to {MOST_BYTES} lower-case letters, digits and hyphens, a letter or digit first"
        );
        let hint = "write [network.NAME] and its keys below it".to_owned();
        notes.add(Some(at), message, Some(hint));
    }
    name
}

fn network(table: &Table, name: Name, at: usize, dhcp: Option<MoreDhcpFile>) -> NetworkFile {
    NetworkFile {
        name,
        at,
        subnet: table.read("subnet", value::subnet),
        gateway: table.read("gateway", value::address),
        bmcs: table.read("bmcs", value::pool),
        mtu: table.read("mtu", |v| {
            let mtu = value::whole(v, MTU.0..=MTU.1)?;
            Ok(u16::try_from(mtu).expect("MTU ends below 2^16"))
        }),
        ipv6: table.read("ipv6", ipv6),
        attach: table.read("attach", value::boolean),
        nat: table.read("nat", nat),
        dhcp,
    }
}

fn more_dhcp(network: &Name, entries: &DeTable, notes: &Notes) -> MoreDhcpFile {
    let scope = format!("service `dhcp-{network}`");
    let table = Table::open(notes, &scope, Some(entries), MORE_DHCP);
    MoreDhcpFile {
        address: table.read("address", value::address),
        pool: table.read("pool", value::pool),
        lease: table.read("lease", value::lease),
    }
}

fn ipv6(value: &DeValue) -> Result<Ipv6, Wrong> {
    match value.as_bool() {
        Some(false) => Ok(Ipv6::Off),
        Some(true) => Err(Wrong::want("\"ra\", \"dhcpv6\" or false")
            .hint("write ipv6 = \"ra\" for addresses that guests make themselves")),
        None => {
            let word = value::word(value, &["ra", "dhcpv6"]);
            let word = word.map_err(|wrong| Wrong {
                expected: "\"ra\", \"dhcpv6\" or false".to_owned(),
                ..wrong
            })?;
            Ok([Ipv6::Ra, Ipv6::Dhcpv6][word])
        }
    }
}

/// The lab's networks while the rest of the lab is checked.
pub(super) struct Networks<'a> {
    notes: &'a Notes<'a>,
    all: Vec<One<'a>>,
}

/// A network, and who has which of its addresses.
struct One<'a> {
    name: Name,
    subnet: Item<Ipv4Net>,
    addresses: Addresses<'a>,
    gateway: Ipv4Addr,
    bmcs: Option<(Ipv4Addr, Ipv4Addr)>,
    mtu: Item<u16>,
    ipv6: Read<Ipv6>,
    attach: bool,
    nat: Item<Nat>,
    has_dhcp: bool,
}

impl<'a> Networks<'a> {
    /// The networks of `files`, and the DHCP servers of those beside the main one;
    /// `model` is what these share with the main one's.
    pub(super) fn of(
        files: Vec<NetworkFile>,
        model: &Dhcp,
        main_has_dhcp: bool,
        notes: &'a Notes<'a>,
    ) -> (Self, Vec<Dhcp>) {
        let mut networks = Self {
            notes,
            all: Vec::new(),
        };
        let mut servers = Vec::new();
        for file in files {
            let name = file.name.clone();
            let dhcp = networks.add(file, main_has_dhcp);
            let (Some(file), Some(one)) = (dhcp, networks.all.last_mut()) else {
                continue;
            };
            let name_of_member = format!("dhcp-{name}");
            let who = format!("service `{name_of_member}`");
            servers.push(Dhcp {
                name: Name::new(&name_of_member).expect("MOST_BYTES sees to it"),
                network: name,
                address: one.addresses.service(&who, file.address, 2),
                pool: one.addresses.pool(file.pool),
                lease: file.lease.or(model.lease).value,
                ..model.clone()
            });
        }
        networks.check_subnets();
        (networks, servers)
    }

    fn add(&mut self, file: NetworkFile, main_has_dhcp: bool) -> Option<MoreDhcpFile> {
        let is_main = self.all.is_empty();
        let subnet = match (file.subnet, is_main) {
            (Read::Absent, false) => {
                let message = format!("network `{}`: it has no `subnet`", file.name);
                let hint = "write subnet = \"10.9.0.0/24\", or another that no network overlaps";
                self.notes
                    .add(Some(file.at), message, Some(hint.to_owned()));
                Read::Bad
            }
            (read, _) => read,
        };
        let subnet = subnet.or_else(default_subnet);
        let named = (!is_main).then_some(&file.name);
        let mut addresses = Addresses::of(subnet, named, self.notes);
        let gateway = addresses.gateway(file.gateway);
        let bmcs = addresses.bmcs(file.bmcs);
        self.all.push(One {
            name: file.name,
            subnet,
            addresses,
            gateway,
            bmcs,
            mtu: file.mtu.or(ETHERNET_MTU),
            ipv6: file.ipv6,
            attach: file.attach.or(false).value,
            nat: file.nat.or(Nat::Off),
            has_dhcp: match is_main {
                true => main_has_dhcp,
                false => file.dhcp.is_some(),
            },
        });
        file.dhcp
    }

    /// Notes subnets that overlap: the fabric routes between them.
    fn check_subnets(&self) {
        for (n, one) in self.all.iter().enumerate() {
            let Item { value: net, at } = one.subnet;
            let clash = self.all[..n].iter().find(|other| {
                let other = other.subnet;
                let overlap = other.value.contains(&net) || net.contains(&other.value);
                overlap && other.at != At::Bad && at != At::Bad
            });
            let Some(other) = clash else { continue };
            let (mine, byte) = match at {
                At::File(byte) => (&one.name, Some(byte)),
                At::Default | At::Bad => (&one.name, None),
            };
            let message = format!(
                "network `{mine}`: subnet {net} overlaps {} of network `{}` ({})",
                other.subnet.value,
                other.name,
                from(self.notes, other.subnet.at)
            );
            let hint = self.free().map(|free| format!("{free} is free"));
            self.notes.add(byte, message, hint);
        }
    }

    /// Notes networks that want different ways out: the lab has one.
    fn check_nat(&self) {
        let wanted = |one: &&One| matches!(one.nat.value, Nat::Passt | Nat::Nft);
        let mut wanted = self.all.iter().filter(wanted);
        let Some(first) = wanted.next() else { return };
        for other in wanted.filter(|other| other.nat.value != first.nat.value) {
            let message = format!(
                "network `{}`: nat = \"{}\", but \"{}\" for network `{}` ({})",
                other.name,
                other.nat.value,
                first.nat.value,
                first.name,
                from(self.notes, first.nat.at)
            );
            let hint = "networks share one way out: write nat = true for one of them".to_owned();
            self.notes.add(other.nat.at.byte(), message, Some(hint));
        }
    }

    /// A subnet that overlaps none.
    fn free(&self) -> Option<Ipv4Net> {
        let candidates = (1..=255).map(|n| Ipv4Net::new_assert(Ipv4Addr::new(10, n, 0, 0), 24));
        let overlaps = |net: &Ipv4Net| {
            let mut all = self.all.iter().map(|one| one.subnet.value);
            all.any(|other| other.contains(net) || net.contains(&other))
        };
        candidates.into_iter().find(|net| !overlaps(net))
    }

    /// The main network's addresses.
    pub(super) fn main(&mut self) -> &mut Addresses<'a> {
        &mut self.all[0].addresses
    }

    /// The place of the network that `who` names, of the main one when it names none; none for
    /// a network that is not there, which is noted.
    pub(super) fn place(&self, who: &str, read: &Read<Name>) -> Option<usize> {
        let (name, at) = match read {
            Read::Absent => return Some(0),
            Read::Bad => return None,
            Read::Given(name, at) => (name, at),
        };
        let found = self.all.iter().position(|one| one.name == *name);
        if found.is_none() {
            let names: Vec<&str> = self.all.iter().map(|one| one.name.as_str()).collect();
            let message =
                format!("{who}: `network` names `{name}`, which is no network of this lab");
            let hint = match nearest(name.as_str(), &names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!(
                    "there is {}; [network.{name}] makes another",
                    either(&names, '"')
                ),
            };
            self.notes.add(Some(*at), message, Some(hint));
        }
        found
    }

    /// The same, silently.
    pub(super) fn find(&self, read: &Read<Name>) -> Option<usize> {
        match read {
            Read::Absent => Some(0),
            Read::Bad => None,
            Read::Given(name, _) => self.all.iter().position(|one| one.name == *name),
        }
    }

    /// The name of the network at a [`place`](Self::place).
    pub(super) fn name(&self, place: Option<usize>) -> Name {
        self.all[place.unwrap_or(0)].name.clone()
    }

    /// The address of a service: the `nth` of its network's if the file gives none.
    pub(super) fn service(
        &mut self,
        who: &str,
        place: Option<usize>,
        read: Read<Ipv4Addr>,
        nth: u32,
    ) -> Ipv4Addr {
        let read = if place.is_some() { read } else { Read::Bad };
        let one = &mut self.all[place.unwrap_or(0)];
        one.addresses.service(who, read, nth)
    }

    /// Takes the address that DHCP keeps for a network card, if any.
    pub(super) fn reserve(
        &mut self,
        who: &str,
        card: &str,
        place: Option<usize>,
        read: Read<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let Read::Given(value, at) = read else {
            return None;
        };
        let one = &mut self.all[place?];
        if !one.has_dhcp {
            let message = format!(
                "{who}: `ip` is given by DHCP, which network `{}` does not have",
                one.name
            );
            let hint = match one.name.as_str() {
                MAIN => "leave `dhcp = false` out".to_owned(),
                name => format!("write dhcp = {{}} in [network.{name}]"),
            };
            self.notes.add(Some(at), message, Some(hint));
        }
        let at = At::File(at);
        Some(one.addresses.reserve(who, card, Item { value, at }))
    }

    /// The addresses of all these members, in their order, each in its network.
    pub(super) fn hand_out(&mut self, claimants: Vec<(Option<usize>, Claimant)>) -> Vec<Ipv4Addr> {
        let mut given = vec![Ipv4Addr::UNSPECIFIED; claimants.len()];
        let mut by_network: Vec<Vec<(usize, Claimant)>> = Vec::new();
        by_network.resize_with(self.all.len(), Vec::new);
        for (n, (place, claimant)) in claimants.into_iter().enumerate() {
            if let Some(place) = place {
                by_network[place].push((n, claimant));
            }
        }
        for (one, here) in self.all.iter_mut().zip(by_network) {
            let (places, claimants): (Vec<_>, Vec<_>) = here.into_iter().unzip();
            let addresses = one.addresses.hand_out(claimants);
            for (place, address) in places.into_iter().zip(addresses) {
                given[place] = address;
            }
        }
        given
    }

    /// The networks as they are: the main one and the others, in the order of their names; what
    /// cannot be is noted.
    pub(super) fn check(self) -> (Network, Vec<Network>) {
        let notes = self.notes;
        self.check_nat();
        let network = |one: One| {
            one.addresses.check();
            Network {
                ipv6: ipv6_of(&one.name, one.ipv6, one.mtu, one.has_dhcp, notes),
                name: one.name,
                subnet: one.subnet.value,
                gateway: one.gateway,
                bmcs: one.bmcs,
                mtu: one.mtu.value,
                attach: one.attach,
                nat: one.nat.value,
            }
        };
        let mut all: Vec<_> = self.all.into_iter().map(network).collect();
        let main = all.remove(0);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        (main, all)
    }
}

/// A way out, or true or false.
fn nat(value: &DeValue) -> Result<Nat, Wrong> {
    match value.as_bool() {
        Some(true) => Ok(Nat::Auto),
        Some(false) => Ok(Nat::Off),
        None => {
            let word = value::word(value, &["passt", "nft"]);
            let word = word.map_err(|wrong| Wrong {
                expected: "true, false, \"passt\" or \"nft\"".to_owned(),
                ..wrong
            })?;
            Ok([Nat::Passt, Nat::Nft][word])
        }
    }
}

/// Who gives IPv6 addresses is dnsmasq, so without DHCP nobody does.
fn ipv6_of(name: &Name, read: Read<Ipv6>, mtu: Item<u16>, has_dhcp: bool, notes: &Notes) -> Ipv6 {
    let fits = mtu.value >= IPV6_MTU;
    let by_default = match has_dhcp && fits {
        true => Ipv6::Ra,
        false => Ipv6::Off,
    };
    let Item { value, at } = read.or(by_default);
    let (problem, hint) = match value {
        Ipv6::Off => return value,
        Ipv6::Ra | Ipv6::Dhcpv6 if !has_dhcp => (
            "is for networks with DHCP: one program does both".to_owned(),
            "leave `ipv6` out",
        ),
        Ipv6::Ra | Ipv6::Dhcpv6 if !fits && mtu.at != At::Bad => (
            format!(
                "needs an mtu of {IPV6_MTU} or more, and it is {}",
                mtu.value
            ),
            "write ipv6 = false",
        ),
        Ipv6::Ra | Ipv6::Dhcpv6 => return value,
    };
    if let Some(byte) = at.byte() {
        let message = format!("network `{name}`: ipv6 = \"{value}\" {problem}");
        notes.add(Some(byte), message, Some(hint.to_owned()));
    }
    value
}

fn default_subnet() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 25, 0), 24)
}

/// Spells the main network.
pub(super) fn render(out: &mut String, lab: &Lab) -> fmt::Result {
    writeln!(out, "\n[network]")?;
    write_keys(out, &lab.network)
}

/// Spells the others.
pub(super) fn render_more(out: &mut String, lab: &Lab) -> fmt::Result {
    for network in &lab.more_networks {
        writeln!(out, "\n[network.{}]", network.name)?;
        write_keys(out, network)?;
        let server = lab.more_dhcp.iter();
        let server = server.clone().find(|dhcp| dhcp.network == network.name);
        let Some(dhcp) = server else {
            writeln!(out, "dhcp = false")?;
            continue;
        };
        let (first, last) = dhcp.pool;
        writeln!(out, "\n[network.{}.dhcp]", network.name)?;
        writeln!(out, "address = {}", quoted(dhcp.address))?;
        writeln!(out, "pool = {}", quoted(format_args!("{first}-{last}")))?;
        writeln!(out, "lease = {}", quoted(spell_duration(dhcp.lease)))?;
    }
    Ok(())
}

fn write_keys(out: &mut String, network: &Network) -> fmt::Result {
    writeln!(out, "subnet = {}", quoted(network.subnet))?;
    writeln!(out, "gateway = {}", quoted(network.gateway))?;
    if let Some((first, last)) = network.bmcs {
        writeln!(out, "bmcs = {}", quoted(format_args!("{first}-{last}")))?;
    }
    writeln!(out, "mtu = {}", network.mtu)?;
    writeln!(out, "attach = {}", network.attach)?;
    match network.nat {
        Nat::Off | Nat::Auto => writeln!(out, "nat = {}", network.nat)?,
        Nat::Passt | Nat::Nft => writeln!(out, "nat = {}", quoted(network.nat))?,
    }
    match network.ipv6 {
        Ipv6::Off => writeln!(out, "ipv6 = false"),
        Ipv6::Ra | Ipv6::Dhcpv6 => writeln!(out, "ipv6 = {}", quoted(network.ipv6)),
    }
}
