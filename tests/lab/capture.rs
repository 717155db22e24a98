//! Captures: what is on the lab's links, in files that tshark reads and in lines for people.

use std::process::{Child, Stdio};

use crate::host::{Host, Ran};

/// Starts a capture; it listens when this returns.
fn capture(host: &Host, arguments: &[&str]) -> Child {
    let started = host.folder().join("started");
    let _ = std::fs::remove_file(&started);
    let script = format!(
        "exec {} capture \"$@\" 2>{}",
        host.spelled(),
        started.display()
    );
    let child = host
        .bounded("sh")
        .args(["-c", &script, "sh"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    host.until("the capture listens", || {
        std::fs::read_to_string(&started).is_ok_and(|text| text.contains("capturing on"))
    });
    child
}

/// Waits for the end of a capture.
fn ended(host: &Host, child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let err = host.folder().join("started");
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: std::fs::read_to_string(err).unwrap(),
    }
}

#[test]
fn what_a_guest_says_is_read_back_by_tshark_with_the_name_of_its_link() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let filter = "udp port 67 or udp port 68";
    let arguments = ["node1", "-w", "dhcp.pcapng", "--count", "4", filter];
    let dhcp = capture(&host, &arguments);
    host.nsplay(&["power", "node1", "on"]).ok();
    ended(&host, dhcp)
        .ok()
        .fails(0, &["capturing on node1:tap0", "4 packets in dhcp.pcapng"]);
    host.nsplay(&["power", "node1", "off"]).ok();
    let fields =
        "-T fields -E occurrence=f -e frame.interface_name -e dhcp.option.dhcp -e dhcp.hw.mac_addr";
    let read = host.shell(&format!("tshark -r dhcp.pcapng {fields}")).ok();
    let lines: Vec<&str> = read.out.lines().collect();
    // DHCPDISCOVER, DHCPOFFER, DHCPREQUEST, DHCPACK.
    let wanted = [1, 2, 3, 5].map(|kind| format!("node1:tap0\t{kind}\t00:aa:bb:cc:dd:ee"));
    assert_eq!(lines, wanted);
    // Times are those of this run, in nanoseconds.
    let times = host.shell("tshark -r dhcp.pcapng -T fields -e frame.time_epoch");
    let now = nsplay::journal::now() / 1000;
    for time in times.ok().out.lines() {
        let seconds: f64 = time.parse().unwrap();
        assert!(
            now as f64 - seconds < 600.0 && seconds <= now as f64 + 1.0,
            "{time}"
        );
    }

    // A pipe gets each packet as it comes.
    let script = format!(
        "{} capture fabric:web -w - --count 2 arp host 192.168.25.77 | tshark -r - -T fields -e frame.interface_name -e arp.dst.proto_ipv4",
        host.spelled()
    );
    let piped = host
        .bounded("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn();
    host.until("the piped capture hears web", || {
        // The capture cannot be seen to listen, so there is something to hear all the time.
        host.shell(&format!(
            "{} exec web -- busybox arping -c 1 -w 1 -I eth0 192.168.25.77",
            host.spelled()
        ));
        host.processes("capture fabric:web").is_empty()
    });
    let read = String::from_utf8(piped.unwrap().wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        read,
        "fabric:web\t192.168.25.77\nfabric:web\t192.168.25.77\n"
    );
}

#[test]
fn networks_are_named_as_the_lab_file_names_them() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        dhcp = false
        ssh = false
        node = {}
        [network.data]
        subnet = "10.9.0.0/24"
        [network.a-network-with-a-long-name]
        subnet = "10.10.0.0/24"
        [service.near]
        command = ["sleep", "1000"]
        network = "data"
        [service.far]
        command = ["sleep", "1000"]
        network = "a-network-with-a-long-name"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    for (network, link, member, address) in [
        ("data", "lab0.data", "near", "10.9.0.77"),
        (
            "a-network-with-a-long-name",
            "lab0.a-n-",
            "far",
            "10.10.0.77",
        ),
        ("main", "lab0", "web", "192.168.25.77"),
    ] {
        let hears = capture(&host, &[network, "--count", "1", "arp"]);
        let ask = format!(
            "{} exec {member} -- busybox arping -c 1 -w 1 -I eth0 {address}",
            host.spelled()
        );
        host.shell(&ask);
        let ran = ended(&host, hears).fails(0, &[&format!("capturing on {link}")]);
        assert!(
            ran.out.contains(&format!("ARP who has {address}")),
            "{}",
            ran.out
        );
    }
}

#[test]
fn a_network_is_shown_in_lines_that_name_protocols_until_the_lab_ends() {
    let host = Host::new();
    host.nsplay(&["capture"])
        .fails(2, &["lab `default` is not up"]);
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let lines = capture(&host, &[]);
    host.ipmitool(&["chassis", "status"]).ok();
    let exec = |command: &str| host.shell(&format!("{} exec ssh -- {command}", host.spelled()));
    exec("curl -sf http://192.168.25.3/boot.ipxe -o /dev/null").ok();
    exec("curl -sf tftp://192.168.25.2/undionly.kpxe -o /dev/null").ok();
    host.nsplay(&["down"]).ok();
    let ran = ended(&host, lines).ok();
    for words in [
        "ARP who has 192.168.25.3, tell 192.168.25.4",
        " > 192.168.25.5:623  RMCP IPMI Get Channel Authentication Capabilities",
        "RMCP IPMI Get Chassis Status: ok",
        " > 192.168.25.3:80  HTTP GET /boot.ipxe",
        "192.168.25.3:80 > 192.168.25.4:",
        "HTTP 200 OK",
        "TFTP read undionly.kpxe",
        "TFTP block 1, ",
    ] {
        assert!(ran.out.contains(words), "{words:?} is not in: {}", ran.out);
    }
    let count = ran.out.lines().count();
    assert!(
        ran.err.contains(&format!("{count} packets\n")),
        "{}",
        ran.err
    );

    host.is_as_before(&before);

    host.nsplay(&["up", "-d"]).ok();
    let interrupted = capture(&host, &["lab0", "icmp"]);
    let pid = host.processes("capture lab0 icmp");
    host.shell(&format!("kill -INT {}", pid.last().unwrap()))
        .ok();
    ended(&host, interrupted).fails(0, &["0 packets"]);
    let for_a_while = capture(&host, &["dhcp", "--for", "0.1"]);
    ended(&host, for_a_while).fails(0, &["capturing on dhcp:eth0", " packets"]);

    host.nsplay(&["capture", "nod1"]).fails(
        2,
        &[
            "`nod1` is no filter",
            "`nod1` is no member or network either",
        ],
    );
    host.nsplay(&["capture", "web:eth7"]).fails(
        2,
        &[
            "there is no link `web:eth7`",
            "hint: `nsplay exec web -- ip",
        ],
    );
    host.shell(&format!("PATH=/none {} capture arp", host.spelled()))
        .fails(2, &["compiled by tcpdump, which is not installed"]);
}
