//! Claims about the module inside a real ipmi_sim, asked by a real ipmitool.

mod support;

use std::time::Duration;

use support::{Answer, Bmc, Mood, library_with, refusal};

/// Runs a claim over IPMI 1.5 and 2.0, each with a BMC of its own.
fn over_both(claim: impl Fn(&Bmc, &dyn Fn(&str) -> Answer)) {
    let bmc = Bmc::start();
    claim(&bmc, &|args| bmc.lan(args));
    let bmc = Bmc::start();
    claim(&bmc, &|args| bmc.lanplus(args));
}

#[test]
fn power_verbs_reach_the_node_and_read_as_on_any_bmc() {
    over_both(|bmc, ipmitool| {
        assert_eq!(ipmitool("power status").stdout, "Chassis Power is off");
        assert_eq!(bmc.node.asked(), ["power status"]);
        for (verb, said) in [
            ("on", "Up/On"),
            ("cycle", "Cycle"),
            ("reset", "Reset"),
            ("diag", "Diag"),
            ("soft", "Soft"),
            ("off", "Down/Off"),
        ] {
            let answer = ipmitool(&format!("power {verb}"));
            assert_eq!(
                answer.stdout,
                format!("Chassis Power Control: {said}"),
                "{answer:?}"
            );
            assert_eq!(bmc.node.asked(), [format!("power {verb}")]);
        }
        ipmitool("power on");
        assert_eq!(ipmitool("power status").stdout, "Chassis Power is on");
    });
}

#[test]
fn a_cycle_of_a_node_that_is_off_is_refused_as_the_specification_says() {
    let bmc = Bmc::start();
    let answer = bmc.lan("raw 0 2 2");
    assert!(answer.stderr.contains("rsp=0xd5"), "{answer:?}");
}

#[test]
fn boot_flags_keep_persistent_and_efi() {
    over_both(|bmc, ipmitool| {
        let answer = ipmitool("chassis bootdev pxe options=persistent,efiboot");
        assert_eq!(answer.stdout, "Set Boot Device to pxe", "{answer:?}");
        assert!(answer.success && answer.stderr.is_empty(), "{answer:?}");
        assert_eq!(bmc.node.asked(), ["boot set e004000000"]);
        let flags = ipmitool("chassis bootparam get 5").stdout;
        for line in [
            "Boot parameter 5 is valid/unlocked",
            "Boot parameter data: e004000000",
            "Boot Flag Valid",
            "Options apply to all future boots",
            "BIOS EFI boot",
            "Boot Device Selector : Force PXE",
        ] {
            assert!(flags.contains(line), "no `{line}` in {flags}");
        }
    });
}

#[test]
fn every_boot_device_can_be_chosen() {
    let bmc = Bmc::start();
    for (device, flags) in [
        ("none", "8000000000"),
        ("pxe", "8004000000"),
        ("disk", "8008000000"),
        ("safe", "800c000000"),
        ("diag", "8010000000"),
        ("cdrom", "8014000000"),
        ("bios", "8018000000"),
        ("floppy", "803c000000"),
    ] {
        let answer = bmc.lan(&format!("chassis bootdev {device}"));
        assert!(
            answer.success && answer.stderr.is_empty(),
            "{device}: {answer:?}"
        );
        assert_eq!(bmc.node.asked(), [format!("boot set {flags}")], "{device}");
    }
}

#[test]
fn boot_parameters_0_3_and_4_read_back_and_others_are_unsupported() {
    let bmc = Bmc::start();
    for parameter in [0, 3, 4] {
        let answer = bmc.lan(&format!("chassis bootparam get {parameter}"));
        assert!(answer.success, "{parameter}: {answer:?}");
    }
    let answer = bmc.lan("raw 0 9 7 0 0");
    assert!(answer.stderr.contains("rsp=0x80"), "{answer:?}");
}

#[test]
fn chassis_status_shows_policy_event_and_light() {
    over_both(|bmc, ipmitool| {
        let answer = ipmitool("chassis policy always-on");
        assert!(answer.stdout.ends_with("always-on"), "{answer:?}");
        ipmitool("chassis identify 5");
        assert_eq!(bmc.node.asked(), ["policy always-on", "identify 5"]);
        let status = ipmitool("chassis status").stdout;
        for line in [
            "System Power         : off",
            "Power Restore Policy : always-on",
            "Last Power Event     : command",
        ] {
            assert!(status.contains(line), "no `{line}` in {status}");
        }
        assert_eq!(ipmitool("raw 0 1").stdout, "40 10 50");
    });
}

#[test]
fn the_identify_light_is_switched_by_seconds_force_and_off() {
    let bmc = Bmc::start();
    for args in ["identify", "identify 5", "identify force", "identify 0"] {
        let answer = bmc.lanplus(&format!("chassis {args}"));
        assert!(answer.success, "{answer:?}");
    }
    assert_eq!(
        bmc.node.asked(),
        [
            "identify 15",
            "identify 5",
            "identify force",
            "identify off"
        ]
    );
}

#[test]
fn power_on_hours_and_restart_cause_are_the_nodes() {
    over_both(|bmc, ipmitool| {
        let hours = ipmitool("chassis poh").stdout;
        assert!(hours.contains("4 days, 4 hours"), "{hours}");
        let cause = ipmitool("chassis restart_cause").stdout;
        assert_eq!(cause, "System restart cause: chassis power control command");
        assert_eq!(bmc.node.asked(), ["poh", "restart-cause"]);
    });
}

#[test]
fn asking_for_payload_support_no_longer_kills_the_bmc() {
    let mut bmc = Bmc::start();
    assert_eq!(bmc.lan("raw 6 0x4e 0x0e").stdout, "03 00 3f 00 00 00 00 00");
    assert_eq!(
        bmc.lanplus("raw 6 0x4e 0x01").stdout,
        "03 00 3f 00 00 00 00 00"
    );
    let other = bmc.lan("raw 6 0x4e 0x05");
    assert!(other.stderr.contains("rsp=0xcc"), "{other:?}");
    assert!(bmc.is_alive());
}

#[test]
fn enabling_the_events_of_a_sensor_answers_no_more_than_that_it_is_done() {
    let bmc = Bmc::start();
    for enables in ["0xc0", "0x00"] {
        let answer = bmc.lan(&format!("raw 4 0x28 0 {enables}"));
        assert!(answer.success && answer.stdout.is_empty(), "{answer:?}");
    }
    assert_eq!(bmc.lan("raw 4 0x29 0").stdout[..2], *"00");
    let other = bmc.lan("raw 4 0x28 200 0xc0");
    assert!(other.stderr.contains("rsp=0xcc"), "{other:?}");
}

#[test]
fn a_guest_that_asks_for_a_console_does_not_end_its_bmc() {
    let mut bmc = Bmc::start();
    let mut kcs = bmc.kcs();
    for command in [0x48, 0x49] {
        let answer = kcs.ask(0x06, command, &[1, 1, 0, 0, 0, 0]);
        assert_eq!(answer, [0xc1], "{command:#04x}");
    }
    // Get System GUID, which ipmi_sim itself answers on the LAN only.
    let guid = kcs.ask(0x06, 0x37, &[]);
    assert_eq!(guid[..4], [0x00, 0xa1, 0x23, 0x45]);
    assert!(bmc.is_alive());
}

#[test]
fn a_watchdog_that_is_not_fed_tells_the_node_and_the_log_each_time() {
    over_both(|bmc, ipmitool| {
        // Use: SMS/OS; the action; countdown: 100 ms.
        for (action, order, logged) in [
            (1, "reset", "Hard reset"),
            (1, "reset", "Hard reset"),
            (2, "off", "Power down"),
            (3, "cycle", "Power cycle"),
        ] {
            assert!(ipmitool("sel clear").success);
            let set = ipmitool(&format!("raw 6 0x24 4 {action} 0 0x10 1 0"));
            assert!(set.success && set.stdout.is_empty(), "{set:?}");
            let fed = ipmitool("raw 6 0x22");
            assert!(fed.success && fed.stdout.is_empty(), "{fed:?}");
            bmc.node.is_asked(&format!("watchdog {order}"));
            let log = ipmitool("sel list").stdout;
            assert_eq!(log.lines().count(), 1, "{log}");
            for word in ["Watchdog", logged, "Asserted"] {
                assert!(log.contains(word), "no {word} in {log}");
            }
            // It has stopped, and says which use it ran out for.
            assert!(ipmitool("raw 6 0x25").stdout.starts_with("04 0"), "running");
            assert!(ipmitool("raw 6 0x25").stdout.ends_with("10 01 00 00 00"));
        }
    });
}

#[test]
fn a_watchdog_warns_by_an_nmi_before_it_acts() {
    let bmc = Bmc::start();
    // NMI 1 s before a reset after 1.5 s.
    bmc.lan("raw 6 0x24 4 0x21 1 0 15 0");
    bmc.lan("raw 6 0x22");
    bmc.node.is_asked("watchdog nmi");
    bmc.node.is_asked("watchdog reset");
    let log = bmc.lan("sel list").stdout;
    assert!(
        log.contains("Timer interrupt") && log.contains("Hard reset"),
        "{log}"
    );
}

#[test]
fn a_watchdog_that_is_fed_or_stopped_does_nothing() {
    let bmc = Bmc::start();
    bmc.lan("raw 6 0x24 4 1 0 0 100 0");
    bmc.lan("raw 6 0x22");
    let running = bmc.lan("mc watchdog get").stdout;
    for line in [
        "Watchdog Timer Is:      Started/Running",
        "Hard Reset",
        "Initial Countdown:      10.0 sec",
    ] {
        assert!(running.contains(line), "no `{line}` in {running}");
    }
    assert!(bmc.lan("mc watchdog off").success);
    let stopped = bmc.lan("mc watchdog get").stdout;
    assert!(
        stopped.contains("Watchdog Timer Is:      Stopped"),
        "{stopped}"
    );
    bmc.node.asked();
    // Fed for longer than its three seconds.
    bmc.lan("raw 6 0x24 4 1 0 0 30 0");
    for _ in 0..20 {
        bmc.lan("raw 6 0x22");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(
        bmc.node
            .asked()
            .iter()
            .all(|asked| asked == "watchdog armed")
    );
    bmc.node.is_asked("watchdog reset");
}

#[test]
fn a_watchdog_with_an_interrupt_that_nobody_raises_is_refused() {
    let bmc = Bmc::start();
    for interrupt in ["0x11", "0x31"] {
        let answer = bmc.lan(&format!("raw 6 0x24 4 {interrupt} 1 0 100 0"));
        assert!(answer.stderr.contains("rsp=0xcc"), "{answer:?}");
    }
    let unset = bmc.lan("raw 6 0x22");
    assert!(unset.stderr.contains("rsp=0x80"), "{unset:?}");
}

#[test]
fn a_user_may_look_but_not_switch() {
    let bmc = Bmc::start();
    let as_user = ["-I", "lanplus", "-C", "3", "-L", "USER"];
    assert_eq!(
        bmc.ipmitool(&as_user, "power status").stdout,
        "Chassis Power is off"
    );
    bmc.node.asked();
    for args in [
        "power on",
        "raw 0 8 5 0xe0 4 0 0 0",
        "chassis policy always-on",
    ] {
        let answer = bmc.ipmitool(&as_user, args);
        assert!(
            answer.stderr.contains("Insufficient privilege"),
            "{args}: {answer:?}"
        );
    }
    assert!(bmc.node.asked().is_empty());
}

#[test]
fn a_node_that_does_not_answer_costs_the_client_an_error_and_nothing_else() {
    let mut bmc = Bmc::start();
    bmc.node.set_mood(Mood::Silent);
    let answer = bmc.lanplus("power status");
    assert!(
        !answer.success && answer.took < Duration::from_secs(2),
        "{answer:?}"
    );
    let raw = bmc.lan("raw 0 1");
    assert!(raw.stderr.contains("rsp=0xc3"), "{raw:?}");
    bmc.node.set_mood(Mood::Quick);
    assert_eq!(bmc.lanplus("power status").stdout, "Chassis Power is off");
    assert_eq!(bmc.node.asked().len(), 3, "a question was repeated");
    assert!(bmc.is_alive());
    assert_eq!(
        bmc.stderr().matches("cannot ask the node").count(),
        1,
        "{}",
        bmc.stderr()
    );
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_one() {
    let bmc = Bmc::start();
    bmc.node.set_mood(Mood::Late);
    assert!(!bmc.lan("power on").success);
    std::thread::sleep(Duration::from_millis(500));
    bmc.node.set_mood(Mood::Quick);
    assert_eq!(bmc.lan("raw 0 0x0f").stdout, "3c 64 00 00 00");
}

#[test]
fn a_node_that_went_away_costs_the_client_an_error_and_nothing_else() {
    let mut bmc = Bmc::start();
    bmc.node.go_away();
    for answer in [bmc.lan("power status"), bmc.lanplus("power on")] {
        assert!(
            !answer.success && answer.took < Duration::from_secs(2),
            "{answer:?}"
        );
    }
    let raw = bmc.lan("raw 0 1");
    assert!(raw.stderr.contains("rsp=0xff"), "{raw:?}");
    let info = bmc.lan("mc info");
    assert!(info.success && bmc.is_alive(), "{info:?}");
}

#[test]
fn what_ipmi_sim_runs_does_not_inherit_the_socket() {
    const O_CLOEXEC: u32 = 0o2000000;

    assert_ne!(Bmc::start().socket_flags() & O_CLOEXEC, 0);
}

#[test]
fn bad_options_stop_ipmi_sim_with_a_reason() {
    for (options, reason) in [
        ("", "options ``: expected `fd=N` with N above 2"),
        ("fd=x", "options `fd=x`: expected `fd=N` with N above 2"),
        ("fd=999", "cannot use descriptor 999: Bad file descriptor"),
    ] {
        let stderr = refusal(options, None);
        assert!(stderr.contains(reason), "{stderr}");
    }
}

#[test]
fn an_ipmi_sim_with_the_newer_interface_is_refused_with_a_reason() {
    let stderr = refusal("fd=3", Some(&library_with("ipmi_msg_dup")));
    assert!(
        stderr.contains("this ipmi_sim has `ipmi_msg_dup`, so it is newer"),
        "{stderr}"
    );
    assert!(stderr.contains("OpenIPMI 2.0.33 only"), "{stderr}");
}
