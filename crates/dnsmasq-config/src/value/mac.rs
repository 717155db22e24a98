//! MAC addresses and patterns of them.

use std::fmt;
use std::str::FromStr;

use crate::ValueError;
use crate::argument::Argument;

const KIND: &str = "a MAC address";

/// An Ethernet address, `00:aa:bb:cc:dd:ee`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// A MAC address in which any byte may be `*`: `52:54:00:*:*:*` (dhcp-host, dhcp-mac).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacPattern(pub [Option<u8>; 6]);

impl From<MacAddr> for MacPattern {
    fn from(mac: MacAddr) -> Self {
        Self(mac.0.map(Some))
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MacPattern::from(*self).fmt(f)
    }
}

impl fmt::Display for MacPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(":")?;
            }
            match byte {
                Some(byte) => write!(f, "{byte:02x}")?,
                None => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

impl FromStr for MacPattern {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        let wrong = || {
            ValueError::new(
                KIND,
                value,
                "write six bytes in hexadecimal, `00:aa:bb:cc:dd:ee`",
            )
        };
        let mut bytes = [None; 6];
        let mut parts = value.split([':', '-']);
        for byte in &mut bytes {
            *byte = match parts.next().ok_or_else(wrong)? {
                "*" => None,
                part => Some(hex_byte(part).ok_or_else(wrong)?),
            };
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(wrong()),
        }
    }
}

impl FromStr for MacAddr {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        let pattern: MacPattern = value.parse()?;
        let mut bytes = [0; 6];
        for (byte, part) in bytes.iter_mut().zip(pattern.0) {
            *byte = part
                .ok_or_else(|| ValueError::new(KIND, value, "`*` is allowed in patterns only"))?;
        }
        Ok(Self(bytes))
    }
}

/// Reads one or two hex digits.
pub(crate) fn hex_byte(part: &str) -> Option<u8> {
    let digits = part.chars().all(|c| c.is_ascii_hexdigit());
    if digits && part.len() <= 2 {
        u8::from_str_radix(part, 16).ok()
    } else {
        None
    }
}

impl Argument for MacPattern {
    fn read(raw: &str) -> Result<Self, ValueError> {
        // With dashes dnsmasq would take the first byte for a hardware type (2.90).
        if raw.contains('-') {
            return Err(ValueError::new(
                KIND,
                raw,
                "write it with colons; `NN-` is a hardware type, which is not supported",
            ));
        }
        raw.parse()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_upper_case_become_colons_and_lower_case() {
        assert_eq!(
            "00-AA-BB-CC-DD-EE".parse::<MacAddr>().unwrap().to_string(),
            "00:aa:bb:cc:dd:ee"
        );
    }

    #[test]
    fn wrong_lengths_signs_and_stars_are_refused() {
        for mac in [
            "",
            "00:aa:bb:cc:dd",
            "00:aa:bb:cc:dd:ee:ff",
            "+0:aa:bb:cc:dd:ee",
            "00:aa:bb:cc:dd:*",
            "000:a:b:c:d:e",
        ] {
            assert!(mac.parse::<MacAddr>().is_err(), "{mac}");
        }
    }
}
