//! Boot options: IPMI bytes to questions for the node, its answers to IPMI bytes.

use std::time::{Duration, Instant};

use crate::chassis::{Answer, exactly};
use crate::protocol::{BootFlags, Completion, Request};

/// A client that claimed the parameters and died must not keep them: no
/// client here takes longer than a few round trips from claim to release.
const CLAIM_LASTS: Duration = Duration::from_secs(30);

/// Boot options (28.12, 28.13, table 28-14) but for the flags themselves.
///
/// Parameter 0 is volatile and 4 is semi-volatile: they may go when the BMC
/// restarts. The boot flags, which must not, and parameter 3, which says what
/// clears them, are the node's.
#[derive(Debug, Default)]
pub(crate) struct BootOptions {
    /// Parameter 0: until when a client has the parameters for itself.
    claimed: Option<Instant>,
    /// Parameter 4: who has handled the boot info.
    acknowledged: u8,
    /// Bit n: a client marked parameter n invalid or locked.
    invalid: u8,
}

pub(crate) const SET_IN_PROGRESS: u8 = 0;
pub(crate) const VALID_BIT_CLEARING: u8 = 3;
pub(crate) const INFO_ACKNOWLEDGE: u8 = 4;
pub(crate) const BOOT_FLAGS: u8 = 5;

impl BootOptions {
    pub(crate) fn set(
        &mut self,
        data: &[u8],
        now: Instant,
        ask: impl FnOnce(Request<'_>) -> Answer,
    ) -> Result<Vec<u8>, Completion> {
        let (&first, values) = data.split_first().ok_or(Completion::LENGTH)?;
        let parameter = supported(first & 0x7f)?;
        // Without values only the mark "invalid or locked" changes.
        if !values.is_empty() {
            self.set_values(parameter, values, now, ask)?;
        }
        let mark = 1 << parameter;
        if first & 0x80 == 0 {
            self.invalid &= !mark;
        } else {
            self.invalid |= mark;
        }
        Ok(vec![])
    }

    fn set_values(
        &mut self,
        parameter: u8,
        values: &[u8],
        now: Instant,
        ask: impl FnOnce(Request<'_>) -> Answer,
    ) -> Result<(), Completion> {
        match parameter {
            SET_IN_PROGRESS => match exactly::<1>(values)?[0] & 0x03 {
                0 => self.claimed = None,
                1 if self.is_claimed(now) => return Err(Completion::SET_IN_PROGRESS),
                1 => self.claimed = Some(now + CLAIM_LASTS),
                // Commit: every value counts from the moment it is written.
                2 => {}
                _ => return Err(Completion::INVALID_DATA),
            },
            VALID_BIT_CLEARING => {
                let [bits] = exactly(values)?;
                ask(Request::BootClearingSet(bits & 0x1f))?;
            }
            INFO_ACKNOWLEDGE => {
                let [mask, bits] = exactly(values)?;
                self.acknowledged = self.acknowledged & !mask | bits & mask;
            }
            BOOT_FLAGS => {
                ask(Request::BootSet(BootFlags(exactly(values)?)))?;
            }
            _ => return Err(Completion::PARAMETER_UNSUPPORTED),
        }
        Ok(())
    }

    pub(crate) fn get(
        &self,
        data: &[u8],
        now: Instant,
        ask: impl FnOnce(Request<'_>) -> Answer,
    ) -> Result<Vec<u8>, Completion> {
        const VERSION: u8 = 0x01;

        let [selector, _set, _block] = exactly(data)?;
        let parameter = supported(selector & 0x7f)?;
        let mark = (self.invalid >> parameter & 1) << 7;
        let mut payload = vec![VERSION, mark | parameter];
        match parameter {
            SET_IN_PROGRESS => payload.push(u8::from(self.is_claimed(now))),
            VALID_BIT_CLEARING => {
                let bits = ask(Request::BootClearingGet)?;
                let bits = u8::from_str_radix(&bits, 16);
                payload.push(bits.map_err(|_| Completion::UNSPECIFIED)?);
            }
            INFO_ACKNOWLEDGE => payload.extend([0x00, self.acknowledged]),
            BOOT_FLAGS => {
                let BootFlags(flags) = ask(Request::BootGet)?.parse()?;
                payload.extend(flags);
            }
            _ => return Err(Completion::PARAMETER_UNSUPPORTED),
        }
        Ok(payload)
    }

    fn is_claimed(&self, now: Instant) -> bool {
        self.claimed.is_some_and(|until| now < until)
    }
}

fn supported(parameter: u8) -> Result<u8, Completion> {
    match parameter {
        SET_IN_PROGRESS | VALID_BIT_CLEARING | INFO_ACKNOWLEDGE | BOOT_FLAGS => Ok(parameter),
        _ => Err(Completion::PARAMETER_UNSUPPORTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_clients_claim_runs_out() {
        let mut boot = BootOptions::default();
        let none = |_: Request<'_>| -> Answer { Err(Completion::UNSPECIFIED) };
        let now = Instant::now();
        assert_eq!(boot.set(&[SET_IN_PROGRESS, 1], now, none), Ok(vec![]));
        let busy = Err(Completion::SET_IN_PROGRESS);
        assert_eq!(boot.set(&[SET_IN_PROGRESS, 1], now, none), busy);
        assert_eq!(
            boot.set(&[SET_IN_PROGRESS, 1], now + CLAIM_LASTS, none),
            Ok(vec![])
        );
    }
}
