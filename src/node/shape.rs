//! What a network card's link does to the packets that come to the node: slow them down, lose or
//! delay them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of packets on their way to a network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// How much comes through, in bits a second; none for as much as can.
    pub rate_bits_per_second: Option<u64>,
    /// How many of a hundred packets are lost.
    pub loss_percent: Option<u8>,
    /// How much later each comes, in milliseconds.
    pub delay_ms: Option<u32>,
}

impl Shape {
    /// This, and for what it leaves open `before`.
    #[must_use]
    pub fn over(self, before: Self) -> Self {
        Self {
            rate_bits_per_second: self.rate_bits_per_second.or(before.rate_bits_per_second),
            loss_percent: self.loss_percent.or(before.loss_percent),
            delay_ms: self.delay_ms.or(before.delay_ms),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate_bits_per_second.map(|rate| match rate {
            rate if rate % 1_000_000_000 == 0 => format!("rate {}gbit", rate / 1_000_000_000),
            rate if rate % 1_000_000 == 0 => format!("rate {}mbit", rate / 1_000_000),
            rate => format!("rate {}kbit", rate / 1000),
        });
        let loss = self.loss_percent.map(|loss| format!("loss {loss}%"));
        let delay = self.delay_ms.map(|delay| format!("delay {delay}ms"));
        let all: Vec<String> = [rate, loss, delay].into_iter().flatten().collect();
        f.pad(&all.join(", "))
    }
}

/// Reads a rate such as `10mbit`, in bits a second.
///
/// # Errors
/// What is expected, for people.
pub fn rate(text: &str) -> Result<u64, String> {
    // Less would hold a packet back for longer than a second, more the kernel cannot count.
    const RANGE: std::ops::RangeInclusive<u64> = 16_000..=30_000_000_000;
    let units = [("kbit", 1000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)];
    let split = |(unit, bits): (&str, u64)| Some((text.strip_suffix(unit)?, bits));
    let number = units.into_iter().find_map(split);
    let rate = number.and_then(|(digits, bits)| whole(digits)?.checked_mul(bits));
    rate.filter(|rate| RANGE.contains(rate))
        .ok_or_else(|| "expected a rate such as 10mbit, from 16kbit to 30gbit".to_owned())
}

/// Reads a share such as `5%`.
///
/// # Errors
/// What is expected, for people.
pub fn loss(text: &str) -> Result<u8, String> {
    let digits = text.strip_suffix('%');
    let loss = digits.and_then(|digits| u8::try_from(whole(digits)?).ok());
    loss.filter(|loss| (1..=100).contains(loss))
        .ok_or_else(|| "expected a share such as 5%, from 1% to 100%".to_owned())
}

/// Reads a delay such as `50ms`, in milliseconds.
///
/// # Errors
/// What is expected, for people.
pub fn delay(text: &str) -> Result<u32, String> {
    let units = [("ms", 1), ("s", 1000)];
    let split = |(unit, ms): (&str, u64)| Some((text.strip_suffix(unit)?, ms));
    let number = units.into_iter().find_map(split);
    let delay = number.and_then(|(digits, ms)| whole(digits)?.checked_mul(ms));
    delay
        .filter(|delay| (1..=60_000).contains(delay))
        .and_then(|delay| u32::try_from(delay).ok())
        .ok_or_else(|| "expected a delay such as 50ms, from 1ms to 60s".to_owned())
}

/// A number of nothing but digits.
fn whole(digits: &str) -> Option<u64> {
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_they_are_shown() {
        let shape = Shape {
            rate_bits_per_second: rate("10mbit").ok(),
            loss_percent: loss("5%").ok(),
            delay_ms: delay("2s").ok(),
        };
        assert_eq!(shape.to_string(), "rate 10mbit, loss 5%, delay 2000ms");
        assert_eq!(rate("512kbit"), Ok(512_000));
        for wrong in [
            "10",
            "mbit",
            "+1mbit",
            "1kbit",
            "31gbit",
            "99999999999999999gbit",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        for wrong in ["5", "%", "0%", "101%", "-1%", "1.5%"] {
            assert!(loss(wrong).is_err(), "{wrong}");
        }
        for wrong in ["50", "ms", "0ms", "61s", "1m"] {
            assert!(delay(wrong).is_err(), "{wrong}");
        }
    }
}
