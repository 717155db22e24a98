//! Cables that are pulled and links that are shaped, proved by what firmware does, DHCP hears and the
//! kernel counts.

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

    // A rate is the kernel's from now on, whatever QEMU does.
    assert_eq!(
        link(&["--rate", "512kbit"]).ok().out,
        "node1: network card 1 is down, rate 512kbit\n"
    );
    let shaped = |tap: &str| {
        let tc = [
            "exec", "node1", "--", "tc", "-s", "-j", "qdisc", "show", "dev", tap,
        ];
        let told = host.nsplay(&tc).ok().out;
        serde_json::from_str::<serde_json::Value>(&told).unwrap()[0].clone()
    };

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
    assert!(why.contains("its network card 1 has rate 512kbit: `nsplay link node1 clear`"));
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(inspected.contains("network main, the cable is out, rate 512kbit"));
    assert_eq!(shaped("tap0")["kind"], "tbf");
    // In bytes.
    assert_eq!(shaped("tap0")["options"]["rate"], 64_000);

    link(&["up"]).ok();
    link(&["down", "--nic", "2"]).ok();
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.until("DHCP hears the firmware", heard);
    host.until("more comes for the node than passes", || {
        shaped("tap0")["overlimits"].as_u64() > Some(0)
    });
    let links: serde_json::Value = serde_json::from_str(&link(&["--json"]).ok().out).unwrap();
    let rate = serde_json::json!({
        "rate_bits_per_second": 512_000,
        "loss_percent": null,
        "delay_ms": null,
    });
    let wanted = serde_json::json!({
        "schema": "nsplay/link/1",
        "node": "node1",
        "links": [
            { "nic": 1, "link": "up", "shape": rate },
            { "nic": 2, "link": "down", "shape": null },
        ],
    });
    assert_eq!(links, wanted);
    let inspected = host.nsplay(&["inspect", "node1", "--json"]).ok().out;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["nics"][0]["link"], "up");
    assert_eq!(inspected["nics"][1]["link"], "down");
    assert_eq!(inspected["nics"][0]["shape"], rate);
    assert_eq!(inspected["nics"][1]["shape"], serde_json::Value::Null);
    assert_eq!(link(&["clear"]).ok().out, "node1: network card 1 is up\n");
    assert_ne!(shaped("tap0")["kind"], "tbf");

    // Loss and delay are netem's, which not every kernel has.
    let tc = [
        "exec", "dhcp", "--", "tc", "qdisc", "add", "dev", "lo", "root", "netem",
    ];
    let longer = [
        "--nic", "2", "--loss", "5%", "--delay", "50ms", "--rate", "1gbit",
    ];
    match host.nsplay(&tc).code {
        0 => {
            assert_eq!(
                link(&longer).ok().out,
                "node1: network card 2 is down, rate 1gbit, loss 5%, delay 50ms\n"
            );
            let options = &shaped("tap1")["options"];
            assert_eq!(options["delay"]["delay"], 0.05, "{options}");
            assert_eq!(options["loss-random"]["loss"], 0.05, "{options}");
            assert_eq!(options["rate"]["rate"], 125_000_000, "{options}");
        }
        _ => {
            link(&longer).fails(
                1,
                &[
                    "cannot shape the link: this kernel has no netem",
                    "`sudo modprobe sch_netem`",
                ],
            );
            assert!(!link(&[]).ok().out.contains("delay"));
        }
    }
    link(&["--rate", "10"]).fails(2, &["expected a rate such as 10mbit"]);
    link(&["up", "--loss", "5%"]).fails(2, &["cannot be used with"]);
    let told = host.nsplay(&["logs", "node1"]).ok().out;
    for words in [
        "node1: the link of network card 1 is down",
        "node1: the link of network card 1 is up",
        "node1: the link of network card 2 is down",
        "node1: the link of network card 1 has rate 512kbit",
        "node1: the link of network card 1 lets everything pass",
    ] {
        assert!(told.contains(words), "{told}");
    }
}
