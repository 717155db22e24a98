//! Each lack of a host has its level and its way out.

use std::net::SocketAddr;

use super::super::{Feature, Folder, Port, Program};
use super::*;
use crate::error::Problem;

/// A host that has everything.
fn well() -> Facts {
    let needs = [Need::Qemu, Need::Dnsmasq, Need::Ovmf];
    Facts {
        system: "Debian".to_owned(),
        kernel: ("6.1.0-56-amd64".to_owned(), "x86_64".to_owned()),
        root: true,
        forbidden: None,
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
        users_refused: false,
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
                path: path.into(),
                transient: path == "/run",
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
    let forbidden = |facts: &mut Facts| {
        facts.forbidden = Some(Problem {
            message: "a seccomp filter forbids it".to_owned(),
            hint: None,
        });
    };
    assert_eq!(told(forbidden), ["privileges missing: "]);
    let refused = |facts: &mut Facts| {
        forbidden(facts);
        facts.root = false;
        facts.users_refused = true;
    };
    assert_eq!(
        told(refused),
        [
            "privileges missing: sudo nsplay doctor",
            "user namespaces degraded: sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ]
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
    assert_eq!(
        told(|facts| facts.tun = Some("there is no /dev/net/tun".to_owned())),
        ["/dev/net/tun missing: modprobe tun"]
    );
    let no_kvm =
        |facts: &mut Facts| facts.kvm = Verdict::Unusable("there is no /dev/kvm".to_owned());
    assert_eq!(told(no_kvm), ["/dev/kvm degraded: modprobe kvm_intel"]);
    let not_ours = |facts: &mut Facts| {
        let why = "/dev/kvm: Permission denied (os error 13)".to_owned();
        facts.kvm = Verdict::Unusable(why);
        facts.root = false;
    };
    assert_eq!(
        told(not_ours)[1],
        "/dev/kvm degraded: sudo usermod -aG kvm \"$USER\""
    );
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
        ["user namespaces degraded: sysctl -w user.max_user_namespaces=15000"]
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

#[test]
fn a_program_that_is_too_old_is_told_with_the_package_that_may_be_newer() {
    let of = |need, version: &str| {
        let version = version.to_owned();
        told(move |facts| {
            facts.programs = vec![Program {
                need,
                there: true,
                version: Some(version),
            }];
        })
    };
    assert_eq!(of(Need::Qemu, "6.2.0"), [""; 0]);
    assert_eq!(
        of(Need::Qemu, "5.2.0"),
        ["qemu-system-x86_64 missing: \
             apt-get install -y --no-install-recommends qemu-system-x86"]
    );
    assert_eq!(of(Need::IpmiSim, "2.0.0"), ["ipmi_sim missing: "]);
}

#[test]
fn what_no_package_brings_is_said() {
    let mut facts = well();
    facts.manager = Some(Manager::Pacman);
    facts.programs = vec![Program {
        need: Need::IpmiSim,
        there: false,
        version: None,
    }];
    let findings = examine(&facts);
    let found = findings.iter().find(|found| found.what == "ipmi_sim");
    let found = found.unwrap();
    assert_eq!(
        found.cost,
        "no node has a BMC; no package of pacman is known to bring it"
    );
    assert_eq!(found.mend, None);
}
