//! Several networks, what DHCP keeps for network cards, and the lab's DNS.

use crate::guest::Guest;
use crate::host::Host;

/// A script of udhcpc(8) that prints what it was given.
const LEASE: &str =
    "#!/bin/sh\n[ \"$1\" = bound ] && echo \"$ip $mtu $router $dns $domain\" || :\n";

/// Asks DHCP as the network card with `mac` would, from the `nth` bridge of a node that is off.
fn lease(host: &Host, lab: &str, node: &str, bridge: &str, mac: &str) -> String {
    host.write("lease.sh", LEASE);
    let script = format!(
        "chmod 755 lease.sh
         ip link add card address {mac} type veth peer name port
         ip link set port master {bridge} up
         ip link set card up
         busybox udhcpc -f -q -n -t 20 -T 1 -O mtu -i card -s $PWD/lease.sh 2>/dev/null
         ip link del card"
    );
    let exec = ["-p", lab, "exec", node, "--", "sh", "-c", &script];
    host.nsplay(&exec).ok().out.trim().to_owned()
}

/// The addresses of a name, or the names of an address, as a client in `member` is told.
fn resolves(host: &Host, member: &str, name: &str, server: &str) -> Vec<String> {
    let ask = ["exec", member, "--", "busybox", "nslookup", name, server];
    let out = host.nsplay(&ask).out;
    // The first address is the server's own.
    let answer = out.lines().skip_while(|line| !line.is_empty());
    let found = answer.filter_map(|line| {
        let (key, value) = line.split_once([':', '=']).unwrap_or((line, ""));
        let is_answer = key == "Address" || key.ends_with("name ");
        is_answer.then(|| value.trim().to_owned())
    });
    found.collect()
}

#[test]
fn a_guest_boots_from_its_second_network_and_has_both_its_reserved_addresses() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        dhcp.dns = true
        [network.data]
        subnet = "10.9.0.0/24"
        mtu = 9000
        ipv6 = "dhcpv6"
        dhcp = {}
        [node.node1]
        ip = "192.168.25.111"
        nics = [{ network = "data", model = "virtio-net", ip = "10.9.0.11" }]
        boot = ["network2"]
        "#,
    );
    let guest = Guest::boot(&host);
    // The firmware's, and by DHCPv6 too; nothing was asked of the main network before the guest.
    host.prints("dhcp-data", "DHCPACK(eth0) 10.9.0.11", 1);
    host.prints("dhcp-data", "DHCPREPLY(eth0) fd00:a09::1", 1);
    let shown = guest.runs(
        "until ip -4 -o addr show eth0 | grep -q inet && ip -4 -o addr show eth1 | grep -q inet; do usleep 50000; done
         ip -4 -o addr show; ip link show; nslookup web; ping -c 1 -s 8000 10.9.0.2",
    );
    let out = shown.ok().out;
    for words in [
        "192.168.25.111/24",
        "10.9.0.11/24",
        "mtu 9000",
        "mtu 1500",
        "192.168.25.3",
        "8008 bytes from 10.9.0.2",
    ] {
        assert!(out.contains(words), "{words} is not in: {out}");
    }
    // What the guest has on the one network, members of the other reach by name.
    let node = "node1.data.lab.example";
    let found = resolves(&host, "web", node, "192.168.25.2");
    assert_eq!(found, ["10.9.0.11"]);
    host.nsplay(&["exec", "web", "--", "ping", "-c", "1", "10.9.0.11"])
        .ok();
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(
        inspected.contains("network data, 10.9.0.11 by DHCP"),
        "{inspected}"
    );
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(
        ps.contains("dhcp-data  dnsmasq") && ps.contains("10.9.0.2"),
        "{ps}"
    );
}

#[test]
fn six_network_cards_are_given_what_is_kept_for_them() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        [defaults]
        power = "off"
        disk = false
        [node.controller]
        count = 3
        ip = "192.168.25.11"
        mac = "02:00:00:00:01:01"
        [node.worker]
        count = 3
        ip = "192.168.25.121"
        mac = "02:00:00:00:02:01"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    for (kind, group, first) in [("controller", 1, 11), ("worker", 2, 121)] {
        for n in 1..=3 {
            let node = format!("{kind}{n}");
            let mac = format!("02:00:00:00:0{group}:0{n}");
            let given = lease(&host, "default", &node, "br-bmc", &mac);
            let address = format!("192.168.25.{}", first + n - 1);
            assert!(given.starts_with(&address), "{node}: {given}");
        }
    }
}

#[test]
fn dns_answers_with_the_names_of_members_and_nodes_and_nothing_else() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        ssh.network = "data"
        [dhcp]
        dns = true
        domain = "rack.example"
        [network.data]
        subnet = "10.9.4.0/22"
        dhcp = {}
        [service.own]
        command = ["sleep", "1000"]
        network = "data"
        [node.node1]
        power = "off"
        ip = "192.168.25.11"
        nics = [{ network = "data", mac = "02:00:00:00:00:09" }]
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    let given = lease(&host, "default", "node1", "br1", "02:00:00:00:00:09");
    let (address, rest) = given.split_once(' ').unwrap();
    assert!(address.starts_with("10.9.4."), "{given}");
    assert_eq!(rest, " 10.9.4.1 10.9.4.2 data.rack.example");
    for server in ["192.168.25.2", "10.9.4.2"] {
        for (name, address) in [
            ("web", "192.168.25.3"),
            ("ssh.rack.example", "10.9.4.4"),
            ("own.rack.example", "10.9.4.5"),
            ("node1.rack.example", "192.168.25.11"),
            ("bmc.node1.rack.example", "192.168.25.5"),
            ("node1.data.rack.example", address),
        ] {
            let found = resolves(&host, "own", name, server);
            assert_eq!(found, [address], "{name} at {server}");
        }
        for (address, name) in [
            ("192.168.25.3", "web.rack.example"),
            ("192.168.25.11", "node1.rack.example"),
            (address, "node1.data.rack.example"),
        ] {
            let found = resolves(&host, "web", address, server);
            assert_eq!(found, [name], "{address} at {server}");
        }
    }
    // No server of the host or of the world is asked.
    let found = resolves(&host, "web", "www.debian.org", "192.168.25.2");
    assert!(found.is_empty(), "{found:?}");
    // Members ask it by themselves.
    let pid = host.process("sleep 1000");
    let ask = format!(
        "nsenter -t {pid} -m -n getent hosts node1 && nsenter -t {pid} -m cat /etc/resolv.conf"
    );
    let said = host.shell(&ask).ok().out;
    assert!(said.starts_with("192.168.25.11"), "{said}");
    assert!(said.contains("nameserver 192.168.25.2"), "{said}");
}

#[test]
fn two_labs_with_the_same_networks_do_not_see_each_other() {
    let host = Host::new();
    let before = host.inventory();
    host.write(
        "nsplay.toml",
        r#"
        ssh = false
        network.mtu = 1400
        [network.a-network-with-a-long-name]
        subnet = "10.9.0.0/24"
        mtu = 9000
        dhcp = { pool = "10.9.0.50-10.9.0.50" }
        [node.a-node-with-a-long-name]
        power = "off"
        vnc = false
        bmc.publish = false
        nics = [{ network = "a-network-with-a-long-name", mac = "02:00:00:00:00:09" }]
        [service.far]
        command = ["busybox", "httpd", "-f", "-p", "80"]
        network = "a-network-with-a-long-name"
        ready = "tcp:80"
        "#,
    );
    for lab in ["one", "two"] {
        host.nsplay(&["-p", lab, "up", "-d"]).ok();
    }
    let node = "a-node-with-a-long-name";
    for lab in ["one", "two"] {
        // Each gives out the only address that it has.
        let given = lease(&host, lab, node, "br1", "02:00:00:00:00:09");
        assert!(given.starts_with("10.9.0.50 9000 10.9.0.1"), "{given}");
        let links = ["-p", lab, "exec", "fabric", "--", "ip", "-o", "link"];
        let links = host.nsplay(&links).ok().out;
        assert!(
            links.contains("lab0: ") && links.contains("lab0.a-n-"),
            "{links}"
        );
        let mtus = |mtu: &str| links.matches(&format!("mtu {mtu} ")).count();
        assert_eq!((mtus("1400"), mtus("9000")), (4, 4), "{links}");
        // The fabric routes; what is too long for the next network is said so.
        let ping = |size| {
            let ping = [
                "-p", lab, "exec", "far", "--", "ping", "-c", "1", "-W", "5", "-M", "do", "-s",
            ];
            host.nsplay(&[&ping[..], &[size, "192.168.25.3"]].concat())
        };
        ping("1372").ok();
        assert_eq!(ping("1373").code, 1);
        let neighbours = ["-p", lab, "exec", node, "--", "ip", "-o", "link"];
        let tap = host.nsplay(&neighbours).ok().out;
        let tap = tap.lines().find(|line| line.contains(" tap1: "));
        assert!(tap.is_some_and(|tap| tap.contains("mtu 9000")), "{tap:?}");
    }
    for lab in ["one", "two"] {
        host.nsplay(&["-p", lab, "down"]).ok();
    }
    host.is_as_before(&before);
}
