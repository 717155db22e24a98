//! The versions of all that a lab is made of, for who reads of it on another machine.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::said::Asked;
use crate::host::owners;
use crate::host::packages::Manager;
use crate::host::programs::Finder;
use crate::host::tools::Tools;
use crate::host::{firmware, programs};
use crate::image;
use crate::lab::{Firmware, Lab};
use crate::service::httpd::Kind;

/// SeaBIOS, which QEMU finds by itself: Debian; Fedora, openSUSE; Arch, Alpine.
const SEABIOS: &[&str] = &[
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/seavgabios/bios-256k.bin",
    "/usr/share/qemu/bios-256k.bin",
];

/// Something that a lab is made of.
struct Part {
    name: String,
    path: PathBuf,
    /// What it says of itself; of a file, its digest.
    says: String,
}

/// A line for each program and each file of firmware: what it says, where it is, and its package.
pub fn of(lab: &Lab) -> String {
    let finder = Finder::from_env();
    let tools = Tools::find(lab, &finder);
    let mut text = format!("nsplay: {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, says: &str| {
        // A String takes all that is written.
        let _ = writeln!(text, "{name}: {}", says.trim());
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    line("kernel", &read("/proc/version"));
    let release = read("/etc/os-release");
    let system = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line("system", system.unwrap_or("unknown").trim_matches('"'));
    if let Some(image) = &tools.image {
        line("image", &image::contents(image).unwrap_or_default());
    }
    let mut parts = asked(lab, &tools, &finder);
    parts.extend(files(lab, &tools, &finder));
    let paths: Vec<_> = parts.iter().map(|part| part.path.clone()).collect();
    let packages = Manager::detect(&finder).map(|manager| owners::of(manager, &paths));
    for Part { name, path, says } in parts {
        let package = packages.as_ref().and_then(|all| all.get(&path));
        let package = package.map_or_else(|| "of no package".to_owned(), Clone::clone);
        line(&name, &format!("{says} ({}, {package})", path.display()));
    }
    text
}

/// Programs, all asked at once.
fn asked(lab: &Lab, tools: &Tools, finder: &Finder) -> Vec<Part> {
    let mut programs: Vec<(String, PathBuf, &[&str])> = Vec::new();
    let mut add = |path: Option<PathBuf>, options: &'static [&'static str]| {
        let there = path.filter(|path| programs::is_executable(path));
        if let Some(path) = there {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            programs.push((name.into_owned(), path.clone(), options));
        }
    };
    if lab.dhcp_servers().next().is_some() {
        add(tools.dnsmasq.clone(), &["--version"]);
    }
    if let Some(httpd) = &tools.httpd {
        let options: &[&str] = match httpd.kind {
            Kind::Lighttpd | Kind::Nginx | Kind::Apache => &["-v"],
            Kind::Busybox => &["--help"],
        };
        add(Some(httpd.binary.clone()), options);
    }
    if lab.ssh.is_some() {
        add(tools.sshd.clone(), &["-V"]);
    }
    if !lab.nodes.is_empty() {
        add(Some(tools.qemu.clone()), &["--version"]);
        add(Some(tools.qemu_img.clone()), &["--version"]);
        // It says its version before it finds that there is no such file.
        add(Some(tools.ipmi_sim.clone()), &["-c", "/dev/null/none"]);
        add(finder.program("ipmitool"), &["-V"]);
    }
    if lab.nodes.iter().any(|node| node.tpm.is_some()) {
        add(Some(tools.swtpm.clone()), &["--version"]);
    }
    let asked = programs.into_iter().map(|(name, path, options)| {
        let asked = Asked::start(Command::new(&path).args(options), "");
        (name, path, asked)
    });
    let asked: Vec<_> = asked.collect();
    let parts = asked.into_iter().map(|(name, path, asked)| {
        let said = asked.and_then(Asked::answer).unwrap_or_default();
        let first = said.lines().find(|line| line.contains(digit));
        let says = first.unwrap_or("says no version").trim().to_owned();
        Part { name, path, says }
    });
    // Nobody knows what a program of the user's own would do if it were asked.
    let own = tools.own.iter().map(|(name, path)| Part {
        name: format!("service {name}"),
        path: path.clone(),
        says: digest(path),
    });
    parts.chain(own).collect()
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// What the nodes' machines begin with.
fn files(lab: &Lab, tools: &Tools, finder: &Finder) -> Vec<Part> {
    let uses = |firmware| lab.nodes.iter().any(|node| node.firmware == firmware);
    let mut files: Vec<PathBuf> = Vec::new();
    if uses(Firmware::Bios) {
        files.extend(firmware::first(finder, SEABIOS));
        files.extend(tools.ipxe_bios.clone());
    }
    if uses(Firmware::Uefi) {
        files.extend(tools.ipxe_uefi.clone());
        let secure = lab.nodes.iter().any(|node| node.secure_boot);
        let pairs = [
            tools.ovmf.as_ref(),
            tools.ovmf_secure.as_ref().filter(|_| secure),
        ];
        for (code, vars) in pairs.into_iter().flatten() {
            files.extend([code.clone(), vars.clone()]);
        }
    }
    let nics = lab.nodes.iter().flat_map(|node| node.nics());
    let mut roms: Vec<_> = nics
        .filter_map(|nic| firmware::option_rom(finder, nic.model))
        .collect();
    roms.sort();
    roms.dedup();
    files.extend(roms);
    let parts = files.into_iter().map(|path| Part {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        says: digest(&path),
        path,
    });
    parts.collect()
}

/// Enough of a file's SHA-256 to tell it from another one.
fn digest(path: &Path) -> String {
    match fs::read(path) {
        Ok(bytes) => {
            let all = Sha256::digest(&bytes);
            let hex: String = all[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256 {hex}…")
        }
        Err(error) => error.to_string(),
    }
}
