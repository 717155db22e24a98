//! Links between a lab and its host: the one thing that a lab makes outside of its namespaces.
//!
//! A link on the host goes with its peer, when the lab's namespace goes. As a half-closed socket
//! can keep a dead namespace for minutes, whoever clears up after a lab removes them too: they
//! are all in the lab's group.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::Ipv4Net;
use nix::libc;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{
    AddressMessageBuilder, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use super::netlink::Socket;
use super::netns;
use crate::faultpoint::point;
use crate::lab::LinkName;
use crate::ways::HostLink;

impl HostLink {
    /// Makes the link: one end in the host's namespace, one in the calling thread's.
    ///
    /// The host's end is given its address last, so that nothing leaves by it before all is said.
    ///
    /// # Errors
    /// EEXIST when the host has a link of this name.
    pub fn add(&self, host: BorrowedFd<'_>) -> io::Result<()> {
        let own = Socket::route()?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(self.host.as_str())
            .mtu(self.mtu.into())
            .append_extra_attribute(LinkAttribute::Group(self.group))
            .setns_by_fd(host.as_raw_fd())
            .build();
        let mut link = LinkVeth::new(self.fabric.as_str(), "")
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .mtu(self.mtu.into());
        if let Some(master) = &self.master {
            link = link.controller(if_nametoindex(master.as_str())?);
        }
        let create = NLM_F_CREATE | NLM_F_EXCL;
        own.request(RouteNetlinkMessage::NewLink(link.build()), create)?;
        let done = point!("ways: {} made", self.host)
            .and_then(|()| set_up(&own, &self.fabric))
            .and_then(|()| point!("ways: {} up in the lab", self.host))
            .and_then(|()| netns::inside(host, || self.furnish()));
        if done.is_err() {
            // Half a link is none.
            let _ = self.remove();
        }
        done
    }

    /// Does what is to be done in the host's namespace.
    fn furnish(&self) -> io::Result<()> {
        for (family, key, value) in &self.sysctls {
            let path = format!("/proc/sys/net/{family}/conf/{}/{key}", self.host);
            match std::fs::write(path, value) {
                // A kernel without IPv6.
                Err(error) if error.kind() == io::ErrorKind::NotFound && family == "ipv6" => {}
                done => done?,
            }
        }
        point!("ways: {} has its sysctls", self.host)?;
        let socket = Socket::route()?;
        set_up(&socket, &self.host)?;
        point!("ways: {} up on the host", self.host)?;
        let index = if_nametoindex(self.host.as_str())?;
        let address = AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(self.address.addr(), self.address.prefix_len())
            .build();
        let create = NLM_F_CREATE | NLM_F_EXCL;
        socket.request(RouteNetlinkMessage::NewAddress(address), create)?;
        point!("ways: {} has its address", self.host)
    }

    /// Removes the link, both ends at once.
    ///
    /// # Errors
    /// What the kernel says; one that has gone already is none.
    pub fn remove(&self) -> io::Result<()> {
        match if_nametoindex(self.fabric.as_str()) {
            Err(nix::errno::Errno::ENODEV) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let link = LinkMessageBuilder::<LinkUnspec>::new()
            .name(self.fabric.as_str())
            .build();
        gone(Socket::route()?.request(RouteNetlinkMessage::DelLink(link), 0))?;
        point!("ways: {} removed", self.host)
    }
}

/// Sets the fabric's link out of the lab up, with its address and the default route.
///
/// # Errors
/// What the kernel says.
pub fn furnish_out(link: &LinkName, own: Ipv4Net, gateway: Ipv4Addr) -> io::Result<()> {
    let socket = Socket::route()?;
    let create = NLM_F_CREATE | NLM_F_EXCL;
    let address = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(if_nametoindex(link.as_str())?)
        .address(own.addr(), own.prefix_len())
        .build();
    socket.request(RouteNetlinkMessage::NewAddress(address), create)?;
    point!("nat: link has its address")?;
    set_up(&socket, link)?;
    point!("nat: link up")?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(gateway)
        .build();
    socket.request(RouteNetlinkMessage::NewRoute(route), create)
}

fn set_up(socket: &Socket, link: &LinkName) -> io::Result<()> {
    let index = if_nametoindex(link.as_str())?;
    let up = LinkUnspec::new_with_index(index).up().build();
    socket.request(RouteNetlinkMessage::SetLink(up), 0)
}

/// Removes all links of a group from the calling thread's network namespace.
///
/// # Errors
/// What the kernel says; that there are none is no error.
pub fn remove_group(group: u32) -> io::Result<()> {
    let mut all = LinkMessage::default();
    all.attributes.push(LinkAttribute::Group(group));
    gone(Socket::route()?.request(RouteNetlinkMessage::DelLink(all), 0))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        done => done,
    }
}
