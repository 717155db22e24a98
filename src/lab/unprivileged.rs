//! Ports that a user may publish: the kernel keeps the low ones for root.

use std::fmt;

use super::Name;

/// A published port that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The member that it leads to.
    pub whose: Name,
    /// The port as the lab file has it.
    pub from: u16,
    /// The port that it is published on.
    pub to: u16,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, from, to } = self;
        write!(
            f,
            "{whose} is published on port {to}, for port {from} is root's here \
             (net.ipv4.ip_unprivileged_port_start)"
        )
    }
}

/// A published port that cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot publish `{}` on port {}, which is root's here, nor on {} in its place, which `{by}` has",
    moved.whose, moved.from, moved.to
)]
pub struct Occupied {
    /// Where it was to go.
    pub moved: Moved,
    /// The member of the lab whose port stands there.
    pub by: Name,
    /// The first port that may be published.
    pub first: u16,
}

impl Occupied {
    /// The way out.
    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "publish one of the two on another port from {} on, or run nsplay with sudo",
            self.first
        )
    }
}

/// The port that stands for `port` where those from `first` on are everybody's: as many zeros are
/// appended as it takes, so 623 becomes 6230 and 80 becomes 8000.
///
/// None when it may stay, or when no zeros help.
#[must_use]
pub fn port(port: u16, first: u16) -> Option<u16> {
    if port >= first || port == 0 {
        return None;
    }
    std::iter::successors(Some(port), |port| port.checked_mul(10)).find(|port| *port >= first)
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn a_low_port_gets_zeros_until_it_is_everybodys() {
        for (low, moved) in [(623, 6230), (80, 8000), (22, 2200), (443, 4430), (1, 10000)] {
            assert_eq!(port(low, 1024), Some(moved), "{low}");
        }
    }

    #[test]
    fn a_port_that_everybody_may_have_stays() {
        assert_eq!(port(1024, 1024), None);
        assert_eq!(port(623, 0), None);
        assert_eq!(port(623, 623), None);
    }

    #[test]
    fn a_port_that_no_zeros_help_stays_and_is_refused_by_the_kernel() {
        assert_eq!(port(7000, 65000), None);
    }
}
