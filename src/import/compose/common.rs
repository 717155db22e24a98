//! The keys of a compose file's services that more than one kind of them has.

use std::rc::Rc;

use super::super::draft::{Table, string};
use super::super::name;
use super::super::yaml::Node;
use super::Reader;
use super::service::{Kind, Service};
use super::text::{Mount, Port, fill, mount, port};

/// What needs a container and nothing else.
const OF_CONTAINERS: &[&str] = &[
    "image",
    "build",
    "container_name",
    "hostname",
    "privileged",
    "cap_add",
    "cap_drop",
    "devices",
    "tty",
    "stdin_open",
    "init",
    "restart",
    "security_opt",
    "network_mode",
    "pull_policy",
    "platform",
    "logging",
    "stop_grace_period",
    "ulimits",
    "shm_size",
    "tmpfs",
    "sysctls",
    "expose",
];

/// The keys of a service that more than one kind reads.
#[derive(Default)]
pub(super) struct Common {
    pub(super) address: Option<String>,
    pub(super) ports: Vec<(Port, String)>,
    pub(super) mounts: Vec<(Mount, String)>,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) after: Vec<String>,
}

impl Reader<'_> {
    /// The beginning of a service's table.
    pub(super) fn begin(&self, service: &Service, head: String) -> Table {
        let mut table = Table::new(head);
        let place = self.source.place(&service.node);
        table.note(format!(
            "{place}: the service `{}`; {}",
            service.name, service.why
        ));
        table
    }

    /// Reads the keys that all services have; comments on the rest.
    pub(super) fn common(&self, service: &Service, table: &mut Table) -> Common {
        let mut common = Common::default();
        let mut of_containers = Vec::new();
        for (key, value) in service.node.entries() {
            match key.as_str() {
                "networks" => self.address(value, table, &mut common),
                "ports" => {
                    for element in value.list() {
                        match port(element) {
                            Some(port) => common.ports.push((port, self.source.place(element))),
                            None => table.none(
                                self.source,
                                "ports",
                                element,
                                "a port of the host and one of the member make a published port",
                            ),
                        }
                    }
                }
                "volumes" => {
                    for element in value.list() {
                        match mount(element) {
                            Some(mount) => common.mounts.push((mount, self.source.place(element))),
                            None => table.none(
                                self.source,
                                "volumes",
                                element,
                                "only folders of the host are served",
                            ),
                        }
                    }
                }
                "entrypoint" => {
                    let words = self.words(value, table);
                    common.command.splice(0..0, words);
                }
                "command" => common.command.extend(self.words(value, table)),
                "environment" => common.environment = self.environment(value, table),
                "depends_on" => self.after(value, table, &mut common),
                "restart" if service.kind == Kind::Own && value.text() == Some("no") => {}
                _ if OF_CONTAINERS.contains(&key.as_str()) => of_containers.push(key.as_str()),
                _ => {
                    let own = service.kind == Kind::Own;
                    if !(own && matches!(key.as_str(), "user" | "working_dir" | "healthcheck")) {
                        table.none(self.source, key, value, "nsplay has nothing like it");
                    }
                }
            }
        }
        if !of_containers.is_empty() {
            let place = self.source.place(&service.node);
            table.note(format!(
                "no counterpart ({place}): {}; programs are this host's, and nsplay keeps them",
                of_containers.join(", ")
            ));
        }
        common
    }

    /// The text of `node`, with a note of what had to be changed in it.
    pub(super) fn fill(&self, node: &Node, table: &mut Table) -> String {
        let (text, changed) = fill(node.text().unwrap_or_default());
        if let Some(changed) = changed {
            table.note(format!("{}: {changed}", self.source.place(node)));
        }
        text
    }

    /// Puts the member on the main network if it is on that, else on its first one.
    fn address(&self, value: &Node, table: &mut Table, common: &mut Common) {
        let listed = value
            .list()
            .iter()
            .filter_map(|node| Some((node.text()?, node)));
        let keyed = value
            .entries()
            .iter()
            .map(|(called, node)| (called.as_str(), node));
        let all: Vec<(&str, &Rc<Node>)> = listed.chain(keyed).collect();
        let main = all
            .iter()
            .position(|(called, _)| self.main.as_deref() == Some(called));
        for (n, (called, network)) in all.iter().enumerate() {
            if n != main.unwrap_or_default() {
                let path = format!("networks.{called}");
                let why = "a member is on one network; a node's `nics` may be on others";
                table.none(self.source, &path, network, why);
                continue;
            }
            if main.is_none() {
                table.set("network", string(&name(called, "second").0), "");
            }
            for (key, value) in network.entries() {
                match key.as_str() {
                    "ipv4_address" => common.address = Some(self.fill(value, table)),
                    _ => table.none(
                        self.source,
                        &format!("networks.{called}.{key}"),
                        value,
                        "members are found by their names",
                    ),
                }
            }
        }
    }

    /// A command, which compose splits as a shell does.
    fn words(&self, value: &Node, table: &mut Table) -> Vec<String> {
        if value.text().is_some() {
            let text = self.fill(value, table);
            return shlex::split(&text).unwrap_or_else(|| vec![text]);
        }
        value
            .list()
            .iter()
            .map(|word| self.fill(word, table))
            .collect()
    }

    fn environment(&self, value: &Node, table: &mut Table) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for element in value.list() {
            let text = self.fill(element, table);
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (text.clone(), format!("${{{text}:-}}")),
            };
            found.push((key, value));
        }
        for (key, value) in value.entries() {
            found.push((key.clone(), self.fill(value, table)));
        }
        found
    }

    fn after(&self, value: &Node, table: &mut Table, common: &mut Common) {
        let listed = value
            .list()
            .iter()
            .map(|name| (name.text().unwrap_or_default(), name));
        let keyed = value
            .entries()
            .iter()
            .map(|(name, node)| (name.as_str(), node));
        for (wanted, node) in listed.chain(keyed) {
            let known = self.services.iter().find(|service| service.name == wanted);
            match known {
                Some(service) if service.kind != Kind::Node => {
                    common.after.push(service.member.clone());
                }
                Some(_) => table.none(
                    self.source,
                    "depends_on",
                    node,
                    "a node is waited for by a stage of its boot: after = [\"NODE:up\"]",
                ),
                None => table.none(self.source, "depends_on", node, "there is no such service"),
            }
        }
    }

    /// Sets the member's address, or says that it gets nsplay's.
    pub(super) fn set_address(&self, common: &Common, table: &mut Table) {
        match &common.address {
            Some(address) => table.set("address", string(address), ""),
            None => table.note("no fixed address is given: nsplay's default one"),
        }
    }

    /// Publishes the one port that a member of nsplay's has.
    pub(super) fn publish(
        &self,
        key: &str,
        common: &Common,
        is: impl Fn(&Port) -> bool,
        table: &mut Table,
    ) {
        for (port, place) in common.ports.iter().filter(|(port, _)| is(port)) {
            if table.has(key) {
                table.note(format!(
                    "no counterpart ({place}): {}; one is published",
                    port.host
                ));
                continue;
            }
            table.set(key, string(&port.host), everywhere(port));
        }
        if !table.has(key) {
            table.set(key, "false", "the file publishes none");
        }
    }

    /// Says what of a member of nsplay's own is not taken over.
    pub(super) fn rest(&self, common: &Common, is: impl Fn(&Port) -> bool, table: &mut Table) {
        for (port, place) in common.ports.iter().filter(|(port, _)| !is(port)) {
            let what = format!("{}:{}/{}", port.host, port.inside, port.protocol);
            table.note(format!(
                "no counterpart ({place}): {what}; it serves no such port"
            ));
        }
        for (key, value) in &common.environment {
            table.note(format!(
                "no counterpart: environment {key}={value}; it is not read"
            ));
        }
        if !common.after.is_empty() {
            let after = common.after.join(", ");
            table.note(format!(
                "no counterpart: depends_on {after}; it waits for nobody"
            ));
        }
    }
}

/// What to say of a port that all the world reaches.
pub(super) fn everywhere(port: &Port) -> String {
    match port.everywhere {
        true => "as Docker does it: everybody who reaches this host".to_owned(),
        false => String::new(),
    }
}
