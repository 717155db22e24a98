//! The lab's network, as steps: a bridge for each network in the fabric, then each member's
//! namespace and links.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::lab::{Ipv6, Lab, LinkName, Mac, Name, Network, Node};
use crate::service::dnsmasq;
use crate::step::{Place, Step};

/// All steps; `ipv6` says whether the host has IPv6 at all.
pub(super) fn steps(lab: &Lab, ipv6: bool) -> Vec<Step> {
    let services = lab.services();
    let names = services.iter().map(|seat| seat.name);
    let names = names.chain(lab.nodes.iter().map(|node| &node.name));
    let mut steps: Vec<Step> = names.map(|name| Step::AddNetns(name.clone())).collect();
    steps.extend(fabric(lab, ipv6));
    for seat in &services {
        let mac = member_mac(lab, seat.address);
        steps.extend(cable(lab, seat.name, 0, lab.network(seat.network), mac));
    }
    for node in &lab.nodes {
        for (nth, nic) in node.nics().enumerate() {
            // Not the one of the guest's card: the bridge between them would keep its packets.
            let mac = derived(lab, &format!("{}/link", of_nic(&node.name, nth)));
            steps.extend(cable(lab, &node.name, nth, lab.network(&nic.network), mac));
        }
    }
    for seat in &services {
        let place = Place::Member(seat.name.clone());
        let network = lab.network(seat.network);
        let serves = lab.dhcp_servers().any(|dhcp| dhcp.name == *seat.name);
        let advertises = ipv6 && serves && network.ipv6 != Ipv6::Off;
        steps.extend(member(&place, ipv6 && !advertises));
        steps.push(address(&place, &LinkName::eth0(), network, seat.address));
        if advertises {
            steps.push(advertiser(&place, network.subnet));
        }
        steps.push(up(&place, LinkName::eth0()));
        steps.push(default_route(&place, network));
    }
    for node in &lab.nodes {
        steps.extend(node_steps(lab, node, ipv6));
    }
    steps
}

/// The fabric's bridges.
fn fabric(lab: &Lab, ipv6: bool) -> Vec<Step> {
    let place = Place::Fabric;
    let mut steps = Vec::new();
    if ipv6 {
        steps.push(no_ipv6(&place));
    }
    if !lab.more_networks.is_empty() || lab.nat().is_some() {
        // The fabric is the router between the lab's networks, and out of it.
        steps.push(sysctl(&place, "net/ipv4/ip_forward", "1"));
    }
    steps.push(up(&place, LinkName::lo()));
    for network in lab.networks() {
        let bridge = network.bridge();
        steps.push(Step::AddBridge {
            place: place.clone(),
            link: bridge.clone(),
            mac: fabric_mac(lab, network),
            mtu: network.mtu,
        });
        steps.push(address(&place, &bridge, network, network.gateway));
    }
    steps
}

/// The link between a member, where it has the MAC address `mac`, and the bridge of a network,
/// which is its `nth`.
fn cable(lab: &Lab, name: &Name, nth: usize, network: &Network, mac: Mac) -> [Step; 2] {
    let link = LinkName::of_nic(name, nth);
    [
        Step::AddVeth {
            link: link.clone(),
            mac: derived(lab, &format!("{}/fabric", of_nic(name, nth))),
            master: network.bridge(),
            member: name.clone(),
            peer: LinkName::eth(nth),
            peer_mac: mac,
            mtu: network.mtu,
        },
        up(&Place::Fabric, link),
    ]
}

/// The seed of what belongs to a member's network card, counted from 0.
fn of_nic(name: &Name, nth: usize) -> String {
    match nth {
        0 => name.to_string(),
        nth => format!("{name}/eth{nth}"),
    }
}

fn derived(lab: &Lab, seed: &str) -> Mac {
    Mac::derived(&format!("{}/{seed}", lab.name))
}

/// The MAC address of a network's bridge in the fabric, which is its gateway.
#[must_use]
pub fn fabric_mac(lab: &Lab, network: &Network) -> Mac {
    match network.is_main() {
        true => derived(lab, "fabric"),
        false => derived(lab, &format!("fabric/{}", network.name)),
    }
}

/// The MAC address of who answers on a member's address: a service, or a node's BMC.
///
/// Whoever gets the address of a member that is gone has its MAC address too, so that nobody who
/// knows it from ARP (RFC 826) calls for the one that is gone.
#[must_use]
pub fn member_mac(lab: &Lab, address: Ipv4Addr) -> Mac {
    derived(lab, &address.to_string())
}

/// What every member's namespace has.
fn member(place: &Place, without_ipv6: bool) -> Vec<Step> {
    // A service that is not root may bind its well-known port.
    let mut steps = vec![sysctl(place, "net/ipv4/ip_unprivileged_port_start", "0")];
    if without_ipv6 {
        steps.push(no_ipv6(place));
    }
    steps.push(up(place, LinkName::lo()));
    steps
}

/// A node's namespace: for each network card of the guest a bridge that joins the link to the
/// fabric with the card's TAP device. The BMC answers on the first.
fn node_steps(lab: &Lab, node: &Node, ipv6: bool) -> Vec<Step> {
    let place = Place::Member(node.name.clone());
    let mut steps = member(&place, ipv6);
    for (nth, nic) in node.nics().enumerate() {
        let mtu = lab.network(&nic.network).mtu;
        let (bridge, link, tap) = (LinkName::br(nth), LinkName::eth(nth), LinkName::tap(nth));
        let mac = match nth {
            0 => member_mac(lab, node.address),
            nth => derived(lab, &format!("{}/{bridge}/{nth}", node.name)),
        };
        steps.extend([
            Step::AddBridge {
                place: place.clone(),
                link: bridge.clone(),
                mac,
                mtu,
            },
            Step::SetMaster {
                place: place.clone(),
                link: link.clone(),
                master: bridge.clone(),
            },
            Step::AddTap {
                place: place.clone(),
                link: tap.clone(),
                master: bridge,
                mtu,
            },
            up(&place, link),
            up(&place, tap),
        ]);
    }
    let network = lab.network(&node.nic.network);
    steps.push(address(&place, &LinkName::br(0), network, node.address));
    steps.push(default_route(&place, network));
    steps
}

fn up(place: &Place, link: LinkName) -> Step {
    Step::SetUp {
        place: place.clone(),
        link,
    }
}

fn address(place: &Place, link: &LinkName, network: &Network, address: Ipv4Addr) -> Step {
    Step::AddAddress {
        place: place.clone(),
        link: link.clone(),
        address: IpNet::V4(Ipv4Net::new_assert(address, network.subnet.prefix_len())),
    }
}

/// The address from which dnsmasq advertises its network.
fn advertiser(place: &Place, subnet: Ipv4Net) -> Step {
    Step::AddAddress {
        place: place.clone(),
        link: LinkName::eth0(),
        address: IpNet::V6(Ipv6Net::new_assert(dnsmasq::own_ipv6(subnet), 64)),
    }
}

fn default_route(place: &Place, network: &Network) -> Step {
    Step::AddDefaultRoute {
        place: place.clone(),
        via: network.gateway,
    }
}

/// Without it each link would solicit routers and give itself an address.
fn no_ipv6(place: &Place) -> Step {
    sysctl(place, "net/ipv6/conf/all/disable_ipv6", "1")
}

fn sysctl(place: &Place, key: &str, value: &str) -> Step {
    Step::SetSysctl {
        place: place.clone(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
