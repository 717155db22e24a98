//! What is made of the facts.

use super::versions::{numbers, unfit};
use super::{Facts, Finding, Level, Mend};
use crate::host::cgroups::{CONTROLLERS, Cgroups, DELEGATE};
use crate::host::packages::{Manager, Need};
use crate::kernel::kvm::Verdict;
use crate::ui;

/// The oldest kernel that has all that a lab uses.
const OLDEST: [u32; 3] = [5, 11, 0];

/// A table that belongs to a process ends with it; without that `nat` would leave one behind.
const TABLES_HAVE_OWNERS: [u32; 3] = [5, 12, 0];

/// What needs root, by its first word.
const ROOTS: [&str; 9] = [
    "apt-get", "dnf", "pacman", "apk", "zypper", "modprobe", "sysctl", "usermod", "chmod",
];

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
    if !facts.root {
        let mends = findings.iter_mut().filter_map(|f| f.mend.as_mut());
        for mend in mends {
            let first = mend.command.split(' ').next().unwrap_or_default();
            if ROOTS.contains(&first) {
                mend.command.insert_str(0, "sudo ");
            }
        }
    }
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
            package: None,
        });
        self
    }

    /// By installing a package, or a newer one.
    fn by_package(mut self, manager: Manager, package: &'static str) -> Self {
        self.mend = Some(Mend {
            command: install(manager, &[package]),
            automatic: true,
            package: Some((manager, package)),
        });
        self
    }

    /// What people must judge before they run it.
    fn by_hand(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(Mend {
            command: command.into(),
            automatic: false,
            package: None,
        });
        self
    }
}

fn kernel(facts: &Facts) -> Finding {
    let (release, machine) = &facts.kernel;
    let finding = ok("kernel", format!("{release}, {machine}, {}", facts.system));
    let [major, minor, _] = OLDEST;
    if machine != "x86_64" {
        return finding.but(Level::Missing, "nsplay runs on x86-64");
    }
    if numbers(release) < OLDEST {
        return finding.but(Level::Missing, format!("labs need Linux {major}.{minor}"));
    }
    finding
}

fn privileges(facts: &Facts) -> Finding {
    let who = if facts.root { "root" } else { "not root" };
    let problem = match (&facts.forbidden, facts.root) {
        (None, true) => return ok("privileges", who),
        (None, false) => {
            return ok("privileges", who)
                .but(
                    Level::Degraded,
                    "labs are made in a user namespace, without `attach` and `nat = \"nft\"`, on \
                     unprivileged ports",
                )
                .by_hand("sudo nsplay doctor");
        }
        (Some(problem), _) => problem,
    };
    let cost = match &problem.hint {
        Some(hint) => format!("no lab can be made: {hint}"),
        None => "no lab can be made".to_owned(),
    };
    let finding = ok("privileges", format!("{who}; {}", problem.message));
    let finding = finding.but(Level::Missing, cost);
    match facts.root {
        true => finding,
        false => finding.by_hand("sudo nsplay doctor"),
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
        if module == "nf_tables" && numbers(&facts.kernel.0) < TABLES_HAVE_OWNERS {
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
    let Some(why) = &facts.tun else {
        return ok("/dev/net/tun", "can be opened");
    };
    let finding = ok("/dev/net/tun", why).but(Level::Missing, "nodes have no network card");
    match why.contains("ermission denied") {
        // udev has it so: it gives nobody power over the host's network.
        true => finding.by("chmod 0666 /dev/net/tun"),
        false => finding.by("modprobe tun"),
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
        _ if why.contains("ermission denied") && !facts.root => finding
            .but(
                Level::Degraded,
                format!("{cost}; once you are in its group and have logged in again, KVM is tried"),
            )
            .by_hand("usermod -aG kvm \"$USER\""),
        Some(_) | None => finding,
    }
}

fn programs(facts: &Facts) -> Vec<Finding> {
    let of = |program: &super::Program| {
        let what = match program.need {
            Need::Httpd(_) => "HTTP server".to_owned(),
            need => need.to_string(),
        };
        let package = facts
            .manager
            .and_then(|manager| Some((manager, program.need.package(manager)?)));
        let by_package = |finding: Finding| match package {
            Some((manager, package)) => finding.by_package(manager, package),
            None => finding,
        };
        if program.there {
            let version = program.version.as_deref();
            let finding = ok(what, version.unwrap_or("there"));
            return match version.and_then(|version| unfit(program.need, version)) {
                None => finding,
                Some(unfit) if unfit.old => by_package(finding.but(unfit.level, unfit.cost)),
                Some(unfit) => finding.but(unfit.level, unfit.cost),
            };
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
            Need::Passt => (
                Level::Degraded,
                "`nat` needs a host that forwards packets already",
            ),
        };
        let cost = match (facts.manager, package) {
            (Some(manager), None) => {
                let manager = manager.program();
                format!("{cost}; no package of {manager} is known to bring it")
            }
            (None, _) | (_, Some(_)) => cost.to_owned(),
        };
        by_package(ok(what, "not found").but(level, cost))
    };
    facts.programs.iter().map(of).collect()
}

/// The command that installs packages without asking.
#[must_use]
pub fn install(manager: Manager, packages: &[&str]) -> String {
    let command = match manager {
        Manager::Apt => "apt-get install -y --no-install-recommends",
        Manager::Dnf => "dnf install -y",
        Manager::Pacman => "pacman -S --needed --noconfirm",
        Manager::Apk => "apk add",
        Manager::Zypper => "zypper --non-interactive install",
    };
    format!("{command} {}", packages.join(" "))
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
    let what = format!("room in {}", folder.path.display());
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
        _ if !folder.transient && free < ROOM => found
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
    let finding = |found| ok(what, found).but(Level::Degraded, "`nsplay up` needs root then");
    match (facts.user_namespaces, facts.apparmor_restricts) {
        (None, _) => finding("the kernel has none"),
        (Some(0), _) => finding("none may be made by anybody")
            .by_hand("sysctl -w user.max_user_namespaces=15000"),
        (Some(_), _) if facts.users_refused => finding("only root may make them")
            .by_hand("sysctl -w kernel.unprivileged_userns_clone=1"),
        (Some(_), true) => finding("AppArmor takes a user's capabilities in them")
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
mod tests;
