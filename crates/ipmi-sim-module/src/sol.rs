//! Serial over LAN, where ipmi_sim's own forgets to begin a session anew. Pure.
//!
//! 2.0.33 keeps its counters from one session to the next. A first packet with the number of the
//! last session's last one is taken for a repetition, and what was typed is lost. A session whose
//! client went while packets to it were unacknowledged leaves the console unread, for ever. Both
//! end with packets that ipmi_sim handles as if the client had sent them.
//!
//! A packet (IPMI 2.0, section 15.9) begins with its number, the number of the packet that it
//! acknowledges, how many characters of that were accepted, and flags; characters follow. Numbers
//! go from 1 to 15, and 0 stands for none.

/// The bytes in front of the characters.
pub(crate) type Header = [u8; 4];

const NUMBERS: std::ops::RangeInclusive<u8> = 1..=15;

/// What has to be remembered of the client's packets.
#[derive(Debug, Default)]
pub(crate) struct Sol {
    /// The session that SOL belongs to. ipmi_sim ignores what others send.
    session: Option<u32>,
    /// The number of the last packet that had one.
    last: u8,
    /// Whether none with a number has come in this session.
    fresh: bool,
}

impl Sol {
    /// Begins a session, and returns what is to be handled first: an acknowledgement of whatever
    /// packet is still waited for. With 255 characters it covers all that a packet can hold.
    pub(crate) fn begin(&mut self, session: u32) -> impl Iterator<Item = Header> + use<> {
        (self.session, self.fresh) = (Some(session), true);
        NUMBERS.map(|number| [0, number, u8::MAX, 0])
    }

    /// Ends the session.
    pub(crate) fn end(&mut self) {
        self.session = None;
    }

    /// Takes note of a packet, and returns what is to be handled before it: an empty one that
    /// keeps it from being taken for a repetition.
    pub(crate) fn receive(&mut self, session: u32, packet: &[u8]) -> Option<Header> {
        let number = packet.first()? & 0x0f;
        if number == 0 || packet.len() < size_of::<Header>() || self.session != Some(session) {
            return None;
        }
        let taken = self.fresh && number == self.last;
        (self.last, self.fresh) = (number, false);
        taken.then(|| [number % NUMBERS.end() + 1, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_packet_with_the_last_ones_number_is_no_repetition() {
        let mut sol = Sol::default();
        assert_eq!(sol.begin(7).count(), 15);
        assert_eq!(sol.receive(7, &[1, 0, 0, 0, b'a']), None);
        // The client repeats it: ipmi_sim is to know.
        assert_eq!(sol.receive(7, &[1, 0, 0, 0, b'a']), None);
        sol.end();
        // ipmi_sim does not count what comes from a session that has lost SOL.
        assert_eq!(sol.receive(7, &[2, 0, 0, 0, b'a']), None);
        assert_eq!(sol.begin(9).last(), Some([0, 15, 255, 0]));
        // An acknowledgement has no number.
        assert_eq!(sol.receive(9, &[0, 3, 9, 0]), None);
        assert_eq!(sol.receive(9, &[1, 0, 0, 0, b'b']), Some([2, 0, 0, 0]));
        assert_eq!(sol.receive(9, &[15, 0, 0, 0]), None);
        let _ = sol.begin(11);
        assert_eq!(sol.receive(11, &[15, 0, 0, 0]), Some([1, 0, 0, 0]));
        assert_eq!(sol.receive(11, &[]), None);
    }
}
