//! Names: what the lab's own `/etc` says of who has which address.

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::lab::Lab;

/// The names of a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Addresses, each with its names as `/etc/hosts` has them.
    pub hosts: Vec<(Ipv4Addr, String)>,
    /// The lab's DNS server and its domain, if it has one.
    pub dns: Option<(Ipv4Addr, String)>,
}

impl Names {
    /// The names of `lab`.
    ///
    /// With DNS a node's name is its guest's, of whom only DHCP knows; without, its BMC's.
    #[must_use]
    pub fn of(lab: &Lab) -> Self {
        let dns = lab.dhcp.as_ref().filter(|dhcp| dhcp.dns);
        let services = lab.services();
        let services = services
            .iter()
            .map(|seat| (seat.address, seat.name.to_string()));
        let bmcs = lab.nodes.iter().map(|node| {
            let bmc = format!("bmc.{}", node.name);
            let names = match dns {
                Some(_) => bmc,
                None => format!("{} {bmc}", node.name),
            };
            (node.address, names)
        });
        Self {
            hosts: services.chain(bmcs).collect(),
            dns: dns.map(|dhcp| (dhcp.address, dhcp.domain.clone().unwrap_or_default())),
        }
    }

    /// The text of hosts(5).
    #[must_use]
    pub fn hosts(&self) -> String {
        let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for (address, names) in &self.hosts {
            let _ = writeln!(text, "{address} {names}");
        }
        text
    }

    /// The text of resolv.conf(5), in a lab with DNS.
    #[must_use]
    pub fn resolver(&self) -> Option<String> {
        let (server, domain) = self.dns.as_ref()?;
        Some(format!("search {domain}\nnameserver {server}\n"))
    }
}
