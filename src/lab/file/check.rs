//! From [`LabFile`] to [`Lab`]: the defaults, and what one value says about another.
//!
//! Always returns a lab; it is worth something only if nothing was noted.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Origin;
use super::addresses::Claimant;
use super::after;
use super::fetch;
use super::fleet::MOST_NODES;
use super::limits;
use super::netboot;
use super::network::Networks;
use super::nic;
use super::own::{self, OwnFile};
use super::ports::{Ports, Protocol};
use super::report::Notes;
use super::spell::{DhcpFile, LabFile, NodeFile, Service, SshFile, UserFile, WebFile};
use super::value::is_url;
use super::walk::Read;
use crate::lab::network::MAIN;
use crate::lab::{
    Accel, Bmc, BootDevice, Dhcp, Firmware, HttpServer, Identity, Lab, LinkName, Name, Nic, Node,
    Privilege, Root, Ssh, User, Web, profile,
};

/// ipmi_sim 2.0.33 has 63 users, of whom the first is nobody and the second the administrator.
const MOST_USERS: usize = 61;

/// The memory of a node that does not say, in MiB.
pub(super) const MEMORY_MIB: u32 = 1 << 10;

/// Names that no node and no service of the user's can have, with who has them.
const TAKEN: &[(&str, &str)] = &[
    ("dhcp", "a service has this name"),
    ("web", "a service has this name"),
    ("ssh", "a service has this name"),
    ("fabric", "this is the lab's own namespace"),
    ("lab0", "this is the lab's bridge"),
    ("lo", "this is the loopback link"),
    // A link called so would clash with net.ipv4.conf.all and .default.
    ("all", "the kernel gives no link this name"),
    ("default", "the kernel gives no link this name"),
];

pub(super) fn check(file: LabFile, origin: &Origin, notes: &Notes) -> Lab {
    boot_needs_web(&file, notes);
    let limits = limits::check(&file, notes);
    netboot::check_lab(&file, notes);
    fetch::check_lab(&file, notes);
    let name = file.name.or_else(|| known("default")).value;
    let name = origin.name.clone().unwrap_or(name);
    let mut ports = Ports::new(notes);

    let dhcp = on(file.dhcp);
    let model = served(dhcp.as_ref(), origin);
    let (mut networks, more_dhcp) = Networks::of(file.networks, &model, dhcp.is_some(), notes);
    let dhcp = dhcp.map(|file| Dhcp {
        address: networks.main().service("service `dhcp`", file.address, 2),
        pool: networks.main().pool(file.pool),
        ..model
    });
    let web = on(file.web).map(|file| web(file, &mut networks, &mut ports, origin));
    let ssh = on(file.ssh).map(|file| ssh(file, &mut networks, &mut ports));
    let mut files = file.nodes;
    limit_nodes(&mut files, file.node_count, notes);
    let mut own_files = file.own;
    check_names(&files, &own_files, &more_dhcp, notes);
    let there = [
        ("dhcp", dhcp.is_some()),
        ("web", web.is_some()),
        ("ssh", ssh.is_some()),
    ];
    let there = there
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name));
    let there = there.chain(more_dhcp.iter().map(|dhcp| dhcp.name.as_str()));
    after::check(&own_files, &files, &there.collect::<Vec<_>>(), notes);
    nic::check_macs(&files, &name, notes);
    check_identities(&files, notes);
    let mut claims = claims(&mut files, &networks);
    let cards: Vec<_> = files
        .iter_mut()
        .map(|file| {
            let model = netboot::usual_nic(file);
            let cards = std::mem::take(&mut file.nics);
            nic::check(cards, model, &file.name, &name, &mut networks)
        })
        .collect();
    // After the nodes, so that a service changes no node's address.
    claims.extend(own::claimants(&mut own_files, &networks));
    let own_networks: Vec<_> = claims[files.len()..]
        .iter()
        .map(|(place, _)| networks.name(*place))
        .collect();
    let mut given = networks.hand_out(claims);
    let own_addresses = given.split_off(files.len());
    let seats = given.into_iter().zip(cards).collect();
    let nodes = nodes(files, seats, &name, &mut ports, notes);
    let own_seats = own_networks.into_iter().zip(own_addresses).collect();
    let own = own::check(own_files, own_seats, &mut ports, notes);

    let (network, more_networks) = networks.check();
    ports.check();
    let mut more_dhcp = more_dhcp;
    more_dhcp.sort_by(|a, b| a.network.cmp(&b.network));
    Lab {
        name,
        network,
        more_networks,
        dhcp,
        more_dhcp,
        web,
        ssh,
        own,
        fetch: fetch::check(file.fetch, notes),
        nodes,
        limits,
    }
}

fn on<T>(service: Service<T>) -> Option<T> {
    match service {
        Service::On(file) => Some(file),
        Service::Off(_) => None,
    }
}

/// What the DHCP servers of all networks say, which stands in `[dhcp]` if that is there; addresses
/// are their own.
fn served(file: Option<&DhcpFile>, origin: &Origin) -> Dhcp {
    let or = |read: Option<&Read<Root>>| read.cloned().unwrap_or(Read::Absent);
    let boot = file.map_or(Read::Absent, |file| file.boot.clone());
    let lease = file.map_or(Read::Absent, |file| file.lease.clone());
    let dns = file.map_or(Read::Absent, |file| file.dns.clone());
    let dns = dns.or(false).value;
    let domain = file.map_or(Read::Absent, |file| file.domain.clone());
    let domain = match domain {
        Read::Given(domain, _) => Some(domain),
        Read::Absent | Read::Bad => dns.then(|| "lab.example".to_owned()),
    };
    let nowhere = Ipv4Addr::UNSPECIFIED;
    Dhcp {
        name: known("dhcp"),
        network: known(MAIN),
        address: nowhere,
        pool: (nowhere, nowhere),
        lease: lease.or(Duration::from_secs(3600)).value,
        tftproot: root(
            or(file.map(|file| &file.tftproot)),
            origin.tftproot.as_ref(),
        ),
        boot: boot.or_else(default_boot).value,
        dns,
        domain,
    }
}

fn web(file: WebFile, networks: &mut Networks, ports: &mut Ports, origin: &Origin) -> Web {
    let who = "service `web`";
    let place = networks.place(who, &file.network);
    Web {
        name: known("web"),
        network: networks.name(place),
        address: networks.service(who, place, file.address, 3),
        root: root(file.root, origin.webroot.as_ref()),
        server: file.server.or(HttpServer::Auto).value,
        publish: ports.take(who, "publish", Protocol::Tcp, file.publish.or(None)),
    }
}

fn ssh(file: SshFile, networks: &mut Networks, ports: &mut Ports) -> Ssh {
    let who = "service `ssh`";
    let place = networks.place(who, &file.network);
    let publish = file.publish.or_else(|| Some(local(2222)));
    Ssh {
        name: known("ssh"),
        network: networks.name(place),
        address: networks.service(who, place, file.address, 4),
        publish: ports.take(who, "publish", Protocol::Tcp, publish),
    }
}

fn root(read: Read<Root>, beside: Option<&std::path::PathBuf>) -> Root {
    let automatic = || beside.map_or(Root::Embedded, |dir| Root::Dir(dir.clone()));
    read.or_else(automatic).value
}

/// The networks that BMCs are on, and who claims which address there.
fn claims(files: &mut [NodeFile], networks: &Networks) -> Vec<(Option<usize>, Claimant)> {
    let claim = |file: &mut NodeFile| {
        let who = format!("node `{}`", file.name);
        // One that is not there is told with the node's network card.
        let card = file.nics.first().map(|nic| &nic.network);
        let place = card.and_then(|network| networks.find(network));
        let claimant = Claimant {
            who,
            at: file.at,
            address: std::mem::replace(&mut file.address, Read::Absent),
            is_bmc: true,
        };
        (place, claimant)
    };
    files.iter_mut().map(claim).collect()
}

fn nodes(
    files: Vec<NodeFile>,
    given: Vec<(Ipv4Addr, (Nic, Vec<Nic>))>,
    lab: &Name,
    ports: &mut Ports,
    notes: &Notes,
) -> Vec<Node> {
    let mut nodes: Vec<_> = files
        .into_iter()
        .zip(given)
        .enumerate()
        .map(|(n, (file, seat))| node(file, n == 0, seat, lab, ports, notes))
        .collect();
    nodes.sort_by_cached_key(|node| in_order(&node.name));
    nodes
}

/// What names are sorted by: their words and their numbers, so that `worker2` is before `worker10`.
fn in_order(name: &Name) -> (Vec<(String, u128)>, Name) {
    let mut parts = Vec::new();
    let mut rest = name.as_str();
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        // 32 digits, the most that a name has, are a number that 128 bits hold.
        parts.push((word.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    (parts, name.clone())
}

fn node(
    file: NodeFile,
    is_first: bool,
    (address, (nic, more_nics)): (Ipv4Addr, (Nic, Vec<Nic>)),
    lab: &Name,
    ports: &mut Ports,
    notes: &Notes,
) -> Node {
    let who = format!("node `{}`", file.name);
    let bmc = format!("BMC of {who}");
    let first = |port| is_first.then(|| local(port));
    let user = file.user.or_else(|| "admin".to_owned());
    let users = users(file.users, &user.value, &bmc, notes);
    let vnc = file.vnc.or_else(|| first(5901));
    let publish = file.publish.or_else(|| first(623));
    let firmware = file.firmware.or(Firmware::Bios).value;
    let hardware = file.hardware.check(firmware, &who, notes);
    let bootable = Bootable {
        nics: 1 + more_nics.len(),
        disks: hardware.disks.len(),
    };
    let profile = file.profile;
    let netboot = netboot::check(file.netboot, firmware, &who, notes);
    Node {
        address,
        cpus: file.cpus.or(1).value,
        memory_mib: file.memory_mib.or(MEMORY_MIB).value,
        nic,
        more_nics,
        cpu: hardware.cpu,
        disks: hardware.disks,
        iso: hardware.iso,
        kernel: hardware.kernel,
        secure_boot: hardware.secure_boot,
        tpm: hardware.tpm,
        uefi_vars: hardware.uefi_vars,
        qemu_args: hardware.qemu_args,
        firmware,
        boot: boot(file.boot, &bootable, &who, notes),
        netboot,
        fast_boot: file.fast_boot.or(true).value,
        accel: file.accel.or(Accel::Auto).value,
        power_on: file.power_on.or(true).value,
        after: own::names(file.after),
        soft_timeout: file.soft_timeout.or(None).value,
        bmc: Bmc {
            user: user.value,
            password: file.password.or_else(|| "admin".to_owned()).value,
            users,
            scenario: file.scenario,
            publish: ports.take(&bmc, "publish", Protocol::Udp, publish),
        },
        vnc: ports.take(&who, "vnc", Protocol::Tcp, vnc),
        identity: Identity {
            manufacturer: file
                .manufacturer
                .or_else(|| profile.manufacturer.clone())
                .value,
            product: file.product.or_else(|| profile.product.clone()).value,
            part_number: file
                .part_number
                .or_else(|| profile.part_number.clone())
                .value,
            serial: file
                .serial
                .or_else(|| profile::serial(lab, &file.name))
                .value,
            asset_tag: file
                .asset_tag
                .or_else(|| format!("nsplay/{}", file.name))
                .value,
            uuid: file.uuid.or_else(|| profile::uuid(lab, &file.name)).value,
        },
        profile,
        name: file.name,
    }
}

/// The users of a BMC beside its administrator.
fn users(files: Vec<UserFile>, administrator: &str, bmc: &str, notes: &Notes) -> Vec<User> {
    if let Some(one_too_many) = files.get(MOST_USERS) {
        let message = format!(
            "{bmc}: {} users are too many: {MOST_USERS} beside the administrator is the most",
            files.len()
        );
        notes.add(Some(one_too_many.at), message, None);
    }
    let user = |file: UserFile| {
        if file.name == administrator {
            let message = format!("{bmc}: user `{}` is its administrator already", file.name);
            let hint = "call it something else, or change `user` above";
            notes.add(Some(file.at), message, Some(hint.to_owned()));
        }
        if matches!(file.password, Read::Absent) {
            let message = format!("{bmc}: user `{}` has no password", file.name);
            let hint = "write password = \"…\", 1 to 16 characters";
            notes.add(Some(file.at), message, Some(hint.to_owned()));
        }
        User {
            name: file.name,
            password: file.password.or_else(String::new).value,
            privilege: file.privilege.or(Privilege::User).value,
        }
    };
    let mut users: Vec<User> = files.into_iter().map(user).collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    users
}

/// How many devices of each kind a node has to boot from.
struct Bootable {
    nics: usize,
    disks: usize,
}

impl Bootable {
    /// How many there are of the kind of `device`, its number among them, what one is called, and
    /// how a node gets one.
    fn find(&self, device: BootDevice) -> (usize, u8, &'static str, &'static str) {
        match device {
            BootDevice::Network(number) => (
                self.nics,
                number,
                "NIC",
                "give it one in `nics`, or leave it out here",
            ),
            BootDevice::Disk(number) => (
                self.disks,
                number,
                "disk",
                "give it one, such as disk = \"8GiB\", or leave it out here",
            ),
            // Every node has one.
            BootDevice::Cdrom => (1, 1, "CD drive", ""),
        }
    }
}

fn boot(
    read: Read<Vec<(BootDevice, usize)>>,
    has: &Bootable,
    who: &str,
    notes: &Notes,
) -> Vec<BootDevice> {
    let Read::Given(list, at) = read else {
        return match has.disks {
            0 => vec![BootDevice::Network(1)],
            _ => vec![BootDevice::Network(1), BootDevice::Disk(1)],
        };
    };
    if list.is_empty() {
        let message = format!("{who}: `boot` names nothing to boot from");
        let hint = "write boot = [\"network\"], and power = \"off\" for a node that waits";
        notes.add(Some(at), message, Some(hint.to_owned()));
    }
    for (n, (device, at)) in list.iter().enumerate() {
        let (count, number, what, hint) = has.find(*device);
        if list[..n].iter().any(|(earlier, _)| earlier == device) {
            let message = format!("{who}: `boot` names \"{device}\" twice");
            notes.add(Some(*at), message, None);
        } else if usize::from(number) > count {
            let many = match count {
                0 => format!("no {what}"),
                1 => format!("one {what}"),
                count => format!("{count} {what}s"),
            };
            let message = format!("{who}: `boot` names \"{device}\", but it has {many}");
            notes.add(Some(*at), message, Some(hint.to_owned()));
        }
    }
    list.into_iter().map(|(device, _)| device).collect()
}

/// A path to boot from is below the web root: somebody has to serve it.
fn boot_needs_web(file: &LabFile, notes: &Notes) {
    let (Service::On(dhcp), Service::Off(off)) = (&file.dhcp, &file.web) else {
        return;
    };
    let (target, at) = match &dhcp.boot {
        Read::Absent => (default_boot(), *off),
        Read::Bad => return,
        Read::Given(target, at) => (target.clone(), *at),
    };
    if is_url(&target) {
        return;
    }
    let message = format!(
        "service `dhcp`: `boot` is \"{target}\", a path below the web root, but web = false"
    );
    let hint = "give [dhcp] boot a URL, such as boot = \"http://HOST/boot.ipxe\"".to_owned();
    notes.add(Some(at), message, Some(hint));
}

fn limit_nodes(files: &mut Vec<NodeFile>, count: usize, notes: &Notes) {
    if let Some(one_too_many) = files.get(MOST_NODES) {
        let message = format!("{count} nodes are too many: {MOST_NODES} is the most");
        notes.add(Some(one_too_many.at), message, None);
        files.truncate(MOST_NODES);
    }
}

fn check_names(files: &[NodeFile], own: &[OwnFile], dhcp: &[Dhcp], notes: &Notes) {
    let mut links: HashMap<LinkName, (&str, &Name, usize)> = HashMap::new();
    let nodes = files.iter().map(|file| ("node", &file.name, file.at));
    let own = own.iter().map(|file| ("service", &file.name, file.at));
    for (kind, name, at) in nodes.chain(own) {
        let taken = TAKEN.iter().find(|(taken, _)| *taken == name.as_str());
        let taken = taken.map(|(_, why)| *why);
        let of_network = dhcp.iter().any(|dhcp| dhcp.name == *name);
        let taken = taken.or(of_network.then_some("a service has this name"));
        if let Some(why) = taken {
            let message = format!("{kind} `{name}`: {why}");
            let hint = format!("call it something else, such as [{kind}.{name}-1]");
            notes.add(Some(at), message, Some(hint));
        }
        let Some((other_kind, other, other_at)) =
            links.insert(LinkName::of(name), (kind, name, at))
        else {
            continue;
        };
        let place = notes.place(other_at);
        let (message, hint) = if other != name {
            let link = LinkName::of(name);
            (
                format!(
                    "{kind} `{name}`: its link would be called `{link}` as that of {other_kind} `{other}` ({place})"
                ),
                "give one of them a name of at most 15 characters",
            )
        } else if other_kind == kind {
            (
                format!("{kind} `{name}`: another table makes it too ({place})"),
                "give the nodes of one of them other names: name = \"…-{n}\" beside `count`",
            )
        } else {
            (
                format!("{kind} `{name}`: a {other_kind} has this name ({place})"),
                "give one of them another name",
            )
        };
        notes.add(Some(at), message, Some(hint.to_owned()));
    }
}

/// Notes what tells one server from another if several nodes have it from one place.
///
/// Two that have it each from their own table are what their author wants to try.
fn check_identities(files: &[NodeFile], notes: &Notes) {
    let mut seen = HashMap::new();
    for file in files {
        for (key, read) in [("serial", &file.serial), ("uuid", &file.uuid)] {
            let Read::Given(value, at) = read else {
                continue;
            };
            let Some((other, _)) = seen
                .insert(*at, (&file.name, value))
                .filter(|(_, other)| *other == value)
            else {
                continue;
            };
            let message = format!(
                "node `{}`: {key} \"{value}\" is that of node `{other}` too",
                file.name
            );
            let hint = "write {n} where the node's number goes, such as {n:04}, or leave it out";
            notes.add(Some(*at), message, Some(hint.to_owned()));
        }
    }
}

fn default_boot() -> String {
    "boot.ipxe".to_owned()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn known(name: &str) -> Name {
    Name::new(name).expect("the names in this file are names")
}
