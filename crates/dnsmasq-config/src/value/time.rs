//! Times: leases and counts of seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ValueError;
use crate::argument::Argument;

/// dnsmasq raises shorter leases to two minutes without saying so (2.90).
const LEASE_MIN: u32 = 120;

/// dnsmasq computes times in a C `int`.
const SECONDS_MAX: u32 = i32::MAX as u32;

/// Whole seconds, at most 2147483647 (68 years): a time to live, a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(u32);

impl Seconds {
    /// Checks `seconds`.
    ///
    /// # Errors
    /// Refuses more than 2147483647, which dnsmasq would wrap.
    pub fn new(seconds: u32) -> Result<Self, ValueError> {
        if seconds > SECONDS_MAX {
            return Err(ValueError::new(
                "a time",
                &seconds.to_string(),
                format!("at most {SECONDS_MAX} seconds"),
            ));
        }
        Ok(Self(seconds))
    }

    /// Returns the seconds.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Argument for Seconds {
    fn read(raw: &str) -> Result<Self, ValueError> {
        Self::new(u32::read(raw)?)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// How long a lease lasts: two minutes or more, or for ever.
///
/// Reads `1h`, `30m`, `2d`, `3600`, `infinite`; shows itself in the largest unit that
/// divides it, and always with a unit, since a bare number in an IPv6 range is a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseTime(Option<Seconds>);

impl LeaseTime {
    /// Never expires.
    pub const INFINITE: Self = Self(None);

    /// Checks `seconds`.
    ///
    /// # Errors
    /// Refuses less than 120 (dnsmasq would quietly use 120) and more than 2147483647.
    pub fn from_secs(seconds: u32) -> Result<Self, ValueError> {
        if seconds < LEASE_MIN {
            return Err(ValueError::new(
                "a lease time",
                &format!("{seconds}s"),
                "dnsmasq lengthens it to two minutes; write `2m` or more",
            ));
        }
        Ok(Self(Some(Seconds::new(seconds)?)))
    }

    /// Returns the time, `None` if the lease never expires.
    pub fn duration(self) -> Option<Duration> {
        self.0.map(|seconds| Duration::from_secs(seconds.0.into()))
    }
}

/// Reads digits and an optional unit into seconds.
pub(crate) fn with_unit(value: &str) -> Option<u32> {
    let lower = value.to_ascii_lowercase();
    let (digits, factor) = match lower.strip_suffix(['s', 'm', 'h', 'd', 'w']) {
        None => (lower.as_str(), 1),
        Some(digits) if lower.ends_with('s') => (digits, 1),
        Some(digits) if lower.ends_with('m') => (digits, 60),
        Some(digits) if lower.ends_with('h') => (digits, 3600),
        Some(digits) if lower.ends_with('d') => (digits, 86_400),
        Some(digits) => (digits, 604_800),
    };
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

impl FromStr for LeaseTime {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        if value == "infinite" {
            return Ok(Self::INFINITE);
        }
        match with_unit(value) {
            Some(seconds) => Self::from_secs(seconds),
            None => Err(ValueError::new(
                "a lease time",
                value,
                "write `30m`, `1h`, `2d`, `1w`, seconds or `infinite`",
            )),
        }
    }
}

impl fmt::Display for LeaseTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Seconds(seconds)) = self.0 else {
            return f.write_str("infinite");
        };
        let (count, unit) = [(604_800, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(factor, _)| seconds % factor == 0)
            .map_or((seconds, 's'), |(factor, unit)| (seconds / factor, unit));
        write!(f, "{count}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_the_largest_is_written() {
        for (given, shown) in [
            ("60m", "1h"),
            ("3600", "1h"),
            ("7D", "1w"),
            ("121", "121s"),
            ("infinite", "infinite"),
        ] {
            assert_eq!(given.parse::<LeaseTime>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn short_wrapping_and_signed_times_are_refused() {
        for value in [
            "119",
            "1m",
            "",
            "h",
            "+5h",
            "-1",
            "99999w",
            "4294967296",
            "1.5h",
        ] {
            assert!(value.parse::<LeaseTime>().is_err(), "{value}");
        }
    }
}
