//! Published ports: who stands in whose way on the host.

use std::fmt;
use std::net::SocketAddr;

use super::addresses::from;
use super::report::Notes;
use super::walk::{At, Item};
use crate::lab::sockets::overlap;

/// The ports that the lab's members publish.
pub(super) struct Ports<'a> {
    notes: &'a Notes<'a>,
    claims: Vec<Claim>,
}

struct Claim {
    who: String,
    key: &'static str,
    protocol: Protocol,
    socket: SocketAddr,
    /// What the file has after the socket: the port inside, where that is the user's choice.
    inside: String,
    at: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

impl<'a> Ports<'a> {
    pub(super) fn new(notes: &'a Notes<'a>) -> Self {
        Self {
            notes,
            claims: Vec::new(),
        }
    }

    /// Takes what `who` publishes by its `key`, if anything.
    pub(super) fn take(
        &mut self,
        who: &str,
        key: &'static str,
        protocol: Protocol,
        item: Item<Option<SocketAddr>>,
    ) -> Option<SocketAddr> {
        self.take_for(who, key, protocol, item, String::new())
    }

    /// Takes what `who` publishes by its `key`, which goes on with the port `inside` the lab.
    pub(super) fn take_for(
        &mut self,
        who: &str,
        key: &'static str,
        protocol: Protocol,
        item: Item<Option<SocketAddr>>,
        inside: String,
    ) -> Option<SocketAddr> {
        if let (Some(socket), true) = (item.value, item.at != At::Bad) {
            self.claims.push(Claim {
                who: who.to_owned(),
                key,
                protocol,
                socket,
                inside,
                at: item.at,
            });
        }
        item.value
    }

    /// Notes the ports that two members publish.
    pub(super) fn check(mut self) {
        // Defaults first, so that a clash is told where the file can be changed.
        self.claims.sort_by_key(|claim| claim.at.byte());
        for (n, claim) in self.claims.iter().enumerate() {
            let clash = self.claims[..n].iter().find(|other| {
                other.protocol == claim.protocol && overlap(other.socket, claim.socket)
            });
            let Some(other) = clash else { continue };
            let which = match other.socket == claim.socket {
                true => String::new(),
                false => format!(", which publishes {}", other.socket),
            };
            let message = format!(
                "{}: {} {} is taken by {}{which} ({})",
                claim.who,
                claim.protocol,
                claim.socket,
                other.who,
                from(self.notes, other.at)
            );
            let hint = self.free(claim).map(|free| {
                format!(
                    "write {key} = \"{free}{inside}\", or {key} = false",
                    key = claim.key,
                    inside = claim.inside
                )
            });
            self.notes.add(claim.at.byte(), message, hint);
        }
    }

    /// The next port on the same address that no member publishes.
    fn free(&self, claim: &Claim) -> Option<SocketAddr> {
        (claim.socket.port()..=u16::MAX)
            .map(|port| SocketAddr::new(claim.socket.ip(), port))
            .find(|socket| {
                let same = |other: &&Claim| other.protocol == claim.protocol;
                let mut others = self.claims.iter().filter(same);
                !others.any(|other| overlap(other.socket, *socket))
            })
    }
}
