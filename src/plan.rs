//! Plans: everything that `up` will do, decided before any of it is done.
//!
//! [`plan`] is pure: the same lab on a host with the same programs gives the
//! same plan. `nsplay plan` prints it; the supervisor carries it out.

pub mod limits;
mod network;
mod part;
mod text;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bmc::ipmi_sim::RMCP_PORT;
use crate::host::cgroups::Cgroups;
use crate::host::tools::Tools;
use crate::image::boot_entries::{self, Entry};
use crate::kernel::mount;
use crate::lab::netboot;
use crate::lab::own::Transport;
use crate::lab::{Firmware, Lab, Mac, Name, Nat, Network, Node, Root};
use crate::node::qemu::{self, Machine};
use crate::node::storage;
use crate::program::{Program, TextFile, User};
use crate::rundir::RunDir;
use crate::service::dnsmasq::{self, DnsmasqError};
use crate::service::names::Names;
use crate::service::sshd::{self, Account};
use crate::service::sshd_keys::Keys;
use crate::service::{ProbeMarks, httpd, own};
use crate::step::Step;
use crate::ways::{By, HostLink, WayOut};

pub use network::{fabric_mac, member_mac};

pub use part::{Part, Runs};

/// The users that members' programs run as.
pub type Users = BTreeMap<Name, u32>;

/// The first user that a member's programs run as.
///
/// 60578 to 61183 is used by nobody (systemd's doc/UIDS-GIDS.md).
const FIRST_USER: u32 = 60600;

/// The user that carries connections out of the lab, above those of any member.
const WAY_OUT_USER: u32 = 61183;

/// The users that root's labs run programs as.
pub const USERS: RangeInclusive<u32> = FIRST_USER..=WAY_OUT_USER;

/// Everything that the supervisor does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab that this is the plan of.
    pub lab: Lab,
    /// What is worth knowing about how it was decided.
    pub notes: Vec<String>,
    /// The users that members' programs run as.
    pub users: Users,
    /// What is done to the network, in this order.
    pub network: Vec<Step>,
    /// Files of the lab's own `/etc`.
    pub etc: Vec<TextFile>,
    /// The account that logs in over SSH.
    pub account: Option<Account>,
    /// Files and folders of the host, in places that are the lab's own, that it sees all the same.
    pub shown: Vec<PathBuf>,
    /// The folders that services serve.
    pub views: Vec<View>,
    /// Folders of the user's own services: where they are inside the lab, and on the host.
    pub folders: Vec<(PathBuf, PathBuf)>,
    /// Files that nodes read: where they are inside the lab, and on the host.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The services, in the order of [`Lab::services`].
    pub services: Vec<Program>,
    /// The virtual servers.
    pub machines: Vec<Machine>,
    /// The ipmi_sim binary.
    pub ipmi_sim: PathBuf,
    /// What the host can reach.
    pub publish: Vec<Publish>,
    /// The links by which the host is on networks from the beginning.
    pub attach: Vec<HostLink>,
    /// The way out, if the lab has one.
    pub out: Option<WayOut>,
    /// What the limits are enforced by.
    pub cgroups: Cgroups,
}

/// A folder that a service serves: a user's files and some of nsplay's beside them.
///
/// It is made of symbolic links, so that a file that the user adds, changes
/// or removes is seen at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The folder that is served.
    pub at: PathBuf,
    /// Where the user's files are inside the lab, and what they are on the host.
    pub files: (PathBuf, Root),
    /// Links beside them: the name below `at`, and what it points to.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Texts beside them.
    pub texts: Vec<TextFile>,
}

/// A socket of the host that leads into the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Whose it is.
    pub member: Name,
    /// Where the host listens.
    pub host: SocketAddr,
    /// What is behind it.
    pub to: Target,
}

/// What is behind a published socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A TCP port of a member.
    Tcp(SocketAddr),
    /// A UDP port of a member.
    Udp(SocketAddr),
    /// A UNIX socket inside the lab.
    Unix(PathBuf),
}

impl Publish {
    /// The host's socket: its address and its transport.
    #[must_use]
    pub fn socket(&self) -> (SocketAddr, &'static str) {
        (self.host, self.protocol())
    }

    /// The transport of the host's socket.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self.to {
            Target::Tcp(_) | Target::Unix(_) => "tcp",
            Target::Udp(_) => "udp",
        }
    }
}

impl Plan {
    /// The user that a member's programs run as.
    #[must_use]
    pub fn user(&self, member: &Name) -> u32 {
        self.users.get(member).copied().unwrap_or(FIRST_USER)
    }

    /// The user that `member`'s processes have, if nobody else in the lab has it.
    #[must_use]
    pub fn only_user(&self, member: &Name) -> Option<u32> {
        let user = |member: &Name| match self.part(member)?.runs {
            Runs::Service(Program {
                user: User::Host(user),
                ..
            }) => Some(*user),
            Runs::Service(_) | Runs::Node(..) => self.users.get(member).copied(),
        };
        let own = user(member)?;
        let others = self.users.keys().filter(|other| *other != member);
        let is_only = own != 0 && others.filter_map(user).all(|other| other != own);
        is_only.then_some(own)
    }

    /// What the supervisor's probes ask with.
    #[must_use]
    pub fn probe_marks(&self) -> ProbeMarks {
        let ssh = self.lab.ssh.as_ref();
        let network = ssh.map_or(&self.lab.network, |ssh| self.lab.network(&ssh.network));
        ProbeMarks {
            mac: Mac::derived(&format!("{}/probe", self.lab.name)),
            // The lowest port: no connection that is not a probe's comes from it.
            ssh: SocketAddrV4::new(network.gateway, 1),
        }
    }
}

/// A user for each member: those who have one in `kept` keep it, the others get the lowest that
/// nobody has. Where there is but one user, all have it.
fn users(lab: &Lab, kept: &Users, one_user: Option<u32>) -> Users {
    let names: Vec<&Name> = lab.members();
    if let Some(user) = one_user {
        return names.into_iter().map(|name| (name.clone(), user)).collect();
    }
    let mut users: Users = kept
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, user)| (name.clone(), *user))
        .collect();
    for name in names {
        if !users.contains_key(name) {
            let free = (FIRST_USER..).find(|user| users.values().all(|taken| taken != user));
            users.insert(name.clone(), free.unwrap_or(FIRST_USER));
        }
    }
    users
}

/// Decides what `up` does for `lab` on a host with `tools`.
///
/// # Errors
/// A value of the lab file that a program cannot be told.
pub fn plan(lab: &Lab, tools: &Tools, keys: &Keys) -> Result<Plan, DnsmasqError> {
    plan_again(lab, tools, keys, &Users::new())
}

/// The same for a lab that runs: its members keep the users that they have.
///
/// # Errors
/// As [`plan()`].
pub fn plan_again(
    lab: &Lab,
    tools: &Tools,
    keys: &Keys,
    kept: &Users,
) -> Result<Plan, DnsmasqError> {
    let dir = RunDir::of(tools.places.clone(), &lab.name);
    let one_user = tools.places.user;
    let users = users(lab, kept, one_user);
    let mut services = Vec::new();
    let scripts = scripts(lab, tools);
    let dnsmasq = |dhcp| {
        let on = dnsmasq::On {
            resolvers: &tools.ways.resolvers,
            binary: tools.dnsmasq.as_ref()?,
            ipv6: tools.ipv6,
            scripts: &scripts.keys().cloned().collect(),
        };
        Some(dnsmasq::program(lab, dhcp, on))
    };
    if let Some(program) = lab.dhcp.as_ref().and_then(dnsmasq) {
        services.push(program?);
    }
    if let (Some(web), Some(found)) = (&lab.web, &tools.httpd) {
        services.push(httpd::program(web, found));
    }
    if let (Some(ssh), Some(binary)) = (&lab.ssh, &tools.sshd) {
        let program = sshd::program(ssh, binary, keys);
        services.push(match one_user {
            None => program,
            Some(_) => sshd::for_one_user(program),
        });
    }
    for program in lab.more_dhcp.iter().filter_map(dnsmasq) {
        services.push(program?);
    }
    services.extend(lab.own.iter().map(|service| own::program(service, tools)));
    let (shown, views) = (shown(tools), views(lab, tools, scripts));
    services
        .iter_mut()
        .for_each(|program| show_linked(program, &views, &shown));
    let account = lab.ssh.as_ref().map(|ssh| Account {
        uid: users.get(&ssh.name).copied().unwrap_or(FIRST_USER),
        home: sshd::home(ssh),
        shell: tools.shell.clone(),
    });
    let machines = lab.nodes.iter().map(|node| Machine {
        node: node.clone(),
        qemu: tools.qemu.clone(),
        accelerator: tools.accelerator(node.accel),
        state: dir.state().join(node.name.as_str()),
        ovmf: match (node.firmware, node.secure_boot) {
            (Firmware::Bios, _) => None,
            (Firmware::Uefi, false) => tools.ovmf.clone(),
            (Firmware::Uefi, true) => tools.ovmf_secure.clone(),
        },
        qemu_img: tools.qemu_img.clone(),
        swtpm: tools.swtpm.clone(),
        mtus: node
            .nics()
            .map(|nic| lab.network(&nic.network).mtu)
            .collect(),
    });
    Ok(Plan {
        lab: lab.clone(),
        notes: tools.notes(lab),
        users,
        network: network::steps(lab, tools.ipv6),
        etc: etc(lab, tools, account.as_ref()),
        account,
        shown,
        views,
        folders: lab.own.iter().filter_map(own::folder).collect(),
        files: lab.nodes.iter().flat_map(storage::shown).collect(),
        services,
        machines: machines.collect(),
        ipmi_sim: tools.ipmi_sim.clone(),
        publish: publish(lab),
        out: out(lab, tools),
        cgroups: tools.cgroups.clone(),
        attach: lab
            .networks()
            .filter(|network| network.attach)
            .filter_map(|network| {
                let address = lab.host_address(network)?;
                Some(HostLink::of(&lab.name, network, address))
            })
            .collect(),
    })
}

/// The way out, as this host can have it.
fn out(lab: &Lab, tools: &Tools) -> Option<WayOut> {
    // Preflight has refused what cannot be.
    let by = match tools.ways.choose(lab.nat()?) {
        Ok(Nat::Passt) => By::Passt(tools.ways.passt.clone()?),
        Ok(Nat::Nft) => By::Link(tools.ways.transit?),
        Ok(Nat::Off | Nat::Auto) | Err(_) => return None,
    };
    let networks = lab.networks().filter(|network| network.nat != Nat::Off);
    Some(WayOut {
        bridges: networks.map(Network::bridge).collect(),
        by,
        resolvers: tools.ways.resolvers.clone(),
        user: tools.places.user.unwrap_or(WAY_OUT_USER),
    })
}

/// What the lab uses of the host in places that it has of its own: the image, and programs that
/// are installed somewhere unusual.
fn shown(tools: &Tools) -> Vec<PathBuf> {
    let programs = [
        tools.dnsmasq.as_ref(),
        tools.httpd.as_ref().map(|found| &found.binary),
        tools.sshd.as_ref(),
        Some(&tools.qemu),
        Some(&tools.qemu_img),
        Some(&tools.swtpm),
        Some(&tools.ipmi_sim),
        tools.ways.passt.as_ref(),
    ];
    let programs = programs.into_iter().flatten().chain(tools.own.values());
    let hidden = |path: &&PathBuf| mount::hides(path);
    let hidden = programs.filter(hidden);
    tools.image.iter().chain(hidden).cloned().collect()
}

/// Shows a program that serves a view what nsplay has put beside the user's files there.
fn show_linked(program: &mut Program, views: &[View], shown: &[PathBuf]) {
    let (served, Some(cell)) = (Program::served(&program.member), &mut program.cell) else {
        return;
    };
    let own = views.iter().filter(|view| view.at.starts_with(&served));
    if own.clone().next().is_some() {
        cell.read(&served);
    }
    for (_, file) in own.clone().flat_map(|view| &view.links) {
        // A file that is replaced on the host is another one; in its folder it is found again.
        let folder = shown.iter().find(|folder| file.starts_with(folder));
        cell.read(folder.unwrap_or(file));
    }
    cell.names.extend(own.filter_map(|view| match &view.files {
        (inside, Root::Dir(folder)) => Some((folder.clone(), inside.clone())),
        (_, Root::Embedded) => None,
    }));
}

/// Names and accounts; without sshd nobody logs in, and the names stay.
fn etc(lab: &Lab, tools: &Tools, account: Option<&Account>) -> Vec<TextFile> {
    let nobody = Account {
        uid: FIRST_USER,
        home: PathBuf::from("/var/empty"),
        shell: PathBuf::from("/bin/false"),
    };
    // A number has no name, and nobody has one already.
    let known = ["nobody", "sshd", sshd::USER];
    let named = lab.own.iter().filter_map(|own| {
        let user = own.user.as_deref()?;
        let is_name = user.parse::<u32>().is_err() && !known.contains(&user);
        Some((user, *tools.users.get(&own.name)?)).filter(|_| is_name)
    });
    sshd::etc_files(
        account.unwrap_or(&nobody),
        &Names::of(lab),
        &named.collect(),
    )
}

/// The iPXE scripts of the nodes that have their own.
fn scripts(lab: &Lab, tools: &Tools) -> BTreeMap<Name, String> {
    let Some(web) = &lab.web else {
        return BTreeMap::new();
    };
    let of_node = |node: &Node| {
        let chain = || {
            let file = netboot::script_file(&node.name);
            format!("chain --autofree http://{}/{file}\n", web.address)
        };
        let below_the_root = tools.scripts.contains(&node.name);
        let rest = node.netboot.script.clone();
        let rest = rest.or_else(|| below_the_root.then(chain))?;
        let script = netboot::script(node, web.address, &rest);
        Some((node.name.clone(), script))
    };
    lab.nodes.iter().filter_map(of_node).collect()
}

/// The folders that are served.
fn views(lab: &Lab, tools: &Tools, scripts: BTreeMap<Name, String>) -> Vec<View> {
    let beside = |name: &Name, folder: &str| Program::served(name).join(folder);
    let boot_files: Vec<(PathBuf, PathBuf)> = [
        (dnsmasq::BIOS_FILE, &tools.ipxe_bios),
        (dnsmasq::UEFI_FILE, &tools.ipxe_uefi),
    ]
    .into_iter()
    .filter_map(|(name, file)| Some((PathBuf::from(name), file.clone()?)))
    .collect();
    let mut views = Vec::new();
    for dhcp in lab.dhcp_servers() {
        views.push(View {
            at: dnsmasq::root(dhcp),
            files: (beside(&dhcp.name, "tftproot"), dhcp.tftproot.clone()),
            links: boot_files.clone(),
            texts: Vec::new(),
        });
    }
    if let Some(web) = &lab.web {
        let at = httpd::root(web);
        let folder = Path::new(boot_entries::FOLDER);
        let of_entry = |entry: &Entry| -> Vec<(PathBuf, PathBuf)> {
            let files = entry.files.iter();
            files
                .map(|(served, file)| (folder.join(served), file.clone()))
                .collect()
        };
        let mut links = boot_files;
        links.extend(tools.entries.iter().flat_map(of_entry));
        let script = boot_entries::Script {
            server: &web.address.to_string(),
            entries: &tools.entries,
            default: None,
            timeout_ms: None,
            internet: lab.nat().is_some(),
        };
        let text = |name: &str, text: String| TextFile {
            path: at.join(folder).join(name),
            mode: 0o644,
            text,
        };
        let mut texts = vec![
            text("entries.ipxe", script.to_string()),
            // What a node that has come up asks for, to be seen in the access log.
            text("hello", "hello\n".to_owned()),
        ];
        texts.extend(scripts.into_iter().map(|(node, script)| TextFile {
            path: at.join(dnsmasq::own_script(&node)),
            mode: 0o644,
            text: script,
        }));
        views.push(View {
            texts,
            at,
            files: (beside(&web.name, "webroot"), web.root.clone()),
            links,
        });
    }
    views
}

/// The host's sockets that lead into the lab.
fn publish(lab: &Lab) -> Vec<Publish> {
    let mut all = Vec::new();
    let mut add = |member: &Name, host: Option<SocketAddr>, to: Target| {
        all.extend(host.map(|host| Publish {
            member: member.clone(),
            host,
            to,
        }));
    };
    let tcp = |address: Ipv4Addr, port| Target::Tcp(SocketAddr::from((address, port)));
    if let Some(web) = &lab.web {
        add(&web.name, web.publish, tcp(web.address, httpd::PORT));
    }
    if let Some(ssh) = &lab.ssh {
        add(&ssh.name, ssh.publish, tcp(ssh.address, sshd::PORT));
    }
    for own in &lab.own {
        for publish in &own.publish {
            let to = SocketAddr::from((own.address, publish.port));
            let to = match publish.transport {
                Transport::Tcp => Target::Tcp(to),
                Transport::Udp => Target::Udp(to),
            };
            add(&own.name, Some(publish.host), to);
        }
    }
    for node in &lab.nodes {
        let bmc = Target::Udp(SocketAddr::from((node.address, RMCP_PORT)));
        add(&node.name, node.bmc.publish, bmc);
        add(&node.name, node.vnc, Target::Unix(qemu::vnc(&node.name)));
    }
    all
}
