//! The board: every member and its state, as the journal's events tell it.

use std::cell::RefCell;
use std::rc::Rc;

use super::protocol::{Member, State};
use crate::event::{Event, What};
use crate::journal::Journal;
use crate::lab::{Name, Stage};
use crate::node::Power;
use crate::plan::Plan;

/// What runs a node.
const QEMU: &str = "qemu";

/// The board; clones are the same board.
#[derive(Clone)]
pub struct Board(Rc<RefCell<Vec<Member>>>);

impl Board {
    /// The board of a plan that nothing has been done of yet, and that hears `journal` from now on.
    #[must_use]
    pub fn follow(plan: &Plan, journal: &Journal) -> Self {
        let board = Self(Rc::new(RefCell::new(members(plan))));
        let mut events = journal.listen();
        let heard = board.clone();
        tokio::task::spawn_local(async move {
            loop {
                match events.recv().await {
                    Ok(event) => heard.hear(&event),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        board
    }

    /// The members, in the order of the lab file.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.0.borrow().clone()
    }

    /// Shows the members of another plan; those that were there before stay as they are.
    pub fn show(&self, plan: &Plan) {
        let mut members = members(plan);
        let known = self.0.borrow();
        for member in &mut members {
            let same = |known: &&Member| known.name == member.name && known.what == member.what;
            if let Some(known) = known.iter().find(same) {
                let Member {
                    state,
                    pid,
                    since,
                    restarts,
                    identify,
                    ..
                } = known.clone();
                (member.state, member.since, member.pid) = (state, since, pid);
                (member.restarts, member.identify) = (restarts, identify);
            }
        }
        drop(known);
        self.0.replace(members);
    }

    fn hear(&self, event: &Event) {
        let (name, what, state) = match &event.what {
            What::Ready { member, what, .. } => (member, what.as_str(), State::Ready),
            What::Exited {
                member,
                what,
                again_ms,
                ..
            } => {
                let state = match again_ms {
                    Some(_) => State::Waiting,
                    None => State::Ended,
                };
                (member, what.as_str(), state)
            }
            What::Power { node, power, .. } => {
                let state = match power {
                    Power::On => State::On,
                    Power::Off => State::Off,
                };
                (node, QEMU, state)
            }
            What::Stopped { member, .. } => {
                return self.turn(member, State::Stopped, event.at);
            }
            What::Started { member, .. } => {
                return self.turn(member, State::Starting, event.at);
            }
            What::Identify { node, on } => {
                let mut members = self.0.borrow_mut();
                let found = |member: &&mut Member| member.name == *node && member.what == QEMU;
                if let Some(member) = members.iter_mut().find(found) {
                    member.identify = *on;
                }
                return;
            }
            What::Stage { node, stage, .. } => {
                let mut members = self.0.borrow_mut();
                let found = |member: &&mut Member| member.name == *node && member.what == QEMU;
                if let Some(member) = members.iter_mut().find(found) {
                    // Some are seen out of turn: the farthest counts.
                    let begins = *stage == Stage::Powered || stage.is_end();
                    let before = member.stage.filter(|_| !begins);
                    member.stage = before.max(Some(*stage));
                }
                return;
            }
            What::Log { .. }
            | What::OutOfMemory { .. }
            | What::Sensor { .. }
            | What::Fault { .. }
            | What::Link { .. }
            | What::Shape { .. }
            | What::Media { .. }
            | What::Reset { .. }
            | What::Made { .. }
            | What::Up { .. }
            | What::Failed { .. }
            | What::Note { .. }
            | What::Down { .. } => return,
        };
        let mut members = self.0.borrow_mut();
        let found = members
            .iter_mut()
            .find(|member| member.name == *name && member.what == what);
        if let Some(member) = found {
            member.restarts += u32::from(state == State::Waiting);
            member.state = state;
            member.since = event.at;
            member.pid = None;
            if let What::Ready { pid, .. } = &event.what {
                member.pid = *pid;
            }
        }
    }
}

impl Board {
    /// The programs of `name` are in another state, by an order; a node's power is a thing apart.
    fn turn(&self, name: &Name, state: State, at: u64) {
        for member in self.0.borrow_mut().iter_mut() {
            if member.name == *name && member.what != QEMU {
                (member.state, member.since) = (state, at);
                member.pid = None;
            }
        }
    }
}

/// All members of a plan, before anything has been started.
fn members(plan: &Plan) -> Vec<Member> {
    let lab = &plan.lab;
    let since = crate::journal::now();
    let member = |name: &Name, what: &str, state, address, published: Vec<_>| Member {
        name: name.clone(),
        what: what.to_owned(),
        state,
        pid: None,
        address,
        since,
        restarts: 0,
        published,
        identify: false,
        stage: None,
    };
    let mut members = Vec::new();
    for (service, seat) in plan.services.iter().zip(lab.services()) {
        let (name, what) = (&service.member, &service.what);
        members.push(member(
            name,
            what,
            State::Starting,
            seat.address,
            seat.publish,
        ));
    }
    for node in &lab.nodes {
        members.push(member(
            &node.name,
            QEMU,
            State::Off,
            node.address,
            node.vnc.into_iter().collect(),
        ));
        if node.tpm.is_some() {
            let (name, at) = (&node.name, node.address);
            members.push(member(name, "swtpm", State::Starting, at, Vec::new()));
        }
        let bmc = node.bmc.publish.into_iter().collect();
        members.push(member(
            &node.name,
            "ipmi_sim",
            State::Starting,
            node.address,
            bmc,
        ));
    }
    members
}
