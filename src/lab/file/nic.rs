//! Network cards: a node's `network`, `nic`, `mac` and `ip`, and its list `nics`.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::addresses::from;
use super::fleet::Seat;
use super::network::Networks;
use super::render::quoted;
use super::report::Notes;
use super::spell::NodeFile;
use super::value;
use super::walk::{At, Read, Table};
use crate::lab::{Mac, Name, Nic, NicModel, Node};

/// The keys of a table in `nics`.
pub(super) const NIC: &[&str] = &["network", "model", "mac", "ip"];

/// Each takes one of the 32 places of QEMU's bus, and no board has more.
const MOST: usize = 7;

/// A network card.
pub(super) struct NicFile {
    pub(super) network: Read<Name>,
    pub(super) model: Read<NicModel>,
    pub(super) mac: Read<Mac>,
    pub(super) ip: Read<Ipv4Addr>,
}

/// The cards of a node: the first, which its own keys describe, and those in `nics`.
pub(super) fn spell(table: &Table, seat: &Seat, notes: &Notes) -> Vec<NicFile> {
    let card = |table: &Table, model| NicFile {
        network: table.read("network", value::name),
        model: table.read(model, |v| value::choice(v, &NicModel::ALL)),
        mac: table.read_at("mac", |v, at| seat.mac(v, at)),
        ip: table.read_at("ip", |v, at| seat.address(v, at)),
    };
    let mut cards = vec![card(table, "nic")];
    let more = table.read_tables("nics", "[{ network = \"data\" }]");
    if let Some((_, one_too_many)) = more.get(MOST) {
        let message = format!(
            "{}: {} network cards in `nics` are too many: {MOST} is the most",
            seat.scope,
            more.len()
        );
        notes.add(Some(*one_too_many), message, None);
    }
    for (n, (entries, _)) in more.into_iter().take(MOST).enumerate() {
        let scope = format!("{}: {}", seat.scope, called(n + 1));
        let table = Table::open(notes, &scope, Some(entries), NIC);
        cards.push(card(&table, "model"));
    }
    cards
}

/// What the `nth` card from 0 is called; the number is that of `boot`.
fn called(nth: usize) -> String {
    format!("NIC {}", nth + 1)
}

/// The cards of a node, `usual` ones if it does not say, with the addresses that DHCP keeps for
/// them; the first is its main one.
pub(super) fn check(
    files: Vec<NicFile>,
    usual: NicModel,
    node: &Name,
    lab: &Name,
    networks: &mut Networks,
) -> (Nic, Vec<Nic>) {
    let who = format!("node `{node}`");
    let (mut first_network, mut first_model) = (None, usual);
    let mut cards = Vec::new();
    for (nth, file) in files.into_iter().enumerate() {
        let (whose, card) = match nth {
            0 => (who.clone(), format!("the NIC of {who}")),
            nth => {
                let called = called(nth);
                (format!("{who}: {called}"), format!("{called} of {who}"))
            }
        };
        let place = match (&file.network, nth) {
            (Read::Absent, 1..) => first_network,
            (read, _) => networks.place(&whose, read),
        };
        let model = file.model.or(first_model).value;
        if nth == 0 {
            (first_network, first_model) = (place, model);
        }
        cards.push(Nic {
            network: networks.name(place),
            model,
            ip: networks.reserve(&whose, &card, place, file.ip),
            mac: file.mac.or_else(|| default_mac(node, nth, lab)).value,
        });
    }
    let first = cards.remove(0);
    (first, cards)
}

/// Notes the MAC addresses that two cards have.
pub(super) fn check_macs(files: &[NodeFile], lab: &Name, notes: &Notes) {
    let mut macs: Vec<(Mac, At, &NodeFile, usize)> = Vec::new();
    for file in files {
        for (nth, card) in file.nics.iter().enumerate() {
            match card.mac {
                Read::Absent => {
                    macs.push((default_mac(&file.name, nth, lab), At::Default, file, nth));
                }
                Read::Bad => {}
                Read::Given(mac, at) => macs.push((mac, At::File(at), file, nth)),
            }
        }
    }
    // Defaults first, so that a clash is told where the file can be changed.
    macs.sort_by_key(|(_, at, _, _)| at.byte());
    let of = |file: &NodeFile, nth: usize| match nth {
        0 => format!("node `{}`", file.name),
        nth => format!("node `{}`: {}", file.name, called(nth)),
    };
    let mut seen: HashMap<Mac, (At, &NodeFile, usize)> = HashMap::new();
    for (mac, at, file, nth) in macs {
        let Some((other_at, other, other_nth)) = seen.get(&mac) else {
            seen.insert(mac, (at, file, nth));
            continue;
        };
        let other = of(other, *other_nth);
        let message = format!(
            "{}: mac {mac} is taken by {other} ({})",
            of(file, nth),
            from(notes, *other_at)
        );
        let hint = match default_mac(&file.name, nth, lab) {
            own if own != mac => format!("leave `mac` out to get {own}"),
            _ => format!("change it, or that of {other}"),
        };
        notes.add(Some(at.byte().unwrap_or(file.at)), message, Some(hint));
    }
}

/// The MAC address of a card for which the file gives none.
///
/// It depends on names alone, so that adding a node changes no other's.
fn default_mac(node: &Name, nth: usize, lab: &Name) -> Mac {
    match (node.as_str(), nth) {
        ("node1", 0) => "00:aa:bb:cc:dd:ee".parse().expect("this is a MAC address"),
        (node, 0) => Mac::derived(&format!("{lab}/{node}")),
        (node, nth) => Mac::derived(&format!("{lab}/{node}/nic{}", nth + 1)),
    }
}

/// Spells the cards beyond the first, as a list.
pub(super) fn render_more(node: &Node) -> String {
    let card = |nic: &Nic| {
        let ip = nic.ip.map(|ip| format!(", ip = {}", quoted(ip)));
        format!(
            "{{ network = {}, model = {}, mac = {}{} }}",
            quoted(&nic.network),
            quoted(nic.model),
            quoted(nic.mac),
            ip.unwrap_or_default()
        )
    };
    let cards: Vec<_> = node.more_nics.iter().map(card).collect();
    format!("[{}]", cards.join(", "))
}
