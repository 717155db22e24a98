//! From TOML to [`LabFile`]: which tables and keys there are, and of what type.
//!
//! What is left out stays out; the defaults are [`check`](super::check)'s, as
//! some depend on others.

use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::Origin;
use super::after;
use super::fetch::{self, FETCH, FetchFile};
use super::fleet::{self, MOST_NODES, Seat};
use super::hardware::{self, DISK, HardwareFile};
use super::limits::{self, LIMITS, LimitsFile};
use super::merge::{bytes, merge};
use super::netboot::{self, NetbootFile};
use super::network::{self, MORE, MORE_DHCP, NETWORK, NetworkFile};
use super::nic::{self, NIC, NicFile};
use super::own::{self, OWN, OwnFile};
use super::report::{Notes, shown};
use super::scenario::{ACT, scenario};
use super::walk::{Read, Table};
use super::{profile, value};
use crate::lab::{
    Accel, Act, Awaited, BootDevice, Firmware, HttpServer, Name, Privilege, Profile, Root,
};

/// Every table of the language with its keys; `NAME` stands for a name of the user's.
pub const KEYS: &[(&str, &[&str])] = &[
    ("", LAB),
    ("limits", LIMITS),
    ("network", NETWORK),
    ("network.NAME", MORE),
    ("network.NAME.dhcp", MORE_DHCP),
    ("dhcp", DHCP),
    ("web", WEB),
    ("ssh", SSH),
    ("service.NAME", OWN),
    ("fetch.NAME", FETCH),
    ("node.NAME", NODE),
    ("node.NAME.nics", NIC),
    ("node.NAME.disks", DISK),
    ("node.NAME.bmc", BMC),
    ("node.NAME.bmc.users.NAME", USER),
    ("node.NAME.bmc.scenario", ACT),
];

const LAB: &[&str] = &[
    "name", "limits", "network", "dhcp", "web", "ssh", "service", "fetch", "defaults", "node",
    "include",
];
const DHCP: &[&str] = &[
    "address", "pool", "lease", "tftproot", "boot", "dns", "domain", "limits",
];
const WEB: &[&str] = &["network", "address", "root", "server", "publish", "limits"];
const SSH: &[&str] = &["network", "address", "publish", "limits"];
/// The first two make many nodes of one table, so a default of them would say nothing.
const NODE: &[&str] = &[
    "count",
    "name",
    "network",
    "address",
    "cpus",
    "cpu",
    "memory",
    "disk",
    "disks",
    "iso",
    "nic",
    "mac",
    "ip",
    "nics",
    "firmware",
    "secure_boot",
    "uefi_vars",
    "tpm",
    "boot",
    "kernel",
    "initrd",
    "cmdline",
    "network_boot",
    "boot_file",
    "ipxe",
    "fast_boot",
    "accel",
    "power",
    "after",
    "soft_timeout",
    "vnc",
    "qemu_args",
    "profile",
    "manufacturer",
    "product",
    "part_number",
    "serial",
    "asset_tag",
    "uuid",
    "limits",
    "bmc",
];
pub(super) const DEFAULTS: &[&str] = NODE.split_at(2).1;
const BMC: &[&str] = &["user", "password", "users", "publish", "scenario"];
const USER: &[&str] = &["password", "privilege"];

/// Memory and disk sizes in MiB. The upper ends only stop slips of a unit.
const MEMORY: (u64, u64) = (64, 1 << 20);
pub(super) const DISK_SIZE: (u64, u64) = (1, 16 << 20);

/// What a lab file says, each value well-formed by itself.
pub(super) struct LabFile {
    pub(super) name: Read<Name>,
    /// The limits of the lab as a whole.
    pub(super) limits: LimitsFile,
    /// The main network, then the others in the order of the file.
    pub(super) networks: Vec<NetworkFile>,
    pub(super) dhcp: Service<DhcpFile>,
    pub(super) web: Service<WebFile>,
    pub(super) ssh: Service<SshFile>,
    /// The user's own services, in the order of the file.
    pub(super) own: Vec<OwnFile>,
    /// What is to be downloaded, in the order of the file.
    pub(super) fetch: Vec<FetchFile>,
    /// The nodes, in the order of the file; of more than a lab can have, not all.
    pub(super) nodes: Vec<NodeFile>,
    /// How many nodes the file makes.
    pub(super) node_count: usize,
}

/// A service's table, or the byte of the `false` in its place.
pub(super) enum Service<T> {
    On(T),
    Off(usize),
}

impl<T> Service<T> {
    /// Whether the file takes it away.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Off(_))
    }
}

pub(super) struct DhcpFile {
    pub(super) address: Read<Ipv4Addr>,
    pub(super) pool: Read<(Ipv4Addr, Ipv4Addr)>,
    pub(super) lease: Read<Duration>,
    pub(super) tftproot: Read<Root>,
    pub(super) boot: Read<String>,
    pub(super) dns: Read<bool>,
    pub(super) domain: Read<String>,
    pub(super) limits: LimitsFile,
}

pub(super) struct WebFile {
    pub(super) network: Read<Name>,
    pub(super) address: Read<Ipv4Addr>,
    pub(super) root: Read<Root>,
    pub(super) server: Read<HttpServer>,
    pub(super) publish: Read<Option<SocketAddr>>,
    pub(super) limits: LimitsFile,
}

pub(super) struct SshFile {
    pub(super) network: Read<Name>,
    pub(super) address: Read<Ipv4Addr>,
    pub(super) publish: Read<Option<SocketAddr>>,
    pub(super) limits: LimitsFile,
}

pub(super) struct NodeFile {
    pub(super) name: Name,
    /// The byte of its name.
    pub(super) at: usize,
    pub(super) address: Read<Ipv4Addr>,
    pub(super) cpus: Read<u8>,
    pub(super) memory_mib: Read<u32>,
    /// Its network cards, the first of which its own keys describe.
    pub(super) nics: Vec<NicFile>,
    pub(super) hardware: HardwareFile,
    pub(super) firmware: Read<Firmware>,
    pub(super) boot: Read<Vec<(BootDevice, usize)>>,
    pub(super) netboot: NetbootFile,
    pub(super) fast_boot: Read<bool>,
    pub(super) accel: Read<Accel>,
    pub(super) power_on: Read<bool>,
    pub(super) after: Read<Vec<(Awaited, usize)>>,
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
    pub(super) limits: LimitsFile,
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
pub(super) fn syntax(notes: &Notes, text: &str, base: usize, errors: &[toml::de::Error]) {
    let mut lines = BTreeSet::new();
    // Some garbage has an error in each byte, and every place costs a reading of the file.
    for error in errors.iter().take(200) {
        let span = error.span().unwrap_or(0..0);
        let at = base + span.start;
        if !lines.insert(notes.place(at).line) {
            continue;
        }
        let found = text.get(span.clone()).unwrap_or_default().trim();
        let (message, hint) = reworded(error.message(), found);
        notes.add(Some(at), format!("not TOML: {message}"), hint);
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

/// Takes the table of all files apart; `folders` are theirs.
pub(super) fn spell<'a>(
    file: &'a DeTable<'a>,
    origin: &Origin,
    folders: &[&Path],
    notes: &'a Notes<'a>,
) -> LabFile {
    let root = |value: &DeValue, at| value::root(value, folders[notes.file_of(at)]);
    let lab = Table::open(notes, "", Some(file), LAB);
    let (nodes, node_count) = nodes(&lab, origin, folders, notes);
    LabFile {
        name: lab.read("name", value::name),
        limits: limits::spell(&lab, "limits", notes),
        networks: network::spell(&lab, notes),
        dhcp: service(&lab, notes, "dhcp", DHCP, |table| DhcpFile {
            address: table.read("address", value::address),
            pool: table.read("pool", value::pool),
            lease: table.read("lease", value::lease),
            tftproot: table.read_at("tftproot", root),
            boot: table.read("boot", value::boot_target),
            dns: table.read("dns", value::boolean),
            domain: table.read("domain", value::domain),
            limits: limits::spell(table, "limits of service `dhcp`", notes),
        }),
        web: service(&lab, notes, "web", WEB, |table| WebFile {
            network: table.read("network", value::name),
            address: table.read("address", value::address),
            root: table.read_at("root", root),
            server: table.read("server", |v| value::choice(v, &HttpServer::ALL)),
            publish: table.read("publish", |v| value::publish(v, "127.0.0.1:8080")),
            limits: limits::spell(table, "limits of service `web`", notes),
        }),
        ssh: service(&lab, notes, "ssh", SSH, |table| SshFile {
            network: table.read("network", value::name),
            address: table.read("address", value::address),
            publish: table.read("publish", |v| value::publish(v, "127.0.0.1:2222")),
            limits: limits::spell(table, "limits of service `ssh`", notes),
        }),
        own: own::spell(&lab, folders, notes),
        fetch: fetch::spell(&lab, notes),
        nodes,
        node_count,
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

/// The nodes that the file makes, and how many they are.
fn nodes(lab: &Table, origin: &Origin, folders: &[&Path], notes: &Notes) -> (Vec<NodeFile>, usize) {
    let defaults = match lab.read_table("defaults", false) {
        Read::Given(Some(entries), _) => entries.clone(),
        Read::Given(None, _) | Read::Absent | Read::Bad => DeTable::new(),
    };
    let inherited: HashSet<usize> = bytes(&defaults).into_iter().collect();
    notes.share(inherited.iter().copied());
    let seat = |name: Name, at, place| Seat {
        scope: format!("node `{name}`"),
        name,
        at,
        number: None,
        place,
        inherited: &inherited,
    };
    let first = Seat {
        scope: "defaults".to_owned(),
        ..seat(known("node1"), 0, 0)
    };
    node(&first, &defaults, DEFAULTS, (origin, folders), notes);
    let entries = match lab.read_table("node", true) {
        Read::Given(Some(entries), _) if !entries.is_empty() => entries,
        Read::Given(Some(_), _) | Read::Absent => {
            let node1 = seat(known("node1"), 0, 0);
            return (
                vec![node(&node1, &defaults, NODE, (origin, folders), notes)],
                1,
            );
        }
        Read::Given(None, _) | Read::Bad => return (Vec::new(), 0),
    };
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    let (mut nodes, mut total) = (Vec::new(), 0);
    for (key, value) in in_order {
        let at = key.span().start;
        let name = key.get_ref().as_ref();
        let Some(table) = value.get_ref().as_table() else {
            let shown = shown(name);
            let message = format!("node `{shown}`: expected a table");
            let hint = format!("write [node.{shown}] and its keys below it");
            notes.add(Some(at), message, Some(hint));
            continue;
        };
        let group = fleet::group(name, at, table, notes);
        let count = group.names.len();
        total += count;
        let mut entries = DeTable::new();
        // Beyond the limit each table is still read once, by itself: a file has room for 60 000.
        let room = (MOST_NODES + 1).saturating_sub(nodes.len());
        if room > 0 {
            entries = defaults.clone();
        }
        merge(&mut entries, table.clone());
        if group.counted {
            notes.share(bytes(table));
        }
        for (n, name) in group.names.into_iter().take(room.max(1)).enumerate() {
            let seat = Seat {
                number: group.counted.then_some((n + 1, count)),
                ..seat(name, at, nodes.len())
            };
            nodes.push(node(&seat, &entries, NODE, (origin, folders), notes));
        }
    }
    (nodes, total)
}

fn known(name: &str) -> Name {
    Name::new(name).expect("the names in this file are names")
}

fn node(
    seat: &Seat,
    entries: &DeTable,
    keys: &'static [&'static str],
    (origin, folders): (&Origin, &[&Path]),
    notes: &Notes,
) -> NodeFile {
    let scope = &seat.scope;
    let table = Table::open(notes, scope, Some(entries), keys);
    let bmc = match table.read_table("bmc", false) {
        Read::Given(entries, _) => entries,
        Read::Absent | Read::Bad => None,
    };
    let bmc = Table::open(notes, &format!("BMC of {scope}"), bmc, BMC);
    let profile = profile::of_node(&table, origin, notes);
    NodeFile {
        at: seat.at,
        address: table.read_at("address", |v, at| seat.address(v, at)),
        cpus: table.read("cpus", value::cpus),
        memory_mib: table.read("memory", |v| {
            let mib = value::size(v, "a size such as \"1GiB\"", MEMORY)?;
            Ok(u32::try_from(mib).expect("MEMORY ends below 2^32"))
        }),
        hardware: hardware::spell(&table, scope, folders, |at| seat.nearness(at, notes), notes),
        nics: nic::spell(&table, seat, notes),
        firmware: table.read("firmware", |v| value::choice(v, &Firmware::ALL)),
        boot: table.read_list("boot", "[\"network\", \"disk\"]", value::boot_device),
        netboot: netboot::spell(&table),
        fast_boot: table.read("fast_boot", value::boolean),
        accel: table.read("accel", |v| value::choice(v, &Accel::ALL)),
        power_on: table.read("power", value::power),
        after: after::read(&table),
        soft_timeout: table.read("soft_timeout", value::patience),
        vnc: table.read_at("vnc", |v, at| seat.publish(v, at, "127.0.0.1:5901")),
        scenario: scenario(&bmc, scope, (keys == NODE).then_some(&profile), notes),
        profile,
        manufacturer: table.read("manufacturer", value::field),
        product: table.read("product", value::field),
        part_number: table.read("part_number", value::field),
        serial: table.read_at("serial", |v, at| seat.text(v, at, value::field)),
        asset_tag: table.read_at("asset_tag", |v, at| seat.text(v, at, value::field)),
        uuid: table.read_at("uuid", |v, at| seat.text(v, at, value::uuid)),
        user: bmc.read("user", value::credential),
        password: bmc.read("password", value::credential),
        users: match bmc.read_table("users", false) {
            Read::Given(Some(entries), _) => users(scope, entries, notes),
            Read::Given(None, _) | Read::Absent | Read::Bad => Vec::new(),
        },
        limits: limits::spell(&table, &format!("limits of {scope}"), notes),
        publish: bmc.read_at("publish", |v, at| seat.publish(v, at, "127.0.0.1:623")),
        name: seat.name.clone(),
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
