//! Hosts that are in the way, and labs that stay out of theirs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use crate::host::{Host, ran};

/// A lab that is up answers on all its published ports and inside.
#[track_caller]
fn works(host: &Host) {
    let power = host.ipmitool(&["power", "status"]).ok();
    assert_eq!(power.out, "Chassis Power is on\n");
    let page = "http://192.168.25.3/boot.ipxe";
    host.nsplay(&["exec", "dhcp", "--", "curl", "-sf", page])
        .ok();
    let ssh = host.run("bash", &["-c", "head -c 4 < /dev/tcp/127.0.0.1/2222"]);
    assert_eq!(ssh.ok().out, "SSH-");
}

#[test]
fn a_firewall_and_routes_of_the_host_do_not_touch_a_lab_nor_it_them() {
    let host = Host::new();
    // Docker's policy, a VPN's routes into the lab's subnet, strict filters, and a bridge that
    // has the name of the lab's.
    host.shell(
        "set -e
         ip link add vpn0 type veth peer name vpn1
         ip link set vpn0 up; ip link set vpn1 up
         ip link add lab0 type bridge; ip link set lab0 up
         ip addr add 192.168.25.77/24 dev vpn0
         ip route add 192.168.25.3/32 dev vpn0
         ip route add 192.168.0.0/16 dev vpn1
         echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter
         echo 0 > /proc/sys/net/ipv4/ip_forward
         nft 'add table inet fw
              add chain inet fw through { type filter hook forward priority 0; policy drop; }
              add chain inet fw into { type filter hook input priority 0; policy drop; }
              add rule inet fw into iif lo accept
              add table bridge fw
              add chain bridge fw through { type filter hook forward priority 0; policy drop; }'",
    )
    .ok();
    // vpn0's neighbours and IPv6 addresses settle first.
    host.until("the links have settled", || {
        !host.shell("ip -o addr").ok().out.contains("tentative")
    });
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    works(&host);
    host.nsplay(&["down"]).ok();
    host.until("nothing has changed", || host.inventory() == before);
    // Who reloads a firewall flushes it first.
    host.nsplay(&["up", "-d"]).ok();
    host.shell("nft flush ruleset").ok();
    works(&host);
}

#[test]
fn the_host_sees_no_link_no_mount_and_no_rule_of_a_lab() {
    let host = Host::new();
    // As systemd has it; a mount that a lab makes would show up here.
    host.shell("mount --make-rshared /").ok();
    let look = || {
        let look = "cut -d' ' -f4- /proc/self/mountinfo; nft list ruleset; ip -o link; ip route";
        host.shell(look).ok().out
    };
    let before = look();
    let mut monitor = host.command("ip");
    monitor
        .args(["monitor", "link", "address", "route"])
        .stdout(Stdio::piped());
    let monitor = monitor.spawn().unwrap();
    host.until("ip listens", || {
        let listeners = "awk '$2 == 0 && $4 !~ /^0+$/ && NR > 1' /proc/net/netlink";
        !host.shell(listeners).ok().out.is_empty()
    });
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(look(), before);
    works(&host);
    host.nsplay(&["down"]).ok();
    assert_eq!(look(), before);
    let ip = host.process("ip monitor link address route");
    host.shell(&format!("kill {ip}")).ok();
    let seen = monitor.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&seen), "");
}

#[test]
fn without_a_tun_device_up_says_what_to_load() {
    let host = Host::new();
    host.shell("mount -t tmpfs tmpfs /dev/net").ok();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &["error: there is no /dev/net/tun", "hint: modprobe tun"],
    );
    assert_eq!(host.inventory(), before);
}

#[test]
fn root_without_its_capabilities_is_refused_and_nothing_is_left() {
    let host = Host::of_root();
    let before = host.inventory();
    let up = format!("{} up -d", host.spelled());
    for (lacks, says) in [
        ("-sys_admin", "this root lacks CAP_SYS_ADMIN, which"),
        ("-net_admin", "this root lacks CAP_NET_ADMIN, which"),
        // What Podman gives.
        (
            "-all,+chown,+dac_override,+fowner,+kill,+net_bind_service,+setgid,+setuid,+sys_chroot",
            "lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_AUDIT_WRITE, which",
        ),
    ] {
        let ran = host.shell(&format!("exec setpriv --bounding-set={lacks} {up}"));
        ran.fails(2, &[says, "hint: run it outside of the container"]);
        assert_eq!(host.inventory(), before);
    }
}

#[test]
fn a_root_that_is_one_user_only_is_refused_and_nothing_is_left() {
    let host = Host::of_root();
    let before = host.inventory();
    let up = format!("{} up -d", host.spelled());
    host.shell(&format!("exec unshare -Urn {up}")).fails(
        2,
        &[
            "programs run as users from 60600 to 61183, and this root's user namespace",
            "hint: run nsplay outside of it, as the user itself",
        ],
    );
    assert_eq!(host.inventory(), before);
}

#[test]
fn a_full_or_read_only_run_is_an_error_and_nothing_is_left() {
    let host = Host::new();
    for (what, spoil, mend) in [
        (
            "read-only",
            "mount -o remount,ro /run",
            "mount -o remount,rw /run",
        ),
        (
            "full",
            "mount -o remount,size=64k /run && ! dd if=/dev/zero of=/run/full bs=1k count=128",
            "rm /run/full; mount -o remount,size=0 /run",
        ),
    ] {
        host.shell(spoil).ok();
        let before = host.inventory();
        let ran = host.nsplay(&["up", "-d"]);
        assert!(
            [1, 2].contains(&ran.code),
            "{what}: {} {}",
            ran.code,
            ran.err
        );
        assert!(ran.err.contains("/run/"), "{what}: {}", ran.err);
        host.until("nothing is left", || host.inventory() == before);
        host.shell(mend).ok();
    }
    host.nsplay(&["up", "-d"]).ok();
    works(&host);
}

/// A boot sector that writes to its disk for ever, 32 KiB at a time (INT 13h, AH=43h).
const WRITER: &[u8] = b"\
    \x31\xc0\x8e\xd8\xbe\x16\x7c\xb8\x00\x43\xcd\x13\
    \x83\x06\x1e\x7c\x40\xeb\xf1\0\0\0\
    \x10\0\x40\0\x00\x7c\0\0\x01\0\0\0\0\0\0\0";

#[test]
fn a_disk_that_is_full_does_not_keep_a_lab_from_running_or_going_down() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]\ndisk = \"64MiB\"\nboot = [\"disk\"]\npower = \"off\"\n",
    );
    // A disk of its own for the lab: without UEFI variables and with a sparse disk it needs little.
    host.shell(
        "mkdir /var/lib/nsplay/default && mount -t tmpfs -o size=2m tmpfs /var/lib/nsplay/default",
    )
    .ok();
    host.give("/var/lib/nsplay/default");
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let disk = host.at("/var/lib/nsplay/default/node1/disk.raw");
    let disk = File::options().write(true).open(disk).unwrap();
    disk.write_all_at(WRITER, 0).unwrap();
    disk.write_all_at(&[0x55, 0xaa], 510).unwrap();
    // Whoever follows hears of it, though the log has no room for it.
    let wait = [
        "wait",
        "node1",
        "--for",
        "log=disk error: No space left on device",
    ];
    let mut wait = host
        .bounded(env!("CARGO_BIN_EXE_nsplay"))
        .args(wait)
        .spawn()
        .unwrap();
    host.ipmitool(&["power", "on"]).ok();
    assert!(wait.wait().unwrap().success());
    let full = "dd if=/dev/zero of=/var/lib/nsplay/default/full bs=1k count=4096";
    host.shell(full).fails(1, &["No space left on device"]);
    works(&host);
    host.nsplay(&["ps"]).ok();
    host.nsplay(&["down"]).ok();
    host.until("nothing is left", || host.inventory() == before);
}

/// How a place that is taken is refused: a user can name another.
fn taken(host: &Host) -> (i32, &'static str) {
    match host.is_root() {
        true => (
            1,
            "/run/nsplay is there already and is not a folder of ours",
        ),
        false => (2, "/run/nsplay is not yours alone"),
    }
}

#[test]
fn a_place_that_somebody_else_has_taken_is_not_used() {
    let host = Host::new();
    let (code, says) = taken(&host);
    host.shell("mkdir /run/elsewhere && ln -s elsewhere /run/nsplay")
        .ok();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(code, &[says]);
    assert_eq!(host.inventory(), before);
    host.shell("rm /run/nsplay && mkdir /run/nsplay && chown 65534 /run/nsplay")
        .ok();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(code, &[says]);
    assert_eq!(host.inventory(), before);
}

#[test]
fn a_place_that_somebody_else_takes_while_a_lab_comes_up_is_not_used() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "dhcp = false\nweb = false\nssh = false\nnode = false\n",
    );
    // Whoever may make a link to a folder of root's, and takes it away again.
    host.shell("mkdir /run/elsewhere && chmod 1777 /run").ok();
    let mut racer = host.command("setpriv");
    racer
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args([
            "sh",
            "-c",
            "cd /run && while :; do ln -s elsewhere nsplay; rm nsplay; done",
        ])
        .stderr(Stdio::null());
    let mut racer = racer.spawn().unwrap();
    let mut refused = 0;
    for _ in 0..40 {
        let up = host.nsplay(&["up", "-d"]);
        match up.code {
            0 => drop(host.nsplay(&["down"]).ok()),
            _ => {
                up.fails(taken(&host).0, &["/run/nsplay"]);
                refused += 1;
            }
        }
        assert_eq!(host.shell("ls -A /run/elsewhere").ok().out, "");
    }
    racer.kill().unwrap();
    racer.wait().unwrap();
    assert!(refused > 0, "nobody was in the way");
}

#[test]
fn other_users_may_not_give_orders_nor_read_the_key() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let nobody = |command: &str| {
        host.shell(&format!(
            "cd / && exec setpriv --reuid 65534 --regid 65534 --clear-groups {command}"
        ))
    };
    for secret in [
        "/run/nsplay/default/id_ed25519",
        // Consoles show passwords.
        "/var/lib/nsplay/default/log.jsonl",
        "/var/lib/nsplay/default/supervisor.log",
    ] {
        nobody(&format!("cat {secret}")).fails(1, &["Permission denied"]);
    }
    let connect = "curl -s -m 2 --unix-socket /run/nsplay/default/control.sock http://lab/";
    // curl's exit code for a connection that is refused.
    assert_eq!(nobody(connect).code, 7);
    // Nor by way of a descriptor that somebody has left open, in whose folder nobody may look.
    host.write(
        "pass.py",
        "import os\n\
         fd = os.open('/run/nsplay/default/control.sock', os.O_PATH)\n\
         os.dup2(fd, 9)\n\
         os.execvp('setpriv', ['setpriv', '--reuid', '65534', '--regid', '65534',\n\
             '--clear-groups', 'curl', '-sv', '-m', '2', '--unix-socket', '/proc/self/fd/9',\n\
             'http://lab/'])\n",
    );
    host.run("python3", &["pass.py"])
        .fails(7, &["Permission denied"]);
    // A connection that root has made and passed on is root's, and heard by root's lab.
    if !host.is_root() {
        return works(&host);
    }
    let connection = UnixStream::connect(host.at("/run/nsplay/default/control.sock")).unwrap();
    let mut heir = host.bounded("setpriv");
    heir.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["sh", "-c", "cd / && echo hello >&0 && head -n 1"])
        .stdin(OwnedFd::from(connection));
    let heard = ran(&mut heir).ok().out;
    assert!(heard.contains("cannot read the request"), "{heard}");
    works(&host);
}

#[test]
fn up_that_detaches_holds_none_of_its_callers_descriptors() {
    let host = Host::new();
    // `cat` ends when nobody has the pipe any more: a CI job's log, say.
    let up = format!(
        "timeout 60 sh -c '{} up -d 7>&1 2>&1 | cat'",
        host.spelled()
    );
    let up = host.shell(&up).ok();
    assert!(up.out.contains("[+] lab"), "{}", up.out);
    works(&host);
}

#[test]
fn a_busy_lab_keeps_no_descriptors_and_no_zombies() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    let descriptors = || {
        let list = host
            .shell(&format!("ls /proc/{supervisor}/fd | wc -l"))
            .ok()
            .out;
        list.trim().parse::<usize>().unwrap()
    };
    let round = || {
        host.ipmitool(&["power", "cycle"]).ok();
        host.nsplay(&["logs"]).ok();
        works(&host);
        // Children that nobody waits for become the supervisor's.
        let orphans = "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01 &) ; done";
        host.nsplay(&["exec", "web", "--", "sh", "-c", orphans])
            .ok();
    };
    // An IPMI client's sockets, the relay's and the front's, are kept for 90 s, so they are no part
    // of this count.
    let ipmi = || -> usize {
        let sockets = ["ss", "-Hun", "state", "established"];
        let of = |member| host.nsplay(&[&["exec", member, "--"], &sockets[..]].concat());
        let counts = ["fabric", "node1"].map(|member| of(member).ok().out.lines().count());
        counts.iter().sum()
    };
    round();
    let before = descriptors() - ipmi();
    (0..8).for_each(|_| round());
    host.until("as few descriptors as before", || {
        descriptors() - ipmi() <= before
    });
    host.until("no zombies", || {
        !host
            .shell("ps -eo stat=")
            .ok()
            .out
            .lines()
            .any(|state| state.starts_with('Z'))
    });
}

#[test]
fn a_qemu_that_hangs_can_be_powered_off_and_taken_down() {
    let host = Host::new();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let qemu = host.process("qemu-system-x86_64");
    host.shell(&format!("kill -STOP {qemu}")).ok();
    // It cannot do what it is told, and must not keep who tells it to stop from being heard.
    let _ = host.ipmitool(&["power", "reset"]);
    host.ipmitool(&["power", "off"]).ok();
    host.until("it is gone", || {
        host.processes("qemu-system-x86_64").is_empty()
    });
    host.ipmitool(&["power", "on"]).ok();
    host.until("it is on", || {
        host.processes("qemu-system-x86_64").len() == 1
    });
    let qemu = host.process("qemu-system-x86_64");
    host.shell(&format!("kill -STOP {qemu}")).ok();
    host.nsplay(&["down"]).ok();
    host.until("nothing is left", || host.inventory() == before);
}
