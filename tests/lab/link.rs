//! Cables that are pulled, proved by what firmware does and by what DHCP hears.

use crate::host::Host;

/// A node with two network cards, which boots from the first, else not at all.
const LAB: &str = r#"
ssh = false
[network.data]
subnet = "10.9.0.0/24"
[node.node1]
power = "off"
memory = "64MiB"
disk = false
boot = ["network"]
nics = [{ network = "data" }]
"#;

#[test]
fn a_pulled_cable_lets_nothing_through_over_resets_until_it_is_plugged_in() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.nsplay(&["link", "node1"])
        .fails(2, &["lab `default` is not up"]);
    host.nsplay(&["up", "-d"]).ok();
    let link = |words: &[&str]| host.nsplay(&[&["link", "node1"], words].concat());
    assert_eq!(link(&["down"]).ok().out, "node1: network card 1 is down\n");
    assert_eq!(
        link(&[]).ok().out,
        "node1: network card 1 is down\nnode1: network card 2 is up\n"
    );
    link(&["--nic", "3"]).fails(2, &["node `node1` has no network card 3, but 1 to 2"]);
    link(&["--nic", "0", "down"]).fails(2, &["no network card 0"]);
    host.nsplay(&["link", "web", "down"])
        .fails(2, &["no node `web`; the lab has: node1"]);

    // A QEMU that starts is told before its firmware runs, and another one is told too.
    host.nsplay(&["power", "node1", "on"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.nsplay(&["power", "node1", "cycle"]).ok();
    host.prints("node1", "No bootable device", 1);
    let heard = || {
        let lines = host.lines("dhcp");
        lines.iter().any(|line| line.contains("DHCPDISCOVER"))
    };
    assert!(!heard(), "{:#?}", host.lines("node1"));
    let why = host.nsplay(&["why", "node1"]).ok().out.replace('\n', " ");
    assert!(
        why.contains("The cable of its network card 1 is out: `nsplay link node1 up` plugs it in"),
        "{why}"
    );
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(inspected.contains("network main, the cable is out"));

    link(&["up"]).ok();
    link(&["down", "--nic", "2"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.until("DHCP hears the firmware", heard);
    let links: serde_json::Value = serde_json::from_str(&link(&["--json"]).ok().out).unwrap();
    let wanted = serde_json::json!({
        "schema": "nsplay/link/1",
        "node": "node1",
        "links": [{ "nic": 1, "link": "up" }, { "nic": 2, "link": "down" }],
    });
    assert_eq!(links, wanted);
    let inspected = host.nsplay(&["inspect", "node1", "--json"]).ok().out;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["nics"][0]["link"], "up");
    assert_eq!(inspected["nics"][1]["link"], "down");
    let told = host.nsplay(&["logs", "node1"]).ok().out;
    for words in [
        "node1: the link of network card 1 is down",
        "node1: the link of network card 1 is up",
        "node1: the link of network card 2 is down",
    ] {
        assert!(told.contains(words), "{told}");
    }
}
