//! The lab's DNS: its names, answered by the same dnsmasq.
//!
//! The main network's server knows every member. Each other network's knows what it has given
//! out there, below a domain of its own; both ask each other for the rest, and nobody else.

use std::net::{IpAddr, Ipv4Addr};

use dnsmasq_config::{
    Directive, Domain, DomainRule, HostRecord, Hostname, Local, Scope, Server, ValueError,
};
use ipnet::Ipv4Net;

use super::name_of_card;
use crate::lab::{Dhcp, Lab, Nat};

/// What makes `dhcp` a DNS server, or keeps it from being one.
///
/// # Errors
/// A name that dnsmasq cannot be told.
pub(super) fn directives(
    lab: &Lab,
    dhcp: &Dhcp,
    resolvers: &[Ipv4Addr],
) -> Result<Vec<Directive>, ValueError> {
    let mut all = Vec::new();
    let domain = dhcp.domain.as_deref().map(|main| domain(dhcp, main));
    if let Some(domain) = &domain {
        all.push(DomainRule::new(Domain::new(domain)?).into());
    }
    let (true, Some(domain)) = (dhcp.dns, domain) else {
        all.push(Directive::Port(0));
        return Ok(all);
    };
    let scope = |domain: &str| Domain::new(domain).map(Scope::Domain);
    // No server is asked that is not named here: nothing leaves the lab without a way out.
    all.push(Local::new(scope(&domain)?).into());
    let record = |name: &str, address: Ipv4Addr| -> Result<Directive, ValueError> {
        let full = Hostname::new(format!("{name}.{domain}"))?;
        Ok(HostRecord::new(full, address)
            .alias(Hostname::new(name)?)
            .into())
    };
    let is_main = lab.network.name == dhcp.network;
    if is_main {
        all.extend([Directive::BogusPriv, Directive::DomainNeeded]);
        for seat in lab.services() {
            all.push(record(seat.name.as_str(), seat.address)?);
        }
        for node in &lab.nodes {
            all.push(record(&format!("bmc.{}", node.name), node.address)?);
        }
    }
    // A node has a reserved address also before it has asked for it.
    for node in &lab.nodes {
        let here = node.nics().filter(|nic| nic.network == dhcp.network);
        for (n, nic) in here.enumerate() {
            if let Some(ip) = nic.ip {
                all.push(record(&name_of_card(node, n), ip)?);
            }
        }
    }
    if is_main && lab.network.nat != Nat::Off {
        let outside = resolvers.iter().copied().map(IpAddr::V4);
        all.extend(outside.map(|outside| Server::new(outside).into()));
    }
    if is_main {
        for other in lab.more_dhcp.iter().filter(|other| other.dns) {
            let subnet = lab.network(&other.network).subnet;
            let mut server = Server::new(IpAddr::V4(other.address));
            let theirs = format!("{}.{domain}", other.network);
            for zone in [theirs].into_iter().chain(reverse_zones(subnet)) {
                server = server.scope(scope(&zone)?);
            }
            all.push(server.into());
        }
    } else if let Some(main) = &lab.dhcp {
        all.push(Server::new(IpAddr::V4(main.address)).into());
    }
    Ok(all)
}

/// The domain of what `dhcp` gives out, within the lab's.
fn domain(dhcp: &Dhcp, main: &str) -> String {
    match dhcp.network.as_str() {
        crate::lab::network::MAIN => main.to_owned(),
        network => format!("{network}.{main}"),
    }
}

/// The zones in which the names of a subnet's addresses are (RFC 1035, section 3.5).
///
/// A zone ends at a byte; a subnet that does not has as many as it takes.
fn reverse_zones(subnet: Ipv4Net) -> Vec<String> {
    let bytes = usize::from(subnet.prefix_len().div_ceil(8));
    let step = 32 - 8 * u32::try_from(bytes).unwrap_or(4);
    let first = u32::from(subnet.network()) >> step;
    let last = u32::from(subnet.broadcast()) >> step;
    let zone = |number: u32| {
        let octets = Ipv4Addr::from(number << step).octets();
        let labels = octets[..bytes].iter().rev().map(u8::to_string);
        labels.collect::<Vec<_>>().join(".") + ".in-addr.arpa"
    };
    (first..=last).map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_the_reverse_zones_that_cover_it() {
        let zones = |net: &str| reverse_zones(net.parse().unwrap());
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa"]);
        assert_eq!(zones("192.168.25.0/24"), ["25.168.192.in-addr.arpa"]);
        let four = zones("10.9.4.0/22");
        assert_eq!(four[0], "4.9.10.in-addr.arpa");
        assert_eq!((four.len(), four[3].as_str()), (4, "7.9.10.in-addr.arpa"));
        let eight = zones("10.9.4.8/29");
        assert_eq!(eight.len(), 8);
        assert_eq!(eight[7], "15.4.9.10.in-addr.arpa");
    }
}
