//! Ways between a lab and its host, as data: links, and the rules that keep the lab out of the host.
//!
//! They are the only things of a lab in the host's network namespace.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

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
