//! Hosts that are in the way, and labs that stay out of theirs.

use crate::host::Host;

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
    let host = Host::new();
    let before = host.inventory();
    for lacks in ["sys_admin", "net_admin"] {
        let script = format!(
            "exec setpriv --bounding-set=-{lacks} {} up -d",
            env!("CARGO_BIN_EXE_nsplay")
        );
        let ran = host.shell(&script);
        assert!([1, 2].contains(&ran.code), "{}", ran.err);
        assert!(ran.err.contains("error: "), "{}", ran.err);
        host.until("nothing is left", || host.inventory() == before);
    }
}

#[test]
fn a_place_that_somebody_else_has_taken_is_not_used() {
    let host = Host::new();
    host.shell("mkdir /run/elsewhere && ln -s elsewhere /run/nsplay")
        .ok();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        1,
        &["/run/nsplay is there already and is not a folder of ours"],
    );
    assert_eq!(host.inventory(), before);
    host.shell("rm /run/nsplay && mkdir /run/nsplay && chown 65534 /run/nsplay")
        .ok();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        1,
        &["/run/nsplay is there already and is not a folder of ours"],
    );
    assert_eq!(host.inventory(), before);
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
    assert_ne!(nobody("cat /run/nsplay/default/id_ed25519").code, 0);
    let connect = "curl -s -m 2 --unix-socket /run/nsplay/default/control.sock http://lab/";
    // curl's exit code for a connection that is refused.
    assert_eq!(nobody(connect).code, 7);
    works(&host);
}

#[test]
fn up_that_detaches_holds_none_of_its_callers_descriptors() {
    let host = Host::new();
    // `cat` ends when nobody has the pipe any more: a CI job's log, say.
    let up = format!(
        "timeout 60 sh -c '{} up -d 7>&1 2>&1 | cat'",
        env!("CARGO_BIN_EXE_nsplay")
    );
    let up = host.shell(&up).ok();
    assert!(up.out.contains("[+] lab"), "{}", up.out);
    works(&host);
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
