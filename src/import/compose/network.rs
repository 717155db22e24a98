//! The networks of a compose file.

use ipnet::Ipv4Net;

use super::super::draft::{Table, string};
use super::super::name;
use super::super::yaml::Node;
use super::Reader;
use super::text::fill;

/// The network that has a subnet, or else the first.
pub(super) fn main_network(root: &Node) -> Option<String> {
    let networks = root.get("networks")?.entries();
    let with = networks
        .iter()
        .find(|(_, network)| subnet(network).is_some());
    with.or(networks.first()).map(|(name, _)| name.clone())
}

/// A network's element of `ipam.config`, and its subnet.
fn subnet(network: &Node) -> Option<(&Node, String)> {
    let configs = network.get("ipam")?.get("config")?.list();
    configs.iter().find_map(|config| {
        let (text, _) = fill(config.get("subnet")?.text()?);
        // IPv6 is not said by a subnet in a lab file.
        (!text.contains("::")).then_some((&**config, text))
    })
}

impl Reader<'_> {
    /// The main network; the others go to `networks`.
    pub(super) fn network(&mut self, root: &Node) -> Table {
        let mut main = Table::new("network");
        for (called, network) in root.get("networks").map_or(&[][..], |node| node.entries()) {
            let is_main = self.main.as_ref() == Some(called);
            let mut table = match is_main {
                true => std::mem::replace(&mut main, Table::new("network")),
                false => Table::new(format!("network.{}", name(called, "second").0)),
            };
            table.note(format!(
                "{}: the network `{called}`",
                self.source.place(network)
            ));
            self.of_network(network, &mut table);
            match is_main {
                true => main = table,
                false => self.networks.push(table),
            }
        }
        if !main.has("subnet") {
            main.note("no network has a subnet, which Docker would choose: nsplay's default one");
        }
        main
    }

    fn of_network(&self, network: &Node, table: &mut Table) {
        if let Some((config, text)) = subnet(network) {
            let net: Option<Ipv4Net> = text.parse().ok();
            let host_bits = net.is_some_and(|net| net.trunc() != net);
            match net {
                Some(net) if host_bits => {
                    table.set(
                        "subnet",
                        string(&net.trunc().to_string()),
                        format!("of {text}"),
                    );
                }
                Some(_) | None => table.set("subnet", string(&text), ""),
            }
            for (key, value) in config.entries() {
                match key.as_str() {
                    "subnet" => {}
                    "gateway" => {
                        let (text, _) = fill(value.text().unwrap_or_default());
                        table.set("gateway", string(&text), "");
                    }
                    _ => table.none(
                        self.source,
                        &format!("ipam.config.{key}"),
                        value,
                        "nsplay gives out addresses itself",
                    ),
                }
            }
        }
        for (key, value) in network.entries() {
            let why = match key.as_str() {
                "ipam" => continue,
                "internal" => "a lab reaches nothing outside unless it is told to",
                "driver" | "driver_opts" | "name" | "attachable" => {
                    "it is a bridge of the lab's own"
                }
                "external" => "a lab makes its networks",
                "enable_ipv6" => "`ipv6` says what routers announce",
                _ => "nsplay has nothing like it",
            };
            table.none(self.source, key, value, why);
        }
    }
}
