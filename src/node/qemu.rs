//! QEMU's command line for a node (qemu(1)); starting it is [`power`](super::power)'s.

mod disks;
mod firmware;

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::boot::Boot;
use super::{smbios, storage};
use crate::bmc::ipmi_sim::KCS_PORT;
use crate::cell::Cell;
use crate::lab::network::ETHERNET_MTU;
use crate::lab::{BootDevice, Firmware, Name, NetworkBoot, Nic, NicModel, Node};
use crate::program::Program;

/// What runs the guest's instructions, once the host has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accelerator {
    /// The kernel's.
    Kvm,
    /// QEMU's own translator.
    Tcg,
}

impl Accelerator {
    /// The group that may open `/dev/kvm`, where that is what QEMU does.
    #[must_use]
    pub fn group(self) -> Vec<u32> {
        match self {
            Self::Tcg => Vec::new(),
            Self::Kvm => fs::metadata("/dev/kvm")
                .map(|kvm| kvm.gid())
                .into_iter()
                .collect(),
        }
    }
}

/// All of a node that stays the same each time it is powered on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The node.
    pub node: Node,
    /// The QEMU binary.
    pub qemu: PathBuf,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// The folder that its disk and firmware variables are kept in.
    pub state: PathBuf,
    /// The MTU of each network card's network.
    pub mtus: Vec<u16>,
    /// OVMF's code and the template of its variables, for a UEFI node.
    pub ovmf: Option<(PathBuf, PathBuf)>,
    /// qemu-img(1), which makes overlays.
    pub qemu_img: PathBuf,
    /// swtpm(8).
    pub swtpm: PathBuf,
}

/// The descriptors that one QEMU process inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fds {
    /// A queue of each network card's TAP device.
    pub taps: Vec<RawFd>,
    /// A connected socket for QMP.
    pub qmp: RawFd,
    /// A connected socket for the serial line.
    pub serial: RawFd,
    /// What is in the CD drive.
    pub medium: Medium,
}

impl Medium {
    /// What the lab file puts into the drive of `node`.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        match node.iso {
            Some(_) => Self::OfLabFile,
            None => Self::Nothing,
        }
    }
}

/// What is in the CD drive of a machine that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Nothing.
    Nothing,
    /// The image of the lab file.
    OfLabFile,
    /// An open image.
    Open(RawFd),
}

impl Machine {
    /// What the node's BMC remembers, beside the folder: QEMU must not write it.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        self.state.with_extension("chassis.json")
    }

    /// The node's own copy of the UEFI variables.
    #[must_use]
    pub fn uefi_vars(&self) -> PathBuf {
        storage::uefi_vars(&self.state, &self.node)
    }

    /// The socket on which QEMU serves VNC.
    #[must_use]
    pub fn vnc(&self) -> PathBuf {
        vnc(&self.node.name)
    }

    /// What QEMU sees of the files: those that the node is made of.
    #[must_use]
    pub fn cell(&self) -> Cell {
        let node = &self.node;
        let disks = storage::numbered(node);
        let mut cell =
            Cell::writing(disks.map(|(number, disk)| storage::disk(&self.state, number, disk)));
        cell.writes.push(dir(&node.name));
        if let (Firmware::Uefi, Some((code, _))) = (node.firmware, &self.ovmf) {
            cell.read(code);
            cell.writes.push(self.uefi_vars());
        }
        let shown = storage::shown(node).into_iter();
        shown.for_each(|(inside, _)| cell.read(&inside));
        if self.accelerator == Accelerator::Kvm {
            cell.devices.push(PathBuf::from("/dev/kvm"));
        }
        cell
    }

    /// The whole command line of one power-on that boots as `boot` says.
    #[must_use]
    pub fn argv(&self, boot: &Boot, fds: &Fds) -> Vec<String> {
        let node = &self.node;
        let mut argv = Argv(vec![self.qemu.display().to_string()]);
        argv.put("-name", format!("guest={0},process={0}", node.name));
        argv.flag("-nodefaults").flag("-no-user-config");
        // graphics=off makes SeaBIOS show itself on the serial line too, where
        // keys can be queued for iPXE; the VGA card stays.
        let smm = firmware::smm(node);
        argv.put("-machine", format!("q35,graphics=off{smm}"));
        argv.put(
            "-accel",
            match self.accelerator {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "tcg",
            },
        );
        argv.put("-cpu", &node.cpu);
        argv.put("-smp", node.cpus.to_string());
        argv.put("-m", format!("{}M", node.memory_mib));
        argv.put("-uuid", &node.identity.uuid);
        for structure in smbios::options(node) {
            argv.put("-smbios", structure);
        }
        argv.put("-boot", "strict=on");
        argv.put("-vga", "std");
        argv.put("-vnc", format!("unix:{}", quoted(&self.vnc())));
        argv.put("-chardev", format!("socket,id=qmp,fd={}", fds.qmp));
        argv.put("-mon", "chardev=qmp,mode=control");
        argv.put("-chardev", format!("socket,id=serial,fd={}", fds.serial));
        argv.put("-serial", "chardev:serial");
        for (n, tap) in fds.taps.iter().enumerate() {
            argv.put("-netdev", format!("tap,id=net{n},fd={tap}"));
        }
        in_band(&mut argv);
        if boot.once {
            // A guest that starts itself again does so in another QEMU.
            argv.put("-action", "reboot=shutdown");
        }
        let at = |device| match boot.order.iter().position(|known| *known == device) {
            Some(place) => format!(",bootindex={}", place + 1),
            None => String::new(),
        };
        for (n, (nic, mtu)) in node.nics().zip(&self.mtus).enumerate() {
            // A node has fewer cards than a byte counts.
            let order = at(BootDevice::Network(u8::try_from(n + 1).unwrap_or(u8::MAX)));
            let device = device(nic, *mtu);
            let rom = match node.netboot.is_by_uefi(node.firmware) {
                // iPXE in the card's ROM would boot before the firmware does.
                true => ",romfile=",
                false => "",
            };
            argv.put(
                "-device",
                format!(
                    "{device},id=nic{n},netdev=net{n},mac={}{rom}{order}",
                    nic.mac
                ),
            );
        }
        if (node.netboot.by, node.firmware) == (NetworkBoot::Http, Firmware::Uefi) {
            // Where it has both, OVMF tries PXE first (NetworkPkg, IPv4PXESupport).
            for family in ["IPv4", "IPv6"] {
                let key = format!("opt/org.tianocore/{family}PXESupport");
                argv.put("-fw_cfg", format!("name={key},string=n"));
            }
        }
        disks::put(&mut argv, self, fds.medium, at);
        if let Some(kernel) = node.kernel.as_ref().filter(|_| boot.kernel) {
            disks::put_kernel(&mut argv, node, kernel);
        }
        firmware::put(&mut argv, self);
        argv.put(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
        argv.0.extend(node.qemu_args.iter().cloned());
        argv.0
    }
}

/// The guest's own way to its BMC, a KCS interface (IPMI 2.0, section 9), and the device by
/// which its kernel tells that it panicked.
fn in_band(argv: &mut Argv) {
    let at = (Ipv4Addr::LOCALHOST, KCS_PORT);
    // QEMU neither waits for ipmi_sim nor ends with it: it tries again each second, and
    // answers the guest that the BMC is not ready in the meantime.
    argv.put(
        "-chardev",
        format!("socket,id=ipmi,host={},port={},reconnect=1", at.0, at.1),
    );
    argv.put("-device", "ipmi-bmc-extern,id=bmc,chardev=ipmi");
    argv.put("-device", "isa-ipmi-kcs,bmc=bmc,irq=5");
    argv.put("-device", "pvpanic");
    // A machine that panicked stays on, and stays as it is.
    argv.put("-action", "panic=none");
}

/// The socket on which the QEMU of `node` serves VNC.
#[must_use]
pub fn vnc(node: &Name) -> PathBuf {
    dir(node).join("vnc.sock")
}

/// The folder inside the lab that QEMU may write to, and nobody else of the node's programs does.
#[must_use]
pub fn dir(node: &Name) -> PathBuf {
    Program::dir(node).join("qemu")
}

/// The device that a network card is, which tells its driver the MTU where it can.
fn device(nic: &Nic, mtu: u16) -> String {
    let device = match nic.model {
        NicModel::E1000e => "e1000e",
        NicModel::E1000 => "e1000",
        NicModel::VirtioNet if mtu != ETHERNET_MTU => {
            return format!("virtio-net-pci,host_mtu={mtu}");
        }
        NicModel::VirtioNet => "virtio-net-pci",
        NicModel::Vmxnet3 => "vmxnet3",
        NicModel::Rtl8139 => "rtl8139",
    };
    device.to_owned()
}

/// A path inside an option list, where a comma is written twice.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

struct Argv(Vec<String>);

impl Argv {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.to_owned());
        self
    }

    fn put(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_owned());
        self.0.push(value.into());
    }
}
