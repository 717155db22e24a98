//! Everything but DHCP: interfaces, DNS, TFTP, RA, logging, files, flags.

use std::net::{Ipv4Addr, Ipv6Addr};

use dnsmasq_config::*;
use proptest::option::of;
use proptest::prelude::*;

use super::value::*;

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![4 => domain().prop_map(Scope::Domain), 1 => Just(Scope::Unqualified), 1 => Just(Scope::Any)]
}

fn scopes() -> impl Strategy<Value = Vec<Scope>> {
    prop::collection::vec(scope(), 0..3)
}

fn server() -> impl Strategy<Value = Server> {
    prop_oneof![
        (scopes(), address(), of(any::<u16>()), of(interface())).prop_map(
            |(scopes, address, port, interface)| {
                let mut server = scopes.into_iter().fold(Server::new(address), Server::scope);
                if let Some(port) = port {
                    server = server.port(port);
                }
                if let Some(interface) = interface {
                    server = server.interface(interface);
                }
                server
            }
        ),
        (scope(), scopes()).prop_map(|(first, scopes)| scopes
            .into_iter()
            .fold(Server::standard(first), Server::scope)),
    ]
}

fn fixed() -> impl Strategy<Value = Address> {
    let answer = prop_oneof![
        address().prop_map(Answer::Ip),
        Just(Answer::Zero),
        Just(Answer::NoName)
    ];
    (scope(), scopes(), answer).prop_map(|(first, scopes, answer)| {
        scopes
            .into_iter()
            .fold(Address::new(first, answer), Address::scope)
    })
}

fn domain_rule() -> impl Strategy<Value = DomainRule> {
    prop_oneof![
        domain().prop_map(DomainRule::new),
        (domain(), address(), 1..=128u8).prop_filter_map("subnet", |(domain, net, prefix)| {
            DomainRule::subnet(domain, net, prefix).ok()
        }),
        (domain(), any::<[Ipv4Addr; 2]>()).prop_map(|(domain, [a, b])| {
            DomainRule::between(domain, a.min(b).into(), a.max(b).into()).unwrap()
        }),
        (domain(), any::<[Ipv6Addr; 2]>()).prop_map(|(domain, [a, b])| {
            DomainRule::between(domain, a.min(b).into(), a.max(b).into()).unwrap()
        }),
    ]
}

fn host_record() -> impl Strategy<Value = HostRecord> {
    (
        hostname(),
        address(),
        of(address()),
        prop::collection::vec(hostname(), 0..3),
        of(seconds()),
    )
        .prop_map(|(name, first, second, names, ttl)| {
            let mut record = names
                .into_iter()
                .fold(HostRecord::new(name, first), HostRecord::alias);
            if let Some(address) = second {
                record = record.address(address);
            }
            if let Some(ttl) = ttl {
                record = record.ttl(ttl);
            }
            record
        })
}

fn ra_param() -> impl Strategy<Value = RaParam> {
    let mtu = prop_oneof![
        Just(RaMtu::OFF),
        (1280..=65535u32).prop_map(|mtu| RaMtu::bytes(mtu).unwrap()),
        interface().prop_filter_map("mtu", |interface| RaMtu::of(interface).ok()),
    ];
    let interval = prop_oneof![Just(0u16), 4..=1800u16];
    let priority = of(prop::sample::select(vec![
        RaPriority::High,
        RaPriority::Low,
    ]));
    (interfaces(), of(mtu), priority, interval, of(0..=9000u16)).prop_map(
        |(interface, mtu, priority, interval, lifetime)| {
            let mut param = RaParam::new(interface, interval).unwrap();
            if let Some(mtu) = mtu {
                param = param.mtu(mtu);
            }
            if let Some(priority) = priority {
                param = param.priority(priority);
            }
            match lifetime {
                Some(lifetime) => param.lifetime(lifetime).unwrap(),
                None => param,
            }
        },
    )
}

fn log_facility() -> impl Strategy<Value = LogFacility> {
    prop_oneof![
        Just(LogFacility::STDERR),
        path().prop_filter_map("log file", |path| LogFacility::file(path).ok()),
        prop::sample::select(vec!["daemon", "local0", "user"])
            .prop_map(|name| LogFacility::syslog(name).unwrap()),
    ]
}

fn interfaces_and_ports() -> impl Strategy<Value = Directive> {
    let ports = any::<[u16; 2]>().prop_filter_map("ports", |[a, b]| PortRange::new(a, b).ok());
    prop_oneof![
        interfaces().prop_map(Directive::Interface),
        interfaces().prop_map(Directive::ExceptInterface),
        interfaces().prop_map(Directive::NoDhcpInterface),
        address().prop_map(Directive::ListenAddress),
        any::<u16>().prop_map(Directive::Port),
        any::<u16>().prop_map(Directive::CacheSize),
        any::<u16>().prop_map(Directive::DnsForwardMax),
        any::<u16>().prop_map(Directive::DhcpLeaseMax),
        any::<u16>().prop_map(Directive::TftpMax),
        any::<u16>().prop_map(Directive::TftpMtu),
        ports.prop_map(Directive::TftpPortRange),
        seconds().prop_map(Directive::LocalTtl),
        seconds().prop_map(Directive::NegTtl),
        seconds().prop_map(Directive::MaxTtl),
        seconds().prop_map(Directive::DhcpTtl),
        of(any::<u8>()).prop_map(Directive::LogAsync),
    ]
}

fn files_and_accounts() -> impl Strategy<Value = Directive> {
    prop_oneof![
        path().prop_map(Directive::ResolvFile),
        path().prop_map(Directive::AddnHosts),
        path().prop_map(Directive::HostsDir),
        path().prop_map(Directive::DhcpHostsFile),
        path().prop_map(Directive::DhcpHostsDir),
        path().prop_map(Directive::DhcpOptsFile),
        path().prop_map(Directive::DhcpOptsDir),
        path().prop_map(Directive::DhcpLeaseFile),
        path().prop_map(Directive::DhcpScript),
        of(path()).prop_map(Directive::PidFile),
        account().prop_map(Directive::DhcpScriptUser),
        account().prop_map(Directive::User),
        account().prop_map(Directive::Group),
    ]
}

pub fn directive() -> impl Strategy<Value = Directive> {
    let unique = prop::sample::select(vec![None, Some(UniqueRoot::Ip), Some(UniqueRoot::Mac)]);
    prop_oneof![
        6 => interfaces_and_ports(),
        6 => files_and_accounts(),
        1 => server().prop_map(Directive::from),
        1 => fixed().prop_map(Directive::from),
        1 => (scope(), scopes())
            .prop_map(|(first, scopes)| scopes.into_iter().fold(Local::new(first), Local::scope).into()),
        1 => domain_rule().prop_map(Directive::from),
        1 => host_record().prop_map(Directive::from),
        1 => of(interfaces()).prop_map(Directive::EnableTftp),
        1 => (path(), of(interface())).prop_map(|(path, interface)| TftpRoot { path, interface }.into()),
        1 => unique.prop_map(Directive::TftpUniqueRoot),
        1 => ra_param().prop_map(Directive::from),
        1 => log_facility().prop_map(Directive::from),
        1 => of(Just(QueryLog::Extra)).prop_map(Directive::LogQueries),
    ]
}

pub fn flag() -> impl Strategy<Value = Directive> {
    use Directive::*;
    prop::sample::select(vec![
        BindInterfaces,
        BindDynamic,
        NoHosts,
        NoResolv,
        NoPoll,
        ExpandHosts,
        DomainNeeded,
        BogusPriv,
        StrictOrder,
        AllServers,
        StopDnsRebind,
        LocaliseQueries,
        NoNegcache,
        DhcpIgnoreClid,
        DhcpNoOverride,
        LeaseFileRo,
        DhcpAuthoritative,
        DhcpSequentialIp,
        DhcpRapidCommit,
        NoPing,
        ScriptOnRenewal,
        TftpSecure,
        TftpLowercase,
        TftpNoBlocksize,
        TftpNoFail,
        TftpSinglePort,
        EnableRa,
        LogDhcp,
        LogDebug,
        QuietDhcp,
        QuietDhcp6,
        QuietRa,
        QuietTftp,
        KeepInForeground,
    ])
}
