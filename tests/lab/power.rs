//! Power, as the chassis commands and the node's state machine have it.

use crate::host::Host;

const OFF: &str = "node1: off\n";
const ON: &str = "node1: on\n";

#[track_caller]
fn is(host: &Host, power: &str) {
    assert_eq!(host.nsplay(&["power", "node1", "status"]).ok().out, power);
}

#[test]
fn the_restore_policy_decides_what_the_next_run_of_the_lab_does() {
    let host = Host::new();
    // What a client sets, how the node is left, and how it comes back.
    for (policy, left, comes_back) in [
        ("always-off", "on", OFF),
        ("always-on", "off", ON),
        ("previous", "off", OFF),
        ("previous", "on", ON),
    ] {
        host.nsplay(&["up", "-d"]).ok();
        host.ipmitool(&["chassis", "policy", policy]).ok();
        host.nsplay(&["power", "node1", left]).ok();
        host.nsplay(&["down"]).ok();
        host.nsplay(&["up", "-d"]).ok();
        is(&host, comes_back);
        let status = host.ipmitool(&["chassis", "status"]).ok().out;
        assert!(status.contains(policy), "{status}");
        host.nsplay(&["down"]).ok();
    }
}

#[test]
fn a_power_on_that_arrives_while_the_node_stops_is_not_swallowed() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for _ in 0..5 {
        let before = host.process("qemu-system");
        // One session, so that the second order comes within a millisecond of the first.
        host.write("orders", "power off\npower on\n");
        let orders = host.folder().join("orders");
        host.ipmitool(&["exec", &orders.display().to_string()]).ok();
        host.until("another QEMU runs", || {
            let all = host.processes("qemu-system");
            all.len() == 1 && all[0] != before
        });
        is(&host, ON);
    }
}

#[test]
fn a_guest_that_ignores_its_power_button_stays_on_unless_a_timeout_is_set() {
    let host = Host::new();
    // iPXE's command line knows no power button.
    host.write("webroot/boot.ipxe", "#!ipxe\necho waiting\nshell\n");
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "waiting", 1);
    host.ipmitool(&["power", "soft"]).ok();
    host.prints("node1", "ACPI power button pressed", 1);
    is(&host, ON);
    host.nsplay(&["down"]).ok();

    host.write("nsplay.toml", "[node.node1]\nsoft_timeout = \"1s\"\n");
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "waiting", 1);
    host.ipmitool(&["power", "soft"]).ok();
    host.is_switched("off", "a soft power-off that took too long");
    is(&host, OFF);
}

#[test]
fn causes_events_and_hours_are_told_as_they_were() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let cause = host.ipmitool(&["chassis", "restart_cause"]).ok().out;
    assert!(cause.contains("always-restore"), "{cause}");
    host.ipmitool(&["power", "cycle"]).ok();
    host.is_switched("on", "the BMC");
    let cause = host.ipmitool(&["chassis", "restart_cause"]).ok().out;
    assert!(cause.contains("chassis power control command"), "{cause}");
    let status = host.ipmitool(&["chassis", "status"]).ok().out;
    assert!(
        status.contains("Last Power Event     : command"),
        "{status}"
    );
    let hours = host.ipmitool(&["chassis", "poh"]).ok().out;
    assert!(hours.contains("POH Counter"), "{hours}");
    let test = host.ipmitool(&["mc", "selftest"]).ok().out;
    assert_eq!(test, "Selftest: passed\n");
}

#[test]
fn the_identify_light_shows_in_ps_and_goes_out_by_itself() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let shines = || host.nsplay(&["ps"]).ok().out.contains("on, identify");
    assert!(!shines());
    host.ipmitool(&["chassis", "identify", "1"]).ok();
    host.until("the light is on", shines);
    host.until("the light is off", || !shines());
    host.ipmitool(&["chassis", "identify", "force"]).ok();
    host.until("the light is on", shines);
    host.ipmitool(&["chassis", "identify", "0"]).ok();
    host.until("the light is off", || !shines());
}

#[test]
fn a_thousand_orders_at_once_keep_nobody_waiting() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.write("orders", &"chassis power cycle\n".repeat(1000));
    let orders = host.ipmitool(&["exec", "orders"]);
    assert!(orders.err.contains("Node busy"), "{}", orders.err);
    host.nsplay(&["power", "node1", "off"]).ok();
    is(&host, OFF);
    host.ipmitool(&["power", "on"]).ok();
    host.nsplay(&["restart", "web"]).ok();
    is(&host, ON);
}
