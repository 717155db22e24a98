//! BMCs: ipmi_sim, the front before it, what its module asks of the node, the console it passes on,
//! and what it tells of the node's hardware.

pub mod ask;
pub mod bank;
pub mod control;
pub mod emu;
pub mod front;
pub mod fru;
pub mod ipmi_sim;
pub mod lan;
pub mod parameters;
pub mod question;
pub mod rmcp;
pub mod sdr;
pub mod sol;
pub mod states;
pub mod users;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::event::What;
use crate::journal::Journal;
use crate::lab::{Fault, Name};
use crate::node::Order;
use crate::node::power::{Door, Node};
use parameters::Parameters;
use sol::Sol;

/// A BMC, for as long as its lab lives: what outlasts each ipmi_sim.
pub struct Bmc {
    /// The node's name.
    pub name: Name,
    /// Who is told.
    pub journal: Journal,
    /// The machine that it controls, which keeps the chassis' state.
    pub node: Node,
    /// The GUID of the system, in the order in which IPMI sends it.
    pub guid: [u8; 16],
    /// Its LAN configuration.
    pub lan: RefCell<Parameters>,
    /// Its configuration of serial over LAN.
    pub sol_parameters: RefCell<Parameters>,
    /// The console, as ipmi_sim passes it on.
    pub sol: Sol,
    /// Ends the present ipmi_sim, so that another one is started.
    pub restart: Rc<Notify>,
}

/// How long a BMC that resets itself is away, unless it is told otherwise; iron takes a minute or
/// two.
pub const RESET_TAKES: Duration = Duration::from_secs(2);

impl Bmc {
    /// Begins a fault, which ends by itself after `lasts`, if that is given.
    pub fn begin(self: &Rc<Self>, fault: Fault, lasts: Option<Duration>) {
        let lasts = lasts.or((fault == Fault::ColdReset).then_some(RESET_TAKES));
        let number = self.node.chassis().borrow_mut().faults.begin(fault);
        self.tell(fault, lasts, true);
        match fault {
            Fault::ColdReset => self.restart.notify_one(),
            Fault::PowerLoss => {
                self.restart.notify_one();
                self.node.order(Order::Off, Door::Mains);
            }
            Fault::Unreachable
            | Fault::Slow(_)
            | Fault::Loss(_)
            | Fault::SessionsFull
            | Fault::StuckPower
            | Fault::IgnoredBootDevice => {}
        }
        if let Some(lasts) = lasts {
            let bmc = Rc::clone(self);
            spawn_local(async move {
                sleep(lasts).await;
                let over = bmc.node.chassis().borrow_mut().faults.end(number);
                if over {
                    bmc.is_over(fault);
                }
            });
        }
    }

    /// Whether it has a fault now.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        !self.node.chassis().borrow().faults.now().is_empty()
    }

    /// Ends all faults.
    pub fn clear(&self) {
        let faults = self.node.chassis().borrow_mut().faults.clear();
        faults.into_iter().for_each(|fault| self.is_over(fault));
    }

    fn is_over(&self, fault: Fault) {
        self.tell(fault, None, false);
        if fault == Fault::PowerLoss && self.node.comes_on() {
            self.node.order(Order::On, Door::Mains);
        }
    }

    fn tell(&self, fault: Fault, lasts: Option<Duration>, on: bool) {
        self.journal.say(What::Fault {
            node: self.name.clone(),
            fault,
            on,
            lasts_ms: lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)),
        });
    }
}

/// The module that ipmi_sim loads, compiled by `build.rs`.
///
/// It is part of the binary so that one file is all of nsplay.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ipmi-sim-module.so"));
