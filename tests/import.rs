//! Labs from elsewhere: what comes of InfraSIM's and compose's files, and that nsplay loads it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nsplay::import::{Error, Import, compose, infrasim};
use nsplay::lab::Lab;
use nsplay::lab::file::{Origin, load, render};

type Read = fn(&Import) -> Result<String, Error>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import")
        .join(name)
}

fn import(read: Read, name: &str) -> Result<String, Error> {
    let path = fixture(name);
    let folder = path.parent().unwrap();
    read(&Import {
        file: name,
        text: &fs::read_to_string(&path).unwrap(),
        variables: &BTreeMap::new(),
        folder: None,
        open: &|relative| fs::read_to_string(folder.join(relative)),
    })
}

/// Imports a text that names no file.
fn text(read: Read, text: &str) -> String {
    let imported = read(&Import {
        file: "a.yml",
        text,
        variables: &BTreeMap::new(),
        folder: None,
        open: &|_| Err(io::ErrorKind::NotFound.into()),
    });
    imported.unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn loaded(lab: &str) -> Lab {
    load(lab, &Origin::built_in(None)).unwrap_or_else(|report| panic!("{report}\n{lab}"))
}

#[test]
fn what_is_imported_loads_and_says_what_it_has_no_counterpart_for() {
    for (name, read) in [
        ("node.yml", infrasim as Read),
        ("small.yml", infrasim),
        ("playground/docker-compose.yml", compose),
    ] {
        let lab = import(read, name).unwrap();
        loaded(&lab);
        assert!(
            !lab.contains("nsplay refuses"),
            "the language has all of it: {lab}"
        );
        let wide = lab
            .lines()
            .filter(|line| line.starts_with('#'))
            .find(|line| line.chars().count() > 100);
        assert_eq!(wide, None);
        let snapshot = name.rsplit('/').next().unwrap();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("import__{snapshot}"), lab);
        });
    }
}

#[test]
fn a_playground_becomes_the_lab_that_it_was() {
    let lab = loaded(&import(compose, "playground/docker-compose.yml").unwrap());
    assert_eq!(lab.name.as_str(), "pxe-playground");
    assert_eq!(lab.network.subnet.to_string(), "192.168.30.0/24");
    let dhcp = lab.dhcp.as_ref().unwrap();
    assert_eq!(dhcp.address.to_string(), "192.168.30.2");
    assert_eq!(dhcp.pool.1.to_string(), "192.168.30.150");
    assert_eq!(dhcp.lease.as_secs(), 12 * 3600);
    assert_eq!(dhcp.boot, "http://192.168.30.3/boot.ipxe");
    let names: Vec<_> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["controller1", "worker1"]);
    let controller = &lab.nodes[0];
    assert_eq!(controller.address.to_string(), "192.168.30.11");
    assert_eq!((controller.cpus, controller.memory_mib), (2, 512));
    assert_eq!(
        controller.bmc.publish.unwrap().to_string(),
        "127.0.0.1:6231"
    );
    assert_eq!(controller.vnc.unwrap().to_string(), "0.0.0.0:5901");
    assert!(render(&lab).contains("mac = \"52:54:00:00:25:11\"\n"));
    let own = |name: &str| {
        lab.own
            .iter()
            .find(|own| own.name.as_str() == name)
            .unwrap()
    };
    let after: Vec<_> = own("master")
        .after
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(after, ["web"]);
    assert_eq!(own("collector").network.as_str(), "metrics");
}

#[test]
fn a_mistake_has_its_place() {
    let mut told = String::new();
    for (name, read) in [
        ("bad/unclosed.yml", infrasim as Read),
        ("bad/tab.yml", infrasim),
        ("bad/compose-for-infrasim.yml", infrasim),
        ("bad/infrasim-for-compose.yml", compose),
        ("bad/mounts-bad.yml", compose),
    ] {
        let error = import(read, name).unwrap_err();
        told += &format!("{error}\nhint: {:?}\n", error.hint);
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("import__mistakes", told);
    });
}

/// What the loader would refuse is a comment with its reason, not an error.
#[test]
fn values_that_nsplay_refuses_are_comments() {
    let lab = text(
        infrasim,
        "type: quanta_d51\ncompute: {cpu: {quantities: 500}, memory: {size: 1}}\n\
         bmc: {address: 10.0.0.1, username: \"much too long for a user\"}\n",
    );
    let node = &loaded(&lab).nodes[0];
    assert_eq!((node.cpus, node.memory_mib), (1, 1024), "{lab}");
    assert_eq!(lab.matches("nsplay refuses").count(), 4, "{lab}");
}

#[test]
fn whatever_services_are_called_the_lab_loads() {
    for called in [
        "default",
        "Ü_ber",
        "a b",
        "-x-",
        "ssh",
        "\"\"",
        &"long".repeat(30),
    ] {
        let yaml = format!("services:\n  {called}:\n    image: infrasim\n  other:\n    image: x\n");
        let lab = text(compose, &yaml);
        assert_eq!(loaded(&lab).nodes.len(), 1, "{called}\n{lab}");
    }
    let twins = "services:\n  a_b: {image: infrasim}\n  a-b: {image: infrasim}\n";
    loaded(&text(compose, twins));
    let strange = "services:\n  a: {image: [x, y], ports: 5, volumes: {a: b}, networks: x, \
        command: {a: b}, environment: 7, depends_on: a}\n";
    loaded(&text(compose, strange));
}

fn nsplay(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_nsplay"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let folder = std::env::temp_dir().join(format!("nsplay-import-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let source = fixture("playground/docker-compose.yml");
    let import = [
        "import",
        "compose",
        source.to_str().unwrap(),
        "-o",
        "nsplay.toml",
    ];
    let (code, out, err) = nsplay(&folder, &import);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let lab = fs::read_to_string(folder.join("nsplay.toml")).unwrap();
    let tftp = fixture("playground/tftpboot");
    assert!(
        lab.contains(tftp.to_str().unwrap()),
        "paths lead to where they led: {lab}"
    );
    let (code, _, err) = nsplay(&folder, &import);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("error: nsplay.toml is there already\nhint: "),
        "{err}"
    );
    let (code, config, err) = nsplay(&folder, &["config"]);
    assert_eq!(code, 0, "{err}");
    assert!(config.contains("[node.worker1]"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_cannot_be_read_is_refused() {
    let here = fixture("");
    let (code, out, err) = nsplay(&here, &["import", "infrasim", "absent.yml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: cannot read absent.yml: "), "{err}");
    let (code, out, err) = nsplay(&here, &["import", "infrasim", "bad/unclosed.yml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: bad/unclosed.yml:4:"), "{err}");
}
