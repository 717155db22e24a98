//! What is made of the facts.

use super::{Facts, Finding, Level, Mend};
use crate::host::cgroups::{CONTROLLERS, Cgroups, DELEGATE};
use crate::host::packages::{Manager, Need};
use crate::kernel::kvm::Verdict;
use crate::ui;

/// The oldest kernel that has all that a lab uses.
const OLDEST: (u32, u32) = (5, 11);

/// A table that belongs to a process ends with it; without that `nat` would leave one behind.
const TABLES_HAVE_OWNERS: (u32, u32) = (5, 12);

/// A node's disk grows as its guest writes to it; less is soon full.
const ROOM: u64 = 2 << 30;
/// The log and the TPM of a lab, and what it has in `/run`.
const LEAST_ROOM: u64 = 16 << 20;

/// Judges all facts, in the order in which things are needed.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![kernel(facts), privileges(facts), namespaces(facts)];
    findings.extend(features(facts));
    findings.push(tun(facts));
    findings.push(kvm(facts));
    findings.extend(programs(facts));
    findings.push(image(facts));
    findings.extend(facts.ports.iter().map(port));
    findings.extend(facts.folders.iter().map(folder));
    findings.push(ipv6(facts));
    findings.push(entropy(facts));
    findings.push(user_namespaces(facts));
    findings.push(cgroups(facts));
    findings
}

fn ok(what: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding {
        what: what.into(),
        level: Level::Ok,
        found: found.into(),
        cost: String::new(),
        mend: None,
    }
}

impl Finding {
    fn but(mut self, level: Level, cost: impl Into<String>) -> Self {
        self.level = level;
        self.cost = cost.into();
        self
    }

    fn by(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(Mend {
            command: command.into(),
            automatic: true,
        });
        self
    }

    /// What people must judge before they run it.
    fn by_hand(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(Mend {
            command: command.into(),
            automatic: false,
        });
        self
    }
}

fn kernel(facts: &Facts) -> Finding {
    let (release, machine) = &facts.kernel;
    let finding = ok("kernel", format!("{release}, {machine}, {}", facts.system));
    let (major, minor) = OLDEST;
    if machine != "x86_64" {
        return finding.but(Level::Missing, "nsplay runs on x86-64");
    }
    if version(release) < OLDEST {
        return finding.but(Level::Missing, format!("labs need Linux {major}.{minor}"));
    }
    finding
}

/// The first two numbers of `uname -r`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    (next().unwrap_or_default(), next().unwrap_or_default())
}

fn privileges(facts: &Facts) -> Finding {
    match (facts.root, facts.capable) {
        (true, true) => ok("privileges", "root"),
        (true, false) => ok("privileges", "root without CAP_SYS_ADMIN or CAP_NET_ADMIN").but(
            Level::Missing,
            "no namespaces or links can be made; in a container it needs --privileged",
        ),
        (false, _) => ok("privileges", "not root")
            .but(
                Level::Degraded,
                "labs are made in a user namespace, without `attach`, on unprivileged ports",
            )
            .by_hand("sudo nsplay doctor"),
    }
}

fn namespaces(facts: &Facts) -> Finding {
    let found = ok("namespaces", facts.namespaces.join(", "));
    match facts.namespaces.len() {
        5 => found,
        _ => found.but(
            Level::Missing,
            "a lab is made of net, mnt, pid, ipc and uts",
        ),
    }
}

fn features(facts: &Facts) -> Vec<Finding> {
    let of = |feature: &super::Feature| {
        let module = feature.module;
        let (level, cost) = match module {
            "nf_tables" => (Level::Degraded, "`nat = true` cannot be had"),
            "sch_netem" => (
                Level::Degraded,
                "`nsplay link` has no --loss and no --delay",
            ),
            _ => (Level::Missing, "a lab's network is made of it"),
        };
        if module == "nf_tables" && version(&facts.kernel.0) < TABLES_HAVE_OWNERS {
            let found = ok(module, "its tables have no owners before Linux 5.12");
            return found.but(level, cost);
        }
        match feature.there {
            Some(true) => ok(module, "there"),
            Some(false) => {
                let not = ok(module, "the kernel does not have it").but(level, cost);
                not.by(format!("modprobe {module}"))
            }
            None => ok(module, "neither asking nor /lib/modules tells").but(Level::Degraded, cost),
        }
    };
    facts.features.iter().map(of).collect()
}

fn tun(facts: &Facts) -> Finding {
    match &facts.tun {
        None => ok("/dev/net/tun", "can be opened"),
        Some(why) => ok("/dev/net/tun", why)
            .but(Level::Missing, "nodes have no network card")
            .by("modprobe tun"),
    }
}

fn kvm(facts: &Facts) -> Finding {
    let why = match &facts.kvm {
        Verdict::Works => return ok("/dev/kvm", "runs code"),
        Verdict::Unusable(why) => why,
    };
    let cost = "guests run under TCG, QEMU's own translator: five times slower and more";
    let finding = ok("/dev/kvm", why).but(Level::Degraded, cost);
    match facts.processor {
        Some(module) if why.contains("there is no /dev/kvm") => {
            finding.by(format!("modprobe {module}"))
        }
        _ if why.contains("ermission denied") && !facts.root => {
            finding.by_hand("sudo usermod -aG kvm \"$USER\"")
        }
        Some(_) | None => finding,
    }
}

fn programs(facts: &Facts) -> Vec<Finding> {
    let of = |program: &super::Program| {
        let what = match program.need {
            Need::Httpd(_) => "HTTP server".to_owned(),
            need => need.to_string(),
        };
        if program.there {
            return ok(what, program.version.as_deref().unwrap_or("there"));
        }
        let (level, cost) = match program.need {
            Need::Qemu => (Level::Missing, "no node runs"),
            Need::IpmiSim => (Level::Missing, "no node has a BMC"),
            Need::Dnsmasq => (Level::Missing, "only labs with dhcp = false run"),
            Need::Httpd(_) => (Level::Missing, "only labs with web = false run"),
            Need::Sshd => (Level::Missing, "only labs with ssh = false run"),
            Need::OptionRom(_) => (Level::Missing, "no node has this network card"),
            Need::IpxeBios => (Level::Degraded, "a BIOS does not come by iPXE over TFTP"),
            Need::IpxeUefi => (Level::Degraded, "UEFI does not come by iPXE over TFTP"),
            Need::Ovmf => (Level::Degraded, "no node with firmware = \"uefi\" runs"),
            Need::OvmfSecure => (Level::Degraded, "no node with secure_boot = true runs"),
            Need::QemuImg => (Level::Degraded, "no disk lies over an image"),
            Need::Swtpm => (Level::Degraded, "no node with tpm = true runs"),
        };
        let finding = ok(what, "not found").but(level, cost);
        let package = facts
            .manager
            .and_then(|manager| Some((manager, program.need.package(manager)?)));
        match package {
            Some((manager, package)) => finding.by(install(manager, package)),
            None => finding,
        }
    };
    facts.programs.iter().map(of).collect()
}

/// The command that installs packages without asking.
pub(super) fn install(manager: Manager, packages: &str) -> String {
    let command = match manager {
        Manager::Apt => "apt-get install -y --no-install-recommends",
        Manager::Dnf => "dnf install -y",
        Manager::Pacman => "pacman -S --needed --noconfirm",
        Manager::Apk => "apk add",
        Manager::Zypper => "zypper --non-interactive install",
    };
    format!("{command} {packages}")
}

fn image(facts: &Facts) -> Finding {
    match facts.image {
        true => ok("image", "built"),
        false => ok("image", "not built yet")
            .but(
                Level::Degraded,
                "nodes have nothing to boot but what a lab serves",
            )
            .by("nsplay image build"),
    }
}

fn port(port: &super::Port) -> Finding {
    let what = format!("port {}/{}", port.address, port.protocol);
    match &port.taken_by {
        None => ok(what, "free"),
        Some(by) if by.starts_with("nsplay ") => ok(what, format!("a lab has it: {by}")),
        Some(by) => ok(what, format!("taken by {by}"))
            .but(Level::Degraded, "the default lab cannot publish it")
            .by_hand("nsplay up --port-offset 1000"),
    }
}

fn folder(folder: &super::Folder) -> Finding {
    let what = format!("room in {}", folder.path);
    if folder.read_only {
        return ok(what, "it can only be read").but(Level::Missing, "labs write there");
    }
    let Some(free) = folder.free else {
        return ok(what, "it is not there").but(Level::Missing, "labs write there");
    };
    let found = ok(what, format!("{} free", ui::bytes_of(free)));
    match free {
        ..LEAST_ROOM => found
            .but(Level::Missing, "a lab's files have no room")
            .by_hand("nsplay prune --disks"),
        _ if folder.path != "/run" && free < ROOM => found
            .but(Level::Degraded, "disks of nodes soon have no room")
            .by_hand("nsplay prune --disks"),
        _ => found,
    }
}

fn ipv6(facts: &Facts) -> Finding {
    match facts.ipv6 {
        true => ok("IPv6", "there"),
        false => ok("IPv6", "the kernel does not have it").but(
            Level::Degraded,
            "iPXE waits about 15 s for a router's answer at each boot",
        ),
    }
}

fn entropy(facts: &Facts) -> Finding {
    match facts.entropy {
        // Since 5.18 there are always 256 once the generator has been seeded.
        Some(bits @ 0..128) => ok("entropy", format!("{bits} bits"))
            .but(Level::Degraded, "keys of a lab are made when there is more"),
        Some(bits) => ok("entropy", format!("{bits} bits")),
        None => ok("entropy", "/proc does not tell"),
    }
}

fn user_namespaces(facts: &Facts) -> Finding {
    let what = "user namespaces";
    let cost = "`nsplay up` needs root then";
    match (facts.user_namespaces, facts.apparmor_restricts) {
        (None | Some(0), _) => ok(what, "none may be made")
            .but(Level::Degraded, cost)
            .by_hand("sysctl -w user.max_user_namespaces=10000"),
        (Some(_), true) => ok(what, "AppArmor keeps them from users")
            .but(Level::Degraded, cost)
            .by_hand("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        (Some(_), false) => ok(what, "there"),
    }
}

fn cgroups(facts: &Facts) -> Finding {
    let what = "cgroups";
    match &facts.cgroups {
        Cgroups::In {
            parent,
            controllers,
        } => {
            let (parent, has) = (parent.display(), controllers.join(", "));
            let found = ok(what, format!("{has} for labs, in {parent}"));
            match CONTROLLERS.len() == controllers.len() {
                true => found,
                false => found.but(Level::Degraded, "other limits of labs do not hold"),
            }
        }
        Cgroups::Not { why, unowned, .. } => {
            let found = ok(what, format!("none can be made for labs: {why}")).but(
                Level::Degraded,
                "limits are rlimits: none for processors' time, nor for memory of nodes",
            );
            match unowned {
                true => found.by_hand(format!("{DELEGATE} nsplay up")),
                false => found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::{Feature, Folder, Port, Program};
    use super::*;

    /// A host that has everything.
    fn well() -> Facts {
        let needs = [Need::Qemu, Need::Dnsmasq, Need::Ovmf];
        Facts {
            system: "Debian".to_owned(),
            kernel: ("6.1.0-56-amd64".to_owned(), "x86_64".to_owned()),
            root: true,
            capable: true,
            namespaces: vec!["net", "mnt", "pid", "ipc", "uts"],
            features: ["bridge", "veth", "nf_tables", "sch_netem"]
                .map(|module| Feature {
                    module,
                    there: Some(true),
                })
                .into(),
            tun: None,
            kvm: Verdict::Works,
            processor: Some("kvm_intel"),
            apparmor_restricts: false,
            user_namespaces: Some(1000),
            programs: needs
                .map(|need| Program {
                    need,
                    there: true,
                    version: None,
                })
                .into(),
            manager: Some(Manager::Apt),
            image: true,
            ports: vec![Port {
                address: SocketAddr::from(([127, 0, 0, 1], 623)),
                protocol: "udp",
                taken_by: None,
            }],
            folders: ["/run", "/var/lib"]
                .map(|path| Folder {
                    path,
                    free: Some(10 << 30),
                    read_only: false,
                })
                .into(),
            ipv6: true,
            entropy: Some(256),
            cgroups: Cgroups::In {
                parent: "/sys/fs/cgroup".into(),
                controllers: CONTROLLERS.map(str::to_owned).into(),
            },
        }
    }

    /// What is not as it should be.
    fn told(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = well();
        change(&mut facts);
        let wrong = examine(&facts)
            .into_iter()
            .filter(|finding| finding.level != Level::Ok);
        wrong
            .map(|finding| {
                assert!(!finding.cost.is_empty(), "{finding:?}");
                let mend = finding.mend.map_or_else(String::new, |mend| mend.command);
                format!("{} {}: {mend}", finding.what, finding.level)
            })
            .collect()
    }

    #[test]
    fn a_host_that_has_everything_is_well() {
        assert_eq!(told(|_| {}), [""; 0]);
    }

    #[test]
    fn each_lack_has_its_level_and_its_way_out() {
        let kernel = |release: &str| {
            let release = release.to_owned();
            told(move |facts| facts.kernel.0 = release)
        };
        assert_eq!(
            kernel("5.10.0-9"),
            ["kernel missing: ", "nf_tables degraded: "]
        );
        assert_eq!(kernel("5.11"), ["nf_tables degraded: "]);
        assert_eq!(kernel("5.12.0"), [""; 0]);
        assert_eq!(
            told(|facts| facts.kernel.1 = "aarch64".to_owned()),
            ["kernel missing: "]
        );
        assert_eq!(
            told(|facts| facts.root = false),
            ["privileges degraded: sudo nsplay doctor"]
        );
        assert_eq!(
            told(|facts| facts.capable = false),
            ["privileges missing: "]
        );
        assert_eq!(
            told(|facts| facts.namespaces.truncate(4)),
            ["namespaces missing: "]
        );
        assert_eq!(
            told(|facts| facts.features[1].there = Some(false)),
            ["veth missing: modprobe veth"]
        );
        assert_eq!(
            told(|facts| facts.features[2].there = Some(false)),
            ["nf_tables degraded: modprobe nf_tables"]
        );
        assert_eq!(
            told(|facts| facts.features[3].there = Some(false)),
            ["sch_netem degraded: modprobe sch_netem"]
        );
        assert_eq!(
            told(|facts| facts.tun = Some("there is no /dev/net/tun".to_owned())),
            ["/dev/net/tun missing: modprobe tun"]
        );
        let no_kvm =
            |facts: &mut Facts| facts.kvm = Verdict::Unusable("there is no /dev/kvm".to_owned());
        assert_eq!(told(no_kvm), ["/dev/kvm degraded: modprobe kvm_intel"]);
        assert_eq!(
            told(|facts| facts.image = false),
            ["image degraded: nsplay image build"]
        );
        assert_eq!(
            told(|facts| facts.ports[0].taken_by = Some("bmcd (pid 7)".to_owned())),
            ["port 127.0.0.1:623/udp degraded: nsplay up --port-offset 1000"]
        );
        assert_eq!(
            told(|facts| facts.ports[0].taken_by = Some("nsplay (pid 7)".to_owned())),
            [""; 0]
        );
        assert_eq!(
            told(|facts| facts.folders[1].free = Some(1 << 30)),
            ["room in /var/lib degraded: nsplay prune --disks"]
        );
        assert_eq!(told(|facts| facts.folders[0].free = Some(1 << 30)), [""; 0]);
        assert_eq!(
            told(|facts| facts.folders[0].read_only = true),
            ["room in /run missing: "]
        );
        assert_eq!(told(|facts| facts.ipv6 = false), ["IPv6 degraded: "]);
        assert_eq!(
            told(|facts| facts.entropy = Some(5)),
            ["entropy degraded: "]
        );
        assert_eq!(
            told(|facts| facts.apparmor_restricts = true),
            ["user namespaces degraded: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"]
        );
        assert_eq!(
            told(|facts| facts.user_namespaces = Some(0)),
            ["user namespaces degraded: sysctl -w user.max_user_namespaces=10000"]
        );
        let no_groups = |unowned| {
            told(move |facts| {
                let why = "/sys/fs/cgroup is not this user's".to_owned();
                let counts = true;
                facts.cgroups = Cgroups::Not {
                    why,
                    unowned,
                    counts,
                };
            })
        };
        assert_eq!(no_groups(false), ["cgroups degraded: "]);
        assert_eq!(
            no_groups(true),
            ["cgroups degraded: systemd-run --user --scope -p Delegate=yes nsplay up"]
        );
    }

    #[test]
    fn packages_are_those_of_the_distribution() {
        let lacks = |manager| {
            told(move |facts| {
                facts.manager = manager;
                for program in &mut facts.programs {
                    program.there = false;
                }
            })
        };
        assert_eq!(
            lacks(Some(Manager::Dnf)),
            [
                "qemu-system-x86_64 missing: dnf install -y qemu-system-x86-core",
                "dnsmasq missing: dnf install -y dnsmasq",
                "OVMF_CODE.fd and OVMF_VARS.fd degraded: dnf install -y edk2-ovmf",
            ]
        );
        for manager in [Manager::Apt, Manager::Pacman, Manager::Apk, Manager::Zypper] {
            assert!(lacks(Some(manager))[1].ends_with(" dnsmasq") || manager == Manager::Apt);
        }
        assert_eq!(lacks(None)[1], "dnsmasq missing: ", "no manager is known");
    }
}
