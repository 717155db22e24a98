//! Platform Event: an event that a client or the system reports, for the event log (IPMI 2.0,
//! section 29.3). Pure; ipmi_sim 2.0.33 does not know the command.

use crate::chassis::Message;
use crate::protocol::Completion;

/// The command, as (network function, command).
pub(crate) const COMMAND: (u8, u8) = (0x04, 0x02);

/// The channel of the guest, whose requests say themselves who generated the event.
const SYSTEM_INTERFACE: u8 = 0x0f;

/// The software ID of a remote console (table 5-4), in the place of a generator's address.
const REMOTE_CONSOLE: u8 = 0x81;

/// Returns the 13 bytes of a system event record behind its type (table 32-1); ipmi_sim sets the
/// time.
pub(crate) fn record(message: Message<'_>) -> Result<[u8; 13], Completion> {
    const UNSPECIFIED: u8 = 0xff;

    let (generator, event) = match (message.channel, message.data) {
        (SYSTEM_INTERFACE, [generator, event @ ..]) => (*generator, event),
        (SYSTEM_INTERFACE, []) => return Err(Completion::LENGTH),
        (_, event) => (REMOTE_CONSOLE, event),
    };
    let &[revision, kind, sensor, event, first, ref more @ ..] = event else {
        return Err(Completion::LENGTH);
    };
    let (second, third) = match *more {
        [] => (UNSPECIFIED, UNSPECIFIED),
        [second] => (second, UNSPECIFIED),
        [second, third] => (second, third),
        _ => return Err(Completion::LENGTH),
    };
    let channel = match message.channel {
        SYSTEM_INTERFACE => 0,
        channel => channel << 4,
    };
    Ok([
        0, 0, 0, 0, generator, channel, revision, kind, sensor, event, first, second, third,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(channel: u8, data: &[u8]) -> Result<[u8; 13], Completion> {
        let (netfn, command) = COMMAND;
        record(Message {
            netfn,
            command,
            channel,
            session: 0,
            sequence: 0,
            data,
        })
    }

    #[test]
    fn a_console_and_a_guest_report_events_each_in_its_own_way() {
        let event = [4, 1, 0x30, 1, 0x57, 0x41, 0x50];
        let expected = [0, 0, 0, 0, 0x81, 0x10, 4, 1, 0x30, 1, 0x57, 0x41, 0x50];
        assert_eq!(from(1, &event), Ok(expected));
        let event = [0x41, 4, 1, 0x30, 1, 0x57];
        let expected = [0, 0, 0, 0, 0x41, 0, 4, 1, 0x30, 1, 0x57, 0xff, 0xff];
        assert_eq!(from(15, &event), Ok(expected));
        for length in [0, 1, 4, 8] {
            let data = vec![4; length];
            assert_eq!(from(1, &data), Err(Completion::LENGTH), "{length}");
        }
    }
}
