//! Services: each file turns its table of the lab into a [`Program`](crate::program::Program).
//!
//! Nothing here is started or written; that is the supervisor's job.

use std::net::SocketAddrV4;

use crate::lab::Mac;

pub mod dnsmasq;
pub mod httpd;
pub mod names;
pub mod own;
pub mod sshd;
pub mod sshd_keys;

/// By what the log lines that the supervisor's own probes cause can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeMarks {
    /// The MAC address that DHCP is asked with.
    pub mac: Mac,
    /// Where the SSH banner is asked from.
    pub ssh: SocketAddrV4,
}

/// A program's log line as people want to read it; none for one that only a probe caused.
#[must_use]
pub fn tidy(what: &str, line: &str, marks: ProbeMarks) -> Option<String> {
    match what {
        "dnsmasq" => dnsmasq::tidy(line, marks.mac),
        "sshd" => sshd::tidy(line, marks.ssh),
        "ipmi_sim" => crate::bmc::ipmi_sim::tidy(line),
        _ => (!httpd::is_probe(line)).then(|| line.to_owned()),
    }
}
