//! The BMC, asked by ipmitool over both interfaces.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::host::{Host, ran};

/// ipmitool's words for what a node is.
#[track_caller]
fn status(host: &Host, interface: &[&str], expected: &str) {
    let status = host
        .ipmitool(&[interface, &["power", "status"]].concat())
        .ok();
    assert_eq!(status.out, format!("Chassis Power is {expected}\n"));
}

#[test]
fn power_off_through_ipmi_stops_the_guest() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.process("qemu-system-x86_64");
    let off = host.ipmitool(&["power", "off"]).ok();
    assert_eq!(off.out, "Chassis Power Control: Down/Off\n");
    // Half a second is what the command promises.
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end && !host.processes("qemu-system-x86_64").is_empty() {}
    assert!(host.processes("qemu-system-x86_64").is_empty());
    host.is_switched("off", "the BMC");
    assert_eq!(
        host.nsplay(&["power", "node1", "status"]).ok().out,
        "node1: off\n"
    );
}

#[test]
fn both_interfaces_tell_the_machine_what_to_do_and_what_it_is() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for interface in [&["-I", "lan"][..], &["-I", "lanplus", "-C", "3"]] {
        let power = |order: &str| host.ipmitool(&[interface, &["power", order]].concat());
        status(&host, interface, "on");
        // On when on and off when off succeed.
        assert_eq!(power("on").ok().out, "Chassis Power Control: Up/On\n");
        for _ in 0..2 {
            assert_eq!(power("off").ok().out, "Chassis Power Control: Down/Off\n");
            host.until("it is off", || {
                host.processes("qemu-system-x86_64").is_empty()
            });
            status(&host, interface, "off");
        }
        // A machine that is off has nothing to reset (IPMI 2.0, section 28.3).
        assert_ne!(power("reset").code, 0);
        assert_ne!(power("cycle").code, 0);
        power("on").ok();
        host.until("it is on", || {
            host.processes("qemu-system-x86_64").len() == 1
        });
        status(&host, interface, "on");
        let before = host.process("qemu-system-x86_64");
        assert_eq!(power("cycle").ok().out, "Chassis Power Control: Cycle\n");
        host.until("there is another QEMU", || {
            let now = host.processes("qemu-system-x86_64");
            now.len() == 1 && now != [before]
        });
        let before = host.process("qemu-system-x86_64");
        assert_eq!(power("reset").ok().out, "Chassis Power Control: Reset\n");
        assert_eq!(power("diag").ok().out, "Chassis Power Control: Diag\n");
        assert_eq!(host.process("qemu-system-x86_64"), before);
    }
    host.is_reset("the BMC", 2);
}

#[test]
fn two_clients_at_once_are_both_answered() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| host.ipmitool(&["power", "status"])))
            .collect();
        for client in clients {
            assert_eq!(client.join().unwrap().ok().out, "Chassis Power is on\n");
        }
    });
}

#[test]
fn a_wrong_password_opens_nothing() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut wrong: Command = host.command("ipmitool");
    wrong.args([
        "-I",
        "lanplus",
        "-C",
        "3",
        "-H",
        "127.0.0.1",
        "-U",
        "admin",
        "-P",
        "wrong",
    ]);
    assert_ne!(ran(wrong.args(["power", "off"])).code, 0);
    assert_eq!(
        host.nsplay(&["power", "node1", "status"]).ok().out,
        "node1: on\n"
    );
}

#[test]
fn a_qemu_that_was_killed_shows_as_off() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let qemu = host.process("qemu-system-x86_64");
    host.shell(&format!("kill -9 {qemu}")).ok();
    host.is_switched("off", "a failure: QEMU was killed by SIGKILL");
    status(&host, &[], "off");
    host.ipmitool(&["power", "on"]).ok();
    host.until("it is on again", || {
        host.processes("qemu-system-x86_64").len() == 1
    });
    status(&host, &[], "on");
}
