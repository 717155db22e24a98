//! Firewall tables, over nfnetlink (`<linux/netfilter/nf_tables.h>`).
//!
//! A table belongs to the socket that made it (Linux 5.12): nobody else changes or removes it, not
//! by `nft flush ruleset` either, and the kernel removes it as soon as the socket is closed,
//! however its process ends.

use std::io;

use ipnet::Ipv4Net;
use nix::libc;

use super::netlink::{Attributes, Socket};
use crate::lab::LinkName;
use crate::rules::{Chain, Family, Match, Rule, Table, Verdict};

/// A table in the kernel, which is there as long as this value.
#[derive(Debug)]
pub struct OwnTable {
    socket: Socket,
    table: Table,
}

impl OwnTable {
    /// Makes a table in the network namespace of the calling thread.
    ///
    /// # Errors
    /// EOPNOTSUPP where the kernel has no tables or no owners of tables; EEXIST.
    pub fn add(table: Table) -> io::Result<Self> {
        let socket = Socket::netfilter()?;
        let mut batch = Batch::new(table.family);
        batch.put(NEWTABLE, CREATE | EXCL, |it| {
            it.text(1, &table.name);
            it.number(2, TABLE_OWNER);
        });
        for chain in &table.chains {
            batch.chain(&table.name, chain);
        }
        batch.send(&socket)?;
        Ok(Self { socket, table })
    }

    /// Changes the rules of all chains at once; no packet meets half of them.
    ///
    /// # Errors
    /// What the kernel says; then the rules are as they were.
    pub fn replace(&mut self, table: Table) -> io::Result<()> {
        let mut batch = Batch::new(table.family);
        for chain in &self.table.chains {
            batch.put(DELRULE, 0, |it| {
                it.text(1, &self.table.name);
                it.text(2, chain.hook.name());
            });
        }
        for chain in &table.chains {
            batch.rules(&table.name, chain);
        }
        batch.send(&self.socket)?;
        self.table = table;
        Ok(())
    }
}

/// The chains of this network namespace by which packets that pass through it are dropped unless
/// a rule says otherwise, each as `table/chain`.
///
/// # Errors
/// EOPNOTSUPP where the kernel has no tables.
pub fn closed_chains() -> io::Result<Vec<String>> {
    let socket = Socket::netfilter()?;
    let mut request = Vec::new();
    let begun = begin(&mut request, kind(GETCHAIN), REQUEST | DUMP, 0, 0);
    finish(&mut request, begun);
    let mut closed = Vec::new();
    for message in socket.list(&request)? {
        // Behind the family, version and resource.
        let chain = attributes(message.body.get(4..).unwrap_or_default());
        let find = |chain: &[(u16, Vec<u8>)], wanted| {
            let found = chain.iter().find(|(kind, _)| *kind == wanted);
            found.map(|(_, value)| value.clone())
        };
        let text = |wanted| {
            let bytes = find(&chain, wanted).unwrap_or_default();
            String::from_utf8_lossy(&bytes)
                .trim_end_matches('\0')
                .to_owned()
        };
        let hook = find(&chain, 4).map(|hook| attributes(&hook));
        let hook = hook.and_then(|hook| find(&hook, 1));
        let drops = find(&chain, 5) == Some(NF_DROP.to_be_bytes().to_vec());
        if drops && hook == Some(NF_INET_FORWARD.to_be_bytes().to_vec()) {
            closed.push(format!("{}/{}", text(1), text(3)));
        }
    }
    Ok(closed)
}

// Messages, their flags and values of the headers named above.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = 0;
const NEWCHAIN: u16 = 3;
const GETCHAIN: u16 = 4;
const NEWRULE: u16 = 6;
const DELRULE: u16 = 8;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCL: u16 = 0x200;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const TABLE_OWNER: u32 = 2;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NF_INET_FORWARD: u32 = 2;
const NESTED: u16 = 0x8000;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
/// Where addresses are in an IPv4 header (RFC 791, section 3.1).
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
/// `IFNAMSIZ`.
const LINK_NAME: usize = 16;

fn kind(message: u16) -> u16 {
    (SUBSYSTEM << 8) | message
}

/// Messages that take effect together or not at all.
struct Batch {
    family: u8,
    bytes: Vec<u8>,
    answers: usize,
}

impl Batch {
    fn new(family: Family) -> Self {
        let mut bytes = Vec::new();
        let begun = begin(&mut bytes, BATCH_BEGIN, REQUEST, 0, SUBSYSTEM);
        finish(&mut bytes, begun);
        let family = match family {
            Family::Inet => 1,
            Family::Ip => 2,
        };
        Self {
            family,
            bytes,
            answers: 0,
        }
    }

    fn put(&mut self, message: u16, flags: u16, fill: impl FnOnce(&mut Attributes)) {
        let flags = flags | REQUEST | ACK;
        let begun = begin(&mut self.bytes, kind(message), flags, self.family, 0);
        fill(&mut Attributes(&mut self.bytes));
        finish(&mut self.bytes, begun);
        self.answers += 1;
    }

    fn chain(&mut self, table: &str, chain: &Chain) {
        let (name, (kind, priority)) = (chain.hook.name(), chain.hook.kind());
        self.put(NEWCHAIN, CREATE, |it| {
            it.text(1, table);
            it.text(3, name);
            it.nest(4, |hook| {
                hook.number(1, number(chain));
                hook.number(2, priority.cast_unsigned());
            });
            it.number(5, if chain.drops { NF_DROP } else { NF_ACCEPT });
            it.text(7, kind);
        });
        self.rules(table, chain);
    }

    fn rules(&mut self, table: &str, chain: &Chain) {
        let family = self.family;
        for rule in &chain.rules {
            self.put(NEWRULE, CREATE | APPEND, |it| {
                it.text(1, table);
                it.text(2, chain.hook.name());
                it.nest(4, |list| expressions(list, rule, family));
            });
        }
    }

    fn send(mut self, socket: &Socket) -> io::Result<()> {
        let begun = begin(&mut self.bytes, BATCH_END, REQUEST, 0, SUBSYSTEM);
        finish(&mut self.bytes, begun);
        socket.send(&self.bytes, self.answers)
    }
}

/// `enum nf_inet_hooks` of `<linux/netfilter.h>`.
fn number(chain: &Chain) -> u32 {
    use crate::rules::Hook;
    match chain.hook {
        Hook::Input => 1,
        Hook::Forward => NF_INET_FORWARD,
        Hook::Postrouting => 4,
    }
}

/// A rule as the kernel's small machine runs it.
fn expressions(list: &mut Attributes, rule: &Rule, family: u8) {
    /// Keys of `meta`.
    const IIFNAME: u32 = 6;
    const OIFNAME: u32 = 7;

    for found in &rule.matches {
        match found {
            Match::In(link) => {
                list.load_meta(IIFNAME);
                list.compare(0, &padded(link));
            }
            Match::Out(link) => {
                list.load_meta(OIFNAME);
                list.compare(0, &padded(link));
            }
            Match::From(net) => list.is_in(*net, SOURCE, family),
            Match::To(net) => list.is_in(*net, DESTINATION, family),
            Match::GoingOn => {
                list.expression("ct", |it| {
                    it.number(1, REGISTER);
                    it.number(2, 0);
                });
                // A bit for each state: 2 for established, 4 for related.
                list.mask(&6_u32.to_ne_bytes());
                list.compare(1, &0_u32.to_ne_bytes());
            }
        }
    }
    let code = match rule.verdict {
        Verdict::Accept => NF_ACCEPT,
        Verdict::Drop => NF_DROP,
        Verdict::Masquerade => return list.expression("masq", |_| {}),
    };
    list.expression("immediate", |it| {
        it.number(1, VERDICT_REGISTER);
        it.nest(2, |data| data.nest(2, |verdict| verdict.number(1, code)));
    });
}

fn padded(link: &LinkName) -> [u8; LINK_NAME] {
    let mut padded = [0; LINK_NAME];
    for (to, from) in padded.iter_mut().zip(link.as_str().bytes()) {
        *to = from;
    }
    padded
}

/// Begins a message; [`finish`] writes its length.
fn begin(bytes: &mut Vec<u8>, kind: u16, flags: u16, family: u8, resource: u16) -> usize {
    let begun = bytes.len();
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // The kernel answers by sequence number and port, of which nobody here asks.
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    begun
}

#[allow(clippy::cast_possible_truncation)]
fn finish(bytes: &mut [u8], begun: usize) {
    let length = (bytes.len() - begun) as u32;
    bytes[begun..begun + 4].copy_from_slice(&length.to_ne_bytes());
}

impl Attributes<'_> {
    fn number(&mut self, kind: u16, number: u32) {
        self.put(kind, |it| it.0.extend(number.to_be_bytes()));
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        self.put(kind | NESTED, fill);
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) {
        self.nest(1, |it| {
            it.text(1, name);
            it.nest(2, fill);
        });
    }

    fn load_meta(&mut self, key: u32) {
        self.expression("meta", |it| {
            it.number(1, REGISTER);
            it.number(2, key);
        });
    }

    /// Goes on if the register is equal to (0) or other than (1) `value`.
    fn compare(&mut self, how: u32, value: &[u8]) {
        self.expression("cmp", |it| {
            it.number(1, REGISTER);
            it.number(2, how);
            it.nest(3, |data| data.put(1, |it| it.0.extend(value)));
        });
    }

    /// Goes on if the address at `offset` of an IPv4 header is in `net`.
    fn is_in(&mut self, net: Ipv4Net, offset: u32, family: u8) {
        /// The key of `meta` for the family of a packet, which both families have.
        const NFPROTO: u32 = 15;

        if family == 1 {
            self.load_meta(NFPROTO);
            self.compare(0, &[2]);
        }
        self.expression("payload", |it| {
            it.number(1, REGISTER);
            // The network header.
            it.number(2, 1);
            it.number(3, offset);
            it.number(4, 4);
        });
        self.mask(&net.netmask().octets());
        self.compare(0, &net.network().octets());
    }

    /// Keeps the bits of the register that are set in `mask`.
    fn mask(&mut self, mask: &[u8; 4]) {
        self.expression("bitwise", |it| {
            it.number(1, REGISTER);
            it.number(2, REGISTER);
            it.number(3, 4);
            it.nest(4, |data| data.put(1, |it| it.0.extend(mask)));
            it.nest(5, |data| data.put(1, |it| it.0.extend([0; 4])));
        });
    }
}

/// Kind and value of each attribute.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let [a, b, c, d, ..] = bytes {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let kind = u16::from_ne_bytes([*c, *d]) & !NESTED;
        let Some(value) = bytes.get(4..length) else {
            break;
        };
        all.push((kind, value.to_owned()));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// Whether an error says that the kernel cannot keep such a table.
#[must_use]
pub fn is_unsupported(error: &io::Error) -> bool {
    let known = [
        libc::EOPNOTSUPP,
        libc::EPROTONOSUPPORT,
        libc::EINVAL,
        libc::ENOENT,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| known.contains(&code))
}
