//! The lab file as a language: many nodes from few lines, variables, several files.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use nsplay::lab::file::{Origin, Source, load, render, schema};
use nsplay::lab::{Lab, Node, Root};

fn origin() -> Origin {
    Origin {
        file: "lab.toml".to_owned(),
        folder: PathBuf::from("/labs"),
        ..Origin::built_in(None)
    }
}

#[track_caller]
fn lab(text: &str) -> Lab {
    load(text, &origin()).unwrap_or_else(|report| panic!("{report}"))
}

fn with(variables: &[(&str, &str)]) -> Origin {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Origin {
        variables: variables.iter().map(variable).collect::<BTreeMap<_, _>>(),
        ..origin()
    }
}

fn overlaid(overlays: &[(&str, &str)]) -> Origin {
    let source = |(path, text): &(&str, &str)| Source {
        file: (*path).to_owned(),
        folder: Path::new(path).parent().unwrap().to_owned(),
        text: (*text).to_owned(),
    };
    Origin {
        overlays: overlays.iter().map(source).collect(),
        ..origin()
    }
}

fn names(lab: &Lab) -> Vec<&str> {
    lab.nodes.iter().map(|node| node.name.as_str()).collect()
}

fn node<'l>(lab: &'l Lab, name: &str) -> &'l Node {
    let found = lab.nodes.iter().find(|node| node.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no node {name} among {:?}", names(lab)))
}

fn local(port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn every_node_has_the_defaults_unless_it_says_otherwise() {
    let lab = lab(r#"
        [defaults]
        cpus = 2
        memory = "512MiB"
        boot = ["disk", "network"]
        bmc = { user = "root", users.a.password = "one" }
        [node.x]
        [node.y]
        memory = "1GiB"
        boot = ["network"]
        [node.y.bmc]
        password = "own"
        users.a.privilege = "operator"
        users.b.password = "two"
    "#);
    let (x, y) = (node(&lab, "x"), node(&lab, "y"));
    assert_eq!((x.cpus, x.memory_mib, x.boot.len()), (2, 512, 2));
    assert_eq!((y.cpus, y.memory_mib, y.boot.len()), (2, 1024, 1));
    assert_eq!(
        (x.bmc.user.as_str(), x.bmc.password.as_str()),
        ("root", "admin")
    );
    assert_eq!(
        (y.bmc.user.as_str(), y.bmc.password.as_str()),
        ("root", "own")
    );
    let users = |node: &Node| {
        let users = node.bmc.users.iter();
        let user = users.map(|user| format!("{} {} {}", user.name, user.password, user.privilege));
        user.collect::<Vec<_>>()
    };
    assert_eq!(users(x), ["a one user"]);
    assert_eq!(users(y), ["a one operator", "b two user"]);
}

#[test]
fn the_node_of_a_file_without_nodes_has_the_defaults_too() {
    let lab = lab("[defaults]\ncpus = 3");
    assert_eq!((names(&lab), lab.nodes[0].cpus), (vec!["node1"], 3));
    assert_eq!(lab.nodes[0].bmc.publish, local(623));
}

#[test]
fn defaults_are_checked_even_if_there_is_no_node() {
    let report = load("node = false\n[defaults]\ncpus = 0", &origin()).unwrap_err();
    assert_eq!(
        report.to_string(),
        "error: lab.toml:3:8: defaults: `cpus` is 0, expected a whole number from 1 to 64"
    );
}

#[test]
fn thirty_two_nodes_come_of_eight_lines() {
    let text = r#"
        [node.worker]
        count = 32
        memory = "128MiB"
        address = "192.168.25.30"
        serial = "SN-{n:04}"
        vnc = "127.0.0.1:5901"
        bmc.publish = "127.0.0.1:6230"
    "#;
    let lab = lab(text);
    assert_eq!(lab.nodes.len(), 32);
    assert_eq!(names(&lab)[..3], ["worker1", "worker2", "worker3"]);
    assert_eq!(names(&lab)[9..11], ["worker10", "worker11"]);
    for (n, node) in (0_u8..).zip(&lab.nodes) {
        assert_eq!(node.address, Ipv4Addr::new(192, 168, 25, 30 + n));
        assert_eq!(node.identity.serial, format!("SN-{:04}", n + 1));
        assert_eq!(node.vnc, local(5901 + u16::from(n)));
        assert_eq!(node.bmc.publish, local(6230 + u16::from(n)));
    }
    let mut macs: Vec<_> = lab.nodes.iter().map(|node| node.nic.mac).collect();
    macs.sort();
    macs.dedup();
    assert_eq!(macs.len(), 32);
    assert_eq!(load(text, &origin()).unwrap(), lab, "the same in every run");
}

#[test]
fn what_is_not_said_of_counted_nodes_is_as_for_any_node() {
    let (counted, typed) = (
        lab("[node.w]\ncount = 3"),
        lab("[node.w1]\n[node.w2]\n[node.w3]"),
    );
    assert_eq!(counted, typed);
    assert_eq!(counted.nodes[0].vnc, local(5901));
    assert_eq!(counted.nodes[1].vnc, None);
}

#[test]
fn mac_addresses_count_up_or_follow_a_pattern() {
    let lab = lab(r#"
        [node.a]
        count = 12
        mac = "02:00:00:00:00:f8"
        [node.b]
        count = 2
        mac = "02:00:00:00:02:{n:02x}"
    "#);
    assert_eq!(node(&lab, "a8").nic.mac.to_string(), "02:00:00:00:00:ff");
    assert_eq!(node(&lab, "a9").nic.mac.to_string(), "02:00:00:00:01:00");
    assert_eq!(node(&lab, "b2").nic.mac.to_string(), "02:00:00:00:02:02");
}

#[test]
fn patterns_hold_number_and_name() {
    let lab = lab(r#"
        [defaults]
        asset_tag = "{name} is {n}"
        [node.x]
        serial = "{n}"
        bmc.password = "{n}"
        [node.rack]
        count = 2
        name = "rack-{n:02}"
        uuid = "123e4567-e89b-12d3-a456-{n:09}{n:03x}"
        bmc.password = "{n}"
    "#);
    assert_eq!(names(&lab), ["rack-01", "rack-02", "x"]);
    let rack = node(&lab, "rack-02");
    assert_eq!(rack.identity.uuid, "123e4567-e89b-12d3-a456-000000002002");
    assert_eq!(rack.identity.asset_tag, "rack-02 is 3");
    assert_eq!(rack.bmc.password, "{n}", "only inventories have patterns");
    assert_eq!(
        node(&lab, "x").identity.serial,
        "{n}",
        "a node of its own has none"
    );
}

#[test]
fn what_the_defaults_publish_counts_over_all_nodes() {
    let lab = lab(r#"
        [defaults]
        vnc = "127.0.0.1:5901"
        bmc.publish = "127.0.0.1:6230"
        [node.b]
        [node.a]
        count = 2
        [node.c]
        vnc = false
        [node.d]
    "#);
    let ports = |name| (node(&lab, name).vnc, node(&lab, name).bmc.publish);
    assert_eq!(ports("b"), (local(5901), local(6230)));
    assert_eq!(ports("a1"), (local(5902), local(6231)));
    assert_eq!(ports("a2"), (local(5903), local(6232)));
    assert_eq!(ports("c"), (None, local(6233)));
    assert_eq!(ports("d"), (local(5905), local(6234)));
}

#[test]
fn variables_stand_in_strings_and_are_checked_as_what_is_typed() {
    let text = r#"
        name = "${LAB}"
        dhcp.boot = "http://x/$${mac}-${NONE:-a}.ipxe"
        [node.worker]
        count = "${COUNT:-2}"
        cpus = "${CPUS}"
        disk = "${DISK:-false}"
        bmc.password = "${COUNT:-12}"
        bmc.user = "$a$$b"
    "#;
    let lab = load(text, &with(&[("LAB", "mine"), ("CPUS", "3")])).unwrap();
    assert_eq!((lab.name.as_str(), lab.nodes.len()), ("mine", 2));
    assert_eq!(lab.dhcp.as_ref().unwrap().boot, "http://x/${mac}-a.ipxe");
    assert_eq!((lab.nodes[0].cpus, lab.nodes[0].disks.len()), (3, 0));
    assert_eq!(lab.nodes[0].bmc.password, "12");
    assert_eq!(lab.nodes[0].bmc.user, "$a$b");
    assert_eq!(load(&render(&lab), &origin()).unwrap(), lab);

    let report = load(text, &with(&[("LAB", "Mine!"), ("CPUS", "0x100")])).unwrap_err();
    assert_eq!(
        report.to_string(),
        "error: lab.toml:2:16: `name` is \"Mine!\", expected 1 to 32 lower-case letters, digits \
         and hyphens, a letter or digit first\n\
         error: lab.toml:6:16: node `worker1`: `cpus` is \"0x100\", expected a whole number from \
         1 to 64"
    );
}

#[test]
fn a_string_without_a_variable_is_no_number() {
    assert!(load("[node.a]\ncpus = \"2\"", &with(&[])).is_err());
}

#[test]
fn later_files_go_before_earlier_ones_key_by_key() {
    let base = r#"
        [web]
        root = "pages"
        publish = "127.0.0.1:8080"
        [node.a]
        cpus = 2
        boot = ["disk", "network"]
        [node.b]
    "#;
    let origin = overlaid(&[
        (
            "/over/one.toml",
            "ssh = false\nnode.a = { boot = [\"network\"], memory = \"2GiB\" }\n[node.c]",
        ),
        (
            "/over/two.toml",
            "[dhcp]\ntftproot = \"tftp\"\n[node.a]\nmemory = \"3GiB\"",
        ),
    ]);
    let lab = load(base, &origin).unwrap();
    assert_eq!(names(&lab), ["a", "b", "c"]);
    let a = node(&lab, "a");
    assert_eq!((a.cpus, a.memory_mib, a.boot.len()), (2, 3 << 10, 1));
    assert_eq!(a.bmc.publish, local(623), "it is still the first node");
    assert_eq!(lab.ssh, None);
    let dir = |path| Root::Dir(PathBuf::from(path));
    assert_eq!(lab.dhcp.unwrap().tftproot, dir("/over/tftp"));
    let web = lab.web.unwrap();
    assert_eq!((web.root, web.publish), (dir("/labs/pages"), local(8080)));
}

#[test]
fn a_service_that_a_file_takes_away_comes_back_with_a_table() {
    let origin = overlaid(&[("/b.toml", "web = false"), ("/c.toml", "[ssh]\n[web]")]);
    let lab = load("ssh = false", &origin).unwrap();
    assert!(lab.ssh.is_some() && lab.web.is_some());
}

#[test]
fn a_problem_names_the_file_that_it_stands_in() {
    let origin = overlaid(&[
        (
            "/over/one.toml",
            "[node.a]\naddress = \"192.168.25.3\"\ncpus = 0",
        ),
        (
            "/over/two.toml",
            "\n[node.b]\nvnc = \"127.0.0.1:2222\"\nnmae = 1",
        ),
    ]);
    let report = load(
        "[node.a]\nmemory = 1\n[web]\naddress = \"192.168.25.3\"",
        &origin,
    );
    insta::assert_snapshot!(report.unwrap_err());
    let report = load(
        "[node.a",
        &overlaid(&[("two.toml", "x = y"), ("three.toml", "x = 1")]),
    );
    insta::assert_snapshot!("each_file_that_is_no_toml", report.unwrap_err());
}

/// A lab file of `tests/lab-files/include`, read with what it includes.
fn included(stem: &str) -> Result<Lab, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab-files/include");
    let path = folder.join(format!("{stem}.toml"));
    let origin = Origin {
        file: format!("include/{stem}.toml"),
        folder: folder.clone(),
        open: |path| fs::read_to_string(path),
        ..with(&[("NSPLAY_PART", "racks")])
    };
    let text = fs::read_to_string(&path).unwrap();
    load(&text, &origin).map_err(|report| report.to_string())
}

#[test]
fn a_file_goes_before_those_that_it_includes_and_they_come_first() {
    let lab = included("lab").unwrap();
    assert_eq!(names(&lab), ["a", "b", "c"]);
    let a = node(&lab, "a");
    assert_eq!(
        a.bmc.publish,
        local(623),
        "the lowest file's node is the first"
    );
    assert_eq!(
        (a.cpus, a.memory_mib),
        (3, 2 << 10),
        "of lab.toml, and of racks.toml"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab-files/include");
    let root = Root::Dir(folder.join("parts/pages"));
    assert_eq!(lab.web.as_ref().unwrap().root, root);
    assert_eq!(load(&render(&lab), &origin()).unwrap(), lab);
}

#[test]
fn an_include_that_leads_nowhere_is_told_where_it_stands() {
    insta::assert_snapshot!(included("circle").unwrap_err());
    insta::assert_snapshot!("bad_includes", included("nowhere").unwrap_err());
}

#[test]
fn includes_end_at_the_eighth_file() {
    let origin = Origin {
        open: |path| {
            let n: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            Ok(format!("include = [\"{}.toml\"]", n + 1))
        },
        ..origin()
    };
    let report = load("include = [\"1.toml\"]", &origin).unwrap_err();
    assert_eq!(
        report.to_string(),
        "error: 8.toml:1:12: `include` goes too deep: 8 files below one another is the most\n\
         hint: include it further up"
    );
}

/// What `nsplay config` prints in `folder` with these arguments, and what it says.
fn config(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nsplay"))
        .arg("config")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_reads_files_variables_and_folders_from_where_they_are() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab_language");
    let _ = fs::remove_dir_all(&folder);
    for sub in ["a/webroot", "a/tftproot", "b/webroot", "b/profiles"] {
        fs::create_dir_all(folder.join(sub)).unwrap();
    }
    let write = |path: &str, text: &str| fs::write(folder.join(path), text).unwrap();
    write(
        "a/lab.toml",
        "include = [\"common.toml\"]\n[node.x]\ncpus = \"${CPUS}\"",
    );
    write(
        "a/common.toml",
        "[defaults]\nmemory = \"128MiB\"\nprofile = \"mine\"",
    );
    write("b/over.toml", "node.x.disk = false");
    write(
        "b/profiles/mine.toml",
        "manufacturer = \"Mine\"\nproduct = \"Own\"",
    );
    let files = ["-f", "a/lab.toml", "-f", "b/over.toml"];
    let (printed, said) = config(&folder, &files, &[("CPUS", "4")]);
    assert_eq!(said, "");
    for line in [
        "cpus = 4".to_owned(),
        "memory = \"128MiB\"".to_owned(),
        "disks = []".to_owned(),
        "product = \"Own\"".to_owned(),
        format!("root = \"{}\"", folder.join("b/webroot").display()),
        format!("tftproot = \"{}\"", folder.join("a/tftproot").display()),
    ] {
        assert!(printed.lines().any(|l| l == line), "{line}: {printed}");
    }
    let (printed, said) = config(&folder, &files, &[]);
    assert_eq!(printed, "");
    let place = "error: a/lab.toml:3:9: the variable `CPUS` is not set\n";
    assert!(said.starts_with(place), "{said}");
    let (printed, _) = config(&folder, &["--schema"], &[]);
    assert_eq!(printed, schema());
}

#[test]
fn the_examples_of_the_manual_are_labs() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lab-file.md"));
    let manual = manual.unwrap();
    let examples: Vec<_> = manual.split("```toml\n").skip(1).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let text = example.split("```").next().unwrap();
        let lab = lab(text);
        let Some(last) = lab
            .nodes
            .iter()
            .find(|node| node.name.as_str() == "worker32")
        else {
            continue;
        };
        assert_eq!(last.address, Ipv4Addr::new(192, 168, 25, 42));
        assert_eq!((last.bmc.publish, last.vnc), (local(6261), local(5932)));
        assert_eq!(last.identity.serial, "SN-0032");
    }
}
