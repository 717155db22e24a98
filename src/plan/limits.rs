//! Limits in a plan: what of them this host cannot enforce, and what stands for them on a terminal.

use std::fmt;

use super::Plan;
use crate::host::cgroups::{Cgroups, DELEGATE};
use crate::lab::{Lab, Limits, Name};

/// What of a lab's limits is not enforced by `by`, in a sentence; none when all are.
///
/// The limit of processes that members have by themselves is always tried, and not spoken of.
#[must_use]
pub fn unenforced(lab: &Lab, by: &Cgroups, one_user: bool) -> Option<String> {
    let all = &lab.limits;
    let members = lab.members().into_iter();
    let is_node = |name: &Name| lab.nodes.iter().any(|node| node.name == *name);
    let (mut memory, mut cpus, mut pids) = (false, false, false);
    let mut each = false;
    for name in members {
        let limits = all.of(name);
        cpus |= limits.millicpus.is_some();
        memory |= limits.memory_mib.is_some() && is_node(name);
        each |= limits.memory_mib.is_some() && !is_node(name);
        pids |= limits
            .pids
            .is_some_and(|pids| pids < Limits::MEMBER.pids.unwrap_or(0));
    }
    memory |= all.lab.memory_mib.is_some();
    cpus |= all.lab.millicpus.is_some();
    let lacks = |controller: &str, asked: bool| asked && !by.has(controller);
    let mut without = Vec::new();
    if lacks("memory", memory) {
        without.push("the memory of nodes and of the lab as a whole");
    }
    if lacks("cpu", cpus) {
        without.push("the processors' time");
    }
    if lacks("pids", all.lab.pids.is_some()) {
        without.push("the number of the lab's processes");
    }
    if let Cgroups::Not { counts: false, .. } = by
        && one_user
        && pids
    {
        without.push("the number of members' processes");
    }
    let why = match by {
        Cgroups::Not {
            why, unowned: true, ..
        } => {
            format!("{why}; `{DELEGATE} nsplay up` has groups of its own")
        }
        Cgroups::Not { why, .. } => why.clone(),
        Cgroups::In { parent, .. } => {
            format!(
                "the groups below {} have no more controllers",
                parent.display()
            )
        }
    };
    let each = lacks("memory", each);
    match (without.as_slice(), each) {
        ([], false) => None,
        ([], true) => Some(format!(
            "a service's limit of memory is each of its processes' own: {why}"
        )),
        (without, _) => {
            let each = if each {
                "; a service's of memory is each of its processes' own"
            } else {
                ""
            };
            let without = without.join(", ");
            Some(format!("no limit holds for {without}{each}: {why}"))
        }
    }
}

/// The limits as shell commands.
pub(super) fn write(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let all = &plan.lab.limits;
    let members = plan.lab.members();
    writeln!(f, "\n# limits")?;
    match &plan.cgroups {
        Cgroups::In { parent, .. } => {
            let group = format!("{}/nsplay-{}-…", parent.display(), plan.lab.name);
            writeln!(f, "mkdir {group}")?;
            group_limits(f, &group, &all.lab)?;
            for name in members {
                let group = format!("{group}/{name}");
                writeln!(f, "mkdir {group}")?;
                group_limits(f, &group, &all.of(name))?;
            }
        }
        Cgroups::Not { why, .. } => {
            writeln!(f, "# by rlimits: {why}")?;
            for name in members {
                let limits = all.of(name);
                let is_node = plan.lab.nodes.iter().any(|node| node.name == *name);
                let pids = limits.pids.map(|pids| format!(" --nproc={pids}"));
                let memory = limits.memory_mib.filter(|_| !is_node);
                let memory = memory.map(|mib| format!(" --data={}", mib << 20));
                let options = [pids, memory].map(Option::unwrap_or_default).concat();
                if !options.is_empty() {
                    writeln!(f, "# {name}: prlimit{options}")?;
                }
            }
        }
    }
    Ok(())
}

fn group_limits(f: &mut fmt::Formatter<'_>, group: &str, limits: &Limits) -> fmt::Result {
    if let Some(mib) = limits.memory_mib {
        writeln!(f, "echo {mib}M > {group}/memory.max")?;
    }
    if let Some(cpus) = limits.millicpus {
        writeln!(f, "echo {} 100000 > {group}/cpu.max", cpus * 100)?;
    }
    match limits.pids {
        Some(pids) => writeln!(f, "echo {pids} > {group}/pids.max"),
        None => Ok(()),
    }
}
