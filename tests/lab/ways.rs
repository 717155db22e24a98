//! Ways between a lab and its host, which are closed by default, and gone with the lab.

use crate::host::{Host, Ran};

/// A lab whose node is off, on any number of networks.
const LAB: &str = "[node.node1]\npower = \"off\"\n";

/// A host with an uplink, `up0`, to a host `far` at 203.0.113.1.
pub fn with_uplink() -> Host {
    connected(Host::new())
}

/// The same host, with an uplink.
pub fn connected(host: Host) -> Host {
    host.shell(
        "set -e
         ip netns add far
         ip link add up0 type veth peer name eth0 netns far
         ip address add 203.0.113.2/24 dev up0
         ip link set up0 up
         ip route add default via 203.0.113.1
         ip -n far address add 203.0.113.1/24 dev eth0
         ip -n far link set eth0 up
         ip -n far link set lo up
         # What the kernel does later by itself is done now.
         sysctl -qw net.ipv6.conf.up0.disable_ipv6=1
         ip netns exec far sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
    )
    .ok();
    host
}

/// Runs a command inside a member's network.
pub fn inside(host: &Host, member: &str, command: &str) -> Ran {
    host.nsplay(&["exec", member, "--", "sh", "-c", command])
}

/// Links, addresses, routes and rules of the host.
pub fn network(host: &Host) -> String {
    let script = "ip -o link; ip -o address; ip route show table all; nft list ruleset";
    host.shell(script).ok().out
}

#[test]
fn an_attached_host_reaches_the_lab_and_the_lab_does_not_reach_the_host() {
    let host = connected(Host::of_root());
    let before = host.inventory();
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let up = network(&host);
    host.shell("curl -sf -m 1 http://192.168.25.3/boot.ipxe")
        .fails(28, &[]);
    let attached = host.nsplay(&["attach"]).ok();
    assert_eq!(attached.out, "192.168.25.254 nsp-default\n");
    // Once more is the same.
    assert_eq!(host.nsplay(&["attach"]).ok().out, attached.out);
    host.shell("curl -sf -m 9 http://192.168.25.3/boot.ipxe | grep -q '#!ipxe'")
        .ok();
    let bmc = ["-H", "192.168.25.5", "-U", "admin", "-P", "admin"];
    host.run("ipmitool", &[&bmc[..], &["power", "status"]].concat())
        .ok();

    // The host's own addresses, with something that listens.
    host.shell("busybox httpd -p 0.0.0.0:7777 -h /").ok();
    host.shell("sysctl -qw net.ipv4.ip_forward=1").ok();
    host.shell("tcpdump -lni up0 >uplink 2>/dev/null & echo $! >tcpdump.pid")
        .ok();
    host.shell("ip -n far route add 192.168.25.0/24 via 203.0.113.2")
        .ok();
    for (member, address) in [("web", "192.168.25.254"), ("web", "203.0.113.2")] {
        inside(
            &host,
            member,
            "ip route replace 203.0.113.0/24 via 192.168.25.254",
        )
        .ok();
        let get = format!("curl -s -m 1 http://{address}:7777/");
        assert_eq!(inside(&host, member, &get).code, 28, "{address} answers");
        let ping = format!("ping -c 1 -W 1 {address}");
        assert_eq!(inside(&host, member, &ping).code, 1, "{address} answers");
    }
    // What is behind the host, both ways.
    assert_eq!(inside(&host, "web", "ping -c 1 -W 1 203.0.113.1").code, 1);
    let from_far = "ip netns exec far ping -c 1 -W 1 192.168.25.3";
    assert_eq!(host.shell(from_far).code, 1);
    // DHCP's broadcasts end in the lab.
    let ask = "busybox udhcpc -n -q -t 1 -T 1 -i eth0 -s /bin/true";
    let _ = inside(&host, "ssh", ask);
    host.shell("sleep 0.2; kill $(cat tcpdump.pid)").ok();
    let seen = std::fs::read_to_string(host.folder().join("uplink")).unwrap();
    let leaked = seen.lines().filter(|line| {
        !line.contains("203.0.113.1 > 192.168.25.3: ICMP")
            && !line.contains("ARP")
            && !line.is_empty()
    });
    assert_eq!(leaked.collect::<Vec<_>>(), Vec::<&str>::new());

    // Whoever reloads the host's rules leaves the lab's alone.
    let rules = || host.shell("nft list table inet nsplay_default").ok().out;
    let guards = rules();
    for rule in [
        "iifname \"nsp-default\" drop",
        "oifname \"nsp-default\" drop",
    ] {
        assert!(guards.contains(rule), "{guards}");
    }
    host.shell("nft flush ruleset; nft delete table inet nsplay_default");
    assert_eq!(rules(), guards);

    host.shell("sysctl -qw net.ipv4.ip_forward=0; kill $(pidof busybox)")
        .ok();
    host.shell("ip -n far route del 192.168.25.0/24").ok();
    host.nsplay(&["detach"]).ok();
    assert_eq!(network(&host), up);
    host.nsplay(&["detach"]).fails(0, &["on no such network"]);
    host.nsplay(&["attach"]).ok();
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn a_lab_file_puts_the_host_on_its_networks_and_none_that_it_cannot_be_on() {
    let host = connected(Host::of_root());
    let before = host.inventory();
    let file = "node = false\n[network]\nattach = true\n[network.data]\nsubnet = \"10.9.0.0/24\"\nattach = true\n[web]\nnetwork = \"data\"\n";
    host.write("nsplay.toml", file);
    host.shell("ip route add 10.0.0.0/8 via 203.0.113.1").ok();
    let with = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "cannot attach network `data`, 10.9.0.0/24, to the host: it overlaps its route 10.0.0.0/8 via 203.0.113.1 dev up0",
            "hint: give the network another `subnet`",
        ],
    );
    assert_eq!(host.inventory(), with);
    host.shell("ip route del 10.0.0.0/8").ok();
    host.nsplay(&["up", "-d"]).ok();
    host.shell("curl -sf -m 9 http://10.9.0.3/boot.ipxe").ok();
    host.shell("ping -c 1 -W 1 192.168.25.2").ok();
    // What stands in a plan is what is done.
    let plan = host.nsplay(&["plan"]).ok().out;
    let (_, table) = plan.split_once("nft -f - <<'EOF'\n").unwrap();
    let (table, _) = table.split_once("EOF\n").unwrap();
    let real = host.shell("nft -s list table inet nsplay_default").ok().out;
    let lines = |text: &str| -> Vec<String> {
        let lines = text.replace("priority filter", "priority 0");
        let lines = lines
            .lines()
            .map(|line| line.split('#').next().unwrap().trim().to_owned());
        let mut lines: Vec<_> = lines
            .filter(|line| !line.starts_with("flags owner"))
            .collect();
        // Rules of two links may stand in either order.
        lines.sort();
        lines.retain(|line| !line.is_empty());
        lines
    };
    assert_eq!(lines(&real), lines(table));
    assert!(
        plan.contains("ip -n host address add 10.9.0.254/24 dev nsp-def"),
        "{plan}"
    );
    host.nsplay(&["detach", "data"]).ok();
    host.shell("ping -c 1 -W 1 192.168.25.2").ok();
    host.shell("ping -c 1 -W 1 10.9.0.3").fails(1, &[]);
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn nothing_of_a_way_outlives_a_lab_that_is_killed() {
    let host = connected(Host::of_root());
    let (before, alone) = (host.inventory(), network(&host));
    host.write("nsplay.toml", LAB);
    for next in [&["down"][..], &["up", "-d"]] {
        host.nsplay(&["up", "-d"]).ok();
        host.nsplay(&["attach"]).ok();
        assert_ne!(network(&host), alone);
        let all = host.processes(env!("CARGO_BIN_EXE_nsplay"));
        for pid in all.iter().chain([&host.process("nsplay supervise")]) {
            host.shell(&format!("kill -9 {pid}"));
        }
        host.until("links and rules are gone before anybody sweeps", || {
            network(&host) == alone
        });
        host.nsplay(next).ok();
        host.nsplay(&["down"]).ok();
        host.is_as_before(&before);
    }
    // Something that still holds the dead lab's namespace keeps the link: the next command does not.
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["attach"]).ok();
    let supervisor = host.process("nsplay supervise");
    host.shell(&format!(
        "nsenter -t {supervisor} -n sleep 300 >&- 2>&- & echo $! >pinned"
    ))
    .ok();
    host.until("the fabric is pinned", || {
        let same = "[ $(readlink /proc/$(cat pinned)/ns/net) != $(readlink /proc/self/ns/net) ]";
        host.shell(same).code == 0
    });
    host.shell(&format!("kill -9 {supervisor}")).ok();
    host.until("the watcher sweeps", || network(&host) == alone);
    host.shell("kill $(cat pinned)").ok();
    host.is_as_before(&before);
}

#[test]
fn a_network_that_overlaps_a_route_of_the_host_is_not_attached() {
    let host = connected(Host::of_root());
    host.nsplay(&["attach"])
        .fails(2, &["lab `default` is not up"]);
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    for (make, shown) in [
        (
            "route add 192.168.0.0/16 via 203.0.113.1",
            "192.168.0.0/16 via 203.0.113.1 dev up0",
        ),
        (
            "route add unreachable 192.168.25.128/25",
            "unreachable 192.168.25.128/25",
        ),
        (
            "route add 192.168.25.77 dev up0 table 77",
            "192.168.25.77/32 dev up0 table 77",
        ),
        (
            "address add 192.168.25.9/32 dev lo",
            "local 192.168.25.9/32 dev lo",
        ),
    ] {
        host.shell(&format!("ip {make}")).ok();
        let with = network(&host);
        let message = format!("192.168.25.0/24, to the host: it overlaps its route {shown}");
        host.nsplay(&["attach"]).fails(2, &[&message]);
        assert_eq!(network(&host), with);
        host.shell(&format!("ip {}", make.replace(" add ", " del ")))
            .ok();
    }
    // A link of the name that the lab would give is somebody else's.
    host.shell("ip link add nsp-default type bridge").ok();
    let with = network(&host);
    host.nsplay(&["attach"]).fails(
        1,
        &["the host has a link `nsp-default` that is not this lab's"],
    );
    assert_eq!(network(&host), with);
    host.nsplay(&["down"]).ok();
    assert!(network(&host).contains("nsp-default"));
    host.shell("ip link del nsp-default").ok();

    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["attach", "elsewhere"])
        .fails(2, &["no network `elsewhere`; the lab has: main"]);
    // Two labs with one subnet: one of them can be attached.
    host.nsplay(&["-p", "two", "up", "-d", "--port-offset", "1000"])
        .ok();
    host.nsplay(&["attach"]).ok();
    host.nsplay(&["-p", "two", "attach"])
        .fails(2, &["overlaps its route", "dev nsp-default"]);
    host.nsplay(&["detach", "main"]).ok();
    host.nsplay(&["-p", "two", "attach"]).ok();
}
