//! Diffs: what has to be done to a lab that runs, so that it is as another plan says.
//!
//! [`diff`] is pure, and compares whole values: what it does not know a gentler way for is a
//! reason to start a member anew. The supervisor carries its answer out.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::file::render;
use crate::lab::{Lab, Lots, Name, Nat, Network};
use crate::node::qemu::Machine;
use crate::plan::{Part, Plan, Runs};
use crate::program::Program;
use crate::service::own;
use crate::step::Step;

/// A value that is longer than so many characters is not shown.
const LONGEST_SHOWN: usize = 48;

/// What has to be done to a lab that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The networks that come.
    pub networks: Vec<Name>,
    /// What is done to the fabric for them.
    #[serde(skip)]
    pub fabric: Vec<Step>,
    /// What is done to members; the others are left alone.
    #[serde(rename = "changes")]
    pub edits: Vec<Edit>,
}

/// What is done to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// The member.
    pub member: Name,
    /// What it is.
    pub kind: Kind,
    /// What is done.
    pub change: Change,
    /// What of it is another, one thing each.
    pub why: Vec<String>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A service.
    Service,
    /// A node.
    Node,
}

/// What is done to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It comes.
    Add,
    /// It goes.
    Remove,
    /// It goes, and comes again with another network.
    Rebuild,
    /// Its programs are ended, and started as they are now.
    Restart,
    /// Its programs go on; what is around them becomes another.
    Adjust,
    /// It is as it was, but stopped, and is started.
    Start,
}

/// Members that are not as their plan says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amiss {
    /// Those that are stopped, or have ended.
    pub stopped: Vec<Name>,
    /// Those that could not even be plugged in.
    pub absent: Vec<Name>,
}

impl Change {
    /// Whether the member is unplugged for it, if it was plugged in.
    #[must_use]
    pub fn unplugs(self) -> bool {
        matches!(self, Self::Remove | Self::Rebuild)
    }

    /// Whether the member is plugged in by it.
    #[must_use]
    pub fn plugs(self) -> bool {
        matches!(self, Self::Add | Self::Rebuild)
    }

    /// Whether the member's files are made anew.
    #[must_use]
    pub fn furnishes(self) -> bool {
        matches!(self, Self::Add | Self::Rebuild | Self::Restart)
    }

    /// Whether the member's programs are started by it.
    #[must_use]
    pub fn starts(self) -> bool {
        self.furnishes() || self == Self::Start
    }
}

impl Diff {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fabric.is_empty() && self.edits.is_empty()
    }
}

/// What has to be done to a lab of the plan `old`, of which some things are amiss, so that it is as
/// `new` says.
///
/// # Errors
/// What cannot become another while the lab runs.
pub fn diff(old: &Plan, new: &Plan, amiss: &Amiss) -> Result<Diff, Vec<String>> {
    let (was, is) = (Spelled::of(&old.lab), Spelled::of(&new.lab));
    let (networks, fabric) = fabric(old, new, &was, &is)?;
    let (before, after) = (old.parts(), new.parts());
    let mut edits = Vec::new();
    for part in &before {
        if !after.iter().any(|kept| kept.name == part.name) {
            edits.push(edit(part, Change::Remove, Vec::new()));
        }
    }
    for part in &after {
        let known = before.iter().find(|known| known.name == part.name);
        let Some(known) = known.filter(|known| !amiss.absent.contains(known.name)) else {
            edits.push(edit(part, Change::Add, Vec::new()));
            continue;
        };
        let is_stopped = amiss.stopped.contains(part.name);
        let change = match compare(known, part, &old.lab, &new.lab) {
            None if is_stopped => Change::Start,
            None => continue,
            Some(Change::Adjust) if is_stopped => Change::Restart,
            Some(change) => change,
        };
        let mut why = differences(&was.table(part.name), &is.table(part.name));
        if why.is_empty() {
            why.push(in_general(change, known, part).to_owned());
        }
        edits.push(edit(part, change, why));
    }
    Ok(Diff {
        networks,
        fabric,
        edits,
    })
}

fn edit(part: &Part<'_>, change: Change, why: Vec<String>) -> Edit {
    Edit {
        member: part.name.clone(),
        kind: match part.runs {
            Runs::Service(_) => Kind::Service,
            Runs::Node(..) => Kind::Node,
        },
        change,
        why,
    }
}

/// The networks that come, and what the fabric gains by them.
fn fabric(
    old: &Plan,
    new: &Plan,
    was: &Spelled,
    is: &Spelled,
) -> Result<(Vec<Name>, Vec<Step>), Vec<String>> {
    // All of a lab is looked at: what it gains has to be looked at here too.
    let Lab {
        name,
        network: _,
        more_networks: _,
        dhcp: _,
        more_dhcp: _,
        web: _,
        ssh: _,
        own: _,
        nodes: _,
        limits: Lots { lab: limits, .. },
        // What was downloaded before is there.
        fetch: _,
    } = &new.lab;
    let mut refused = Vec::new();
    if *name != old.lab.name {
        refused.push(format!("the lab's name `{}`", old.lab.name));
    }
    if *limits != old.lab.limits.lab {
        refused.push("the limits of the lab as a whole".to_owned());
    }
    for network in old.lab.networks() {
        let id = &network.name;
        match new.lab.networks().find(|kept| kept.name == *id) {
            None => refused.push(format!(
                "network `{id}`, which the file does not have any more"
            )),
            Some(kept) if essence(kept) != essence(network) => {
                let why = differences(&was.network(network), &is.network(kept));
                refused.push(format!("network `{id}` ({})", why.join(", ")));
            }
            Some(_) => {}
        }
    }
    let is_new = |network: &&Network| !old.lab.networks().any(|known| known.name == network.name);
    // The way out is made once, for the networks that have it then.
    for network in new.lab.networks().filter(is_new) {
        if network.nat != Nat::Off {
            refused.push(format!("`nat` of network `{}`, which is new", network.name));
        }
    }
    let (before, after) = (old.fabric(), new.fabric());
    if refused.is_empty() && !before.iter().all(|step| after.contains(step)) {
        refused.push("the network between the members".to_owned());
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let networks = new.lab.networks().filter(is_new);
    let gained = after.into_iter().filter(|step| !before.contains(step));
    Ok((
        networks.map(|network| network.name.clone()).collect(),
        gained.cloned().collect(),
    ))
}

/// What of a network cannot become another: the range that addresses are given out from has been
/// made use of by then.
fn essence(network: &Network) -> Network {
    Network {
        bmcs: None,
        ..network.clone()
    }
}

/// What has to be done to a member that is in both plans; none when nothing has.
fn compare(old: &Part<'_>, new: &Part<'_>, was: &Lab, is: &Lab) -> Option<Change> {
    let same_programs = match (old.runs, new.runs) {
        (Runs::Service(old), Runs::Service(new)) => steady(old) == steady(new),
        (Runs::Node(old, old_bmc), Runs::Node(new, new_bmc)) => {
            old_bmc == new_bmc && essential(old) == essential(new)
        }
        (Runs::Service(_), Runs::Node(..)) | (Runs::Node(..), Runs::Service(_)) => {
            return Some(Change::Rebuild);
        }
    };
    if old.steps != new.steps {
        return Some(Change::Rebuild);
    }
    fn roots<'p>(part: &Part<'p>) -> Vec<impl PartialEq + use<'p>> {
        let views = part.views.iter();
        views.map(|view| (&view.at, &view.files)).collect()
    }
    let same_files =
        old.folders == new.folders && old.files == new.files && roots(old) == roots(new);
    let same_limits = was.limits.of(old.name) == is.limits.of(new.name);
    if !same_programs || !same_files || !same_limits {
        return Some(Change::Restart);
    }
    let same_after = own::after(was, old.name) == own::after(is, new.name);
    (old != new || !same_after).then_some(Change::Adjust)
}

/// A program without the texts that it reads again.
fn steady(program: &Program) -> Program {
    let mut steady = program.clone();
    let rereads = &program.rereads;
    for file in &mut steady.files {
        if rereads.contains(&file.path) {
            file.text.clear();
        }
    }
    steady
}

/// A machine without what it need not be started anew for.
fn essential(machine: &Machine) -> Machine {
    let mut essential = machine.clone();
    let node = &mut essential.node;
    node.after.clear();
    node.vnc = None;
    node.power_on = false;
    node.bmc.publish = None;
    node.bmc.scenario.clear();
    essential
}

/// What is another, when no key of the lab file is.
fn in_general(change: Change, old: &Part<'_>, new: &Part<'_>) -> &'static str {
    match change {
        Change::Start => "is stopped",
        Change::Rebuild => "its network",
        Change::Adjust if old.views != new.views => "what it serves",
        Change::Adjust => "the nodes that it knows",
        Change::Add | Change::Remove | Change::Restart => "what it is started with",
    }
}

/// A lab as a file spells it.
struct Spelled(toml::Table);

type Keys = BTreeMap<String, String>;

impl Spelled {
    fn of(lab: &Lab) -> Self {
        Self(render(lab).parse().unwrap_or_default())
    }

    /// The keys of a member's table.
    fn table(&self, name: &Name) -> Keys {
        let name = name.as_str();
        let mut places = vec![vec!["node", name], vec!["service", name], vec![name]];
        if let Some(network) = name.strip_prefix("dhcp-") {
            places.push(vec!["network", network, "dhcp"]);
        }
        self.keys(&places)
    }

    fn network(&self, network: &Network) -> Keys {
        let name = network.name.as_str();
        match network.is_main() {
            true => self.keys(&[vec!["network"]]),
            false => self.keys(&[vec!["network", name]]),
        }
    }

    fn keys(&self, places: &[Vec<&str>]) -> Keys {
        let mut keys = Keys::new();
        for place in places {
            let mut table = Some(&self.0);
            for word in place {
                table = table.and_then(|table| table.get(*word)?.as_table());
            }
            if let Some(table) = table {
                flatten(table, "", &mut keys);
            }
        }
        keys
    }
}

fn flatten(table: &toml::Table, before: &str, keys: &mut Keys) {
    for (key, value) in table {
        let key = format!("{before}{key}");
        match value {
            toml::Value::Table(inner) => flatten(inner, &format!("{key}."), keys),
            toml::Value::String(text) => {
                keys.insert(key, text.clone());
            }
            other => {
                keys.insert(key, other.to_string());
            }
        }
    }
}

/// The keys whose values are others; secrets are not shown.
fn differences(old: &Keys, new: &Keys) -> Vec<String> {
    let all: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let told = all.into_iter().filter_map(|key| {
        let (was, is) = (old.get(key), new.get(key));
        if was == is {
            return None;
        }
        let shown = |value: Option<&String>| value.map_or("none", String::as_str).to_owned();
        let (was, is) = (shown(was), shown(is));
        let is_secret = key.ends_with("password");
        let is_long = was.chars().count().max(is.chars().count()) > LONGEST_SHOWN;
        Some(
            match is_secret || is_long || was.contains('\n') || is.contains('\n') {
                true => key.clone(),
                false => format!("{key} {was} → {is}"),
            },
        )
    });
    told.collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Service => "service",
            Self::Node => "node",
        })
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            member,
            kind,
            change,
            why,
        } = self;
        let (mark, what) = match change {
            Change::Add => ("+", None),
            Change::Remove => ("-", None),
            Change::Rebuild | Change::Restart => ("~", Some("restarts it")),
            Change::Adjust => ("~", Some("it goes on")),
            Change::Start => ("~", Some("starts it")),
        };
        write!(f, "{mark} {kind} {member}")?;
        match what {
            Some(what) => write!(f, ": {} ({what})", why.join(", ")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diff {
    /// One line for each thing that is done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.networks {
            writeln!(f, "+ network {network}")?;
        }
        for edit in &self.edits {
            writeln!(f, "{edit}")?;
        }
        Ok(())
    }
}
