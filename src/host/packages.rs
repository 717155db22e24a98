//! What a lab needs of the host, and which package brings what is missing.
//!
//! Finding things is [`programs`](super::programs)' and [`firmware`]'s; this
//! file knows names of packages.

use std::fmt;

use super::firmware;
use super::programs::Host;
use crate::lab::{Firmware, HttpServer, Lab, NicModel};
use crate::service::httpd;

/// Something of the host that a lab uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// dnsmasq(8).
    Dnsmasq,
    /// One of the HTTP servers that the lab accepts.
    Httpd(HttpServer),
    /// sshd(8).
    Sshd,
    /// QEMU for x86-64.
    Qemu,
    /// ipmi_sim(1).
    IpmiSim,
    /// A NIC's iPXE, which QEMU loads as its option ROM.
    OptionRom(NicModel),
    /// OVMF's code and variables.
    Ovmf,
    /// The same with keys for Secure Boot.
    OvmfSecure,
    /// qemu-img(1).
    QemuImg,
    /// swtpm(8).
    Swtpm,
    /// passt(1).
    Passt,
    /// iPXE to be loaded over TFTP by a BIOS.
    IpxeBios,
    /// iPXE to be loaded over TFTP by UEFI.
    IpxeUefi,
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, Red Hat.
    Dnf,
    /// Arch.
    Pacman,
    /// Alpine.
    Apk,
    /// openSUSE, SUSE.
    Zypper,
}

impl Manager {
    const ALL: [Self; 5] = [Self::Apt, Self::Dnf, Self::Pacman, Self::Apk, Self::Zypper];

    /// Returns the first one that is installed on `host`.
    #[must_use]
    pub fn detect(host: &impl Host) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|manager| host.program(manager.program()).is_some())
    }

    /// The program's name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Apk => "apk",
            Self::Zypper => "zypper",
        }
    }

    fn install(self) -> &'static str {
        match self {
            Self::Apt => "apt-get install",
            Self::Dnf => "dnf install",
            Self::Pacman => "pacman -S",
            Self::Apk => "apk add",
            Self::Zypper => "zypper install",
        }
    }
}

/// The packages that bring one need; none where a distribution has no such package.
struct Packages {
    apt: Option<&'static str>,
    dnf: Option<&'static str>,
    pacman: Option<&'static str>,
    apk: Option<&'static str>,
    zypper: Option<&'static str>,
}

impl Packages {
    const fn new(
        apt: &'static str,
        dnf: &'static str,
        pacman: &'static str,
        apk: &'static str,
        zypper: &'static str,
    ) -> Self {
        const fn named(name: &'static str) -> Option<&'static str> {
            if name.is_empty() { None } else { Some(name) }
        }
        Self {
            apt: named(apt),
            dnf: named(dnf),
            pacman: named(pacman),
            apk: named(apk),
            zypper: named(zypper),
        }
    }

    fn of(&self, manager: Manager) -> Option<&'static str> {
        match manager {
            Manager::Apt => self.apt,
            Manager::Dnf => self.dnf,
            Manager::Pacman => self.pacman,
            Manager::Apk => self.apk,
            Manager::Zypper => self.zypper,
        }
    }
}

impl Need {
    /// Tells whether `host` has it.
    #[must_use]
    pub fn is_met(self, host: &impl Host) -> bool {
        match self {
            Self::Dnsmasq
            | Self::Sshd
            | Self::Qemu
            | Self::QemuImg
            | Self::Swtpm
            | Self::Passt
            | Self::IpmiSim => host.program(&self.to_string()).is_some(),
            Self::Httpd(choice) => httpd::find(choice, |name| host.program(name)).is_ok(),
            Self::OptionRom(nic) => firmware::option_rom(host, nic).is_some(),
            Self::Ovmf => firmware::ovmf(host, firmware::OVMF).is_some(),
            Self::OvmfSecure => firmware::ovmf(host, firmware::OVMF_SECURE).is_some(),
            Self::IpxeBios => firmware::first(host, firmware::IPXE_BIOS).is_some(),
            Self::IpxeUefi => firmware::first(host, firmware::IPXE_UEFI).is_some(),
        }
    }

    /// Returns the package that brings it, if `manager` has one.
    #[must_use]
    pub fn package(self, manager: Manager) -> Option<&'static str> {
        // apt-get, dnf, pacman, apk, zypper
        let packages = match self {
            Self::Dnsmasq => {
                Packages::new("dnsmasq-base", "dnsmasq", "dnsmasq", "dnsmasq", "dnsmasq")
            }
            Self::Httpd(HttpServer::Auto | HttpServer::Lighttpd) => {
                Packages::new("lighttpd", "lighttpd", "lighttpd", "lighttpd", "lighttpd")
            }
            Self::Httpd(HttpServer::Nginx) => {
                Packages::new("nginx-light", "nginx", "nginx", "nginx", "nginx")
            }
            Self::Httpd(HttpServer::Apache) => {
                Packages::new("apache2-bin", "httpd", "apache", "apache2", "apache2")
            }
            Self::Httpd(HttpServer::Busybox) => {
                Packages::new("busybox", "busybox", "busybox", "busybox-extras", "busybox")
            }
            Self::Sshd => Packages::new(
                "openssh-server",
                "openssh-server",
                "openssh",
                "openssh-server",
                "openssh-server",
            ),
            Self::Qemu => Packages::new(
                "qemu-system-x86",
                "qemu-system-x86-core",
                "qemu-system-x86",
                "qemu-system-x86_64",
                "qemu-x86",
            ),
            // Arch has it in no repository of its own, only among its users' recipes.
            Self::IpmiSim => Packages::new(
                "openipmi",
                "OpenIPMI-lanserv",
                "",
                "openipmi-lanserv",
                "OpenIPMI",
            ),
            Self::OptionRom(_) => Packages::new(
                "ipxe-qemu",
                "ipxe-roms-qemu",
                "qemu-common",
                "qemu-system-x86_64",
                "qemu-ipxe",
            ),
            Self::Ovmf => {
                Packages::new("ovmf", "edk2-ovmf", "edk2-ovmf", "ovmf", "qemu-ovmf-x86_64")
            }
            // Arch's and Alpine's packages have no variables with keys.
            Self::OvmfSecure => Packages::new("ovmf", "edk2-ovmf", "", "", "qemu-ovmf-x86_64"),
            Self::QemuImg => {
                Packages::new("qemu-utils", "qemu-img", "qemu-img", "qemu-img", "qemu-img")
            }
            Self::Swtpm => Packages::new("swtpm", "swtpm", "swtpm", "swtpm", "swtpm"),
            Self::Passt => Packages::new("passt", "passt", "passt", "passt", "passt"),
            // Arch's package has no undionly.kpxe; Alpine has no package.
            Self::IpxeBios => Packages::new("ipxe", "ipxe-bootimgs-x86", "", "", "ipxe-bootimgs"),
            Self::IpxeUefi => {
                Packages::new("ipxe", "ipxe-bootimgs-x86", "ipxe", "", "ipxe-bootimgs")
            }
        };
        packages.of(manager)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dnsmasq => f.write_str("dnsmasq"),
            Self::Httpd(choice) => f.write_str(&httpd::binaries(*choice)),
            Self::Sshd => f.write_str("sshd"),
            Self::Qemu => f.write_str("qemu-system-x86_64"),
            Self::IpmiSim => f.write_str("ipmi_sim"),
            Self::OptionRom(nic) => f.write_str(firmware::option_rom_name(*nic)),
            Self::Ovmf => f.write_str("OVMF_CODE.fd and OVMF_VARS.fd"),
            Self::OvmfSecure => f.write_str("OVMF with keys for Secure Boot"),
            Self::QemuImg => f.write_str("qemu-img"),
            Self::Swtpm => f.write_str("swtpm"),
            Self::Passt => f.write_str("passt"),
            Self::IpxeBios => f.write_str("undionly.kpxe"),
            Self::IpxeUefi => f.write_str("snponly.efi or ipxe.efi"),
        }
    }
}

/// A need and the member that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is needed.
    pub need: Need,
    /// By whom: ``service `dhcp` ``.
    pub by: String,
}

/// Returns all that `lab` needs, in the order of its members.
///
/// iPXE's boot files are not among it: whether the TFTP root brings its own is
/// not the lab's to know.
#[must_use]
pub fn wanted(lab: &Lab) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut want = |need, by: String| wanted.push(Wanted { need, by });
    for dhcp in lab.dhcp_servers() {
        want(Need::Dnsmasq, format!("service `{}`", dhcp.name));
    }
    if let Some(web) = &lab.web {
        want(Need::Httpd(web.server), format!("service `{}`", web.name));
    }
    if let Some(ssh) = &lab.ssh {
        want(Need::Sshd, format!("service `{}`", ssh.name));
    }
    for node in &lab.nodes {
        let by = format!("node `{}`", node.name);
        want(Need::Qemu, by.clone());
        want(Need::IpmiSim, by.clone());
        for nic in node.nics() {
            want(Need::OptionRom(nic.model), by.clone());
        }
        match (node.firmware, node.secure_boot) {
            (Firmware::Bios, _) => {}
            (Firmware::Uefi, false) => want(Need::Ovmf, by.clone()),
            (Firmware::Uefi, true) => want(Need::OvmfSecure, by.clone()),
        }
        if node.disks.iter().any(|disk| disk.base.is_some()) {
            want(Need::QemuImg, by.clone());
        }
        if node.tpm.is_some() {
            want(Need::Swtpm, by);
        }
    }
    wanted
}

/// All that a lab needs and the host lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Each need once, with everyone who has it; never empty.
    absent: Vec<(Need, Vec<String>)>,
    manager: Option<Manager>,
}

/// Returns what `host` lacks of `wanted`, all of it at once.
#[must_use]
pub fn missing(wanted: &[Wanted], host: &impl Host) -> Option<Missing> {
    let mut absent: Vec<(Need, Vec<String>)> = Vec::new();
    for Wanted { need, by } in wanted {
        if let Some((_, all)) = absent.iter_mut().find(|(known, _)| known == need) {
            all.push(by.clone());
        } else if !need.is_met(host) {
            absent.push((*need, vec![by.clone()]));
        }
    }
    (!absent.is_empty()).then(|| Missing {
        absent,
        manager: Manager::detect(host),
    })
}

impl Missing {
    /// Returns one sentence per need: what is missing and for whom.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.absent
            .iter()
            .map(|(need, by)| format!("cannot find {need} for {}", some(by)))
            .collect()
    }

    /// Returns what to do about it: at most one command, then what no package brings.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let Some(manager) = self.manager else {
            let names = Manager::ALL.map(Manager::program).join(", ");
            return vec![format!(
                "install what is missing by hand: this host has none of {names}"
            )];
        };
        let mut command = Vec::new();
        let mut hints = Vec::new();
        for (need, _) in &self.absent {
            match need.package(manager) {
                Some(package) if command.contains(&package) => {}
                Some(package) => command.push(package),
                None => hints.push(format!(
                    "install {need} by hand: no package of {} is known to bring it",
                    manager.program()
                )),
            }
        }
        if !command.is_empty() {
            hints.insert(0, format!("{} {}", manager.install(), command.join(" ")));
        }
        hints
    }
}

/// Names the first few: a lab can have 64 nodes.
fn some(names: &[String]) -> String {
    const FEW: usize = 3;
    match names.len() {
        0..=FEW => names.join(", "),
        all => format!("{} and {} more", names[..FEW].join(", "), all - FEW),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hints = self.hints().into_iter().map(|hint| format!("hint: {hint}"));
        let lines: Vec<_> = self.errors().into_iter().chain(hints).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use insta::assert_snapshot;

    use super::{Host, Manager, Need, Wanted, missing};
    use crate::lab::{HttpServer, NicModel};

    /// A host with these programs and no files.
    struct Programs(Vec<&'static str>);

    impl Host for Programs {
        fn program(&self, name: &str) -> Option<PathBuf> {
            self.0
                .contains(&name)
                .then(|| Path::new("/usr/bin").join(name))
        }

        fn has_file(&self, _: &Path) -> bool {
            false
        }
    }

    fn everything() -> Vec<Wanted> {
        let of = |need, by: &str| Wanted {
            need,
            by: by.to_owned(),
        };
        let mut all = vec![
            of(Need::Dnsmasq, "service `dhcp`"),
            of(Need::IpxeBios, "service `dhcp`"),
            of(Need::IpxeUefi, "service `dhcp`"),
            of(Need::Httpd(HttpServer::Auto), "service `web`"),
            of(Need::Sshd, "service `ssh`"),
        ];
        for node in ["node `n1`", "node `n2`"] {
            all.push(of(Need::Qemu, node));
            all.push(of(Need::IpmiSim, node));
            all.push(of(Need::OptionRom(NicModel::E1000e), node));
            all.push(of(Need::Ovmf, node));
            all.push(of(Need::OvmfSecure, node));
            all.push(of(Need::QemuImg, node));
            all.push(of(Need::Swtpm, node));
        }
        all
    }

    fn report(manager: Manager) -> String {
        let host = Programs(vec![manager.program()]);
        missing(&everything(), &host).unwrap().to_string()
    }

    #[test]
    fn a_bare_debian_is_told_everything_at_once() {
        assert_snapshot!(report(Manager::Apt));
    }

    #[test]
    fn a_bare_fedora_is_told_everything_at_once() {
        assert_snapshot!(report(Manager::Dnf));
    }

    #[test]
    fn a_bare_arch_is_told_everything_at_once() {
        assert_snapshot!(report(Manager::Pacman));
    }

    #[test]
    fn a_bare_alpine_is_told_everything_at_once() {
        assert_snapshot!(report(Manager::Apk));
    }

    #[test]
    fn a_bare_opensuse_is_told_everything_at_once() {
        assert_snapshot!(report(Manager::Zypper));
    }

    #[test]
    fn without_a_known_package_manager_there_is_still_a_hint() {
        let host = Programs(vec!["sshd", "dnsmasq", "qemu-system-x86_64", "ipmi_sim"]);
        let wanted = &everything()[3..4];
        assert_snapshot!(missing(wanted, &host).unwrap(), @r"
        cannot find lighttpd, nginx, apache2, httpd, busybox-extras or busybox for service `web`
        hint: install what is missing by hand: this host has none of apt-get, dnf, pacman, apk, zypper
        ");
    }

    #[test]
    fn many_nodes_lack_one_thing_in_one_line() {
        let wanted: Vec<_> = (1..=64)
            .map(|n| Wanted {
                need: Need::Qemu,
                by: format!("node `n{n}`"),
            })
            .collect();
        assert_snapshot!(missing(&wanted, &Programs(vec!["apk"])).unwrap(), @r"
        cannot find qemu-system-x86_64 for node `n1`, node `n2`, node `n3` and 61 more
        hint: apk add qemu-system-x86_64
        ");
    }

    #[test]
    fn a_named_server_is_the_one_that_is_installed() {
        for (choice, package) in [
            (HttpServer::Lighttpd, "lighttpd"),
            (HttpServer::Nginx, "nginx-light"),
            (HttpServer::Apache, "apache2-bin"),
            (HttpServer::Busybox, "busybox"),
        ] {
            assert_eq!(Need::Httpd(choice).package(Manager::Apt), Some(package));
        }
    }

    #[test]
    fn nothing_is_missing_when_nothing_is_wanted_or_all_is_there() {
        let host = Programs(vec!["sshd", "nginx"]);
        assert_eq!(missing(&[], &host), None);
        let wanted = &everything()[3..5];
        assert_eq!(missing(wanted, &host), None);
    }
}
