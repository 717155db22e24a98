//! Sessions with the BMC: who gets in, how, and as what.

use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use nsplay::event::{Event, What};

use crate::crowds::PING;
use crate::host::{Host, Ran};

/// Users beside `admin`, as the lab file and IPMI call their levels.
const USERS: [(&str, &str); 4] = [
    ("caller", "callback"),
    ("looker", "user"),
    ("switcher", "operator"),
    ("boss", "administrator"),
];

/// The levels that a session can ask for, from low to high.
const LEVELS: [&str; 4] = ["CALLBACK", "USER", "OPERATOR", "ADMINISTRATOR"];

/// A host with a lab up, in which each of [`USERS`] is.
fn host_with_users() -> Host {
    let host = Host::new();
    let users = USERS.map(|(name, privilege)| {
        format!("{name} = {{ password = \"{name}-pw\", privilege = \"{privilege}\" }}\n")
    });
    host.write(
        "nsplay.toml",
        &format!("[node.node1.bmc.users]\n{}", users.concat()),
    );
    host.nsplay(&["up", "-d"]).ok();
    host
}

fn ipmitool(host: &Host, session: &[&str], order: &[&str]) -> Ran {
    let to = ["-H", "127.0.0.1"];
    host.run("ipmitool", &[&to[..], session, order].concat())
}

#[test]
fn a_user_may_do_what_its_privilege_allows_and_no_more_over_either_interface() {
    let host = host_with_users();
    for interface in ["lan", "lanplus"] {
        for (limit, (name, _)) in USERS.iter().enumerate() {
            for (level, asked) in LEVELS.iter().enumerate().skip(1) {
                let password = format!("{name}-pw");
                let session = ["-I", interface, "-U", name, "-P", &password, "-L", asked];
                let case = format!("{name} as {asked} over {interface}");

                let look = ipmitool(&host, &session, &["power", "status"]);
                let is_in = look.out.contains("Chassis Power is");
                assert_eq!(is_in, level <= limit, "{case}: {}{}", look.out, look.err);

                let switch = ipmitool(&host, &session, &["chassis", "bootdev", "pxe"]);
                let is_set = switch.out.contains("Set Boot Device to pxe");
                let may = level <= limit && level >= 2;
                assert_eq!(is_set, may, "{case}: {}{}", switch.out, switch.err);
            }
        }
    }
}

#[test]
fn rmcp_plus_needs_no_cipher_suite_to_be_named_and_takes_those_that_are_safe() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let user = ["-I", "lanplus", "-U", "admin", "-P", "admin"];
    let default = ipmitool(&host, &user, &["power", "status"]).ok();
    assert_eq!(
        (default.out.as_str(), default.err.as_str()),
        ("Chassis Power is on\n", "")
    );
    for suite in 0..=17 {
        let number = suite.to_string();
        let session = [&user[..], &["-C", &number]].concat();
        let answer = ipmitool(&host, &session, &["power", "status"]);
        match suite {
            1..=3 => assert_eq!(answer.ok().out, "Chassis Power is on\n"),
            // ipmitool 1.8.19 knows no more than these.
            0 | 6..=8 | 17 => {
                let words = "no matching cipher suite";
                assert!(answer.err.contains(words), "-C {suite}: {}", answer.err);
            }
            _ => assert_ne!(answer.code, 0, "-C {suite}"),
        }
    }
}

#[test]
fn nobody_gets_in_without_a_name_and_its_password() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for session in [
        &["-I", "lan", "-U", "", "-P", ""][..],
        &["-I", "lan", "-A", "NONE", "-U", "admin"],
        &["-I", "lanplus", "-U", "", "-P", ""],
        &["-I", "lanplus", "-U", "admin", "-P", "wrong"],
        &["-I", "lanplus", "-U", "nobody", "-P", "admin"],
    ] {
        let answer = ipmitool(&host, session, &["power", "status"]);
        assert_eq!(answer.code, 1, "{session:?}: {}", answer.out);
        assert!(!answer.out.contains("Chassis Power"), "{session:?}");
    }
}

#[test]
fn sixty_sessions_in_a_row_and_eight_at_once_are_all_answered() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for interface in ["lan", "lanplus"] {
        let session = ["-I", interface, "-U", "admin", "-P", "admin"];
        for round in 0..60 {
            let answer = ipmitool(&host, &session, &["power", "status"]);
            assert_eq!(
                answer.out, "Chassis Power is on\n",
                "{interface} {round}: {}",
                answer.err
            );
        }
        let one = |_| {
            let mut command = host.command("ipmitool");
            command
                .args(["-H", "127.0.0.1"])
                .args(session)
                .args(["mc", "guid"]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        };
        let all: Vec<_> = (0..8).map(one).collect();
        for child in all {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("System GUID"), "{interface}: {text}");
        }
    }
}

#[test]
fn freeipmi_gets_in_with_its_defaults_and_over_rmcp_plus() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    // Its tools take 127.0.0.1 for the host's own BMC, so they ask from inside of the lab.
    let inside = |tool: &str, arguments: &[&str]| {
        let exec = [
            "exec",
            "web",
            "--",
            tool,
            "-h",
            "192.168.25.5",
            "-u",
            "admin",
            "-p",
            "admin",
        ];
        host.nsplay(&[&exec[..], arguments].concat())
    };
    for driver in [&[][..], &["-D", "LAN_2_0"]] {
        let stat = inside("ipmipower", &[driver, &["--stat"]].concat()).ok();
        assert_eq!(stat.out, "192.168.25.5: on\n");
        let info = inside("bmc-info", &[driver, &["--get-device-id"]].concat()).ok();
        assert!(info.out.contains("IPMI Version"), "{}", info.out);
        let chassis = inside(
            "ipmi-chassis",
            &[driver, &["--get-chassis-status"]].concat(),
        );
        assert!(
            chassis
                .ok()
                .out
                .contains("System Power                        : on")
        );
        inside("ipmi-sel", &[driver, &["--ignore-sdr"]].concat()).ok();
    }
}

#[test]
fn a_crash_of_ipmi_sim_costs_sessions_and_nothing_else() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let qemu = host.process("qemu-system");
    for order in [
        &["user", "set", "name", "5", "fred"][..],
        &["user", "set", "password", "5", "fredpw"],
        &["user", "enable", "5"],
        &["channel", "setaccess", "1", "5", "ipmi=on", "privilege=3"],
        &["chassis", "bootdev", "disk", "options=persistent"],
        &["chassis", "policy", "previous"],
        &["lan", "set", "1", "snmp", "private"],
    ] {
        host.ipmitool(order).ok();
    }
    let fred = ["-I", "lanplus", "-U", "fred", "-P", "fredpw", "-L"];
    let sel = || host.ipmitool(&["sel", "list"]).out;
    // Add SEL Entry (IPMI 2.0, section 31.6): a button was pressed.
    let entry = "0x0a 0x44 0 0 2 0 0 0 0 0x20 0 4 0x14 1 0x6f 0 0xff 0xff";
    let entry: Vec<&str> = entry.split(' ').collect();
    host.ipmitool(&[&["raw"], &entry[..]].concat()).ok();
    // What clients change reaches its file within a second.
    host.until("fred is an operator", || {
        ipmitool(
            &host,
            &[&fred[..], &["ADMINISTRATOR"]].concat(),
            &["mc", "info"],
        )
        .code
            == 1
    });
    let before = sel();
    assert!(!before.contains("no entries"), "{before}");

    host.shell(&format!("kill -9 {}", host.process("ipmi_sim")))
        .ok();
    host.ipmitool(&["power", "status"]).ok();
    assert_eq!(sel(), before);
    ipmitool(
        &host,
        &[&fred[..], &["OPERATOR"]].concat(),
        &["power", "status"],
    )
    .ok();
    let flags = host.boot_flags();
    assert!(
        flags.contains("Options apply to all future boots"),
        "{flags}"
    );
    let status = host.ipmitool(&["chassis", "status"]).ok().out;
    assert!(status.contains("previous"), "{status}");
    let lan = host.ipmitool(&["lan", "print", "1"]).ok().out;
    assert!(lan.contains("private"), "{lan}");
    assert_eq!(host.process("qemu-system"), qemu, "the node noticed");
}

#[test]
fn every_parameter_of_serial_over_lan_can_be_read() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let info = host.ipmitool(&["sol", "info", "1"]).ok();
    assert_eq!(info.err, "", "{}", info.out);
    assert!(
        info.out.contains("Payload Port                    : 623"),
        "{}",
        info.out
    );
    // The lab has one console, which cannot be switched off.
    assert_ne!(
        host.ipmitool(&["sol", "set", "enabled", "false", "1"]).code,
        0
    );
    host.ipmitool(&["sol", "set", "retry-count", "3", "1"]).ok();
    let info = host.ipmitool(&["sol", "info", "1"]).ok().out;
    assert!(
        info.contains("Retry Count                     : 3"),
        "{info}"
    );
}

#[test]
fn an_ipmi_sim_that_is_killed_again_and_again_costs_a_newcomer_no_datagram() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    for round in 0..6 {
        let pid = host.process("/usr/bin/ipmi_sim");
        host.shell(&format!(
            "kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do :; done"
        ))
        .ok();
        host.in_network_of(1, || {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(Duration::from_secs(20)))?;
            socket.send_to(&PING, "127.0.0.1:623")?;
            socket.recv(&mut [0; 64])
        });
        let is_ready =
            |event: &Event| matches!(&event.what, What::Ready { what, .. } if what == "ipmi_sim");
        host.until("the lab knows that it answers", || {
            host.events("default")
                .iter()
                .filter(|event| is_ready(event))
                .count()
                == round + 2
        });
    }
    // Whoever makes it crash does not keep it away from others for long.
    for event in host.events("default") {
        if let What::Exited { again_ms, .. } = event.what {
            let away = again_ms.expect("it is started again");
            assert!(away < 1000, "away for {away} ms");
        }
    }
}

#[test]
fn lan_print_says_what_the_lab_says() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let lan = host.ipmitool(&["lan", "print", "1"]).ok().out;
    let link = ["exec", "node1", "--", "ip", "-o", "link", "show", "br-bmc"];
    let link = host.nsplay(&link).ok().out;
    let mac = link.split("link/ether ").nth(1).unwrap();
    let mac = mac.split(' ').next().unwrap();
    for line in [
        "IP Address              : 192.168.25.5",
        "Subnet Mask             : 255.255.255.0",
        "Default Gateway IP      : 192.168.25.1",
        "RMCP+ Cipher Suites     : 1,2,3",
        &format!("MAC Address             : {mac}"),
    ] {
        assert!(lan.contains(line), "no `{line}` in {lan}");
    }
}

#[test]
fn a_cold_reset_ends_sessions_and_leaves_the_node_alone() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let (qemu, bmc) = (host.process("qemu-system"), host.process("ipmi_sim"));
    let answer = host.ipmitool(&["mc", "reset", "cold"]).ok();
    assert_eq!(answer.out, "Sent cold reset command to MC\n");
    host.until("another ipmi_sim runs", || {
        let all = host.processes("ipmi_sim");
        !all.is_empty() && !all.contains(&bmc)
    });
    host.ipmitool(&["power", "status"]).ok();
    assert_eq!(host.process("qemu-system"), qemu);
    host.ipmitool(&["mc", "reset", "warm"]).ok();
}

#[test]
fn packets_that_are_no_ipmi_do_not_disturb_the_bmc() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let bmc = host.process("ipmi_sim");
    // The beginnings of real packets, with what a fuzzer would make of the rest.
    let heads: [&[u8]; 7] = [
        &[],
        &[0x06, 0x00, 0xff, 0x06],
        &[0x06, 0x00, 0xff, 0x07],
        &[0x06, 0x00, 0xff, 0x07, 0x00, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0x00, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0x10, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0x12, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mut script = Vec::new();
    let mut dice: u32 = 1;
    for round in 0..20_000_usize {
        let mut packet = heads[round % heads.len()].to_vec();
        for _ in 0..round % 97 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            packet.push((dice >> 24) as u8);
        }
        script.push(packet);
    }
    host.in_network_of(1, || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for packet in &script {
            let _ = socket.send_to(packet, "127.0.0.1:623");
        }
        Ok(())
    });
    host.ipmitool(&["power", "status"]).ok();
    assert_eq!(host.process("ipmi_sim"), bmc);
}
