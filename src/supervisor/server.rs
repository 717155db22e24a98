//! Servers: a node, its BMC and the BMC's sensors, as the supervisor keeps them together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::protocol::Reply;
use super::sensors::Sensors;
use crate::bmc::Bmc;
use crate::bmc::ask::Ask;
use crate::bmc::bank::Refusal;
use crate::lab::{Act, Deed, Name};
use crate::node::power::Node;

/// A server.
#[derive(Clone)]
pub struct Server {
    /// Its BMC, which has the node.
    pub bmc: Rc<Bmc>,
    /// What the BMC measures.
    pub sensors: Sensors,
    /// What it is told to pretend.
    pub scenario: Rc<watch::Sender<Vec<Act>>>,
}

/// The servers of a lab by their nodes' names; clones are the same servers.
#[derive(Clone, Default)]
pub struct Servers(Rc<RefCell<BTreeMap<Name, Server>>>);

impl Servers {
    /// Adds one.
    pub fn add(&self, name: Name, server: Server) {
        self.0.borrow_mut().insert(name, server);
    }

    /// Removes one.
    pub fn remove(&self, name: &Name) {
        self.0.borrow_mut().remove(name);
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<Server> {
        self.0.borrow().get(name).cloned()
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &Name) -> Option<Node> {
        self.get(name).map(|server| server.bmc.node.clone())
    }

    /// Writes down what has to outlast the lab.
    pub fn remember(&self) {
        let servers = self.0.borrow();
        servers
            .values()
            .for_each(|server| server.bmc.node.remember());
    }
}

impl Server {
    /// Does what a client asks of the BMC.
    ///
    /// # Errors
    /// What cannot be, for people.
    pub fn answer(&self, ask: &Ask) -> Result<Option<Reply>, Refusal> {
        match ask {
            Ask::Fault { fault: None, .. } => {
                let faults = self.bmc.node.chassis().borrow().faults.now();
                return Ok(Some(Reply::Faults { faults }));
            }
            Ask::Fault {
                fault: Some(fault),
                lasts_ms,
            } => {
                let lasts = lasts_ms.map(Duration::from_millis);
                self.bmc.begin(*fault, lasts);
                return Ok(None);
            }
            Ask::Clear => self.bmc.clear(),
            Ask::Set { .. } | Ask::Event { .. } | Ask::Raw { .. } | Ask::Sensors => {}
        }
        self.sensors.answer(ask)
    }

    /// Plays the scenario, each act so long after now, for ever; one that takes its place begins
    /// anew.
    pub async fn play(self) {
        let mut scenario = self.scenario.subscribe();
        loop {
            let acts = scenario.borrow_and_update().clone();
            let began = Instant::now();
            let this = &self;
            let acts = acts.into_iter().map(|act| async move {
                sleep_until(began + act.at).await;
                this.perform(act.deed);
            });
            tokio::select! {
                _ = join_all(acts) => {}
                changed = scenario.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
            if scenario.changed().await.is_err() {
                return;
            }
        }
    }

    fn perform(&self, deed: Deed) {
        if let Err(refusal) = self.answer(&asked(deed)) {
            let name = &self.bmc.name;
            let text = format!("{name}: the scenario asks what cannot be: {refusal}");
            self.bmc.journal.note(text);
        }
    }
}

fn asked(deed: Deed) -> Ask {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match deed {
        Deed::Fault { fault, lasts } => Ask::Fault {
            fault: Some(fault),
            lasts_ms: lasts.map(ms),
        },
        Deed::Sensor {
            sensor,
            value,
            over,
        } => Ask::Set {
            sensor,
            value,
            over_ms: over.map(ms),
        },
        Deed::Clear => Ask::Clear,
    }
}
