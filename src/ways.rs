//! Ways between a lab and its host, as data: links, and the rules that keep the lab out of the host.
//!
//! They are the only things of a lab in the host's network namespace.

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::lab::network::ETHERNET_MTU;
use crate::lab::{Lab, LinkName, Name, Network};
use crate::rules::{Chain, Family, Hook, Match, Rule, Table, Verdict};

/// A link between a lab and its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLink {
    /// Its end on the host.
    pub host: LinkName,
    /// The group of that end.
    pub group: u32,
    /// The host's address.
    pub address: Ipv4Net,
    /// Its end in the fabric.
    pub fabric: LinkName,
    /// The bridge that this end is a port of, if any.
    pub master: Option<LinkName>,
    /// Its MTU.
    pub mtu: u16,
    /// Sysctls of the host's end: family and name, such as `ipv4` and `forwarding`, and value.
    pub sysctls: Vec<(String, String, String)>,
}

impl HostLink {
    /// The link by which the host is on `network` with `address`.
    #[must_use]
    pub fn of(lab: &Name, network: &Network, address: Ipv4Addr) -> Self {
        let what = match network.is_main() {
            true => String::new(),
            false => format!("-{}", network.name),
        };
        let sysctl = |family: &str, key: &str, value: &str| {
            (family.to_owned(), key.to_owned(), value.to_owned())
        };
        Self {
            host: LinkName::on_host(lab, &what),
            group: group(lab),
            address: Ipv4Net::new_assert(address, network.subnet.prefix_len()),
            fabric: LinkName::to_host(network.name.as_str()),
            master: Some(network.bridge()),
            mtu: network.mtu,
            sysctls: vec![
                // A router advertisement would give the host a default route into the lab.
                sysctl("ipv6", "disable_ipv6", "1"),
                // It answers for its address on this network, and for no other.
                sysctl("ipv4", "arp_ignore", "1"),
            ],
        }
    }
}

impl fmt::Display for HostLink {
    /// The link as shell commands, of which those on the host begin with `ip -n host`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, fabric, mtu, ..
        } = self;
        let master = self.master.iter().map(|master| format!(" master {master}"));
        let master: String = master.collect();
        writeln!(
            f,
            "ip link add {fabric} mtu {mtu}{master} type veth \
             peer name {host} group {} mtu {mtu} netns host",
            self.group
        )?;
        writeln!(f, "ip link set {fabric} up")?;
        for (family, key, value) in &self.sysctls {
            writeln!(
                f,
                "ip netns exec host sysctl -qw net/{family}/conf/{host}/{key}={value}"
            )?;
        }
        writeln!(f, "ip -n host link set {host} up")?;
        writeln!(f, "ip -n host address add {} dev {host}", self.address)
    }
}

/// The rules on the host for these links: the host talks to the lab, and the lab answers; it
/// starts nothing itself, and nothing passes through the host.
#[must_use]
pub fn guards(lab: &Name, links: &[LinkName]) -> Table {
    let of = |matches: fn(LinkName) -> Vec<Match>, verdict| {
        let links = links.iter().cloned();
        links.map(move |link| Rule::new(matches(link), verdict))
    };
    let input = of(
        |link| vec![Match::In(link), Match::GoingOn],
        Verdict::Accept,
    );
    let input = input.chain(of(|link| vec![Match::In(link)], Verdict::Drop));
    let forward = of(|link| vec![Match::In(link)], Verdict::Drop);
    let forward = forward.chain(of(|link| vec![Match::Out(link)], Verdict::Drop));
    let chain = |hook, rules| Chain {
        hook,
        drops: false,
        rules,
    };
    Table {
        name: format!("nsplay_{lab}"),
        family: Family::Inet,
        chains: vec![
            chain(Hook::Input, input.collect()),
            chain(Hook::Forward, forward.collect()),
        ],
    }
}

/// The way out of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOut {
    /// The bridges of the networks that have it.
    pub bridges: Vec<LinkName>,
    /// How.
    pub by: By,
    /// Servers of DNS that answer there.
    pub resolvers: Vec<Ipv4Addr>,
    /// The user that passt runs as.
    pub user: u32,
}

/// How a lab's packets leave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// By this passt(1), which opens connections anew.
    Passt(PathBuf),
    /// By a link to the host in this subnet.
    Link(Ipv4Net),
}

/// The subnet between the fabric and passt, which nobody else sees: RFC 7335 sets it aside for
/// what happens inside one host.
const INSIDE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 29);

/// Networks that a lab never reaches: a cloud's metadata, which has its host's keys, is in it.
const LINK_LOCAL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16);

/// Subnets for links to the host, of the range that is for measuring networks (RFC 2544); a lab
/// begins at its own.
pub fn transits(lab: &Name) -> impl Iterator<Item = Ipv4Net> + use<> {
    const ALL: u32 = 1 << 15;
    let first = group(lab) % ALL;
    (0..ALL).map(move |n| {
        let bits = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (first + n) % ALL * 4;
        Ipv4Net::new_assert(Ipv4Addr::from(bits), 30)
    })
}

impl WayOut {
    /// The next hop out of the fabric, and the fabric's own address there.
    #[must_use]
    pub fn addresses(&self) -> (Ipv4Addr, Ipv4Net) {
        let net = match self.by {
            By::Passt(_) => INSIDE,
            By::Link(net) => net,
        };
        let nth = |n| Ipv4Addr::from(u32::from(net.network()) + n);
        (nth(1), Ipv4Net::new_assert(nth(2), net.prefix_len()))
    }

    /// The link to the host, where the way is one.
    #[must_use]
    pub fn link(&self, lab: &Name) -> Option<HostLink> {
        let By::Link(net) = self.by else { return None };
        let sysctl = |family: &str, key: &str, value: &str| {
            (family.to_owned(), key.to_owned(), value.to_owned())
        };
        Some(HostLink {
            host: LinkName::on_host(lab, ".nat"),
            group: group(lab),
            address: Ipv4Net::new_assert(self.addresses().0, net.prefix_len()),
            fabric: LinkName::out(),
            master: None,
            mtu: ETHERNET_MTU,
            sysctls: vec![
                sysctl("ipv4", "forwarding", "1"),
                sysctl("ipv6", "disable_ipv6", "1"),
                sysctl("ipv4", "arp_ignore", "1"),
            ],
        })
    }

    /// The fabric's rules: who goes out, gets the fabric's address, and only answers come in.
    /// `hidden` are the host's own addresses.
    #[must_use]
    pub fn rules(&self, hidden: &[Ipv4Net]) -> Table {
        let out = LinkName::out();
        let going_out = || Match::Out(out.clone());
        let hidden = hidden.iter().chain([&LINK_LOCAL]);
        let mut forward: Vec<Rule> = hidden
            .map(|net| Rule::new([going_out(), Match::To(*net)], Verdict::Drop))
            .collect();
        let opened = self
            .bridges
            .iter()
            .map(|bridge| Rule::new([Match::In(bridge.clone()), going_out()], Verdict::Accept));
        forward.extend(opened);
        forward.extend([
            Rule::new([Match::In(out.clone()), Match::GoingOn], Verdict::Accept),
            Rule::new([Match::In(out.clone())], Verdict::Drop),
            Rule::new([going_out()], Verdict::Drop),
        ]);
        let input = vec![
            Rule::new([Match::In(out.clone()), Match::GoingOn], Verdict::Accept),
            Rule::new([Match::In(out.clone())], Verdict::Drop),
        ];
        let masquerade = vec![Rule::new([going_out()], Verdict::Masquerade)];
        let chain = |hook, rules| Chain {
            hook,
            drops: false,
            rules,
        };
        Table {
            name: "nsplay".to_owned(),
            family: Family::Ip,
            chains: vec![
                chain(Hook::Input, input),
                chain(Hook::Forward, forward),
                chain(Hook::Postrouting, masquerade),
            ],
        }
    }

    /// What passt sees of the files; it makes a root of its own of it (`mounts`).
    #[must_use]
    pub fn cell() -> Cell {
        Cell {
            mounts: true,
            ..Cell::default()
        }
    }

    /// What passt is called with; `fd` is its line to the fabric.
    #[must_use]
    pub fn argv(&self, fd: RawFd) -> Vec<String> {
        let By::Passt(passt) = &self.by else {
            return Vec::new();
        };
        let (gateway, own) = self.addresses();
        let arguments = format!(
            "--foreground --quiet --fd {fd} --ipv4-only --no-dhcp --no-map-gw --mtu {ETHERNET_MTU} \
             --address {} --netmask {} --gateway {gateway}",
            own.addr(),
            own.prefix_len()
        );
        let arguments = arguments.split(' ').map(str::to_owned);
        std::iter::once(passt.display().to_string())
            .chain(arguments)
            .collect()
    }
}

/// The rules on the host for the links of attached networks and for the way out.
///
/// The lab reaches what is behind the host by the way out, and never the host itself.
#[must_use]
pub fn host_rules(lab: &Name, attached: &[LinkName], out: Option<&HostLink>) -> Table {
    let mut table = guards(lab, attached);
    let Some(out) = out else { return table };
    let (link, net) = (out.host.clone(), out.address.trunc());
    let incoming = || Match::In(link.clone());
    for chain in &mut table.chains {
        match chain.hook {
            Hook::Input => chain.rules.extend([
                Rule::new([incoming(), Match::GoingOn], Verdict::Accept),
                Rule::new([incoming()], Verdict::Drop),
            ]),
            Hook::Forward => chain.rules.extend([
                Rule::new([Match::Out(link.clone()), Match::GoingOn], Verdict::Accept),
                Rule::new([Match::Out(link.clone())], Verdict::Drop),
            ]),
            Hook::Postrouting => {}
        }
    }
    table.chains.push(Chain {
        hook: Hook::Postrouting,
        drops: false,
        rules: vec![Rule::new([Match::From(net)], Verdict::Masquerade)],
    });
    table
}

/// Why a network cannot be attached.
#[must_use]
pub fn overlaps(network: &Network, route: &str) -> String {
    let (name, subnet) = (&network.name, network.subnet);
    format!("cannot attach network `{name}`, {subnet}, to the host: it overlaps its route {route}")
}

impl Lab {
    /// The address that the host has on `network` when it is attached: the highest one that
    /// nobody has and DHCP does not give out; none when there is none.
    ///
    /// It is not the gateway's, which is the fabric's: members reach published sockets' relays and
    /// other networks by that one, attached or not.
    #[must_use]
    pub fn host_address(&self, network: &Network) -> Option<Ipv4Addr> {
        let taken = |address: &Ipv4Addr| {
            let in_range = |range: (Ipv4Addr, Ipv4Addr)| range.0 <= *address && *address <= range.1;
            let dhcp = self.dhcp_servers();
            *address == network.gateway
                || network.bmcs.is_some_and(in_range)
                || dhcp.map(|dhcp| dhcp.pool).any(in_range)
                || self.services().iter().any(|seat| seat.address == *address)
                || self.nodes.iter().any(|node| {
                    node.address == *address || node.nics().any(|nic| nic.ip == Some(*address))
                })
        };
        let (first, last) = (network.subnet.network(), network.subnet.broadcast());
        let mut from_the_top = (u32::from(first) + 1..u32::from(last)).rev();
        from_the_top.find_map(|bits| Some(Ipv4Addr::from(bits)).filter(|address| !taken(address)))
    }
}

/// The group that all links of a lab on its host are in, by which they are found again
/// (ip-link(8)). Others use small numbers.
#[must_use]
pub fn group(lab: &Name) -> u32 {
    // FNV-1a, as for the names of links.
    let hash = lab.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash & 0x3fff_ffff | 0x4000_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{self, Origin};

    fn lab(text: &str) -> Lab {
        file::load(text, &Origin::built_in(None)).unwrap()
    }

    #[test]
    fn the_host_gets_the_highest_address_that_nobody_has() {
        let of = |text: &str| {
            let lab = lab(text);
            lab.host_address(&lab.network).unwrap().to_string()
        };
        assert_eq!(of(""), "192.168.25.254");
        assert_eq!(
            of("[ssh]\naddress = \"192.168.25.254\"\n"),
            "192.168.25.253"
        );
        assert_eq!(
            of(
                "[network]\ngateway = \"192.168.25.254\"\n[dhcp]\npool = \"192.168.25.240-192.168.25.253\"\n"
            ),
            "192.168.25.239"
        );
        let full = lab(
            "node = false\n[network]\nsubnet = \"10.0.0.0/29\"\n[service.a]\ncommand = [\"a\"]\n",
        );
        assert_eq!(full.host_address(&full.network), None);
    }

    #[test]
    fn names_on_the_host_fit_and_tell_labs_apart() {
        let name = |name: &str| Name::new(name).unwrap();
        let host = |lab: &str, what| LinkName::on_host(&name(lab), what).to_string();
        assert_eq!(host("default", ""), "nsp-default");
        assert!(host("a-lab-with-a-long-name-1", "-data").len() <= 15);
        assert_ne!(
            host("a-lab-with-a-long-name-1", ""),
            host("a-lab-with-a-long-name-2", "")
        );
        assert_ne!(group(&name("one")), group(&name("two")));
    }
}
