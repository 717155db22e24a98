//! DHCP's directives: ranges, hosts, options, matches, boot.

use std::net::{Ipv4Addr, Ipv6Addr};

use dnsmasq_config::*;
use proptest::option::of;
use proptest::prelude::*;

use super::value::*;

/// Adds all conditions to a value that has `when`.
macro_rules! when {
    ($value:expr, $conditions:expr) => {
        $conditions
            .into_iter()
            .fold($value, |value, condition| value.when(condition))
    };
}

fn range4() -> impl Strategy<Value = Range4> {
    let pool = (any::<u32>(), any::<u32>(), 0..4u8, 1..=32u32);
    (
        pool,
        any::<bool>(),
        of(any::<Ipv4Addr>()),
        of(tag()),
        conditions(),
        of(lease()),
    )
        .prop_map(
            |((start, size, kind, bits), masked, broadcast, set, when, lease)| {
                let mask = u32::MAX << (32 - bits);
                let start = if masked { start & mask } else { start };
                let end = start.saturating_add(if masked { size & !mask } else { size });
                let mut range = match kind {
                    0 => Range4::reservations_only(start.into()),
                    1 => Range4::proxy(start.into()),
                    _ => Range4::new(start.into(), end.into()).unwrap(),
                };
                if masked {
                    range = range.netmask(mask.into()).unwrap();
                    if let Some(broadcast) = broadcast {
                        range = range.broadcast(broadcast).unwrap();
                    }
                }
                if let Some(set) = set {
                    range = range.set(set);
                }
                if let Some(lease) = lease {
                    range = range.lease(lease);
                }
                when!(range, when)
            },
        )
}

fn ra_mode() -> impl Strategy<Value = RaMode> {
    use RaMode::*;
    prop::sample::select(vec![
        RaOnly,
        Slaac,
        RaNames,
        RaStateless,
        RaAdvrouter,
        OffLink,
    ])
}

fn range6() -> impl Strategy<Value = Range6> {
    let lifetime = of(prop_oneof![
        lease().prop_map(Lifetime6::For),
        Just(Lifetime6::Deprecated)
    ]);
    let pool = (
        any::<u128>(),
        any::<u128>(),
        0..3u8,
        64..=128u8,
        prop::collection::vec(ra_mode(), 1..4),
    );
    (pool, lifetime, of(tag()), conditions()).prop_map(
        |((start, size, kind, prefix, modes), lifetime, set, when)| {
            let host = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let end = Ipv6Addr::from(start | (size & host));
            let start = Ipv6Addr::from(start);
            let mut range = match kind {
                0 => Range6::advertise(start, modes[0]),
                1 => Range6::reservations_only(start, prefix).unwrap(),
                _ => Range6::new(start, end, prefix).unwrap(),
            };
            for mode in modes {
                range = range.clone().mode(mode).unwrap_or(range);
            }
            if let Some(set) = set {
                range = range.set(set);
            }
            if let Some(lifetime) = lifetime {
                range = range.lifetime(lifetime);
            }
            when!(range, when)
        },
    )
}

fn client_id() -> impl Strategy<Value = ClientId> {
    prop_oneof![
        Just(ClientId::IGNORED),
        prop::collection::vec(any::<u8>(), 2..20).prop_map(|bytes| ClientId::bytes(bytes).unwrap()),
        text().prop_filter_map("client id", |text| ClientId::text(text).ok()),
    ]
}

fn host() -> impl Strategy<Value = Host> {
    let first = prop_oneof![
        mac().prop_map(Host::mac),
        client_id().prop_map(Host::id),
        hostname().prop_map(Host::name),
    ];
    let macs = prop::collection::vec(mac(), 0..3);
    let addresses = (
        of(any::<Ipv4Addr>()),
        prop::collection::vec(any::<Ipv6Addr>(), 0..3),
    );
    let tags = (prop::collection::vec(tag(), 0..3), conditions());
    (
        first,
        macs,
        addresses,
        tags,
        of(hostname()),
        of(client_id()),
        of(lease()),
        any::<bool>(),
    )
        .prop_map(
            |(host, macs, (v4, v6), (set, when), name, id, lease, ignore)| {
                let mut host = macs.into_iter().fold(host, Host::or_mac);
                host = v6.into_iter().fold(host, Host::address6);
                host = set.into_iter().fold(host, Host::set);
                if let Some(address) = v4 {
                    host = host.address(address);
                }
                if let Some(name) = name {
                    host = host.hostname(name);
                }
                if let Some(id) = id {
                    host = host.client_id(id);
                }
                if let Some(lease) = lease {
                    host = host.lease(lease);
                }
                let host = if ignore { host.ignore() } else { host };
                when!(host, when)
            },
        )
}

fn option_id() -> impl Strategy<Value = OptionId> {
    let named = [
        "router",
        "dns-server",
        "time-offset",
        "mtu",
        "T1",
        "vendor-class",
        "bootfile-name",
        "domain-search",
        "sip-server",
        "client-arch",
        "tftp-server",
        "default-ttl",
        "hostname",
        "server-ip-address",
        "nis+-domain",
    ];
    let named6 = [
        "dns-server",
        "bootfile-url",
        "bootfile-param",
        "domain-search",
        "information-refresh-time",
        "ntp-server",
    ];
    prop_oneof![
        (1..=254u8).prop_map(|number| OptionId::v4(number).unwrap()),
        prop::sample::select(named.to_vec()).prop_map(|name| OptionId::named(name).unwrap()),
        (1..=u16::MAX).prop_map(|number| OptionId::v6(number).unwrap()),
        (1..=70u16).prop_map(|number| OptionId::v6(number).unwrap()),
        prop::sample::select(named6.to_vec()).prop_map(|name| OptionId::named6(name).unwrap()),
    ]
}

fn option_value() -> impl Strategy<Value = OptionValue> {
    let width = prop::sample::select(vec![
        None,
        Some(Width::Byte),
        Some(Width::Short),
        Some(Width::Int),
    ]);
    let number = prop_oneof![-200..300i64, -2_147_483_648..=4_294_967_295i64];
    prop_oneof![
        Just(OptionValue::Empty),
        prop::collection::vec(any::<Ipv4Addr>(), 1..4).prop_map(OptionValue::Addresses),
        prop::collection::vec(any::<Ipv6Addr>(), 1..4).prop_map(OptionValue::Addresses6),
        (number, width).prop_map(|(number, width)| OptionValue::Number(number, width)),
        seconds().prop_map(OptionValue::Time),
        prop::collection::vec(any::<u8>(), 1..12).prop_map(OptionValue::Bytes),
        text().prop_map(OptionValue::Text),
        prop::collection::vec(text(), 1..4).prop_map(OptionValue::Strings),
        prop::collection::vec(domain(), 1..4).prop_map(OptionValue::Domains),
    ]
}

fn dhcp_option() -> impl Strategy<Value = DhcpOption> {
    let inside = of(prop_oneof![
        any::<u8>().prop_map(Encapsulation::Option),
        text().prop_map(Encapsulation::Vendor),
        any::<u32>().prop_map(Encapsulation::Enterprise),
    ]);
    let values = prop::collection::vec(option_value(), 12);
    (inside, option_id(), values, conditions()).prop_filter_map(
        "option",
        |(inside, id, values, when)| {
            let option = values
                .into_iter()
                .rev()
                .find_map(|value| match inside.clone() {
                    None => DhcpOption::new(id, value).ok(),
                    Some(inside) => DhcpOption::encapsulated(inside, id, value).ok(),
                })?;
            Some(when!(option, when))
        },
    )
}

fn matching() -> impl Strategy<Value = Match> {
    prop_oneof![
        (tag(), option_id()).prop_map(|(set, id)| Match::sent(set, id)),
        (tag(), any::<u32>()).prop_map(|(set, number)| Match::enterprise(set, number)),
        (
            tag(),
            option_id(),
            prop::collection::vec(option_value(), 12)
        )
            .prop_filter_map("match", |(set, id, values)| {
                values
                    .into_iter()
                    .rev()
                    .find_map(|value| Match::holding(set.clone(), id, value).ok())
            }),
    ]
}

fn server() -> impl Strategy<Value = BootServer> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(BootServer::Address),
        hostname().prop_map(BootServer::Name)
    ]
}

fn boot() -> impl Strategy<Value = Boot> {
    (boot_file(), of(hostname()), of(server()), conditions()).prop_map(
        |(file, name, address, when)| {
            let mut boot = Boot::new(file);
            if let Some(name) = name {
                boot = boot.server_name(name);
            }
            if let Some(address) = address {
                boot = boot.server(address);
            }
            when!(boot, when)
        },
    )
}

fn pxe_prompt() -> impl Strategy<Value = PxePrompt> {
    (text(), of(any::<u8>()), conditions()).prop_map(|(prompt, timeout, when)| {
        let prompt = PxePrompt::new(prompt);
        let prompt = match timeout {
            Some(seconds) => prompt.timeout(seconds),
            None => prompt,
        };
        when!(prompt, when)
    })
}

fn pxe_service() -> impl Strategy<Value = PxeService> {
    let arch = prop_oneof![0..20u16, any::<u16>()].prop_map(PxeArch);
    (
        0..3u8,
        arch,
        text(),
        boot_file(),
        any::<u16>(),
        of(server()),
        conditions(),
    )
        .prop_filter_map(
            "service",
            |(kind, arch, menu, file, number, server, when)| {
                let service = match kind {
                    0 => PxeService::local(arch, menu),
                    1 => PxeService::service_type(arch, menu, number, server),
                    _ => PxeService::file(arch, menu, file, server).ok()?,
                };
                Some(when!(service, when))
            },
        )
}

fn tag_if() -> impl Strategy<Value = TagIf> {
    (tag(), prop::collection::vec(tag(), 0..3), conditions()).prop_map(|(first, set, when)| {
        when!(
            set.into_iter().fold(TagIf::new(first), TagIf::and_set),
            when
        )
    })
}

pub fn all_of() -> impl Strategy<Value = Conditions> {
    (condition(), conditions()).prop_map(|(first, when)| when!(Conditions::new(first), when))
}

pub fn directive() -> impl Strategy<Value = Directive> {
    let vendor =
        (tag(), of(any::<u32>()), text()).prop_map(|(set, enterprise, class)| VendorClass {
            set,
            enterprise,
            class,
        });
    let user = (tag(), text()).prop_map(|(set, class)| UserClass { set, class });
    prop_oneof![
        range4().prop_map(Directive::from),
        range6().prop_map(Directive::from),
        host().prop_map(Directive::from),
        dhcp_option().prop_map(Directive::DhcpOption),
        dhcp_option().prop_map(Directive::DhcpOptionForce),
        matching().prop_map(Directive::from),
        vendor.prop_map(Directive::from),
        user.prop_map(Directive::from),
        (tag(), mac()).prop_map(|(set, mac)| MacTag { set, mac }.into()),
        tag_if().prop_map(Directive::from),
        all_of().prop_map(Directive::DhcpIgnore),
        of(all_of()).prop_map(Directive::DhcpIgnoreNames),
        of(all_of()).prop_map(Directive::DhcpBroadcast),
        boot().prop_map(Directive::from),
        pxe_prompt().prop_map(Directive::from),
        pxe_service().prop_map(Directive::from),
    ]
}
