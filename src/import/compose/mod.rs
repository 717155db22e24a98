//! A playground of docker compose.

mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use ipnet::Ipv4Net;

use super::dnsmasq::Found;
use super::draft::{Draft, Source, Table, list, string};
use super::yaml::{self, Node};
use super::{Error, Import, header, infrasim, name};
use text::{Mount, Port, fill, mount, port};

pub(super) use text::joined;

/// More are no lab.
const MOST: usize = 128;

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

/// What a service of the file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dhcp,
    Web,
    Ssh,
    Node,
    Own,
}

/// A service of the file.
struct Service {
    name: String,
    node: Rc<Node>,
    kind: Kind,
    /// What shows it.
    why: String,
    member: String,
}

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

/// What each service is, by its image, its name and what is mounted into it.
fn classify(services: &[(String, Rc<Node>)]) -> Vec<Service> {
    const WORDS: [(Kind, &[&str]); 4] = [
        (Kind::Node, &["infrasim"]),
        (Kind::Dhcp, &["dnsmasq"]),
        (Kind::Web, &["nginx", "httpd", "apache", "lighttpd"]),
        (Kind::Ssh, &["sshd", "openssh"]),
    ];
    let mut found: Vec<Service> = Vec::new();
    for (name_there, node) in services {
        let image = node
            .get("image")
            .and_then(|node| node.text())
            .unwrap_or_default();
        let build = match node.get("build") {
            Some(build) if build.is_table() => build
                .get("context")
                .and_then(|node| node.text())
                .unwrap_or_default(),
            Some(build) => build.text().unwrap_or_default(),
            None => "",
        };
        let called = [
            ("image", image),
            ("build folder", build),
            ("name", name_there.as_str()),
        ];
        let mut kind = (
            Kind::Own,
            "nothing shows that it is one of nsplay's own".to_owned(),
        );
        'found: for (what, text) in called {
            for (of, words) in WORDS {
                if let Some(word) = words.iter().find(|word| text.contains(**word)) {
                    kind = (
                        of,
                        format!("inferred: its {what} `{text}` has `{word}` in it"),
                    );
                    break 'found;
                }
            }
        }
        if kind.0 == Kind::Own
            && let Some(yml) = description(node)
        {
            kind = (
                Kind::Node,
                format!("inferred: {} is mounted into it", yml.source),
            );
        }
        let single = matches!(kind.0, Kind::Dhcp | Kind::Web | Kind::Ssh);
        if single && found.iter().any(|service| service.kind == kind.0) {
            kind = (
                Kind::Own,
                format!("{}, but the lab has one already", kind.1),
            );
        }
        let member = match kind.0 {
            Kind::Dhcp => "dhcp".to_owned(),
            Kind::Web => "web".to_owned(),
            Kind::Ssh => "ssh".to_owned(),
            Kind::Node | Kind::Own => name(name_there, &format!("service{}", found.len() + 1)).0,
        };
        found.push(Service {
            name: name_there.clone(),
            node: Rc::clone(node),
            kind: kind.0,
            why: kind.1,
            member,
        });
    }
    found
}

/// The InfraSIM description that is mounted into a service.
fn description(node: &Node) -> Option<Mount> {
    let volumes = node.get("volumes")?.list();
    volumes
        .iter()
        .filter_map(|volume| mount(volume))
        .find(|mount| {
            let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
            is_yaml(&mount.source)
                && (mount.target.contains("infrasim") || mount.target.contains("node_map"))
        })
}

/// The network that has a subnet, or else the first.
fn main_network(root: &Node) -> Option<String> {
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

struct Reader<'i> {
    import: &'i Import<'i>,
    source: Source<'i>,
    services: Vec<Service>,
    main: Option<String>,
    /// The tables of the other networks.
    networks: Vec<Table>,
}

/// The keys of a service that more than one kind reads.
#[derive(Default)]
struct Common {
    address: Option<String>,
    ports: Vec<(Port, String)>,
    mounts: Vec<(Mount, String)>,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    after: Vec<String>,
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

    /// The main network; the others go to `networks`.
    fn network(&mut self, root: &Node) -> Table {
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

    /// The beginning of a service's table.
    fn begin(&self, service: &Service, head: String) -> Table {
        let mut table = Table::new(head);
        let place = self.source.place(&service.node);
        table.note(format!(
            "{place}: the service `{}`; {}",
            service.name, service.why
        ));
        table
    }

    /// Reads the keys that all services have; comments on the rest.
    fn common(&self, service: &Service, table: &mut Table) -> Common {
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

    fn fill(&self, node: &Node, table: &mut Table) -> String {
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
        if let Some(text) = value.text() {
            let (text, changed) = fill(text);
            if let Some(changed) = changed {
                table.note(format!("{}: {changed}", self.source.place(value)));
            }
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

    fn set_address(&self, common: &Common, table: &mut Table) {
        match &common.address {
            Some(address) => table.set("address", string(address), ""),
            None => table.note("no fixed address is given: nsplay's default one"),
        }
    }

    /// Publishes the one port that a member of nsplay's has.
    fn publish(&self, key: &str, common: &Common, is: impl Fn(&Port) -> bool, table: &mut Table) {
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
    fn rest(&self, common: &Common, is: impl Fn(&Port) -> bool, table: &mut Table) {
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

    fn dhcp(&self, service: &Service, found: &mut Found) -> Table {
        let mut table = self.begin(service, "dhcp".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        for (mount, place) in &common.mounts {
            let is_file = mount.target.ends_with(".conf") || mount.source.ends_with(".conf");
            if !is_file {
                continue;
            }
            match (self.import.open)(Path::new(&mount.source)) {
                Ok(text) => found.read(&mount.source, &text, &mut table),
                Err(error) => table.note(format!(
                    "{place}: {} cannot be read ({error}), so what it says is not here",
                    mount.source
                )),
            }
        }
        let place = self.source.place(&service.node);
        found.arguments(&common.command, &place, &mut table);
        found.finish(&mut table);
        let root = found.tftp_root.clone();
        for (mount, place) in &common.mounts {
            let is_root = match &root {
                Some(root) => Path::new(root) == Path::new(&mount.target),
                None => mount.target.contains("tftp"),
            };
            let why = match &root {
                Some(root) => format!("tftp-root={root}"),
                None => format!("inferred: it is mounted on {}", mount.target),
            };
            if is_root && !table.has("tftproot") {
                let path = joined(self.import.folder, &mount.source);
                table.set("tftproot", string(&path), why);
            } else if !mount.target.ends_with(".conf") && !mount.source.ends_with(".conf") {
                table.note(format!(
                    "no counterpart ({place}): {}; it serves one folder",
                    mount.source
                ));
            }
        }
        self.rest(
            &common,
            |port| matches!(port.inside, 53 | 67 | 69),
            &mut table,
        );
        table
    }

    fn web(&self, service: &Service) -> Table {
        let mut table = self.begin(service, "web".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        const FOLDERS: [&str; 5] = ["html", "htdocs", "www", "webroot", "public"];
        for (mount, place) in &common.mounts {
            let is_root = FOLDERS.iter().any(|folder| mount.target.contains(folder));
            if is_root && !table.has("root") {
                let path = joined(self.import.folder, &mount.source);
                let why = format!("inferred: it is mounted on {}", mount.target);
                table.set("root", string(&path), why);
            } else {
                table.note(format!(
                    "no counterpart ({place}): {} on {}; it serves one folder and is configured by nsplay",
                    mount.source, mount.target
                ));
            }
        }
        if !common.command.is_empty() {
            let command = common.command.join(" ");
            table.note(format!(
                "no counterpart: command {command}; `server` chooses the program"
            ));
        }
        let is = |port: &Port| matches!(port.inside, 80 | 8080) && port.protocol == "tcp";
        if let Some((port, _)) = common.ports.iter().find(|(port, _)| port.inside == 8080) {
            let place = &port.host;
            table.note(format!(
                "{place} led to port 8080 there; the lab's web server is on 80"
            ));
        }
        self.publish("publish", &common, is, &mut table);
        self.rest(&common, is, &mut table);
        table
    }

    fn ssh(&self, service: &Service) -> Table {
        let mut table = self.begin(service, "ssh".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        let is = |port: &Port| matches!(port.inside, 22 | 2222) && port.protocol == "tcp";
        self.publish("publish", &common, is, &mut table);
        for (mount, place) in &common.mounts {
            table.note(format!(
                "no counterpart ({place}): {} on {}; keys are made for each run",
                mount.source, mount.target
            ));
        }
        self.rest(&common, is, &mut table);
        table
    }

    fn own(&self, service: &Service) -> Table {
        let mut table = self.begin(service, format!("service.{}", service.member));
        let common = self.common(service, &mut table);
        if common.command.is_empty() {
            table.note(
                "what its image runs is not said here: give it a `command` of this host, and take away the marks",
            );
            table.set("command", "[\"…\"]", "");
            table.drop();
        } else {
            let why = "runs on this host, which must have the program";
            table.set("command", list(&common.command), why);
        }
        self.set_address(&common, &mut table);
        if !common.environment.is_empty() {
            let pair =
                |(key, value): &(String, String)| format!("{} = {}", string(key), string(value));
            let pairs: Vec<String> = common.environment.iter().map(pair).collect();
            table.set("env", format!("{{ {} }}", pairs.join(", ")), "");
        }
        for (mount, place) in &common.mounts {
            if table.has("folder") {
                table.note(format!(
                    "no counterpart ({place}): {}; it has one folder",
                    mount.source
                ));
                continue;
            }
            let path = joined(self.import.folder, &mount.source);
            let why = format!(
                "inferred: it was {} there, here it starts in it",
                mount.target
            );
            table.set("folder", string(&path), why);
        }
        let spelled = |port: &Port| format!("{}:{}/{}", port.host, port.inside, port.protocol);
        let ports: Vec<String> = common.ports.iter().map(|(port, _)| spelled(port)).collect();
        let why = common.ports.iter().map(|(port, _)| everywhere(port)).max();
        match ports.as_slice() {
            [] => {}
            [port] => table.set("publish", string(port), why.unwrap_or_default()),
            ports => table.set("publish", list(ports), why.unwrap_or_default()),
        }
        if !common.after.is_empty() {
            table.set("after", list(&common.after), "depends_on");
        }
        for (key, value) in service.node.entries() {
            match key.as_str() {
                "user" => {
                    let user = self.fill(value, &mut table);
                    table.set("user", string(&user), "a user of this host");
                }
                "working_dir" => table.none(self.source, key, value, "it starts in `folder`"),
                "healthcheck" => {
                    table.none(self.source, key, value, "`ready` says when it is ready")
                }
                "restart" if value.text() == Some("no") => {
                    table.set("restart", "\"never\"", "restart: no");
                }
                _ => {}
            }
        }
        table
    }

    fn node(&self, service: &Service) -> Result<Vec<Table>, Error> {
        let mut table = self.begin(service, format!("node.{}", service.member));
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        if !common.after.is_empty() {
            table.set("after", list(&common.after), "depends_on");
        }
        let mut bmc = Table::new(format!("node.{}.bmc", service.member));
        let mut ipmi = 623;
        let mut read = None;
        for (mount, place) in &common.mounts {
            let yaml = mount.source.ends_with(".yml") || mount.source.ends_with(".yaml");
            if !yaml || read.is_some() {
                table.note(format!(
                    "no counterpart ({place}): {} on {}; a node has disks and a CD",
                    mount.source, mount.target
                ));
                continue;
            }
            match (self.import.open)(Path::new(&mount.source)) {
                Ok(text) => {
                    let beside = Path::new(self.import.file).parent();
                    let shown = joined(beside, &mount.source);
                    let root = yaml::read(&shown, &text)?;
                    infrasim::check(&shown, &root)?;
                    table.note(format!("what {} says of it:", mount.source));
                    let port = root
                        .get("bmc")
                        .and_then(|bmc| bmc.get("ipmi_over_lan_port"));
                    ipmi = port.and_then(|port| port.integer()).unwrap_or(623);
                    let source = Source {
                        file: &mount.source,
                    };
                    read = Some(infrasim::node(self.import, source, &root, &service.member));
                }
                Err(error) => table.note(format!(
                    "{place}: {} cannot be read ({error}), so the node has nsplay's defaults",
                    mount.source
                )),
            }
        }
        if let Some(described) = read {
            let address = described.address.map(|address| address.to_string());
            if address.is_some() && address != common.address {
                let address = address.unwrap_or_default();
                table.note(format!(
                    "its own bmc.address, {address}, was that inside the container"
                ));
            }
            table.append(described.node);
            bmc.append(described.bmc);
        }
        table.unset("vnc");
        let is_bmc = |port: &Port| u64::from(port.inside) == ipmi && port.protocol == "udp";
        let is_vnc = |port: &Port| (5900..6000).contains(&port.inside) && port.protocol == "tcp";
        self.publish("vnc", &common, is_vnc, &mut table);
        self.publish("publish", &common, is_bmc, &mut bmc);
        let rest = Common {
            after: Vec::new(),
            ..common
        };
        self.rest(&rest, |port| is_bmc(port) || is_vnc(port), &mut table);
        Ok(vec![table, bmc])
    }
}

/// What to say of a port that all the world reaches.
fn everywhere(port: &Port) -> String {
    match port.everywhere {
        true => "as Docker does it: everybody who reaches this host".to_owned(),
        false => String::new(),
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
