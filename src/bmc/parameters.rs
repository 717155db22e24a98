//! Configuration parameters, as LAN and serial over LAN have them (IPMI 2.0, sections 23.1, 23.2, 26.2
//! and 26.3).
//!
//! ipmi_sim 2.0.33 knows few of them, or would run a program for each question; here the lab is
//! asked.

use std::collections::BTreeMap;

/// The channel over which clients come (`startlan 1` in lan.conf).
pub const LAN_CHANNEL: u8 = 1;

/// How a request names the channel that it came in on.
const PRESENT_CHANNEL: u8 = 0x0e;

/// Completion codes: of every command (table 5-2), and of these.
const LENGTH_INVALID: u8 = 0xc7;
const INVALID_DATA: u8 = 0xcc;
const UNSUPPORTED: u8 = 0x80;
const CLAIMED: u8 = 0x81;
const READ_ONLY: u8 = 0x82;

/// The parameter with which a client says that it is setting the others.
const SET_IN_PROGRESS: u8 = 0;

/// Who may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The lab alone.
    Fixed,
    /// A client; it reads back what it set.
    Remembered,
}

/// The parameters of one configuration.
#[derive(Clone, Debug)]
pub struct Parameters {
    values: BTreeMap<u8, (Vec<u8>, Access)>,
    set_in_progress: bool,
}

impl Parameters {
    /// A configuration that nobody has changed: numbers, values, and who may change them.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (u8, Vec<u8>, Access)>) -> Self {
        let values = values.into_iter();
        Self {
            values: values
                .map(|(number, value, access)| (number, (value, access)))
                .collect(),
            set_in_progress: false,
        }
    }

    /// Answers a request to get one that came in on `channel`; the completion code is not part of
    /// the answer.
    ///
    /// # Errors
    /// The completion code.
    pub fn get(&self, channel: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        const REVISION: u8 = 0x11;
        const REVISION_ONLY: u8 = 0x80;

        let &[about, parameter, _set, _block] = data else {
            return Err(LENGTH_INVALID);
        };
        check_channel(about, channel)?;
        let mut answer = vec![REVISION];
        if about & REVISION_ONLY != 0 {
            return Ok(answer);
        }
        if parameter == SET_IN_PROGRESS {
            answer.push(u8::from(self.set_in_progress));
            return Ok(answer);
        }
        let (value, _) = self.values.get(&parameter).ok_or(UNSUPPORTED)?;
        answer.extend(value);
        Ok(answer)
    }

    /// Answers a request to set one.
    ///
    /// # Errors
    /// The completion code.
    pub fn set(&mut self, channel: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        let [about, parameter, value @ ..] = data else {
            return Err(LENGTH_INVALID);
        };
        check_channel(*about, channel)?;
        match (*parameter, value) {
            (SET_IN_PROGRESS, [state]) => match state & 0x03 {
                0 => self.set_in_progress = false,
                1 if self.set_in_progress => return Err(CLAIMED),
                1 => self.set_in_progress = true,
                // Commit: each value counts from when it is set.
                2 => {}
                _ => return Err(INVALID_DATA),
            },
            (SET_IN_PROGRESS, _) => return Err(LENGTH_INVALID),
            (parameter, value) => {
                let held = self.values.get_mut(&parameter);
                let (held, access) = held.ok_or(UNSUPPORTED)?;
                if held.len() != value.len() {
                    return Err(LENGTH_INVALID);
                }
                // Tools set an address that is right already, and believe what they read back.
                if *access == Access::Fixed && held != value {
                    return Err(READ_ONLY);
                }
                held.copy_from_slice(value);
            }
        }
        Ok(Vec::new())
    }
}

/// Whether a request is about the LAN channel, which it may call the one that it came in on.
///
/// # Errors
/// The completion code.
pub fn check_channel(about: u8, came_in_on: u8) -> Result<(), u8> {
    let channel = match about & 0x0f {
        PRESENT_CHANNEL => came_in_on,
        channel => channel,
    };
    if channel == LAN_CHANNEL {
        Ok(())
    } else {
        Err(INVALID_DATA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: u8 = 3;
    const SOURCE: u8 = 4;

    fn parameters() -> Parameters {
        Parameters::new([
            (ADDRESS, vec![192, 168, 25, 5], Access::Fixed),
            (SOURCE, vec![1], Access::Remembered),
        ])
    }

    #[test]
    fn what_is_fixed_can_be_set_to_what_it_is_and_to_nothing_else() {
        let mut parameters = parameters();
        let address = Ok(vec![0x11, 192, 168, 25, 5]);
        assert_eq!(parameters.get(1, &[1, ADDRESS, 0, 0]), address);
        assert_eq!(
            parameters.set(1, &[1, ADDRESS, 192, 168, 25, 5]),
            Ok(vec![])
        );
        assert_eq!(
            parameters.set(1, &[1, ADDRESS, 10, 0, 0, 1]),
            Err(READ_ONLY)
        );
        assert_eq!(parameters.get(1, &[1, ADDRESS, 0, 0]), address);
    }

    #[test]
    fn what_is_remembered_reads_back() {
        let mut parameters = parameters();
        assert_eq!(parameters.set(1, &[1, SOURCE, 2]), Ok(vec![]));
        assert_eq!(parameters.get(1, &[0x0e, SOURCE, 0, 0]), Ok(vec![0x11, 2]));
        assert_eq!(parameters.set(1, &[1, SOURCE, 2, 2]), Err(LENGTH_INVALID));
    }

    #[test]
    fn one_client_at_a_time_may_say_that_it_is_setting() {
        let mut parameters = parameters();
        assert_eq!(parameters.set(1, &[1, 0, 1]), Ok(vec![]));
        assert_eq!(parameters.get(1, &[1, 0, 0, 0]), Ok(vec![0x11, 1]));
        assert_eq!(parameters.set(1, &[1, 0, 1]), Err(CLAIMED));
        assert_eq!(parameters.set(1, &[1, 0, 0]), Ok(vec![]));
        assert_eq!(parameters.set(1, &[1, 0]), Err(LENGTH_INVALID));
    }

    #[test]
    fn other_channels_and_parameters_are_refused() {
        let parameters = parameters();
        assert_eq!(parameters.get(1, &[2, ADDRESS, 0, 0]), Err(INVALID_DATA));
        assert_eq!(
            parameters.get(15, &[0x0e, ADDRESS, 0, 0]),
            Err(INVALID_DATA)
        );
        assert_eq!(parameters.get(15, &[1, SOURCE, 0, 0]), Ok(vec![0x11, 1]));
        assert_eq!(parameters.get(1, &[1, 200, 0, 0]), Err(UNSUPPORTED));
        assert_eq!(parameters.get(1, &[0x81, 200, 0, 0]), Ok(vec![0x11]));
        assert_eq!(parameters.get(1, &[1, ADDRESS]), Err(LENGTH_INVALID));
    }
}
