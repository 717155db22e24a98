//! Labs of an ordinary user. `NSPLAY_TEST_AS=user` runs the other tests as one.

use std::fs;
use std::process::Stdio;

use crate::cells::{see_only, seen};
use crate::host::Host;
use crate::typist::Typist;

#[test]
fn a_user_has_the_whole_lab_without_root() {
    let host = Host::of_user();
    let before = host.inventory();
    let up = host.nsplay(&["up", "-d"]).ok();
    let run = host.run_dir();
    for said in [
        "node1 is published on port 6230, for port 623 is root's here",
        "ipmitool -H 127.0.0.1 -p 6230 -U admin",
        &format!("ssh -p 2222 -i {run}/id_ed25519"),
    ] {
        assert!(up.err.contains(said), "{said:?} is not in {}", up.err);
    }
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains("127.0.0.1:6230"), "{ps}");
    // Nobody else may look into the user's folders, and the host has no names of the lab's.
    let modes = host.shell(&format!("stat -c '%a %U' {run} {run}/*; ls /run/netns"));
    assert!(!modes.out.contains("root"), "{}", modes.out);
    assert!(modes.out.starts_with("700 "), "{}", modes.out);
    assert!(modes.err.contains("No such file"), "{}", modes.err);

    let addresses = host
        .nsplay(&["exec", "node1", "--", "ip", "-br", "addr"])
        .ok();
    assert!(
        addresses.out.contains("192.168.25.5/24"),
        "{}",
        addresses.out
    );
    // Root of the network that it enters, as root's `exec` is.
    let add = [
        "exec", "fabric", "--", "ip", "link", "add", "other", "type", "bridge",
    ];
    host.nsplay(&add).ok();
    let ssh = format!(
        "ssh -p 2222 -i {run}/id_ed25519 -o BatchMode=yes \
         -o UserKnownHostsFile={run}/known_hosts lab@127.0.0.1"
    );
    let page = host.shell(&format!("{ssh} 'id -un; curl -sI http://web/boot.ipxe'"));
    assert!(page.ok().out.starts_with("lab\nHTTP/1.1 200"));
    assert!(
        host.shell(&format!("{ssh} -tt tty"))
            .ok()
            .out
            .starts_with("/dev/pts/")
    );

    host.prints("node1", "nsplay: node1 is up: 192.168.25.1", 1);
    let mut console = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    let mut console = Typist::of(console.arg("console"));
    console.sees("nsplay: node1 is up");
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is on\n"
    );
    host.ipmitool(&["-I", "lanplus", "power", "off"]).ok();
    host.is_switched("off", "the BMC");
    host.nsplay(&["power", "node1", "on"]).ok();
    host.nsplay(&["power", "node1", "off"]).ok();
    host.nsplay(&["link", "node1", "--rate", "10mbit"]).ok();
    let shaped = host.nsplay(&["exec", "node1", "--", "tc", "qdisc", "show", "dev", "tap0"]);
    assert!(shaped.ok().out.contains("tbf"));
    host.nsplay(&["bmc", "sensors", "node1"]).ok();

    host.nsplay(&["down"]).ok();
    assert_eq!(console.ends(), 1);
    host.is_as_before(&before);
    let logs = host.nsplay(&["logs"]).ok();
    assert!(logs.out.contains("dhcp  | started"), "{}", logs.out);
    host.nsplay(&["ps"])
        .fails(2, &["lab `default` is not up", "hint: nsplay up -d"]);
}

#[test]
fn a_users_lab_that_is_killed_leaves_nothing() {
    let host = Host::of_user();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    host.shell(&format!("kill -9 {supervisor}")).ok();
    host.is_as_before(&before);
    let mut up = host
        .command(env!("CARGO_BIN_EXE_nsplay"))
        .arg("up")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    host.until("the lab is up", || {
        host.nsplay(&["ps"]).out.contains("ipmi_sim  ready")
    });
    // The watcher has its words too: the client is the oldest.
    let client = host.processes(&format!("{} up", env!("CARGO_BIN_EXE_nsplay")));
    host.shell(&format!("kill -9 {}", client[0])).ok();
    up.wait().unwrap();
    host.is_as_before(&before);
}

#[test]
fn programs_of_a_users_lab_can_neither_write_to_the_host_nor_gain_anything() {
    let host = Host::of_user();
    host.nsplay(&["up", "-d"]).ok();
    for (process, capabilities) in [
        ("/usr/sbin/dnsmasq", "0000000000003400"),
        ("/usr/sbin/lighttpd", "0000000000000000"),
        ("/usr/bin/ipmi_sim", "0000000000000000"),
        ("qemu-system-x86_64", "0000000000000000"),
        ("/usr/sbin/sshd -D", "0000000000000000"),
    ] {
        let pid = host.process(process);
        let status = fs::read_to_string(host.at(&format!("/proc/{pid}/status"))).unwrap();
        let has = |line: &str| status.lines().any(|known| known == line);
        for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
            assert!(
                has(&format!("{set}:\t{capabilities}")),
                "{process}: {status}"
            );
        }
        assert!(has("NoNewPrivs:\t1"), "{process}: {status}");
        if !process.contains("sshd") {
            continue;
        }
        // Only what is the lab's own is writable, beside the state directory.
        let writable = seen(&host, pid).writable;
        let mut own = ["/etc", "/run", "/tmp", "/var", "/proc"]
            .map(str::to_owned)
            .to_vec();
        own.extend([host.state_dir(), format!("{}/netns", host.run_dir())]);
        let namespaces = "/run/lab/netns/";
        for target in writable {
            let is_own = own.contains(&target) || target.starts_with(namespaces);
            assert!(is_own, "{process} may write to {target}");
        }
    }
    let disk = format!("{}/node1/disk.raw", host.state_dir());
    see_only(
        &host,
        &[
            (
                "/usr/sbin/dnsmasq",
                &[("/run/lab/dhcp", true), ("/run/lab/.served/dhcp", false)],
            ),
            (
                "/usr/sbin/lighttpd",
                &[
                    ("/run/lab/web", true),
                    ("/run/lab/.served/web", false),
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
                &[("/run/lab/node1/qemu", true), (&disk, true)],
            ),
        ],
    );
}

#[test]
fn what_only_root_can_do_is_refused_with_its_reason() {
    let host = Host::of_user();
    let before = host.inventory();
    host.write(
        "nsplay.toml",
        "[network]\nattach = true\n\n[service.x]\ncommand = [\"sleep\", \"9\"]\nuser = \"daemon\"\n",
    );
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "attach = true changes the host's network, which only root may",
            "service `x`: only root can run it as another user, `daemon`",
            "run nsplay with sudo",
        ],
    );
    // 623 would become 6230, and so would stand in the lab's own way.
    host.write(
        "nsplay.toml",
        "[service.x]\ncommand = [\"sleep\", \"9\"]\npublish = \"127.0.0.1:6230:1/udp\"\n[node.node1]\n",
    );
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "cannot publish `node1` on port 623, which is root's here, nor on 6230 in its place, which `x` has",
            "hint: publish one of the two on another port from 1024 on, or run nsplay with sudo",
        ],
    );
    host.is_as_before(&before);
}

#[test]
fn what_the_system_forbids_a_user_is_said_with_the_remedy() {
    let host = Host::of_user();
    let before = host.inventory();
    host.shell("chmod 0600 /dev/net/tun").ok();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "you may not open /dev/net/tun (its mode is 0600)",
            "hint: sudo chmod 0666 /dev/net/tun",
        ],
    );
    host.shell("chmod 0666 /dev/net/tun").ok();
    let whole = host.inventory();
    host.shell(
        "mkdir /run/dev && mount -t tmpfs -o mode=755 tmpfs /run/dev && cd /dev &&
         cp -a net null zero full random urandom tty ptmx fd /run/dev &&
         mkdir /run/dev/pts /run/dev/shm && mknod -m 0600 /run/dev/kvm c 10 232 &&
         mount --bind pts /run/dev/pts && mount --bind shm /run/dev/shm &&
         mount --rbind /run/dev /dev",
    )
    .ok();
    host.write("nsplay.toml", "[node.node1]\naccel = \"kvm\"\n");
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "node `node1` wants KVM: /dev/kvm: Permission denied",
            "hint: accel = \"auto\" takes TCG",
        ],
    );
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    let up = host.nsplay(&["up", "-d"]).ok();
    let says = "run under TCG, QEMU's own translator: /dev/kvm: Permission denied";
    assert!(up.err.contains(says), "{}", up.err);
    host.nsplay(&["down"]).ok();
    host.shell("umount -R /dev && umount -R /run/dev && rmdir /run/dev")
        .ok();
    host.is_as_before(&whole);
    // A part of /proc that is covered, as in a container.
    host.shell("mount -t tmpfs tmpfs /proc/acpi || mount -t tmpfs tmpfs /proc/fs")
        .ok();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "the lab's own /proc cannot be mounted",
            "systempaths=unconfined",
        ],
    );
    host.shell("umount /proc/acpi || umount /proc/fs").ok();
    host.is_as_before(&before);
}

#[test]
fn a_run_directory_that_others_can_change_is_not_used() {
    let host = Host::of_user();
    let user = host.user().unwrap();
    let set = format!("XDG_RUNTIME_DIR=/run/user/{user}");
    let without = format!(
        "exec env -u XDG_RUNTIME_DIR {}",
        host.spelled().replace(&set, "")
    );
    host.shell(&format!(
        "rmdir /run/user/{user}; mount -t tmpfs tmpfs /tmp"
    ))
    .ok();
    let folder = format!("/tmp/nsplay-{user}");
    for taken in [
        format!("mkdir -m 777 {folder}; chown 65534 {folder}"),
        format!("mkdir -m 777 {folder}; chown {user} {folder}"),
        format!("mkdir /tmp/theirs; ln -s theirs {folder}; chown -h 65534 {folder}"),
    ] {
        host.shell(&taken).ok();
        for verb in ["up -d", "ps", "down"] {
            host.shell(&format!("{without} {verb}")).fails(
                2,
                &[
                    &format!("{folder} is not yours alone"),
                    "hint: set XDG_RUNTIME_DIR to a folder that only you can write to",
                ],
            );
        }
        host.shell(&format!("rm -r {folder}")).ok();
    }
    host.shell(&format!("{without} up -d")).ok();
    assert!(host.at(&format!("{folder}/nsplay/default/lock")).exists());
    host.shell(&format!("{without} down")).ok();
}
