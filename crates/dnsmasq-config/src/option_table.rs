//! The options that dnsmasq knows by name, and what it lets them hold (`dnsmasq --help dhcp`, 2.90).

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Addresses of the option's family.
    Addresses,
    /// Addresses or domains (option 120, RFC 3361).
    AddressesOrDomains,
    /// Text, commas included.
    Text,
    /// Text pieces, each with its length (RFC 5970).
    Strings,
    /// Domains in DNS format.
    Domains,
    /// Seconds, with a unit if wanted.
    Time,
    /// A number of so many bytes.
    Number(u8),
    /// Whatever the value looks like.
    Any,
}

/// An option with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) kind: Kind,
    /// dnsmasq sets it itself: it can be matched, not configured.
    pub(crate) internal: bool,
}

const fn known(name: &'static str, number: u16, kind: Kind) -> Known {
    Known {
        name,
        number,
        kind,
        internal: false,
    }
}

const fn internal(name: &'static str, number: u16, kind: Kind) -> Known {
    Known {
        name,
        number,
        kind,
        internal: true,
    }
}

/// DHCPv4 (RFC 2132 and later).
pub(crate) const V4: &[Known] = &[
    known("netmask", 1, Kind::Addresses),
    known("time-offset", 2, Kind::Number(4)),
    known("router", 3, Kind::Addresses),
    known("dns-server", 6, Kind::Addresses),
    known("log-server", 7, Kind::Addresses),
    known("lpr-server", 9, Kind::Addresses),
    internal("hostname", 12, Kind::Text),
    known("boot-file-size", 13, Kind::Number(2)),
    known("domain-name", 15, Kind::Text),
    known("swap-server", 16, Kind::Addresses),
    known("root-path", 17, Kind::Text),
    known("extension-path", 18, Kind::Text),
    known("ip-forward-enable", 19, Kind::Number(1)),
    known("non-local-source-routing", 20, Kind::Number(1)),
    known("policy-filter", 21, Kind::Addresses),
    known("max-datagram-reassembly", 22, Kind::Number(2)),
    known("default-ttl", 23, Kind::Number(1)),
    known("mtu", 26, Kind::Number(2)),
    known("all-subnets-local", 27, Kind::Number(1)),
    internal("broadcast", 28, Kind::Addresses),
    known("router-discovery", 31, Kind::Number(1)),
    known("router-solicitation", 32, Kind::Addresses),
    known("static-route", 33, Kind::Addresses),
    known("trailer-encapsulation", 34, Kind::Number(1)),
    known("arp-timeout", 35, Kind::Number(4)),
    known("ethernet-encap", 36, Kind::Number(1)),
    known("tcp-ttl", 37, Kind::Number(1)),
    known("tcp-keepalive", 38, Kind::Number(4)),
    known("nis-domain", 40, Kind::Text),
    known("nis-server", 41, Kind::Addresses),
    known("ntp-server", 42, Kind::Addresses),
    internal("vendor-encap", 43, Kind::Any),
    known("netbios-ns", 44, Kind::Addresses),
    known("netbios-dd", 45, Kind::Addresses),
    known("netbios-nodetype", 46, Kind::Number(1)),
    known("netbios-scope", 47, Kind::Any),
    known("x-windows-fs", 48, Kind::Addresses),
    known("x-windows-dm", 49, Kind::Addresses),
    internal("requested-address", 50, Kind::Addresses),
    internal("lease-time", 51, Kind::Time),
    internal("option-overload", 52, Kind::Any),
    internal("message-type", 53, Kind::Any),
    internal("server-identifier", 54, Kind::Addresses),
    internal("parameter-request", 55, Kind::Any),
    internal("message", 56, Kind::Any),
    internal("max-message-size", 57, Kind::Any),
    known("T1", 58, Kind::Time),
    known("T2", 59, Kind::Time),
    known("vendor-class", 60, Kind::Any),
    internal("client-id", 61, Kind::Any),
    known("nis+-domain", 64, Kind::Text),
    known("nis+-server", 65, Kind::Addresses),
    known("tftp-server", 66, Kind::Text),
    known("bootfile-name", 67, Kind::Text),
    known("mobile-ip-home", 68, Kind::Addresses),
    known("smtp-server", 69, Kind::Addresses),
    known("pop3-server", 70, Kind::Addresses),
    known("nntp-server", 71, Kind::Addresses),
    known("irc-server", 74, Kind::Addresses),
    known("user-class", 77, Kind::Any),
    known("rapid-commit", 80, Kind::Any),
    internal("FQDN", 81, Kind::Any),
    internal("agent-id", 82, Kind::Any),
    known("client-arch", 93, Kind::Number(2)),
    known("client-interface-id", 94, Kind::Any),
    known("client-machine-id", 97, Kind::Any),
    known("posix-timezone", 100, Kind::Text),
    known("tzdb-timezone", 101, Kind::Text),
    known("ipv6-only", 108, Kind::Number(4)),
    internal("subnet-select", 118, Kind::Any),
    known("domain-search", 119, Kind::Domains),
    known("sip-server", 120, Kind::AddressesOrDomains),
    known("classless-static-route", 121, Kind::Any),
    known("vendor-id-encap", 125, Kind::Any),
    known("tftp-server-address", 150, Kind::Addresses),
    known("server-ip-address", 255, Kind::Addresses),
];

/// DHCPv6 (RFC 8415 and others).
pub(crate) const V6: &[Known] = &[
    internal("client-id", 1, Kind::Any),
    internal("server-id", 2, Kind::Any),
    internal("ia-na", 3, Kind::Any),
    internal("ia-ta", 4, Kind::Any),
    internal("iaaddr", 5, Kind::Any),
    internal("oro", 6, Kind::Any),
    internal("preference", 7, Kind::Any),
    internal("unicast", 12, Kind::Any),
    internal("status", 13, Kind::Any),
    internal("rapid-commit", 14, Kind::Any),
    internal("user-class", 15, Kind::Strings),
    internal("vendor-class", 16, Kind::Strings),
    internal("vendor-opts", 17, Kind::Any),
    known("sip-server-domain", 21, Kind::Domains),
    known("sip-server", 22, Kind::Addresses),
    known("dns-server", 23, Kind::Addresses),
    known("domain-search", 24, Kind::Domains),
    known("nis-server", 27, Kind::Addresses),
    known("nis+-server", 28, Kind::Addresses),
    known("nis-domain", 29, Kind::Domains),
    known("nis+-domain", 30, Kind::Domains),
    known("sntp-server", 31, Kind::Addresses),
    known("information-refresh-time", 32, Kind::Time),
    internal("FQDN", 39, Kind::Domains),
    known("posix-timezone", 41, Kind::Text),
    known("tzdb-timezone", 42, Kind::Text),
    known("ntp-server", 56, Kind::Addresses),
    known("bootfile-url", 59, Kind::Text),
    known("bootfile-param", 60, Kind::Strings),
];
