//! What services are, from the running lab and from the lab file.

use serde_json::{Value, json};

use crate::host::Host;

const LAB: &str = r#"
ssh = false
[network.data]
subnet = "10.9.0.0/24"
[service.echo]
command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
network = "data"
publish = "127.0.0.1:7007:7/tcp"
[service.vault]
command = ["sh", "-c", "exec sleep 4711", "--token", "hush", "--password=hush"]
[node.node1]
power = "off"
"#;

fn inspect(host: &Host, member: &str) -> Value {
    let said = host.nsplay(&["inspect", member, "--json"]).ok().out;
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_service_is_what_it_runs_where_and_how_it_is() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    let planned = inspect(&host, "echo");
    assert_eq!(planned["state"], Value::Null);
    assert_eq!(planned["pid"], Value::Null);
    let said = host.nsplay(&["inspect", "echo"]).ok().out;
    assert!(said.contains("the lab is not up"), "{said}");
    host.nsplay(&["inspect", "ech"]).fails(
        2,
        &["no member `ech`; the lab has: dhcp, web, echo, vault, node1"],
    );

    host.nsplay(&["up", "-d"]).ok();
    let mut running = inspect(&host, "echo");
    assert_eq!(running["state"], "ready");
    assert_eq!(running["network"], "data");
    assert_eq!(running["published"], json!(["127.0.0.1:7007"]));
    // The number that the lab has for it is the last that the kernel has.
    let pid = host.process("nc -ll");
    let status = host
        .shell(&format!("grep NSpid /proc/{pid}/status"))
        .ok()
        .out;
    let inside: i64 = status
        .split_ascii_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(running["pid"], inside);
    // All else is as the lab file says it.
    for key in ["state", "since", "restarts", "pid"] {
        running[key] = Value::Null;
    }
    assert_eq!(running, planned);

    let vault = host.nsplay(&["inspect", "vault"]).ok().out;
    assert!(
        !vault.contains("hush") && vault.contains("--token"),
        "{vault}"
    );
    let dhcp = host.nsplay(&["inspect", "dhcp"]).ok().out;
    for words in [
        "Runs            dnsmasq",
        "State           ready",
        "192.168.25.2, network main",
        "Ready           to offer an address on 192.168.25.2",
    ] {
        assert!(dhcp.contains(words), "{dhcp}");
    }
    host.nsplay(&["stop", "echo"]).ok();
    let stopped = inspect(&host, "echo");
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(stopped["pid"], Value::Null);
    host.nsplay(&["inspect", "ech"]).fails(
        2,
        &["no member `ech`; the lab has: dhcp, web, echo, vault, node1"],
    );
}
