//! Carries [`Step`]s out: network namespaces by netns-rs, links, addresses and routes over
//! rtnetlink, sysctls by writing `/proc/sys`.
//!
//! There is one netlink socket for each namespace, opened once. All requests
//! for a namespace are sent before the first answer is awaited; the kernel
//! takes them in order, so a later request may build on an earlier one. That
//! works because nsplay chooses the links' indexes itself.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::link::{BridgeStpState, InfoData, InfoVeth};
use rtnetlink::{
    AddressMessageBuilder, Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};

use super::netns::{self, Netns, NetnsError};
use super::tap;
use crate::faultpoint::point;
use crate::lab::{LinkName, Name};
use crate::step::{Place, Step};

/// The members' network namespaces; each lasts until it is removed, or as long as this value and
/// the processes in it.
#[derive(Debug, Default)]
pub struct Members(RefCell<BTreeMap<Name, Rc<Netns>>>);

impl Members {
    /// The namespace of `member`.
    ///
    /// # Errors
    /// NotFound when there is none of that name.
    pub fn get(&self, member: &Name) -> io::Result<Rc<Netns>> {
        self.0.borrow().get(member).cloned().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no network namespace `{member}`"),
            )
        })
    }
}

/// The network of a lab: the namespaces, and the links that nsplay has made in them.
#[derive(Default)]
pub struct Network {
    members: Rc<Members>,
    indexes: Indexes,
}

/// A step that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// Anything else.
    #[error("cannot carry out `{step}`")]
    Step {
        /// The step, as a command.
        step: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The netlink socket itself.
    #[error("cannot open a netlink socket in `{place}`")]
    Socket {
        /// In which namespace.
        place: Place,
        /// What the kernel says.
        source: io::Error,
    },
}

impl NetError {
    fn step(step: &Step, source: io::Error) -> Self {
        Self::Step {
            step: step.to_string(),
            source,
        }
    }
}

impl Network {
    /// The members' namespaces.
    #[must_use]
    pub fn members(&self) -> Rc<Members> {
        Rc::clone(&self.members)
    }

    /// Carries out `steps`: makes namespaces first, then does what is to be done in the fabric,
    /// then in all members at once, and removes namespaces last.
    ///
    /// # Errors
    /// The first step that failed.
    pub async fn carry_out(&mut self, steps: &[Step]) -> Result<(), NetError> {
        for step in steps {
            if let Step::AddNetns(name) = step {
                let added = Netns::add(name).map_err(NetError::from).and_then(|netns| {
                    point!("network: {step}").map_err(|source| NetError::step(step, source))?;
                    Ok(netns)
                });
                let netns = added.inspect_err(|_| {
                    // Half a namespace would be in the way of the next attempt.
                    let _ = Netns::remove(name);
                })?;
                let mut members = self.members.0.borrow_mut();
                members.insert(name.clone(), Rc::new(netns));
            }
        }
        let mut places: Vec<(Place, Vec<&Step>)> = vec![(Place::Fabric, Vec::new())];
        for step in steps {
            let Some(place) = step.place() else { continue };
            match places.iter_mut().find(|(known, _)| known == place) {
                Some((_, own)) => own.push(step),
                None => places.push((place.clone(), vec![step])),
            }
        }
        let (fabric, own) = places.remove(0);
        if !own.is_empty() {
            run(&fabric, &own, &self.members, &mut self.indexes).await?;
        }
        let members = &self.members;
        try_join_all(places.iter().map(|(place, steps)| {
            let mut indexes = self.indexes.only(place);
            async move { run(place, steps, members, &mut indexes).await }
        }))
        .await?;
        for step in steps {
            if let Step::RemoveNetns(name) = step {
                self.indexes.forget(&Place::Member(name.clone()));
                // Those who still hold it let go of it when they end.
                if self.members.0.borrow_mut().remove(name).is_some() {
                    Netns::remove(name)?;
                }
                point!("network: {step}").map_err(|source| NetError::step(step, source))?;
            }
        }
        Ok(())
    }
}

/// The indexes of the links that were made, by where they are.
#[derive(Default)]
struct Indexes(HashMap<(Place, LinkName), u32>);

impl Indexes {
    /// The lowest index that nsplay gives; the kernel itself counts from 1.
    const FIRST: u32 = 100;

    /// The index of a link that is about to be made: beyond those of all that are there.
    fn add(&mut self, place: &Place, link: &LinkName) -> u32 {
        let here = self.0.iter().filter(|((at, _), _)| at == place);
        let last = here.map(|(_, index)| *index).max();
        let index = last.map_or(Self::FIRST, |last| last.max(Self::FIRST - 1) + 1);
        self.0.insert((place.clone(), link.clone()), index);
        index
    }

    /// The index of a link that is about to be removed.
    fn take(&mut self, place: &Place, link: &LinkName) -> io::Result<u32> {
        let index = self.of(place, link)?;
        self.0.remove(&(place.clone(), link.clone()));
        Ok(index)
    }

    /// Forgets the links of a place that is removed.
    fn forget(&mut self, place: &Place) {
        self.0.retain(|(at, _), _| at != place);
    }

    fn of(&self, place: &Place, link: &LinkName) -> io::Result<u32> {
        if link.as_str() == "lo" {
            return Ok(1);
        }
        self.0
            .get(&(place.clone(), link.clone()))
            .copied()
            .ok_or_else(|| io::Error::from_raw_os_error(nix::libc::ENODEV))
    }

    fn only(&self, place: &Place) -> Self {
        let here = self.0.iter().filter(|((at, _), _)| at == place);
        Self(here.map(|(key, index)| (key.clone(), *index)).collect())
    }
}

/// Carries out the steps of one place.
async fn run(
    place: &Place,
    steps: &[&Step],
    members: &Members,
    indexes: &mut Indexes,
) -> Result<(), NetError> {
    let here = match place {
        Place::Fabric => netns::current(),
        Place::Member(name) => members.get(name).and_then(|netns| {
            let fd = netns.as_fd().try_clone_to_owned()?;
            Ok(File::from(fd))
        }),
    }
    .map_err(|source| NetError::Socket {
        place: place.clone(),
        source,
    })?;
    let runtime = tokio::runtime::Handle::current();
    let (socket, taps) = netns::inside(here.as_fd(), || {
        let _entered = runtime.enter();
        let taps = before_links(steps);
        Ok((rtnetlink::new_connection(), taps))
    })
    .map_err(|source| NetError::Socket {
        place: place.clone(),
        source,
    })?;
    for (link, index) in taps? {
        indexes.0.insert((place.clone(), link), index);
    }
    let (connection, handle, _) = socket.map_err(|source| NetError::Socket {
        place: place.clone(),
        source,
    })?;
    let driver = tokio::spawn(connection);
    let done = request_all(steps, handle, members, indexes).await;
    driver.abort();
    done
}

/// Does what needs no netlink, in the place's own thread: sysctls and TAP devices, whose
/// indexes it returns.
fn before_links(steps: &[&Step]) -> Result<Vec<(LinkName, u32)>, NetError> {
    let mut taps = Vec::new();
    for step in steps {
        match step {
            Step::SetSysctl { key, value, .. } => {
                std::fs::write(format!("/proc/sys/{key}"), value)
                    .and_then(|()| point!("network: {step}"))
                    .map_err(|source| NetError::step(step, source))?;
            }
            Step::AddTap { link, .. } => {
                let index = tap::open(link)
                    .and_then(|tap| {
                        tap::keep(&tap)?;
                        point!("network: {step} (device)")?;
                        Ok(if_nametoindex(link.as_str())?)
                    })
                    .map_err(|source| NetError::step(step, source))?;
                taps.push((link.clone(), index));
            }
            _ => {}
        }
    }
    Ok(taps)
}

/// Sends the requests of all steps, then awaits all answers.
async fn request_all(
    steps: &[&Step],
    mut handle: Handle,
    members: &Members,
    indexes: &mut Indexes,
) -> Result<(), NetError> {
    let mut answers = Vec::with_capacity(steps.len());
    for step in steps {
        let request =
            request(step, members, indexes).map_err(|source| NetError::step(step, source))?;
        let Some(request) = request else { continue };
        let answer = handle
            .request(request)
            .map_err(|error| NetError::step(step, io::Error::other(error)))?;
        answers.push((step, Box::pin(answer)));
    }
    for (step, mut answer) in answers {
        while let Some(message) = answer.next().await {
            if let NetlinkPayload::Error(error) = message.payload
                && error.code.is_some()
            {
                let error = error.to_io();
                // What is gone already is removed.
                let is_gone = error.raw_os_error() == Some(nix::libc::ENODEV);
                if matches!(step, Step::RemoveLink { .. }) && is_gone {
                    continue;
                }
                return Err(NetError::step(step, error));
            }
        }
        point!("network: {step}").map_err(|source| NetError::step(step, source))?;
    }
    Ok(())
}

type Request = NetlinkMessage<RouteNetlinkMessage>;

/// The netlink request for a step (rtnetlink(7)); none for a step that needs no netlink.
fn request(step: &Step, members: &Members, indexes: &mut Indexes) -> io::Result<Option<Request>> {
    let message = match step {
        Step::AddNetns(_) | Step::RemoveNetns(_) | Step::SetSysctl { .. } => return Ok(None),
        Step::RemoveLink { place, link } => {
            let Ok(index) = indexes.take(place, link) else {
                return Ok(None);
            };
            let link = LinkUnspec::new_with_index(index).build();
            let mut request = NetlinkMessage::from(RouteNetlinkMessage::DelLink(link));
            request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
            request
        }
        Step::AddBridge {
            place,
            link,
            mac,
            mtu,
        } => new(RouteNetlinkMessage::NewLink(
            LinkBridge::new(link.as_str())
                .index(indexes.add(place, link))
                .address(mac.octets().to_vec())
                .stp_state(BridgeStpState::Disabled)
                .mtu((*mtu).into())
                .up()
                .build(),
        )),
        Step::AddVeth {
            link,
            mac,
            master,
            member,
            peer,
            peer_mac,
            mtu,
        } => {
            let netns: RawFd = members.get(member)?.as_raw_fd();
            let at_peer = Place::Member(member.clone());
            // Its peer is made where it belongs: moving it afterwards would take 16 ms.
            let peer = LinkMessageBuilder::<LinkUnspec>::new()
                .name(peer.as_str())
                .index(indexes.add(&at_peer, peer))
                .address(peer_mac.octets().to_vec())
                .mtu((*mtu).into())
                .setns_by_fd(netns)
                .build();
            // No `.up()` here: with IFF_UP in this request the kernel answers ENOTCONN (6.18).
            new(RouteNetlinkMessage::NewLink(
                LinkVeth::new(link.as_str(), "")
                    .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
                    .index(indexes.add(&Place::Fabric, link))
                    .address(mac.octets().to_vec())
                    .mtu((*mtu).into())
                    .controller(indexes.of(&Place::Fabric, master)?)
                    .build(),
            ))
        }
        Step::AddTap {
            place,
            link,
            master,
            mtu,
        } => set(LinkUnspec::new_with_index(indexes.of(place, link)?)
            .mtu((*mtu).into())
            .controller(indexes.of(place, master)?)),
        Step::SetMaster {
            place,
            link,
            master,
        } => set(LinkUnspec::new_with_index(indexes.of(place, link)?)
            .controller(indexes.of(place, master)?)),
        Step::SetUp { place, link } => {
            set(LinkUnspec::new_with_index(indexes.of(place, link)?).up())
        }
        Step::AddAddress {
            place,
            link,
            address,
        } => new(add_address(indexes.of(place, link)?, address)),
        Step::AddDefaultRoute { via, .. } => new(RouteNetlinkMessage::NewRoute(
            RouteMessageBuilder::<Ipv4Addr>::new().gateway(*via).build(),
        )),
    };
    Ok(Some(message))
}

fn add_address(index: u32, address: &IpNet) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewAddress(match address {
        IpNet::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => {
            let mut message = AddressMessageBuilder::<std::net::Ipv6Addr>::new()
                .index(index)
                .address(net.addr(), net.prefix_len())
                .build();
            // Duplicate address detection would keep the address back for 1.7 s.
            let nodad = AddressAttribute::Flags(AddressFlags::Nodad);
            message.attributes.push(nodad);
            message
        }
    })
}

fn new(message: RouteNetlinkMessage) -> Request {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    request
}

fn set(link: LinkMessageBuilder<LinkUnspec>) -> Request {
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::SetLink(link.build()));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    request
}
