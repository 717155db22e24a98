//! Sockets of the host: which of them can be bound at a time.

use std::net::{IpAddr, SocketAddr};

/// Whether both cannot be bound at a time.
///
/// Linux binds `[::]` for IPv4 as well, unless `net.ipv6.bindv6only` is set.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let (x, y) = (a.ip().to_canonical(), b.ip().to_canonical());
    let covers =
        |wild: IpAddr, other: IpAddr| wild.is_unspecified() && (wild.is_ipv6() || other.is_ipv4());
    a.port() == b.port() && (x == y || covers(x, y) || covers(y, x))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_wildcard_stands_in_the_way_of_every_address_that_it_covers() {
        let overlap = |a: &str, b: &str| super::overlap(a.parse().unwrap(), b.parse().unwrap());
        assert!(overlap("127.0.0.1:623", "0.0.0.0:623"));
        assert!(overlap("[::]:623", "127.0.0.1:623"));
        assert!(overlap("[::ffff:127.0.0.1]:623", "127.0.0.1:623"));
        assert!(!overlap("127.0.0.1:623", "127.0.0.2:623"));
        assert!(!overlap("0.0.0.0:623", "[::1]:623"));
        assert!(!overlap("127.0.0.1:623", "0.0.0.0:624"));
    }
}
