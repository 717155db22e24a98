//! The lab file as its users meet it: what it means, and what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsplay::lab::file::{self, DEFAULT, KEYS, Origin, Report, load, render};
use nsplay::lab::{BootDevice, Disk, DiskBus, Firmware, Lab, Mac, Name, NicModel, Node, Root};
use proptest::prelude::*;

fn built_in() -> Origin {
    Origin::built_in(None)
}

fn origin(file: &str) -> Origin {
    Origin {
        file: file.to_owned(),
        folder: PathBuf::from("/labs"),
        ..built_in()
    }
}

#[track_caller]
fn lab(text: &str) -> Lab {
    load(text, &origin("lab.toml")).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn refused(text: &str) -> Report {
    load(text, &origin("lab.toml")).expect_err(text)
}

fn node<'l>(lab: &'l Lab, name: &str) -> &'l Node {
    let found = lab.nodes.iter().find(|node| node.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no node {name}"))
}

/// Every `.toml` in `folder` by its stem.
fn files(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files: BTreeMap<_, _> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn every_lab_that_ships_loads_and_survives_being_rendered() {
    for (stem, text) in files("configs") {
        let lab = load(&text, &origin(&stem)).unwrap_or_else(|report| panic!("{report}"));
        let again = load(&render(&lab), &built_in()).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(again, lab, "{stem}");
    }
}

#[test]
fn every_bad_lab_file_is_refused_with_all_that_is_wrong_with_it() {
    let files = files("tests/lab-files/bad");
    assert!(files.len() >= 30);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        for (stem, text) in &files {
            let report = load(text, &origin(&format!("{stem}.toml"))).expect_err(stem);
            insta::assert_snapshot!(format!("bad__{stem}"), report);
        }
    });
}

#[test]
fn the_rendered_default_lab_names_every_key() {
    insta::assert_snapshot!(render(&lab("")));
    // Nobody is a user by default.
    let text = render(&lab("[network]\nbmcs = \"192.168.25.9-192.168.25.19\"\n\
         [network.data]\nsubnet = \"10.9.0.0/24\"\ndhcp = {}\n[dhcp]\ndns = true\n\
         [node.node1]\nnics = [{ ip = \"192.168.25.77\" }]\n\
         kernel = \"k\"\ninitrd = \"i\"\n\
         network_boot = \"pxe\"\nboot_file = \"a.0\"\nipxe = \"shell\"\n\
         disks = [{ size = \"1GiB\", base = \"b\", format = \"raw\" }]\n[service.own]\n\
         command = [\"./x\"]\nfolder = \".\"\nuser = \"nobody\"\n\
         [node.node1.bmc]\n\
         scenario = [{ at = \"1m\", fault = \"loss=5%\", for = \"90s\" }, \
         { at = \"2m\", sensor = \"Inlet Temp\", value = \"20..90\", over = \"60s\" }, \
         { at = \"5m\", clear = true }]\n\
         [node.node1.bmc.users.somebody]\npassword = \"secret\"\n\
         [fetch.a]\nurl = \"https://m.example/a\"\nto = \"a\"\nsums = \"https://m.example/s\"\n\
         [fetch.b]\nurl = \"https://m.example/b\"\nto = \"b\"\n\
         sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""));
    // What these make is spelled in full.
    let resolved = ["include", "defaults", "count", "disk"];
    for (_, keys) in KEYS {
        for key in keys.iter().filter(|key| !resolved.contains(key)) {
            let spelled = text.contains(&format!("{key} = "))
                || text.contains(&format!("[{key}"))
                || text.contains(&format!(".{key}]"))
                || text.contains(&format!(".{key}."));
            assert!(spelled, "{key}");
        }
    }
}

#[test]
fn an_empty_file_means_the_default_lab() {
    assert_eq!(
        load("", &built_in()).unwrap(),
        load(DEFAULT, &built_in()).unwrap()
    );
    assert_eq!(lab("# nothing\n"), lab(DEFAULT));
    assert_eq!(lab("[node]"), lab(""));
    assert_eq!(lab("[network]\n[dhcp]\n[web]\n[ssh]"), lab(""));
}

#[test]
fn a_service_is_there_unless_the_file_says_false() {
    let lab = lab("dhcp = false\nweb = false\nssh = false\nnode = false");
    assert_eq!((lab.dhcp, lab.web, lab.ssh), (None, None, None));
    assert_eq!(lab.nodes, []);
}

#[test]
fn defaults_move_with_the_subnet() {
    for (subnet, first, pool) in [
        ("10.0.0.0/8", [10, 0, 0, 0], Some((100, 200))),
        ("172.16.8.0/22", [172, 16, 8, 0], Some((100, 200))),
        ("10.1.2.0/24", [10, 1, 2, 0], Some((100, 200))),
        ("10.1.2.128/25", [10, 1, 2, 128], Some((64, 126))),
        ("10.1.2.64/26", [10, 1, 2, 64], Some((32, 62))),
        ("10.1.2.32/27", [10, 1, 2, 32], Some((16, 30))),
        ("10.1.2.16/28", [10, 1, 2, 16], Some((8, 14))),
        ("10.1.2.8/29", [10, 1, 2, 8], Some((6, 6))),
    ] {
        let lab = lab(&format!("[network]\nsubnet = \"{subnet}\""));
        let nth = |n: u32| Ipv4Addr::from(u32::from(Ipv4Addr::from(first)) + n);
        let dhcp = lab.dhcp.unwrap();
        assert_eq!(lab.network.gateway, nth(1));
        assert_eq!(dhcp.address, nth(2));
        assert_eq!(lab.web.unwrap().address, nth(3));
        assert_eq!(lab.ssh.unwrap().address, nth(4));
        assert_eq!(lab.nodes[0].address, nth(5));
        assert_eq!(
            Some(dhcp.pool),
            pool.map(|(a, b)| (nth(a), nth(b))),
            "{subnet}"
        );
    }
}

#[test]
fn nodes_without_an_address_get_the_lowest_free_ones_outside_the_pool() {
    let lab = lab(r#"
        [dhcp]
        pool = "192.168.25.7-192.168.25.200"
        [node.b]
        [node.a]
        [node.c]
        address = "192.168.25.5"
        [node.d]
        address = "192.168.25.201"
    "#);
    let addresses: Vec<_> = lab
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.address.octets()[3]))
        .collect();
    assert_eq!(addresses, [("a", 202), ("b", 6), ("c", 5), ("d", 201)]);
}

#[test]
fn only_the_first_node_of_the_file_is_published_by_itself() {
    let lab = lab("[node.b]\n[node.a]");
    let local = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(node(&lab, "b").bmc.publish, local(623));
    assert_eq!(node(&lab, "b").vnc, local(5901));
    assert_eq!(node(&lab, "a").bmc.publish, None);
    assert_eq!(node(&lab, "a").vnc, None);
}

#[test]
fn a_service_of_ones_own_takes_an_address_after_the_nodes_and_shows_its_published_port() {
    let lab = lab("[service.b]\ncommand = [\"x\"]\n\
         publish = [\"127.0.0.1:8080:80\", \"127.0.0.1:8443:443\"]\n\
         [service.a]\ncommand = [\"x\"]\npublish = \"[::1]:53:5353/udp\"\n[node.n]\n[node.m]");
    assert_eq!(node(&lab, "m").address.octets()[3], 6);
    let own: Vec<_> = lab
        .own
        .iter()
        .map(|own| {
            let ports: Vec<_> = own.publish.iter().map(|publish| publish.port).collect();
            (own.address.octets()[3], ports, own.ready.to_string())
        })
        .collect();
    assert_eq!(
        own,
        [
            (8, vec![5353], "none".to_owned()),
            (7, vec![80, 443], "tcp:80".to_owned())
        ]
    );
    let moved = lab.with_port_offset(1000).unwrap();
    let moved = moved.own[1].publish.iter();
    let moved: Vec<_> = moved.map(ToString::to_string).collect();
    assert_eq!(moved, ["127.0.0.1:9080:80/tcp", "127.0.0.1:9443:443/tcp"]);
}

#[test]
fn nothing_is_published_where_the_file_says_false() {
    let lab = lab("ssh.publish = false\nnode.a = { vnc = false, bmc.publish = false }");
    assert_eq!(lab.ssh.unwrap().publish, None);
    assert_eq!((lab.nodes[0].vnc, lab.nodes[0].bmc.publish), (None, None));
}

#[test]
fn a_mac_address_depends_on_names_alone() {
    let lab = lab("name = \"x\"\n[node.b]\n[node.node1]");
    assert_eq!(node(&lab, "node1").nic.mac.to_string(), "00:aa:bb:cc:dd:ee");
    assert_eq!(node(&lab, "b").nic.mac, Mac::derived("x/b"));
}

#[test]
fn the_command_line_names_the_lab_before_the_file_does() {
    let named = Origin {
        name: Some(Name::new("cli").unwrap()),
        ..built_in()
    };
    let text = "name = \"file\"";
    assert_eq!(load(text, &named).unwrap().name.as_str(), "cli");
    assert_eq!(load(text, &built_in()).unwrap().name.as_str(), "file");
    assert_eq!(load("", &built_in()).unwrap().name.as_str(), "default");
}

#[test]
fn roots_are_the_files_own_then_those_beside_it_then_the_built_in_ones() {
    let roots = |text: &str, beside: Option<&str>| {
        let origin = Origin {
            webroot: beside.map(PathBuf::from),
            tftproot: None,
            ..origin("lab.toml")
        };
        let lab = load(text, &origin).unwrap();
        (lab.web.unwrap().root, lab.dhcp.unwrap().tftproot)
    };
    let dir = |path: &str| Root::Dir(PathBuf::from(path));
    assert_eq!(roots("", None), (Root::Embedded, Root::Embedded));
    assert_eq!(
        roots("", Some("/labs/webroot")),
        (dir("/labs/webroot"), Root::Embedded)
    );
    assert_eq!(
        roots(
            "web.root = \"./x/y\"\ndhcp.tftproot = \"/srv/tftp\"",
            Some("/labs/webroot")
        ),
        (dir("/labs/x/y"), dir("/srv/tftp"))
    );
    assert_eq!(
        roots("web.root = \"built-in\"", Some("/labs/webroot")).0,
        Root::Embedded
    );
    assert_eq!(
        roots("web.root = \"./built-in\"", None).0,
        dir("/labs/built-in")
    );
}

#[test]
fn units_are_read_as_they_are_written() {
    let lab = lab(r#"
        dhcp.lease = "2d"
        [node.a]
        memory = "512 MiB"
        disk = "1TiB"
        cpus = 0x10
    "#);
    assert_eq!(lab.dhcp.unwrap().lease, Duration::from_secs(2 * 86_400));
    assert_eq!(lab.nodes[0].memory_mib, 512);
    assert_eq!(lab.nodes[0].disks, [Disk::usual(1 << 20)]);
    assert_eq!(lab.nodes[0].cpus, 16);
}

#[test]
fn a_node_without_a_disk_boots_from_the_network() {
    let lab = lab("[node.a]\ndisk = false\nfirmware = \"uefi\"\nnic = \"rtl8139\"");
    assert_eq!(lab.nodes[0].disks, []);
    assert_eq!(lab.nodes[0].boot, [BootDevice::Network(1)]);
    assert_eq!(lab.nodes[0].firmware, Firmware::Uefi);
    assert_eq!(lab.nodes[0].nic.model, NicModel::Rtl8139);
}

#[test]
fn a_disk_is_short_for_one_of_disks() {
    let disks = |text: &str| lab(&format!("{text}\n[node.b]")).nodes[0].disks.clone();
    assert_eq!(disks(""), [Disk::usual(8 << 10)]);
    assert_eq!(disks("[node.a]\ndisks = [{ size = \"8GiB\" }]"), disks(""));
    assert_eq!(disks("[node.a]\ndisks = []"), []);
    let two = disks(
        "[node.a]\ndisks = [{ size = \"1GiB\", bus = \"nvme\", keep = false }, \
         { base = \"./x.qcow2\", format = \"qcow2\" }]",
    );
    assert_eq!((two[0].bus, two[0].keep), (DiskBus::Nvme, false));
    let base = two[1].base.as_ref().unwrap();
    assert_eq!(
        (two[1].size_mib, base.file.to_str()),
        (None, Some("/labs/x.qcow2"))
    );
    // The node's own goes before the defaults', whichever of the two it is.
    let long = "disks = [{ size = \"1GiB\" }]";
    let defaults =
        |of_all: &str, own: &str| disks(&format!("[defaults]\n{of_all}\n[node.a]\n{own}"));
    assert_eq!(defaults(long, "disk = false"), []);
    assert_eq!(defaults("disk = false", long), [Disk::usual(1 << 10)]);
}

#[test]
fn a_node_can_boot_from_each_disk_and_its_cd() {
    let lab = lab(
        "[node.a]\niso = \"/x.iso\"\nboot = [\"cdrom\", \"disk2\"]\n\
         disks = [{ size = \"1GiB\" }, { size = \"1GiB\" }]",
    );
    assert_eq!(lab.nodes[0].boot, [BootDevice::Cdrom, BootDevice::Disk(2)]);
}

#[test]
fn a_kernel_without_a_command_line_shows_itself_on_the_serial_line() {
    let lab = lab("[node.a]\nkernel = \"boot/vmlinuz\"");
    let kernel = lab.nodes[0].kernel.as_ref().unwrap();
    assert_eq!(kernel.file, Path::new("/labs/boot/vmlinuz"));
    assert_eq!(kernel.cmdline, "console=ttyS0");
}

#[test]
fn a_url_needs_no_web_server() {
    let lab = lab("web = false\ndhcp.boot = \"http://192.168.25.1/menu.ipxe\"");
    assert_eq!(lab.dhcp.unwrap().boot, "http://192.168.25.1/menu.ipxe");
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let report = refused(&" ".repeat((1 << 20) + 1));
    assert_eq!(
        report.to_string(),
        "error: lab.toml: this is no lab file: it has 1048577 bytes, 1 MiB is the most"
    );
    lab(&" ".repeat(1 << 20));
}

#[test]
fn bombs_are_refused_in_one_line_each() {
    let open = 1 << 19;
    for bomb in [
        format!("a = {}", "[".repeat(open)),
        format!("a = {}", "{a=".repeat(open / 2)),
        format!("{}a = 1", "a.".repeat(open)),
        format!("[{}a]", "a.".repeat(open)),
    ] {
        let report = refused(&bomb).to_string();
        assert!(report.len() < 1000, "{report}");
    }
}

#[test]
fn a_mebibyte_of_problems_is_told_at_once() {
    // Any of these takes minutes if the file is read anew for each problem.
    let many = |piece: &dyn Fn(usize) -> String| (0..60_000).map(piece).collect::<String>();
    for text in [
        many(&|n| format!("k{n} = 1\n")),
        format!("dhcp = {{ {} x = 1 }}", many(&|n| format!("k{n} = 1, "))),
        many(&|n| format!("[node.n{n}]\n")),
        many(&|_| "= \n".to_owned()),
        many(&|_| "\u{0} ] \" ".to_owned()),
    ] {
        assert!(text.len() <= 1 << 20, "{}", text.len());
        let report = refused(&text).to_string();
        assert!(report.lines().count() <= 101);
    }
}

#[test]
fn a_port_offset_moves_every_published_port() {
    let text = "[web]\npublish = \"127.0.0.1:8080\"\n[node.a]\n[node.b]\nvnc = \"127.0.0.1:5902\"";
    let moved = lab(text).with_port_offset(1000).unwrap();
    let port = |publish: Option<SocketAddr>| publish.map(|socket| socket.port());
    assert_eq!(port(moved.web.as_ref().unwrap().publish), Some(9080));
    assert_eq!(port(moved.ssh.as_ref().unwrap().publish), Some(3222));
    assert_eq!(port(node(&moved, "a").bmc.publish), Some(1623));
    assert_eq!(port(node(&moved, "a").vnc), Some(6901));
    assert_eq!(port(node(&moved, "b").bmc.publish), None);
    assert_eq!(port(node(&moved, "b").vnc), Some(6902));
    assert_eq!(
        lab(text).with_port_offset(60_000).unwrap_err().to_string(),
        "cannot add 60000 to port 8080 of `web`: ports end at 65535"
    );
}

#[test]
fn every_key_is_described() {
    let doc = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lab-file.md");
    let doc = fs::read_to_string(doc).unwrap();
    for (table, keys) in KEYS {
        let title = match *table {
            "" => "## The file's own keys".to_owned(),
            table => format!("## `[{table}]`"),
        };
        let (_, section) = doc
            .split_once(&title)
            .unwrap_or_else(|| panic!("no section {title:?}"));
        let section = section.split("\n## ").next().unwrap();
        for key in *keys {
            let row = format!("\n| `{key}` |");
            assert!(section.contains(&row), "[{table}] {key}");
        }
    }
}

#[test]
fn the_examples_of_the_manual_are_true() {
    let doc = include_str!("../docs/lab-file.md");
    let example = doc.split("```toml\n").nth(1).unwrap();
    lab(example.split("```").next().unwrap());

    let slips =
        "# Two slips.\n[node.node1]\nadress = 2\n\n[node.node2]\naddress = \"192.168.25.2\"";
    let report = load(slips, &origin("two.toml")).unwrap_err();
    assert!(doc.contains(&format!("```\n{report}\n```")), "{report}");

    for (prefix, most) in [(24, 64), (25, 59), (26, 27), (27, 11), (28, 3), (29, 1)] {
        let nodes = |count| {
            let tables: String = (0..count).map(|n| format!("[node.n{n}]\n")).collect();
            let text = format!("network.subnet = \"10.0.0.0/{prefix}\"\n{tables}");
            load(&text, &built_in()).is_ok()
        };
        assert!(nodes(most) && !nodes(most + 1), "/{prefix}");
        let row = doc
            .lines()
            .find(|line| line.contains(&format!("/{prefix} |")));
        assert!(row.unwrap().ends_with(&format!("| {most} |")), "/{prefix}");
    }
}

/// Pieces that a valid file is cut, doubled and stirred with.
fn mutated() -> impl Strategy<Value = String> {
    const SOURCES: [&str; 4] = [
        DEFAULT,
        include_str!("../configs/two-nodes.toml"),
        include_str!("../configs/six-nodes.toml"),
        include_str!("../configs/own-service.toml"),
    ];
    let piece = prop_oneof![
        Just("=".to_owned()),
        Just("\"".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("\n[node.x]\n".to_owned()),
        Just("\n[defaults]\n".to_owned()),
        Just("\ncount = 3\n".to_owned()),
        Just("{n}".to_owned()),
        Just("${A:-".to_owned()),
        Just("$$".to_owned()),
        Just("false".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("-1".to_owned()),
        Just("255.255.255.255".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..12, piece);
    (
        prop::sample::select(&SOURCES[..]),
        prop::collection::vec(edit, 1..6),
    )
        .prop_map(|(text, edits)| {
            let mut text: Vec<char> = text.chars().collect();
            for (at, drop, piece) in edits {
                let at = at.index(text.len() + 1);
                let end = text.len().min(at + drop);
                text.splice(at..end, piece.chars());
            }
            text.into_iter().collect()
        })
}

/// A lab file of valid values, some of which may stand in each other's way.
fn spelled() -> impl Strategy<Value = String> {
    let node = (
        1_u8..=64,
        64_u32..=8192,
        prop::option::of(1_u64..=1 << 22),
        prop::sample::select(&NicModel::ALL),
        prop::sample::select(&Firmware::ALL),
        any::<(bool, bool, u16, u16)>(),
        "[!#-&(-Z^-~]{1,16}",
    );
    let lab = (8_u8..=29, any::<[u8; 3]>(), 120_u64..=365 * 86_400);
    let nodes = prop::collection::vec(node, 0..4);
    (lab, any::<[bool; 3]>(), nodes).prop_map(|((prefix, [a, b, c], lease), on, nodes)| {
        let net = u32::from(Ipv4Addr::from([10, a, b, c])) >> (32 - prefix) << (32 - prefix);
        let mut text = String::new();
        for (name, on) in ["dhcp", "web", "ssh"].iter().zip(on) {
            if !on {
                text += &format!("{name} = false\n");
            }
        }
        text += &format!("network.subnet = \"{}/{prefix}\"\n", Ipv4Addr::from(net));
        if on[0] {
            text += &format!("dhcp.lease = \"{lease}s\"\ndhcp.boot = \"http://x/y\"\n");
        }
        for (n, (cpus, memory, disk, nic, firmware, flags, word)) in nodes.iter().enumerate() {
            let (fast, power, vnc, bmc) = flags;
            let disk = disk.map_or("false".to_owned(), |mib| format!("\"{mib}MiB\""));
            let power = if *power { "on" } else { "off" };
            text += &format!(
                "[node.n{n}]\ncpus = {cpus}\nmemory = \"{memory}MiB\"\ndisk = {disk}\n\
                 nic = \"{nic}\"\nfirmware = \"{firmware}\"\nfast_boot = {fast}\n\
                 power = \"{power}\"\nvnc = \"127.0.0.1:{vnc}\"\n\
                 bmc = {{ user = \"{word}\", publish = \"[::1]:{bmc}\" }}\n"
            );
        }
        text
    })
}

proptest! {
    #[test]
    fn load_never_panics_on_any_text(text in any::<String>()) {
        let _ = load(&text, &built_in());
    }

    #[test]
    fn load_never_panics_on_a_mutated_file(text in mutated()) {
        match load(&text, &built_in()) {
            Ok(lab) => prop_assert_eq!(load(&render(&lab), &built_in()), Ok(lab)),
            Err(report) => prop_assert!(!report.problems.is_empty()),
        }
    }

    #[test]
    fn a_rendered_lab_loads_back(text in spelled()) {
        if let Ok(lab) = load(&text, &built_in()) {
            let rendered = render(&lab);
            prop_assert_eq!(load(&rendered, &origin("other.toml")), Ok(lab), "{}", rendered);
        }
    }

    #[test]
    fn problems_come_in_the_order_of_the_file(text in mutated()) {
        if let Err(file::Report { problems }) = load(&text, &built_in()) {
            let places: Vec<_> = problems
                .iter()
                .filter_map(|problem| problem.place.as_ref())
                .map(|place| (place.line, place.column))
                .collect();
            prop_assert!(places.is_sorted(), "{:?}", places);
        }
    }
}

#[test]
fn a_low_port_is_not_moved_to_one_that_the_lab_has() {
    let text = "[web]\npublish = \"0.0.0.0:8000\"\n[ssh]\npublish = \"127.0.0.1:80\"\n[node.a]";
    let occupied = lab(text).with_ports_from(1024).unwrap_err();
    let said: Vec<_> = occupied.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "cannot publish `ssh` on port 80, which is root's here, nor on 8000 in its place, which \
             `web` has"
        ]
    );
    assert_eq!(
        occupied[0].hint(),
        "publish one of the two on another port from 1024 on, or run nsplay with sudo"
    );
    // Another address or another port is free, and root moves nothing.
    for socket in ["127.0.0.2:80", "127.0.0.1:81"] {
        let (lab, moved) = lab(&text.replace("0.0.0.0:8000", socket))
            .with_ports_from(1024)
            .unwrap();
        assert_eq!(moved.len(), 3, "{moved:?}");
        assert_eq!(lab.ssh.unwrap().publish.unwrap().port(), 8000);
    }
    assert!(lab(text).with_ports_from(0).unwrap().1.is_empty());
    // Two that are moved to one.
    let text = "[ssh]\npublish = false\n[web]\npublish = \"127.0.0.1:62\"\n[node.a]\nvnc = \"127.0.0.1:620\"";
    let occupied = lab(text).with_ports_from(1024).unwrap_err();
    assert_eq!(occupied.len(), 1, "{occupied:?}");
}
