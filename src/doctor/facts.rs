//! What is seen of the host. Nothing of it is changed: what is tried is tried in a network namespace
//! that ends with the thread that made it.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::versions;
use crate::error::Problem;
use crate::host;
use crate::host::cgroups::Cgroups;
use crate::host::packages::{Manager, Need};
use crate::host::places::Places;
use crate::host::programs::Finder;
use crate::host::sockets::owner_of;
use crate::host::tools::IMAGE;
use crate::kernel::kvm::{self, Verdict};
use crate::kernel::{links, nft};
use crate::lab::{HttpServer, NicModel, unprivileged};

/// All that is judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The distribution's name, for people.
    pub system: String,
    /// `uname -r`, and `uname -m`.
    pub kernel: (String, String),
    /// The user is root.
    pub root: bool,
    /// Why who asks can make no lab at all, if so.
    pub forbidden: Option<Problem>,
    /// The namespaces that the kernel has, of those that a lab needs.
    pub namespaces: Vec<&'static str>,
    /// Parts of the kernel.
    pub features: Vec<Feature>,
    /// Why /dev/net/tun cannot be used, if so.
    pub tun: Option<String>,
    /// What /dev/kvm is worth.
    pub kvm: Verdict,
    /// Whether the processor has virtualization, and whose it is: `kvm_intel` or `kvm_amd`.
    pub processor: Option<&'static str>,
    /// `kernel.apparmor_restrict_unprivileged_userns` is on.
    pub apparmor_restricts: bool,
    /// `user.max_user_namespaces`.
    pub user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone` is there and off, as on older Debians.
    pub users_refused: bool,
    /// Programs and files that labs use.
    pub programs: Vec<Program>,
    /// The package manager.
    pub manager: Option<Manager>,
    /// The image that nodes boot is built.
    pub image: bool,
    /// The ports that the default lab publishes.
    pub ports: Vec<Port>,
    /// The folders that labs write to.
    pub folders: Vec<Folder>,
    /// The kernel has IPv6.
    pub ipv6: bool,
    /// Bits of entropy that the kernel has, 256 on one that is well.
    pub entropy: Option<u64>,
    /// What limits are enforced by.
    pub cgroups: Cgroups,
}

/// A part of the kernel.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its module.
    pub module: &'static str,
    /// Whether it is there; none where that cannot be told.
    pub there: Option<bool>,
}

/// A program or a file.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is to nsplay.
    pub need: Need,
    /// Whether it is there.
    pub there: bool,
    /// What it says of itself.
    pub version: Option<String>,
}

/// A port of the default lab.
#[derive(Clone, Debug)]
pub struct Port {
    /// Where it would be published.
    pub address: SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Who has it, if somebody has: a name and a PID, as far as that is known.
    pub taken_by: Option<String>,
}

/// A folder that labs write to.
#[derive(Clone, Debug)]
pub struct Folder {
    /// It.
    pub path: PathBuf,
    /// It holds no disks of nodes.
    pub transient: bool,
    /// Bytes that are free; none where that cannot be told.
    pub free: Option<u64>,
    /// It can only be read.
    pub read_only: bool,
}

impl Facts {
    /// Looks at this host, on which who asks may make labs unless they are `forbidden`.
    #[must_use]
    pub fn gather(forbidden: Option<Problem>) -> Self {
        let finder = Finder::from_env();
        let places = Places::of_caller();
        let root = places.user.is_none();
        let capable = root && forbidden.is_none();
        Self {
            system: system(),
            kernel: kernel(),
            root,
            forbidden,
            namespaces: ["net", "mnt", "pid", "ipc", "uts"]
                .into_iter()
                .filter(|kind| Path::new("/proc/self/ns").join(kind).exists())
                .collect(),
            features: features(capable),
            tun: tun(),
            kvm: kvm::probe(),
            processor: processor(),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                == Some(1),
            user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            users_refused: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
            programs: programs(&finder, root),
            manager: Manager::detect(&finder),
            // A user without an image boots the host's.
            image: [&places.state, &Places::system().state]
                .iter()
                .any(|state| state.join(IMAGE).is_dir()),
            ports: [(623, "udp"), (2222, "tcp"), (5901, "tcp")]
                .into_iter()
                .map(|(port, protocol)| look_at_port(port, protocol))
                .collect(),
            folders: vec![folder(&places.run, true), folder(&places.state, false)],
            ipv6: Path::new("/proc/sys/net/ipv6/conf/default/disable_ipv6").exists(),
            entropy: number("/proc/sys/kernel/random/entropy_avail"),
            cgroups: Cgroups::find(),
        }
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(
        || "Linux".to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

fn kernel() -> (String, String) {
    match nix::sys::utsname::uname() {
        Ok(uname) => (
            uname.release().to_string_lossy().into_owned(),
            uname.machine().to_string_lossy().into_owned(),
        ),
        Err(_) => Default::default(),
    }
}

/// Root tries; others look for the modules.
fn features(capable: bool) -> Vec<Feature> {
    let tried = capable.then(links::probe).and_then(Result::ok);
    let found = |module| Feature {
        module,
        there: match &tried {
            Some(made) => Some(made.contains(&module)),
            None => has_module(module),
        },
    };
    let nf_tables = Feature {
        module: "nf_tables",
        there: match nft::closed_chains() {
            Ok(_) => Some(true),
            Err(error) if nft::is_unsupported(&error) => Some(false),
            // Others than root may not ask.
            Err(_) => has_module("nf_tables"),
        },
    };
    vec![
        found("bridge"),
        found("veth"),
        nf_tables,
        found("sch_netem"),
    ]
}

/// Whether the running kernel has a module: loaded, built in, or on the disk.
fn has_module(name: &str) -> Option<bool> {
    if Path::new("/sys/module").join(name).exists() {
        return Some(true);
    }
    let folder = Path::new("/lib/modules").join(kernel().0);
    let lists =
        ["modules.builtin", "modules.dep"].map(|list| fs::read_to_string(folder.join(list)));
    let known: Vec<String> = lists.into_iter().flatten().collect();
    // Without lists, as in a container, nothing can be told.
    if known.is_empty() {
        return None;
    }
    let in_line = |line: &str| {
        let file = line.split(':').next().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        file.split('.').next().unwrap_or_default().replace('-', "_") == name
    };
    Some(known.iter().any(|list| list.lines().any(in_line)))
}

fn tun() -> Option<String> {
    const TUN: &str = "/dev/net/tun";
    if !Path::new(TUN).exists() {
        return Some("there is no /dev/net/tun".to_owned());
    }
    let opened = OpenOptions::new().read(true).write(true).open(TUN);
    opened.err().map(|error| format!("{TUN}: {error}"))
}

fn processor() -> Option<&'static str> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let flags = text.lines().find(|line| line.starts_with("flags"))?;
    let has = |flag: &str| flags.split_ascii_whitespace().any(|known| known == flag);
    match (has("vmx"), has("svm")) {
        (true, _) => Some("kvm_intel"),
        (false, true) => Some("kvm_amd"),
        (false, false) => None,
    }
}

fn programs(finder: &Finder, root: bool) -> Vec<Program> {
    let needs = [
        Need::Qemu,
        Need::IpmiSim,
        Need::Dnsmasq,
        Need::Httpd(HttpServer::Auto),
        Need::Sshd,
        Need::OptionRom(NicModel::E1000e),
        Need::IpxeBios,
        Need::IpxeUefi,
        Need::Ovmf,
        Need::OvmfSecure,
        Need::QemuImg,
        Need::Swtpm,
    ];
    // Only root's labs have a way out.
    let needs = needs.into_iter().chain(root.then_some(Need::Passt));
    needs
        .map(|need| Program {
            need,
            there: need.is_met(finder),
            version: versions::of(need, finder),
        })
        .collect()
}

/// Looks at a port of the default lab, or at the one that a user gets in its place.
fn look_at_port(port: u16, protocol: &'static str) -> Port {
    let port = unprivileged::port(port, host::unprivileged::first()).unwrap_or(port);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let bound = match protocol {
        "udp" => UdpSocket::bind(address).map(drop),
        _ => TcpListener::bind(address).map(drop),
    };
    let owner = || owner_of(address, protocol).map(|owner| owner.to_string());
    let taken_by = match bound {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Some(owner().unwrap_or_else(|| "another process".to_owned()))
        }
        // Who may not bind it sees who has.
        Err(_) => owner(),
        Ok(()) => None,
    };
    Port {
        address,
        protocol,
        taken_by,
    }
}

/// Looks at the nearest folder that is there, on the way to `path`.
fn folder(path: &Path, transient: bool) -> Folder {
    let there = path.ancestors().find(|folder| folder.is_dir());
    let path = there.unwrap_or(path).to_owned();
    let found = statvfs(&path).ok();
    Folder {
        transient,
        free: found.map(|found| {
            found
                .blocks_available()
                .saturating_mul(found.fragment_size())
        }),
        read_only: found.is_some_and(|found| found.flags().contains(FsFlags::ST_RDONLY)),
        path,
    }
}
