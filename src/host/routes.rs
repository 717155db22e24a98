//! The host's IPv4 routes and addresses: what a lab's network must not overlap to be on the host.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};

use crate::kernel::netlink::Socket;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: Ipv4Net,
    /// All of it, as ip-route(8) shows it.
    pub shown: String,
    kind: RouteType,
}

impl Route {
    /// Whether it is an address of the host itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.kind == RouteType::Local
    }
}

/// All routes of all tables of the calling thread's network namespace, its own addresses among
/// them; the default routes are left out.
///
/// # Errors
/// What netlink says.
pub fn list() -> io::Result<Vec<Route>> {
    list_by(&Socket::route()?)
}

/// As [`list`], of the network namespace that the socket was opened in.
///
/// # Errors
/// What netlink says.
pub fn list_by(socket: &Socket) -> io::Result<Vec<Route>> {
    let mut names = HashMap::new();
    for message in socket.list_routes(RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
        if let RouteNetlinkMessage::NewLink(link) = message {
            let mut attributes = link.attributes.into_iter();
            let name = attributes.find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            });
            names.extend(name.map(|name| (link.header.index, name)));
        }
    }
    let mut wanted = RouteMessage::default();
    wanted.header.address_family = rtnetlink::packet_route::AddressFamily::Inet;
    let routes = socket.list_routes(RouteNetlinkMessage::GetRoute(wanted))?;
    let routes = routes.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => self::route(&route, &names),
        _ => None,
    });
    Ok(routes.collect())
}

fn route(message: &RouteMessage, names: &HashMap<u32, String>) -> Option<Route> {
    let header = &message.header;
    let (mut to, mut via, mut dev, mut table) = (None, None, None, u32::from(header.table));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = Some(*address),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => via = Some(*address),
            RouteAttribute::Oif(index) => dev = names.get(index),
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    // Without one it is a default route.
    let to: Ipv4Addr = to?;
    let to = Ipv4Net::new(to, header.destination_prefix_length).ok()?;
    let mut shown = match header.kind {
        RouteType::Unicast => String::new(),
        RouteType::Local => "local ".to_owned(),
        RouteType::Broadcast => "broadcast ".to_owned(),
        RouteType::BlackHole => "blackhole ".to_owned(),
        RouteType::Unreachable => "unreachable ".to_owned(),
        RouteType::Prohibit => "prohibit ".to_owned(),
        RouteType::Throw => "throw ".to_owned(),
        _ => "other ".to_owned(),
    };
    let _ = write!(shown, "{to}");
    if let Some(via) = via {
        let _ = write!(shown, " via {via}");
    }
    if let Some(dev) = dev {
        let _ = write!(shown, " dev {dev}");
    }
    // The tables that everyone knows: main, default, local.
    if !(253..=255).contains(&table) && table != u32::from(RouteHeader::RT_TABLE_UNSPEC) {
        let _ = write!(shown, " table {table}");
    }
    Some(Route {
        to,
        shown,
        kind: header.kind,
    })
}

/// The route that shares addresses with `subnet`, if there is one.
#[must_use]
pub fn overlap(routes: &[Route], subnet: Ipv4Net) -> Option<&Route> {
    let both = |route: &&Route| route.to.contains(&subnet) || subnet.contains(&route.to);
    routes.iter().find(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_overlaps_whichever_of_the_two_is_wider() {
        let route = |to: &str| Route {
            to: to.parse().unwrap(),
            shown: to.to_owned(),
            kind: RouteType::Unicast,
        };
        let routes = [route("10.0.0.0/8"), route("192.168.25.7/32")];
        let overlap = |subnet: &str| {
            let found = overlap(&routes, subnet.parse().unwrap());
            found.map(|route| route.shown.as_str())
        };
        assert_eq!(overlap("10.7.0.0/24"), Some("10.0.0.0/8"));
        assert_eq!(overlap("192.168.25.0/24"), Some("192.168.25.7/32"));
        assert_eq!(overlap("192.168.26.0/24"), None);
    }
}
