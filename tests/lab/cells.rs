//! What the programs of a lab see of files: what they serve, or what their guest is made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::host::{Host, ran};
use crate::ways::with_uplink;

/// What a cell shows of every system.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// What every cell has beside that.
const COMMON: [&str; 8] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc",
    "/proc",
    "/tmp",
];

/// A process as its `/proc` tells what it sees.
pub struct Seen {
    /// Where something is mounted, but for the system and below `/etc`.
    pub mounts: BTreeSet<String>,
    /// Those that can be written to.
    pub writable: BTreeSet<String>,
    /// What is in its root.
    pub root: BTreeSet<String>,
    /// Whether nothing that is mounted gives another user's rights, or has devices but those of
    /// `/dev`.
    pub is_tame: bool,
}

/// What the process `pid` of the host sees.
pub fn seen(host: &Host, pid: u32) -> Seen {
    let path = host.at(&format!("/proc/{pid}/mountinfo"));
    let table = fs::read_to_string(path).unwrap();
    let mut seen = Seen {
        mounts: BTreeSet::new(),
        writable: BTreeSet::new(),
        root: BTreeSet::new(),
        is_tame: true,
    };
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (at, options) = (fields[4], fields[5]);
        let is_device = at.starts_with("/dev/");
        seen.is_tame &= options.contains("nosuid") && (is_device || options.contains("nodev"));
        if options.starts_with("rw") {
            seen.writable.insert(at.to_owned());
        }
        let mut system = SYSTEM.iter().map(Path::new);
        let is_system = system.any(|known| Path::new(at).starts_with(known));
        // What the host has to boot is served, if it has any.
        let is_memtest = at.starts_with("/boot/memtest");
        if !is_system && !at.starts_with("/etc/") && !is_memtest {
            seen.mounts.insert(at.to_owned());
        }
    }
    let list = host.shell(&format!("ls -A /proc/{pid}/root/")).ok().out;
    seen.root = list.lines().map(str::to_owned).collect();
    seen
}

/// Asserts that each program sees `own` beside what every cell has, and can write to no more than
/// what of it is marked.
#[track_caller]
pub fn see_only(host: &Host, all: &[(&str, &[(&str, bool)])]) {
    for (process, own) in all {
        let seen = seen(host, host.process(process));
        assert!(seen.is_tame, "{process}");
        let common = COMMON.iter().chain(&["/"]).map(ToString::to_string);
        let mounts = own.iter().map(|(path, _)| (*path).to_owned());
        assert_eq!(seen.mounts, common.chain(mounts).collect(), "{process}");
        let writable = own.iter().filter(|(_, writable)| *writable);
        let writable = writable.map(|(path, _)| *path).chain(["/proc", "/tmp"]);
        let writable: BTreeSet<String> = writable.map(str::to_owned).collect();
        assert_eq!(seen.writable, writable, "{process}");
        for name in seen.root {
            let path = format!("/{name}");
            assert!(
                SYSTEM.contains(&path.as_str())
                    || ["boot", "dev", "etc", "proc", "run", "tmp", "var"].contains(&name.as_str())
                    // What is served has the name too that it has on the host.
                    || host.folder().starts_with(&path),
                "{process} sees {path}"
            );
        }
    }
}

#[test]
fn each_program_sees_what_it_serves_and_nothing_else_of_the_host_or_of_others() {
    let host = Host::new();
    host.write("webroot/index.html", "yes");
    host.write("tftproot/file", "yes");
    // Its disks are empty: no guest runs long.
    host.write(
        "nsplay.toml",
        "[node.node1]\nboot = [\"disk\"]\ntpm = true\ndisks = [{ size = \"8MiB\" }, { size = \"8MiB\" }]\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let state = format!("{}/node1", host.state_dir());
    let disks = ["disk.raw", "disk2.raw"].map(|disk| format!("{state}/{disk}"));
    let tpm = format!("{state}/tpm");
    see_only(
        &host,
        &[
            (
                "/usr/sbin/dnsmasq",
                &[
                    ("/run/lab/dhcp", true),
                    ("/run/lab/.served/dhcp", false),
                    ("/run/lab/.served/dhcp/tftproot", false),
                ],
            ),
            (
                "/usr/sbin/lighttpd",
                &[
                    ("/run/lab/web", true),
                    ("/run/lab/.served/web", false),
                    ("/run/lab/.served/web/webroot", false),
                    ("/var/lib/nsplay/.image", false),
                ],
            ),
            (
                "/usr/bin/ipmi_sim",
                &[
                    ("/run/lab/ipmi-sim-module.so", false),
                    ("/run/lab/node1/bmc", true),
                ],
            ),
            (
                "qemu-system-x86_64",
                &[
                    ("/run/lab/node1/qemu", true),
                    (&disks[0], true),
                    (&disks[1], true),
                ],
            ),
            ("/usr/bin/swtpm", &[(&tpm, true)]),
        ],
    );
}

/// Tells what it finds where QEMU is, and becomes QEMU. Its words are lines of the node's log.
const PROBE: &str = r#"#!/bin/sh
say() { echo "probe: $*"; }
for path in $(find / \( -path /proc -o -path /dev \) -prune -o ! -type l -writable -print 2>/dev/null); do
    say may write to $path
done
for path in /dev $(find /run /var -type d); do
    say $path has $(ls -A $path)
done
say runs beside $(cat /proc/[0-9]*/comm)
for path in /mnt/canary /run/lab/web/lighttpd.conf /run/lab/node1/bmc/lan.conf; do
    [ -r $path ] && say reads $path
done
pid=1
while [ $pid -lt 200 ]; do
    if [ $pid != $$ ]; then
        [ -r /proc/$pid/root/mnt/canary ] && say reads the canary through $pid
        kill -0 $pid 2>/dev/null && say may signal $pid
    fi
    pid=$((pid + 1))
done
(unshare -Urm cat /mnt/canary || unshare -Urm cat /run/lab/web/lighttpd.conf) >/dev/null 2>&1 &&
    say sees more in namespaces of its own
ip link add probe0 type dummy 2>/dev/null && say makes links
ip tuntap add probe1 mode tap 2>/dev/null && say makes devices
curl -s -m 2 http://203.0.113.2:8123/canary && say reaches the host
say is done
exec /usr/bin/qemu-system-x86_64 "$@"
"#;

#[test]
fn who_takes_qemus_place_sees_its_own_node_and_changes_nothing_else() {
    probes_in_qemus_place(&with_uplink());
}

#[test]
fn in_a_users_lab_too_who_takes_qemus_place_sees_its_own_node_and_changes_nothing_else() {
    probes_in_qemus_place(&Host::of_user());
}

fn probes_in_qemus_place(host: &Host) {
    host.shell("mount -t tmpfs -o mode=755 tmpfs /mnt; echo canary >/mnt/canary")
        .ok();
    host.shell("busybox httpd -p 0.0.0.0:8123 -h /mnt").ok();
    host.shell("curl -sf -m 5 http://127.0.0.1:8123/canary")
        .ok();
    host.write("bin/qemu-system-x86_64", PROBE);
    host.write(
        "nsplay.toml",
        "[node.node1]\nboot = [\"disk\"]\n[node.node2]\npower = \"off\"\n",
    );
    host.shell("chmod -R a+rX,a+x bin").ok();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}/bin:{path}", host.folder().display());
    let mut up = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    ran(up.args(["up", "-d"]).env("PATH", path)).ok();
    host.prints("node1", "probe: is done", 1);
    let lines = host.lines("node1");
    let said = lines
        .iter()
        .filter_map(|line| Some(line.split_once("probe: ")?.1));
    let said: Vec<&str> = said.collect();
    let state = host.state_dir();
    let (about, rest): (Vec<&str>, Vec<&str>) = said.iter().partition(|line| line.contains(" has"));
    let mut may = vec![
        format!("may write to {state}/node1/disk.raw"),
        "may write to /run/lab/node1/qemu".to_owned(),
        "may write to /tmp".to_owned(),
    ];
    may.sort();
    let mut rest: Vec<&str> = rest;
    let beside = rest.iter().position(|line| line.starts_with("runs beside"));
    let beside = rest.remove(beside.unwrap());
    for other in [
        "dnsmasq", "lighttpd", "sshd", "ipmi_sim", "nsplay", "systemd", "init",
    ] {
        assert!(!beside.contains(other), "{beside}");
    }
    assert_eq!(rest.pop(), Some("is done"));
    // Where this program is may be in the cell's own /tmp.
    rest.retain(|line| !line.starts_with("may write to /tmp/"));
    rest.sort_unstable();
    assert_eq!(rest, may);
    for has in [
        "/run/lab has node1".to_owned(),
        "/run/lab/node1 has qemu".to_owned(),
        format!("{state} has node1"),
        format!("{state}/node1 has disk.raw"),
        "/dev has fd full null random stderr stdin stdout urandom zero".to_owned(),
    ] {
        assert!(about.contains(&has.as_str()), "{has} is not in: {about:#?}");
    }
}
