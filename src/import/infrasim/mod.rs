//! InfraSIM's description of a node: what it says of the node as a whole.
//!
//! `compute` reads its hardware, of which `disks` and `nics` are the larger parts, `bmc` its BMC.

mod bmc;
mod compute;
mod disks;
mod nics;

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::draft::{Draft, Source, Table, literal, string};
use super::yaml::{self, Node};
use super::{Error, Import, header, name};
use bmc::publish;
use compute::image;

pub(super) use bmc::{PORT, port};

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

    fn path(&mut self, key: &str, value: &Node) {
        match value.text() {
            Some(path) => {
                let path = super::compose::joined(self.import.folder, path);
                self.node.set(key, literal(&path), "");
            }
            None => self.none(key, value, "no path"),
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
