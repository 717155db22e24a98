//! What a lab is: checked values, no I/O.
//!
//! How a lab file spells them is [`mod@file`]'s; what is made of them on a host
//! is decided by [`plan`](crate::plan).

pub mod awaited;
pub mod fault;
pub mod fetch;
pub mod file;
pub mod hardware;
pub mod limits;
pub mod mac;
pub mod name;
pub mod netboot;
pub mod network;
pub mod own;
pub mod profile;
mod sockets;
pub mod stage;
pub mod unprivileged;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use awaited::Awaited;
pub use fault::Fault;
pub use hardware::{BootDevice, Disk, DiskBus, Kernel, Tpm, UefiVars};
pub use limits::{Limits, Lots};
pub use mac::Mac;
pub use name::{LinkName, Name};
pub use netboot::{Netboot, NetworkBoot};
pub use network::{Ipv6, Nat, Network, Nic};
pub use own::{OwnService, Transport};
pub use profile::{Identity, Profile};
pub use stage::Stage;
pub use unprivileged::{Moved, Occupied};

use sockets::overlap;

/// A lab that has been checked: every name, address and port in it can be used as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lab {
    /// The lab's name: its directories and namespaces carry it.
    pub name: Name,
    /// The main network.
    pub network: Network,
    /// The other networks, in the order of their names.
    pub more_networks: Vec<Network>,
    /// DHCP and TFTP on the main network, by dnsmasq.
    pub dhcp: Option<Dhcp>,
    /// The same on other networks, in the order of their names.
    pub more_dhcp: Vec<Dhcp>,
    /// HTTP, by an installed httpd.
    pub web: Option<Web>,
    /// The way in, by sshd.
    pub ssh: Option<Ssh>,
    /// The user's own services, in the order of their names.
    pub own: Vec<OwnService>,
    /// What it serves that is to be downloaded, in the order of its names.
    pub fetch: Vec<fetch::Payload>,
    /// The virtual servers, in the order of their names.
    pub nodes: Vec<Node>,
    /// How much of the host it may take, and its members.
    pub limits: Lots,
}

/// A network's DHCP and TFTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcp {
    /// The member's name: `dhcp`, or `dhcp-NETWORK`.
    pub name: Name,
    /// The network that it serves.
    pub network: Name,
    /// Where it listens.
    pub address: Ipv4Addr,
    /// First and last address that it gives out.
    pub pool: (Ipv4Addr, Ipv4Addr),
    /// How long a lease lasts, at least two minutes (dnsmasq's floor).
    pub lease: Duration,
    /// What it serves over TFTP.
    pub tftproot: Root,
    /// What an iPXE client is sent to: a URL, or a path below the web root.
    pub boot: String,
    /// Whether it answers DNS with the lab's names.
    pub dns: bool,
    /// The domain of the lab's names, which guests are told.
    pub domain: Option<String>,
}

/// The lab's HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// The member's name; `web`.
    pub name: Name,
    /// The network that it is on.
    pub network: Name,
    /// Where it listens, on port 80.
    pub address: Ipv4Addr,
    /// What it serves.
    pub root: Root,
    /// Which program serves it.
    pub server: HttpServer,
    /// Where the host can reach it, if anywhere.
    pub publish: Option<SocketAddr>,
}

/// The lab's SSH server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssh {
    /// The member's name; `ssh`.
    pub name: Name,
    /// The network that it is on.
    pub network: Name,
    /// Where it listens, on port 22.
    pub address: Ipv4Addr,
    /// Where the host can reach it, if anywhere.
    pub publish: Option<SocketAddr>,
}

/// A folder that a service serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// The files that are built into the binary.
    Embedded,
    /// A folder of the host, absolute.
    Dir(PathBuf),
}

/// The programs that can serve HTTP, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpServer {
    /// The first of the others that is installed.
    Auto,
    /// lighttpd(8).
    Lighttpd,
    /// nginx(8).
    Nginx,
    /// apache2(8), httpd(8) elsewhere.
    Apache,
    /// The httpd applet of busybox(1).
    Busybox,
}

/// A virtual server and its BMC, in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The node's name, also its host name by DHCP.
    pub name: Name,
    /// The address of `br-bmc`, on which the BMC answers.
    pub address: Ipv4Addr,
    /// Virtual CPUs, 1 to 64.
    pub cpus: u8,
    /// Memory in MiB, 64 or more.
    pub memory_mib: u32,
    /// QEMU's name of its CPU.
    pub cpu: String,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// The image in its CD drive; none for an empty one.
    pub iso: Option<PathBuf>,
    /// What it starts when its BMC chose nothing else, in place of looking for something to boot.
    pub kernel: Option<Kernel>,
    /// Its first network card, which shares a network with the BMC.
    pub nic: Nic,
    /// Its other network cards.
    pub more_nics: Vec<Nic>,
    /// The firmware that starts the guest.
    pub firmware: Firmware,
    /// Whether the firmware starts only what the keys of Microsoft and the distribution have signed.
    pub secure_boot: bool,
    /// How long the firmware's variables live, on UEFI.
    pub uefi_vars: UefiVars,
    /// Its TPM.
    pub tpm: Option<Tpm>,
    /// Where the firmware looks for something to boot, in this order.
    pub boot: Vec<BootDevice>,
    /// How it boots over the network, and what.
    pub netboot: Netboot,
    /// Whether the iPXE banner's two seconds are skipped by a key on the serial line.
    pub fast_boot: bool,
    /// How the guest's instructions are run.
    pub accel: Accel,
    /// Whether the node is on when the lab comes up.
    pub power_on: bool,
    /// What has come about before the lab switches it on.
    pub after: Vec<Awaited>,
    /// How long a soft power-off may take before it becomes a hard one; none for ever.
    pub soft_timeout: Option<Duration>,
    /// Its BMC.
    pub bmc: Bmc,
    /// Where the host can reach its VNC console, if anywhere.
    pub vnc: Option<SocketAddr>,
    /// More arguments for QEMU, after all others.
    pub qemu_args: Vec<String>,
    /// What kind of server it shows itself as.
    pub profile: Profile,
    /// What tells it from another server of that kind.
    pub identity: Identity,
}

/// A node's BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bmc {
    /// The administrator's name, 1 to 16 bytes (IPMI 2.0, section 22.28).
    pub user: String,
    /// The administrator's password, 1 to 16 bytes (IPMI 2.0, section 22.30, for LAN 1.5).
    pub password: String,
    /// More users, after the administrator.
    pub users: Vec<User>,
    /// What it is told to pretend, and when.
    pub scenario: Vec<Act>,
    /// Where the host can reach it over UDP, if anywhere.
    pub publish: Option<SocketAddr>,
}

/// Something that a BMC is told to pretend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// How long after the lab is up.
    pub at: Duration,
    /// What.
    pub deed: Deed,
}

/// What a BMC can be told to pretend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// It has a fault.
    Fault {
        /// Which.
        fault: Fault,
        /// How long; none until everything is cleared.
        lasts: Option<Duration>,
    },
    /// A sensor shows something.
    Sensor {
        /// Its name.
        sensor: String,
        /// A value, two of them as `FROM..TO`, or words for states.
        value: String,
        /// How long the way from one value to the other takes.
        over: Option<Duration>,
    },
    /// Everything that it pretended ends.
    Clear,
}

/// A user of a BMC beside its administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name, 1 to 16 bytes.
    pub name: String,
    /// Its password, 1 to 16 bytes.
    pub password: String,
    /// What its sessions may do at most.
    pub privilege: Privilege,
}

/// Privilege levels (IPMI 2.0, section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privilege {
    /// May only have itself called back.
    Callback,
    /// May look.
    User,
    /// May switch the power and the boot device.
    Operator,
    /// May do everything.
    Administrator,
}

/// The NICs of QEMU that the firmware can boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicModel {
    /// Intel 82574L, looks like iron and boots fast.
    E1000e,
    /// Intel 82540EM.
    E1000,
    /// virtio-net.
    VirtioNet,
    /// VMware's paravirtual NIC.
    Vmxnet3,
    /// Realtek 8139.
    Rtl8139,
}

/// The firmware of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF (EDK2).
    Uefi,
}

/// How a guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// KVM where it truly runs code, else TCG.
    Auto,
    /// KVM, or `up` fails.
    Kvm,
    /// QEMU's own translator.
    Tcg,
}

/// A service as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The member.
    pub name: &'a Name,
    /// The network that it is on.
    pub network: &'a Name,
    /// Its address.
    pub address: Ipv4Addr,
    /// Where the host can reach it.
    pub publish: Vec<SocketAddr>,
}

impl Dhcp {
    fn seat(&self) -> Seat<'_> {
        Seat {
            name: &self.name,
            network: &self.network,
            address: self.address,
            publish: Vec::new(),
        }
    }
}

impl Lab {
    /// The services: nsplay's in the order of the lab file, then the user's own.
    #[must_use]
    pub fn services(&self) -> Vec<Seat<'_>> {
        let web = self.web.as_ref().map(|web| Seat {
            name: &web.name,
            network: &web.network,
            address: web.address,
            publish: web.publish.into_iter().collect(),
        });
        let ssh = self.ssh.as_ref().map(|ssh| Seat {
            name: &ssh.name,
            network: &ssh.network,
            address: ssh.address,
            publish: ssh.publish.into_iter().collect(),
        });
        let own = self.own.iter().map(|own| Seat {
            name: &own.name,
            network: &own.network,
            address: own.address,
            publish: own.publish.iter().map(|publish| publish.host).collect(),
        });
        let main = self.dhcp.iter().map(Dhcp::seat);
        let more = self.more_dhcp.iter().map(Dhcp::seat);
        main.chain(web).chain(ssh).chain(more).chain(own).collect()
    }
}

impl Lab {
    /// The names of all members: the services, then the nodes.
    #[must_use]
    pub fn members(&self) -> Vec<&Name> {
        let services = self.services().into_iter().map(|seat| seat.name);
        services
            .chain(self.nodes.iter().map(|node| &node.name))
            .collect()
    }

    /// Moves every published port up by `offset`, so that two copies of one
    /// lab can be up at a time.
    ///
    /// # Errors
    /// [`PortBeyond`] when a port would leave the 65535 that there are.
    pub fn with_port_offset(mut self, offset: u16) -> Result<Self, PortBeyond> {
        for (whose, _, socket) in self.published() {
            let port = socket.port();
            let moved = port.checked_add(offset).ok_or_else(|| PortBeyond {
                whose: whose.clone(),
                port,
                offset,
            })?;
            socket.set_port(moved);
        }
        Ok(self)
    }
}

impl Lab {
    /// Moves every published port below `first` up, as [`unprivileged`]
    /// says, and tells which.
    ///
    /// # Errors
    /// All the ports that another one of the lab's stands in the way of.
    pub fn with_ports_from(mut self, first: u16) -> Result<(Self, Vec<Moved>), Vec<Occupied>> {
        let (mut moves, mut kept) = (Vec::new(), Vec::new());
        for (whose, transport, socket) in self.published() {
            let to = unprivileged::port(socket.port(), first);
            let from = socket.port();
            socket.set_port(to.unwrap_or(from));
            match to {
                Some(to) => {
                    let whose = whose.clone();
                    moves.push((transport, *socket, Moved { whose, from, to }));
                }
                None => kept.push((transport, *socket, whose.clone())),
            }
        }
        let (mut moved, mut occupied) = (Vec::new(), Vec::new());
        for (transport, socket, moves) in moves {
            let other = kept
                .iter()
                .find(|(its, other, _)| *its == transport && overlap(*other, socket));
            if let Some((_, _, by)) = other {
                let (by, moved) = (by.clone(), moves.clone());
                occupied.push(Occupied { moved, by, first });
            }
            kept.push((transport, socket, moves.whose.clone()));
            moved.push(moves);
        }
        match occupied.is_empty() {
            true => Ok((self, moved)),
            false => Err(occupied),
        }
    }

    /// The host's sockets, and whose they are.
    fn published(&mut self) -> impl Iterator<Item = (&Name, Transport, &mut SocketAddr)> {
        use Transport::{Tcp, Udp};
        let services = [
            self.web
                .as_mut()
                .map(|web| (&web.name, Tcp, &mut web.publish)),
            self.ssh
                .as_mut()
                .map(|ssh| (&ssh.name, Tcp, &mut ssh.publish)),
        ];
        let nodes = self.nodes.iter_mut().flat_map(|node| {
            [
                (&node.name, Udp, &mut node.bmc.publish),
                (&node.name, Tcp, &mut node.vnc),
            ]
        });
        let own = self.own.iter_mut().flat_map(|own| {
            let ports = own.publish.iter_mut();
            ports.map(|publish| (&own.name, publish.transport, &mut publish.host))
        });
        let all = services.into_iter().flatten().chain(nodes);
        let published = all
            .filter_map(|(whose, transport, publish)| Some((whose, transport, publish.as_mut()?)));
        published.chain(own)
    }
}

/// A published port cannot be moved as far as was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot add {offset} to port {port} of `{whose}`: ports end at 65535")]
pub struct PortBeyond {
    /// The member that the port leads to.
    pub whose: Name,
    /// The port as the lab file has it.
    pub port: u16,
    /// What was to be added.
    pub offset: u16,
}

macro_rules! spelled {
    ($type:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $type {
            /// All of them, as a lab file spells them.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

pub(crate) use spelled;

spelled!(HttpServer {
    Auto => "auto",
    Lighttpd => "lighttpd",
    Nginx => "nginx",
    Apache => "apache",
    Busybox => "busybox",
});
spelled!(NicModel {
    E1000e => "e1000e",
    E1000 => "e1000",
    VirtioNet => "virtio-net",
    Vmxnet3 => "vmxnet3",
    Rtl8139 => "rtl8139",
});
spelled!(Privilege {
    Callback => "callback",
    User => "user",
    Operator => "operator",
    Administrator => "administrator",
});
spelled!(Firmware { Bios => "bios", Uefi => "uefi" });
spelled!(Accel { Auto => "auto", Kvm => "kvm", Tcg => "tcg" });
