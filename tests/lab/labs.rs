//! The labs that ship, run as they are, where what they boot is on this host.

use std::path::Path;

use crate::host::{Host, ran};

/// Where Debian 12 has its installer (package debian-installer-12-netboot-amd64).
const INSTALLER: &str = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";

/// A host with the labs and what they serve, as in a checkout.
fn checkout() -> Host {
    let host = Host::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut copy = std::process::Command::new("cp");
    let copy = copy.args(["-r", "configs", "webroot"]).arg(host.folder());
    ran(copy.current_dir(here)).ok();
    host
}

#[test]
#[expect(clippy::print_stderr, reason = "a skip is printed")]
fn debians_installer_boots_and_fetches_its_answers_from_the_lab() {
    if !Path::new(INSTALLER).is_dir() {
        // It is a package of Debian 12, which CI is to have.
        assert!(std::env::var_os("CI").is_none(), "no {INSTALLER}");
        eprintln!("skipped: this host has no {INSTALLER}");
        return;
    }
    let host = checkout();
    for file in ["linux", "initrd.gz"] {
        let to = host.folder().join("webroot/debian-preseed").join(file);
        std::fs::copy(Path::new(INSTALLER).join(file), to).unwrap();
    }
    host.write("no-way-out.toml", "network.nat = false\n");
    let lab = [
        "-p",
        "default",
        "up",
        "-d",
        "-f",
        "configs/debian-preseed.toml",
        "-f",
        "no-way-out.toml",
    ];
    host.nsplay(&lab).ok();
    host.prints("web", "GET /debian-preseed/linux 200", 1);
    host.prints("web", "GET /debian-preseed/initrd.gz 200", 1);
    host.prints("node1", "installer", 1);
    host.prints("web", "GET /debian-preseed/preseed.cfg 200", 1);
}

#[test]
fn memtest86_boots_from_the_labs_menu() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]\nmemory = \"64MiB\"\nipxe = \"\"\"\n\
         chain --autofree /nsplay/entries.ipxe\n\
         kernel ${nsplay-memtest}/memtest.bin console=ttyS0,115200\nboot\n\"\"\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("web", "GET /nsplay/memtest/memtest.bin 200", 1);
    host.prints("node1", "Memtest86+", 1);
}

#[test]
fn six_nodes_boot_the_image_at_once_each_with_its_name_and_address() {
    let host = checkout();
    let lab = ["-p", "default", "up", "-d", "-f", "configs/six-nodes.toml"];
    host.nsplay(&lab).ok();
    let master = host.run("curl", &["-sf", "http://127.0.0.1:8080/"]).ok();
    assert!(
        master.out.contains("configuration master"),
        "{}",
        master.out
    );
    for (kind, first) in [("controller", 11), ("worker", 21)] {
        for n in 0..3 {
            let (node, address) = (n + 1, first + n);
            // In the guest's own words.
            let hello = format!("hello?node={kind}{node}&address=192.168.25.{address}&");
            host.prints("web", &hello, 1);
            let power = host.run(
                "ipmitool",
                &[
                    "-H",
                    "127.0.0.1",
                    "-U",
                    "admin",
                    "-P",
                    "admin",
                    "-p",
                    &(6230 + n + if first == 11 { 0 } else { 3 }).to_string(),
                    "power",
                    "off",
                ],
            );
            power.ok();
        }
    }
}
