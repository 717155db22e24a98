//! From TOML to [`LabFile`]: which tables and keys there are, and of what type.
//!
//! What is left out stays out; the defaults are [`check`](super::check)'s, as
//! some depend on others.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::de::DeTable;

use super::Origin;
use super::report::{Notes, shown};
use super::scenario::{ACT, scenario};
use super::walk::{Read, Table};
use super::{profile, value};
use crate::lab::{
    Accel, Act, BootDevice, Firmware, HttpServer, Mac, Name, NicModel, Privilege, Profile, Root,
};

/// Every table of the language with its keys; `NAME` stands for a node's name.
pub const KEYS: &[(&str, &[&str])] = &[
    ("", LAB),
    ("network", NETWORK),
    ("dhcp", DHCP),
    ("web", WEB),
    ("ssh", SSH),
    ("node.NAME", NODE),
    ("node.NAME.bmc", BMC),
    ("node.NAME.bmc.users.NAME", USER),
    ("node.NAME.bmc.scenario", ACT),
];

const LAB: &[&str] = &["name", "network", "dhcp", "web", "ssh", "node"];
const NETWORK: &[&str] = &["subnet", "gateway"];
const DHCP: &[&str] = &["address", "pool", "lease", "tftproot", "boot"];
const WEB: &[&str] = &["address", "root", "server", "publish"];
const SSH: &[&str] = &["address", "publish"];
const NODE: &[&str] = &[
    "address",
    "cpus",
    "memory",
    "disk",
    "nic",
    "mac",
    "firmware",
    "boot",
    "fast_boot",
    "accel",
    "power",
    "soft_timeout",
    "vnc",
    "profile",
    "manufacturer",
    "product",
    "part_number",
    "serial",
    "asset_tag",
    "uuid",
    "bmc",
];
const BMC: &[&str] = &["user", "password", "users", "publish", "scenario"];
const USER: &[&str] = &["password", "privilege"];

/// Memory and disk sizes in MiB. The upper ends only stop slips of a unit.
const MEMORY: (u64, u64) = (64, 1 << 20);
const DISK: (u64, u64) = (1, 16 << 20);

/// What a lab file says, each value well-formed by itself.
pub(super) struct LabFile {
    pub(super) name: Read<Name>,
    pub(super) subnet: Read<Ipv4Net>,
    pub(super) gateway: Read<Ipv4Addr>,
    pub(super) dhcp: Service<DhcpFile>,
    pub(super) web: Service<WebFile>,
    pub(super) ssh: Service<SshFile>,
    pub(super) nodes: NodesFile,
}

/// A service's table, or the byte of the `false` in its place.
pub(super) enum Service<T> {
    On(T),
    Off(usize),
}

pub(super) struct DhcpFile {
    pub(super) address: Read<Ipv4Addr>,
    pub(super) pool: Read<(Ipv4Addr, Ipv4Addr)>,
    pub(super) lease: Read<Duration>,
    pub(super) tftproot: Read<Root>,
    pub(super) boot: Read<String>,
}

pub(super) struct WebFile {
    pub(super) address: Read<Ipv4Addr>,
    pub(super) root: Read<Root>,
    pub(super) server: Read<HttpServer>,
    pub(super) publish: Read<Option<SocketAddr>>,
}

pub(super) struct SshFile {
    pub(super) address: Read<Ipv4Addr>,
    pub(super) publish: Read<Option<SocketAddr>>,
}

/// The nodes that a file names, in the order of the file.
pub(super) enum NodesFile {
    /// `node = false`.
    None,
    /// No table of a node.
    Default,
    /// Tables of nodes, or what was refused in their place.
    Given(Vec<NodeFile>),
}

pub(super) struct NodeFile {
    pub(super) name: Name,
    /// The byte of its name.
    pub(super) at: usize,
    pub(super) address: Read<Ipv4Addr>,
    pub(super) cpus: Read<u8>,
    pub(super) memory_mib: Read<u32>,
    pub(super) disk_mib: Read<Option<u64>>,
    pub(super) nic: Read<NicModel>,
    pub(super) mac: Read<Mac>,
    pub(super) firmware: Read<Firmware>,
    pub(super) boot: Read<Vec<(BootDevice, usize)>>,
    pub(super) fast_boot: Read<bool>,
    pub(super) accel: Read<Accel>,
    pub(super) power_on: Read<bool>,
    pub(super) soft_timeout: Read<Option<Duration>>,
    pub(super) vnc: Read<Option<SocketAddr>>,
    pub(super) profile: Profile,
    pub(super) manufacturer: Read<String>,
    pub(super) product: Read<String>,
    pub(super) part_number: Read<String>,
    pub(super) serial: Read<String>,
    pub(super) asset_tag: Read<String>,
    pub(super) uuid: Read<String>,
    pub(super) user: Read<String>,
    pub(super) password: Read<String>,
    pub(super) users: Vec<UserFile>,
    pub(super) scenario: Vec<Act>,
    pub(super) publish: Read<Option<SocketAddr>>,
}

/// A user of a BMC beside its administrator.
pub(super) struct UserFile {
    pub(super) name: String,
    /// The byte of its name.
    pub(super) at: usize,
    pub(super) password: Read<String>,
    pub(super) privilege: Read<Privilege>,
}

/// Notes what is no TOML, one problem a line: what follows in the line is
/// mostly the parser finding its way back.
pub(super) fn syntax(notes: &Notes, text: &str, errors: &[toml::de::Error]) {
    let mut lines = BTreeSet::new();
    // Some garbage has an error in each byte, and every place costs a reading of the file.
    for error in errors.iter().take(200) {
        let span = error.span().unwrap_or(0..0);
        if !lines.insert(notes.place(span.start).line) {
            continue;
        }
        let found = text.get(span.clone()).unwrap_or_default().trim();
        let (message, hint) = reworded(error.message(), found);
        notes.add(Some(span.start), format!("not TOML: {message}"), hint);
    }
}

/// What the parser says (toml 1.2) about `found`, in words for people who write no parsers.
fn reworded(message: &str, found: &str) -> (String, Option<String>) {
    let shown = shown(found);
    if message.contains("recurs") {
        return ("nested too deeply".to_owned(), None);
    }
    match (message, found) {
        ("string values must be quoted, expected literal string", "") => {
            ("a value is missing".to_owned(), None)
        }
        ("string values must be quoted, expected literal string", _) => {
            let hint = format!("write \"{shown}\"");
            (format!("`{shown}` is a string without quotes"), Some(hint))
        }
        ("duplicate key", _) => (format!("`{shown}` is there twice"), None),
        (message, "") => (message.to_owned(), None),
        (message, _) => (format!("{message}, found `{shown}`"), None),
    }
}

/// Takes the file's table apart.
pub(super) fn spell<'a>(file: &'a DeTable<'a>, origin: &Origin, notes: &'a Notes<'a>) -> LabFile {
    let lab = Table::open(notes, "", Some(file), LAB);
    let network = match lab.read_table("network", false) {
        Read::Given(entries, _) => Table::open(notes, "network", entries, NETWORK),
        Read::Absent | Read::Bad => Table::open(notes, "network", None, NETWORK),
    };
    LabFile {
        name: lab.read("name", value::name),
        subnet: network.read("subnet", value::subnet),
        gateway: network.read("gateway", value::address),
        dhcp: service(&lab, notes, "dhcp", DHCP, |table| DhcpFile {
            address: table.read("address", value::address),
            pool: table.read("pool", value::pool),
            lease: table.read("lease", value::lease),
            tftproot: table.read("tftproot", |v| value::root(v, origin)),
            boot: table.read("boot", value::boot_target),
        }),
        web: service(&lab, notes, "web", WEB, |table| WebFile {
            address: table.read("address", value::address),
            root: table.read("root", |v| value::root(v, origin)),
            server: table.read("server", |v| value::choice(v, &HttpServer::ALL)),
            publish: table.read("publish", |v| value::publish(v, "127.0.0.1:8080")),
        }),
        ssh: service(&lab, notes, "ssh", SSH, |table| SshFile {
            address: table.read("address", value::address),
            publish: table.read("publish", |v| value::publish(v, "127.0.0.1:2222")),
        }),
        nodes: match lab.read_table("node", true) {
            Read::Given(Some(entries), _) => nodes(entries, origin, notes),
            Read::Given(None, _) => NodesFile::None,
            Read::Absent => NodesFile::Default,
            Read::Bad => NodesFile::Given(Vec::new()),
        },
    }
}

fn service<T>(
    lab: &Table,
    notes: &Notes,
    name: &str,
    keys: &'static [&'static str],
    read: impl FnOnce(&Table) -> T,
) -> Service<T> {
    let scope = format!("service `{name}`");
    let entries = match lab.read_table(name, true) {
        Read::Given(None, at) => return Service::Off(at),
        Read::Given(entries, _) => entries,
        Read::Absent | Read::Bad => None,
    };
    Service::On(read(&Table::open(notes, &scope, entries, keys)))
}

fn nodes(entries: &DeTable, origin: &Origin, notes: &Notes) -> NodesFile {
    if entries.is_empty() {
        return NodesFile::Default;
    }
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    let mut nodes = Vec::new();
    for (key, value) in in_order {
        let at = key.span().start;
        let name = key.get_ref().as_ref();
        let shown = shown(name);
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("node `{shown}`: expected a table");
            let hint = format!("write [node.{shown}] and its keys below it");
            notes.add(Some(at), message, Some(hint));
            continue;
        };
        match Name::new(name) {
            Ok(name) => nodes.push(node(name, at, table, origin, notes)),
            Err(_) => {
                let message = format!("node `{shown}`: this is no name for a node");
                let hint = "use 1 to 32 lower-case letters, digits and hyphens, a letter or digit first, such as [node.node1]";
                notes.add(Some(at), message, Some(hint.to_owned()));
            }
        }
    }
    NodesFile::Given(nodes)
}

fn node(name: Name, at: usize, entries: &DeTable, origin: &Origin, notes: &Notes) -> NodeFile {
    let scope = format!("node `{name}`");
    let table = Table::open(notes, &scope, Some(entries), NODE);
    let bmc = match table.read_table("bmc", false) {
        Read::Given(entries, _) => entries,
        Read::Absent | Read::Bad => None,
    };
    let bmc = Table::open(notes, &format!("BMC of {scope}"), bmc, BMC);
    let profile = profile::of_node(&table, origin, notes);
    NodeFile {
        at,
        address: table.read("address", value::address),
        cpus: table.read("cpus", value::cpus),
        memory_mib: table.read("memory", |v| {
            let mib = value::size(v, "a size such as \"1GiB\"", MEMORY)?;
            Ok(u32::try_from(mib).expect("MEMORY ends below 2^32"))
        }),
        disk_mib: table.read("disk", |v| match v.as_bool() {
            Some(false) => Ok(None),
            _ => value::size(v, "a size such as \"8GiB\", or false for no disk", DISK).map(Some),
        }),
        nic: table.read("nic", |v| value::choice(v, &NicModel::ALL)),
        mac: table.read("mac", value::mac),
        firmware: table.read("firmware", |v| value::choice(v, &Firmware::ALL)),
        boot: table.read_list("boot", "[\"network\", \"disk\"]", |v| {
            value::choice(v, &BootDevice::ALL)
        }),
        fast_boot: table.read("fast_boot", value::boolean),
        accel: table.read("accel", |v| value::choice(v, &Accel::ALL)),
        power_on: table.read("power", value::power),
        soft_timeout: table.read("soft_timeout", value::patience),
        vnc: table.read("vnc", |v| value::publish(v, "127.0.0.1:5901")),
        scenario: scenario(&bmc, &scope, &profile, notes),
        profile,
        manufacturer: table.read("manufacturer", value::field),
        product: table.read("product", value::field),
        part_number: table.read("part_number", value::field),
        serial: table.read("serial", value::field),
        asset_tag: table.read("asset_tag", value::field),
        uuid: table.read("uuid", value::uuid),
        user: bmc.read("user", value::credential),
        password: bmc.read("password", value::credential),
        users: match bmc.read_table("users", false) {
            Read::Given(Some(entries), _) => users(&scope, entries, notes),
            Read::Given(None, _) | Read::Absent | Read::Bad => Vec::new(),
        },
        publish: bmc.read("publish", |v| value::publish(v, "127.0.0.1:623")),
        name,
    }
}

/// The users of a BMC, in the order of the file.
fn users(node: &str, entries: &DeTable, notes: &Notes) -> Vec<UserFile> {
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    let mut users = Vec::new();
    for (key, value) in in_order {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        let scope = format!("BMC of {node}: user `{}`", shown(name));
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{scope}: expected a table");
            let hint = "write operator = { password = \"secret\", privilege = \"operator\" }";
            notes.add(Some(at), message, Some(hint.to_owned()));
            continue;
        };
        if let Err(wrong) = value::credential_text(name) {
            let message = format!("{scope}: expected a name of {}", wrong.expected);
            notes.add(Some(at), message, wrong.hint);
        }
        let table = Table::open(notes, &scope, Some(table), USER);
        users.push(UserFile {
            name: name.to_owned(),
            at,
            password: table.read("password", value::credential),
            privilege: table.read("privilege", |v| value::choice(v, &Privilege::ALL)),
        });
    }
    users
}

impl NodeFile {
    /// A node of which the file says nothing.
    pub(super) fn absent(name: Name, origin: &Origin, notes: &Notes) -> Self {
        node(name, 0, &DeTable::new(), origin, notes)
    }
}
