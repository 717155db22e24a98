//! Crowds of clients that flood, stall and send what nobody understands: the lab goes on.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nsplay::event::What;

use crate::host::Host;

/// RMCP's Presence Ping (DSP0136, section 3.2.4.2).
pub const PING: [u8; 12] = [6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0];

/// A node that is off: nothing here needs a guest. Its web server is published.
const LAB: &str = "[web]\npublish = \"127.0.0.1:8080\"\n[node.node1]\npower = \"off\"\n";

/// Brings a lab up where a program has 1024 descriptors unless it asks for more, as on most hosts.
fn up(host: &Host) {
    host.write("nsplay.toml", LAB);
    let up = format!("prlimit --nofile=1024: {} up -d", host.spelled());
    host.shell(&up).ok();
}

/// The supervisor's memory in KiB, and how many descriptors it has.
fn weight(host: &Host) -> (u64, usize) {
    let supervisor = host.process("nsplay supervise");
    let status = fs::read_to_string(host.at(&format!("/proc/{supervisor}/status"))).unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS"));
    let resident = resident.unwrap().split_whitespace().nth(1).unwrap();
    let descriptors = fs::read_dir(host.at(&format!("/proc/{supervisor}/fd"))).unwrap();
    (resident.parse().unwrap(), descriptors.count())
}

/// The lab starts programs, and answers on its published ports.
#[track_caller]
fn works(host: &Host) {
    host.ipmitool(&["power", "on"]).ok();
    host.until("the node is on", || {
        host.processes("qemu-system-x86_64").len() == 1
    });
    host.ipmitool(&["power", "off"]).ok();
    host.until("the node is off", || {
        host.processes("qemu-system-x86_64").is_empty()
    });
    host.shell("curl -sf -m 20 http://127.0.0.1:8080/boot.ipxe | grep -q '#!ipxe'")
        .ok();
    let ssh = host.run("bash", &["-c", "head -c 4 < /dev/tcp/127.0.0.1/2222"]);
    assert_eq!(ssh.ok().out, "SSH-");
}

#[test]
fn a_flood_of_datagrams_from_ever_new_clients_costs_little_and_harms_nobody() {
    let host = Host::new();
    up(&host);
    works(&host);
    let (memory, descriptors) = weight(&host);
    host.in_network_of(1, || {
        for client in 1..=20_000 {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.send_to(&PING, "127.0.0.1:623")?;
            // The relay has time for all of them, or its socket would lose most.
            if client % 100 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    });
    let (after, now) = weight(&host);
    // A socket for each of 512 clients in the relay, and in the front of the BMC.
    assert!(now > descriptors + 512, "too few came to tell: {now}");
    assert!(now <= descriptors + 1024 + 16, "{descriptors}, then {now}");
    assert!(after < memory + 32 * 1024, "{memory} KiB, then {after} KiB");
    works(&host);
}

#[test]
fn clients_that_never_finish_their_requests_keep_nobody_waiting() {
    let host = Host::new();
    up(&host);
    works(&host);
    let stalled = host.in_network_of(1, || {
        let stall = |port| {
            let mut client = TcpStream::connect(("127.0.0.1", port))?;
            client.write_all(b"GET /boot.ipxe HTTP/1.1\r\nHost: w")?;
            Ok(client)
        };
        let ports = [8080, 8080, 8080, 2222, 5901];
        let clients = ports.iter().cycle().take(600).map(|port| stall(*port));
        clients.collect::<io::Result<Vec<TcpStream>>>()
    });
    // The web server and sshd serve a number of clients at a time; the lab itself goes on.
    host.nsplay(&["ps"]).ok();
    host.ipmitool(&["power", "on"]).ok();
    host.until("the node is on", || {
        host.processes("qemu-system-x86_64").len() == 1
    });
    host.ipmitool(&["power", "off"]).ok();
    let (memory, _) = weight(&host);
    assert!(memory < 128 * 1024, "{memory} KiB");
    drop(stalled);
    host.until("the node is off", || {
        host.processes("qemu-system-x86_64").is_empty()
    });
    works(&host);
}

#[test]
fn whoever_sends_the_supervisor_what_it_does_not_understand_is_refused() {
    // The test itself is who sends, as root.
    let host = Host::of_root();
    up(&host);
    let control = host.at("/run/nsplay/default/control.sock");
    let (memory, descriptors) = weight(&host);
    let mut idle = Vec::new();
    for words in [
        &b"\n"[..],
        b"{}\n",
        b"{\"Nothing\":{}}\n",
        b"\xff\xfe\0\n",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        &[b'['; 1 << 20],
    ] {
        for _ in 0..50 {
            let mut client = UnixStream::connect(&control).unwrap();
            // Whoever sends too much is hung up on before the end.
            let _ = client.write_all(words);
            let _ = client.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            if client.read_to_end(&mut answer).is_ok() {
                let answer = String::from_utf8_lossy(&answer);
                let is_refusal = answer.is_empty() || answer.contains("cannot read the request");
                assert!(is_refusal, "{answer}");
            }
        }
        // One says nothing, and stays.
        idle.push(UnixStream::connect(&control).unwrap());
    }
    host.nsplay(&["ps"]).ok();
    drop(idle);
    host.until("nobody is left", || weight(&host).1 <= descriptors);
    assert!(weight(&host).0 < memory + 16 * 1024);
    works(&host);
}

#[test]
fn what_is_no_file_and_what_lies_elsewhere_is_not_served() {
    let host = Host::new();
    host.write("elsewhere/secret", "not for you");
    host.shell(
        "mkdir -p webroot tftproot
         for root in webroot tftproot; do
             echo '#!ipxe' >$root/boot.ipxe
             mkfifo $root/fifo
             mknod $root/zero c 1 5
             ln -s /etc/shadow $root/shadow
             ln -s /run/nsplay/default/control.sock $root/socket
             ln -s loop $root/loop
             mkdir $root/folder
             mkfifo $root/folder/fifo
         done",
    )
    .ok();
    // With IPv6, dnsmasq's alarm for the next router advertisement would end its wait for a writer.
    let lab = format!("{LAB}[network]\nipv6 = false\n");
    host.write("nsplay.toml", &lab);
    host.nsplay(&["up", "-d"]).ok();
    let exec = |command: &[&str]| host.nsplay(&[&["exec", "fabric", "--"], command].concat());
    let curl = ["curl", "-s", "--path-as-is", "-m", "3", "-o", "got"];
    for path in [
        "fifo",
        "zero",
        "shadow",
        "socket",
        "loop",
        "..%2felsewhere/secret",
        "%2e%2e%2felsewhere%2fsecret",
        "%252e%252e/elsewhere/secret",
        "..%c0%afelsewhere/secret",
        "folder/..%5c..%5celsewhere/secret",
        "boot.ipxe%00",
        // dnsmasq waits for somebody who writes to it.
        "folder/fifo",
    ] {
        // In a user's lab it is the lab's own, has no password, and belongs to that user.
        if path == "shadow" && !host.is_root() {
            continue;
        }
        for server in ["http://192.168.25.3", "tftp://192.168.25.2"] {
            let _ = fs::remove_file(host.folder().join("got"));
            let url = format!("{server}/{path}");
            let got = exec(&[&curl[..], &["-f", &url]].concat());
            assert_ne!(got.code, 0, "{url} is served");
            let written = fs::read(host.folder().join("got")).unwrap_or_default();
            assert_eq!(written, b"", "{url}");
        }
    }
    // Others are served all the while, or as soon as a server that hung has been started again.
    for server in ["http://192.168.25.3", "tftp://192.168.25.2"] {
        let url = format!("{server}/boot.ipxe");
        host.until("files are served", || {
            exec(&["curl", "-sf", "-m", "5", &url]).out == "#!ipxe\n"
        });
    }
    let hung = host.events("default").into_iter().find(|event| {
        matches!(&event.what, What::Exited { what, how, .. }
            if what == "dnsmasq" && how.starts_with("answered no more"))
    });
    assert!(hung.is_some(), "dnsmasq did not wait for the pipe");
}
