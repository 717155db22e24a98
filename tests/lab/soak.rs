//! Long runs, which `scripts/soak` starts: labs that come and go, one that changes, one in a flood, and
//! one whose every system call fails.

mod calls;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::crowds::PING;
use crate::host::Host;
use crate::malformed::{self, VIEWER, dhcp, read_request, shows, spoilt};

/// A number of the environment, or what it is where nobody says.
fn number<T: FromStr>(name: &str, otherwise: T) -> T {
    let Ok(text) = env::var(name) else {
        return otherwise;
    };
    let number = text.parse();
    number.unwrap_or_else(|_| panic!("{name}={text}: it is no number"))
}

/// Shows a figure to who waits for the end.
fn tell(figure: &str) {
    let _ = writeln!(io::stderr(), "{figure}");
}

/// How often labs come and go.
fn rounds() -> usize {
    number("NSPLAY_SOAK_ROUNDS", 200)
}

/// How many network namespaces the kernel has, also those that nobody holds any more (slabinfo(5)).
fn namespaces() -> usize {
    // Those that each processor keeps for the next ones would count.
    fs::write("/sys/kernel/slab/net_namespace/shrink", "1").unwrap();
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = slabs.lines().find(|line| line.starts_with("net_namespace"));
    let in_use = line.unwrap().split_whitespace().nth(1).unwrap();
    in_use.parse().unwrap()
}

/// Bytes of what labs have left on the disk.
fn kept(host: &Host) -> u64 {
    let size = host.shell("du -sB1 --exclude .image /var/lib/nsplay").ok();
    size.out.split_whitespace().next().unwrap().parse().unwrap()
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Weight {
    /// Memory in KiB.
    resident: u64,
    threads: usize,
    descriptors: usize,
}

fn weight(host: &Host, pid: u32) -> Weight {
    let status = fs::read_to_string(host.at(&format!("/proc/{pid}/status"))).unwrap();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let descriptors = fs::read_dir(host.at(&format!("/proc/{pid}/fd"))).unwrap();
    Weight {
        resident: of("VmRSS:"),
        threads: of("Threads:").try_into().unwrap(),
        descriptors: descriptors.count(),
    }
}

#[test]
#[ignore = "takes minutes: scripts/soak"]
fn labs_that_come_and_go_leave_not_a_namespace_nor_a_byte() {
    let host = Host::new();
    let before = host.inventory();
    let mut first = None;
    for round in 1..=rounds() {
        host.nsplay(&["up", "-d"]).ok();
        host.nsplay(&["down"]).ok();
        assert_eq!(host.inventory(), before, "after {round} labs");
        // The kernel removes namespaces late; the first labs also fill caches.
        if round == 3 {
            thread::sleep(Duration::from_secs(2));
            first = Some((namespaces(), kept(&host)));
            tell(&format!("after 3 labs: {first:?} (namespaces, bytes)"));
        }
    }
    let (namespaces_then, kept_then) = first.expect("three rounds at least");
    host.until("no namespace is left", || namespaces() <= namespaces_then);
    let last = (namespaces(), kept(&host));
    tell(&format!("after {} labs: {last:?}", rounds()));
    // Lines of the last lab's log differ by some digits.
    assert!(kept(&host) < kept_then + 4096);
}

#[test]
#[ignore = "takes minutes: scripts/soak"]
fn a_lab_that_changes_again_and_again_does_not_grow() {
    let one = "ssh = false\n[node.node1]\npower = \"off\"\n";
    let two = format!(
        "{one}[node.node2]\npower = \"off\"\n\
         [service.echo]\ncommand = [\"busybox\", \"nc\", \"-ll\", \"-p\", \"7\", \"-e\", \"busybox\", \"cat\"]\n\
         ready = \"tcp:7\"\n"
    );
    let host = Host::new();
    host.write("nsplay.toml", one);
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    let mut first = None;
    for round in 1..=rounds() {
        for lab in [&two, one] {
            host.write("nsplay.toml", lab);
            host.nsplay(&["up"]).ok();
        }
        // What the allocator keeps it has by then.
        if round == 20 {
            first = Some(weight(&host, supervisor));
        }
    }
    let first = first.expect("twenty rounds at least");
    let last = weight(&host, supervisor);
    let rounds = rounds();
    tell(&format!(
        "after 20 and {rounds} changes: {first:?}, {last:?}"
    ));
    assert!(last.threads <= first.threads);
    assert!(last.descriptors <= first.descriptors);
    // The log that `logs` and `ps` are told from is kept in memory, up to a limit.
    assert!(last.resident < first.resident + 8 * 1024);
}

/// What is flooded: all that a lab publishes, and one node that nothing is sent to.
const LAB: &str = r#"
[web]
publish = "127.0.0.1:8080"
[node.node1]
boot = ["disk"]
[node.node2]
power = "off"
mac = "02:00:00:00:00:02"
vnc = "127.0.0.1:5902"
bmc = { publish = "127.0.0.1:6230" }
[service.echo]
command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
publish = "127.0.0.1:7007:7/tcp"
ready = "tcp:7"
"#;

/// A client's wish for a session (IPMI 2.0, section 13.17).
const OPEN_SESSION: &[u8] = include_bytes!(
    "../__fuzz__/a_packet_of_the_network_is_answered_or_passed_on/corpus/open-session"
);

/// The programs whose memory is looked at.
const PROGRAMS: [&str; 6] = [
    "nsplay supervise",
    "/usr/sbin/dnsmasq",
    "/usr/sbin/lighttpd",
    "[listener]",
    "ipmi_sim",
    "qemu-system",
];

/// The memory of each, in KiB; of all of a name together.
fn memory(host: &Host) -> BTreeMap<&'static str, u64> {
    let all = host.shell("ps -eo rss=,args=").ok().out;
    let of = |name: &&'static str| {
        let lines = all.lines().filter(|line| line.contains(name));
        let each = lines.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        (*name, each.sum())
    };
    PROGRAMS.iter().map(of).collect()
}

/// One way to bother a lab: what it is called, from the network of the host or of the supervisor,
/// and what is sent each time.
struct Flood {
    what: &'static str,
    inside: bool,
    send: fn(u32, &mut TestRng) -> io::Result<()>,
}

/// Each is a client of its own each time, from which nothing more comes.
const FLOODS: [Flood; 6] = [
    Flood {
        what: "BMC",
        inside: false,
        send: |nth, dice| {
            let client = UdpSocket::bind("127.0.0.1:0")?;
            let packet = match nth % 3 {
                0 => PING.to_vec(),
                1 => OPEN_SESSION.to_vec(),
                _ => spoilt(OPEN_SESSION, dice),
            };
            client.send_to(&packet, "127.0.0.1:623").map(drop)
        },
    },
    Flood {
        what: "DHCP",
        inside: true,
        send: |nth, dice| {
            let client = UdpSocket::bind("192.168.25.1:0")?;
            let [a, b, c, d] = nth.to_be_bytes();
            let discover = dhcp(1, [2, 1, a, b, c, d], [0; 4]);
            client.send_to(&discover, malformed::DHCP)?;
            let spoilt = spoilt(&discover, dice);
            client.send_to(&spoilt, malformed::DHCP).map(drop)
        },
    },
    Flood {
        what: "TFTP",
        inside: true,
        send: |_, dice| {
            let client = UdpSocket::bind("192.168.25.1:0")?;
            let request = read_request("file");
            client.send_to(&request, malformed::TFTP)?;
            let spoilt = spoilt(&request, dice);
            client.send_to(&spoilt, malformed::TFTP).map(drop)
        },
    },
    Flood {
        what: "HTTP",
        inside: false,
        send: |nth, dice| {
            let get = b"GET /boot.ipxe HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n";
            match nth % 3 {
                0 => visit(8080, get, true),
                1 => visit(8080, &get[..20], false),
                _ => visit(8080, &spoilt(get, dice), false),
            }
        },
    },
    Flood {
        what: "VNC",
        inside: false,
        send: |_, dice| shows(&spoilt(VIEWER, dice)).map(drop),
    },
    Flood {
        what: "SSH",
        inside: false,
        send: |_, dice| visit(2222, &dice.next_u64().to_be_bytes(), false),
    },
];

/// Bothers `host` until `end`; tells how often.
fn flood(host: &Host, supervisor: u32, end: Instant, flood: &Flood) -> u32 {
    let pid = if flood.inside { supervisor } else { 1 };
    host.in_network_of(pid, || {
        let mut dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut sent = 0;
        while Instant::now() < end {
            // One that is refused is as good as one that was sent.
            let _ = (flood.send)(sent, &mut dice);
            sent += 1;
            thread::sleep(Duration::from_micros(500));
        }
        Ok(sent)
    })
}

/// Sends a request over TCP and reads what comes, or leaves it there and hangs up.
fn visit(port: u16, words: &[u8], reads: bool) -> io::Result<()> {
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    client.write_all(words)?;
    if reads {
        client.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Whom nothing is sent to answers as ever.
#[track_caller]
fn others_are_unharmed(host: &Host) {
    let node2 = [
        "-H",
        "127.0.0.1",
        "-p",
        "6230",
        "-U",
        "admin",
        "-P",
        "admin",
    ];
    // Both cores have enough to do without it: one that is too busy says so (0xc3), and is asked
    // again.
    let status = [&node2[..], &["-N", "2", "-R", "10", "power", "status"]].concat();
    host.until("node2's BMC answers", || {
        host.run("ipmitool", &status).out == "Chassis Power is off\n"
    });
    let echo = "exec 3<>/dev/tcp/127.0.0.1/7007; echo hello >&3; head -n 1 <&3";
    assert_eq!(host.run("bash", &["-c", echo]).ok().out, "hello\n");
    host.nsplay(&["ps"]).ok();
}

/// All that was flooded answers; a server that is still busy with the flood may take its time.
#[track_caller]
fn everything_answers(host: &Host, supervisor: u32) {
    host.until("a file comes over TFTP", || {
        let get = ["exec", "fabric", "--", "curl", "-s", "-m", "5"];
        let get = [&get[..], &["tftp://192.168.25.2/file"]].concat();
        host.nsplay(&get).out == "yes\n"
    });
    malformed::serve(host, supervisor);
    host.shell("curl -sf -m 20 http://127.0.0.1:8080/boot.ipxe | grep -q '#!ipxe'")
        .ok();
    for interface in ["lan", "lanplus"] {
        let status = host.ipmitool(&["-I", interface, "power", "status"]).ok();
        assert_eq!(status.out, "Chassis Power is on\n");
    }
    host.nsplay(&["exec", "ssh", "--", "true"]).ok();
    let ssh = host.run("bash", &["-c", "head -c 4 < /dev/tcp/127.0.0.1/2222"]);
    assert_eq!(ssh.ok().out, "SSH-");
    host.nsplay(&["power", "node2", "on"]).ok();
    host.nsplay(&["wait", "node2", "--for", "userland", "--timeout", "120"])
        .ok();
    host.nsplay(&["power", "node2", "off"]).ok();
}

#[test]
#[ignore = "takes ten minutes: scripts/soak"]
fn a_flood_on_all_that_a_lab_offers_costs_no_memory_and_harms_nobody_else() {
    let host = Host::new();
    host.write("tftproot/file", "yes\n");
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    // VNC answers when its QEMU has started.
    host.process("qemu-system");
    everything_answers(&host, supervisor);
    let pids: Vec<u32> = PROGRAMS
        .iter()
        .flat_map(|name| host.processes(name))
        .collect();
    let end = Instant::now() + Duration::from_secs(number("NSPLAY_SOAK_SECONDS", 600));
    let mut samples: Vec<BTreeMap<&str, u64>> = Vec::new();
    let sent = thread::scope(|scope| {
        let host = &host;
        let floods = FLOODS.each_ref().map(|one| {
            let sent = scope.spawn(move || flood(host, supervisor, end, one));
            (one.what, sent)
        });
        while Instant::now() < end {
            others_are_unharmed(host);
            samples.push(memory(host));
            thread::sleep(Duration::from_secs(2));
        }
        floods.map(|(what, sent)| (what, sent.join().unwrap()))
    });
    tell(&format!("sent: {sent:?}"));
    everything_answers(&host, supervisor);
    for name in PROGRAMS {
        // Caches fill in the first third.
        let third = samples.len() / 3;
        let most = |part: &[BTreeMap<&str, u64>]| part.iter().map(|all| all[name]).max().unwrap();
        let (middle, last) = (
            most(&samples[third..2 * third]),
            most(&samples[2 * third..]),
        );
        tell(&format!("{name}: {middle} KiB, then {last} KiB"));
        assert!(last < middle + middle / 10 + 4096, "{name} grows");
    }
    for pid in pids {
        let is_there = host.at(&format!("/proc/{pid}/status")).exists();
        assert!(is_there, "{pid} has ended");
    }
}
