//! Steps: what is done to the kernel's network, as data.
//!
//! Which steps a lab needs is [`plan`](crate::plan)'s to say; carrying them
//! out is [`kernel::net`](crate::kernel::net)'s. A step prints as the command
//! of iproute2 or util-linux that does the same.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::lab::network::ETHERNET_MTU;
use crate::lab::{LinkName, Mac, Name};

/// Where a step happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The supervisor's own network namespace, which holds the bridge.
    Fabric,
    /// A member's network namespace.
    Member(Name),
}

/// One thing done to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Makes a network namespace for a member.
    AddNetns(Name),
    /// Removes a member's network namespace; its links go with it.
    RemoveNetns(Name),
    /// Sets a sysctl of a network namespace, named with slashes (`net/ipv4/ip_forward`).
    SetSysctl {
        /// In which namespace.
        place: Place,
        /// Its path below `/proc/sys`.
        key: String,
        /// Its value.
        value: String,
    },
    /// Makes a bridge without spanning tree, so that its ports forward at once.
    AddBridge {
        /// In which namespace.
        place: Place,
        /// Its name.
        link: LinkName,
        /// Its address: without one it would change with its ports.
        mac: Mac,
        /// Its MTU.
        mtu: u16,
    },
    /// Makes a persistent TAP device, whose carrier is there while QEMU holds it.
    AddTap {
        /// In which namespace.
        place: Place,
        /// Its name.
        link: LinkName,
        /// The bridge that it is a port of.
        master: LinkName,
        /// Its MTU.
        mtu: u16,
    },
    /// Makes a veth in the fabric, its peer straight in a member's namespace.
    AddVeth {
        /// The end in the fabric.
        link: LinkName,
        /// The address of that end.
        mac: Mac,
        /// The fabric's bridge.
        master: LinkName,
        /// The member whose namespace gets the other end.
        member: Name,
        /// The name of the other end.
        peer: LinkName,
        /// The address of the other end.
        peer_mac: Mac,
        /// The MTU of both ends.
        mtu: u16,
    },
    /// Makes a link a port of a bridge.
    SetMaster {
        /// In which namespace.
        place: Place,
        /// The link.
        link: LinkName,
        /// The bridge.
        master: LinkName,
    },
    /// Removes a link, with its peer if it has one.
    RemoveLink {
        /// In which namespace.
        place: Place,
        /// The link.
        link: LinkName,
    },
    /// Gives a link an address.
    AddAddress {
        /// In which namespace.
        place: Place,
        /// The link.
        link: LinkName,
        /// The address and its prefix length.
        address: IpNet,
    },
    /// Sets a link up.
    SetUp {
        /// In which namespace.
        place: Place,
        /// The link.
        link: LinkName,
    },
    /// Adds a default route.
    AddDefaultRoute {
        /// In which namespace.
        place: Place,
        /// The next hop.
        via: Ipv4Addr,
    },
}

impl Step {
    /// Where the step happens; none for the making and the removal of a namespace.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::AddNetns(_) | Self::RemoveNetns(_) => None,
            Self::AddVeth { .. } => Some(&Place::Fabric),
            Self::SetSysctl { place, .. }
            | Self::AddBridge { place, .. }
            | Self::AddTap { place, .. }
            | Self::SetMaster { place, .. }
            | Self::RemoveLink { place, .. }
            | Self::AddAddress { place, .. }
            | Self::SetUp { place, .. }
            | Self::AddDefaultRoute { place, .. } => Some(place),
        }
    }
}

/// An MTU that is not the one that links have by themselves.
fn unusual(mtu: u16) -> String {
    match mtu {
        ETHERNET_MTU => String::new(),
        mtu => format!(" mtu {mtu}"),
    }
}

impl Step {
    /// The link that the step makes, changes or removes.
    #[must_use]
    pub fn link(&self) -> Option<&LinkName> {
        match self {
            Self::AddNetns(_)
            | Self::RemoveNetns(_)
            | Self::SetSysctl { .. }
            | Self::AddDefaultRoute { .. } => None,
            Self::AddBridge { link, .. }
            | Self::AddTap { link, .. }
            | Self::AddVeth { link, .. }
            | Self::SetMaster { link, .. }
            | Self::RemoveLink { link, .. }
            | Self::AddAddress { link, .. }
            | Self::SetUp { link, .. } => Some(link),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fabric => f.write_str("fabric"),
            Self::Member(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fabric is where `nsplay plan`'s commands run, so it needs no `-n`.
        let ip = |place: &Place| match place {
            Place::Fabric => "ip".to_owned(),
            Place::Member(name) => format!("ip -n {name}"),
        };
        match self {
            Self::AddNetns(name) => write!(f, "ip netns add {name}"),
            Self::RemoveNetns(name) => write!(f, "ip netns delete {name}"),
            Self::SetSysctl { place, key, value } => {
                if let Place::Member(name) = place {
                    write!(f, "ip netns exec {name} ")?;
                }
                write!(f, "sysctl -qw {key}={value}")
            }
            Self::AddBridge {
                place,
                link,
                mac,
                mtu,
            } => write!(
                f,
                "{} link add {link} address {mac}{} type bridge stp_state 0",
                ip(place),
                unusual(*mtu)
            ),
            Self::AddTap {
                place,
                link,
                master,
                mtu,
            } => write!(
                f,
                "{0} tuntap add {link} mode tap vnet_hdr && {0} link set {link} master {master}{1}",
                ip(place),
                unusual(*mtu)
            ),
            Self::AddVeth {
                link,
                mac,
                master,
                member,
                peer,
                peer_mac,
                mtu,
            } => {
                let mtu = unusual(*mtu);
                write!(
                    f,
                    "ip link add {link} address {mac}{mtu} master {master} type veth \
                     peer name {peer} address {peer_mac}{mtu} netns {member}"
                )
            }
            Self::SetMaster {
                place,
                link,
                master,
            } => write!(f, "{} link set {link} master {master}", ip(place)),
            Self::RemoveLink { place, link } => write!(f, "{} link delete {link}", ip(place)),
            Self::AddAddress {
                place,
                link,
                address,
            } => {
                let nodad = if matches!(address, IpNet::V6(_)) {
                    " nodad"
                } else {
                    ""
                };
                write!(f, "{} address add {address} dev {link}{nodad}", ip(place))
            }
            Self::SetUp { place, link } => write!(f, "{} link set {link} up", ip(place)),
            Self::AddDefaultRoute { place, via } => {
                write!(f, "{} route add default via {via}", ip(place))
            }
        }
    }
}
