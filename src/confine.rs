//! Confinement: what keeps each member of a lab within its [limits](crate::lab::limits), by control
//! groups or by rlimits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::event::What;
use crate::host::cgroups::Cgroups;
use crate::journal::Journal;
use crate::kernel::cgroup::{Cgroup, Toll};
use crate::kernel::process::Confine;
use crate::kernel::reaper::Exit;
use crate::lab::{Lab, Limits, Name};
use crate::program::{Program, User};

/// The group of the supervisor itself, which no member can be called.
pub const SUPERVISOR: &str = "SUPERVISOR";

/// A program that ends so soon after the kernel has killed one for memory was that one.
const OF_THE_SAME: Duration = Duration::from_secs(2);

/// How many processes more than others nsplay's own programs may see, where all of a lab count
/// together: what fills the lab does not keep them from being started again.
const HEADROOM: u64 = 1024;

/// What keeps a lab's members within their limits.
pub struct Confinement {
    /// The lab's group, in which each member has one.
    group: Option<Cgroup>,
    by: Cgroups,
    /// Whether all members are one user.
    one_user: bool,
    journal: Journal,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    lab: Option<Lab>,
    members: BTreeMap<Name, Member>,
    /// How often the lab's own limit of memory has been reached.
    reached: u64,
}

struct Member {
    group: Cgroup,
    toll: Toll,
    /// When one of its processes was killed for memory, and why.
    lost: Option<(Instant, String)>,
}

impl Confinement {
    /// What confines the members of `lab`; `group` is the lab's, with what `by` says.
    #[must_use]
    pub fn new(
        lab: &Lab,
        group: Option<Cgroup>,
        (by, one_user): (Cgroups, bool),
        journal: &Journal,
    ) -> Self {
        let new = Self {
            group,
            by,
            one_user,
            journal: journal.clone(),
            state: RefCell::default(),
        };
        new.become_lab(lab);
        new
    }

    /// Holds from now on what `lab` says; what runs keeps the limits that it was started with.
    pub fn become_lab(&self, lab: &Lab) {
        let mut state = self.state.borrow_mut();
        state.lab = Some(lab.clone());
        let members = lab.members();
        let gone = |name: &Name| !members.contains(&name);
        let gone: Vec<Name> = state
            .members
            .keys()
            .filter(|name| gone(name))
            .cloned()
            .collect();
        for name in gone {
            state.members.remove(&name);
            if let Some(Err(error)) = self
                .group
                .as_ref()
                .map(|lab| lab.remove_child(name.as_str()))
            {
                tracing::warn!(%error, member = %name, "cannot remove a control group");
            }
        }
    }

    /// What a program of `member` is started within.
    ///
    /// # Errors
    /// What keeps the kernel from limiting it.
    pub fn of(&self, member: &Name) -> io::Result<Confine> {
        let mut state = self.state.borrow_mut();
        let (limits, is_node, is_open) = match &state.lab {
            None => (Limits::MEMBER, false, false),
            Some(lab) => (
                lab.limits.of(member),
                lab.nodes.iter().any(|node| node.name == *member),
                is_open(lab, member),
            ),
        };
        let mut confine = Confine::default();
        if let Some(lab) = &self.group {
            let known = state.members.get(member);
            let group = match known {
                Some(member) => &member.group,
                None => {
                    let group = lab.child(member.as_str())?;
                    let (toll, lost) = (group.toll(), None);
                    let entry = state.members.entry(member.clone());
                    &entry.or_insert(Member { group, toll, lost }).group
                }
            };
            // Of a node's programs QEMU goes first, and its BMC stays.
            group.limit(&limits, !is_node)?;
            confine.door = Some(group.door()?);
        }
        if !self.by.has("pids") {
            confine.processes = self.processes(&limits, is_open);
        }
        if !self.by.has("memory") && !is_node {
            confine.data = limits.memory_mib.map(|mib| mib << 20);
        }
        Ok(confine)
    }

    /// What `program` is started within.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_program(&self, program: &Program) -> io::Result<Confine> {
        let mut confine = self.of(&program.member)?;
        if let User::Host(_) = program.user {
            // What that user runs elsewhere would count.
            confine.processes = None;
        }
        Ok(confine)
    }

    /// How many processes its user may have, as the kernel counts them.
    fn processes(&self, limits: &Limits, is_open: bool) -> Option<u64> {
        let most = limits.pids.map(u64::from)?;
        match (&self.by, self.one_user, is_open) {
            // All that the user runs elsewhere would count.
            (Cgroups::Not { counts: false, .. }, true, _) => None,
            (_, true, false) => Some(most + HEADROOM),
            (_, true, true) | (_, false, _) => Some(most),
        }
    }

    /// Kills what is left of `member`, where it has a control group.
    pub fn kill(&self, member: &Name) {
        if let Some(member) = self.state.borrow().members.get(member) {
            member.group.kill();
        }
    }

    /// Looks who has been killed for memory since the last time, and says so.
    pub fn look(&self) {
        let Some(lab) = &self.group else {
            return;
        };
        let mut told = Vec::new();
        {
            let state = &mut *self.state.borrow_mut();
            let reached = lab.toll().reached;
            let limits = state.lab.as_ref().map(|lab| &lab.limits);
            for (name, member) in &mut state.members {
                let toll = member.group.toll();
                let before = member.toll;
                let Some(killed) = toll.killed.checked_sub(before.killed).filter(|n| *n > 0) else {
                    // A limit is counted as reached some time before anything is killed for it.
                    continue;
                };
                member.toll = toll;
                let own = limits.and_then(|limits| limits.of(name).memory_mib);
                let whole = limits.and_then(|limits| limits.lab.memory_mib);
                let why = match (own, whole) {
                    (Some(mib), _) if toll.reached > before.reached => {
                        format!("it had reached its limit of {mib} MiB of memory")
                    }
                    (_, Some(mib)) if reached > state.reached => {
                        format!("the lab had reached its limit of {mib} MiB of memory")
                    }
                    _ => "the memory of the host, or of what limits nsplay, had ended".to_owned(),
                };
                member.lost = Some((Instant::now(), why.clone()));
                told.push(What::OutOfMemory {
                    member: name.clone(),
                    killed,
                    why,
                });
            }
            if !told.is_empty() {
                state.reached = reached;
            }
        }
        told.into_iter().for_each(|what| self.journal.say(what));
    }

    /// Why a program of `member` that has just ended was killed, as the end of a sentence: empty when
    /// it was not for memory.
    #[must_use]
    pub fn explain(&self, member: &Name, exit: Exit) -> String {
        let cause = match exit {
            Exit::Signal(Signal::SIGKILL) => self.cause(member),
            Exit::Signal(_) | Exit::Status(_) => None,
        };
        cause.map_or_else(String::new, |why| format!(", as {why}"))
    }

    fn cause(&self, member: &Name) -> Option<String> {
        self.look();
        let mut state = self.state.borrow_mut();
        let lost = state.members.get_mut(member)?.lost.take()?;
        (lost.0.elapsed() < OF_THE_SAME).then_some(lost.1)
    }

    /// Says who is killed for memory, for as long as the lab lives.
    ///
    /// # Errors
    /// What inotify says.
    pub async fn watch(&self) -> io::Result<()> {
        let Some(lab) = self.group.as_ref().filter(|_| self.by.has("memory")) else {
            return Ok(());
        };
        let events = crate::kernel::inotify::Watch::contents(&lab.events())?;
        loop {
            events.changed().await?;
            self.look();
        }
    }
}

/// Whether programs that are not nsplay's run in `member`: those of a service of the user's own, and
/// of who logs in.
fn is_open(lab: &Lab, member: &Name) -> bool {
    let is_own = lab.own.iter().any(|own| own.name == *member);
    is_own || lab.ssh.as_ref().is_some_and(|ssh| ssh.name == *member)
}
