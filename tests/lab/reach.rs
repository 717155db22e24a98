//! What a lab reaches: itself. Of what its guest and its members send, nothing leaves it.

use std::fs;

use crate::guest::Guest;
use crate::ways::{inside, with_uplink};

/// Sends what nobody should: ARP replies and a router advertisement of who is no router, and a DHCP
/// server's offer.
const FORGED: &str = r#"
import socket, struct, sys

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
own, all = bytes.fromhex("02000000beef"), b"\xff" * 6
ip = socket.inet_aton

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

for victim in ["192.168.25.1", "203.0.113.1", "203.0.113.2"]:
    link.send(all + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 2)
              + own + ip(victim) + all + ip(victim))

server = ip("192.168.25.66")
offer = (bytes([2, 1, 6, 0]) + b"nsp!" + bytes(8) + ip("192.168.25.77") + server + bytes(4) + own
         + bytes(202) + b"\x63\x82\x53\x63" + bytes([53, 1, 2, 54, 4]) + server + b"\xff")
udp = struct.pack("!HHHH", 67, 68, 8 + len(offer), 0) + offer
header = lambda sum: struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, sum,
                                 server, b"\xff" * 4)
link.send(all + own + b"\x08\x00" + header(checksum(header(0))) + udp)

source = socket.inet_pton(socket.AF_INET6, "fe80::beef")
nodes = socket.inet_pton(socket.AF_INET6, "ff02::1")
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 3600, 3600, 0)
prefix += socket.inet_pton(socket.AF_INET6, "fd66::")
router = lambda sum: struct.pack("!BBHBBHII", 134, 0, sum, 64, 0, 1800, 0, 0) + prefix
pseudo = source + nodes + struct.pack("!II", len(router(0)), 58)
link.send(bytes.fromhex("333300000001") + own + b"\x86\xdd"
          + struct.pack("!IHBB", 6 << 28, len(router(0)), 58, 255) + source + nodes
          + router(checksum(pseudo + router(0))))
"#;

#[test]
fn a_guest_and_the_members_reach_the_lab_and_no_packet_of_theirs_leaves_it() {
    let host = with_uplink();
    host.write("www/secret", "of the host");
    host.shell(
        "set -e
         ip -n far address add 169.254.169.254/32 dev lo
         ip route add 169.254.169.254 via 203.0.113.1
         busybox httpd -p 0.0.0.0:8123 -h www
         ip netns exec far busybox httpd -p 0.0.0.0:8123 -h www
         for at in 127.0.0.1 203.0.113.2 203.0.113.1 169.254.169.254; do
             curl -sf -m 5 http://$at:8123/secret
         done
         tcpdump -Ulni up0 >uplink 2>tcpdump.log & echo $! >tcpdump.pid",
    )
    .ok();
    host.until("the uplink is heard", || {
        let log = fs::read_to_string(host.folder().join("tcpdump.log"));
        log.is_ok_and(|log| log.contains("listening on"))
    });
    let guest = Guest::boot(&host);
    let addresses = ["203.0.113.2", "203.0.113.1", "169.254.169.254"];
    for member in ["fabric", "web", "node1"] {
        for address in addresses.iter().chain(&["127.0.0.1"]) {
            let get = format!("curl -sf -m 1 http://{address}:8123/secret");
            let ran = inside(&host, member, &get);
            assert_ne!(ran.code, 0, "{member} reaches {address}: {}", ran.out);
        }
    }
    let ran = guest.runs(&format!(
        "ping -c 1 -W 1 192.168.25.2 >/dev/null && echo the lab answers
         for at in {0}; do
             ping -c 1 -W 1 $at >/dev/null && echo $at answers
         done
         # By every member as a router.
         for by in 1 2 3 4; do
             ip route replace default via 192.168.25.$by
             for at in {0}; do
                 {{ wget -q -O - http://$at:8123/secret && echo $at answers by $by; }} 2>/dev/null &
                 asked=\"$asked $!\"
             done
             usleep 300000
         done
         kill $asked
         ip route replace default via 192.168.25.1",
        addresses.join(" ")
    ));
    assert_eq!(ran.out, "the lab answers");

    // What is forged is seen in the fabric, and there only.
    host.write("forged.py", FORGED);
    host.shell(&format!(
        "{} exec fabric -- tcpdump -Ulnei lab0 ether src 02:00:00:00:be:ef >fabric 2>fabric.log &",
        host.spelled()
    ))
    .ok();
    host.until("the fabric is heard", || {
        let log = fs::read_to_string(host.folder().join("fabric.log"));
        log.is_ok_and(|log| log.contains("listening on"))
    });
    inside(&host, "node1", "python3 forged.py br-bmc").ok();
    host.until("the fabric has what is forged", || {
        let heard = fs::read_to_string(host.folder().join("fabric")).unwrap();
        let kinds = [
            "Reply 203.0.113.1 is-at",
            "BOOTP/DHCP, Reply",
            "router advertisement",
        ];
        kinds.iter().all(|kind| heard.contains(kind))
    });
    // A host that is on the network itself hears it, and believes none of it.
    if host.is_root() {
        host.nsplay(&["attach"]).ok();
        host.shell("ping -c 1 -W 5 192.168.25.2").ok();
        inside(&host, "node1", "python3 forged.py br-bmc").ok();
        host.shell("sleep 0.3; ping -c 1 -W 5 192.168.25.2; ping -c 1 -W 5 203.0.113.1")
            .ok();
    }
    let believed = host
        .shell("ip neigh show; ip -6 route show; ip -6 address show")
        .ok()
        .out;
    assert!(
        !believed.contains("be:ef") && !believed.contains("fd66"),
        "{believed}"
    );
    host.nsplay(&["down"]).ok();
    host.shell("sleep 0.2; kill $(cat tcpdump.pid)").ok();
    let heard = fs::read_to_string(host.folder().join("uplink")).unwrap();
    let mine = |line: &&str| {
        !line.is_empty()
            && !line.contains("203.0.113.2 > 203.0.113.1: ICMP")
            && !line.contains("203.0.113.1 > 203.0.113.2: ICMP")
            && !line.contains("ARP, Request who-has 203.0.113.")
            && !line.contains("ARP, Reply 203.0.113.")
    };
    assert_eq!(
        heard.lines().filter(mine).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
    assert!(!heard.contains("02:00:00:00:be:ef"), "{heard}");
}
