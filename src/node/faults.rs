//! The faults that a BMC has at present.

use std::time::Duration;

use crate::lab::Fault;

/// The faults that a BMC has now, at most one of each kind.
#[derive(Debug, Default)]
pub struct Faults {
    active: Vec<(Fault, u64)>,
    begun: u64,
    /// The state of the generator that decides which datagrams are lost.
    dice: u64,
}

impl Faults {
    /// Begins a fault, in place of another of its kind; the number is for [`end`](Self::end).
    pub fn begin(&mut self, fault: Fault) -> u64 {
        let other = |known: &(Fault, u64)| !known.0.is_like(fault);
        self.active.retain(other);
        self.begun += 1;
        self.active.push((fault, self.begun));
        self.begun
    }

    /// Ends a fault, and tells whether there still was this one.
    pub fn end(&mut self, number: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|(_, known)| *known != number);
        self.active.len() < before
    }

    /// Ends all faults, and returns them.
    pub fn clear(&mut self) -> Vec<Fault> {
        let active = std::mem::take(&mut self.active);
        active.into_iter().map(|(fault, _)| fault).collect()
    }

    /// The faults that there are now, in the order in which they began.
    #[must_use]
    pub fn now(&self) -> Vec<Fault> {
        self.active.iter().map(|(fault, _)| *fault).collect()
    }

    /// Whether there is this fault now.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.active.iter().any(|(known, _)| *known == fault)
    }

    /// How much later a datagram goes on; none when it is lost.
    pub fn delay(&mut self) -> Option<Duration> {
        let mut delay = Duration::ZERO;
        for n in 0..self.active.len() {
            let (fault, _) = self.active[n];
            match fault {
                Fault::Unreachable | Fault::ColdReset | Fault::PowerLoss => return None,
                Fault::Loss(percent) if self.roll() < u64::from(percent) => return None,
                Fault::Slow(ms) => delay = Duration::from_millis(ms.into()),
                Fault::Loss(_)
                | Fault::SessionsFull
                | Fault::StuckPower
                | Fault::IgnoredBootDevice => {}
            }
        }
        Some(delay)
    }

    /// A number below 100. The sequence is the same each time, so that a failure can be repeated
    /// (Knuth's MMIX generator, of which the upper bits are good).
    fn roll(&mut self) -> u64 {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        const STEP: u64 = 1_442_695_040_888_963_407;
        self.dice = self.dice.wrapping_mul(FACTOR).wrapping_add(STEP);
        (self.dice >> 33) % 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_loses_about_as_much_as_it_says() {
        let mut faults = Faults::default();
        faults.begin(Fault::Loss(30));
        let lost = (0..1000).filter(|_| faults.delay().is_none()).count();
        assert!((250..350).contains(&lost), "{lost} of 1000");
    }

    #[test]
    fn a_fault_ends_once_and_goes_before_an_older_one_of_its_kind() {
        let mut faults = Faults::default();
        let first = faults.begin(Fault::Slow(5));
        let second = faults.begin(Fault::Slow(7));
        faults.begin(Fault::StuckPower);
        assert_eq!(faults.delay(), Some(Duration::from_millis(7)));
        assert!(!faults.end(first));
        assert!(faults.end(second) && !faults.end(second));
        assert_eq!(faults.delay(), Some(Duration::ZERO));
        assert_eq!(faults.clear(), [Fault::StuckPower]);
        assert_eq!(faults.now(), []);
    }
}
