//! What the programs of a lab cost: processors and memory, as `/proc` tells it (proc_pid_stat(5)).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;

/// What one program of a member costs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// The member.
    pub name: String,
    /// The program.
    pub runs: String,
    /// Its processes.
    pub pids: Vec<i32>,
    /// Percent of one processor, since the sample before.
    #[serde(rename = "cpu_percent")]
    pub cpu: f64,
    /// Seconds of processors, since its start.
    pub cpu_seconds: f64,
    /// Bytes of memory that it has now (RSS).
    #[serde(rename = "memory_bytes")]
    pub memory: u64,
}

/// What all processes of a lab had used at some time.
pub struct Sample {
    at: Instant,
    processes: Vec<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    name: String,
    /// Clock ticks of all its threads, in user and in system mode.
    ticks: u64,
    pages: u64,
    /// The inode of its network namespace.
    netns: u64,
}

/// How many clock ticks a second has (sysconf(3), `_SC_CLK_TCK`).
#[must_use]
pub fn ticks_per_second() -> u64 {
    let asked = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let ticks = asked
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok());
    // All of Linux's user interfaces have 100, whatever the kernel's own clock does.
    ticks.filter(|ticks| *ticks > 0).unwrap_or(100)
}

fn page_size() -> u64 {
    let asked = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let size = asked
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok());
    size.unwrap_or(4096)
}

impl Sample {
    /// The processes below `supervisor`, as they are now.
    ///
    /// # Errors
    /// What reading `/proc` says.
    pub fn take(supervisor: i32) -> io::Result<Self> {
        let at = Instant::now();
        let pids = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let all: Vec<Process> = pids.filter_map(Process::read).collect();
        let parents: HashMap<i32, i32> = all.iter().map(|p| (p.pid, p.parent)).collect();
        let below = |pid: i32| {
            // No chain of parents is longer than there are processes, even if they change meanwhile.
            let chain = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
            chain.take(parents.len() + 1).any(|pid| pid == supervisor)
        };
        let processes = all
            .iter()
            .filter(|process| below(process.pid))
            .cloned()
            .collect();
        Ok(Self { at, processes })
    }

    /// What each program costs, in the order of `members`: names, and the inodes of their network
    /// namespaces. What is in none of these is the lab's own, and comes last.
    #[must_use]
    pub fn costs(&self, before: &Self, members: &[(String, u64)]) -> Vec<Cost> {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(0.001);
        let per_second = ticks_per_second() as f64;
        let page = page_size();
        let then: HashMap<i32, u64> = before.processes.iter().map(|p| (p.pid, p.ticks)).collect();
        let mut costs: BTreeMap<(usize, String), Cost> = BTreeMap::new();
        for process in &self.processes {
            let place = members
                .iter()
                .position(|(_, netns)| *netns == process.netns);
            let name = place.map_or("lab", |place| members[place].0.as_str());
            let key = (place.unwrap_or(members.len()), process.name.clone());
            let cost = costs.entry(key).or_insert_with(|| Cost {
                name: name.to_owned(),
                runs: process.name.clone(),
                pids: Vec::new(),
                cpu: 0.0,
                cpu_seconds: 0.0,
                memory: 0,
            });
            // A process that has started since then had used nothing.
            let used = process
                .ticks
                .saturating_sub(then.get(&process.pid).copied().unwrap_or(0));
            cost.pids.push(process.pid);
            cost.cpu += used as f64 / per_second / seconds * 100.0;
            cost.cpu_seconds += process.ticks as f64 / per_second;
            cost.memory += process.pages * page;
        }
        costs.into_values().collect()
    }
}

impl Process {
    /// None for one that has gone, or that may not be looked at.
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let netns = fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino();
        Some(Self {
            netns,
            ..Self::parse(&stat)?
        })
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name in parentheses may itself hold spaces and parentheses.
        let (head, rest) = stat.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field 3 is the first behind the name.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            name: name.to_owned(),
            ticks: field(14)? + field(15)?,
            pages: field(24)?,
            netns: 0,
        })
    }
}

/// The inode of the network namespace that a name of `ip netns` leads to.
///
/// # Errors
/// What stat(2) says.
pub fn netns_of(name: &Path) -> io::Result<u64> {
    Ok(fs::metadata(name)?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "412 (a) b (c) S 7 412 412 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 3 0 99 \
        1000000 250 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let process = Process::parse(STAT).unwrap();
        assert_eq!((process.pid, process.parent), (412, 7));
        assert_eq!(process.name, "a) b (c");
        assert_eq!((process.ticks, process.pages), (200, 250));
        assert_eq!(Process::parse("412 (a) S 7"), None);
    }

    #[test]
    fn costs_are_of_members_and_since_the_sample_before() {
        let process = |pid, name: &str, ticks, netns| Process {
            pid,
            name: name.to_owned(),
            ticks,
            netns,
            ..Process::parse(STAT).unwrap()
        };
        let now = Instant::now();
        let sample = |seconds, processes| Sample {
            at: now + std::time::Duration::from_secs(seconds),
            processes,
        };
        let before = sample(
            0,
            vec![process(1, "nsplay", 5, 9), process(2, "qemu", 100, 8)],
        );
        let after = sample(
            2,
            vec![
                process(1, "nsplay", 5, 9),
                process(2, "qemu", 100 + ticks_per_second(), 8),
                process(3, "qemu", 2 * ticks_per_second(), 8),
            ],
        );
        let costs = after.costs(&before, &[("node1".to_owned(), 8)]);
        let told: Vec<_> = costs
            .iter()
            .map(|c| (c.name.as_str(), c.runs.as_str(), c.cpu))
            .collect();
        assert_eq!(told, [("node1", "qemu", 150.0), ("lab", "nsplay", 0.0)]);
        assert_eq!(costs[0].pids, [2, 3]);
        assert_eq!(costs[0].memory, 2 * 250 * page_size());
    }

    #[test]
    fn a_process_is_below_itself() {
        let own = i32::try_from(std::process::id()).unwrap();
        let sample = Sample::take(own).unwrap();
        assert!(sample.processes.iter().any(|process| process.pid == own));
        assert!(
            !sample
                .processes
                .iter()
                .any(|process| process.pid == 1 && own != 1)
        );
    }
}
