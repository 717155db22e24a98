//! Every lab that ships, as the shell commands, configurations and command lines that `up` uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nsplay::diff::{Amiss, diff};
use nsplay::host::cgroups::{CONTROLLERS, Cgroups};
use nsplay::host::places::Places;
use nsplay::host::tools::Tools;
use nsplay::host::ways::HostWays;
use nsplay::image::boot_entries::Entry;
use nsplay::kernel::kvm::Verdict;
use nsplay::lab::Name;
use nsplay::lab::file::{Origin, load};
use nsplay::plan::{Plan, plan, plan_again};
use nsplay::service::httpd::{Found, Kind};
use nsplay::service::sshd_keys::Keys;

/// A host that has everything.
fn tools() -> Tools {
    let path = |name: &str| PathBuf::from("/usr/bin").join(name);
    Tools {
        places: Places::system(),
        dnsmasq: Some(path("dnsmasq")),
        httpd: Some(Found {
            kind: Kind::Lighttpd,
            binary: path("lighttpd"),
        }),
        sshd: Some(path("sshd")),
        qemu: path("qemu-system-x86_64"),
        qemu_img: path("qemu-img"),
        swtpm: path("swtpm"),
        ipmi_sim: path("ipmi_sim"),
        own: BTreeMap::new(),
        users: BTreeMap::new(),
        shell: path("bash"),
        ipxe_bios: Some(PathBuf::from("/usr/lib/ipxe/undionly.kpxe")),
        ipxe_uefi: Some(PathBuf::from("/usr/lib/ipxe/snponly.efi")),
        ovmf: Some((
            PathBuf::from("/ovmf/code.fd"),
            PathBuf::from("/ovmf/vars.fd"),
        )),
        ovmf_secure: Some((
            PathBuf::from("/ovmf/code.ms.fd"),
            PathBuf::from("/ovmf/vars.ms.fd"),
        )),
        image: Some(PathBuf::from("/var/lib/nsplay/.image")),
        entries: vec![Entry {
            name: "image".to_owned(),
            title: "nsplay image".to_owned(),
            files: vec![(
                "image/vmlinuz".to_owned(),
                PathBuf::from("/var/lib/nsplay/.image/vmlinuz"),
            )],
        }],
        scripts: BTreeSet::new(),
        strange: Vec::new(),
        kvm: Verdict::Unusable("a test asks for none".to_owned()),
        ipv6: true,
        ways: HostWays {
            passt: Some(path("passt")),
            links: true,
            forwards: true,
            transit: Some("198.18.0.0/30".parse().unwrap()),
            resolvers: vec![[192, 0, 2, 53].into()],
        },
        cgroups: Cgroups::In {
            parent: PathBuf::from("/sys/fs/cgroup"),
            controllers: CONTROLLERS.map(str::to_owned).to_vec(),
        },
    }
}

fn keys() -> Keys {
    Keys {
        host_private: "host private\n".to_owned(),
        host_public: "ssh-ed25519 HOST".to_owned(),
        user_private: "user private\n".to_owned(),
        user_public: "ssh-ed25519 USER".to_owned(),
    }
}

fn planned(text: &str) -> String {
    let lab = load(text, &Origin::built_in(None)).unwrap();
    plan(&lab, &tools(), &keys()).unwrap().to_string()
}

#[test]
fn every_lab_that_ships_has_the_plan_that_is_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        insta::assert_snapshot!(name, planned(&text));
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn the_bmc_is_configured_as_it_is_written_down() {
    let lab = load("", &Origin::built_in(None)).unwrap();
    let binary = Path::new("/usr/bin/ipmi_sim");
    let bmc = nsplay::bmc::ipmi_sim::program(&lab.nodes[0], binary, 7);
    let texts: Vec<&str> = bmc.files.iter().map(|file| file.text.as_str()).collect();
    insta::assert_snapshot!("ipmi_sim", texts.join("---\n"));
}

#[test]
fn a_plan_keeps_secrets_to_itself() {
    let plan = planned("[node.node1.bmc]\npassword = \"canary-77\"\n");
    assert!(
        !plan.contains("canary-77") && !plan.contains("private"),
        "{plan}"
    );
}

#[test]
fn a_uefi_node_gets_its_firmware_and_its_own_variables() {
    let plan = planned("[node.node1]\nfirmware = \"uefi\"\nboot = [\"disk\", \"network\"]\n");
    assert!(
        plan.contains("unit=0,readonly=on,file=/ovmf/code.fd"),
        "{plan}"
    );
    assert!(
        plan.contains("/var/lib/nsplay/default/node1/uefi-vars.fd"),
        "{plan}"
    );
    let disk = plan
        .split("ide-hd,bus=ide.0,id=disk0,drive=disk0,serial=")
        .nth(1);
    assert!(disk.unwrap()[..32].contains(",bootindex=1"), "{plan}");
}

#[test]
fn a_node_has_the_drives_of_its_lab_file_and_nothing_of_a_header() {
    let plan = planned(
        "[node.node1]\nfirmware = \"uefi\"\nsecure_boot = true\ntpm = \"tis\"\n\
         cpu = \"qemu64\"\niso = \"/a,b.iso\"\nboot = [\"cdrom\", \"disk3\"]\n\
         kernel = \"/k\"\nqemu_args = [\"-device\", \"usb-tablet\"]\n\
         disks = [{ size = \"1GiB\" }, { bus = \"scsi\", size = \"1GiB\", keep = false },\n\
         { bus = \"nvme\", base = \"/my base.qcow2\", format = \"qcow2\" }]\n",
    );
    let qemu = plan
        .lines()
        .find(|line| line.contains("qemu-system"))
        .unwrap();
    let read = plan.split("# files that nodes read\n").nth(1).unwrap();
    let read = read.split("\n\n").next().unwrap();
    insta::assert_snapshot!("hardware", format!("{read}\n{}", qemu.replace(" -", "\n-")));
}

#[test]
fn a_node_boots_what_is_its_own_and_the_others_what_they_all_do() {
    let plan = planned(
        "[node.a]\nfirmware = \"uefi\"\nnetwork_boot = \"pxe\"\nboot_file = \"shimx64.efi\"\n\
         ipxe = \"chain ${nsplay-bmc}\"\n\
         [node.b]\nnetwork_boot = \"pxe\"\nboot_file = \"pxelinux.0\"\nmac = \"52:54:00:00:00:0b\"\n\
         [node.c]\nfirmware = \"uefi\"\nnetwork_boot = \"http\"\nboot_file = \"grub.efi\"\n\
         [node.d]\n",
    );
    for line in [
        "52:54:00:00:00:0b,set:own-file,set:own-script,set:node-b,b\n",
        "dhcp-boot=tag:!own-script,tag:ipxe,http://192.168.25.3/boot.ipxe\n",
        "dhcp-boot=tag:!own-file,tag:!ipxe,tag:efi64,snponly.efi\n",
        "dhcp-boot=tag:!ipxe,tag:node-a,shimx64.efi\n",
        "dhcp-boot=tag:ipxe,tag:node-a,http://192.168.25.3/nsplay/node/a.ipxe\n",
        "dhcp-boot=tag:node-b,pxelinux.0\n",
        "dhcp-boot=tag:efi64http,tag:!ipxe,tag:node-c,http://192.168.25.3/grub.efi\n",
        "set nsplay-bmc 192.168.25.5\n",
        "\nchain ${nsplay-bmc}\n",
    ] {
        assert!(plan.contains(line), "no {line:?} in {plan}");
    }
    let without_rom =
        |line: &&str| line.contains("-device virtio-net-pci") && line.contains("romfile=,");
    assert_eq!(plan.lines().filter(without_rom).count(), 2, "{plan}");
    let http_only = "name=opt/org.tianocore/IPv4PXESupport,string=n";
    assert_eq!(plan.matches(http_only).count(), 1);
}

#[test]
fn no_two_links_and_cards_have_one_mac_address() {
    let lab = load("[node.a]\n[node.b]\n", &Origin::built_in(None)).unwrap();
    let plan = plan(&lab, &tools(), &keys()).unwrap();
    let text = plan.network.iter().map(ToString::to_string);
    let text: Vec<String> = text.collect();
    let of_cards = lab.nodes.iter().map(|node| node.nic.mac.to_string());
    for mac in of_cards {
        let taken = text.iter().find(|step| step.contains(&mac));
        assert_eq!(taken, None, "the card's address is {mac}");
    }
}

/// The plan of a lab file, as the plan of a lab that runs and as that of another file.
fn plan_of(text: &str) -> Plan {
    let lab = load(text, &Origin::built_in(None)).unwrap();
    plan(&lab, &tools(), &keys()).unwrap()
}

/// What has to be done for another file, in words; what is refused too.
fn changes(old: &str, new: &str) -> String {
    let old = plan_of(old);
    let lab = load(new, &Origin::built_in(None)).unwrap();
    let new = plan_again(&lab, &tools(), &keys(), &old.users).unwrap();
    match diff(&old, &new, &Amiss::default()) {
        Ok(diff) => diff.to_string(),
        Err(refused) => format!("refused: {}", refused.join("; ")),
    }
}

#[test]
fn a_file_that_says_the_same_changes_nothing() {
    assert_eq!(changes("", "[node.node1]\nmemory = \"1GiB\"\n"), "");
    let with_bmcs = "[network]\nbmcs = \"192.168.25.5-192.168.25.90\"\n";
    assert_eq!(changes("", with_bmcs), "", "addresses that were given stay");
}

#[test]
fn a_member_is_changed_by_no_more_than_it_takes() {
    let node = |keys: &str| format!("dhcp = false\n[node.node1]\n{keys}");
    for (keys, change) in [
        ("memory = \"2GiB\"\n", "memory 1GiB → 2GiB (restarts it)"),
        ("cpus = 2\nserial = \"SN\"\n", "cpus 1 → 2, serial"),
        (
            "address = \"192.168.25.9\"\n",
            "address 192.168.25.5 → 192.168.25.9 (restarts it)",
        ),
        ("vnc = false\n", "vnc 127.0.0.1:5901 → false (it goes on)"),
        ("power = \"off\"\n", "power on → off (it goes on)"),
        ("after = [\"web\"]\n", "after [] → [\"web\"] (it goes on)"),
        (
            "bmc.password = \"canary-77\"\n",
            "bmc.password (restarts it)",
        ),
        (
            "bmc.scenario = [{ at = \"1s\", clear = true }]\n",
            "(it goes on)",
        ),
    ] {
        let told = changes(&node(""), &node(keys));
        assert!(told.starts_with("~ node node1: "), "{keys}: {told}");
        assert!(told.contains(change), "{keys}: {told}");
        assert_eq!(told.lines().count(), 1, "{keys}: {told}");
    }
}

#[test]
fn nodes_and_services_come_and_go_by_name() {
    let more = "[node.node1]\n[node.node2]\n[service.sink]\ncommand = [\"sink\"]\n";
    let heard = "~ service dhcp: the nodes that it knows (it goes on)\n";
    assert_eq!(
        changes("", more),
        format!("{heard}+ service sink\n+ node node2\n")
    );
    assert_eq!(
        changes(more, ""),
        format!("- service sink\n- node node2\n{heard}")
    );
    assert_eq!(changes("", "ssh = false\n"), "- service ssh\n");
    assert_eq!(
        changes("", "[network.data]\nsubnet = \"10.9.0.0/24\"\n"),
        "+ network data\n"
    );
}

#[test]
fn a_network_that_members_are_on_stays_as_it_is() {
    let data = "[network.data]\nsubnet = \"10.9.0.0/24\"\n";
    let moved = changes("", "[network]\nsubnet = \"10.7.0.0/24\"\n");
    assert!(moved.starts_with("refused: network `main` ("), "{moved}");
    assert!(
        moved.contains("subnet 192.168.25.0/24 → 10.7.0.0/24"),
        "{moved}"
    );
    assert!(changes(data, "").starts_with("refused: network `data`"));
    let wider = changes(data, &format!("{data}mtu = 9000\n"));
    assert!(wider.contains("mtu 1500 → 9000"), "{wider}");
}

#[test]
fn who_stays_keeps_its_user() {
    let old = plan_of("[node.node1]\n[node.node2]\n");
    let lab = load(
        "ssh = false\n[node.a]\n[node.node2]\n",
        &Origin::built_in(None),
    )
    .unwrap();
    let new = plan_again(&lab, &tools(), &keys(), &old.users).unwrap();
    let (ssh, node2) = (Name::new("ssh").unwrap(), Name::new("node2").unwrap());
    assert_eq!(new.user(&node2), old.user(&node2));
    assert_eq!(new.user(&Name::new("a").unwrap()), old.user(&ssh));
    let mut users: Vec<u32> = new.users.values().copied().collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), new.lab.members().len());
}

#[test]
fn what_is_amiss_is_mended_though_the_file_is_the_same() {
    let plan = plan_of("");
    let name = |text: &str| vec![Name::new(text).unwrap()];
    let amiss = Amiss {
        stopped: name("web"),
        absent: name("node1"),
    };
    let told = diff(&plan, &plan, &amiss).unwrap().to_string();
    assert_eq!(
        told,
        "~ service web: is stopped (starts it)\n+ node node1\n"
    );
}
