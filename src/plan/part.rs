//! Parts: all of a plan that is about one member, so that a member can be compared, started and
//! stopped by itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Plan, Publish, View};
use crate::lab::{LinkName, Name};
use crate::node::qemu::Machine;
use crate::program::Program;
use crate::step::{Place, Step};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs<'p> {
    /// A service, and what serves.
    Service(&'p Program),
    /// A node, and the binary of its BMC.
    Node(&'p Machine, &'p Path),
}

/// All of a plan that is about one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'p> {
    /// The member.
    pub name: &'p Name,
    /// What it is.
    pub runs: Runs<'p>,
    /// What its network takes, in the fabric and in its own namespace.
    pub steps: Vec<&'p Step>,
    /// The folders that it serves.
    pub views: Vec<&'p View>,
    /// The folders of the host that it sees: where they are inside the lab, and on the host.
    pub folders: Vec<&'p (PathBuf, PathBuf)>,
    /// The files of the host that it reads, likewise.
    pub files: Vec<&'p (PathBuf, PathBuf)>,
    /// Where the host reaches it.
    pub publish: Vec<&'p Publish>,
}

/// Whose the links of the fabric are: those that lead to a member.
struct Ends<'p>(HashMap<&'p LinkName, &'p Name>);

impl<'p> Ends<'p> {
    fn of(steps: &'p [Step]) -> Self {
        let ends = steps.iter().filter_map(|step| match step {
            Step::AddVeth { link, member, .. } => Some((link, member)),
            _ => None,
        });
        Self(ends.collect())
    }

    /// The member that a step is for; none for one of the fabric itself.
    fn whose(&self, step: &'p Step) -> Option<&'p Name> {
        match step {
            Step::AddNetns(name) | Step::RemoveNetns(name) => Some(name),
            Step::AddVeth { member, .. } => Some(member),
            step => match step.place()? {
                Place::Member(name) => Some(name),
                Place::Fabric => self.0.get(step.link()?).copied(),
            },
        }
    }
}

impl Plan {
    /// The part of each member, in the order of the plan.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        let ends = Ends::of(&self.network);
        let mut steps: HashMap<&Name, Vec<&Step>> = HashMap::new();
        for step in &self.network {
            if let Some(name) = ends.whose(step) {
                steps.entry(name).or_default().push(step);
            }
        }
        let services = self.services.iter();
        let services = services.map(|program| (&program.member, Runs::Service(program)));
        let nodes = self
            .machines
            .iter()
            .map(|machine| (&machine.node.name, Runs::Node(machine, &self.ipmi_sim)));
        services
            .chain(nodes)
            .map(|(name, runs)| self.part_of(name, runs, steps.remove(name).unwrap_or_default()))
            .collect()
    }

    /// The part of the member `name`; none when the plan has no such member.
    #[must_use]
    pub fn part(&self, name: &Name) -> Option<Part<'_>> {
        self.parts().into_iter().find(|part| part.name == name)
    }

    fn part_of<'p>(&'p self, name: &'p Name, runs: Runs<'p>, steps: Vec<&'p Step>) -> Part<'p> {
        let (dir, served) = (Program::dir(name), Program::served(name));
        let (views, folders) = (self.views.iter(), self.folders.iter());
        let (files, publish) = (self.files.iter(), self.publish.iter());
        Part {
            name,
            runs,
            steps,
            views: views.filter(|view| view.at.starts_with(&served)).collect(),
            folders: folders.filter(|(at, _)| at.starts_with(&dir)).collect(),
            files: files.filter(|(at, _)| at.starts_with(&dir)).collect(),
            publish: publish.filter(|publish| publish.member == *name).collect(),
        }
    }

    /// What is done to the fabric for no member in particular.
    #[must_use]
    pub fn fabric(&self) -> Vec<&Step> {
        let ends = Ends::of(&self.network);
        let steps = self.network.iter();
        steps.filter(|step| ends.whose(step).is_none()).collect()
    }
}

impl Part<'_> {
    /// What takes its network away.
    #[must_use]
    pub fn removal(&self) -> Vec<Step> {
        let links = self.steps.iter().filter_map(|step| match step {
            Step::AddVeth { link, .. } => Some(Step::RemoveLink {
                place: Place::Fabric,
                link: link.clone(),
            }),
            _ => None,
        });
        links
            .chain([Step::RemoveNetns(self.name.clone())])
            .collect()
    }
}
