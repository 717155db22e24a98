//! The files of a node: what it keeps, what lasts one run, and what it only reads.
//!
//! Its own are in the folder that the lab keeps for it; the user's are shown to it, read-only,
//! in the node's folder inside the lab, wherever they are on the host.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::power::Host;
use super::qemu::{self, Machine};
use crate::cell::Cell;
use crate::faultpoint::point;
use crate::files;
use crate::host::disk_image;
use crate::kernel::process::{self, Spawn};
use crate::kernel::reaper::Exit;
use crate::lab::hardware::Base;
use crate::lab::{Disk, Firmware, Node, UefiVars};
use crate::lines::Lines;
use crate::program::Program;

/// The user's files that QEMU reads: where each is inside the lab, and on the host.
#[must_use]
pub fn shown(node: &Node) -> Vec<(PathBuf, PathBuf)> {
    let mut files = Vec::new();
    if let Some(file) = &node.iso {
        files.push((iso(node), file.clone()));
    }
    for (n, disk) in numbered(node) {
        if let Some(Base { file, .. }) = &disk.base {
            files.push((base(node, n), file.clone()));
        }
    }
    if let Some(direct) = &node.kernel {
        files.push((kernel(node), direct.file.clone()));
        if let Some(file) = &direct.initrd {
            files.push((initrd(node), file.clone()));
        }
    }
    files
}

/// The disks of a node with their numbers, from 1.
pub fn numbered(node: &Node) -> impl Iterator<Item = (usize, &Disk)> {
    node.disks.iter().enumerate().map(|(n, disk)| (n + 1, disk))
}

/// The image in the CD drive, inside the lab.
#[must_use]
pub fn iso(node: &Node) -> PathBuf {
    Program::dir(&node.name).join("cdrom.iso")
}

/// The base of the disk of this number, inside the lab.
#[must_use]
pub fn base(node: &Node, number: usize) -> PathBuf {
    Program::dir(&node.name).join(format!("base{number}"))
}

/// The kernel, inside the lab.
#[must_use]
pub fn kernel(node: &Node) -> PathBuf {
    Program::dir(&node.name).join("vmlinuz")
}

/// The initial file system, inside the lab.
#[must_use]
pub fn initrd(node: &Node) -> PathBuf {
    Program::dir(&node.name).join("initrd.img")
}

/// The file of the disk of this number in the folder `state`.
///
/// One that is not kept has a name of its own, so that `keep = false` deletes nothing that was
/// kept before.
#[must_use]
pub fn disk(state: &Path, number: usize, disk: &Disk) -> PathBuf {
    let number = match number {
        1 => String::new(),
        number => number.to_string(),
    };
    let life = if disk.keep { "" } else { ".fresh" };
    let format = if disk.base.is_some() { "qcow2" } else { "raw" };
    state.join(format!("disk{number}{life}.{format}"))
}

/// The node's own copy of the UEFI variables in the folder `state`.
///
/// Those with keys for Secure Boot are others: without keys nothing would be secure.
#[must_use]
pub fn uefi_vars(state: &Path, node: &Node) -> PathBuf {
    let keys = if node.secure_boot { ".secure" } else { "" };
    let life = match node.uefi_vars {
        UefiVars::Keep => "",
        UefiVars::Fresh => ".fresh",
    };
    state.join(format!("uefi-vars{keys}{life}.fd"))
}

/// The serial number of the disk of this number; the shortest field for it, NVMe's, has 20 bytes.
#[must_use]
pub fn serial(node: &Node, number: usize) -> String {
    let hex = node.identity.uuid.replace('-', "").to_uppercase();
    format!("{hex:.16}{number:02}")
}

/// Makes what a node has to have before it is switched on; what it kept stays.
///
/// # Errors
/// What cannot be made, and why.
pub async fn furnish(machine: &Machine, user: u32, host: &Host) -> io::Result<()> {
    let node = &machine.node;
    let dir = Program::dir(&node.name);
    for folder in [&dir, &qemu::dir(&node.name), &machine.state] {
        files::make(folder, Some(user))?;
        point!("node: {} made", folder.display())?;
    }
    for (n, spec) in numbered(node) {
        let path = disk(&machine.state, n, spec);
        if !spec.keep {
            files::remove(&path)?;
        }
        match &spec.base {
            Some(of) => {
                if fs::symlink_metadata(&path).is_err() {
                    lay_over(machine, &path, n, spec, of, user, host).await?;
                }
            }
            None => raw(&path, spec.size_mib.unwrap_or_default() << 20, user)?,
        }
    }
    if let (Firmware::Uefi, Some((_, template))) = (node.firmware, &machine.ovmf) {
        let vars = machine.uefi_vars();
        if node.uefi_vars == UefiVars::Fresh {
            files::remove(&vars)?;
        }
        if fs::symlink_metadata(&vars).is_err() {
            // A link in its place is not followed.
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(0o600);
            let mut copy = options.open(&vars)?;
            io::copy(&mut File::open(template)?, &mut copy)?;
            fchown(copy, Some(user), Some(user))?;
        }
    }
    Ok(())
}

/// Makes a raw, sparse image, or one that is too small larger. A disk grows with the lab file,
/// and is never cut: what is on it is the user's.
fn raw(path: &Path, bytes: u64, user: u32) -> io::Result<()> {
    let disk = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)?;
    let there = disk.metadata()?;
    if !there.is_file() {
        let message = format!("{} is no file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    if there.len() < bytes {
        disk.set_len(bytes)?;
    }
    fchown(disk, Some(user), Some(user))
}

/// Makes an overlay on a base, which nothing but this process and QEMU opens.
async fn lay_over(
    machine: &Machine,
    path: &Path,
    number: usize,
    spec: &Disk,
    of: &Base,
    user: u32,
    host: &Host,
) -> io::Result<()> {
    // Once more: the file may have changed since it was checked.
    let base = base(&machine.node, number);
    let own = disk_image::examine(&base, of.format)
        .map_err(|why| io::Error::other(format!("{} {why}", of.file.display())))?;
    let bytes = spec.size_mib.map_or(own, |mib| mib << 20);
    // With -u, qemu-img does not open the base: its name and format are for those who look at
    // the overlay later, on the host.
    let argv = [
        machine.qemu_img.display().to_string(),
        "create".to_owned(),
        "-q".to_owned(),
        "-u".to_owned(),
        "-f".to_owned(),
        "qcow2".to_owned(),
        "-F".to_owned(),
        of.format.to_string(),
        "-b".to_owned(),
        of.file.display().to_string(),
        path.display().to_string(),
        bytes.to_string(),
    ];
    let netns = host.members.get(&machine.node.name)?;
    let spawned = process::spawn(&Spawn {
        argv: &argv,
        env: &[],
        folder: Path::new("/"),
        netns: Some(netns.as_fd()),
        user: Some(user),
        groups: &[],
        caps: &[],
        inherit: &[],
        cell: Some(&Cell::writing([machine.state.clone()])),
        confine: &host.confinement.of(&machine.node.name)?,
    })?;
    let mut child = host.reaper.expect(spawned.pid);
    let name = machine.node.name.clone();
    for pipe in [spawned.stdout, spawned.stderr] {
        let (journal, name) = (host.journal.clone(), name.clone());
        let show = move |line: String| journal.line(&name, line);
        tokio::task::spawn_local(Lines::follow(pipe, show));
    }
    match child.wait().await {
        Exit::Status(0) => {
            let mut options = OpenOptions::new();
            let options = options.read(true).custom_flags(nix::libc::O_NOFOLLOW);
            options
                .open(path)?
                .set_permissions(Permissions::from_mode(0o600))
        }
        exit => {
            let _ = files::remove(path);
            let message = format!("qemu-img {exit}, making {}", path.display());
            Err(io::Error::other(message))
        }
    }
}
