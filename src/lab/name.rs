//! Names: of labs, members and links.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a lab or a member: `^[a-z0-9][a-z0-9-]{0,31}$`.
///
/// A name becomes a directory, a log prefix, a host name (RFC 1123) and a
/// part of a netns name, so it holds nothing that any of these would escape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name: use 1 to 32 lower-case letters, digits and hyphens, a letter or digit first"
)]
pub struct BadName(pub String);

impl Name {
    /// The most bytes that a name holds.
    pub const MOST: usize = 32;

    /// Checks `text` and makes it a name.
    ///
    /// # Errors
    /// [`BadName`] when `text` is anything but 1 to 32 of `a-z`, `0-9` and `-`,
    /// or starts with a hyphen.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty()
            || text.len() > Self::MOST
            || text.starts_with('-')
            || !text.bytes().all(allowed)
        {
            return Err(BadName(text.chars().take(64).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    /// The name of a lab that nobody has named.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// The name of a link, at most 15 bytes.
///
/// The kernel refuses longer ones (`IFNAMSIZ` of `<linux/if.h>` is 16, with
/// the closing NUL).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkName(String);

impl LinkName {
    const MOST: usize = 15;

    /// The link that stands for `member` in the fabric.
    ///
    /// A name that is too long for a link, or that a link of the fabric has
    /// already, keeps its first 8 bytes and gains 6 digits of a hash, so that
    /// two long names with one beginning stay apart: `controller-rack-07`
    /// becomes `controll-5f1c2a`.
    #[must_use]
    pub fn of(member: &Name) -> Self {
        match member.as_str() {
            name @ ("lo" | "lab0") => Self::hashed(name),
            name => Self::short(name),
        }
    }

    /// The bridge of a network beside the main one, `lab0.data`. The dot keeps it apart from
    /// the links of members.
    #[must_use]
    pub fn bridge(network: &Name) -> Self {
        Self::short(&format!("lab0.{network}"))
    }

    /// The link that stands in the fabric for a node's `nth` network card, counted from 0:
    /// `node1`, `node1.1`, …
    #[must_use]
    pub fn of_nic(node: &Name, nth: usize) -> Self {
        match nth {
            0 => Self::of(node),
            nth => Self::short(&format!("{node}.{nth}")),
        }
    }

    /// The end on the host of a lab's link to it, `nsp-LAB`; `what` tells further ones apart.
    #[must_use]
    pub fn on_host(lab: &Name, what: &str) -> Self {
        Self::short(&format!("nsp-{lab}{what}"))
    }

    /// The fabric's end of a link to the host; the dot keeps it apart from the links of members.
    #[must_use]
    pub fn to_host(what: &str) -> Self {
        Self::short(&format!("host.{what}"))
    }

    /// The fabric's link that leads out of the lab.
    #[must_use]
    pub fn out() -> Self {
        Self("nat.0".to_owned())
    }

    /// The loopback, which each network namespace has.
    #[must_use]
    pub fn loopback() -> Self {
        Self("lo".to_owned())
    }

    fn short(name: &str) -> Self {
        match name.len() <= Self::MOST {
            true => Self(name.to_owned()),
            false => Self::hashed(name),
        }
    }

    fn hashed(name: &str) -> Self {
        // FNV-1a: stable between versions and machines, which std's hasher is not.
        let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(format!("{name:.8}-{:06x}", hash & 0x00ff_ffff))
    }

    /// The fabric's bridge: `lab0`.
    #[must_use]
    pub fn fabric() -> Self {
        Self("lab0".to_owned())
    }

    /// The loopback link.
    #[must_use]
    pub fn lo() -> Self {
        Self("lo".to_owned())
    }

    /// A member's link to the fabric: `eth0`.
    #[must_use]
    pub fn eth0() -> Self {
        Self::eth(0)
    }

    /// The link that carries a node's `nth` network card to the fabric: `eth0`, `eth1`, …
    #[must_use]
    pub fn eth(nth: usize) -> Self {
        Self(format!("eth{nth}"))
    }

    /// The bridge in a node's namespace, which the BMC's address is on: `br-bmc`.
    #[must_use]
    pub fn br_bmc() -> Self {
        Self("br-bmc".to_owned())
    }

    /// The bridge that joins a node's `nth` network card with its link: `br-bmc`, `br1`, …
    #[must_use]
    pub fn br(nth: usize) -> Self {
        match nth {
            0 => Self::br_bmc(),
            nth => Self(format!("br{nth}")),
        }
    }

    /// The TAP device of a node's `nth` network card: `tap0`, `tap1`, …
    #[must_use]
    pub fn tap(nth: usize) -> Self {
        Self(format!("tap{nth}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_are_refused() {
        for bad in ["", "-x", "..", "a/b", "a b", "Ä", "A", "a_b", "a\n"] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"a".repeat(300)).is_err());
        assert!(Name::new(&"a".repeat(32)).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn a_name_is_one_exactly_if_it_matches_its_pattern(text in "[a-z0-9-]{0,40}|\\PC{0,300}") {
            let pattern = regex::Regex::new("^[a-z0-9][a-z0-9-]{0,31}$").unwrap();
            proptest::prop_assert_eq!(Name::new(&text).is_ok(), pattern.is_match(&text));
        }

        #[test]
        fn a_link_has_a_name_that_the_kernel_takes(name in "[a-z0-9][a-z0-9-]{0,31}", nth in 0_usize..64) {
            let name = Name::new(&name).unwrap();
            for link in [LinkName::of(&name), LinkName::of_nic(&name, nth), LinkName::bridge(&name)] {
                let text = link.as_str();
                proptest::prop_assert!((1..=15).contains(&text.len()), "{}", text);
                proptest::prop_assert!(!text.contains(['/', ' ', ':']), "{}", text);
            }
            proptest::prop_assert_ne!(LinkName::of_nic(&name, 1), LinkName::of_nic(&name, 2));
        }
    }

    #[test]
    fn two_long_names_with_one_beginning_get_two_links() {
        let link = |name: &str| LinkName::of(&Name::new(name).unwrap()).as_str().to_owned();
        assert_eq!(link("web"), "web");
        assert_ne!(link("controller-rack-07"), link("controller-rack-08"));
        assert!(link("controller-rack-07").len() <= 15);
        let node = |name: &str, nth| LinkName::of_nic(&Name::new(name).unwrap(), nth);
        assert_eq!(node("node1", 1).as_str(), "node1.1");
        let long = node("controller-rack-7", 1);
        assert_ne!(long, node("controller-rack-7", 2));
        assert_eq!(long.as_str().len(), 15);
    }
}
