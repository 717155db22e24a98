//! Servers: a node, its BMC and the BMC's sensors, as the supervisor keeps them together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
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
}

/// The servers of a lab by their nodes' names; clones are the same servers.
#[derive(Clone, Default)]
pub struct Servers(Rc<RefCell<BTreeMap<Name, Server>>>);

impl Servers {
    /// Adds one.
    pub fn add(&self, name: Name, server: Server) {
        self.0.borrow_mut().insert(name, server);
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

    /// Plays a scenario, each act so long after now.
    pub fn play(self, scenario: Vec<Act>) {
        let began = Instant::now();
        for act in scenario {
            let server = self.clone();
            spawn_local(async move {
                sleep_until(began + act.at).await;
                let ask = asked(act.deed);
                if let Err(refusal) = server.answer(&ask) {
                    let name = &server.bmc.name;
                    let text = format!("{name}: the scenario asks what cannot be: {refusal}");
                    server.bmc.journal.note(text);
                }
            });
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
