//! The LAN configuration of a BMC (IPMI 2.0, sections 23.1 and 23.2, table 23-4).
//!
//! ipmi_sim 2.0.33 has it in a program that it would run for each question;
//! here the lab is asked. The network of a lab is its lab file's: what would
//! change it is refused as read-only, everything else is remembered.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::rmcp;
use crate::lab::Mac;

/// The channel over which clients come (`startlan 1` in lan.conf).
pub const CHANNEL: u8 = 1;

/// How a request names the channel that it came in on.
const PRESENT_CHANNEL: u8 = 0x0e;

/// Completion codes: of every command (table 5-2), and of these two.
const LENGTH_INVALID: u8 = 0xc7;
const INVALID_DATA: u8 = 0xcc;
const PARAMETER_UNSUPPORTED: u8 = 0x80;
const CLAIMED: u8 = 0x81;
const READ_ONLY: u8 = 0x82;

/// Parameters of table 23-4.
mod parameter {
    pub(super) const SET_IN_PROGRESS: u8 = 0;
    pub(super) const AUTHENTICATION_SUPPORT: u8 = 1;
    pub(super) const AUTHENTICATION_ENABLES: u8 = 2;
    pub(super) const ADDRESS: u8 = 3;
    pub(super) const ADDRESS_SOURCE: u8 = 4;
    pub(super) const MAC: u8 = 5;
    pub(super) const SUBNET_MASK: u8 = 6;
    pub(super) const IPV4_HEADER: u8 = 7;
    pub(super) const RMCP_PORT: u8 = 8;
    pub(super) const ARP_CONTROL: u8 = 10;
    pub(super) const GRATUITOUS_ARP_INTERVAL: u8 = 11;
    pub(super) const GATEWAY: u8 = 12;
    pub(super) const GATEWAY_MAC: u8 = 13;
    pub(super) const BACKUP_GATEWAY: u8 = 14;
    pub(super) const BACKUP_GATEWAY_MAC: u8 = 15;
    pub(super) const COMMUNITY: u8 = 16;
    pub(super) const DESTINATIONS: u8 = 17;
    pub(super) const VLAN: u8 = 20;
    pub(super) const VLAN_PRIORITY: u8 = 21;
    pub(super) const CIPHER_SUITE_COUNT: u8 = 22;
    pub(super) const CIPHER_SUITES: u8 = 23;
    pub(super) const CIPHER_SUITE_PRIVILEGES: u8 = 24;
}

/// MD2, MD5 and straight passwords (lan.conf's `allowed_auths_…`).
const AUTHENTICATION: u8 = 0x16;

/// The configuration of one BMC.
#[derive(Clone, Debug)]
pub struct Lan {
    values: BTreeMap<u8, Vec<u8>>,
    set_in_progress: bool,
}

impl Lan {
    /// The configuration of a BMC at `address` of `subnet`.
    #[must_use]
    pub fn new(
        address: Ipv4Addr,
        mac: Mac,
        subnet: Ipv4Net,
        gateway: Ipv4Addr,
        gateway_mac: Mac,
    ) -> Self {
        use parameter::*;

        const STATIC: u8 = 1;
        let mut community = b"public".to_vec();
        community.resize(18, 0);
        let numbers = rmcp::suite_numbers();
        let mut suites = vec![0];
        suites.extend(&numbers);
        // Four bits a suite, the first in the lower half: all up to administrator.
        let mut privileges = vec![0; 9];
        for n in 0..numbers.len() {
            privileges[1 + n / 2] |= if n % 2 == 0 { 0x04 } else { 0x40 };
        }
        let values = [
            (AUTHENTICATION_SUPPORT, vec![AUTHENTICATION]),
            (
                AUTHENTICATION_ENABLES,
                vec![
                    AUTHENTICATION,
                    AUTHENTICATION,
                    AUTHENTICATION,
                    AUTHENTICATION,
                    0,
                ],
            ),
            (ADDRESS, address.octets().to_vec()),
            (ADDRESS_SOURCE, vec![STATIC]),
            (MAC, mac.octets().to_vec()),
            (SUBNET_MASK, subnet.netmask().octets().to_vec()),
            // A time to live of 64, don't fragment, minimum delay: the specification's defaults.
            (IPV4_HEADER, vec![0x40, 0x40, 0x10]),
            (RMCP_PORT, super::ipmi_sim::RMCP_PORT.to_le_bytes().to_vec()),
            (ARP_CONTROL, vec![0x02]),
            (GRATUITOUS_ARP_INTERVAL, vec![0]),
            (GATEWAY, gateway.octets().to_vec()),
            (GATEWAY_MAC, gateway_mac.octets().to_vec()),
            (BACKUP_GATEWAY, vec![0; 4]),
            (BACKUP_GATEWAY_MAC, vec![0; 6]),
            (COMMUNITY, community),
            (DESTINATIONS, vec![0]),
            (VLAN, vec![0, 0]),
            (VLAN_PRIORITY, vec![0]),
            (
                CIPHER_SUITE_COUNT,
                vec![u8::try_from(numbers.len()).unwrap_or(u8::MAX)],
            ),
            (CIPHER_SUITES, suites),
            (CIPHER_SUITE_PRIVILEGES, privileges),
        ];
        Self {
            values: BTreeMap::from(values),
            set_in_progress: false,
        }
    }

    /// Answers Get LAN Configuration Parameters that came in on `channel`; the completion code is
    /// not part of the answer.
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
        if parameter == parameter::SET_IN_PROGRESS {
            answer.push(u8::from(self.set_in_progress));
            return Ok(answer);
        }
        answer.extend(self.values.get(&parameter).ok_or(PARAMETER_UNSUPPORTED)?);
        Ok(answer)
    }

    /// Answers Set LAN Configuration Parameters.
    ///
    /// # Errors
    /// The completion code.
    pub fn set(&mut self, channel: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        use parameter::*;

        let [about, parameter, value @ ..] = data else {
            return Err(LENGTH_INVALID);
        };
        check_channel(*about, channel)?;
        match (*parameter, value) {
            (parameter::SET_IN_PROGRESS, [state]) => match state & 0x03 {
                0 => self.set_in_progress = false,
                1 if self.set_in_progress => return Err(CLAIMED),
                1 => self.set_in_progress = true,
                // Commit: each value counts from when it is set.
                2 => {}
                _ => return Err(INVALID_DATA),
            },
            (parameter::SET_IN_PROGRESS, _) => return Err(LENGTH_INVALID),
            (parameter, value) => {
                let held = self.values.get_mut(&parameter);
                let held = held.ok_or(PARAMETER_UNSUPPORTED)?;
                if held.len() != value.len() {
                    return Err(LENGTH_INVALID);
                }
                let remembered = matches!(
                    parameter,
                    AUTHENTICATION_ENABLES
                        | ADDRESS_SOURCE
                        | IPV4_HEADER
                        | ARP_CONTROL
                        | GRATUITOUS_ARP_INTERVAL
                        | BACKUP_GATEWAY
                        | BACKUP_GATEWAY_MAC
                        | COMMUNITY
                        | CIPHER_SUITE_PRIVILEGES
                );
                // Tools set an address that is right already, and believe what they read back.
                if !remembered && held != value {
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
    if channel == CHANNEL {
        Ok(())
    } else {
        Err(INVALID_DATA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> Lan {
        Lan::new(
            Ipv4Addr::new(192, 168, 25, 5),
            "02:00:00:00:00:05".parse().unwrap(),
            "192.168.25.0/24".parse().unwrap(),
            Ipv4Addr::new(192, 168, 25, 1),
            "02:00:00:00:00:01".parse().unwrap(),
        )
    }

    #[test]
    fn the_address_reads_as_the_lab_has_it_and_cannot_be_changed() {
        let mut lan = lan();
        assert_eq!(lan.get(1, &[1, 3, 0, 0]), Ok(vec![0x11, 192, 168, 25, 5]));
        assert_eq!(
            lan.get(1, &[0x0e, 6, 0, 0]),
            Ok(vec![0x11, 255, 255, 255, 0])
        );
        assert_eq!(lan.set(1, &[1, 3, 192, 168, 25, 5]), Ok(vec![]));
        assert_eq!(lan.set(1, &[1, 3, 10, 0, 0, 1]), Err(READ_ONLY));
    }

    #[test]
    fn what_does_not_move_the_bmc_is_remembered() {
        let mut lan = lan();
        assert_eq!(lan.set(1, &[1, 4, 2]), Ok(vec![]));
        assert_eq!(lan.get(1, &[1, 4, 0, 0]), Ok(vec![0x11, 2]));
        assert_eq!(lan.set(1, &[1, 4, 2, 2]), Err(LENGTH_INVALID));
    }

    #[test]
    fn one_client_at_a_time_may_say_that_it_is_setting() {
        let mut lan = lan();
        assert_eq!(lan.set(1, &[1, 0, 1]), Ok(vec![]));
        assert_eq!(lan.get(1, &[1, 0, 0, 0]), Ok(vec![0x11, 1]));
        assert_eq!(lan.set(1, &[1, 0, 1]), Err(CLAIMED));
        assert_eq!(lan.set(1, &[1, 0, 0]), Ok(vec![]));
        assert_eq!(lan.set(1, &[1, 0]), Err(LENGTH_INVALID));
    }

    #[test]
    fn other_channels_and_parameters_are_refused() {
        let lan = lan();
        assert_eq!(lan.get(1, &[2, 3, 0, 0]), Err(INVALID_DATA));
        assert_eq!(lan.get(15, &[0x0e, 3, 0, 0]), Err(INVALID_DATA));
        assert_eq!(lan.get(15, &[1, 3, 0, 0]).map(|a| a.len()), Ok(5));
        assert_eq!(lan.get(1, &[1, 200, 0, 0]), Err(PARAMETER_UNSUPPORTED));
        assert_eq!(lan.get(1, &[0x81, 200, 0, 0]), Ok(vec![0x11]));
        assert_eq!(lan.get(1, &[1, 3]), Err(LENGTH_INVALID));
    }
}
