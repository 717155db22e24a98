//! Typed dnsmasq configuration.
//!
//! [`Config`] holds [`Directive`]s made of values that cannot be wrong: each is checked once,
//! when it is made, and from then on dnsmasq 2.90 accepts it and reads it as meant. Text comes
//! out by `to_string()` and goes in by `parse()`. Nothing here opens a file or a socket.
//!
//! ```
//! use std::net::Ipv4Addr;
//!
//! use dnsmasq_config::{
//!     Boot, BootFile, Config, Directive, Host, Hostname, InterfaceName, LeaseTime, MacAddr, Match,
//!     OptionId, Range4, Tag,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ipxe = Tag::new("ipxe")?;
//! let range = Range4::new(Ipv4Addr::new(192, 168, 25, 100), Ipv4Addr::new(192, 168, 25, 200))?;
//! let config = Config::builder()
//!     .with(Directive::Port(0))
//!     .with(Directive::Interface(InterfaceName::new("eth0")?.into()))
//!     .with(range.netmask(Ipv4Addr::new(255, 255, 255, 0))?.lease(LeaseTime::from_secs(3600)?))
//!     .with(Match::sent(ipxe.clone(), OptionId::v4(175)?))
//!     .with(Boot::new(BootFile::new("undionly.kpxe")?).when(!ipxe))
//!     .with(Host::mac("00:aa:bb:cc:dd:ee".parse::<MacAddr>()?).hostname(Hostname::new("node")?))
//!     .build()?;
//!
//! let text = "\
//! port=0
//! interface=eth0
//! dhcp-range=192.168.25.100,192.168.25.200,255.255.255.0,1h
//! dhcp-match=set:ipxe,175
//! dhcp-boot=tag:!ipxe,undionly.kpxe
//! dhcp-host=00:aa:bb:cc:dd:ee,node
//! ";
//! assert_eq!(config.to_string(), text);
//! assert_eq!(text.parse(), Ok(config));
//!
//! let error = "port=0\ndhcp-rnage=1.2.3.4,static".parse::<Config>().unwrap_err();
//! assert!(error.to_string().starts_with("line 2: dhcp-rnage: unknown directive"));
//! # Ok(())
//! # }
//! ```
//!
//! Not covered: authoritative DNS, DNSSEC, `conf-file` and `conf-dir` (a [`Config`] is one
//! file), relays, `constructor:` ranges, and whatever else [`Directive`] does not name.

#![forbid(unsafe_code)]

mod argument;
mod boot;
mod config;
mod directive;
mod dns;
mod error;
mod host;
mod log;
mod matches;
mod option;
mod option_table;
mod option_value;
mod parse;
mod quote;
mod ra;
mod range;
mod tftp;
mod value;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use boot::{Boot, BootServer, PxeArch, PxePrompt, PxeService};
pub use config::{Builder, Config};
pub use directive::Directive;
pub use dns::{Address, Answer, DomainRule, HostRecord, Local, Scope, Server};
pub use error::{ConfigError, LineError, ParseError, ValueError};
pub use host::{ClientId, Host};
pub use log::{LogFacility, QueryLog};
pub use matches::{Conditions, MacTag, Match, TagIf, UserClass, VendorClass};
pub use option::{DhcpOption, Encapsulation, OptionId};
pub use option_value::{OptionValue, Width};
pub use ra::{RaMtu, RaParam, RaPriority};
pub use range::{Lifetime6, RaMode, Range, Range4, Range6};
pub use tftp::{PortRange, TftpRoot, UniqueRoot};
pub use value::{
    AccountName, BootFile, Condition, Domain, FilePath, Hostname, InterfaceName, InterfacePattern,
    LeaseTime, MacAddr, MacPattern, Seconds, Tag, Text,
};
