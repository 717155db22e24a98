//! Whom members wait for: `after`, read, checked and spelled.

use std::collections::HashMap;

use toml::de::DeValue;

use super::own::OwnFile;
use super::render::quoted;
use super::report::Notes;
use super::spell::NodeFile;
use super::value;
use super::walk::{Read, Table, Wrong, either, nearest};
use crate::lab::{Awaited, Name, Stage};

/// An `after` and where its words are.
type After = Read<Vec<(Awaited, usize)>>;

/// What `table`'s member waits for.
pub(super) fn read(table: &Table) -> After {
    table.read_list("after", "[\"web\"]", awaited)
}

fn awaited(value: &DeValue) -> Result<Awaited, Wrong> {
    const WHAT: &str =
        "a service such as \"web\", or a node and a boot stage such as \"node1:userland\"";
    let typed = value::text(value, WHAT)?;
    let name = |name| Name::new(name).map_err(|_| Wrong::want(WHAT));
    let Some((node, stage)) = typed.split_once(':') else {
        return name(typed).map(Awaited::Service);
    };
    let stages = Stage::ALL.map(|stage| stage.to_string());
    let words: Vec<&str> = stages.iter().map(String::as_str).collect();
    let stage = value::word(&DeValue::String(stage.into()), &words)?;
    Ok(Awaited::Stage(name(node)?, Stage::ALL[stage]))
}

/// Notes what `files` and `nodes` wait for in vain: members that are not there, and each other.
///
/// `others` are the services that wait for nobody.
pub(super) fn check(files: &[OwnFile], nodes: &[NodeFile], others: &[&str], notes: &Notes) {
    let services = files
        .iter()
        .map(|file| ("service", &file.name, &file.after));
    let machines = nodes.iter().map(|node| ("node", &node.name, &node.after));
    let all: Vec<(&str, &Name, &After)> = services.chain(machines).collect();
    let waits: Waits = all
        .iter()
        .filter_map(|(_, name, after)| match after {
            Read::Given(list, _) => Some((*name, list.as_slice())),
            Read::Absent | Read::Bad => None,
        })
        .collect();
    let known = Known {
        services: others
            .iter()
            .copied()
            .chain(files.iter().map(|file| file.name.as_str()))
            .collect(),
        nodes: nodes.iter().map(|node| node.name.as_str()).collect(),
    };
    for (kind, name, after) in all {
        let Read::Given(list, _) = after else {
            continue;
        };
        let who = format!("{kind} `{name}`");
        for (awaited, at) in list {
            known.check(awaited, &who, *at, notes);
            // Told once, by the first of a circle's names.
            if let Some(way) = way(awaited.member(), name, &waits)
                && way.iter().all(|other| name <= *other)
            {
                let way: Vec<_> = way.iter().map(|name| name.as_str()).collect();
                let message = format!(
                    "{who}: it would wait for itself: {name} → {}",
                    way.join(" → ")
                );
                notes.add(Some(*at), message, None);
            }
        }
    }
}

/// The members that can be waited for.
struct Known<'n> {
    services: Vec<&'n str>,
    nodes: Vec<&'n str>,
}

impl Known<'_> {
    /// Notes `awaited` if it names nobody.
    fn check(&self, awaited: &Awaited, who: &str, at: usize, notes: &Notes) {
        let (name, known, kind) = match awaited {
            Awaited::Service(name) => (name.as_str(), &self.services, "service"),
            Awaited::Stage(name, _) => (name.as_str(), &self.nodes, "node"),
        };
        if known.contains(&name) {
            return;
        }
        let message = format!("{who}: `after` names `{name}`, which is no {kind} of this lab");
        let hint = match (awaited, nearest(name, known)) {
            (Awaited::Service(_), _) if self.nodes.contains(&name) => {
                format!("of a node a boot stage is waited for: \"{name}:userland\"")
            }
            (_, Some(near)) => format!("did you mean \"{near}\"?"),
            (_, None) => format!("there is {}", either(known, '"')),
        };
        notes.add(Some(at), message, Some(hint));
    }
}

/// Who waits for whom.
type Waits<'n> = HashMap<&'n Name, &'n [(Awaited, usize)]>;

/// Whom one waits for after another, from `from` until `to`.
fn way<'n>(from: &'n Name, to: &Name, waits: &Waits<'n>) -> Option<Vec<&'n Name>> {
    let mut seen = vec![(from, usize::MAX)];
    let mut next = 0;
    while let Some((name, _)) = seen.get(next).copied() {
        if name == to {
            let mut way = Vec::new();
            let mut at = next;
            while let Some((name, before)) = seen.get(at).copied() {
                way.insert(0, name);
                at = before;
            }
            return Some(way);
        }
        for (awaited, _) in waits.get(name).copied().unwrap_or_default() {
            let name = awaited.member();
            if !seen.iter().any(|(known, _)| *known == name) {
                seen.push((name, next));
            }
        }
        next += 1;
    }
    None
}

/// An `after` as the lab file has it.
pub(super) fn spell(after: &[Awaited]) -> String {
    let words: Vec<_> = after.iter().map(quoted).collect();
    format!("[{}]", words.join(", "))
}
