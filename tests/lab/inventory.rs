//! What a node shows itself as, and what its BMC measures and logs, asked by ipmitool and freeipmi.

use std::collections::BTreeMap;

use nsplay::embedded;
use nsplay::event::What;

use crate::host::{Host, PATIENCE, Ran};

/// ipmitool against the BMC that is published on `port`; it has to be content.
#[track_caller]
fn clean(host: &Host, port: u16, arguments: &[&str]) -> String {
    let port = port.to_string();
    let ran = host.ipmitool(&[&["-p", &port], arguments].concat()).ok();
    assert_eq!(ran.err, "", "{arguments:?}: {}", ran.out);
    ran.out
}

/// A tool of freeipmi against the BMC at `address`. To freeipmi 127.0.0.1 is no BMC of the network.
fn freeipmi(host: &Host, tool: &str, address: &str, arguments: &[&str]) -> Ran {
    let to = [
        "exec", "fabric", "--", tool, "-h", address, "-u", "admin", "-p", "admin",
    ];
    host.nsplay(&[&to, arguments].concat())
}

/// The value of a sensor of `node1`.
#[track_caller]
fn value(host: &Host, sensor: &str) -> f64 {
    let row = clean(host, 623, &["sensor", "reading", sensor]);
    let value = row.split('|').nth(1).map(str::trim);
    let value = value.and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("{sensor}: {row}"))
}

/// The event log of `node1`, with the names of its sensors.
#[track_caller]
fn log(host: &Host) -> String {
    host.ipmitool(&["sel", "elist"]).ok().out
}

#[test]
fn a_server_has_one_identity_wherever_it_is_asked() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]
profile = \"dell-r740\"
serial = \"7XK2M23\"
asset_tag = \"Rack 7, U 12\"
uuid = \"4c4c4544-0058-4b10-8032-b7c04f4d3233\"
",
    );
    // iPXE reads what the guest would read, and sooner.
    host.write(
        "webroot/boot.ipxe",
        "#!ipxe\necho SMBIOS ${manufacturer} ${product} ${serial} ${asset}\necho UUID ${uuid}\nshell\n",
    );
    host.nsplay(&["up", "-d"]).ok();

    let fru = clean(&host, 623, &["fru", "print"]);
    for line in [
        "Chassis Type          : Rack Mount Chassis",
        "Chassis Serial        : 7XK2M23",
        "Board Mfg             : Dell Inc.",
        "Product Manufacturer  : Dell Inc.",
        "Product Name          : PowerEdge R740",
        "Product Serial        : 7XK2M23",
        "Product Asset Tag     : Rack 7, U 12",
    ] {
        assert!(fru.contains(line), "no {line:?} in {fru}");
    }
    let id = clean(&host, 623, &["mc", "info"]);
    for line in [
        "Firmware Revision         : 6.10",
        "Manufacturer ID           : 674",
        "Product ID                : 256",
    ] {
        assert!(id.contains(line), "no {line:?} in {id}");
    }
    let guid = clean(&host, 623, &["mc", "guid"]);
    let expected = "System GUID   : 4c4c4544-0058-4b10-8032-b7c04f4d3233\nGUID Encoding : IPMI\n";
    assert!(guid.starts_with(expected), "{guid}");

    let fru = freeipmi(
        &host,
        "ipmi-fru",
        "192.168.25.5",
        &["--quiet-cache", "--sdr-cache-directory=."],
    )
    .ok();
    assert_eq!(fru.err, "");
    assert!(
        fru.out.contains("FRU Product Serial Number: 7XK2M23"),
        "{}",
        fru.out
    );
    let id = freeipmi(&host, "bmc-info", "192.168.25.5", &["-l", "ADMIN"]).ok();
    assert_eq!(id.err, "");
    let expected = "System GUID : 4c4c4544-0058-4b10-8032-b7c04f4d3233";
    assert!(id.out.contains(expected), "{}", id.out);

    let inspected = host.nsplay(&["inspect", "node1", "--json"]).ok().out;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["product"], "PowerEdge R740");
    assert_eq!(inspected["serial"], "7XK2M23");
    assert_eq!(inspected["power"], "on");
    let smbios = "SMBIOS Dell Inc. PowerEdge R740 7XK2M23 Rack 7, U 12";
    host.prints("node1", smbios, 1);
    host.prints("node1", "UUID 4c4c4544-0058-4b10-8032-b7c04f4d3233", 1);
    host.nsplay(&["down"]).ok();
    // Without a lab the file knows as much.
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(inspected.contains("Serial          7XK2M23"), "{inspected}");
    host.nsplay(&["inspect", "node7"])
        .fails(2, &["no member `node7`", "node1"]);
}

#[test]
fn both_tools_read_every_sensor_of_every_profile_without_a_complaint() {
    let host = Host::new();
    let names: Vec<&str> = embedded::PROFILES.iter().map(|(name, _)| *name).collect();
    let nodes = names.iter().enumerate().map(|(n, name)| {
        let port = 6230 + n;
        format!(
            "[node.{name}]\nprofile = \"{name}\"\npower = \"off\"\nvnc = false\n\
            address = \"192.168.25.{}\"\n[node.{name}.bmc]\npublish = \"127.0.0.1:{port}\"\n",
            10 + n
        )
    });
    host.write("nsplay.toml", &nodes.collect::<String>());
    host.nsplay(&["up", "-d"]).ok();
    for (n, name) in names.iter().enumerate() {
        let (port, address) = (
            6230 + u16::try_from(n).unwrap(),
            format!("192.168.25.{}", 10 + n),
        );
        let sensors = host.nsplay(&["bmc", "sensors", name, "--json"]).ok().out;
        let sensors: serde_json::Value = serde_json::from_str(&sensors).unwrap();
        let sensors = sensors["sensors"].as_array().unwrap();
        let listed = clean(&host, port, &["sdr", "elist", "all"]);
        // The BMC and its watchdog have records too.
        assert_eq!(
            listed.lines().count(),
            sensors.len() + 2,
            "{name}: {listed}"
        );
        let rows = clean(&host, port, &["sensor", "list"]);
        let rows: BTreeMap<&str, Vec<&str>> = rows
            .lines()
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                (cells[0], cells)
            })
            .collect();
        for sensor in sensors {
            let (Some(name), Some(unit)) = (sensor["name"].as_str(), sensor["unit"].as_str())
            else {
                continue;
            };
            let row = &rows[name];
            let ours: f64 = sensor["value"].as_str().unwrap().parse().unwrap();
            let theirs: f64 = row[1].parse().unwrap_or_else(|_| panic!("{row:?}"));
            assert!((ours - theirs).abs() < 0.01, "{ours} is not {row:?}");
            assert_eq!((row[2], row[3]), (unit, "ok"), "{row:?}");
        }
        let seen = freeipmi(
            &host,
            "ipmi-sensors",
            &address,
            &[
                "--quiet-cache",
                "--sdr-cache-directory=.",
                "--output-sensor-state",
            ],
        )
        .ok();
        assert_eq!(seen.err, "", "{name}");
        for state in ["Critical", "Warning", "Unknown"] {
            assert!(!seen.out.contains(state), "{name}: {}", seen.out);
        }
    }
}

#[test]
fn values_follow_the_power_of_the_node_and_standing_fans_are_no_failure() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.until("fans turn and the processor is warm", || {
        value(&host, "Fan 1") > 8000.0 && value(&host, "CPU Temp") > 35.0
    });
    let on = clean(&host, 623, &["sensor", "get", "Fan 1"]);
    assert!(on.contains("Lower Critical        : 600.000"), "{on}");
    let warm = value(&host, "CPU Temp");
    host.ipmitool(&["power", "off"]).ok();
    host.until("fans stand still and the processor cools", || {
        value(&host, "Fan 1") == 0.0
            && value(&host, "12V") == 0.0
            && value(&host, "CPU Temp") < warm - 5.0
    });
    host.ipmitool(&["power", "on"]).ok();
    host.until("fans turn again", || value(&host, "Fan 1") > 8000.0);
    let log = log(&host);
    assert!(!log.contains("Fan") && !log.contains("Voltage"), "{log}");
    assert!(!host.lines("node1").iter().any(|line| line.contains("**")));
}

#[test]
fn the_event_log_says_what_happened_at_its_true_time() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let clock = "set -- $(ipmitool -H 127.0.0.1 -U admin -P admin sel time get)
        echo $(($(date +%s) - $(date -d \"$1 $2 UTC\" +%s)))";
    let apart: i64 = host.shell(clock).ok().out.trim().parse().unwrap();
    assert!(apart.unsigned_abs() < PATIENCE.as_secs(), "{apart} s");
    host.until("the node has come up over PXE", || {
        log(&host).contains("OS Boot | PXE boot completed | Asserted")
    });
    host.ipmitool(&["power", "off"]).ok();
    host.until("it is off", || {
        log(&host).contains("S5/G2: soft-off | Asserted")
    });
    host.ipmitool(&["power", "on"]).ok();
    host.until("it is on", || {
        host.processes("qemu-system-x86_64").len() == 1
    });
    let qemu = host.process("qemu-system-x86_64");
    host.shell(&format!("kill -9 {qemu}")).ok();
    host.until("the failure is logged", || {
        log(&host).contains("Power Unit | Failure detected | Asserted")
    });
    let log = log(&host);
    let mut rest = log.as_str();
    // In this order.
    for event in [
        "ACPI Power | S0/G0: working | Asserted",
        "FW Progress | System boot initiated | Asserted",
        "OS Boot | PXE boot completed | Asserted",
        "ACPI Power | S5/G2: soft-off | Asserted",
        "ACPI Power | S0/G0: working | Asserted",
        "Power Unit | Failure detected | Asserted",
    ] {
        let at = rest
            .find(event)
            .unwrap_or_else(|| panic!("no {event:?} in {log}"));
        rest = &rest[at + event.len()..];
    }
    let year = host.shell("date -u +%y").ok().out;
    let dated = format!("/{} |", year.trim());
    assert!(log.lines().all(|line| line.contains(&dated)), "{log}");
}

#[test]
fn a_sensor_shows_what_it_is_told_until_it_is_cleared() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let before = value(&host, "Inlet Temp");
    host.nsplay(&["bmc", "set", "node1", "cpu temp", "99"]).ok();
    host.nsplay(&["bmc", "set", "node1", "PS1 Status", "presence,failure"])
        .ok();
    host.until("the processor is too hot", || {
        value(&host, "CPU Temp") == 99.0
    });
    // On the way from 20 to 40 it comes by 38.
    host.nsplay(&["bmc", "set", "node1", "Inlet Temp", "20..40", "--over", "3"])
        .ok();
    let climbs = || (21.0..40.0).contains(&value(&host, "Inlet Temp"));
    host.until("the inlet gets warmer", climbs);
    host.until("the inlet is warm", || value(&host, "Inlet Temp") == 40.0);
    let shown = host.nsplay(&["bmc", "sensors", "node1"]).ok().out;
    let row = shown.lines().find(|row| row.contains("CPU Temp")).unwrap();
    assert!(
        ["99 degrees C", "upper-critical", "held"]
            .iter()
            .all(|word| row.contains(word)),
        "{row}"
    );
    let events = log(&host);
    for event in [
        "CPU Temp | Upper Critical going high | Asserted | Reading 99 > Threshold 95 degrees C",
        "PS1 Status | Failure detected | Asserted",
        "Inlet Temp | Upper Non-critical going high | Asserted",
    ] {
        assert!(events.contains(event), "no {event:?} in {events}");
    }
    host.nsplay(&["bmc", "clear", "node1"]).ok();
    host.until("the inlet is as it was", || {
        (value(&host, "Inlet Temp") - before).abs() <= 1.0
    });
    let events = log(&host);
    for event in [
        "CPU Temp | Upper Critical going high | Deasserted",
        "PS1 Status | Failure detected | Deasserted",
    ] {
        assert!(events.contains(event), "no {event:?} in {events}");
    }
    let told = host.events("default").into_iter().any(|event| {
        matches!(event.what, What::Sensor { sensor, text, .. }
            if sensor == "CPU Temp" && text == "is held at 99 degrees C")
    });
    assert!(told);

    host.nsplay(&["bmc", "event", "node1", "memory", "uncorrectable-ecc"])
        .ok();
    host.nsplay(&[
        "bmc",
        "event",
        "node1",
        "Fan 2",
        "lower-critical",
        "--deassert",
    ])
    .ok();
    let raw = "00 00 00 00 20 00 04 0c 77 6f 05 ff ff";
    host.nsplay(&["bmc", "event", "node1", "--raw", raw]).ok();
    host.until("the events are in the log", || {
        let events = log(&host);
        [
            "Memory | Uncorrectable ECC | Asserted",
            "Fan 2 | Lower Critical going low  | Deasserted",
            "Memory #0x77 | Correctable ECC logging limit reached | Asserted",
        ]
        .iter()
        .all(|event| events.contains(event))
    });
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let power = ["power", "node2", "on"];
    host.nsplay(&power)
        .fails(2, &["no node `node2`; the lab has: node1"]);
    let set = |words: &[&str]| host.nsplay(&[&["bmc", "set"], words].concat());
    set(&["node2", "CPU Temp", "1"]).fails(2, &["no node `node2`; the lab has: node1"]);
    set(&["node1", "CPU", "1"]).fails(2, &["no sensor `CPU`; there are: Inlet Temp, CPU Temp"]);
    set(&["node1", "CPU Temp", "256"]).fails(2, &["a number from 0 to 255 (degrees C)"]);
    set(&["node1", "CPU Temp", "1..2"]).fails(2, &["needs a time for its way: --over 10"]);
    set(&["node1", "Memory", "wet"]).fails(2, &["no state `wet`; there are: correctable-ecc"]);
    set(&["node1", "OS Boot", "boot"]).fails(2, &["only reports events"]);
    let event = |words: &[&str]| host.nsplay(&[&["bmc", "event", "node1"], words].concat());
    event(&["Memory", "wet"]).fails(2, &["no event `wet`; there are: correctable-ecc"]);
    event(&["--raw", "00"]).fails(2, &["26 hexadecimal digits"]);
    event(&[]).fails(2, &["which event?"]);
    assert_eq!(log(&host), "");
}

#[test]
fn an_ipmi_sim_that_is_started_again_has_its_log_and_its_sensors() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["bmc", "set", "node1", "CPU Temp", "99"]).ok();
    host.nsplay(&["bmc", "set", "node1", "Intrusion", "chassis-open"])
        .ok();
    host.until("the fans turn", || value(&host, "Fan 1") > 8000.0);
    host.until("the node boots", || {
        log(&host).contains("System boot initiated")
    });
    let before = log(&host);
    let pid = host.process("/usr/bin/ipmi_sim");
    host.shell(&format!("kill -9 {pid}")).ok();
    host.until("there is another ipmi_sim", || {
        host.events("default")
            .iter()
            .rev()
            .any(|event| matches!(&event.what, What::Exited { what, .. } if what == "ipmi_sim"))
            && host.ipmitool(&["mc", "info"]).code == 0
    });
    assert_eq!(value(&host, "CPU Temp"), 99.0);
    assert!(value(&host, "Fan 1") > 8000.0);
    let states = clean(&host, 623, &["sdr", "elist", "all"]);
    for state in ["General Chassis intrusion", "S0/G0: working"] {
        assert!(states.contains(state), "no {state:?} in {states}");
    }
    let after = log(&host);
    assert!(after.starts_with(&before), "{before}{after}");
    for event in [
        "CPU Temp | Upper Critical",
        "General Chassis intrusion",
        "S0/G0",
    ] {
        assert_eq!(after.matches(event).count(), 1, "{event:?} in {after}");
    }
    host.nsplay(&["bmc", "clear", "node1"]).ok();
    host.until("the processor is cooler", || {
        log(&host).contains("CPU Temp | Upper Critical going high | Deasserted")
    });
}

#[test]
fn an_event_that_a_client_reports_is_in_the_event_log() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    // ipmitool's own test event: a temperature that is too high.
    host.ipmitool(&["event", "1"]).ok();
    let log = host.ipmitool(&["sel", "elist"]).ok().out;
    assert!(log.contains("Upper Critical going high"), "{log}");
}

#[test]
fn each_boot_is_in_the_event_log_also_after_a_reset() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let boots = || {
        let log = host.ipmitool(&["sel", "elist"]).out;
        log.lines()
            .filter(|line| line.contains("PXE boot completed"))
            .count()
    };
    host.until("the first boot is logged", || boots() == 1);
    host.ipmitool(&["power", "reset"]).ok();
    host.is_reset("the BMC", 1);
    host.until("the second boot is logged", || boots() == 2);
    let by_others = host
        .events("default")
        .into_iter()
        .filter(|event| matches!(&event.what, What::Reset { by, .. } if by != "the BMC"));
    assert_eq!(
        by_others.count(),
        0,
        "the firmware's own reset is told as one"
    );
}

#[test]
fn a_profile_in_the_folder_is_used_and_its_mistakes_are_told() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\nprofile = \"anvil\"\n");
    host.nsplay(&["up"])
        .fails(2, &["nsplay.toml:2:11: ", "profiles/NAME.toml"]);
    let text = "manufacturer = \"Acme\"\nproduct = \"Anvil\"\n";
    host.write("profiles/anvil.toml", text);
    let config = host.nsplay(&["config"]).ok().out;
    assert!(config.contains("product = \"Anvil\""), "{config}");
    host.write("profiles/anvil.toml", &format!("{text}colour = \"red\"\n"));
    host.nsplay(&["up"])
        .fails(2, &["profiles/anvil.toml:3:1: unknown key `colour`"]);
}

#[test]
fn what_ipmi_sim_says_is_heard_after_many_commands_and_they_are_not() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    // A prompt has two bytes, and a line of the log room for a thousand.
    let sets = format!(
        "for n in $(seq 260); do for value in 50 51; do
            {} bmc set node1 'CPU Temp' $value || exit; done; done",
        host.spelled()
    );
    host.shell(&sets).ok();
    assert_eq!(value(&host, "CPU Temp"), 51.0);
    let wrong = [
        "-I", "lan", "-N", "1", "-R", "1", "-P", "wrong", "mc", "info",
    ];
    host.ipmitool(&wrong).fails(1, &[]);
    host.prints("node1", "Message auth failed", 1);
    for line in host.lines("node1") {
        let ours = ["sensor_", "sel_", "mc_", "main_sdr", "> ", "**"];
        assert!(!ours.iter().any(|word| line.contains(word)), "{line}");
    }
}
