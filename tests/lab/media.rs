//! What is in CD drives, proved by what firmware boots from them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::boot_devices::SECTOR;
use crate::host::Host;

/// A node that finds nothing to boot.
const LAB: &str = r#"
dhcp = false
web = false
ssh = false
[node.node1]
power = "off"
memory = "64MiB"
disk = "1MiB"
boot = ["disk"]
"#;

/// An image that firmware boots (El Torito, version 1.0): a program that prints a line.
fn iso(line: &str) -> Vec<u8> {
    const BLOCK: usize = 2048;
    let mut image = vec![0; 20 * BLOCK];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    // The boot record names block 18, the catalog; that names block 19, the program.
    put(17 * BLOCK, b"\0CD001\x01EL TORITO SPECIFICATION");
    put(17 * BLOCK + 0x47, &18_u32.to_le_bytes());
    put(18 * BLOCK, &[1]);
    put(18 * BLOCK + 28, &[0xaa, 0x55, 0x55, 0xaa]);
    put(18 * BLOCK + 32, &[0x88]);
    put(18 * BLOCK + 38, &1_u16.to_le_bytes());
    put(18 * BLOCK + 40, &19_u32.to_le_bytes());
    let text = SECTOR.windows(7).position(|bytes| bytes == b"this is");
    let (code, _) = SECTOR.split_at(text.unwrap());
    put(19 * BLOCK, &[code, line.as_bytes(), b"\r\n\0"].concat());
    image
}

#[test]
fn a_medium_goes_into_a_running_node_boots_and_stays_until_it_is_ejected() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    // Nobody but who runs nsplay sees them, which QEMU is not run as by root.
    let private = host.folder().join("private");
    fs::create_dir(&private).unwrap();
    for (name, line) in [("one.iso", "medium one"), ("two.iso", "medium two")] {
        fs::write(private.join(name), iso(line)).unwrap();
        fs::set_permissions(private.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
    host.give("private");
    host.shell("mkfifo fifo; touch empty").ok();
    let media = |words: &[&str]| host.nsplay(&[&["media", "node1"], words].concat());
    media(&[]).fails(2, &["lab `default` is not up"]);
    host.nsplay(&["up", "-d"]).ok();

    assert_eq!(media(&[]).ok().out, "node1: the CD drive is empty\n");
    media(&["eject"]).ok();
    for (file, why) in [
        ("none.iso", "cannot insert none.iso: there is no such file"),
        ("private", "cannot insert private: it is a folder"),
        ("fifo", "cannot insert fifo: it is no regular file"),
        ("empty", "cannot insert empty: it is empty"),
    ] {
        media(&["insert", file]).fails(2, &[why, "hint: name an image"]);
    }
    media(&["insert"]).fails(2, &["<ISO>"]);
    media(&["eject", "empty"]).fails(2, &["`eject` takes no image, and got empty"]);
    host.nsplay(&["media", "web", "eject"])
        .fails(2, &["no node `web`; the lab has: node1"]);

    host.nsplay(&["power", "node1", "on"]).ok();
    host.prints("node1", "No bootable device", 1);
    let path = private.join("one.iso").display().to_string();
    assert_eq!(
        media(&["insert", "private/one.iso"]).ok().out,
        format!("node1: {path} is in the CD drive\n")
    );
    host.nsplay(&["boot", "node1", "--device", "cdrom"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.prints("node1", "medium one", 1);
    let why = |problem: &str, words: &str| {
        host.until(problem, || {
            let told = host.nsplay(&["why", "node1", "--json"]).ok().out;
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            told["problem"] == problem && told["text"].as_str().unwrap().contains(words)
        });
    };
    // In place of the other, in a QEMU that booted from it.
    media(&["insert", "private/two.iso"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.prints("node1", "medium two", 1);
    // Another QEMU has it too, and gives it back.
    fs::remove_file(private.join("two.iso")).unwrap();
    host.nsplay(&["power", "node1", "cycle"]).ok();
    host.prints("node1", "medium two", 2);
    let json: serde_json::Value = serde_json::from_str(&media(&["--json"]).ok().out).unwrap();
    let two = private.join("two.iso");
    assert_eq!(
        json,
        serde_json::json!({ "schema": "nsplay/media/1", "node": "node1", "medium": two })
    );
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(inspected.contains("private/two.iso"), "{inspected}");
    let ejected = media(&["eject"]).ok().out;
    assert_eq!(ejected, "node1: the CD drive is empty\n");
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.prints("node1", "No bootable device", 2);
    why(
        "medium",
        "its CD drive is empty: `nsplay media node1 insert ISO`",
    );
    media(&["insert", "private/one.iso", "--json"]).ok();
    why("medium", "one.iso, which is not of the lab file");
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.prints("node1", "medium one", 2);
    let told = host.nsplay(&["logs", "node1"]).ok().out;
    for words in [
        "node1: its CD drive is empty",
        &format!("node1: {path} is in its CD drive"),
    ] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn the_image_of_the_lab_file_is_taken_out_and_comes_back_with_the_next_run() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        &format!("{LAB}iso = \"first.iso\"\n").replace("\"disk\"]", "\"cdrom\"]"),
    );
    fs::write(host.folder().join("first.iso"), iso("medium of the file")).unwrap();
    fs::write(host.folder().join("other.iso"), iso("medium by hand")).unwrap();
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["power", "node1", "on"]).ok();
    host.prints("node1", "medium of the file", 1);
    host.nsplay(&["media", "node1", "insert", "other.iso"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.prints("node1", "medium by hand", 1);
    host.nsplay(&["down"]).ok();
    host.nsplay(&["up", "-d"]).ok();
    let said = host.nsplay(&["media", "node1"]).ok().out;
    assert!(said.ends_with("first.iso is in the CD drive\n"), "{said}");
    host.nsplay(&["power", "node1", "on"]).ok();
    host.prints("node1", "medium of the file", 1);
}
