//! How a node boots over the network: `network_boot`, `boot_file` and `ipxe`, read, checked and
//! spelled.

use std::fmt::{self, Write};

use toml::Value;
use toml::de::DeValue;

use super::render::quoted;
use super::report::Notes;
use super::spell::{LabFile, NodeFile};
use super::value::{self, is_url};
use super::walk::{Read, Table, Wrong};
use crate::lab::netboot::{Netboot, NetworkBoot};
use crate::lab::{Firmware, NicModel};

/// iPXE reads a script into memory at once; more than this is none.
const LARGEST_SCRIPT: usize = 64 << 10;

/// What a node's table says of how it boots over the network.
pub(super) struct NetbootFile {
    by: Read<NetworkBoot>,
    file: Read<String>,
    script: Read<String>,
}

pub(super) fn spell(table: &Table) -> NetbootFile {
    NetbootFile {
        by: table.read("network_boot", |v| value::choice(v, &NetworkBoot::ALL)),
        file: table.read("boot_file", file),
        script: table.read("ipxe", script),
    }
}

fn file(value: &DeValue) -> Result<String, Wrong> {
    value::boot_target(value).map_err(|_| {
        Wrong::want("a path below the TFTP root or the web root such as \"shimx64.efi\", or a URL")
            .hint("1 to 255 ASCII characters without blanks and quotes, and no `..`")
    })
}

fn script(value: &DeValue) -> Result<String, Wrong> {
    let typed = value::text(value, "an iPXE script")?;
    if typed.trim().is_empty() || typed.len() > LARGEST_SCRIPT || typed.contains('\0') {
        let hint = "without `ipxe` the node runs [dhcp] boot";
        return Err(Wrong::want("an iPXE script of 1 byte to 64 KiB, without NUL").hint(hint));
    }
    Ok(typed.to_owned())
}

/// Notes what nodes need to boot as they should, and the lab does not have.
pub(super) fn check_lab(lab: &LabFile, notes: &Notes) {
    for node in &lab.nodes {
        let who = format!("node `{}`", node.name);
        let off = |service: &str, why: &str, at| {
            let message = format!("{who}: {why}, but {service} = false");
            let hint = format!("leave {service} = false out");
            notes.add(Some(at), message, Some(hint));
        };
        let (web, dhcp) = (lab.web.is_off(), lab.dhcp.is_off());
        if let Read::Given(_, at) = node.netboot.script {
            if web {
                off("web", "`ipxe` is served by the lab's web server", at);
            } else if dhcp {
                off("dhcp", "DHCP sends it to its `ipxe`", at);
            }
        }
        let by_url = matches!(&node.netboot.file, Read::Given(file, _) if is_url(file));
        if let Read::Given(NetworkBoot::Http, at) = node.netboot.by
            && web
            && !by_url
        {
            off("web", "it boots from the lab's web server", at);
        }
        if let Some(Read::Given(model, at)) = node.nics.first().map(|nic| &nic.model)
            && boots_by_uefi(node)
            && *model != NicModel::VirtioNet
        {
            let message = format!("{who}: UEFI has no driver of its own for an {model}");
            let hint = "leave `nic` out, or write network_boot = \"ipxe\"";
            notes.add(Some(*at), message, Some(hint.to_owned()));
        }
    }
}

/// How the node boots over the network.
pub(super) fn check(file: NetbootFile, firmware: Firmware, who: &str, notes: &Notes) -> Netboot {
    let by = match file.by {
        Read::Given(by, _) => by,
        Read::Absent | Read::Bad => NetworkBoot::Ipxe,
    };
    let netboot = Netboot {
        by,
        script: given(&file.script),
        file: given(&file.file),
    };
    let note = |at, message: &str, hint: &str| {
        notes.add(Some(at), format!("{who}: {message}"), Some(hint.to_owned()));
    };
    match (by, firmware, &file.file, &file.by) {
        (NetworkBoot::Ipxe, _, Read::Given(_, at), _) => note(
            *at,
            "`boot_file` is for a firmware's own PXE, but network_boot is \"ipxe\"",
            "write network_boot = \"pxe\" beside it",
        ),
        (NetworkBoot::Pxe, _, Read::Given(path, at), _)
            if is_url(path) || path.starts_with('/') =>
        {
            note(
                *at,
                "`boot_file` must be a path below the TFTP root",
                "put the file in tftproot, such as boot_file = \"shimx64.efi\"",
            );
        }
        (NetworkBoot::Pxe, Firmware::Bios, Read::Absent, Read::Given(_, at)) => note(
            *at,
            "with firmware \"bios\" this needs a `boot_file`: QEMU's BIOS has no PXE but iPXE's, \
             which would load iPXE again and again",
            "put a boot program in tftproot and name it, such as boot_file = \"pxelinux.0\"",
        ),
        (NetworkBoot::Http, Firmware::Bios, _, Read::Given(_, at)) => note(
            *at,
            "BIOS firmware cannot boot over HTTP by itself",
            "write firmware = \"uefi\" beside it, or leave it out: iPXE loads over HTTP too",
        ),
        _ => {}
    }
    netboot
}

/// What kind of NIC a node has that does not say.
///
/// OVMF is built without drivers for the others (2022.11), which iPXE in their ROMs has.
pub(super) fn usual_nic(file: &NodeFile) -> NicModel {
    match boots_by_uefi(file) {
        true => NicModel::VirtioNet,
        false => NicModel::E1000e,
    }
}

fn boots_by_uefi(file: &NodeFile) -> bool {
    let is_uefi = matches!(file.firmware, Read::Given(Firmware::Uefi, _));
    let is_own = |by| matches!(by, NetworkBoot::Pxe | NetworkBoot::Http);
    is_uefi && matches!(file.netboot.by, Read::Given(by, _) if is_own(by))
}

fn given<T: Clone>(read: &Read<T>) -> Option<T> {
    match read {
        Read::Given(value, _) => Some(value.clone()),
        Read::Absent | Read::Bad => None,
    }
}

pub(super) fn render(out: &mut String, netboot: &Netboot) -> fmt::Result {
    writeln!(out, "network_boot = {}", quoted(netboot.by))?;
    if let Some(file) = &netboot.file {
        writeln!(out, "boot_file = {}", quoted(file))?;
    }
    if let Some(script) = &netboot.script {
        // Its dollars are iPXE's.
        writeln!(out, "ipxe = {}", Value::from(script.as_str()))?;
    }
    Ok(())
}
