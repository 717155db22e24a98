//! MAC addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Ethernet address that a NIC can carry: unicast, not zero (IEEE 802).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

/// A text that is no MAC address of a NIC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMac {
    /// Not six hexadecimal pairs.
    #[error("{0:?} is no MAC address: write six pairs such as 00:aa:bb:cc:dd:ee")]
    Spelling(String),
    /// The group bit is set.
    #[error("{0} is a group address: a NIC needs one whose first byte is even")]
    Group(String),
    /// All zero.
    #[error("00:00:00:00:00:00 is no address of a NIC")]
    Zero,
}

impl Mac {
    /// A locally administered address derived from `seed`.
    ///
    /// The same seed gives the same address on every machine, so that a lab's
    /// leases and reservations stay true.
    #[must_use]
    pub fn derived(seed: &str) -> Self {
        let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
        Self([0x02, a, b, c, d, e])
    }

    /// The address `n` after this one; none if that is no address of a NIC.
    #[must_use]
    pub fn after(self, n: usize) -> Option<Self> {
        let number = self
            .0
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet));
        let [0, 0, octets @ ..] = (number + u64::try_from(n).ok()?).to_be_bytes() else {
            return None;
        };
        (octets[0] & 1 == 0).then_some(Self(octets))
    }

    /// The six bytes, first on the wire first.
    #[must_use]
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let spelling = || BadMac::Spelling(text.chars().take(64).collect());
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().ok_or_else(spelling)?;
            if pair.len() != 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(spelling());
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| spelling())?;
        }
        if pairs.next().is_some() {
            return Err(spelling());
        }
        if octets == [0; 6] {
            return Err(BadMac::Zero);
        }
        if octets[0] & 1 == 1 {
            return Err(BadMac::Group(Self(octets).to_string()));
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_nic_can_carry_is_an_address() {
        assert_eq!(
            "00:AA:bb:cc:dd:ee".parse::<Mac>().unwrap().to_string(),
            "00:aa:bb:cc:dd:ee"
        );
        for bad in [
            "",
            "00:aa:bb:cc:dd",
            "00:aa:bb:cc:dd:ee:ff",
            "0:aa:bb:cc:dd:ee",
            "+0:aa:bb:cc:dd:ee",
        ] {
            assert!(
                matches!(bad.parse::<Mac>(), Err(BadMac::Spelling(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            "01:00:5e:00:00:01".parse::<Mac>(),
            Err(BadMac::Group(_))
        ));
        assert!(matches!(
            "00:00:00:00:00:00".parse::<Mac>(),
            Err(BadMac::Zero)
        ));
    }

    #[test]
    fn the_address_after_the_last_of_a_half_is_none() {
        let mac = |text: &str| text.parse::<Mac>().unwrap();
        assert_eq!(
            mac("02:00:00:00:00:ff").after(1),
            Some(mac("02:00:00:00:01:00"))
        );
        assert_eq!(
            mac("02:00:00:00:00:ff").after(0),
            Some(mac("02:00:00:00:00:ff"))
        );
        assert_eq!(mac("02:ff:ff:ff:ff:ff").after(1), None, "a group address");
        assert_eq!(mac("fe:ff:ff:ff:ff:ff").after(2), None);
    }

    #[test]
    fn a_derived_address_is_local_unicast_and_stable() {
        let mac = Mac::derived("default/web");
        assert_eq!(mac, Mac::derived("default/web"));
        assert_ne!(mac, Mac::derived("default/ssh"));
        assert_eq!(mac.octets()[0], 0x02);
    }
}
