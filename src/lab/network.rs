//! Networks: what a lab's members and nodes are on.
//!
//! Each is a bridge of its own in the fabric, which routes between them.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dhcp, Lab, LinkName, Mac, Name, NicModel, Node, spelled};

/// The name of the network that `[network]` itself describes.
pub const MAIN: &str = "main";

/// The MTU of Ethernet (RFC 894).
pub const ETHERNET_MTU: u16 = 1500;

/// A network: a bridge in the fabric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name; [`MAIN`] for the main one.
    pub name: Name,
    /// The IPv4 subnet, /8 to /29.
    pub subnet: Ipv4Net,
    /// The address of the fabric's bridge, by which members reach the other networks.
    pub gateway: Ipv4Addr,
    /// The range that BMCs without an address get theirs from; none for the subnet from its
    /// fifth address on.
    pub bmcs: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The most bytes that a packet has, 576 to 9000.
    pub mtu: u16,
    /// How its guests come by IPv6 addresses.
    pub ipv6: Ipv6,
    /// Whether the host is on it from the beginning.
    pub attach: bool,
    /// By which way it reaches what the host reaches.
    pub nat: Nat,
}

/// Ways out of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// None.
    Off,
    /// The first of the others that this host can have.
    Auto,
    /// passt(1): connections are opened anew by an unprivileged process on the host.
    Passt,
    /// A link to the host, which forwards, and rules of its own.
    Nft,
}

spelled!(Nat { Off => "false", Auto => "true", Passt => "passt", Nft => "nft" });

/// How the guests of a network come by IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6 {
    /// Not at all.
    Off,
    /// They make their own, of the prefix that routers advertise (RFC 4862).
    Ra,
    /// By DHCPv6.
    Dhcpv6,
}

spelled!(Ipv6 { Off => "false", Ra => "ra", Dhcpv6 => "dhcpv6" });

/// A node's network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nic {
    /// The network that it is on.
    pub network: Name,
    /// What kind of card the guest sees.
    pub model: NicModel,
    /// Its MAC address.
    pub mac: Mac,
    /// The address that DHCP keeps for it, if any.
    pub ip: Option<Ipv4Addr>,
}

/// The name of the main network.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn main() -> Name {
    Name::new(MAIN).expect("this is a name")
}

impl Network {
    /// Whether `[network]` itself describes it.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.name.as_str() == MAIN
    }

    /// Its bridge in the fabric.
    #[must_use]
    pub fn bridge(&self) -> LinkName {
        match self.is_main() {
            true => LinkName::fabric(),
            false => LinkName::bridge(&self.name),
        }
    }
}

impl Lab {
    /// All networks: the main one, then the others in the order of their names.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        std::iter::once(&self.network).chain(&self.more_networks)
    }

    /// The network of this name.
    #[must_use]
    pub fn network(&self, name: &Name) -> &Network {
        // A lab that has been checked names no other.
        let found = self.networks().find(|network| network.name == *name);
        found.unwrap_or(&self.network)
    }

    /// The way out that its networks share, if any of them has one.
    #[must_use]
    pub fn nat(&self) -> Option<Nat> {
        let all = self.networks().map(|network| network.nat);
        let all: Vec<Nat> = all.filter(|nat| *nat != Nat::Off).collect();
        let forced = all.iter().find(|nat| **nat != Nat::Auto);
        forced.or(all.first()).copied()
    }

    /// All DHCP servers: the main network's, then the others' in the order of their networks.
    pub fn dhcp_servers(&self) -> impl Iterator<Item = &Dhcp> {
        self.dhcp.iter().chain(&self.more_dhcp)
    }
}

impl Node {
    /// All its network cards.
    pub fn nics(&self) -> impl Iterator<Item = &Nic> {
        std::iter::once(&self.nic).chain(&self.more_nics)
    }
}
