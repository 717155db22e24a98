//! The directives: one line each, with dnsmasq's name, value and reason.

use std::fmt;
use std::net::IpAddr;

use crate::argument::Argument;
use crate::boot::{Boot, PxePrompt, PxeService};
use crate::dns::{Address, DomainRule, HostRecord, Local, Server};
use crate::error::LineError;
use crate::host::Host;
use crate::log::{LogFacility, QueryLog};
use crate::matches::{Conditions, MacTag, Match, TagIf, UserClass, VendorClass};
use crate::option::DhcpOption;
use crate::quote;
use crate::ra::RaParam;
use crate::range::{Range, Range4, Range6};
use crate::tftp::{PortRange, TftpRoot, UniqueRoot};
use crate::value::{AccountName, FilePath, InterfacePattern, Seconds};

/// Declares [`Directive`] with its names, reading and writing.
///
/// `flag` stands alone, `value` needs a value, `maybe` can have one, `each` is written
/// once per value and read from a list as well; dnsmasq takes `once` and `maybe_once` once.
macro_rules! directives {
    (@read flag $variant:ident $name:literal $raw:ident) => {
        match $raw {
            None => Ok(vec![Directive::$variant]),
            Some(_) => Err(LineError::UnexpectedValue($name)),
        }
    };
    (@read value $variant:ident $name:literal $raw:ident) => {
        match $raw {
            None | Some("") => Err(LineError::MissingValue($name)),
            Some(raw) => Ok(vec![Directive::$variant(Argument::read(raw)?)]),
        }
    };
    (@read once $variant:ident $name:literal $raw:ident) => {
        directives!(@read value $variant $name $raw)
    };
    (@read maybe_once $variant:ident $name:literal $raw:ident) => {
        directives!(@read maybe $variant $name $raw)
    };
    (@read maybe $variant:ident $name:literal $raw:ident) => {
        match $raw {
            None | Some("") => Ok(vec![Directive::$variant(None)]),
            Some(raw) => Ok(vec![Directive::$variant(Some(Argument::read(raw)?))]),
        }
    };
    (@read each $variant:ident $name:literal $raw:ident) => {
        match $raw {
            None | Some("") => Err(LineError::MissingValue($name)),
            Some(raw) => quote::fields(raw).map(|field| Ok(Directive::$variant(Argument::read(field)?))).collect(),
        }
    };
    (@once once) => { true };
    (@once maybe_once) => { true };
    (@once $kind:ident) => { false };
    (@value flag $value:tt) => { None };
    (@value once $value:tt) => { Some($value.write()) };
    (@value maybe_once $value:tt) => { $value.as_ref().map(Argument::write) };
    (@value value $value:tt) => { Some($value.write()) };
    (@value each $value:tt) => { Some($value.write()) };
    (@value maybe $value:tt) => { $value.as_ref().map(Argument::write) };
    ($($(#[$doc:meta])* $kind:ident $name:literal $variant:ident $(($type:ty))?;)*) => {
        /// One line of configuration.
        ///
        /// Variants are dnsmasq's long option names; the order is by subject. Types with one
        /// home convert with [`From`], so that most are pushed without naming the variant.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Directive {
            $($(#[$doc])* #[doc = concat!("\n\n`", $name, "`")] $variant $(($type))?,)*
        }

        impl Directive {
            /// Every directive's name, in the order of the variants.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Returns dnsmasq's name for the directive.
            pub fn name(&self) -> &'static str {
                match self {
                    $(directives!(@pattern $kind $variant _value) => $name,)*
                }
            }

            /// Says whether dnsmasq refuses a second one ("illegal repeated keyword").
            pub fn is_unique(&self) -> bool {
                match self {
                    $(directives!(@pattern $kind $variant _value) => directives!(@once $kind),)*
                }
            }

            fn value(&self) -> Option<String> {
                match self {
                    $(directives!(@pattern $kind $variant value) => directives!(@value $kind value),)*
                }
            }

            /// Reads the directives that `name` and `raw` make: several if a list stands for several lines.
            pub(crate) fn read(name: &str, raw: Option<&str>) -> Result<Vec<Self>, LineError> {
                match name {
                    $($name => directives!(@read $kind $variant $name raw),)*
                    _ => Err(LineError::UnknownDirective),
                }
            }
        }
    };
    (@pattern flag $variant:ident $value:tt) => { Directive::$variant };
    (@pattern $kind:ident $variant:ident _value) => { Directive::$variant(_) };
    (@pattern $kind:ident $variant:ident $value:tt) => { Directive::$variant($value) };
}

directives! {
    /// Serves this interface; loopback is added. `*` at the end matches the rest.
    each "interface" Interface(InterfacePattern);
    /// Does not serve this interface.
    each "except-interface" ExceptInterface(InterfacePattern);
    /// Serves DNS and TFTP but neither DHCP nor RA there.
    each "no-dhcp-interface" NoDhcpInterface(InterfacePattern);
    /// Listens on this address.
    each "listen-address" ListenAddress(IpAddr);
    /// Binds only the addresses served, so that other servers can run beside it.
    flag "bind-interfaces" BindInterfaces;
    /// The same, and follows interfaces that come and go (Linux).
    flag "bind-dynamic" BindDynamic;

    /// DNS port; 0 turns DNS off.
    once "port" Port(u16);
    /// Does not read the hosts file.
    flag "no-hosts" NoHosts;
    /// Does not read resolv.conf.
    flag "no-resolv" NoResolv;
    /// Does not look for changes of resolv.conf.
    flag "no-poll" NoPoll;
    /// Reads another resolv.conf.
    value "resolv-file" ResolvFile(FilePath);
    /// Reads another hosts file too.
    value "addn-hosts" AddnHosts(FilePath);
    /// Reads all hosts files of a directory, at once when they change.
    value "hostsdir" HostsDir(FilePath);
    /// An upstream server.
    value "server" Server(Server);
    /// A fixed answer.
    value "address" Address(Address);
    /// A domain that is answered here only.
    value "local" Local(Local);
    /// The domain of DHCP clients.
    value "domain" Domain(DomainRule);
    /// Adds the domain to plain names of the hosts file.
    flag "expand-hosts" ExpandHosts;
    /// Names and addresses of a host.
    value "host-record" HostRecord(HostRecord);
    /// Does not forward names without a dot.
    flag "domain-needed" DomainNeeded;
    /// Does not forward reverse lookups of private addresses.
    flag "bogus-priv" BogusPriv;
    /// Asks servers in the order given.
    flag "strict-order" StrictOrder;
    /// Asks all servers at once.
    flag "all-servers" AllServers;
    /// Refuses private addresses in upstream answers.
    flag "stop-dns-rebind" StopDnsRebind;
    /// Answers with the address of the network that the question came from.
    flag "localise-queries" LocaliseQueries;
    /// Names in the cache; 0 turns it off (dnsmasq's default is 150).
    once "cache-size" CacheSize(u16);
    /// Does not cache that a name does not exist.
    flag "no-negcache" NoNegcache;
    /// Time to live of answers from hosts files and leases, in seconds.
    once "local-ttl" LocalTtl(Seconds);
    /// Time to live of missing names whose answer has none, in seconds.
    once "neg-ttl" NegTtl(Seconds);
    /// Longest time to live handed out, in seconds.
    once "max-ttl" MaxTtl(Seconds);
    /// Time to live of names from leases, in seconds.
    once "dhcp-ttl" DhcpTtl(Seconds);
    /// Questions in flight at most (dnsmasq's default is 150).
    once "dns-forward-max" DnsForwardMax(u16);

    /// Addresses to hand out, or a prefix to advertise.
    value "dhcp-range" DhcpRange(Range);
    /// A reservation.
    value "dhcp-host" DhcpHost(Host);
    /// Reads reservations from a file; again on SIGHUP.
    value "dhcp-hostsfile" DhcpHostsFile(FilePath);
    /// Reads reservations from a directory, at once when files are added.
    value "dhcp-hostsdir" DhcpHostsDir(FilePath);
    /// Reads options from a file; again on SIGHUP.
    value "dhcp-optsfile" DhcpOptsFile(FilePath);
    /// Reads options from a directory, at once when files are added.
    value "dhcp-optsdir" DhcpOptsDir(FilePath);
    /// Sends an option to clients that ask for it.
    value "dhcp-option" DhcpOption(DhcpOption);
    /// Sends an option even to clients that do not ask.
    value "dhcp-option-force" DhcpOptionForce(DhcpOption);
    /// Sets a tag for clients that send an option.
    value "dhcp-match" DhcpMatch(Match);
    /// Sets a tag by vendor class.
    value "dhcp-vendorclass" DhcpVendorClass(VendorClass);
    /// Sets a tag by user class.
    value "dhcp-userclass" DhcpUserClass(UserClass);
    /// Sets a tag by MAC address.
    value "dhcp-mac" DhcpMac(MacTag);
    /// Sets tags by other tags.
    value "tag-if" TagIf(TagIf);
    /// Does not answer clients with these tags.
    value "dhcp-ignore" DhcpIgnore(Conditions);
    /// Ignores the names that clients (with these tags) send.
    maybe "dhcp-ignore-names" DhcpIgnoreNames(Option<Conditions>);
    /// Broadcasts answers to clients (with these tags) that have no address.
    maybe "dhcp-broadcast" DhcpBroadcast(Option<Conditions>);
    /// Ignores client identifiers: the MAC address alone counts.
    flag "dhcp-ignore-clid" DhcpIgnoreClid;
    /// Does not reuse the `file` and `sname` fields for options.
    flag "dhcp-no-override" DhcpNoOverride;
    /// Keeps leases in this file.
    once "dhcp-leasefile" DhcpLeaseFile(FilePath);
    /// Does not write the lease file: the script keeps leases.
    flag "leasefile-ro" LeaseFileRo;
    /// Leases at most (dnsmasq's default is 1000).
    once "dhcp-lease-max" DhcpLeaseMax(u16);
    /// Is the only DHCP server: answers unknown leases at once.
    flag "dhcp-authoritative" DhcpAuthoritative;
    /// Gives addresses in order instead of by a hash of the MAC address.
    flag "dhcp-sequential-ip" DhcpSequentialIp;
    /// Answers in two messages instead of four if the client can (RFC 4039).
    flag "dhcp-rapid-commit" DhcpRapidCommit;
    /// Does not ping an address before it is offered: saves the 3 s that dnsmasq waits (2.90).
    flag "no-ping" NoPing;
    /// Runs this program when a lease or a TFTP transfer changes.
    once "dhcp-script" DhcpScript(FilePath);
    /// Runs the script as this user.
    once "dhcp-scriptuser" DhcpScriptUser(AccountName);
    /// Runs the script on renewals too.
    flag "script-on-renewal" ScriptOnRenewal;

    /// What clients boot.
    value "dhcp-boot" DhcpBoot(Boot);
    /// The prompt before the PXE menu.
    value "pxe-prompt" PxePrompt(PxePrompt);
    /// An entry of the PXE menu.
    value "pxe-service" PxeService(PxeService);

    /// Serves TFTP, on all interfaces or this one.
    maybe "enable-tftp" EnableTftp(Option<InterfacePattern>);
    /// The directory that TFTP serves.
    value "tftp-root" TftpRoot(TftpRoot);
    /// Gives each client a directory of its own below the root, if it exists.
    maybe "tftp-unique-root" TftpUniqueRoot(Option<UniqueRoot>);
    /// Serves only files that dnsmasq's user owns.
    flag "tftp-secure" TftpSecure;
    /// Makes requested names lower-case.
    flag "tftp-lowercase" TftpLowercase;
    /// Transfers at once at most (dnsmasq's default is 50).
    once "tftp-max" TftpMax(u16);
    /// Largest packet in bytes.
    once "tftp-mtu" TftpMtu(u16);
    /// Keeps to blocks of 512 bytes.
    flag "tftp-no-blocksize" TftpNoBlocksize;
    /// Starts even if the root is missing.
    flag "tftp-no-fail" TftpNoFail;
    /// The UDP ports of transfers, for firewalls.
    once "tftp-port-range" TftpPortRange(PortRange);
    /// Uses port 69 for transfers too.
    flag "tftp-single-port" TftpSinglePort;

    /// Sends router advertisements for all IPv6 ranges.
    flag "enable-ra" EnableRa;
    /// How an interface advertises.
    value "ra-param" RaParam(RaParam);

    /// Logs each DHCP exchange with its options and tags.
    flag "log-dhcp" LogDhcp;
    /// Logs DNS questions.
    maybe "log-queries" LogQueries(Option<QueryLog>);
    /// Logs what helps debugging.
    flag "log-debug" LogDebug;
    /// Where the log goes.
    once "log-facility" LogFacility(LogFacility);
    /// Queues this many log lines, at most 100, instead of waiting for syslog; 5 if not given.
    maybe_once "log-async" LogAsync(Option<u8>);
    /// Does not log DHCPv4 routine.
    flag "quiet-dhcp" QuietDhcp;
    /// Does not log DHCPv6 routine.
    flag "quiet-dhcp6" QuietDhcp6;
    /// Does not log router advertisements.
    flag "quiet-ra" QuietRa;
    /// Does not log TFTP routine.
    flag "quiet-tftp" QuietTftp;

    /// Runs as this user after start.
    once "user" User(AccountName);
    /// Runs as this group after start.
    once "group" Group(AccountName);
    /// Writes the process id there; `None` writes it nowhere.
    maybe_once "pid-file" PidFile(Option<FilePath>);
    /// Does not fork into the background.
    flag "keep-in-foreground" KeepInForeground;
}

impl fmt::Display for Directive {
    /// Writes the line without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.value() {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

macro_rules! from_value {
    ($($type:ident => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Directive {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
from_value! {
    Server => Server, Address => Address, Local => Local, DomainRule => Domain, HostRecord => HostRecord,
    Range => DhcpRange, Host => DhcpHost, DhcpOption => DhcpOption, Match => DhcpMatch,
    VendorClass => DhcpVendorClass, UserClass => DhcpUserClass, MacTag => DhcpMac, TagIf => TagIf,
    Boot => DhcpBoot, PxePrompt => PxePrompt, PxeService => PxeService, TftpRoot => TftpRoot,
    RaParam => RaParam, LogFacility => LogFacility,
}

impl From<Range4> for Directive {
    fn from(range: Range4) -> Self {
        Self::DhcpRange(Range::V4(range))
    }
}

impl From<Range6> for Directive {
    fn from(range: Range6) -> Self {
        Self::DhcpRange(Range::V6(range))
    }
}
