//! Limits: `[limits]`, and the key `limits` of members, read, checked and spelled.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use toml::de::DeValue;

use super::render::quoted;
use super::report::Notes;
use super::spell::{LabFile, NodeFile, Service};
use super::value::{self, spell_size};
use super::walk::{Read, Table, Wrong};
use crate::lab::Name;
use crate::lab::limits::{Limits, Lots, QEMU_MIB};

/// The keys of `[limits]`, and of every member's `limits`.
pub(super) const LIMITS: &[&str] = &["memory", "cpus", "pids"];

/// In MiB: no program of the lab starts with less, no host has more.
const MEMORY: (u64, u64) = (8, 1 << 24);

/// In thousandths: the kernel counts no less than a millisecond of a hundred (cgroup v2, `cpu.max`).
const CPUS: (f64, f64) = (0.01, 1024.0);

/// As many as any Linux has at once (`kernel.pid_max`).
const PIDS: (u32, u32) = (8, 1 << 22);

/// Limits as they stand in a file.
#[derive(Clone, Debug)]
pub(super) struct LimitsFile {
    memory: Read<Option<u64>>,
    cpus: Read<Option<u32>>,
    pids: Read<Option<u32>>,
}

/// The limits of what `table` is the table of; `scope` is how messages about them begin.
pub(super) fn spell(table: &Table, scope: &str, notes: &Notes) -> LimitsFile {
    let entries = match table.read_table("limits", false) {
        Read::Given(entries, _) => entries,
        Read::Absent | Read::Bad => None,
    };
    let table = Table::open(notes, scope, entries, LIMITS);
    LimitsFile {
        memory: table.read("memory", |v| {
            or_false(v, |v| {
                value::size(v, "a size such as \"256MiB\", or false", MEMORY)
            })
        }),
        cpus: table.read("cpus", |v| or_false(v, cpus)),
        pids: table.read("pids", |v| or_false(v, pids)),
    }
}

fn or_false<T>(
    value: &DeValue,
    parse: impl Fn(&DeValue) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    match value.as_bool() {
        Some(false) => Ok(None),
        Some(true) | None => parse(value).map(Some),
    }
}

fn cpus(value: &DeValue) -> Result<u32, Wrong> {
    let want = || Wrong::want("a number of processors from 0.01 to 1024, or false");
    let number: f64 = match value {
        DeValue::Integer(number) => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
    .filter(|number| (CPUS.0..=CPUS.1).contains(number))
    .ok_or_else(want)?;
    // It is within the range, so it fits; less than a thousandth makes no difference.
    Ok((number * 1000.0).round() as u32)
}

fn pids(value: &DeValue) -> Result<u32, Wrong> {
    let number = value.as_integer();
    number
        .and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok())
        .filter(|n| (PIDS.0..=PIDS.1).contains(n))
        .ok_or_else(|| {
            let (least, most) = PIDS;
            Wrong::want(format!("a whole number from {least} to {most}, or false"))
        })
}

impl LimitsFile {
    fn or(&self, default: Limits) -> Limits {
        Limits {
            memory_mib: self.memory.clone().or(default.memory_mib).value,
            millicpus: self.cpus.clone().or(default.millicpus).value,
            pids: self.pids.clone().or(default.pids).value,
        }
    }
}

/// The limits of the lab and of its members; a node that could not run within them is noted.
pub(super) fn check(file: &LabFile, notes: &Notes) -> Lots {
    let mut members = BTreeMap::new();
    let mut add = |name: &Name, limits: &LimitsFile| {
        members.insert(name.clone(), limits.or(Limits::MEMBER));
    };
    let known = |name| Name::new(name).expect("the names in this file are names");
    if let Service::On(dhcp) = &file.dhcp {
        add(&known("dhcp"), &dhcp.limits);
    }
    if let Service::On(web) = &file.web {
        add(&known("web"), &web.limits);
    }
    if let Service::On(ssh) = &file.ssh {
        add(&known("ssh"), &ssh.limits);
    }
    for own in &file.own {
        add(&own.name, &own.limits);
    }
    for node in &file.nodes {
        add(&node.name, &node.limits);
        let own = format!("node `{}`: `limits.memory`", node.name);
        holds_guest(node, &node.limits.memory, &own, notes);
        holds_guest(node, &file.limits.memory, "[limits] `memory`", notes);
    }
    Lots {
        lab: file.limits.or(Limits::default()),
        members,
    }
}

/// Notes a limit that a node's guest does not fit in.
fn holds_guest(node: &NodeFile, limit: &Read<Option<u64>>, which: &str, notes: &Notes) {
    let (Read::Given(Some(limit), at), memory) = (limit, node.memory_mib.clone()) else {
        return;
    };
    if matches!(memory, Read::Bad) {
        return;
    }
    let memory = u64::from(memory.or(super::check::MEMORY_MIB).value);
    if *limit >= memory + QEMU_MIB {
        return;
    }
    let message = format!(
        "{which} is {}, less than node `{}` needs: its `memory` of {} and {QEMU_MIB}MiB for QEMU",
        spell_size(*limit),
        node.name,
        spell_size(memory),
    );
    let hint = "raise the limit, or lower the node's `memory`".to_owned();
    notes.add(Some(*at), message, Some(hint));
}

/// `limits` as the value of a key.
pub(super) fn spelled(limits: &Limits) -> String {
    let pairs = pairs(limits).map(|(key, value)| format!("{key} = {value}"));
    format!("{{ {} }}", pairs.join(", "))
}

/// The table `[limits]`.
pub(super) fn render(out: &mut String, limits: &Limits) -> fmt::Result {
    writeln!(out, "\n[limits]")?;
    let mut pairs = pairs(limits).into_iter();
    pairs.try_for_each(|(key, value)| writeln!(out, "{key} = {value}"))
}

fn pairs(limits: &Limits) -> [(&'static str, String); 3] {
    fn or_false(value: Option<impl Display>) -> String {
        value.map_or_else(|| "false".to_owned(), |value| value.to_string())
    }
    let memory = limits.memory_mib.map(|mib| quoted(spell_size(mib)));
    [
        ("memory", or_false(memory)),
        ("cpus", or_false(limits.cpus())),
        ("pids", or_false(limits.pids)),
    ]
}
