//! A lab as a picture: networks, who hangs off them, and what the host reaches.
//!
//! Pure: [`Graph::of`] takes a lab apart, and each way of drawing is a file of its own. What runs
//! is marked when the caller says so.

mod dot;
mod mermaid;
mod svg;
mod text;

use std::net::SocketAddr;

use crate::lab::{Lab, Name};
use crate::supervisor::protocol::{Member, State};

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Graph {
    lab: String,
    /// Whether the lab runs.
    up: bool,
    buses: Vec<Bus>,
    members: Vec<Seat>,
}

/// A network.
#[derive(Clone, Debug)]
struct Bus {
    name: String,
    subnet: String,
    gateway: String,
    bridge: String,
}

/// A service or a node.
#[derive(Clone, Debug)]
struct Seat {
    name: String,
    is_node: bool,
    /// What it runs, or what kind of machine it is.
    what: String,
    state: Option<State>,
    wires: Vec<Wire>,
    /// What the host reaches that is on no wire: a screen.
    published: Vec<Published>,
}

/// A line from a member to a network.
#[derive(Clone, Debug)]
struct Wire {
    /// Which network.
    bus: usize,
    /// `BMC`, `NIC 1 e1000e`; nothing for the one address of a service.
    end: String,
    /// An IP or a MAC address.
    address: String,
    published: Vec<Published>,
}

/// An address of the host.
#[derive(Clone, Debug)]
struct Published {
    host: SocketAddr,
    /// `/udp`, ` screen`; nothing for TCP to a service.
    suffix: &'static str,
}

impl Graph {
    /// What there is to draw of `lab`; `members` are those of the running one, if it runs.
    #[must_use]
    pub fn of(lab: &Lab, members: Option<&[Member]>) -> Self {
        let buses: Vec<Bus> = lab
            .networks()
            .map(|network| Bus {
                name: network.name.to_string(),
                subnet: network.subnet.to_string(),
                gateway: network.gateway.to_string(),
                bridge: network.bridge().to_string(),
            })
            .collect();
        let state = |name: &Name, is: &dyn Fn(&str) -> bool| {
            let found = members?
                .iter()
                .find(|member| member.name == *name && is(&member.what))?;
            Some(found.state)
        };
        let what = |name: &Name| {
            let running = members?.iter().find(|member| member.name == *name)?;
            Some(running.what.clone())
        };
        let mut seats = Vec::new();
        for seat in lab.services() {
            let published = seat.publish.iter().map(|host| Published {
                host: *host,
                suffix: "",
            });
            seats.push(Seat {
                name: seat.name.to_string(),
                is_node: false,
                what: what(seat.name).unwrap_or_else(|| kind(lab, seat.name)),
                state: state(seat.name, &|_| true),
                wires: vec![Wire {
                    bus: nth(lab, seat.network),
                    end: String::new(),
                    address: seat.address.to_string(),
                    published: published.collect(),
                }],
                published: Vec::new(),
            });
        }
        for node in &lab.nodes {
            let published = |host: Option<SocketAddr>, suffix| {
                host.map(|host| Published { host, suffix })
                    .into_iter()
                    .collect()
            };
            let mut wires = vec![Wire {
                bus: nth(lab, &node.nic.network),
                end: "BMC".to_owned(),
                address: node.address.to_string(),
                published: published(node.bmc.publish, "/udp"),
            }];
            for (n, nic) in node.nics().enumerate() {
                let ip = nic.ip.map_or_else(String::new, |ip| format!("  {ip}"));
                wires.push(Wire {
                    bus: nth(lab, &nic.network),
                    end: format!("NIC {} {}", n + 1, nic.model),
                    address: format!("{}{ip}", nic.mac),
                    published: Vec::new(),
                });
            }
            let cpus = match node.cpus {
                1 => "1 CPU".to_owned(),
                cpus => format!("{cpus} CPUs"),
            };
            let memory = match node.memory_mib {
                mib if mib % 1024 == 0 => format!("{} GiB", mib / 1024),
                mib => format!("{mib} MiB"),
            };
            seats.push(Seat {
                name: node.name.to_string(),
                is_node: true,
                what: format!("{cpus}, {memory}, {}", node.firmware),
                state: state(&node.name, &|what| what == "qemu"),
                wires,
                published: published(node.vnc, " screen"),
            });
        }
        Self {
            lab: lab.name.to_string(),
            up: members.is_some(),
            buses,
            members: seats,
        }
    }

    /// As text for a terminal; `paint` colours a word by a state.
    #[must_use]
    pub fn text(&self, paint: &dyn Fn(&str, State) -> String) -> String {
        text::draw(self, paint)
    }

    /// In the language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        dot::draw(self)
    }

    /// In the language of Mermaid, which Markdown pages show.
    #[must_use]
    pub fn mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// As an SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

/// Which of the lab's networks this is.
fn nth(lab: &Lab, name: &Name) -> usize {
    lab.networks()
        .position(|network| network.name == *name)
        .unwrap_or_default()
}

/// What a service is, by the lab file alone.
fn kind(lab: &Lab, name: &Name) -> String {
    if lab.dhcp_servers().any(|dhcp| dhcp.name == *name) {
        return "DHCP, TFTP".to_owned();
    }
    if lab.web.as_ref().is_some_and(|web| web.name == *name) {
        return "HTTP".to_owned();
    }
    if lab.ssh.as_ref().is_some_and(|ssh| ssh.name == *name) {
        return "SSH".to_owned();
    }
    let own = lab.own.iter().find(|own| own.name == *name);
    own.map_or_else(String::new, |own| own.what())
}

/// `text` for XML and for Mermaid, which reads HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// How a state counts: it works, it is coming, or it does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Light {
    Green,
    Amber,
    Grey,
}

fn light(state: State) -> Light {
    match state {
        State::Ready | State::On => Light::Green,
        State::Starting | State::Waiting => Light::Amber,
        State::Ended | State::Stopped | State::Off => Light::Grey,
    }
}
