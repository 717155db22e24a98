//! Versions of programs: what each says of itself, and the oldest that does what labs ask of it.

use std::process::{Command, Stdio};

use super::Level;
use crate::host::packages::{Need, Wanted};
use crate::host::programs::{Finder, Host};

/// The first QEMU that knows `-action`, by which a node's panic and reset are seen.
const QEMU: [u32; 3] = [6, 0, 0];
/// The first dnsmasq with `quiet-ra`.
const DNSMASQ: [u32; 3] = [2, 67, 0];
/// The first OpenSSH with ed25519 keys, which a lab's are.
const OPENSSH: [u32; 3] = [6, 5, 0];
/// What the ipmi_sim of OpenIPMI 2.0.33 says. nsplay's module binds to its structures, and refuses
/// any other.
const IPMI_SIM: &str = "1.0.13";

/// A version with which something does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// How bad that is.
    pub level: Level,
    /// What does not work, and with which version it would.
    pub cost: String,
    /// Whether a newer package may mend it.
    pub old: bool,
}

/// What a program says of its version, where it has a word for that.
pub fn of(need: Need, finder: &Finder) -> Option<String> {
    let arguments: &[&str] = match need {
        Need::Qemu | Need::QemuImg | Need::Dnsmasq | Need::Swtpm => &["--version"],
        Need::Sshd => &["-V"],
        // It prints it before it reads its configuration, which must not be the host's.
        Need::IpmiSim => &["-c", "/dev/null/none", "-n"],
        // Debian's says that it is unknown; the others are files, or one of several.
        Need::Passt
        | Need::Httpd(_)
        | Need::OptionRom(_)
        | Need::Ovmf
        | Need::OvmfSecure
        | Need::IpxeBios
        | Need::IpxeUefi => return None,
    };
    let program = Host::program(finder, &need.to_string())?;
    let said = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [said.stdout, said.stderr].concat();
    in_text(&String::from_utf8_lossy(&text))
}

/// The first word that is a version.
fn in_text(text: &str) -> Option<String> {
    let begins = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_digit()) || word.starts_with("OpenSSH_")
    };
    let word = text.split_ascii_whitespace().find(begins)?;
    Some(word.trim_end_matches(',').to_owned())
}

/// What does not work with this version of a program.
pub fn unfit(need: Need, version: &str) -> Option<Unfit> {
    let oldest = |name: &str, oldest: [u32; 3], cost: &str| {
        let [major, minor, _] = oldest;
        (numbers(version) < oldest).then(|| Unfit {
            level: Level::Missing,
            cost: format!("{cost}; that takes {name} {major}.{minor}"),
            old: true,
        })
    };
    match need {
        Need::Qemu => oldest("QEMU", QEMU, "no node runs"),
        Need::Dnsmasq => oldest("dnsmasq", DNSMASQ, "only labs with dhcp = false run"),
        Need::Sshd => oldest("OpenSSH", OPENSSH, "only labs with ssh = false run"),
        Need::IpmiSim if version != IPMI_SIM => Some(Unfit {
            level: Level::Missing,
            cost: format!("no node has a BMC; that takes {IPMI_SIM}, of OpenIPMI 2.0.33"),
            old: numbers(version) < numbers(IPMI_SIM),
        }),
        Need::IpmiSim
        | Need::QemuImg
        | Need::Swtpm
        | Need::Passt
        | Need::Httpd(_)
        | Need::OptionRom(_)
        | Need::Ovmf
        | Need::OvmfSecure
        | Need::IpxeBios
        | Need::IpxeUefi => None,
    }
}

/// What does not work in the versions that are here of what is wanted, each in a sentence.
#[must_use]
pub fn wrong(wanted: &[Wanted], finder: &Finder) -> Vec<String> {
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    for need in wanted.iter().map(|wanted| wanted.need) {
        if seen.contains(&need) {
            continue;
        }
        seen.push(need);
        if let Some(version) = of(need, finder)
            && let Some(unfit) = unfit(need, &version)
        {
            wrong.push(format!("{need} is {version} here: {}", unfit.cost));
        }
    }
    wrong
}

/// The first three numbers of a version, wherever they begin; 0 where it has fewer.
pub fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u32::MAX));
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say_of_themselves_is_understood() {
        for (said, version) in [
            (
                "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003",
                "7.2.22",
            ),
            (
                "Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon",
                "2.90",
            ),
            (
                "unknown option -- V\nOpenSSH_9.2p1 Debian-2, OpenSSL 3.0",
                "OpenSSH_9.2p1",
            ),
            ("OpenSSH_9.9, OpenSSL 3.0", "OpenSSH_9.9"),
            (
                "TPM emulator version 0.7.1, Copyright (c) 2014-2021",
                "0.7.1",
            ),
            (
                "IPMI Simulator version 1.0.13\nUnable to open configuration",
                "1.0.13",
            ),
        ] {
            assert_eq!(in_text(said).as_deref(), Some(version), "{said}");
        }
        assert_eq!(in_text("no word of it"), None);
    }

    #[test]
    fn a_version_is_judged_by_its_numbers_and_not_by_its_letters() {
        let fits = |need, version| unfit(need, version).is_none();
        assert!(fits(Need::Qemu, "10.0.2") && fits(Need::Qemu, "6.0.0"));
        assert!(!fits(Need::Qemu, "5.2.0"));
        assert!(fits(Need::Dnsmasq, "2.90") && fits(Need::Dnsmasq, "2.67"));
        assert!(!fits(Need::Dnsmasq, "2.9"));
        assert!(fits(Need::Sshd, "OpenSSH_10.0p2") && fits(Need::Sshd, "OpenSSH_6.5"));
        assert!(!fits(Need::Sshd, "OpenSSH_5.3p1"));
    }

    #[test]
    fn only_a_bmc_that_is_too_old_is_mended_by_a_newer_package() {
        assert_eq!(unfit(Need::IpmiSim, "1.0.13"), None);
        let old = unfit(Need::IpmiSim, "1.0.9").unwrap();
        assert!(old.old && old.cost.contains("2.0.33"), "{old:?}");
        assert!(!unfit(Need::IpmiSim, "1.1.0").unwrap().old);
    }
}
