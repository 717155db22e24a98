//! `nsplay start`, `stop` and `restart`: one member at a time.

use crate::host::Host;

/// A service that answers, one that waits for it, and a node that is off.
const LAB: &str = r#"
dhcp = false
web = false
ssh = false
[service.echo]
command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
publish = "127.0.0.1:7007:7/tcp"
ready = "tcp:7"
[service.late]
command = ["sleep", "4711"]
after = ["echo"]
[node.node1]
power = "off"
memory = "64MiB"
"#;

#[test]
fn a_service_is_stopped_until_it_is_started_and_the_others_notice_nothing() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let (other, bmc) = (host.process("sleep 4711"), host.process("ipmi_sim"));
    // A command that came in from outside is not the service's.
    let mut inside = host.command(env!("CARGO_BIN_EXE_nsplay"));
    let inside = inside.args(["exec", "echo", "--", "sleep", "4712"]);
    let mut inside = inside.spawn().unwrap();
    host.until("a command is inside", || {
        host.processes("sleep 4712").len() == 2
    });

    host.nsplay(&["stop", "echo"]).ok();
    assert!(host.processes("nc -ll").is_empty());
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains("echo   busybox   stopped"), "{ps}");
    let to_echo = "exec 3<>/dev/tcp/127.0.0.1/7007; echo hello >&3; timeout 5 head -n 1 <&3";
    assert_eq!(host.run("bash", &["-c", to_echo]).out, "");
    assert!(!host.processes("sleep 4712").is_empty());
    host.nsplay(&["stop", "echo"]).ok();
    host.nsplay(&["restart", "late"]).fails(
        1,
        &[
            "`late` would wait for `echo`, which is stopped",
            "nsplay start echo",
        ],
    );
    assert_eq!(host.process("sleep 4711"), other);

    host.nsplay(&["start", "echo"]).ok();
    let said = host.run("bash", &["-c", to_echo]).ok().out;
    assert_eq!(said, "hello\n");
    let first = host.process("nc -ll");
    host.nsplay(&["start", "echo"]).ok();
    assert_eq!(host.process("nc -ll"), first);
    host.nsplay(&["restart", "echo"]).ok();
    assert_ne!(host.process("nc -ll"), first);
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains("echo   busybox   ready"), "{ps}");
    assert_eq!(host.process("sleep 4711"), other);
    assert_eq!(host.process("ipmi_sim"), bmc);

    host.nsplay(&["stop", "nobody"])
        .fails(2, &["no member `nobody`; the lab has: echo, late, node1"]);
    let nothing = "nothing of `nobody` is in the log of lab `default`";
    host.nsplay(&["logs", "echo", "nobody"])
        .fails(2, &[nothing, "hint: `nsplay ps` lists its members"]);
    host.nsplay(&["events", "-f", "nobody"])
        .fails(2, &[nothing]);
    let of_echo = host.nsplay(&["events", "echo"]).ok().out;
    assert!(
        of_echo.contains("echo") && !of_echo.contains("late"),
        "{of_echo}"
    );
    inside.kill().unwrap();
    inside.wait().unwrap();
}

#[test]
fn a_service_that_hides_a_process_elsewhere_has_none_left_when_it_is_stopped() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "dhcp = false\nweb = false\nssh = false\nnode = false\n[service.hider]\ncommand = [\"sh\", \"-c\", \
         \"setsid unshare -Un sleep 4713 & echo hidden; exec sleep 4714\"]\nready = \"log:hidden\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.until("it has left its network", || {
        host.processes("sleep 4713").len() == 1
    });
    host.nsplay(&["stop", "hider"]).ok();
    // In a user's lab all have one user: where there is no control group either, it ends with the lab.
    if host.is_root() {
        assert!(host.processes("sleep 4713").is_empty());
    }
    host.nsplay(&["down"]).ok();
    assert!(host.processes("sleep 4713").is_empty());
}

#[test]
fn a_service_may_take_its_time_to_end_but_not_for_ever() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        dhcp = false
        web = false
        ssh = false
        node = false
        [service.polite]
        command = ["sh", "-c", "trap 'echo goodbye; exit' TERM; echo here; while :; do sleep 0.1; done"]
        ready = "log:here"
        [service.deaf]
        command = ["sh", "-c", "trap '' TERM; echo here; while :; do sleep 4713; done"]
        ready = "log:here"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["stop", "polite"]).ok();
    // Its shell may have more to say, of the `sleep` that was asked to end too.
    let said = host.lines("polite");
    assert_eq!(said.last().map(String::as_str), Some("goodbye"), "{said:?}");
    host.nsplay(&["stop", "deaf"]).ok();
    assert!(host.processes("sleep 4713").is_empty());
    assert_eq!(host.lines("deaf"), ["here"]);
}

#[test]
fn a_node_is_switched_and_its_bmc_stays() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let bmc = host.process("ipmi_sim");
    let power = || host.ipmitool(&["power", "status"]).ok().out;
    for (order, state) in [
        ("start", "on"),
        ("stop", "off"),
        ("restart", "on"),
        ("restart", "on"),
    ] {
        host.nsplay(&[order, "node1"]).ok();
        assert_eq!(power(), format!("Chassis Power is {state}\n"));
    }
    assert_eq!(host.process("ipmi_sim"), bmc);
}
