//! InfraSIM's description of a node.

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::draft::{Draft, Source, Table, list, literal, string};
use super::yaml::{self, Node};
use super::{Error, Import, header, name};

/// More drives or NICs are no server.
const MOST_PARTS: usize = 16;

/// A node, as tables of the lab file.
pub(super) struct NodeTables {
    pub(super) node: Table,
    pub(super) bmc: Table,
    /// The BMC's address, if the description has one.
    pub(super) address: Option<Ipv4Addr>,
}

/// The lab file of one node.
pub(super) fn lab(import: &Import) -> Result<String, Error> {
    let root = yaml::read(import.file, import.text)?;
    check(import.file, &root)?;
    let source = Source { file: import.file };
    let mut first = header(import, "infrasim");
    let typed = root.get("name").and_then(|node| node.text());
    let (called, why) = match typed {
        Some(typed) => name(typed, "node1"),
        None => (
            "node-0".to_owned(),
            "no name is given; this is InfraSIM's default".to_owned(),
        ),
    };
    first.set("name", string(&called), "the lab is called as its node");
    let mut tables = node(import, source, &root, &called);
    let mut network = Table::new("network");
    match tables.address {
        Some(address) => {
            let [a, b, c, _] = address.octets();
            network.set(
                "subnet",
                string(&format!("{a}.{b}.{c}.0/24")),
                "inferred: the /24 of bmc.address",
            );
            let mut with = Table::new(tables.node.head.clone());
            with.set("address", string(&address.to_string()), "bmc.address");
            with.append(tables.node);
            tables.node = with;
        }
        None => network.note("no address is given, so the network is nsplay's default one"),
    }
    if !why.is_empty() {
        let mut with = Table::new(tables.node.head.clone());
        with.note(why);
        with.append(tables.node);
        tables.node = with;
    }
    publish(&mut tables.bmc, &root, source);
    let draft = Draft {
        tables: vec![first, network, tables.node, tables.bmc],
    };
    Ok(draft.settle(import.variables))
}

/// Refuses what is no node.
pub(super) fn check(file: &str, root: &Node) -> Result<(), Error> {
    let known = ["name", "type", "compute", "bmc"];
    if known.iter().any(|key| root.get(key).is_some()) {
        return Ok(());
    }
    let compose = root.get("services").is_some();
    Err(Error {
        file: file.to_owned(),
        place: (root.line, root.column),
        message: "this describes no InfraSIM node: it has no `type`, `compute` or `bmc`".to_owned(),
        hint: Some(match compose {
            true => format!("nsplay import compose {file}"),
            false => "such a file begins with the node's `name` and `type`".to_owned(),
        }),
    })
}

/// The file of a CD, if it is none of the host's drives.
fn image(cdrom: &Node) -> Option<&Node> {
    let file = cdrom.get("file").or_else(|| cdrom.get("path"));
    let file = file.map_or(cdrom, |file| file);
    file.text()
        .filter(|path| !path.starts_with("/dev/"))
        .map(|_| file)
}

/// Where the BMC is reached: InfraSIM's listens on the host itself.
fn publish(bmc: &mut Table, root: &Node, source: Source) {
    let port = root
        .get("bmc")
        .and_then(|bmc| bmc.get("ipmi_over_lan_port"));
    let (port, from) = match port.and_then(|node| Some((node.integer()?, node))) {
        Some((port, node)) => (port, source.place(node)),
        None => (623, "InfraSIM's default port".to_owned()),
    };
    bmc.set(
        "publish",
        string(&format!("127.0.0.1:{port}")),
        format!("{from}; 0.0.0.0 would let other hosts in, as InfraSIM does"),
    );
}

/// The tables of the node that `root` describes, without its address and its ports.
pub(super) fn node(import: &Import, source: Source, root: &Node, called: &str) -> NodeTables {
    let mut reader = Reader {
        import,
        source,
        node: Table::new(format!("node.{called}")),
        bmc: Table::new(format!("node.{called}.bmc")),
        address: None,
        display: false,
        has_cd: root
            .get("compute")
            .and_then(|compute| compute.get("cdrom"))
            .and_then(|cdrom| image(cdrom))
            .is_some(),
    };
    for (key, value) in root.entries() {
        reader.top(key, value);
    }
    reader.defaults(root);
    NodeTables {
        node: reader.node,
        bmc: reader.bmc,
        address: reader.address,
    }
}

struct Reader<'i> {
    import: &'i Import<'i>,
    source: Source<'i>,
    node: Table,
    bmc: Table,
    address: Option<Ipv4Addr>,
    display: bool,
    /// Whether there is a CD to boot from.
    has_cd: bool,
}

impl Reader<'_> {
    fn none(&mut self, path: &str, node: &Node, why: &str) {
        self.node.none(self.source, path, node, why);
    }

    fn top(&mut self, key: &str, value: &Rc<Node>) {
        match key {
            "name" => {}
            "type" => self.kind(value),
            "compute" => {
                for (key, value) in value.entries() {
                    self.compute(key, value);
                }
            }
            "bmc" => {
                for (key, value) in value.entries() {
                    self.of_bmc(key, value);
                }
            }
            "sol_device" | "serial_socket" | "sol_enable" => self.none(
                key,
                value,
                "`nsplay console` and Serial over LAN share the node's serial line",
            ),
            "ipmi_console_ssh" | "ipmi_console_port" => self.none(
                key,
                value,
                "`nsplay bmc` sets sensors, logs events and makes faults",
            ),
            "bmc_connection_port" => {
                self.none(key, value, "guest and BMC find one another by themselves");
            }
            "namespace" => self.none(
                key,
                value,
                "every member has a network namespace of its own",
            ),
            "racadm" => self.none(key, value, "the BMC speaks IPMI"),
            _ => self.none(key, value, "nsplay has nothing like it"),
        }
    }

    /// InfraSIM's types of node, and the profile that comes nearest.
    fn kind(&mut self, value: &Node) {
        let kind = value.text().unwrap_or_default();
        let (profile, maker, product) = match kind {
            "quanta_d51" => ("quanta-d51", None, None),
            "quanta_t41" => ("quanta-d51", None, Some("QuantaPlex T41S-2U")),
            "dell_c6320" => ("dell-r740", None, Some("PowerEdge C6320")),
            "dell_r630" => ("dell-r740", None, Some("PowerEdge R630")),
            "dell_r730" => ("dell-r740", None, Some("PowerEdge R730")),
            "dell_r730xd" => ("dell-r740", None, Some("PowerEdge R730xd")),
            "s2600kp" => ("generic", Some("Intel Corporation"), Some("S2600KP")),
            "s2600tp" => ("generic", Some("Intel Corporation"), Some("S2600TP")),
            "s2600wtt" => ("generic", Some("Intel Corporation"), Some("S2600WTT")),
            _ => {
                self.none("type", value, "profile = \"generic\" is the default");
                return;
            }
        };
        let why = match product {
            None => format!("type: {kind}"),
            Some(_) => format!("type: {kind}; the nearest there is, its sensors are that one's"),
        };
        self.node.set("profile", string(profile), why);
        for (key, text) in [("manufacturer", maker), ("product", product)] {
            if let Some(text) = text {
                self.node
                    .set(key, string(text), format!("inferred from type: {kind}"));
            }
        }
    }

    fn compute(&mut self, key: &str, value: &Rc<Node>) {
        match key {
            "boot_order" => self.boot_order(value),
            "boot" => {
                for (key, value) in value.entries() {
                    match key.as_str() {
                        "boot_order" => self.boot_order(value),
                        _ => self.none(
                            &format!("compute.boot.{key}"),
                            value,
                            "the firmware shows no menu",
                        ),
                    }
                }
            }
            "kvm_enabled" => match value.boolean() {
                Some(false) => self.node.set("accel", "\"tcg\"", "kvm_enabled: false"),
                Some(true) | None => {
                    let why = "kvm_enabled; KVM where it works";
                    self.node.set("accel", "\"auto\"", why);
                }
            },
            "cpu" => self.cpu(value),
            "memory" => {
                for (key, value) in value.entries() {
                    match (key.as_str(), value.integer()) {
                        ("size", Some(mib)) => {
                            self.node.set("memory", string(&format!("{mib}MiB")), "");
                        }
                        _ => self.none(
                            &format!("compute.memory.{key}"),
                            value,
                            "only the size can be said",
                        ),
                    }
                }
            }
            "storage_backend" => self.storage(value),
            "drives" => self.drives("compute.drives", "ahci", value, &mut Vec::new()),
            "networks" => self.networks(value),
            "vnc_display" => self.vnc(value),
            "vnc" => {
                for (key, value) in value.entries() {
                    match key.as_str() {
                        "display" => self.vnc(value),
                        _ => self.none(
                            &format!("compute.vnc.{key}"),
                            value,
                            "`vnc` has an address and a port",
                        ),
                    }
                }
            }
            "cdrom" => self.cdrom(value),
            "kernel" | "initrd" => self.path(key, value),
            "cmdline" => match value.text() {
                Some(text) => self.node.set("cmdline", literal(text), ""),
                None => self.none("compute.cmdline", value, "no text"),
            },
            "extra_option" => match value.text() {
                Some(text) => {
                    let words = text.split_whitespace().map(|word| word.replace('$', "$$"));
                    self.node
                        .set("qemu_args", list(words), "extra_option, split at blanks");
                }
                None => self.none("compute.extra_option", value, "no text"),
            },
            "numa_control" => {
                self.none("compute.numa_control", value, "guests are bound to no CPU")
            }
            "ipmi" => self.none(
                "compute.ipmi",
                value,
                "every node has a KCS interface to its BMC",
            ),
            "smbios" => self.none(
                "compute.smbios",
                value,
                "SMBIOS says what the profile and `serial`, `uuid`, `product`, … say",
            ),
            "monitor" => self.none(
                "compute.monitor",
                value,
                "nsplay holds QEMU's monitor; `nsplay power` and `console` are the way to it",
            ),
            "pci_bridge_topology" | "pcie_topology" => {
                self.none(
                    &format!("compute.{key}"),
                    value,
                    "PCI slots are QEMU's choice",
                );
            }
            "guest-agent" => self.none("compute.guest-agent", value, "no agent is asked"),
            _ => self.none(
                &format!("compute.{key}"),
                value,
                "nsplay has nothing like it",
            ),
        }
    }

    /// InfraSIM hands the letters to QEMU's -boot, whose they are: c is the disk, d the CD.
    fn boot_order(&mut self, value: &Node) {
        let letters = value.text().unwrap_or_default();
        let (mut order, mut unknown) = (Vec::new(), String::new());
        for letter in letters.chars() {
            match letter {
                'n' => order.push("network"),
                'c' => order.push("disk"),
                'd' => order.push("cdrom"),
                _ => unknown.push(letter),
            }
        }
        let has_cd = self.has_cd;
        order.retain(|device| *device != "cdrom" || has_cd);
        if order.is_empty() || !unknown.is_empty() {
            self.none("boot_order", value, "of QEMU's letters n, c and d have one");
        }
        if !order.is_empty() {
            let cd = if has_cd || !letters.contains('d') {
                ""
            } else {
                "; there is no CD"
            };
            self.node
                .set("boot", list(order), format!("boot_order: {letters}{cd}"));
        }
    }

    fn cpu(&mut self, value: &Node) {
        let mut model = None;
        let mut features = "";
        for (key, value) in value.entries() {
            match (key.as_str(), value.integer()) {
                ("quantities", Some(cpus)) => self.node.set("cpus", cpus.to_string(), ""),
                ("type" | "model", _) => model = value.text(),
                ("features", _) => features = value.text().unwrap_or_default(),
                ("socket" | "sockets" | "core" | "cores" | "threads", _) => self.none(
                    &format!("compute.cpu.{key}"),
                    value,
                    "`cpus` says how many there are in all",
                ),
                _ => self.none(
                    &format!("compute.cpu.{key}"),
                    value,
                    "nsplay has nothing like it",
                ),
            }
        }
        match (model, features) {
            (None, "") => {}
            (None, features) => {
                let cpu = format!("max,{features}");
                self.node
                    .set("cpu", literal(&cpu), "features of no model: those of `max`");
            }
            (Some(model), features) => {
                let cpu = [model, features].map(str::trim).join(",");
                self.node.set("cpu", literal(cpu.trim_end_matches(',')), "");
            }
        }
    }

    fn storage(&mut self, value: &Node) {
        let mut drives = Vec::new();
        for controller in value.list().iter().take(MOST_PARTS) {
            // Older descriptions have one more level.
            let controller = controller.get("controller").unwrap_or(controller);
            let kind = controller
                .get("type")
                .and_then(|node| node.text())
                .unwrap_or("ahci");
            for (key, value) in controller.entries() {
                match key.as_str() {
                    "type" => {}
                    "drives" => {
                        self.drives("compute.storage_backend.drives", kind, value, &mut drives);
                    }
                    "max_drive_per_controller" => self.none(
                        "compute.storage_backend.max_drive_per_controller",
                        value,
                        "QEMU adds controllers as they are needed",
                    ),
                    _ => self.none(
                        &format!("compute.storage_backend.{key}"),
                        value,
                        "a controller has no settings",
                    ),
                }
            }
        }
        if !drives.is_empty() {
            self.disks(&drives);
        }
    }

    /// Reads the drives of a controller. Where `into` holds none before and after, they are all.
    fn drives(&mut self, path: &str, kind: &str, value: &Node, into: &mut Vec<String>) {
        let bus = match kind {
            "ahci" => "ahci",
            "nvme" => "nvme",
            "virtio" | "virtio-blk" => "virtio",
            _ => "scsi",
        };
        if bus == "scsi" && !matches!(kind, "scsi" | "virtio-scsi") && !value.list().is_empty() {
            let why = format!("a drive of a {kind} controller: bus = \"scsi\" is the nearest");
            self.node
                .note(format!("{}: {why}", self.source.place(value)));
        }
        let alone = path == "compute.drives";
        for drive in value.list() {
            if into.len() == MOST_PARTS {
                self.none(path, drive, "more drives are no server");
                break;
            }
            let mut spelled = Vec::new();
            for (key, value) in drive.entries() {
                match (key.as_str(), value.integer(), value.text()) {
                    ("size", Some(gib), _) => spelled.push(format!("size = \"{gib}GiB\"")),
                    ("file", _, Some(file)) if !file.starts_with("/dev/") => {
                        let file = super::compose::joined(self.import.folder, file);
                        spelled.push(format!("base = {}", literal(&file)));
                        self.node.note(format!(
                            "{}: {file} stays as it is: what the guest writes goes to a layer above it",
                            self.source.place(value)
                        ));
                    }
                    ("file", ..) => self.none(
                        &format!("{path}.file"),
                        value,
                        "no device of the host is handed on",
                    ),
                    ("format", _, Some(format)) => {
                        spelled.push(format!("format = {}", literal(format)));
                    }
                    ("bootindex", ..) => self.none(
                        &format!("{path}.bootindex"),
                        value,
                        "`boot` orders devices; disks are in the order of the file",
                    ),
                    _ => self.none(
                        &format!("{path}.{key}"),
                        value,
                        "QEMU's drives say what QEMU has them say",
                    ),
                }
            }
            if !spelled
                .iter()
                .any(|key| key.starts_with("size") || key.starts_with("base"))
            {
                spelled.insert(0, "size = \"8GiB\"".to_owned());
                let place = self.source.place(drive);
                self.node.note(format!(
                    "{place}: a drive without a size has 8 GiB, as in InfraSIM"
                ));
            }
            let has = |key: &str| spelled.iter().any(|spelled| spelled.starts_with(key));
            if has("base") && !has("format") {
                spelled.push("format = \"qcow2\"".to_owned());
                let place = self.source.place(drive);
                let why = "a file without a format is a qcow2, as in InfraSIM";
                self.node.note(format!("{place}: {why}"));
            }
            spelled.push(format!("bus = \"{bus}\""));
            into.push(format!("{{ {} }}", spelled.join(", ")));
        }
        if alone && !into.is_empty() {
            let drives = std::mem::take(into);
            self.disks(&drives);
        }
    }

    fn disks(&mut self, drives: &[String]) {
        self.node
            .set("disks", format!("[{}]", drives.join(", ")), "");
    }

    fn networks(&mut self, value: &Node) {
        let mut more = Vec::new();
        for (n, network) in value.list().iter().take(MOST_PARTS).enumerate() {
            let mut model = None;
            let mut mac = None;
            for (key, value) in network.entries() {
                let path = format!("compute.networks.{key}");
                match (key.as_str(), value.text()) {
                    ("device", Some(device)) => model = self.nic(device, value),
                    ("mac", Some(text)) => mac = Some(text),
                    ("network_mode" | "network_name" | "bridge", Some(_)) => self.none(
                        &path,
                        value,
                        "the NIC is inferred to be on the lab's network, with all other members",
                    ),
                    ("port_forward", _) => self.none(
                        &path,
                        value,
                        "ports of a guest are reached from inside: `nsplay exec`, or over [ssh]",
                    ),
                    ("id", _) => self.none(&path, value, "NICs are numbered"),
                    _ => self.none(&path, value, "nsplay has nothing like it"),
                }
            }
            if n == 0 {
                if let Some(model) = model {
                    self.node.set("nic", string(model), "");
                }
                if let Some(mac) = mac {
                    self.node.set("mac", literal(mac), "");
                }
                continue;
            }
            let mut spelled = Vec::new();
            if let Some(model) = model {
                spelled.push(format!("model = \"{model}\""));
            }
            if let Some(mac) = mac {
                spelled.push(format!("mac = {}", literal(mac)));
            }
            more.push(format!("{{ {} }}", spelled.join(", ")));
        }
        if !more.is_empty() {
            let why = "the NICs beyond the first";
            self.node.set("nics", format!("[{}]", more.join(", ")), why);
        }
    }

    fn nic(&mut self, device: &str, value: &Node) -> Option<&'static str> {
        Some(match device {
            "e1000" => "e1000",
            "e1000e" => "e1000e",
            "vmxnet3" => "vmxnet3",
            "rtl8139" => "rtl8139",
            "virtio" | "virtio-net" | "virtio-net-pci" => "virtio-net",
            _ => {
                self.none(
                    "compute.networks.device",
                    value,
                    "the default is \"e1000e\"",
                );
                return None;
            }
        })
    }

    fn vnc(&mut self, value: &Node) {
        let Some(port) = value
            .integer()
            .and_then(|display| display.checked_add(5900))
        else {
            self.none("compute.vnc_display", value, "no number");
            return;
        };
        self.display = true;
        let why = "0.0.0.0 would let other hosts in, as InfraSIM does";
        self.node
            .set("vnc", string(&format!("127.0.0.1:{port}")), why);
    }

    fn cdrom(&mut self, value: &Node) {
        match image(value) {
            Some(file) => self.path_as("iso", file),
            None => self.none("compute.cdrom", value, "no drive of the host is handed on"),
        }
    }

    fn path(&mut self, key: &str, value: &Node) {
        self.path_as(key, value);
    }

    fn path_as(&mut self, key: &str, value: &Node) {
        match value.text() {
            Some(path) => {
                let path = super::compose::joined(self.import.folder, path);
                self.node.set(key, literal(&path), "");
            }
            None => self.none(key, value, "no path"),
        }
    }

    fn of_bmc(&mut self, key: &str, value: &Rc<Node>) {
        let path = format!("bmc.{key}");
        match (key, value.text()) {
            ("username", Some(user)) => self.bmc.set("user", literal(user), ""),
            ("password", Some(password)) => self.bmc.set("password", literal(password), ""),
            ("address", Some(address)) => match address.parse() {
                Ok(address) => self.address = Some(address),
                Err(_) => self.none(&path, value, "no IPv4 address"),
            },
            ("ipmi_over_lan_port" | "main_port", Some(_)) if value.integer().is_some() => {}
            ("startnow", _) => match value.boolean() {
                Some(true) => self.node.set("power", "\"on\"", "bmc.startnow: true"),
                _ => self.node.set("power", "\"off\"", "bmc.startnow: false"),
            },
            ("poweroff_wait", _) => match value.integer() {
                Some(seconds) => {
                    let why = "bmc.poweroff_wait: then a soft power-off becomes a hard one";
                    self.node
                        .set("soft_timeout", string(&format!("{seconds}s")), why);
                }
                None => self.none(&path, value, "no number of seconds"),
            },
            _ => {
                let why = match key {
                    "interface" => {
                        "the BMC has a bridge of its own, `br-bmc`, on the lab's network"
                    }
                    "channel" => "its LAN channel is 1",
                    "lancontrol" | "chassiscontrol" | "startcmd" => {
                        "the node switches its power itself, without scripts"
                    }
                    "kill_wait" => "power off is at once",
                    "historyfru" => "the event log lives as long as the BMC",
                    "config_file" | "emu_file" => "sensors and inventory come from the profile",
                    _ => "nsplay has nothing like it",
                };
                self.bmc.none(self.source, &path, value, why);
            }
        }
    }

    /// Says what InfraSIM would have chosen where nsplay would choose otherwise.
    fn defaults(&mut self, root: &Node) {
        let said = |path: &[&str]| {
            let mut at = Some(root);
            for key in path {
                at = at.and_then(|node| node.get(key)).map(|node| &**node);
            }
            at.is_some()
        };
        let why = "InfraSIM's default";
        if !said(&["compute", "cpu", "quantities"]) {
            self.node.set("cpus", "2", why);
        }
        if !said(&["compute", "networks"]) {
            self.node.set("nic", "\"e1000\"", why);
        }
        if !self.node.has("boot") {
            self.node
                .set("boot", "[\"network\", \"disk\"]", format!("{why}, ncd"));
        }
        if !self.display {
            self.node.set("vnc", "false", "no vnc_display is given");
        }
    }
}
