//! Ways between the lab and its host: links that put the host on a network, and the rules that
//! keep the lab out of the host.
//!
//! Links and rules are the only things of a lab in the host's network namespace. The kernel removes
//! both with the supervisor: the rules belong to a socket of its own, and a link's other end is in
//! the fabric.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::out::{self, Outside};
use crate::error::no_such;
use crate::faultpoint::{moment, point};
use crate::host::routes;
use crate::kernel::netns;
use crate::kernel::nft::{self, OwnTable};
use crate::lab::{Lab, LinkName, Name, Network};
use crate::plan::Plan;
use crate::ways::{self, HostLink};

/// The ways of a lab; clones are the same ways.
#[derive(Clone)]
pub struct Ways(Rc<Inner>);

struct Inner {
    /// The lab's name.
    lab: Name,
    outside: Outside,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The networks that the host is on.
    attached: BTreeMap<Name, HostLink>,
    /// The link by which the lab reaches what the host reaches.
    out: Option<HostLink>,
    /// The rules on the host; none without links.
    rules: Option<OwnTable>,
}

/// Why a way cannot be opened or closed.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be so; nothing was done.
    Input(String),
    /// It was tried, and did not work.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(message) | Self::Failed(message)) = self;
        f.write_str(message)
    }
}

impl Ways {
    /// The ways of a lab, of which none is open yet.
    #[must_use]
    pub fn new(lab: Name, outside: Outside) -> Self {
        Self(Rc::new(Inner {
            lab,
            outside,
            state: RefCell::default(),
        }))
    }

    /// Puts the host on a network; returns its address there and its link, which it may have
    /// already.
    ///
    /// # Errors
    /// Without such a network or a free address, and when the network overlaps a route of the host.
    pub fn attach(
        &self,
        lab: &Lab,
        network: Option<&Name>,
    ) -> Result<(Ipv4Addr, LinkName), Refusal> {
        let host = &self.0.outside.host;
        let network = find(lab, network)?;
        let name = &network.name;
        if let Some(link) = self.0.state.borrow().attached.get(name) {
            return Ok((link.address.addr(), link.host.clone()));
        }
        let subnet = network.subnet;
        let address = lab.host_address(network).ok_or_else(|| {
            Refusal::Input(format!(
                "network `{name}` has no address left for the host in {subnet}"
            ))
        })?;
        let routes = netns::inside(host.as_fd(), routes::list);
        let routes = routes.map_err(|error| failed("list the host's routes", &error))?;
        if let Some(route) = routes::overlap(&routes, subnet) {
            return Err(Refusal::Input(ways::overlaps(network, &route.shown)));
        }
        let link = HostLink::of(&lab.name, network, address);
        let shown = link.host.clone();
        self.0
            .state
            .borrow_mut()
            .attached
            .insert(name.clone(), link.clone());
        // The rules first: the lab never meets a host without them.
        let opened = self.guard().and_then(|()| {
            let added = link.add(host.as_fd());
            added.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Refusal::Failed(format!(
                    "cannot attach network `{name}`: the host has a link `{shown}` that is not \
                     this lab's"
                )),
                _ => failed(&format!("attach network `{name}`"), &error),
            })
        });
        if let Err(refusal) = opened {
            self.0.state.borrow_mut().attached.remove(name);
            let _ = self.guard();
            return Err(refusal);
        }
        let on = format!("the host is {address} on network `{name}`, by its link {shown}");
        self.0.outside.journal.note(on);
        Ok((address, shown))
    }

    /// Takes the host off a network, or off all.
    ///
    /// # Errors
    /// Without such a network; what the kernel says.
    pub fn detach(&self, lab: &Lab, network: Option<&Name>) -> Result<Vec<Name>, Refusal> {
        let named = network.map(|_| find(lab, network)).transpose()?;
        let attached = self.0.state.borrow().attached.keys().cloned().collect();
        match named {
            None => self.close_all(attached),
            Some(network) => {
                let mut attached: Vec<Name> = attached;
                attached.retain(|name| *name == network.name);
                self.close_all(attached)
            }
        }
    }

    fn close_all(&self, attached: Vec<Name>) -> Result<Vec<Name>, Refusal> {
        for name in &attached {
            let link = self.0.state.borrow().attached.get(name).cloned();
            if let Some(link) = link {
                let removed = link.remove();
                removed.map_err(|error| failed(&format!("detach network `{name}`"), &error))?;
                self.0.state.borrow_mut().attached.remove(name);
                let off = format!("the host is off network `{name}`");
                self.0.outside.journal.note(off);
            }
        }
        self.guard()?;
        Ok(attached)
    }

    /// Opens the ways that the lab has from the beginning.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn open(&self, plan: &Plan) -> Result<(), Refusal> {
        let lab = &plan.lab;
        if let Some(way) = &plan.out {
            let link = way.link(&lab.name);
            self.0.state.borrow_mut().out = link.clone();
            self.guard()?;
            let opened = link.map_or(Ok(()), |link| link.add(self.0.outside.host.as_fd()));
            let opened = opened.and_then(|()| out::open(way, &self.0.outside));
            opened.map_err(|error| failed("open the way out", &error))?;
        }
        let networks = lab.networks().filter(|network| network.attach);
        networks
            .map(|network| &network.name)
            .try_for_each(|name| self.attach(lab, Some(name)).map(drop))
    }

    /// Closes all ways while the supervisor is still there to say what does not close.
    pub fn close(&self) {
        let attached = self.0.state.borrow().attached.keys().cloned().collect();
        if let Err(refusal) = self.close_all(attached) {
            self.0.outside.journal.note(refusal.to_string());
        }
        let out = self.0.state.borrow_mut().out.take();
        if let Some(Err(error)) = out.map(|link| link.remove()) {
            let text = format!("cannot close the way out: {error}");
            self.0.outside.journal.note(text);
        }
        let _ = self.guard();
    }

    /// Makes the host's rules those of the links that there are.
    fn guard(&self) -> Result<(), Refusal> {
        let mut state = self.0.state.borrow_mut();
        let links = state.attached.values().map(|link| link.host.clone());
        let links: Vec<LinkName> = links.collect();
        if links.is_empty() && state.out.is_none() {
            // The kernel removes them with their socket.
            state.rules = None;
            moment!("ways: rules removed");
            return Ok(());
        }
        let table = ways::host_rules(&self.0.lab, &links, state.out.as_ref());
        let done = match &mut state.rules {
            Some(rules) => rules.replace(table),
            None => netns::inside(self.0.outside.host.as_fd(), || OwnTable::add(table))
                .map(|rules| state.rules = Some(rules)),
        };
        done.and_then(|()| point!("ways: rules made")).map_err(|error| match nft::is_unsupported(&error) {
            true => Refusal::Failed(format!(
                "cannot keep the lab out of the host: this kernel has no firewall tables with an \
                 owner (nf_tables, Linux 5.12): {error}"
            )),
            false => failed("keep the lab out of the host", &error),
        })
    }
}

/// The network of this name; the main one for none.
fn find<'a>(lab: &'a Lab, name: Option<&Name>) -> Result<&'a Network, Refusal> {
    let Some(name) = name else {
        return Ok(&lab.network);
    };
    let found = lab.networks().find(|network| network.name == *name);
    found.ok_or_else(|| {
        let names = lab.networks().map(|network| &network.name);
        Refusal::Input(no_such("network", name, names))
    })
}

fn failed(what: &str, error: &io::Error) -> Refusal {
    Refusal::Failed(format!("cannot {what}: {error}"))
}
