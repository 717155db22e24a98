//! The way out of a lab, which it has only if its file says so.

use crate::host::Host;
use crate::ways::{connected, inside, network, with_uplink};

/// A host with an uplink, and servers: one on the far side, one on the host, and one at the
/// address where clouds keep what is nobody's business.
fn with_servers() -> Host {
    furnished(with_uplink())
}

/// The host, with these servers.
fn furnished(host: Host) -> Host {
    host.write("far/index.html", "far away\n");
    host.write(
        "resolv.conf",
        "nameserver 127.0.0.53\nnameserver 203.0.113.1\n",
    );
    host.shell(
        "set -e
         ip -n far address add 169.254.169.254/32 dev lo
         ip route add 169.254.169.254 via 203.0.113.1
         ip netns exec far busybox httpd -p 0.0.0.0:80 -h far
         busybox httpd -p 0.0.0.0:7777 -h far
         mount --bind resolv.conf /etc/resolv.conf
         for at in 203.0.113.1 169.254.169.254 203.0.113.2:7777; do curl -sf -m 5 $at >/dev/null; done",
    )
    .ok();
    host
}

/// Whether a member is answered by a server at an address.
fn reaches(host: &Host, member: &str, address: &str) -> bool {
    let ran = inside(host, member, &format!("curl -sf -m 2 http://{address}/"));
    ran.out == "far away\n"
}

const LAB: &str = "[network]\nnat = true\n[node.node1]\npower = \"off\"\n";

fn kill(host: &Host) {
    let all = host.processes(env!("CARGO_BIN_EXE_nsplay"));
    for pid in all.iter().chain([&host.process("nsplay supervise")]) {
        host.shell(&format!("kill -9 {pid}"));
    }
}

#[test]
fn passt_lets_a_lab_out_without_a_trace_on_the_host_and_never_to_the_host() {
    let host = with_servers();
    let (before, alone) = (host.inventory(), network(&host));
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    assert!(!reaches(&host, "web", "203.0.113.1"), "without nat");
    host.nsplay(&["down"]).ok();

    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(network(&host), alone);
    host.until("the lab gets out", || reaches(&host, "web", "203.0.113.1"));
    assert!(inside(&host, "web", "ping -c 1 -W 2 192.168.25.2").code == 0);
    // Nobody comes in by it, the host's addresses are shut, also one that is new, and so is a
    // cloud's metadata.
    for address in ["203.0.113.2:7777", "192.0.0.1:7777", "169.254.169.254"] {
        assert!(!reaches(&host, "web", address), "{address}");
    }
    host.shell("ip address add 198.51.100.7/32 dev lo").ok();
    host.until("the new address is shut", || {
        inside(&host, "fabric", "nft list table ip nsplay")
            .out
            .contains("ip daddr 198.51.100.7 drop")
    });
    assert!(!reaches(&host, "web", "198.51.100.7:7777"));
    host.shell("ip address del 198.51.100.7/32 dev lo").ok();
    // What DHCP names is a server that answers there, not the host's own stub.
    host.write("show", "#!/bin/sh\necho \"dns=$dns router=$router\"\n");
    let show = host.folder().join("show");
    host.shell("chmod +x show").ok();
    let ask = format!(
        "busybox udhcpc -f -n -q -t 3 -T 1 -i eth0 -O dns -s {}",
        show.display()
    );
    let offered = inside(&host, "ssh", &ask);
    assert!(
        offered.out.contains("dns=203.0.113.1 router=192.168.25.1"),
        "{}{}",
        offered.out,
        offered.err
    );
    // iPXE's menu offers what is on the internet.
    let entries = inside(
        &host,
        "ssh",
        "curl -sf http://192.168.25.3/nsplay/entries.ipxe",
    );
    assert!(
        entries.out.contains("set nsplay-internet yes"),
        "{}",
        entries.out
    );

    let passt = host.process("/usr/bin/passt");
    let status = host.shell(&format!("cat /proc/{passt}/status")).ok().out;
    let uid = host.user().unwrap_or(61183);
    for line in [
        &format!("Uid:\t{uid}"),
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{status}");
    }
    host.shell(&format!("kill -9 {passt}")).ok();
    host.until("another passt carries", || {
        reaches(&host, "web", "203.0.113.1")
    });
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
    host.nsplay(&["up", "-d"]).ok();
    kill(&host);
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn a_users_lab_gets_out_by_passt_without_root_and_never_to_the_host() {
    let host = furnished(connected(Host::of_user()));
    let (before, alone) = (host.inventory(), network(&host));
    host.write("nsplay.toml", &LAB.replace("nat = true", ""));
    host.nsplay(&["up", "-d"]).ok();
    assert!(!reaches(&host, "web", "203.0.113.1"), "without nat");
    host.nsplay(&["down"]).ok();

    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(network(&host), alone);
    host.until("the lab gets out", || reaches(&host, "web", "203.0.113.1"));
    for address in ["203.0.113.2:7777", "169.254.169.254"] {
        assert!(!reaches(&host, "web", address), "{address}");
    }
    // It keeps up with the host's addresses, though it may not enter the host's network.
    host.shell("ip address add 198.51.100.7/32 dev lo").ok();
    host.until("the new address is shut", || {
        let rules = inside(&host, "fabric", "nft list table ip nsplay").out;
        rules.contains("ip daddr 198.51.100.7 drop")
    });
    host.shell("ip address del 198.51.100.7/32 dev lo").ok();

    let passt = host.process("/usr/bin/passt");
    let status = host.shell(&format!("cat /proc/{passt}/status")).ok().out;
    for line in [
        &format!("Uid:\t{}", host.user().unwrap()),
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{status}");
    }
    let root = host.shell(&format!("ls -A /proc/{passt}/root/")).ok().out;
    assert_eq!(root, "", "passt sees files");
    host.shell(&format!("kill -9 {passt}")).ok();
    host.until("another passt carries", || {
        reaches(&host, "web", "203.0.113.1")
    });
    kill(&host);
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn a_link_lets_a_lab_out_where_the_host_forwards_and_goes_with_the_lab() {
    let host = furnished(connected(Host::of_root()));
    host.write("nsplay.toml", &LAB.replace("true", "\"nft\""));
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "nat = \"nft\": this host does not forward packets, and nsplay does not change that",
            "hint: sudo sysctl net.ipv4.ip_forward=1",
        ],
    );
    assert_eq!(host.inventory(), before);
    host.shell("sysctl -qw net.ipv4.ip_forward=1").ok();
    let (before, alone) = (host.inventory(), network(&host));
    host.nsplay(&["up", "-d"]).ok();
    assert!(reaches(&host, "web", "203.0.113.1"));
    for address in ["203.0.113.2:7777", "169.254.169.254"] {
        assert!(!reaches(&host, "web", address), "{address}");
    }
    // The far side sees the host, and reaches nothing behind it.
    let rules = host.shell("nft list table inet nsplay_default").ok().out;
    assert!(rules.contains("masquerade"), "{rules}");
    let (_, transit) = rules.split_once("ip saddr ").unwrap();
    let transit = transit.split_once('/').unwrap().0;
    let peer = transit.rsplit_once('.').unwrap();
    let peer = format!("{}.{}", peer.0, peer.1.parse::<u8>().unwrap() + 2);
    host.shell("ip -n far route add 198.18.0.0/15 via 203.0.113.2")
        .ok();
    host.shell(&format!("ip netns exec far ping -c 1 -W 1 {peer}"))
        .fails(1, &[]);
    kill(&host);
    host.until("links and rules are gone before anybody sweeps", || {
        network(&host) == alone
    });
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);

    // What else is in the way is said.
    host.shell("nft add table ip filter; nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'")
        .ok();
    let up = host.nsplay(&["up", "-d"]).ok();
    assert!(
        up.err
            .contains("the host's chain filter/FORWARD drops what no rule"),
        "{}",
        up.err
    );
    assert!(!reaches(&host, "web", "203.0.113.1"));
    host.nsplay(&["down"]).ok();
    // And passt does not meet it.
    host.write("nsplay.toml", &LAB.replace("true", "\"passt\""));
    host.nsplay(&["up", "-d"]).ok();
    host.until("the lab gets out", || reaches(&host, "web", "203.0.113.1"));
}
