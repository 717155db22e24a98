//! Many nodes from few lines: `[defaults]`, and tables with a `count`.
//!
//! What several nodes have from one place counts up from node to node where no two may have the
//! same: addresses, MAC addresses, published ports. Texts say where the number goes.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};

use toml::de::{DeTable, DeValue};

use super::report::{Notes, shown};
use super::value;
use super::walk::{Read, Table, Wrong};
use crate::lab::{Mac, Name};

/// 64 nodes take 20 s and 1.6 GB to their first DHCP request; beyond it nothing was tried.
pub(super) const MOST_NODES: usize = 64;

const PATTERNS: &str =
    "write {n}, {n:02} or {n:02x} for the node's number, {name} for the node's name";

/// A node among those that a lab file makes.
pub(super) struct Seat<'a> {
    pub(super) name: Name,
    /// The byte of its name.
    pub(super) at: usize,
    /// How messages name it: ``node `worker3` ``.
    pub(super) scope: String,
    /// Its number among the nodes of its table, from 1, and how many they are; none if it is the
    /// only one.
    pub(super) number: Option<(usize, usize)>,
    /// Its place in the lab, from 0.
    pub(super) place: usize,
    /// The bytes of what it has from `[defaults]`.
    pub(super) inherited: &'a HashSet<usize>,
}

/// The nodes of one table, by their names.
pub(super) struct Group {
    pub(super) names: Vec<Name>,
    pub(super) counted: bool,
}

/// The nodes that the table of this name makes; none of those whose names were refused.
pub(super) fn group<'a>(
    table: &str,
    at: usize,
    entries: &'a DeTable<'a>,
    notes: &'a Notes<'a>,
) -> Group {
    let scope = format!("node `{}`", shown(table));
    let keys = Table::within(notes, &scope, Some(entries), &["count", "name"]);
    let pattern = keys.read("name", |v| value::text(v, PATTERN).map(str::to_owned));
    let count = match keys.read("count", count) {
        Read::Given(count, _) => count,
        Read::Bad => 1,
        Read::Absent => {
            if let Read::Given(_, at) = pattern {
                let message = format!("{scope}: `name` goes with `count`");
                let hint = "the name of a single node stands in its table: [node.NAME]";
                notes.add(Some(at), message, Some(hint.to_owned()));
            }
            return Group {
                names: named(table, at, &scope, notes).into_iter().collect(),
                counted: false,
            };
        }
    };
    notes.share([at]);
    let (pattern, at) = match pattern {
        Read::Given(pattern, at) => (pattern, at),
        Read::Absent | Read::Bad => (format!("{table}{{n}}"), at),
    };
    let one = |n| filled(&pattern, n, table).ok();
    if count > 1 && one(1).is_some() && one(1) == one(2) {
        let message = format!("{scope}: `name` gives all {count} nodes one name");
        let hint = format!("write name = \"{}-{{n}}\"", shown(&pattern));
        notes.add(Some(at), message, Some(hint));
        return Group {
            names: Vec::new(),
            counted: true,
        };
    }
    let name = |n| match filled(&pattern, n, table) {
        Ok(name) => named(&name, at, &scope, notes),
        Err(wrong) => {
            let message = format!("{scope}: `name` holds an unknown pattern");
            notes.add(Some(at), message, wrong.hint);
            None
        }
    };
    Group {
        names: (1..=count).map_while(name).collect(),
        counted: true,
    }
}

const PATTERN: &str = "a pattern such as \"worker-{n:02}\"";

fn count(value: &DeValue) -> Result<usize, Wrong> {
    value::whole(value, 1..=64).map(|count| count as usize)
}

fn named(name: &str, at: usize, scope: &str, notes: &Notes) -> Option<Name> {
    let good = Name::new(name);
    if good.is_err() {
        let which = match format!("node `{}`", shown(name)) == scope {
            true => "this".to_owned(),
            false => format!("`{}`", shown(name)),
        };
        let message = format!("{scope}: {which} is no name for a node");
        let hint = "use 1 to 32 lower-case letters, digits and hyphens, a letter or digit first, such as [node.node1]";
        notes.add(Some(at), message, Some(hint.to_owned()));
    }
    good.ok()
}

impl Seat<'_> {
    /// How many nodes have what stands at byte `at` before this one does; none if it is this
    /// node's alone.
    fn steps(&self, at: usize) -> Option<usize> {
        match self.inherited.contains(&at) {
            true => Some(self.place),
            false => self.number.map(|(number, _)| number - 1),
        }
    }

    /// How near to the node what stands at byte `at` is: its own table goes before `[defaults]`, a
    /// later file before an earlier one.
    pub(super) fn nearness(&self, at: usize, notes: &Notes) -> (bool, usize) {
        (!self.inherited.contains(&at), notes.file_of(at))
    }

    /// What to say when counting up leads nowhere.
    fn no_room(&self, what: &str, at: usize) -> Wrong {
        let nodes = match (self.inherited.contains(&at), self.number) {
            (false, Some((_, count))) => count,
            (true, _) | (_, None) => self.place + 1,
        };
        Wrong::want(format!("{what} that leaves room for {nodes} nodes"))
            .hint("it counts up from node to node")
    }

    /// An address that counts up.
    pub(super) fn address(&self, value: &DeValue, at: usize) -> Result<Ipv4Addr, Wrong> {
        let base = value::address(value)?;
        let up = u32::try_from(self.steps(at).unwrap_or(0)).ok();
        up.and_then(|up| u32::from(base).checked_add(up))
            .map(Ipv4Addr::from)
            .ok_or_else(|| self.no_room("an address", at))
    }

    /// A MAC address that counts up, or a pattern for one.
    pub(super) fn mac(&self, value: &DeValue, at: usize) -> Result<Mac, Wrong> {
        if value.as_str().is_some_and(|text| text.contains('{')) {
            return self.text(value, at, value::mac);
        }
        let base = value::mac(value)?;
        base.after(self.steps(at).unwrap_or(0))
            .ok_or_else(|| self.no_room("a MAC address", at))
    }

    /// An address and port of the host, of which the port counts up, or `false`.
    pub(super) fn publish(
        &self,
        value: &DeValue,
        at: usize,
        example: &str,
    ) -> Result<Option<SocketAddr>, Wrong> {
        let Some(mut base) = value::publish(value, example)? else {
            return Ok(None);
        };
        let up = u16::try_from(self.steps(at).unwrap_or(0)).ok();
        let port = up.and_then(|up| base.port().checked_add(up));
        base.set_port(port.ok_or_else(|| self.no_room("a port", at))?);
        Ok(Some(base))
    }

    /// A text with the node's number and name in it, read by `parse`.
    pub(super) fn text<T>(
        &self,
        value: &DeValue,
        at: usize,
        parse: impl FnOnce(&DeValue) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        let (Some(steps), Some(pattern)) = (self.steps(at), value.as_str()) else {
            return parse(value);
        };
        let text = filled(pattern, steps + 1, self.name.as_str())?;
        parse(&DeValue::String(text.into()))
    }
}

/// `pattern` with the number and the name in their places.
fn filled(pattern: &str, n: usize, name: &str) -> Result<String, Wrong> {
    let unknown = || Wrong::want("patterns that are known").hint(PATTERNS);
    let mut filled = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').ok_or_else(unknown)?;
        filled += before;
        filled += &match inside.split_once(':') {
            None if inside == "n" => n.to_string(),
            None if inside == "name" => name.to_owned(),
            Some(("n", format)) => number(n, format).ok_or_else(unknown)?,
            None | Some(_) => return Err(unknown()),
        };
        rest = after;
    }
    Ok(filled + rest)
}

/// A number as `02`, `x` or `02x` has it: a width from 1 to 9 in zeros, hexadecimal or not.
fn number(n: usize, format: &str) -> Option<String> {
    let (width, hexadecimal) = match format.strip_suffix('x') {
        Some(width) => (width, true),
        None => (format, false),
    };
    let width = match width.strip_prefix('0') {
        None if width.is_empty() && hexadecimal => 0,
        Some(width) if width.len() == 1 => width.parse().ok().filter(|width| *width > 0)?,
        None | Some(_) => return None,
    };
    Some(match hexadecimal {
        true => format!("{n:0width$x}"),
        false => format!("{n:0width$}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_with_number_and_name() {
        let text = |pattern| filled(pattern, 26, "worker26").ok();
        assert_eq!(text("SN-{n}").unwrap(), "SN-26");
        assert_eq!(text("{n:04}/{n:04x}/{n:x}").unwrap(), "0026/001a/1a");
        assert_eq!(text("{name}}").unwrap(), "worker26}");
        for bad in [
            "{", "{n", "{}", "{m}", "{n:}", "{n:2}", "{n:0}", "{n:00}", "{n:02d}", "{n:-1}",
        ] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }
}
