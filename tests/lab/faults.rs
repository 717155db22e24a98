//! Faults that a BMC is told to have, and what undoes them.

use crate::host::{Host, Ran};

/// One attempt, which gives up after a second.
fn try_once(host: &Host, order: &[&str]) -> Ran {
    let once = ["-I", "lanplus", "-R", "1", "-N", "1"];
    host.ipmitool(&[&once[..], order].concat())
}

fn answers(host: &Host) -> bool {
    try_once(host, &["mc", "info"]).code == 0
}

fn fault(host: &Host, arguments: &[&str]) {
    host.nsplay(&[&["bmc", "fault", "node1"], arguments].concat())
        .ok();
}

#[test]
fn an_unreachable_bmc_is_back_after_its_time_or_when_it_is_cleared() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    fault(&host, &["unreachable"]);
    assert!(!answers(&host));
    assert_eq!(
        host.nsplay(&["bmc", "fault", "node1"]).ok().out,
        "unreachable\n"
    );
    host.nsplay(&["bmc", "clear", "node1"]).ok();
    assert!(answers(&host));
    assert_eq!(host.nsplay(&["bmc", "fault", "node1"]).ok().out, "");

    fault(&host, &["unreachable", "--for", "2"]);
    assert!(!answers(&host));
    host.until("it is back", || answers(&host));
    let log = host.nsplay(&["logs"]).ok().out;
    assert!(
        log.contains("node1: the fault unreachable begins, for 2 s"),
        "{log}"
    );
    assert!(
        log.contains("node1: the fault unreachable is over"),
        "{log}"
    );
}

#[test]
fn answers_that_come_too_late_or_get_lost_cost_a_client_its_patience() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    fault(&host, &["slow=3s"]);
    assert!(!answers(&host));
    fault(&host, &["slow=20ms"]);
    assert!(answers(&host));
    fault(&host, &["loss=100%"]);
    assert!(!answers(&host));
    // ipmitool repeats what is lost.
    fault(&host, &["loss=20%"]);
    host.until("one gets through", || {
        host.ipmitool(&["mc", "info"]).code == 0
    });
}

#[test]
fn a_full_session_table_refuses_new_sessions_by_name() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    fault(&host, &["sessions-full"]);
    let plus = try_once(&host, &["mc", "info"]);
    assert!(plus.err.contains("insufficient resources"), "{}", plus.err);
    let plain = host.ipmitool(&["mc", "info"]);
    assert!(plain.err.contains("Out of space"), "{}", plain.err);
}

#[test]
fn a_cold_reset_is_over_when_its_time_is() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let bmc = host.process("ipmi_sim");
    fault(&host, &["cold-reset", "--for", "2"]);
    assert!(!answers(&host));
    host.until("it is back", || answers(&host));
    assert_ne!(host.process("ipmi_sim"), bmc);
}

#[test]
fn stuck_power_takes_orders_and_does_nothing() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let qemu = host.process("qemu-system");
    fault(&host, &["stuck-power"]);
    for order in ["off", "cycle", "reset"] {
        host.ipmitool(&["power", order]).ok();
        assert_eq!(
            host.ipmitool(&["power", "status"]).ok().out,
            "Chassis Power is on\n"
        );
    }
    assert_eq!(host.process("qemu-system"), qemu);
    host.nsplay(&["bmc", "clear", "node1"]).ok();
    host.ipmitool(&["power", "off"]).ok();
    host.is_switched("off", "the BMC");
}

#[test]
fn an_ignored_boot_device_reads_back_and_is_not_booted_from() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    fault(&host, &["ignored-boot-device"]);
    host.ipmitool(&["chassis", "bootdev", "disk", "options=persistent"])
        .ok();
    let flags = host.boot_flags();
    assert!(
        flags.contains("Force Boot from default Hard-Drive"),
        "{flags}"
    );
    host.ipmitool(&["power", "cycle"]).ok();
    host.prints("dhcp", "DHCPACK", 2);
}

#[test]
fn after_a_power_loss_the_restore_policy_decides() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for (policy, comes_back) in [
        ("always-on", "on"),
        ("previous", "on"),
        ("always-off", "off"),
    ] {
        host.ipmitool(&["chassis", "policy", policy]).ok();
        fault(&host, &["power-loss"]);
        host.until("it is dark", || host.processes("qemu-system").is_empty());
        assert!(!answers(&host));
        host.nsplay(&["bmc", "clear", "node1"]).ok();
        host.until("the BMC is back", || answers(&host));
        let expected = format!("Chassis Power is {comes_back}\n");
        host.until(policy, || {
            host.ipmitool(&["power", "status"]).out == expected
        });
        let status = host.ipmitool(&["chassis", "status"]).ok().out;
        assert!(
            status.contains("Last Power Event     : ac-failed"),
            "{status}"
        );
    }
}

#[test]
fn a_scenario_of_the_lab_file_plays_by_itself() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"[node.node1.bmc]
           scenario = [
               { at = "0s", sensor = "Inlet Temp", value = 45 },
               { at = "1s", fault = "unreachable", for = "2s" },
               { at = "4s", clear = true },
           ]"#,
    );
    host.nsplay(&["up", "-d"]).ok();
    let notes = |what: &str| host.nsplay(&["logs"]).ok().out.contains(what);
    host.until("it is unreachable", || {
        notes("the fault unreachable begins, for 2 s")
    });
    host.until("it is reachable", || notes("the fault unreachable is over"));
    host.until("all is cleared", || {
        notes("sensor `Inlet Temp` is free again")
    });
    assert!(answers(&host));
}

#[test]
fn a_scenario_that_no_sensor_can_play_is_refused_before_anything_is_made() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"[node.node1.bmc]
           scenario = [
               { at = "1s", sensor = "CPU Temp", value = 9999 },
               { at = "2s", sensor = "CPU Temp", value = "40..90" },
               { at = "3s", sensor = "PS1 Status", value = "foo" },
           ]"#,
    );
    for verb in ["config", "up"] {
        let at = ["scenario at 1 s", "scenario at 2 s", "scenario at 3 s"];
        host.nsplay(&[verb]).fails(2, &at);
    }
}

#[test]
fn a_fault_that_is_none_is_refused_with_those_that_there_are() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let there_are = ["power-loss", "stuck-power"];
    for wrong in ["gremlins", "slow", "loss=200%"] {
        host.nsplay(&["bmc", "fault", "node1", wrong])
            .fails(2, &there_are);
    }
    host.nsplay(&["bmc", "fault", "node9", "unreachable"])
        .fails(2, &["no node `node9`", "node1"]);
}
