//! The guest and its BMC: what it sees of it over KCS, what it does to it, and that both ways
//! lead to the same BMC.

use crate::guest::Guest;
use crate::host::Host;

/// A client's words in their lines, however many blanks are between them: a serial line
/// expands tabs.
fn tidy(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    lines.join("\n").trim().to_owned()
}

/// Asserts that ipmitool says the same inside and outside, and returns it.
#[track_caller]
fn same(host: &Host, guest: &Guest, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    // An event that waited for the next client makes ipmitool complain, and go on.
    let inside = format!("ipmitool {command} 2>/run/error || {{ cat /run/error; false; }}");
    let inside = tidy(&guest.runs(&inside).ok().out);
    let outside = tidy(&host.ipmitool(&words).ok().out);
    assert_eq!(inside, outside, "{command}");
    assert_ne!(inside, "", "{command}");
    inside
}

#[test]
fn the_guest_and_the_network_see_one_bmc() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    for command in [
        "mc info",
        "mc guid",
        "lan print 1",
        "user list 1",
        "power status",
        "chassis status",
    ] {
        same(&host, &guest, command);
    }
    // The firmware's tables say what the BMC's inventory says.
    let (fru, inspected) = (
        host.ipmitool(&["fru", "print"]).ok().out,
        host.nsplay(&["inspect", "node1"]).ok().out,
    );
    for name in [
        "sys_vendor",
        "product_name",
        "product_serial",
        "board_name",
        "chassis_asset_tag",
    ] {
        let value = guest
            .runs(&format!("cat /sys/class/dmi/id/{name}"))
            .ok()
            .out;
        assert!(
            !value.is_empty() && fru.contains(&value),
            "{name}: {value:?} is not in {fru}"
        );
    }
    let uuid = guest.runs("cat /sys/class/dmi/id/product_uuid").ok().out;
    assert!(inspected.contains(&uuid), "{uuid} is not in {inspected}");
    // What one writes, the other reads.
    let record = "raw 0x0a 0x44 0 0 2 0 0 0 0 0x20 0 4 1";
    guest
        .runs(&format!("ipmitool {record} 0x31 1 0x59 0 0"))
        .ok();
    let outside = format!("{record} 0x32 1 0x59 0 0");
    let outside: Vec<&str> = outside.split(' ').collect();
    host.ipmitool(&outside).ok();
    let log = same(&host, &guest, "sel list");
    for sensor in ["Temperature #0x31", "Temperature #0x32"] {
        assert!(log.contains(sensor), "{log}");
    }
    guest
        .runs("ipmitool chassis bootdev pxe options=persistent")
        .ok();
    let flags = same(&host, &guest, "chassis bootparam get 5");
    assert!(
        flags.contains("Boot Device Selector : Force PXE"),
        "{flags}"
    );
    guest.runs("ipmitool user set name 3 inside").ok();
    host.ipmitool(&["user", "set", "name", "4", "outside"]).ok();
    let users = same(&host, &guest, "user list 1");
    assert!(
        users.contains("inside") && users.contains("outside"),
        "{users}"
    );
}

#[test]
fn orders_from_inside_are_obeyed() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    let qemu = host.process("qemu-system-x86_64");
    guest.begins("ipmitool power reset");
    guest.is_up(2);
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    guest.begins("ipmitool power cycle");
    guest.is_up(3);
    assert_ne!(host.process("qemu-system-x86_64"), qemu);
    guest.begins("ipmitool power soft");
    host.is_switched("off", "the guest (guest-shutdown)");
    host.ipmitool(&["power", "on"]).ok();
    guest.is_up(4);
    guest.begins("ipmitool power off");
    host.until("the BMC has switched it off", || {
        host.processes("qemu-system-x86_64").is_empty()
    });
    // The BMC has survived its clients.
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is off\n"
    );
    let ended = host
        .events("default")
        .iter()
        .any(|event| matches!(event.what, nsplay::event::What::Exited { .. }));
    assert!(!ended, "{:#?}", host.events("default"));
}

#[test]
fn a_guest_outlives_its_bmc_and_talks_to_the_next_one() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    let qemu = host.process("qemu-system-x86_64");
    guest.runs("ipmitool mc info").ok();
    for _ in 0..2 {
        let sim = host.process("ipmi_sim -c");
        host.shell(&format!("kill -9 {sim}")).ok();
        // It fails while there is no BMC, and then no longer.
        guest
            .runs("until ipmitool mc guid; do usleep 200000; done")
            .ok();
        same(&host, &guest, "power status");
        assert_ne!(host.process("ipmi_sim -c"), sim);
    }
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    assert_eq!(guest.runs("echo same boot").ok().out, "same boot");
    host.prints("node1", "agent is here", 1);
    let boots = host.lines("node1");
    let boots = boots.iter().filter(|line| line.contains("agent is here"));
    assert_eq!(boots.count(), 1);
}

/// What restarted the machine last, in ipmitool's words.
fn restart_cause(host: &Host) -> String {
    let cause = host.ipmitool(&["chassis", "restart_cause"]).ok().out;
    cause.trim().to_owned()
}

/// Arms the watchdog for two seconds and feeds it no more.
#[track_caller]
fn starve(guest: &Guest, action: u8) {
    // Use: SMS/OS. `begins`, because the end may come before it is printed.
    guest.begins(&format!(
        "ipmitool raw 6 0x24 4 {action} 0 0x10 20 0 && ipmitool raw 6 0x22"
    ));
}

#[test]
fn a_watchdog_that_is_not_fed_resets_the_guest() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    let qemu = host.process("qemu-system-x86_64");
    // As a daemon does it: opened, fed once, and then the daemon hangs.
    guest.begins(
        "echo 4 >/sys/module/ipmi_watchdog/parameters/timeout
        exec 9>/dev/watchdog; echo >&9; sleep 1000",
    );
    host.is_reset("the watchdog", 1);
    guest.is_up(2);
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    assert_eq!(
        restart_cause(&host),
        "System restart cause: watchdog expired"
    );
    let timeouts = || {
        let log = same(&host, &guest, "sel list");
        let timeouts = log.lines().filter(|line| line.contains("Watchdog"));
        assert!(
            timeouts.clone().all(|line| line.contains("Hard reset")),
            "{log}"
        );
        timeouts.count()
    };
    assert_eq!(timeouts(), 1);
    // What it was armed for is over with the reset.
    let state = same(&host, &guest, "mc watchdog get");
    assert!(state.contains("Watchdog Timer Is: Stopped"), "{state}");
    // A second time is told a second time.
    starve(&guest, 1);
    guest.is_up(3);
    host.is_reset("the watchdog", 2);
    assert_eq!(timeouts(), 2);
}

#[test]
fn the_watchdog_switches_the_node_off_and_cycles_it_to_the_device_that_was_chosen() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]\ndisk = \"16MiB\"\nboot = [\"disk\", \"network\"]\n",
    );
    let guest = Guest::boot(&host);
    let boots = |time: usize| host.prints("web", "GET /boot.ipxe 200", time);
    boots(1);
    starve(&guest, 2);
    host.is_switched("off", "the watchdog");
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is off\n"
    );
    host.ipmitool(&["power", "on"]).ok();
    guest.is_up(2);
    assert_eq!(
        restart_cause(&host),
        "System restart cause: chassis power control command"
    );
    let before = host.process("qemu-system-x86_64");
    // Order: network first, once.
    guest.runs("ipmitool chassis bootdev pxe").ok();
    starve(&guest, 3);
    host.is_switched("on", "the watchdog");
    guest.is_up(3);
    assert_ne!(host.process("qemu-system-x86_64"), before);
    assert_eq!(
        restart_cause(&host),
        "System restart cause: watchdog expired"
    );
    let flags = same(&host, &guest, "chassis bootparam get 5");
    assert!(flags.contains("Boot Flag Invalid"), "{flags}");
    let log = same(&host, &guest, "sel list");
    assert!(
        log.contains("Power down") && log.contains("Power cycle"),
        "{log}"
    );
}

#[test]
fn a_guest_that_panics_stays_on_and_the_lab_says_so() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    let qemu = host.process("qemu-system-x86_64");
    guest.begins("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger");
    host.until("the lab says that the guest panicked", || {
        host.lines("node1")
            .iter()
            .any(|line| line == "the guest panicked")
    });
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is on\n"
    );
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    let lines = host.lines("node1");
    assert!(
        !lines.iter().any(|line| line == "QEMU stopped the guest"),
        "{lines:#?}"
    );
    // What a person would do about it works.
    host.ipmitool(&["power", "reset"]).ok();
    guest.is_up(2);
}

#[test]
fn a_guest_that_switches_itself_off_is_off_for_everyone() {
    let host = Host::new();
    let guest = Guest::boot(&host);
    guest.begins("poweroff");
    host.is_switched("off", "the guest (guest-shutdown)");
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is off\n"
    );
    assert!(host.processes("qemu-system-x86_64").is_empty());
}
