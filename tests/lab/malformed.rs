//! What is almost DHCP, TFTP or VNC: who serves it goes on, and answers what is well formed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::host::Host;

pub const DHCP: &str = "192.168.25.2:67";
pub const TFTP: &str = "192.168.25.2:69";

/// QEMU shows its firmware, and no guest.
const LAB: &str = "ssh = false\n[node.node1]\nboot = [\"disk\"]\n";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message of a client (RFC 2131, figure 1), whose answer goes to a relay agent at `relay`.
pub fn dhcp(kind: u8, mac: [u8; 6], relay: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0; 236];
    packet[..8].copy_from_slice(b"\x01\x01\x06\0test");
    packet[24..28].copy_from_slice(&relay);
    packet[28..34].copy_from_slice(&mac);
    packet.extend([99, 130, 83, 99, 53, 1, kind, 61, 7, 1]);
    packet.extend(mac);
    // What PXE firmware says of itself (RFC 4578, section 2).
    packet.extend(*b"\x3c\x20PXEClient:Arch:00000:UNDI:002001\x5d\x02\0\0\x5e\x03\x01\x02\x01");
    packet.extend(*b"\x37\x07\x01\x03\x06\x0c\x0f\x42\x43\xff");
    packet
}

/// A request for a file (RFC 1350, section 5, and RFC 2347).
pub fn read_request(file: &str) -> Vec<u8> {
    format!("\0\x01{file}\0octet\0blksize\01468\0tsize\00\0").into_bytes()
}

/// What a client of RFB 3.8 says until it has asked for the screen (RFC 6143, section 7).
pub const VIEWER: &[u8] = b"RFB 003.008\n\x01\x01\
    \x02\0\0\x01\0\0\0\0\
    \x03\0\0\0\0\0\0\x08\0\x08";

/// The same with bytes that are others, missing, too many, or there twice.
pub fn spoilt(good: &[u8], dice: &mut TestRng) -> Vec<u8> {
    let mut packet = good.to_vec();
    for _ in 0..=dice.next_u32() % 4 {
        let at = dice.next_u32() as usize % packet.len().max(1);
        let byte = match dice.next_u32() % 3 {
            0 => 0,
            1 => 0xff,
            _ => dice.next_u32() as u8,
        };
        match dice.next_u32() % 5 {
            0 => packet.truncate(at),
            1 => packet.splice(at..at, [byte; 40]).for_each(drop),
            2 => packet.extend_from_within(at..),
            _ => packet
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|old| *old = byte),
        }
    }
    packet
}

/// Shows a viewer's words to QEMU, and returns all that it says to it.
pub fn shows(words: &[u8]) -> io::Result<Vec<u8>> {
    let mut viewer = TcpStream::connect("127.0.0.1:5901")?;
    viewer.set_read_timeout(Some(PATIENCE))?;
    let mut said = Vec::new();
    // QEMU may have hung up before the last of it.
    let _ = viewer.write_all(words);
    let _ = viewer.shutdown(Shutdown::Write);
    let _ = viewer.read_to_end(&mut said);
    Ok(said)
}

/// All three answer.
#[track_caller]
pub fn serve(host: &Host, supervisor: u32) {
    let offer = host.in_network_of(supervisor, || {
        let socket = UdpSocket::bind("192.168.25.1:67")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(
            &dhcp(1, [0, 0xaa, 0xbb, 0xcc, 0xdd, 0xee], [192, 168, 25, 1]),
            DHCP,
        )?;
        let mut answer = [0; 1500];
        let length = socket.recv(&mut answer)?;
        Ok(answer[..length].to_vec())
    });
    let is_offer = offer.windows(3).any(|option| option == [53, 1, 2]);
    assert!(is_offer, "{offer:x?}");
    let get = [
        "exec",
        "fabric",
        "--",
        "curl",
        "-s",
        "-m",
        "20",
        "tftp://192.168.25.2/file",
    ];
    assert_eq!(host.nsplay(&get).ok().out, "yes\n");
    // Version, security types, that it is fine, and the size of a screen that has a name.
    let screen = host.in_network_of(1, || {
        let mut viewer = TcpStream::connect("127.0.0.1:5901")?;
        viewer.set_read_timeout(Some(PATIENCE))?;
        viewer.write_all(VIEWER)?;
        let mut said = [0; 12 + 2 + 4 + 24];
        viewer.read_exact(&mut said)?;
        Ok(said)
    });
    assert!(
        screen.starts_with(b"RFB 003.008\n\x01\x01\0\0\0\0"),
        "{screen:x?}"
    );
}

#[test]
fn malformed_packets_to_dnsmasq_and_qemu_do_not_disturb_them() {
    let host = Host::new();
    host.write("tftproot/file", "yes\n");
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let all = [
        "nsplay supervise",
        "/usr/sbin/dnsmasq",
        "qemu-system-x86_64",
    ];
    let pids = all.map(|name| host.process(name));
    serve(&host, pids[0]);
    let mut dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    host.in_network_of(pids[0], || {
        let socket = UdpSocket::bind("192.168.25.1:0")?;
        for round in 0..5000_u32 {
            let mac = [2, 0, 0, 0, (round >> 8) as u8, round as u8];
            // DISCOVER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM and what is none.
            let kind = [1, 3, 4, 5, 6, 7, 8, 99][round as usize % 8];
            socket.send_to(&spoilt(&dhcp(kind, mac, [0; 4]), &mut dice), DHCP)?;
            // A file that is not there: one that is would be sent for two minutes, and only
            // fifty are at a time.
            socket.send_to(&spoilt(&read_request("no-such-file"), &mut dice), TFTP)?;
            // Its socket has room for a hundred or two.
            if round % 50 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    });
    host.in_network_of(1, || {
        for _ in 0..200 {
            shows(&spoilt(VIEWER, &mut dice))?;
        }
        Ok(())
    });
    serve(&host, pids[0]);
    assert_eq!(all.map(|name| host.process(name)), pids);
}
