//! The LAN configuration of a BMC (IPMI 2.0, table 23-4).
//!
//! The network of a lab is its lab file's: what would change it is refused as read-only,
//! everything else is remembered.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::ipmi_sim::RMCP_PORT;
use super::parameters::Access::{Fixed, Remembered};
use super::parameters::Parameters;
use super::rmcp;
use crate::lab::Mac;

/// The parameters' numbers.
const AUTHENTICATION_SUPPORT: u8 = 1;
const AUTHENTICATION_ENABLES: u8 = 2;
const ADDRESS: u8 = 3;
const ADDRESS_SOURCE: u8 = 4;
const MAC: u8 = 5;
const SUBNET_MASK: u8 = 6;
const IPV4_HEADER: u8 = 7;
const PRIMARY_RMCP_PORT: u8 = 8;
const ARP_CONTROL: u8 = 10;
const GRATUITOUS_ARP_INTERVAL: u8 = 11;
const GATEWAY: u8 = 12;
const GATEWAY_MAC: u8 = 13;
const BACKUP_GATEWAY: u8 = 14;
const BACKUP_GATEWAY_MAC: u8 = 15;
const COMMUNITY: u8 = 16;
const DESTINATIONS: u8 = 17;
const VLAN: u8 = 20;
const VLAN_PRIORITY: u8 = 21;
const CIPHER_SUITE_COUNT: u8 = 22;
const CIPHER_SUITES: u8 = 23;
const CIPHER_SUITE_PRIVILEGES: u8 = 24;

/// MD2, MD5 and straight passwords (lan.conf's `allowed_auths_…`).
const AUTHENTICATION: u8 = 0x16;

/// An address that does not come from DHCP.
const STATIC: u8 = 1;

/// A time to live of 64, don't fragment, minimum delay: the specification's defaults.
const HEADER: [u8; 3] = [0x40, 0x40, 0x10];

/// The BMC answers ARP requests, and does not advertise itself.
const ANSWERS_ARP: u8 = 0x02;

/// The configuration of a BMC at `address` of `subnet`.
#[must_use]
pub fn parameters(
    (address, mac): (Ipv4Addr, Mac),
    subnet: Ipv4Net,
    (gateway, gateway_mac): (Ipv4Addr, Mac),
) -> Parameters {
    let for_each_level = [
        AUTHENTICATION,
        AUTHENTICATION,
        AUTHENTICATION,
        AUTHENTICATION,
        0,
    ];
    let mut community = b"public".to_vec();
    community.resize(18, 0);
    let suites = rmcp::suite_numbers();
    // Four bits a suite, the first in the lower half: all up to administrator.
    let mut privileges = vec![0; 9];
    for n in 0..suites.len() {
        privileges[1 + n / 2] |= if n % 2 == 0 { 0x04 } else { 0x40 };
    }
    let count = u8::try_from(suites.len()).unwrap_or(u8::MAX);
    Parameters::new([
        (AUTHENTICATION_SUPPORT, vec![AUTHENTICATION], Fixed),
        (AUTHENTICATION_ENABLES, for_each_level.to_vec(), Remembered),
        (ADDRESS, address.octets().to_vec(), Fixed),
        (ADDRESS_SOURCE, vec![STATIC], Remembered),
        (MAC, mac.octets().to_vec(), Fixed),
        (SUBNET_MASK, subnet.netmask().octets().to_vec(), Fixed),
        (IPV4_HEADER, HEADER.to_vec(), Remembered),
        (PRIMARY_RMCP_PORT, RMCP_PORT.to_le_bytes().to_vec(), Fixed),
        (ARP_CONTROL, vec![ANSWERS_ARP], Remembered),
        (GRATUITOUS_ARP_INTERVAL, vec![0], Remembered),
        (GATEWAY, gateway.octets().to_vec(), Fixed),
        (GATEWAY_MAC, gateway_mac.octets().to_vec(), Fixed),
        (BACKUP_GATEWAY, vec![0; 4], Remembered),
        (BACKUP_GATEWAY_MAC, vec![0; 6], Remembered),
        (COMMUNITY, community, Remembered),
        (DESTINATIONS, vec![0], Fixed),
        (VLAN, vec![0, 0], Fixed),
        (VLAN_PRIORITY, vec![0], Fixed),
        (CIPHER_SUITE_COUNT, vec![count], Fixed),
        (CIPHER_SUITES, [&[0], &suites[..]].concat(), Fixed),
        (CIPHER_SUITE_PRIVILEGES, privileges, Remembered),
    ])
}
