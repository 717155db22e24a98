//! What the host has for a lab's way out.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use nix::unistd::geteuid;

use super::programs::Finder;
use super::routes;
use crate::lab::{Lab, Nat};
use crate::ways;

/// Where the servers are that systemd-resolved asks, which itself listens on the loopback link.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// What the host has; nothing is looked for where the lab has no way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostWays {
    /// passt(1).
    pub passt: Option<PathBuf>,
    /// Whether who runs nsplay may make links on the host.
    pub links: bool,
    /// Whether the host forwards packets already.
    pub forwards: bool,
    /// A subnet for the link to the host that overlaps none of its routes.
    pub transit: Option<Ipv4Net>,
    /// Servers of DNS that are not on the host's loopback link.
    pub resolvers: Vec<Ipv4Addr>,
}

impl HostWays {
    /// Looks for what `lab` uses.
    #[must_use]
    pub fn find(lab: &Lab, finder: &Finder) -> Self {
        if lab.nat().is_none() {
            return Self::default();
        }
        let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
        let mut resolvers = resolvers("/etc/resolv.conf");
        if resolvers.is_empty() {
            resolvers = self::resolvers(RESOLVED);
        }
        Self {
            passt: finder.program("passt"),
            links: geteuid().is_root(),
            forwards: forwards.is_ok_and(|forwards| forwards.trim() == "1"),
            transit: transit(lab),
            resolvers,
        }
    }

    /// The way that `nat` takes on this host.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub fn choose(&self, nat: Nat) -> Result<Nat, (String, String)> {
        let forward = "sudo sysctl net.ipv4.ip_forward=1".to_owned();
        match nat {
            Nat::Off => Ok(Nat::Off),
            Nat::Auto | Nat::Passt if self.passt.is_some() => Ok(Nat::Passt),
            Nat::Auto if !self.links => Err((
                "nat = true: passt is not installed, and a link to the host is for root to make"
                    .to_owned(),
                "install the package passt, or run nsplay with sudo".to_owned(),
            )),
            Nat::Nft if !self.links => Err((
                "nat = \"nft\" makes a link on the host, which only root may".to_owned(),
                "nat = \"passt\" needs no root; or run nsplay with sudo".to_owned(),
            )),
            Nat::Auto | Nat::Nft if self.forwards && self.transit.is_some() => Ok(Nat::Nft),
            Nat::Auto => Err((
                "nat = true: passt is not installed, and this host does not forward packets"
                    .to_owned(),
                format!("install the package passt, or let the host forward: {forward}"),
            )),
            Nat::Passt => Err((
                "nat = \"passt\": passt is not installed".to_owned(),
                "install the package passt".to_owned(),
            )),
            Nat::Nft if self.forwards => Err((
                "nat = \"nft\": no subnet for the link to the host is free".to_owned(),
                "install the package passt, and write nat = \"passt\"".to_owned(),
            )),
            Nat::Nft => Err((
                "nat = \"nft\": this host does not forward packets, and nsplay does not change that"
                    .to_owned(),
                format!("{forward}, or install the package passt and write nat = \"passt\""),
            )),
        }
    }
}

/// The servers that a resolv.conf(5) names, but for those that only the host reaches.
fn resolvers(path: &str) -> Vec<Ipv4Addr> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver");
        let address: Ipv4Addr = address.and(words.next())?.parse().ok()?;
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    };
    // DHCP's option has room for more; resolvers ask three at most.
    text.lines().filter_map(server).take(3).collect()
}

/// A subnet that overlaps no route of the host, the same in each run while it is free.
fn transit(lab: &Lab) -> Option<Ipv4Net> {
    let routes = routes::list().ok()?;
    let mut candidates = ways::transits(&lab.name);
    candidates.find(|net| routes::overlap(&routes, *net).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way that `nat` takes, or the words for why there is none.
    fn way(host: &HostWays, nat: Nat) -> String {
        match host.choose(nat) {
            Ok(nat) => nat.to_string(),
            Err((message, hint)) => format!("{message}; {hint}"),
        }
    }

    #[test]
    fn a_user_has_the_way_out_that_changes_nothing_on_the_host() {
        let mut host = HostWays {
            passt: Some("/usr/bin/passt".into()),
            links: false,
            forwards: true,
            transit: Some("198.18.0.0/30".parse().unwrap()),
            resolvers: Vec::new(),
        };
        assert_eq!(way(&host, Nat::Auto), "passt");
        let refused = way(&host, Nat::Nft);
        assert!(
            refused.contains("only root may; nat = \"passt\""),
            "{refused}"
        );
        host.passt = None;
        let refused = way(&host, Nat::Auto);
        assert!(refused.contains("install the package passt, or run nsplay with sudo"));
        host.links = true;
        assert_eq!(way(&host, Nat::Auto), "nft");
    }
}
