//! Who has a socket (proc_pid_net(5)).

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A process that has a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its PID.
    pub pid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// The process whose socket keeps `address` of `protocol` (`tcp` or `udp`) from being bound.
///
/// None where `/proc` does not say: the process belongs to another user, or is in a container.
#[must_use]
pub fn owner_of(address: SocketAddr, protocol: &str) -> Option<Owner> {
    let inodes: Vec<u64> = [protocol.to_owned(), format!("{protocol}6")]
        .iter()
        .filter_map(|table| fs::read_to_string(Path::new("/proc/net").join(table)).ok())
        .flat_map(|table| inodes(&table, address, protocol))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &inodes))
        .map(|pid| Owner {
            name: fs::read_to_string(format!("/proc/{pid}/comm"))
                .map_or_else(|_| "a process".to_owned(), |name| name.trim().to_owned()),
            pid,
        })
}

/// The inodes of sockets in a table of `/proc/net` that are in the way of `address`.
fn inodes(table: &str, address: SocketAddr, protocol: &str) -> Vec<u64> {
    /// `TCP_LISTEN` of the kernel's include/net/tcp_states.h.
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let (ip, port) = local.split_once(':')?;
        let same_port = u16::from_str_radix(port, 16).ok()? == address.port();
        let listens = protocol == "udp" || state == LISTEN;
        (same_port && listens && overlap(ip, address.ip()))
            .then(|| fields.nth(5)?.parse().ok())
            .flatten()
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// Whether an address as `/proc/net` writes it (in the machine's byte order) is `ip` or a wildcard.
fn overlap(written: &str, ip: IpAddr) -> bool {
    if written.bytes().all(|digit| digit == b'0') {
        return true;
    }
    match ip {
        ip if ip.is_unspecified() => true,
        IpAddr::V4(ip) => u32::from_str_radix(written, 16) == Ok(u32::from_ne_bytes(ip.octets())),
        // An exact IPv6 address is compared by its last word: enough to name the owner.
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            written.ends_with(&format!("{:08X}", u32::from_ne_bytes([a, b, c, d])))
        }
    }
}

fn holds(pid: u32, inodes: &[u64]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|to| {
            inodes
                .iter()
                .any(|inode| to == Path::new(&format!("socket:[{inode}]")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let owner = owner_of(socket.local_addr().unwrap(), "udp").unwrap();
        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn a_wildcard_is_in_the_way_of_every_address() {
        let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let owner = owner_of(SocketAddr::from(([127, 0, 0, 1], port)), "tcp").unwrap();
        assert_eq!(owner.pid, std::process::id());
    }
}
