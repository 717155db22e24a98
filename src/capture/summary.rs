//! One line for each packet: who talks to whom, and what of the protocols that boot a server.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use etherparse::{ArpOperation, LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};

use super::{bootp, ipmi};
use crate::kernel::packet::Frame;

/// TFTP transfers that are remembered: each goes on between ports that only its request tells.
const TRANSFERS: usize = 64;

/// Shows packets; it remembers when the first came, and which transfers there are.
#[derive(Debug, Default)]
pub struct Summary {
    began: Option<Duration>,
    /// Clients of TFTP, and the ports that they asked from.
    transfers: VecDeque<(IpAddr, u16)>,
}

impl Summary {
    /// A line for a packet that passed `link`.
    pub fn line(&mut self, link: &str, width: usize, frame: &Frame) -> String {
        let began = *self.began.get_or_insert(frame.at);
        // A packet of another link may have come a little earlier, and be taken later.
        let after = frame.at.saturating_sub(began).as_secs_f64();
        let words = self.text(frame);
        format!("{after:>11.6} {link:<width$} {words}\n")
    }

    /// What a packet is.
    pub fn text(&mut self, frame: &Frame) -> String {
        let words = self.words(frame.bytes);
        words.unwrap_or_else(|| format!("{} bytes", frame.length))
    }

    fn words(&mut self, bytes: &[u8]) -> Option<String> {
        let packet = LaxSlicedPacket::from_ethernet(bytes).ok()?;
        let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else {
            return None;
        };
        let (from, to): (IpAddr, IpAddr) = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(LaxNetSlice::Ipv6(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(LaxNetSlice::Arp(arp)) => {
                return arp_words(
                    arp.operation(),
                    arp.sender_hw_addr(),
                    arp.sender_protocol_addr(),
                    arp.target_protocol_addr(),
                );
            }
            None => {
                let (from, to) = (mac(&ethernet.source()), mac(&ethernet.destination()));
                let kind = ethernet.ether_type().0;
                return Some(format!("{from} > {to}  type {kind:#06x}"));
            }
        };
        Some(match &packet.transport {
            Some(TransportSlice::Udp(udp)) => {
                let ports = (udp.source_port(), udp.destination_port());
                self.udp((from, ports.0), (to, ports.1), udp.payload())
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let (source, destination) = (tcp.source_port(), tcp.destination_port());
                let flags = [
                    (tcp.syn(), "SYN"),
                    (tcp.fin(), "FIN"),
                    (tcp.rst(), "RST"),
                    (tcp.ack(), "ACK"),
                ];
                let flags: Vec<&str> = flags
                    .iter()
                    .filter_map(|(on, f)| on.then_some(*f))
                    .collect();
                let words = http(tcp.payload()).unwrap_or_else(|| {
                    format!("TCP {}, {} bytes", flags.join(" "), tcp.payload().len())
                });
                format!("{from}:{source} > {to}:{destination}  {words}")
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                format!(
                    "{from} > {to}  {}",
                    icmp_words(icmp.type_u8(), icmp.code_u8())
                )
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                format!("{from} > {to}  {}", icmp6_words(icmp.type_u8()))
            }
            Some(TransportSlice::Igmp(_)) => format!("{from} > {to}  IGMP"),
            None => {
                let number = match &packet.net {
                    Some(LaxNetSlice::Ipv4(ip)) => ip.payload_ip_number().0,
                    Some(LaxNetSlice::Ipv6(ip)) => ip.payload().ip_number.0,
                    Some(LaxNetSlice::Arp(_)) | None => 0,
                };
                format!("{from} > {to}  IP protocol {number}")
            }
        })
    }

    fn udp(&mut self, from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> String {
        let either = |port| from.1 == port || to.1 == port;
        let known = if either(67) || either(68) {
            bootp::words(payload)
        } else if either(623) {
            ipmi::words(payload)
        } else if either(53) {
            dns(payload)
        } else if either(546) || either(547) {
            Some("DHCPv6".to_owned())
        } else {
            self.tftp(from, to, payload)
        };
        let words = known.unwrap_or_else(|| format!("UDP, {} bytes", payload.len()));
        format!("{}:{} > {}:{}  {words}", from.0, from.1, to.0, to.1)
    }

    /// RFC 1350, section 5, and RFC 2347.
    fn tftp(&mut self, from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Option<String> {
        if to.1 == 69 {
            if self.transfers.len() == TRANSFERS {
                self.transfers.pop_front();
            }
            self.transfers.push_back(from);
        } else if !self.transfers.contains(&from) && !self.transfers.contains(&to) {
            return None;
        }
        let [0, code, rest @ ..] = payload else {
            return None;
        };
        let number = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
        Some(match code {
            1 => format!("TFTP read {}", text(rest)),
            2 => format!("TFTP write {}", text(rest)),
            3 => format!("TFTP block {}, {} bytes", number(rest)?, rest.len() - 2),
            4 => format!("TFTP ack {}", number(rest)?),
            5 => format!("TFTP error {}: {}", number(rest)?, text(&rest[2..])),
            6 => "TFTP options acknowledged".to_owned(),
            _ => return None,
        })
    }
}

fn arp_words(operation: ArpOperation, sender: &[u8], from: &[u8], about: &[u8]) -> Option<String> {
    let address = |bytes: &[u8]| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?));
    let (from, about, sender) = (address(from)?, address(about)?, mac(sender));
    Some(match operation {
        ArpOperation::REPLY => format!("{sender}  ARP {from} is at {sender}"),
        ArpOperation::REQUEST if from == about => format!("{sender}  ARP announces {from}"),
        ArpOperation::REQUEST => format!("{sender}  ARP who has {about}, tell {from}"),
        other => format!("{sender}  ARP operation {}", other.0),
    })
}

/// The first line of a request or an answer (RFC 9112, section 2.1).
fn http(payload: &[u8]) -> Option<String> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    let end = payload.iter().position(|byte| *byte == b'\r')?;
    let line = text(payload.get(..end.min(200))?);
    let (first, rest) = line.split_once(' ')?;
    if METHODS.contains(&first) {
        let path = rest.rsplit_once(' ').map_or(rest, |(path, _)| path);
        return Some(format!("HTTP {first} {path}"));
    }
    first.starts_with("HTTP/1.").then(|| format!("HTTP {rest}"))
}

/// The name that a question is about (RFC 1035, section 4.1).
fn dns(message: &[u8]) -> Option<String> {
    let answer = message.get(2)? & 0x80 != 0;
    let mut rest = message.get(12..)?;
    let mut name = String::new();
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        if !name.is_empty() {
            name.push('.');
        }
        let _ = write!(name, "{}", text(label));
        rest = after;
    }
    let code = message.get(3)? & 0x0f;
    Some(match (answer, code) {
        (false, _) => format!("DNS who is {name}"),
        (true, 0) => format!("DNS answer about {name}"),
        (true, code) => format!("DNS answer about {name}: code {code}"),
    })
}

/// RFC 792.
fn icmp_words(kind: u8, code: u8) -> String {
    match (kind, code) {
        (0, _) => "ICMP pong".to_owned(),
        (8, _) => "ICMP ping".to_owned(),
        (3, 0) => "ICMP network unreachable".to_owned(),
        (3, 1) => "ICMP host unreachable".to_owned(),
        (3, 3) => "ICMP port unreachable".to_owned(),
        (3, _) => format!("ICMP unreachable, code {code}"),
        (11, _) => "ICMP time exceeded".to_owned(),
        _ => format!("ICMP type {kind}"),
    }
}

/// RFC 4443 and RFC 4861.
fn icmp6_words(kind: u8) -> String {
    match kind {
        128 => "ICMPv6 ping".to_owned(),
        129 => "ICMPv6 pong".to_owned(),
        133 => "ICMPv6 router solicitation".to_owned(),
        134 => "ICMPv6 router advertisement".to_owned(),
        135 => "ICMPv6 neighbour solicitation".to_owned(),
        136 => "ICMPv6 neighbour advertisement".to_owned(),
        143 => "ICMPv6 multicast listener report".to_owned(),
        _ => format!("ICMPv6 type {kind}"),
    }
}

fn mac(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// What is printable of a text up to its first zero.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let printable = bytes.iter().filter(|byte| (b' '..=b'~').contains(byte));
    printable.map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(from, to);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    fn tcp(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(40000, 80, 1, 1000);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    #[test]
    fn a_transfer_is_followed_to_the_ports_that_it_moves_to() {
        let mut summary = Summary::default();
        let said = |summary: &mut Summary, packet: &[u8]| summary.words(packet).unwrap();
        let asked = udp(2070, 69, b"\0\x01undionly.kpxe\0octet\0");
        assert!(said(&mut summary, &asked).ends_with("TFTP read undionly.kpxe"));
        let block = udp(40001, 2070, b"\0\x03\0\x01abcd");
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
            .udp(40001, 2070);
        let mut back = Vec::new();
        builder.write(&mut back, b"\0\x03\0\x01abcd").unwrap();
        assert!(said(&mut summary, &back).ends_with("TFTP block 1, 4 bytes"));
        // The same port of another host is another's.
        assert!(said(&mut summary, &block).ends_with("UDP, 8 bytes"));
    }

    #[test]
    fn protocols_that_boot_a_server_are_named() {
        let mut summary = Summary::default();
        for (packet, words) in [
            (
                tcp(b"GET /boot.ipxe HTTP/1.1\r\nHost: web\r\n"),
                "HTTP GET /boot.ipxe",
            ),
            (tcp(b"HTTP/1.1 404 Not Found\r\n"), "HTTP 404 Not Found"),
            (
                udp(1024, 623, &[6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0]),
                "RMCP ping",
            ),
            (
                udp(
                    1024,
                    623,
                    b"\x06\0\xff\x07\0\0\0\0\0\0\0\0\0\x09\x20\x18\xc8\x81\0\x38\x8e\x04\xb5",
                ),
                "RMCP IPMI Get Channel Authentication Capabilities",
            ),
            (
                udp(
                    1024,
                    53,
                    b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03web\x03lab\0\0\x01\0\x01",
                ),
                "DNS who is web.lab",
            ),
        ] {
            let said = summary.words(&packet).unwrap();
            assert!(said.ends_with(words), "{said}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_packet_gets_a_line(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            port in prop::sample::select(vec![53_u16, 67, 68, 69, 623, 547, 4000]),
        ) {
            let mut summary = Summary::default();
            for packet in [&bytes, &udp(port, port, &bytes), &tcp(&bytes)] {
                let frame = Frame { at: Duration::ZERO, bytes: packet, length: packet.len() };
                let line = summary.line("lab0", 8, &frame);
                prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            }
        }
    }
}
