//! Networks in a lab file: who is on which, and with which address.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use nsplay::host::programs::Finder;
use nsplay::host::tools::Tools;
use nsplay::lab::file::{Origin, load, render};
use nsplay::lab::{Ipv6, Lab, LinkName, Mac, Name};
use nsplay::plan::plan;
use nsplay::service::sshd_keys::Keys;
use nsplay::step::{Place, Step};
use proptest::prelude::*;

#[track_caller]
fn lab(text: &str) -> Lab {
    load(text, &Origin::built_in(None)).unwrap_or_else(|report| panic!("{report}"))
}

/// All addresses that somebody in a network has or is promised.
fn taken<'l>(lab: &'l Lab, network: &'l Name) -> Vec<Ipv4Addr> {
    let gateway = [lab.network(network).gateway];
    let services = lab.services();
    let services = services.iter().filter(|seat| seat.network == network);
    let services: Vec<_> = services.map(|seat| seat.address).collect();
    let bmcs = lab.nodes.iter().filter(|node| node.nic.network == *network);
    let bmcs = bmcs.map(|node| node.address);
    let nics = lab.nodes.iter().flat_map(|node| node.nics());
    let nics = nics.filter(|nic| nic.network == *network);
    let kept = nics.filter_map(|nic| nic.ip);
    gateway
        .into_iter()
        .chain(services)
        .chain(bmcs)
        .chain(kept)
        .collect()
}

#[test]
fn a_network_is_what_its_table_says_and_the_rest_follows_its_subnet() {
    let lab = lab(r#"
        web.network = "data"
        [network]
        bmcs = "192.168.25.50-192.168.25.59"
        [network.store]
        subnet = "10.10.0.0/24"
        mtu = 9000
        [network.data]
        subnet = "10.9.0.0/24"
        dhcp = { lease = "5m" }
        [service.own]
        command = ["true"]
        [service.far]
        command = ["true"]
        network = "store"
        [node.a]
        [node.b]
        network = "data"
        nic = "virtio-net"
        nics = [{}, { network = "store", model = "e1000" }]
        [node.c]
        address = "192.168.25.50"
        "#);
    let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let names: Vec<_> = lab
        .networks()
        .map(|network| network.name.as_str())
        .collect();
    assert_eq!(names, ["main", "data", "store"]);
    let modes: Vec<_> = lab.networks().map(|network| network.ipv6).collect();
    assert_eq!(modes, [Ipv6::Ra, Ipv6::Ra, Ipv6::Off]);
    assert_eq!(lab.more_networks[1].mtu, 9000);
    assert_eq!(lab.web.as_ref().unwrap().address, ip("10.9.0.3"));
    let [server] = lab.more_dhcp.as_slice() else {
        panic!("{:?}", lab.more_dhcp)
    };
    assert_eq!(
        (server.name.as_str(), server.address),
        ("dhcp-data", ip("10.9.0.2"))
    );
    assert_eq!(server.pool, (ip("10.9.0.100"), ip("10.9.0.200")));
    assert_eq!(server.lease.as_secs(), 300);
    let own: Vec<_> = lab.own.iter().map(|own| own.address).collect();
    assert_eq!(
        own,
        [ip("10.10.0.5"), ip("192.168.25.5")],
        "beside the range of BMCs"
    );
    let bmcs: Vec<_> = lab.nodes.iter().map(|node| node.address).collect();
    assert_eq!(
        bmcs,
        [ip("192.168.25.51"), ip("10.9.0.5"), ip("192.168.25.50")]
    );
    let cards: Vec<_> = lab.nodes[1]
        .nics()
        .map(|nic| (nic.network.as_str(), nic.model.to_string()))
        .collect();
    let card = |network, model: &str| (network, model.to_owned());
    let wanted = [
        card("data", "virtio-net"),
        card("data", "virtio-net"),
        card("store", "e1000"),
    ];
    assert_eq!(cards, wanted);
}

#[test]
fn a_mac_address_of_a_further_card_depends_on_names_and_its_number() {
    let text = "name = \"x\"\n[node.b]\nnics = [{}, {}]\n";
    let lab = lab(&format!("{text}[node.a]\nnics = [{{}}]"));
    let macs: Vec<_> = lab.nodes[1].nics().map(|nic| nic.mac).collect();
    assert_eq!(macs, ["x/b", "x/b/nic2", "x/b/nic3"].map(Mac::derived));
}

#[test]
fn what_is_kept_for_cards_counts_up_with_their_nodes() {
    let lab = lab(r#"
        [network.data]
        subnet = "10.9.0.0/24"
        dhcp = {}
        [defaults]
        nics = [{ network = "data", ip = "10.9.0.250", mac = "02:00:00:00:00:fe" }]
        [node.a]
        count = 3
        ip = "192.168.25.21"
        "#);
    let kept: Vec<_> = lab
        .nodes
        .iter()
        .map(|node| {
            let second = &node.more_nics[0];
            let last = |ip: Option<Ipv4Addr>| ip.map(|ip| ip.octets()[3]);
            (last(node.nic.ip), last(second.ip), second.mac.to_string())
        })
        .collect();
    let row = |first, second, mac: &str| (Some(first), Some(second), mac.to_owned());
    let wanted = [
        row(21, 250, "02:00:00:00:00:fe"),
        row(22, 251, "02:00:00:00:00:ff"),
        row(23, 252, "02:00:00:00:01:00"),
    ];
    assert_eq!(kept, wanted);
}

/// Networks, and nodes and services all over them; any of it may stand in another's way.
fn spelled() -> impl Strategy<Value = String> {
    let network = (10_u8..14, any::<u8>(), 16_u8..=29, any::<[bool; 3]>());
    let card = (0_usize..4, prop::option::of(3_u8..250));
    let node = (
        0_usize..4,
        prop::option::of(3_u8..250),
        prop::collection::vec(card, 0..3),
    );
    let networks = prop::collection::vec(network, 0..3);
    let nodes = prop::collection::vec(node, 0..4);
    (networks, nodes, 0_usize..4).prop_map(|(networks, nodes, home)| {
        let mut text = String::new();
        let mut names = vec![("main".to_owned(), Ipv4Addr::new(192, 168, 25, 0))];
        let mut tables = String::new();
        for (n, (b, c, prefix, [dhcp, large, ranged])) in networks.into_iter().enumerate() {
            let net = u32::from(Ipv4Addr::from([10, b, c, 0])) >> (32 - prefix) << (32 - prefix);
            let (name, net) = (format!("n{n}"), Ipv4Addr::from(net));
            let dhcp = if dhcp { "{}" } else { "false" };
            let mtu = if large { 9000 } else { 1500 };
            tables += &format!(
                "[network.{name}]\nsubnet = \"{net}/{prefix}\"\ndhcp = {dhcp}\nmtu = {mtu}\n"
            );
            if ranged {
                let nth = |n: u32| Ipv4Addr::from(u32::from(net) + n);
                tables += &format!("bmcs = \"{}-{}\"\n", nth(3), nth(5));
            }
            names.push((name, net));
        }
        let at = |place: usize| &names[place % names.len()];
        let within =
            |place: usize, last: u8| Ipv4Addr::from(u32::from(at(place).1) + u32::from(last));
        text += &format!("ssh.network = \"{}\"\n", at(home).0);
        text += &tables;
        text += &format!(
            "[service.own]\ncommand = [\"x\"]\nnetwork = \"{}\"\n",
            at(home + 1).0
        );
        for (n, (place, ip, cards)) in nodes.into_iter().enumerate() {
            let kept = |place, ip: Option<u8>| {
                ip.map_or(String::new(), |ip| {
                    format!("ip = \"{}\"", within(place, ip))
                })
            };
            let own = kept(place, ip);
            let cards: Vec<_> = cards
                .into_iter()
                .map(|(place, ip)| {
                    let kept = kept(place, ip);
                    let comma = if kept.is_empty() { "" } else { ", " };
                    format!("{{ network = \"{}\"{comma}{kept} }}", at(place).0)
                })
                .collect();
            text += &format!(
                "[node.a-node-with-a-long-name-{n}]\nnetwork = \"{}\"\n{own}\nnics = [{}]\n",
                at(place).0,
                cards.join(", ")
            );
        }
        text
    })
}

proptest! {
    #[test]
    fn nobody_has_anothers_address_or_one_outside_its_network(text in spelled()) {
        let Ok(lab) = load(&text, &Origin::built_in(None)) else { return Ok(()) };
        for network in lab.networks() {
            let taken = taken(&lab, &network.name);
            let distinct: HashSet<_> = taken.iter().collect();
            prop_assert_eq!(distinct.len(), taken.len(), "{}", text);
            let hosts = |ip: &&Ipv4Addr| network.subnet.hosts().any(|host| host == **ip);
            prop_assert_eq!(taken.iter().filter(hosts).count(), taken.len(), "{}", text);
        }
        let rendered = render(&lab);
        let again = load(&rendered, &Origin::built_in(None));
        prop_assert_eq!(again.as_ref(), Ok(&lab), "{}", rendered);
    }

    #[test]
    fn the_links_of_a_plan_have_names_and_mac_addresses_of_their_own(text in spelled()) {
        let Ok(lab) = load(&text, &Origin::built_in(None)) else { return Ok(()) };
        let finder = Finder::from_env();
        let tools = Tools { ipv6: true, ..Tools::find(&lab, &finder) };
        let keys = Keys { host_private: String::new(), host_public: String::new(), user_private: String::new(), user_public: String::new() };
        let plan = plan(&lab, &tools, &keys).unwrap();
        let (mut links, mut macs) = (HashSet::new(), HashSet::new());
        let mut is_new = |place: Place, link: LinkName, mac: Option<Mac>| {
            let fits = link.as_str().len() <= 15;
            fits && links.insert((place, link)) && mac.is_none_or(|mac| macs.insert(mac))
        };
        for step in plan.network {
            let good = match step {
                Step::AddBridge { place, link, mac, .. } => is_new(place, link, Some(mac)),
                Step::AddTap { place, link, .. } => is_new(place, link, None),
                Step::AddVeth { link, mac, member, peer, peer_mac, .. } => {
                    is_new(Place::Fabric, link, Some(mac))
                        && is_new(Place::Member(member), peer, Some(peer_mac))
                }
                _ => true,
            };
            prop_assert!(good, "{}", text);
        }
    }
}

#[test]
fn dhcpv6_names_ipxe_to_uefi_and_the_script_to_ipxe() {
    let lab = lab("network.ipv6 = \"dhcpv6\"\nnode = false");
    let tools = Tools {
        ipv6: true,
        dnsmasq: Some("/usr/sbin/dnsmasq".into()),
        ..Tools::find(&lab, &Finder::from_env())
    };
    let keys = Keys {
        host_private: String::new(),
        host_public: String::new(),
        user_private: String::new(),
        user_public: String::new(),
    };
    let plan = plan(&lab, &tools, &keys).unwrap().to_string();
    for line in [
        "dhcp-range=fd00:c0a8:19::1000,fd00:c0a8:19::ffff,64,1h",
        "dhcp-match=set:efi64-6,option6:61,00:07",
        "dhcp-option=tag:efi64-6,tag:!ipxe6,option6:bootfile-url,\"tftp://[fd00:c0a8:19::2]/snponly.efi\"",
        "dhcp-option=tag:ipxe6,option6:bootfile-url,http://192.168.25.3/boot.ipxe",
        "ip -n dhcp address add fd00:c0a8:19::2/64 dev eth0 nodad",
    ] {
        assert!(plan.contains(&format!("\n{line}\n")), "{line}: {plan}");
    }
}
