//! A playground of docker compose: the file's own keys, and the order of the tables.
//!
//! `service` decides what each service is, `network` reads the networks, `common` the keys that all
//! services have. `members`, `own` and `node` make the tables; `text` knows what strings mean.

mod common;
mod members;
mod network;
mod node;
mod own;
mod service;
mod text;

use std::collections::BTreeMap;

use super::dnsmasq::Found;
use super::draft::{Draft, Source, Table, string};
use super::yaml::{self, Node};
use super::{Error, Import, header};
use network::main_network;
use service::{Kind, Service, classify};
use text::fill;

pub(super) use text::joined;

/// More are no lab.
const MOST: usize = 128;

/// The lab file of a compose file.
pub(super) fn lab(import: &Import) -> Result<String, Error> {
    let root = yaml::read(import.file, import.text)?;
    let services = match root.get("services").map(|services| services.entries()) {
        Some(entries) if !entries.is_empty() => entries,
        Some(_) | None => {
            let is_node = root.get("compute").is_some();
            return Err(Error {
                file: import.file.to_owned(),
                place: (root.line, root.column),
                message: "this is no compose file: it has no `services`".to_owned(),
                hint: is_node.then(|| format!("nsplay import infrasim {}", import.file)),
            });
        }
    };
    if let Some((one_too_many, node)) = services.get(MOST) {
        return Err(Error {
            file: import.file.to_owned(),
            place: (node.line, node.column),
            message: format!("{MOST} services are the most, `{one_too_many}` is one more"),
            hint: None,
        });
    }
    let mut reader = Reader {
        import,
        source: Source { file: import.file },
        services: classify(services),
        main: main_network(&root),
        networks: Vec::new(),
    };
    let mut first = header(import, "compose");
    reader.top(&root, &mut first);
    let network = reader.network(&root);
    let mut tables = reader.tables()?;
    for (key, kind) in [("dhcp", Kind::Dhcp), ("web", Kind::Web), ("ssh", Kind::Ssh)] {
        if !reader.services.iter().any(|service| service.kind == kind) {
            let program = match kind {
                Kind::Dhcp => "dnsmasq",
                Kind::Web => "an HTTP server",
                Kind::Ssh | Kind::Node | Kind::Own => "an SSH server",
            };
            first.set(key, "false", format!("no service was taken as {program}"));
        }
    }
    if !reader
        .services
        .iter()
        .any(|service| service.kind == Kind::Node)
    {
        first.set("node", "false", "no service was taken as an InfraSIM node");
    }
    let mut all = vec![first, network];
    all.append(&mut reader.networks);
    all.append(&mut tables);
    Ok(Draft { tables: all }.settle(import.variables))
}

struct Reader<'i> {
    import: &'i Import<'i>,
    source: Source<'i>,
    services: Vec<Service>,
    main: Option<String>,
    /// The tables of the other networks.
    networks: Vec<Table>,
}

impl Reader<'_> {
    fn top(&self, root: &Node, first: &mut Table) {
        if let Some(text) = root.get("name").and_then(|node| node.text()) {
            let (text, _) = fill(text);
            first.set("name", string(&text), "");
        }
        for (key, value) in root.entries() {
            match key.as_str() {
                "name" | "services" | "networks" => {}
                "version" => first.none(self.source, key, value, "a lab file has no version"),
                _ if key.starts_with("x-") => first.none(
                    self.source,
                    key,
                    value,
                    "what is merged from it is where it is merged",
                ),
                _ => first.none(self.source, key, value, "nsplay has nothing like it"),
            }
        }
    }

    fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let mut tables = Vec::new();
        let mut found = Found::default();
        let mut order: Vec<&Service> = self.services.iter().collect();
        order.sort_by_key(|service| match service.kind {
            Kind::Dhcp => 0,
            Kind::Web => 1,
            Kind::Ssh => 2,
            Kind::Own => 3,
            Kind::Node => 4,
        });
        for service in order {
            match service.kind {
                Kind::Dhcp => tables.push(self.dhcp(service, &mut found)),
                Kind::Web => tables.push(self.web(service)),
                Kind::Ssh => tables.push(self.ssh(service)),
                Kind::Own => tables.push(self.own(service)),
                Kind::Node => tables.extend(self.node(service)?),
            }
        }
        reserve(&found, &mut tables);
        Ok(tables)
    }
}

/// Gives the nodes the addresses that dnsmasq has for them.
fn reserve(found: &Found, tables: &mut [Table]) {
    let mut of: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let dhcp = tables.iter().position(|table| table.head == "dhcp");
    for host in &found.hosts {
        let its = tables.iter_mut().find(|table| {
            let mac = table
                .value("mac")
                .map(|mac| mac.trim_matches('"').to_ascii_lowercase());
            let by_mac = mac.is_some() && mac == host.mac;
            let called = host.name.as_ref().map(|name| format!("node.{name}"));
            by_mac || (host.mac.is_none() && called.as_ref() == Some(&table.head))
        });
        match (its, host.ip) {
            (Some(table), Some(ip)) if !table.has("ip") => {
                table.set("ip", string(&ip.to_string()), host.place.clone());
            }
            _ => {
                if let Some(dhcp) = dhcp {
                    of.entry(dhcp).or_default().push(format!(
                        "no counterpart ({}): dhcp-host={}; no node here has that MAC address",
                        host.place, host.typed
                    ));
                }
            }
        }
    }
    for (table, notes) in of {
        for note in notes {
            tables[table].note(note);
        }
    }
}
