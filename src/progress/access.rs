//! Log lines of servers: who asked for what, and whether it was there.

use std::net::Ipv4Addr;

/// A request over HTTP, as far as one line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Http<'l> {
    /// All of it.
    Whole {
        /// Who asked.
        client: Ipv4Addr,
        /// What for.
        path: &'l str,
        /// What the server answered (RFC 9110, section 15).
        status: u16,
    },
    /// The first half of it, from busybox, which says the status on a line of its own.
    Asked {
        /// Who asked, with the port.
        from: &'l str,
        /// What for.
        path: &'l str,
    },
    /// The second half.
    Answered {
        /// Who asked, with the port.
        from: &'l str,
        /// Who asked.
        client: Ipv4Addr,
        /// What the server answered.
        status: u16,
    },
}

/// Reads an access line of the lab's web server, or of another in the common log format.
#[must_use]
pub fn http(line: &str) -> Option<Http<'_>> {
    busybox(line)
        .or_else(|| ours(line))
        .or_else(|| common(line))
}

/// `GET /boot.ipxe 200 1234 192.168.25.150`; the path may hold blanks.
fn ours(line: &str) -> Option<Http<'_>> {
    let (method, rest) = line.split_once(' ')?;
    if !is_method(method) {
        return None;
    }
    let mut fields = rest.rsplitn(4, ' ');
    let (client, _bytes, status) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Http::Whole {
        client: client.parse().ok()?,
        path: fields.next()?,
        status: status.parse().ok()?,
    })
}

/// `192.168.25.150:50416: url:/boot.ipxe`, then `192.168.25.150:50416: response:200`.
fn busybox(line: &str) -> Option<Http<'_>> {
    let (from, rest) = line.split_once(": ")?;
    let client = from.split_once(':')?.0.parse().ok()?;
    if let Some(path) = rest.strip_prefix("url:") {
        return Some(Http::Asked { from, path });
    }
    let status = rest.strip_prefix("response:")?.parse().ok()?;
    Some(Http::Answered {
        from,
        client,
        status,
    })
}

/// `192.168.25.150 - - [10/Oct/2000:13:55:36 -0700] "GET /boot.ipxe HTTP/1.0" 200 2326`
fn common(line: &str) -> Option<Http<'_>> {
    let client = line.split(' ').next()?.parse().ok()?;
    let (_, request) = line.split_once("] \"")?;
    let (request, rest) = request.split_once("\" ")?;
    let mut words = request.split(' ');
    if !is_method(words.next()?) {
        return None;
    }
    Some(Http::Whole {
        client,
        path: words.next()?,
        status: rest.split(' ').next()?.parse().ok()?,
    })
}

fn is_method(word: &str) -> bool {
    matches!(word, "GET" | "HEAD" | "POST" | "PUT")
}

/// What dnsmasq says of a client that wants an address or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dnsmasq<'l> {
    /// It asks; with what is wrong where something is: `no address available`.
    Discover {
        /// What is wrong.
        trouble: Option<&'l str>,
    },
    /// It is offered an address.
    Offer(Ipv4Addr),
    /// It takes the offer.
    Request(Ipv4Addr),
    /// It has the address.
    Ack(Ipv4Addr),
    /// It must not have the address: why.
    Nak(&'l str),
}

/// Reads what a line says of the client with the MAC address `mac`.
///
/// `DHCPOFFER(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee node1`
#[must_use]
pub fn dhcp<'l>(line: &'l str, mac: &str) -> Option<Dnsmasq<'l>> {
    let (_, said) = line.split_once("DHCP")?;
    let (verb, rest) = said.split_once('(')?;
    let (_, rest) = rest.split_once(") ")?;
    let (before, after) = rest.split_once(mac)?;
    let address = || before.trim().parse().ok();
    let after = after.trim();
    Some(match verb {
        "DISCOVER" => Dnsmasq::Discover {
            trouble: ["no address available", "ignored", "no address range"]
                .into_iter()
                .find(|text| after.contains(text)),
        },
        "OFFER" => Dnsmasq::Offer(address()?),
        "REQUEST" => Dnsmasq::Request(address()?),
        "ACK" => Dnsmasq::Ack(address()?),
        "NAK" => Dnsmasq::Nak(after),
        _ => return None,
    })
}

/// A request over TFTP: who asked, for what, and whether it was there.
///
/// `sent /run/lab/.served/dhcp/root/undionly.kpxe to 192.168.25.150`,
/// `file /run/lab/.served/dhcp/root/no.such not found for 192.168.25.150`
#[must_use]
pub fn tftp(line: &str) -> Option<(Ipv4Addr, &str, bool)> {
    let line = match line.split_once("]: ") {
        Some((program, text)) if program.starts_with("dnsmasq") => text,
        _ => line,
    };
    let (path, client, found) = match line.strip_prefix("sent ") {
        Some(rest) => {
            let (path, client) = rest.rsplit_once(" to ")?;
            (path, client, true)
        }
        None => {
            let rest = line.strip_prefix("file ")?;
            let (path, client) = rest.rsplit_once(" not found for ")?;
            (path, client, false)
        }
    };
    Some((client.trim().parse().ok()?, path, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 25, 150);

    #[test]
    fn access_lines_of_four_servers_and_of_others_are_read() {
        let whole = |path| {
            Some(Http::Whole {
                client: CLIENT,
                path,
                status: 404,
            })
        };
        assert_eq!(
            http("GET /a b.img 404 12 192.168.25.150"),
            whole("/a b.img")
        );
        assert_eq!(http("HEAD /a 404 - 192.168.25.150"), whole("/a"));
        assert_eq!(
            http("192.168.25.150 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.0\" 404 2326"),
            whole("/a")
        );
        let from = "192.168.25.150:50416";
        assert_eq!(
            http("192.168.25.150:50416: url:/a b"),
            Some(Http::Asked { from, path: "/a b" })
        );
        assert_eq!(
            http("192.168.25.150:50416: response:404"),
            Some(Http::Answered {
                from,
                client: CLIENT,
                status: 404
            })
        );
        for line in ["", "GET", "GET /a", "server started", "a: b: c", "1.2.3.4"] {
            assert_eq!(http(line), None, "{line}");
        }
    }

    #[test]
    fn lines_of_dnsmasq_are_read_for_one_client() {
        let mac = "00:aa:bb:cc:dd:ee";
        let read = |line| dhcp(line, mac);
        let discover = |trouble| Some(Dnsmasq::Discover { trouble });
        assert_eq!(
            read("DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee "),
            discover(None)
        );
        assert_eq!(
            read("DHCPDISCOVER(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee "),
            discover(None)
        );
        assert_eq!(
            read("DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee no address available"),
            discover(Some("no address available"))
        );
        assert_eq!(
            read("DHCPOFFER(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee "),
            Some(Dnsmasq::Offer(CLIENT))
        );
        assert_eq!(
            read("dnsmasq-dhcp[7]: DHCPACK(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee node1"),
            Some(Dnsmasq::Ack(CLIENT))
        );
        assert_eq!(
            read("DHCPNAK(eth0) 10.0.0.1 00:aa:bb:cc:dd:ee wrong network"),
            Some(Dnsmasq::Nak("wrong network"))
        );
        assert_eq!(
            read("DHCPOFFER(eth0) 192.168.25.150 00:aa:bb:cc:dd:ef"),
            None
        );
    }

    #[test]
    fn files_over_tftp_are_read() {
        assert_eq!(
            tftp("sent /run/lab/.served/dhcp/root/undionly.kpxe to 192.168.25.150"),
            Some((CLIENT, "/run/lab/.served/dhcp/root/undionly.kpxe", true))
        );
        assert_eq!(
            tftp("dnsmasq-tftp[3]: file /r/no such not found for 192.168.25.150"),
            Some((CLIENT, "/r/no such", false))
        );
        assert_eq!(tftp("TFTP root is /run/lab/.served/dhcp/root"), None);
    }
}
